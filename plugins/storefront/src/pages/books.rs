//! The customer's statement of account and the invoice of an order, from `finance`.
//!
//! `finance` checks no rights: this file checks by the customer's id that an invoice belongs to the customer.

use askama::Template;

use super::sheet::{Sheet, address_lines};
use super::{Problem, Service, Shell, render, signed_in};
use crate::assets;
use crate::money::Price;
use crate::pages::order::is_number;
use crate::reference::{Countries, Currencies};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, ordering, payments};
use crate::time::Day;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage<'a> {
    shell: Shell<'a>,
    rows: Vec<Row<'a>>,
    more: bool,
}

struct Row<'a> {
    day: Day,
    order: Option<&'a str>,
    text: &'a str,
    amount: Price<'a>,
    balance: Price<'a>,
}

#[derive(Template)]
#[template(path = "invoice.html")]
struct InvoicePage<'a> {
    shell: Shell<'a>,
    sheet: Sheet<'a>,
}

/// `/account/statement`
pub fn statement(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, "/account/statement", seams)?;
    let statement = seams.statement(&customer.account.id).map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let rows = statement.lines.iter().map(|line| Row {
        day: Day(line.at),
        order: Some(line.order.as_str()).filter(|number| is_number(number)),
        text: &line.text,
        amount: currencies.price(line.amount, &line.currency),
        balance: currencies.price(line.balance, &line.currency),
    });
    let page = StatementPage { shell: Shell::of(visit), rows: rows.collect(), more: statement.more };
    Ok(Reply::html(CachePolicy::NoStore, render(&page, 8 * 1024)))
}

/// `/orders/{number}/invoice`
pub fn invoice(number: &str, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, &format!("/orders/{number}/invoice"), seams)?;
    let found = seams.invoice(number).map_err(|error| problem(&error, seams))?;
    let Some(invoice) = found.filter(|invoice| invoice.customer == customer.account.id) else {
        return Err(Problem::NoInvoice);
    };
    // The address comes from the order. While `orders` is away, the invoice shows the customer's name only.
    let order: Option<ordering::Order> = seams.order(&customer.account.id, number).ok();
    let countries = Countries::of(seams);
    let to = match &order {
        Some(order) => address_lines(&order.address, &countries),
        None => vec![customer.account.name.as_str()],
    };
    let currencies = Currencies::of(seams);
    let page = InvoicePage { shell: Shell::of(visit), sheet: Sheet::new(&invoice, to, &currencies) };
    Ok(Reply::html(CachePolicy::NoStore, render(&page, 6 * 1024)))
}

fn problem(error: &payments::Error, seams: &impl Seams) -> Problem {
    if let payments::Error::Unavailable(_) = error {
        return Problem::Unavailable(Service::Books);
    }
    seams.warn(&format!("books refused: {error}"));
    Problem::NoInvoice
}
