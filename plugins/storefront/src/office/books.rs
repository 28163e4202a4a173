//! The books: every account with its debits and credits, and whether their sum is zero, as it must be.

use std::collections::BTreeMap;

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::{Problem, Service};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::books::TrialBalance;
use crate::seams::{Seams, payments};
use crate::time::Date;

use super::csv::{Cell, Csv};
use super::desk::{Desk, Section, Shell};
use super::reply;

#[derive(Template)]
#[template(path = "office/books.html")]
struct BooksPage<'a> {
    shell: Shell<'a>,
    rows: Vec<Row<'a>>,
    totals: Vec<Row<'a>>,
    /// The sum is zero in every currency, by finance's figures and by ours.
    balanced: bool,
    /// By how much the books are out, in each currency in which they are.
    out: Vec<Price<'a>>,
    entries: u64,
}

struct Row<'a> {
    account: &'a str,
    currency: &'a str,
    debit: Price<'a>,
    credit: Price<'a>,
    balance: Price<'a>,
}

/// `GET /office/books`
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let balance = seams.trial_balance().map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let sums = sums(&balance);
    let row = |account, currency, debit: u64, credit: u64| Row {
        account,
        currency,
        debit: currencies.price(debit, currency),
        credit: currencies.price(credit, currency),
        balance: currencies.price(i128::from(debit) - i128::from(credit), currency),
    };
    let page = BooksPage {
        shell: desk.shell(Section::Books, None),
        rows: balance.lines.iter().map(|line| row(&line.account, &line.currency, line.debit, line.credit)).collect(),
        totals: sums.iter().map(|(currency, (debit, credit))| row("All accounts", currency, *debit, *credit)).collect(),
        balanced: balance.sum == 0 && sums.values().all(|(debit, credit)| debit == credit),
        out: out(&balance, &currencies),
        entries: balance.entries,
    };
    Ok(reply(&page, 200))
}

/// `GET /office/books.csv`
pub fn csv<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let balance = seams.trial_balance().map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let mut csv = Csv::new(&["Account", "Currency", "Debit", "Credit", "Balance"]);
    for line in &balance.lines {
        let (_, digits) = currencies.sign(&line.currency);
        let amount = |units: i128| Cell::Amount(i64::try_from(units).unwrap_or(i64::MAX), digits);
        let (debit, credit) = (i128::from(line.debit), i128::from(line.credit));
        csv.row(&[
            (&line.account).into(),
            (&line.currency).into(),
            amount(debit),
            amount(credit),
            amount(debit - credit),
        ]);
    }
    Ok(csv.reply(&format!("trial-balance-{}", Date(seams.now()))))
}

/// By how much the books are out, in each currency in which they are.
pub fn out<'a>(balance: &'a TrialBalance, currencies: &'a Currencies) -> Vec<Price<'a>> {
    let sums = sums(balance).into_iter();
    let out = sums.map(|(currency, (debit, credit))| (currency, i128::from(debit) - i128::from(credit)));
    out.filter(|(_, out)| *out != 0).map(|(currency, out)| currencies.price(out, currency)).collect()
}

/// Debits and credits of each currency: a deficit in one must not hide a surplus in another.
fn sums(balance: &TrialBalance) -> BTreeMap<&str, (u64, u64)> {
    let mut sums = BTreeMap::<&str, (u64, u64)>::new();
    for line in &balance.lines {
        let (debit, credit) = sums.entry(&line.currency).or_default();
        *debit = debit.saturating_add(line.debit);
        *credit = credit.saturating_add(line.credit);
    }
    sums
}

/// The error page for an error of `finance`.
pub fn problem(error: &payments::Error, seams: &impl Seams) -> Problem {
    match error {
        payments::Error::Unavailable(_) => Problem::Unavailable(Service::Books),
        other => {
            seams.warn(&format!("finance refused: {other}"));
            Problem::Refused
        }
    }
}
