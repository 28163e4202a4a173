//! What the books say: a customer's statement, an order's invoice, the trial balance. Nothing here changes anything.

use std::collections::BTreeMap;

use crate::domain::{Error, Line, Payment, Sale, check};
use crate::store::{self, Found, Invoiced, Owed, Total};
use crate::titles::Catalog;

/// Lines of a statement.
pub const STATEMENT_LINES_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    pub owed: Owed,
    /// What the customer owes after this line, in its currency.
    pub balance: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Newest first.
    pub lines: Vec<StatementLine>,
    /// More lines than these exist.
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Title {
    Known(String),
    Gone,
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub number: u32,
    pub at: u64,
    pub payment: Payment,
    pub customer: String,
    pub shipping: u32,
    pub lines: Vec<(Line, Title)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
    pub lines: Vec<Total>,
    /// Of all lines; 0, or the books are broken.
    pub sum: i64,
    pub entries: u64,
}

pub fn statement(customer: &str) -> Result<Statement, Error> {
    check::customer(customer)?;
    let mut found = store::statement(customer, STATEMENT_LINES_MAX as u32 + 1)?;
    let more = found.len() > STATEMENT_LINES_MAX;
    found.truncate(STATEMENT_LINES_MAX);
    // Backwards from what is owed today, so that the lines before these need not be read.
    let mut later = BTreeMap::<String, i64>::new();
    let line = |owed: Owed| {
        let later = later.entry(owed.currency.clone()).or_default();
        let balance = owed.owes - *later;
        *later += owed.amount;
        StatementLine { owed, balance }
    };
    Ok(Statement { lines: found.into_iter().map(line).collect(), more })
}

/// None while nothing has been captured for the order. Comes without titles when the catalog does not answer.
pub fn invoice(order: &str, catalog: &impl Catalog) -> Result<Option<Invoice>, Error> {
    check::order(order)?;
    let Some(Invoiced { number, at, found: Found { payment, sale } }) = store::invoice(order)? else { return Ok(None) };
    let Sale { customer, lines, shipping, .. } = sale;
    let mut skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    skus.sort_unstable();
    skus.dedup();
    let titles = catalog.titles(&skus);
    let titled = |line: Line| {
        let title = match &titles {
            None => Title::Unavailable,
            Some(titles) => titles.get(&line.sku).map_or(Title::Gone, |title| Title::Known(title.clone())),
        };
        (line, title)
    };
    let lines = lines.into_iter().map(titled).collect();
    Ok(Some(Invoice { number, at, payment, customer, shipping, lines }))
}

pub fn trial_balance() -> Result<TrialBalance, Error> {
    let lines = store::trial_balance()?;
    let sum = lines.iter().map(|line| line.debit as i64 - line.credit as i64).sum();
    let entries = lines.first().map_or(0, |line| line.entries);
    Ok(TrialBalance { lines, sum, entries })
}

/// Whether the books can be read, and come to nothing.
pub fn check() -> Result<(), String> {
    match store::trial_balance() {
        Ok(lines) => match lines.iter().map(|line| line.debit as i64 - line.credit as i64).sum::<i64>() {
            0 => Ok(()),
            sum => Err(format!("the books do not balance: their sum is {sum}")),
        },
        Err(error) => Err(error.to_string()),
    }
}
