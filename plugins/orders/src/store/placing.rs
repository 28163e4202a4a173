//! An order from nothing to `placed` or `rejected`.

use seam_sdk::store::{Error, execute, params, transaction};

use super::{Authors, PlacedRow, happened, placed, placed_columns, time};
use crate::domain::outcome;
use crate::domain::past::OWN_NUMBERS;
use crate::domain::states::{Doing, Step};
use crate::neighbours::Neighbours;
use crate::wit::{self, Address, Quote, State};

/// An order that has just been opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub id: i64,
    pub number: String,
}

/// A transaction that found the key taken writes nothing.
enum Stopped {
    Taken,
    Store(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Opens an order in `placing` under its key, with the next number. None: the key belongs to an order already. The key
/// of an order that ended without a decision may be used again.
pub fn open(key: &str, customer: &str, address: &Address, quote: &Quote, now: u64) -> Result<Option<Opened>, Error> {
    let copies: u32 = quote.lines.iter().map(|line| line.copies).sum();
    let opened = transaction(|tx| {
        let (id, number): (i64, String) = tx.one(
            "INSERT INTO orders (id, number, customer, state, copies, shipping, total, currency,
                                 name, street, extra, city, postcode, country, at, doing, doing_since)
             SELECT next, ?1 || (100000 + next), ?2, 'placing', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?13
             FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM orders)
             RETURNING id, number",
            params![
                OWN_NUMBERS,
                customer,
                copies,
                quote.shipping,
                time(quote.total),
                &quote.currency,
                &address.name,
                &address.street,
                &address.extra,
                &address.city,
                &address.postcode,
                &address.country,
                time(now),
                Doing::Place.name()
            ],
        )?;
        let kept = tx.execute(
            "INSERT INTO keys (key, what, order_id) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET order_id = excluded.order_id
             WHERE what = excluded.what AND EXISTS (
               SELECT 1 FROM orders AS o
               WHERE o.id = keys.order_id AND o.customer = ?4 AND o.state = 'rejected' AND o.outcome IS NULL)",
            params![key, Step::Confirm.name(), id, customer],
        )?;
        if kept == 0 {
            return Err(Stopped::Taken);
        }
        tx.execute_many(
            "INSERT INTO lines (order_id, position, sku, copies, price) VALUES (?1, ?2, ?3, ?4, ?5)",
            quote.lines.iter().enumerate().map(|(i, line)| (id, i as u32, &line.sku, line.copies, line.price)),
        )?;
        happened(tx, id, now, State::Placing, "", Authors::default())?;
        Ok(Opened { id, number })
    });
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(Stopped::Taken) => Ok(None),
        Err(Stopped::Store(error)) => Err(error),
    }
}

/// The order stands, and is published. False: another request took it for interrupted and is undoing it.
pub fn confirm(id: i64, note: &str, now: u64, neighbours: &impl Neighbours) -> Result<bool, Error> {
    transaction(|tx| {
        let confirmed: Option<PlacedRow> = tx.optional(
            concat!(
                "UPDATE orders SET state = 'placed', doing = NULL, doing_since = NULL
                 WHERE id = ?1 AND doing = ?2 RETURNING ",
                placed_columns!()
            ),
            params![id, Doing::Place.name()],
        )?;
        let Some(confirmed) = confirmed else { return Ok(false) };
        happened(tx, id, now, State::Placed, note, Authors::default())?;
        neighbours.order_placed(&placed(confirmed))?;
        Ok(true)
    })
}

/// From now on this order cannot be confirmed. Keeps why, if that is known; false: it is not being placed any more.
pub fn undoing(id: i64, why: Option<(&wit::Error, &str)>, now: u64) -> Result<bool, Error> {
    let undone = execute(
        "UPDATE orders SET doing = ?2, doing_since = ?3, outcome = coalesce(?4, outcome), doing_note = coalesce(?5, doing_note)
         WHERE id = ?1 AND state = 'placing'",
        params![
            id,
            Doing::Undo.name(),
            time(now),
            why.and_then(|(error, _)| outcome::write(error)).as_ref(),
            why.map(|(_, note)| note)
        ],
    )?;
    Ok(undone > 0)
}

/// The end of an order that was not placed. Without `why` it is the reason that `undoing` kept. `by` is the account of
/// the operator who asked for the end.
pub fn reject(id: i64, why: Option<(&wit::Error, &str)>, by: Option<&str>, now: u64) -> Result<bool, Error> {
    transaction(|tx| {
        let note: Option<String> = tx.optional(
            "UPDATE orders SET state = 'rejected', doing = NULL, doing_since = NULL, outcome = coalesce(?2, outcome)
             WHERE id = ?1 AND state = 'placing' RETURNING doing_note",
            params![id, why.and_then(|(error, _)| outcome::write(error)).as_ref()],
        )?;
        let Some(kept) = note else { return Ok(false) };
        let note = why.map_or(kept.as_str(), |(_, note)| note);
        let note = if note.is_empty() { "The order was cut off in the middle. Nothing was charged." } else { note };
        happened(tx, id, now, State::Rejected, note, Authors { by: None, ended_by: by })?;
        Ok(true)
    })
}
