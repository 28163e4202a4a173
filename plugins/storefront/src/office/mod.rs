//! The operator's side of the shop, below `/office`. Only accounts that `customer` calls operators get in; to others it does not exist.
//!
//! Invariants: both ways in, `read` and `write`, pass `desk::enter` before anything else is looked at; nothing changes but by POST; every
//! form carries a key, so that sending it twice does it once; what is typed wrong comes back with what is wrong beside it.
//! Not here: what an operator may do to an order, to copies or to money. The contexts refuse; the office shows why.

mod album_form;
mod books;
mod customer;
mod desk;
mod fields;
mod list;
mod notice;
mod order;
mod overview;
mod picking;
mod query;
mod record;
mod records;
mod view;

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;

use askama::Template;

use crate::cart::is_sku;
use crate::form::Form;
use crate::pages::{Problem, render};
use crate::reply::{Freshness, Reply};
use crate::seams::Seams;
use crate::visit::Visit;

use self::desk::enter;
use self::order::Action;
use self::query::Query;
use self::record::Change;
use self::view::is_number;

/// A page of the office; `path` is what comes after `/office`.
pub fn read(path: &str, query: Option<&str>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let desk = enter(path, visit, seams)?;
    let query = Query::parse(query).map_err(Problem::Bad)?;
    match segments(path)?.as_slice() {
        [] => overview::page(&desk, &query),
        ["orders"] => list::page(&desk, &query),
        ["orders", number] if is_number(number) => order::page(&desk, number, &query),
        ["pick"] => picking::page(&desk),
        ["records"] => records::page(&desk, &query),
        ["records", "new"] => album_form::page(&desk),
        ["records", sku] if is_sku(sku) => record::page(&desk, sku, &query),
        ["books"] => books::page(&desk),
        ["customers"] => customer::find(&desk, &query),
        ["customers", id] if is_number(id) => customer::page(&desk, id),
        _ => Err(Problem::NotFound),
    }
}

/// What a form of the office wants done. The form's token has been checked.
pub fn write(path: &str, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    // Whoever has to sign in first is led to the page of the form: the answer to one cannot be opened on its own.
    let desk = enter(path.rsplit_once('/').map_or("", |(page, _)| page), visit, seams)?;
    match segments(path)?.as_slice() {
        ["settle"] => overview::settle(&desk),
        ["orders", number, action] if is_number(number) => {
            let action = Action::named(action).ok_or(Problem::NotFound)?;
            order::act(&desk, number, action, form)
        }
        ["records"] => album_form::add(&desk, form),
        ["records", sku, change] if is_sku(sku) => {
            let change = Change::named(change).ok_or(Problem::NotFound)?;
            record::change(&desk, sku, change, form)
        }
        _ => Err(Problem::NotFound),
    }
}

/// The parts of a path below `/office`; those of ours have at most three, and nothing in them is encoded.
fn segments(path: &str) -> Result<Vec<&str>, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path.split('/').take(4).collect();
    if parts.len() > 3 || parts.contains(&"") { Err(Problem::NotFound) } else { Ok(parts) }
}

/// A page of the office: kept nowhere, as it is an operator's.
fn reply(page: &impl Template, status: u16) -> Reply {
    Reply::html(Freshness::Never, render(page, 8 * 1024)).with_status(status)
}
