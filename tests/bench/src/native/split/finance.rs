//! Money held on a card: once for each key, whose answer is kept.

use std::path::PathBuf;

use anyhow::Result;
use finance::domain::card::Typed;
use finance::domain::keys;
use finance::domain::processor::Reply;
use finance::wit;
use orders::musiccorp::finance::payments::{Card, Error, FieldProblem, Money, Payment, Sale, Stage};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Service, said, unknown};
use crate::native::reference::now;
use crate::native::writer::Writer;

type Answer = std::result::Result<Payment, Error>;

pub fn finance(file: PathBuf) -> Result<()> {
    let answer = |service: &Service, function: &str, arguments: &[u8]| match function {
        "authorise" => {
            let (key, sale, card): (String, Sale, Card) = serde_json::from_slice(arguments)?;
            let Card { number, holder, expiry, code } = card;
            let (sale, card) = (known(sale), Typed(wit::Card { number, holder, expiry, code }));
            said(&service.writer()?.transaction::<_, anyhow::Error>(|open| authorise(open, &key, &sale, &card))?)
        }
        _ => unknown(function),
    };
    Service { writer: Some(Writer::open(&file)?), file, changes: &["authorise"], answer }.run()
}

fn authorise(open: &Connection, key: &str, sale: &wit::Sale, card: &Typed) -> Result<Answer> {
    let fingerprint = keys::authorise(sale, card);
    let known: Option<(String, String)> = open
        .prepare_cached("SELECT fingerprint, answer FROM keys WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((first, answer)) if first == fingerprint => return Ok(serde_json::from_str(&answer)?),
        Some(_) => return Ok(Err(Error::Invalid("key: it was used with other arguments".into()))),
        None => {}
    }
    let now = now();
    let checked = match card.check(now) {
        Ok(checked) => checked,
        Err(problems) => {
            let problem = |one: wit::FieldProblem| FieldProblem { field: one.field, problem: one.problem };
            return Ok(Err(Error::Card(problems.into_iter().map(problem).collect())));
        }
    };
    if payment(open, &sale.order)?.is_some() {
        return Ok(Err(Error::Refused(format!("order {}: it has a payment", sale.order))));
    }
    let answer = match checked.reply {
        Reply::Approved => {
            let at = i64::try_from(now)?;
            open.prepare_cached(
                "INSERT INTO payments (number, stage, amount, currency, refunded, card, customer, lines, shipping, authorised, voided,
                                       captured, invoice)
                 VALUES (?1, 'authorised', ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, NULL, NULL, NULL)",
            )?
            .execute(params![
                sale.order,
                i64::try_from(sale.total())?,
                sale.currency,
                checked.last_four,
                sale.customer,
                serde_json::to_string(&sale.lines)?,
                sale.shipping,
                at
            ])?;
            payment(open, &sale.order)?.ok_or_else(|| Error::UnknownOrder(sale.order.clone()))
        }
        // The benches pay with the card that is approved.
        Reply::Declined(why) => return Ok(Err(Error::Declined(why.into()))),
        Reply::Silence => return Ok(Err(Error::Unanswered)),
    };
    open.prepare_cached("INSERT INTO keys (key, fingerprint, answer, at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key, fingerprint, serde_json::to_string(&answer)?, i64::try_from(now)?])?;
    Ok(answer)
}

/// The payment of an order, or the mark of one that was voided before it had any.
fn payment(open: &Connection, order: &str) -> Result<Option<Payment>> {
    let mut found = open.prepare_cached(
        "SELECT p.number, p.stage, p.amount, p.currency, p.refunded, p.card, p.customer, p.shipping, p.lines
         FROM payments AS p WHERE p.number = ?1
         UNION ALL SELECT number, 'marked', 0, '', 0, '', '', 0, '[]' FROM marks WHERE number = ?1",
    )?;
    let read = |row: &Row<'_>| {
        let (stage, amount, refunded): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(4)?);
        Ok(Payment {
            order: row.get(0)?,
            stage: if stage == "authorised" { Stage::Authorised } else { Stage::Voided },
            authorised: Money { minor_units: amount.unsigned_abs(), currency: row.get(3)? },
            refunded: refunded.unsigned_abs(),
            card: row.get(5)?,
        })
    };
    Ok(found.query_row([order], read).optional()?)
}

fn known(sale: Sale) -> wit::Sale {
    let Sale { order, customer, lines, shipping, currency } = sale;
    let lines = lines.into_iter().map(|line| wit::Line { sku: line.sku, quantity: line.quantity, price: line.price });
    wit::Sale { order, customer, lines: lines.collect(), shipping, currency }
}
