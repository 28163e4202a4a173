//! The finance context's SQL. Every query here has its index, named in the migrations.
//!
//! What takes a `Transaction` belongs to what its caller decides in that transaction. Sums are the schema's work: see
//! the triggers.

use seam_sdk::store::{Error, Transaction, list, one, optional, params, query};
use serde::{Deserialize, Serialize};

use crate::domain::ledger::{Entry, REFUND};
use crate::domain::{Answer, INVOICE_FIRST, Stage, signed};
use crate::wit::{self, Line, Money, Payment, Sale};
use crate::wit_books::{GivenBack, StatementLine, TrialBalanceLine};

/// A row of `payments`, in the order of its columns.
#[derive(Serialize)]
pub struct NewPayment<'a> {
    pub order: &'a str,
    pub stage: Stage,
    pub amount: u64,
    pub currency: &'a str,
    pub refunded: u64,
    pub card: &'a str,
    pub customer: &'a str,
    pub lines: String,
    pub shipping: u32,
    pub authorised: u64,
    pub voided: Option<u64>,
    pub captured: Option<u64>,
    pub invoice: Option<u32>,
}

/// What is known of an order: its payment, or with the stage `Marked` that there shall be none.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub stage: Stage,
    pub payment: Payment,
    pub sale: Sale,
}

/// An invoice as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoiced {
    pub number: u32,
    pub at: u64,
    pub found: Found,
}

#[derive(Deserialize)]
struct Row {
    payment: Kept,
    customer: String,
    shipping: u32,
    lines: String,
}

/// A payment as the file has it, in columns and in answers.
#[derive(Serialize, Deserialize)]
struct Kept {
    order: String,
    stage: Stage,
    amount: u64,
    currency: String,
    refunded: u64,
    card: String,
}

impl Kept {
    fn new(payment: Payment) -> Self {
        let Payment { order, stage, authorised: Money { minor_units: amount, currency }, refunded, card } = payment;
        Self { order, stage: stage.into(), amount, currency, refunded, card }
    }

    fn payment(self) -> Payment {
        let Self { order, stage, amount, currency, refunded, card } = self;
        Payment { order, stage: stage.into(), authorised: Money { minor_units: amount, currency }, refunded, card }
    }
}

/// In the order of the fields of `Row`.
macro_rules! columns {
    () => {
        "p.number, p.stage, p.amount, p.currency, p.refunded, p.card, p.customer, p.shipping, p.lines"
    };
}

impl Row {
    fn found(self) -> Result<Found, Error> {
        let Self { payment, customer, shipping, lines } = self;
        let lines: Vec<Line> = parsed(&lines)?;
        let sale = Sale { order: payment.order.clone(), customer, lines, shipping, currency: payment.currency.clone() };
        Ok(Found { stage: payment.stage, payment: payment.payment(), sale })
    }
}

impl<'a> NewPayment<'a> {
    pub fn new(sale: &'a Sale, card: &'a str, stage: Stage, at: u64) -> Result<Self, Error> {
        Ok(Self {
            order: &sale.order,
            stage,
            amount: sale.total(),
            currency: &sale.currency,
            refunded: 0,
            card,
            customer: &sale.customer,
            lines: json(&sale.lines)?,
            shipping: sale.shipping,
            authorised: at,
            voided: None,
            captured: None,
            invoice: None,
        })
    }
}

// Keys

/// The fingerprint of what was asked under `key`, and the answer.
pub fn answered(tx: &Transaction, key: &str) -> Result<Option<(String, Answer)>, Error> {
    let found: Option<(String, String)> =
        tx.optional("SELECT fingerprint, answer FROM keys WHERE key = ?1", params![key])?;
    let Some((fingerprint, answer)) = found else { return Ok(None) };
    let answer: Result<Option<Kept>, wit::Error> = parsed(&answer)?;
    Ok(Some((fingerprint, answer.map(|kept| kept.map(Kept::payment)))))
}

