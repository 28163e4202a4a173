//! The warehouse's SQL: what lies on the shelves. Every query here has its index, named in the migrations.
//!
//! Invariant: whatever changes `on_hand` writes a movement in the same transaction.

pub mod archive;
pub mod orders;

use seam_sdk::clock;
use seam_sdk::store::{Error, Transaction, list, one, params, query, transaction};
use serde::Deserialize;

use crate::domain::Level;
use crate::domain::orders::Line;

/// How many copies there are of each of `skus`, in their order; 0 of those never held.
pub fn on_hand(skus: &[String]) -> Result<Vec<u32>, Error> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    query(
        "SELECT coalesce(l.on_hand, 0)
         FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value
         ORDER BY asked.key",
        params![&list(skus)],
    )
}

/// Why the copies on the shelf became more or fewer. The numbers stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Counted = 0,
    Restocked = 1,
    Reserved = 2,
    Released = 3,
    Returned = 4,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Movement {
    pub at: u64,
    /// The number of a `Cause`.
    pub cause: u8,
    pub change: i32,
    pub on_hand: u32,
    pub reference: String,
}

/// Where all copies are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Tally {
    pub on_hand: u64,
    pub reserved: u64,
    pub shipped: u64,
    pub received: u64,
}

/// Sets these levels; all or none. What is as it was believed leaves no trace.
pub fn put(levels: &[Level]) -> Result<(), Error> {
    let now = clock::now();
    transaction(|tx| {
        tx.execute_many(
            "INSERT INTO movements (sku, at, cause, change, on_hand, reference)
             SELECT ?1, ?3, 0, ?2 - believed, ?2, ''
             FROM (SELECT coalesce((SELECT on_hand FROM levels WHERE sku = ?1), 0) AS believed) WHERE ?2 <> believed",
            levels.iter().map(|level| (&level.sku, level.on_hand, now)),
        )?;
        tx.execute_many(
            "INSERT INTO levels (sku, on_hand, reserved, shipped, received) VALUES (?1, ?2, 0, 0, ?2)
             ON CONFLICT (sku) DO UPDATE SET received = received + excluded.on_hand - on_hand, on_hand = excluded.on_hand
             WHERE on_hand <> excluded.on_hand",
            levels,
        )?;
        Ok(())
    })
}

/// Adds copies, once for each key; the level after it. `None`: the key was used for something else.
pub fn restock(key: &str, line: &Line, note: &str) -> Result<Option<u32>, Error> {
    let now = clock::now();
    transaction(|tx| {
        match first_time(tx, key, &format!("restock {} {}", line.sku, line.copies))? {
            None => return Ok(None),
            Some(false) => {}
            Some(true) => {
                tx.execute(
                    "INSERT INTO levels (sku, on_hand, reserved, shipped, received) VALUES (?1, ?2, 0, 0, ?2)
                     ON CONFLICT (sku) DO UPDATE SET on_hand = on_hand + ?2, received = received + ?2",
                    params![&line.sku, line.copies],
                )?;
                moved(tx, now, Cause::Restocked, note, std::slice::from_ref(line))?;
            }
        }
        tx.one("SELECT coalesce((SELECT on_hand FROM levels WHERE sku = ?1), 0)", params![&line.sku]).map(Some)
    })
}

/// The newest `count` movements of an album, newest first.
pub fn history(sku: &str, count: u32) -> Result<Vec<Movement>, Error> {
    query(
        "SELECT at, cause, change, on_hand, reference FROM movements WHERE sku = ?1 ORDER BY id DESC LIMIT ?2",
        params![sku, count],
    )
}

/// Of these albums together, or of all.
pub fn tally(skus: &[String]) -> Result<Tally, Error> {
    const SUMS: &str = "SELECT coalesce(sum(on_hand), 0), coalesce(sum(reserved), 0), coalesce(sum(shipped), 0), coalesce(sum(received), 0)";
    if skus.is_empty() {
        return one(&format!("{SUMS} FROM levels"), params![]);
    }
    one(
        &format!(
            "{SUMS} FROM (SELECT DISTINCT value FROM json_each(?1)) AS asked CROSS JOIN levels AS l ON l.sku = asked.value"
        ),
        params![&list(skus)],
    )
}

/// Whether the key is new; `None` when it was used for another request.
fn first_time(tx: &Transaction, key: &str, request: &str) -> Result<Option<bool>, Error> {
    match tx.optional::<String>("SELECT request FROM keys WHERE key = ?1", params![key])? {
        Some(known) => Ok((known == request).then_some(false)),
        None => {
            tx.execute("INSERT INTO keys (key, request) VALUES (?1, ?2)", params![key, request])?;
            Ok(Some(true))
        }
    }
}

/// Writes down that `on_hand` has just changed by these copies: fewer when they were reserved, else more.
fn moved(tx: &Transaction, at: u64, cause: Cause, reference: &str, lines: &[Line]) -> Result<(), Error> {
    let sign = if cause == Cause::Reserved { -1 } else { 1 };
    tx.execute_many(
        "INSERT INTO movements (sku, at, cause, change, on_hand, reference)
         SELECT sku, ?2, ?3, ?4, on_hand, ?5 FROM levels WHERE sku = ?1",
        lines.iter().map(|line| (&line.sku, at, cause as u8, sign * i64::from(line.copies), reference)),
    )?;
    Ok(())
}
