//! The operator's pages, below `/office`. Only accounts that `customer` marks as operators may open them; for all
//! others they do not exist.
//!
//! Invariants: `answer` calls `desk::enter` before anything else; only POST changes anything; what cannot be undone has
//! a page of its own that says what will happen; what gives money back or changes a price needs a password that was
//! typed a short while ago (`confirm`); a form with a key takes effect once, however often it is sent; a form with
//! mistakes comes back with a sentence beside each mistake; what goes wrong is said in the office.
//! Not here: what an operator may do with an order, copies or money. The contexts decide, and the office shows their
//! reasons.

mod album_form;
mod books;
mod changes;
mod confirm;
mod csv;
mod customer;
mod deed;
mod desk;
mod fields;
mod genre;
mod held_up;
mod invoice;
mod list;
mod notice;
mod order;
mod overview;
mod payment;
mod picking;
mod problem;
mod query;
mod record;
mod records;
mod view;

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;

use askama::Template;

use crate::cart::is_sku;
use crate::command::{Action, Command, command};
use crate::form::Form;
use crate::pages::{Problem, render, sent_form};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Request, Seams};
use crate::visit::Visit;

use self::desk::{Desk, Section, enter};
use self::query::Query;
use self::view::is_number;

/// Answers a request; `path` is what comes after `/office`. A visitor who may not enter gets the shop's own answers.
pub fn answer(path: &str, request: &Request, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let posted = request.method == "POST";
    // After signing in, the operator returns to the page of the form: the form's own address may answer only POST.
    let next = if posted { path.rsplit_once('/').map_or("", |(page, _)| page) } else { path };
    let desk = enter(next, visit, seams)?;
    let reply = match request.method.as_str() {
        "GET" | "HEAD" => read(&desk, path, request.query.as_deref()),
        "POST" => sent_form(request, |form| visit.issued(form)).and_then(|form| write(&desk, &request.path, &form)),
        _ => Err(Problem::Method("GET, HEAD, POST")),
    };
    Ok(reply.unwrap_or_else(|problem| problem::page(&desk, section(path), &problem)))
}

fn read<S: Seams>(desk: &Desk<'_, S>, path: &str, query: Option<&str>) -> Result<Reply, Problem> {
    let query = Query::parse(query).map_err(Problem::Input)?;
    match segments(path)?.as_slice() {
        [] => overview::page(desk, &query),
        ["orders"] => list::page(desk, &query),
        ["orders.csv"] => list::csv(desk, &query),
        ["orders", number] if is_number(number) => order::page(desk, number, &query),
        ["orders", number, "invoice"] if is_number(number) => invoice::page(desk, number),
        ["orders", number, action] if is_number(number) => {
            let action = Action::named(action).ok_or(Problem::NotFound)?;
            deed::page(desk, number, action, &query)
        }
        ["confirm"] => confirm::page(desk),
        ["pick"] => picking::page(desk),
        ["pick.csv"] => picking::csv(desk),
        ["records"] => records::page(desk, &query),
        ["records.csv"] => records::csv(desk, &query),
        ["records", "new"] => album_form::page(desk),
        ["records", sku] if is_sku(sku) => record::page(desk, sku, &query),
        ["records", sku, "edit"] if is_sku(sku) => album_form::edit(desk, sku),
        ["records", sku, "movements.csv"] if is_sku(sku) => record::csv(desk, sku),
        ["records", sku, "changes.csv"] if is_sku(sku) => changes::csv(desk, sku),
        ["books"] => books::page(desk),
        ["books.csv"] => books::csv(desk),
        ["customers"] => customer::find(desk, &query),
        ["customers", id] if is_number(id) => customer::page(desk, id),
        ["customers", id, "statement.csv"] if is_number(id) => customer::csv(desk, id),
        _ => Err(Problem::NotFound),
    }
}

/// Does what a form of the office asks for. The form's token has been checked.
fn write<S: Seams>(desk: &Desk<'_, S>, path: &str, form: &Form<'_>) -> Result<Reply, Problem> {
    let (command, id) = command(path).ok_or(Problem::NotFound)?;
    if confirm::is_needed(command)
        && let Some(question) = confirm::ask(desk, path, form)?
    {
        return Ok(question);
    }
    match command {
        Command::ChangeOrder(action) => deed::act(desk, id, action, form),
        Command::AddRecord => album_form::add(desk, form),
        Command::DescribeRecord => album_form::describe(desk, id, form),
        Command::ChangeRecord(change) => record::change(desk, id, change, form),
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

/// The part of the office that an address belongs to, whether it has a page or not.
fn section(path: &str) -> Section {
    match path.trim_start_matches('/').split(['/', '.']).next() {
        Some("orders") => Section::Orders,
        Some("pick") => Section::Picking,
        Some("records") => Section::Records,
        Some("books" | "customers") => Section::Books,
        _ => Section::Overview,
    }
}

/// A page of the office. No cache keeps it.
fn reply(page: &impl Template, status: u16) -> Reply {
    Reply::html(CachePolicy::NoStore, render(page, 8 * 1024)).with_status(status)
}