pub fn remember(tx: &Transaction, key: &str, fingerprint: &str, answer: &Answer, now: u64) -> Result<(), Error> {
    let sql = "INSERT INTO keys (key, fingerprint, answer, at) VALUES (?1, ?2, ?3, ?4)";
    let kept = answer.clone().map(|payment| payment.map(Kept::new));
    tx.execute(sql, params![key, fingerprint, &json(&kept)?, signed(now)])?;
    Ok(())
}

// Payments

pub fn find(tx: &Transaction, order: &str) -> Result<Option<Found>, Error> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments AS p WHERE p.number = ?1
         UNION ALL SELECT number, 'marked', 0, '', 0, '', '', 0, '[]' FROM marks WHERE number = ?1"
    );
    tx.optional::<Row>(sql, params![order])?.map(Row::found).transpose()
}

/// The payments of these orders in the order asked, unknown ones left out.
pub fn payments(orders: &[String]) -> Result<Vec<Payment>, Error> {
    let found: Vec<Kept> = query(
        "SELECT p.number, p.stage, p.amount, p.currency, p.refunded, p.card
         FROM json_each(?1) AS asked CROSS JOIN payments AS p ON p.number = asked.value ORDER BY asked.key",
        params![&list(orders)],
    )?;
    Ok(found.into_iter().map(Kept::payment).collect())
}

/// Adds payments of orders that have none.
pub fn add<'a>(tx: &Transaction, payments: impl IntoIterator<Item = NewPayment<'a>>) -> Result<(), Error> {
    tx.execute_many(
        "INSERT INTO payments (number, stage, amount, currency, refunded, card, customer, lines, shipping, authorised, voided,
                               captured, invoice)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        payments,
    )?;
    Ok(())
}

/// Another try for an order whose payment was declined.
pub fn replace_declined(tx: &Transaction, payment: NewPayment<'_>) -> Result<(), Error> {
    tx.execute_many(
        "UPDATE payments SET stage = ?2, amount = ?3, currency = ?4, refunded = ?5, card = ?6, customer = ?7, lines = ?8,
           shipping = ?9, authorised = ?10, voided = ?11, captured = ?12, invoice = ?13
         WHERE number = ?1 AND stage = 'declined'",
        [payment],
    )?;
    Ok(())
}

/// The token pays for this order from now on. False: it was used for another one.
pub fn use_token(tx: &Transaction, token: &str, order: &str) -> Result<bool, Error> {
    tx.execute(
        "INSERT INTO tokens (token, number) VALUES (?1, ?2) ON CONFLICT (token) DO NOTHING",
        params![token, order],
    )?;
    let of: String = tx.one("SELECT number FROM tokens WHERE token = ?1", params![token])?;
    Ok(of == order)
}

pub fn mark(tx: &Transaction, order: &str, now: u64) -> Result<(), Error> {
    tx.execute("INSERT INTO marks (number, at) VALUES (?1, ?2)", params![order, signed(now)])?;
    Ok(())
}

pub fn void(tx: &Transaction, order: &str, now: u64) -> Result<(), Error> {
    tx.execute("UPDATE payments SET stage = 'voided', voided = ?2 WHERE number = ?1", params![order, signed(now)])?;
    Ok(())
}

/// Returns the number of the invoice.
pub fn capture(tx: &Transaction, order: &str, now: u64) -> Result<u32, Error> {
    let invoice = next_invoice(tx)?;
    tx.execute(
        "UPDATE payments SET stage = 'captured', captured = ?2, invoice = ?3 WHERE number = ?1",
        params![order, signed(now), invoice],
    )?;
    Ok(invoice)
}

pub fn refund(tx: &Transaction, order: &str, amount: u64) -> Result<(), Error> {
    tx.execute("UPDATE payments SET refunded = refunded + ?2 WHERE number = ?1", params![order, signed(amount)])?;
    Ok(())
}

/// Without a gap as long as it is used in this transaction: captured payments are neither deleted nor changed.
pub fn next_invoice(_: &Transaction) -> Result<u32, Error> {
    one("SELECT coalesce(max(invoice) + 1, ?1) FROM payments", params![INVOICE_FIRST])
}

