//! The customer's statement of account and the invoice of an order, from `finance`.
//!
//! `finance` checks no rights: this file checks by the customer's id that an invoice belongs to the customer.

use askama::Template;

use super::{Problem, Service, Shell, render, signed_in};
use crate::assets;
use crate::money::{Charge, Price};
use crate::pages::order::is_number;
use crate::reference::{Countries, Currencies};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, books, ordering, payments};
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
    invoice: &'a books::Invoice,
    day: Day,
    /// The recipient, line by line.
    to: Vec<&'a str>,
    items: Vec<Item<'a>>,
    shipping: Charge<'a>,
    total: Price<'a>,
    refunded: Option<Price<'a>>,
}

struct Item<'a> {
    sku: &'a str,
    title: &'a str,
    quantity: u32,
    price: Price<'a>,
    sum: Price<'a>,
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
        Some(order) => {
            let address = &order.address;
            let lines = [&address.name, &address.street, &address.extra, &address.postcode, &address.city];
            let mut to: Vec<&str> = lines.into_iter().map(String::as_str).collect();
            to.push(countries.name(&address.country));
            to.retain(|line| !line.is_empty());
            to
        }
        None => vec![customer.account.name.as_str()],
    };
    let currencies = Currencies::of(seams);
    let currency = invoice.total.currency.as_str();
    let items = invoice.lines.iter().map(|line| Item {
        sku: &line.sku,
        title: match &line.title {
            books::Title::Known(title) => title,
            books::Title::Gone => "A record that is no longer in our catalogue",
            books::Title::Unavailable => "(the title cannot be looked up just now)",
        },
        quantity: line.quantity,
        price: currencies.price(line.price, currency),
        sum: currencies.price(u64::from(line.price) * u64::from(line.quantity), currency),
    });
    let page = InvoicePage {
        shell: Shell::of(visit),
        day: Day(invoice.at),
        to,
        items: items.collect(),
        shipping: Charge(currencies.price(invoice.shipping, currency)),
        total: currencies.price(invoice.total.minor_units, currency),
        refunded: (invoice.refunded > 0).then(|| currencies.price(invoice.refunded, currency)),
        invoice: &invoice,
    };
    Ok(Reply::html(CachePolicy::NoStore, render(&page, 6 * 1024)))
}

fn problem(error: &payments::Error, seams: &impl Seams) -> Problem {
    if let payments::Error::Unavailable(_) = error {
        return Problem::Unavailable(Service::Books);
    }
    seams.warn(&format!("books refused: {error}"));
    Problem::NoInvoice
}
