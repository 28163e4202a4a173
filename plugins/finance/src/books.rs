//! What the books say: a customer's statement, an order's invoice, the trial balance. Nothing here changes anything.

use std::collections::BTreeMap;

use seam_sdk::log;

use crate::domain::check;
use crate::neighbours::{Neighbours, albums};
use crate::store::{self, Found, Invoiced};
use crate::wit::{Error, Line, Payment, Sale};
use crate::wit_books::{
    GivenBack, Invoice, InvoiceLine, Statement, StatementLine, Title, TrialBalance, TrialBalanceLine,
};

/// Lines of a statement.
pub const STATEMENT_LINES_MAX: usize = 200;

pub fn statement(customer: &str) -> Result<Statement, Error> {
    check::customer(customer)?;
    let mut lines = store::statement(customer, STATEMENT_LINES_MAX as u32 + 1)?;
    let more = lines.len() > STATEMENT_LINES_MAX;
    lines.truncate(STATEMENT_LINES_MAX);
    // Each line comes with what the customer owes today. Going backwards from there, the lines before these need not be
    // read.
    let mut later = BTreeMap::<String, i64>::new();
    for StatementLine { amount, balance, currency, .. } in &mut lines {
        let later = later.entry(currency.clone()).or_default();
        *balance -= *later;
        *later += *amount;
    }
    Ok(Statement { lines, more })
}

/// None while nothing has been captured for the order. Comes without titles when the catalog does not answer.
pub fn invoice(order: &str, neighbours: &impl Neighbours) -> Result<Option<Invoice>, Error> {
    check::order(order)?;
    let Some(Invoiced { number, at, found: Found { payment, sale, .. } }) = store::invoice(order)? else {
        return Ok(None);
    };
    let Payment { order, authorised: total, refunded, card, .. } = payment;
    let Sale { customer, lines, shipping, .. } = sale;
    let mut skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    skus.sort_unstable();
    skus.dedup();
    let titles = titles(&skus, neighbours);
    let titled = |Line { sku, quantity, price }| {
        let title = match &titles {
            None => Title::Unavailable,
            Some(titles) => titles.get(&sku).map_or(Title::Gone, |title| Title::Known(title.clone())),
        };
        InvoiceLine { sku, title, quantity, price }
    };
    let lines = lines.into_iter().map(titled).collect();
    Ok(Some(Invoice { number: number.to_string(), order, customer, at, lines, shipping, total, refunded, card }))
}

/// The titles of these SKUs, those unknown left out; none: the catalog did not answer.
fn titles(skus: &[String], neighbours: &impl Neighbours) -> Option<BTreeMap<String, String>> {
    match neighbours.albums(skus) {
        Ok(found) => Some(found.into_iter().map(|a| (a.sku, format!("{} – {}", a.artist, a.title))).collect()),
        Err(albums::Error::Invalid(why)) => {
            // SKUs are checked before a sale is taken: the two contexts do not agree on what one is.
            log::warn(format_args!("the catalog refused the SKUs of an invoice: {why}"));
            None
        }
        // The host has logged why.
        Err(albums::Error::Unavailable(_)) => None,
    }
}

/// What was given back for the order, oldest first.
pub fn refunds(order: &str) -> Result<Vec<GivenBack>, Error> {
    check::order(order)?;
    Ok(store::refunds(order)?)
}

pub fn trial_balance() -> Result<TrialBalance, Error> {
    let rows = store::trial_balance()?;
    let entries = rows.first().map_or(0, |(_, entries)| *entries);
    let lines: Vec<_> = rows.into_iter().map(|(line, _)| line).collect();
    let sum = lines.iter().map(difference).sum();
    Ok(TrialBalance { lines, sum, entries })
}

/// Whether the books can be read, and come to nothing.
pub fn check() -> Result<(), String> {
    let rows = store::trial_balance().map_err(|error| error.to_string())?;
    match rows.iter().map(|(line, _)| difference(line)).sum::<i64>() {
        0 => Ok(()),
        sum => Err(format!("the books do not balance: their sum is {sum}")),
    }
}

fn difference(line: &TrialBalanceLine) -> i64 {
    line.debit as i64 - line.credit as i64
}