/// Which of these orders have a payment or are marked.
pub fn known(tx: &Transaction, orders: &[&String]) -> Result<Vec<String>, Error> {
    tx.query(
        "SELECT asked.value FROM json_each(?1) AS asked
         WHERE EXISTS (SELECT 1 FROM payments WHERE number = asked.value)
            OR EXISTS (SELECT 1 FROM marks WHERE number = asked.value)",
        params![&list(orders)],
    )
}

// The books

/// Writes entries into the journal; the schema makes lines, totals and balances of them.
pub fn book<'a>(tx: &Transaction, entries: impl IntoIterator<Item = &'a Entry>) -> Result<(), Error> {
    let row = |entry: &'a Entry| {
        let Entry { at, order, text, currency, lines } = entry;
        Ok((at, order, text, currency, json(lines)?))
    };
    let rows = entries.into_iter().map(row).collect::<Result<Vec<_>, Error>>()?;
    tx.execute_many("INSERT INTO entries (at, number, text, currency, lines) VALUES (?1, ?2, ?3, ?4, ?5)", rows)?;
    Ok(())
}

/// Keeps who gave back what was booked for the order last.
pub fn given_by(tx: &Transaction, order: &str, by: &str) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO givers (entry, by)
         SELECT max(id), ?2 FROM entries WHERE number = ?1 AND lines ->> '$[0][0]' = 'refunds'",
        params![order, by],
    )?;
    Ok(())
}

/// What was given back for the order, oldest first. The first line of a refund's entry is the one on `refunds`.
pub fn refunds(order: &str) -> Result<Vec<GivenBack>, Error> {
    let found: Vec<(u64, u64, String, String)> = query(
        "SELECT e.at, e.lines ->> '$[0][2]', e.text, coalesce(g.by, '')
         FROM entries AS e LEFT JOIN givers AS g ON g.entry = e.id
         WHERE e.number = ?1 AND e.lines ->> '$[0][0]' = 'refunds' ORDER BY e.id",
        params![order],
    )?;
    let given = |(at, amount, text, by): (u64, u64, String, String)| {
        let reason = text.strip_prefix(REFUND).unwrap_or(&text).to_owned();
        GivenBack { at, amount, reason, by }
    };
    Ok(found.into_iter().map(given).collect())
}

/// The lines of `customer`, newest first; the balance of each is what the customer owes today, in its currency.
pub fn statement(customer: &str, count: u32) -> Result<Vec<StatementLine>, Error> {
    query(
        "SELECT l.at, e.number, e.text, l.amount, b.balance, l.currency
         FROM lines AS l
           CROSS JOIN entries AS e ON e.id = l.entry
           CROSS JOIN balances AS b ON b.customer = l.customer AND b.currency = l.currency
         WHERE l.customer = ?1 ORDER BY l.at DESC, l.entry DESC, l.position DESC LIMIT ?2",
        params![customer, count],
    )
}

/// None while nothing has been captured for the order.
pub fn invoice(order: &str) -> Result<Option<Invoiced>, Error> {
    let sql = concat!(
        "SELECT p.invoice, p.captured, ",
        columns!(),
        " FROM payments AS p WHERE p.number = ?1 AND p.invoice IS NOT NULL"
    );
    let found: Option<(u32, u64, Row)> = optional(sql, params![order])?;
    found.map(|(number, at, row)| Ok(Invoiced { number, at, found: row.found()? })).transpose()
}

/// The lines of the trial balance, each with the number of all entries.
pub fn trial_balance() -> Result<Vec<(TrialBalanceLine, u64)>, Error> {
    query(
        "SELECT account, currency, debit, credit, (SELECT max(id) FROM entries) FROM totals ORDER BY account, currency",
        params![],
    )
}

fn parsed<T: for<'a> Deserialize<'a>>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::Invalid(error.to_string()))
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(error.to_string()))
}
