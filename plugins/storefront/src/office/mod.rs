//! The operator's pages, below `/office`. Only accounts that `customer` marks as operators may open them; for all
//! others they do not exist.
//!
//! Invariants: `read` and `write` call `desk::enter` before anything else; only POST changes anything; a form with a
//! key takes effect once, however often it is sent; a form with mistakes comes back with a sentence beside each
//! mistake.
//! Not here: what an operator may do with an order, copies or money. The contexts decide, and the office shows their
//! reasons.

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
use crate::reply::{CachePolicy, Reply};
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
    let query = Query::parse(query).map_err(Problem::Input)?;
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

/// Does what a form of the office asks for. The form's token has been checked.
pub fn write(path: &str, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    // After signing in, the operator returns to the page of the form: the form's own address answers only POST.
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

/// The segments of a path below `/office`. Ours have at most three, without percent-encoding.
fn segments(path: &str) -> Result<Vec<&str>, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path.split('/').take(4).collect();
    if parts.len() > 3 || parts.contains(&"") { Err(Problem::NotFound) } else { Ok(parts) }
}

/// A page of the office. No cache keeps it.
fn reply(page: &impl Template, status: u16) -> Reply {
    Reply::html(CachePolicy::NoStore, render(page, 8 * 1024)).with_status(status)
}
