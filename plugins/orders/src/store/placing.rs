//! An order from nothing to `placed` or `rejected`.

use seam_sdk::sagas;
use seam_sdk::store::{Error, execute, params, transaction};

use super::{advance, happened, placed, placed_columns, time};
use crate::domain::outcome;
use crate::domain::past::OWN_NUMBERS;
use crate::domain::sagas::ORDER;
use crate::domain::states::{Doing, Step};
use crate::neighbours::Neighbours;
use crate::wit::{self, Address, Quote, State};

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

/// The card that an order is to be paid with.
#[derive(Debug, Clone, Copy)]
pub struct Card<'a> {
    pub token: &'a str,
    /// What the history says once the money is held.
    pub note: &'a str,
}

/// Opens an order in `placing` under its key, with the next number, and starts its saga. Returns the number; none: the
/// key belongs to an order already. The key of an order that ended without a decision may be used again.
pub fn open(
    key: &str,
    customer: &str,
    address: &Address,
    quote: &Quote,
    card: Card<'_>,
    now: u64,
) -> Result<Option<String>, Error> {
    let copies: u32 = quote.lines.iter().map(|line| line.copies).sum();
    let opened = transaction(|tx| {
        let (id, number): (i64, String) = tx.one(
            "INSERT INTO orders (id, number, customer, state, copies, shipping, total, currency,
                                 name, street, extra, city, postcode, country, at, doing, doing_since,
                                 card_token, doing_note)
             SELECT next, ?1 || (100000 + next), ?2, 'placing', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?13,
               ?15, ?16
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
                Doing::Place.name(),
                card.token,
                card.note
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
        happened(tx, id, now, State::Placing, "", None)?;
        sagas::start(ORDER, &number).map_err(Error::from)?;
        Ok(number)
    });
    match opened {
        Ok(number) => Ok(Some(number)),
        Err(Stopped::Taken) => Ok(None),
        Err(Stopped::Store(error)) => Err(error),
    }
}

/// The order stands, and is published. Nothing happens if it is placed already.
pub fn place(id: i64, now: u64, neighbours: &impl Neighbours) -> Result<(), Error> {
    transaction(|tx| {
        if advance(tx, id, Step::Confirm, None, now)? {
            let sql = concat!("SELECT ", placed_columns!(), " FROM orders WHERE id = ?1");
            neighbours.order_placed(&placed(tx.one(sql, params![id])?))?;
        }
        Ok(())
    })
}

/// Keeps why this order will be rejected: the answer of its key, and the note in its history.
pub fn decide(id: i64, error: &wit::Error, note: &str) -> Result<(), Error> {
    execute(
        "UPDATE orders SET outcome = ?2, doing_note = ?3 WHERE id = ?1 AND state = 'placing'",
        params![id, outcome::write(error).as_ref(), note],
    )?;
    Ok(())
}

/// No request waits any more for what becomes of this order, whose card came from the address `from`. Nothing happens
/// if it is decided already.
pub fn let_go(number: &str, from: &str) -> Result<(), Error> {
    let sql = "UPDATE orders SET card_from = ?2 WHERE number = ?1 AND state = 'placing' AND outcome IS NULL";
    execute(sql, params![number, from]).map(drop)
}
