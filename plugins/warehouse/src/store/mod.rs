//! The warehouse's SQL: what lies on the shelves. Every query here has its index, named in the migrations.
//!
//! Invariant: whatever changes `on_hand` writes a movement in the same transaction.

pub mod archive;
pub mod orders;

use seam_sdk::store::{Error, Transaction, list, one, params, query, transaction};
use seam_sdk::{Invalid, clock};

use crate::fulfilment::Line;
use crate::stock::{self, Cause, Level, Movement, MovementBy, Tally};

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

/// Sets these levels; all or none. A level that is right already leaves no trace. `by` is who counted, if it is known.
pub fn put(levels: &[Level], by: Option<&str>) -> Result<(), Error> {
    let now = clock::now();
    transaction(|tx| {
        tx.execute_many(
            "INSERT INTO movements (sku, at, cause, change, on_hand, reference, by)
             SELECT ?1, ?3, 0, ?2 - believed, ?2, '', ?4
             FROM (SELECT coalesce((SELECT on_hand FROM levels WHERE sku = ?1), 0) AS believed) WHERE ?2 <> believed",
            levels.iter().map(|level| (&level.sku, level.on_hand, now, by)),
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

/// Adds copies, once for each key; `by` is who took them in, if that is known. The level after it.
pub fn restock(key: &str, line: Line, note: &str, by: Option<&str>) -> Result<Level, stock::Error> {
    let now = clock::now();
    transaction(|tx| {
        if is_first::<stock::Error>(tx, key, &format!("restock {} {}", line.sku, line.copies))? {
            tx.execute(
                "INSERT INTO levels (sku, on_hand, reserved, shipped, received) VALUES (?1, ?2, 0, 0, ?2)
                 ON CONFLICT (sku) DO UPDATE SET on_hand = on_hand + ?2, received = received + ?2",
                params![&line.sku, line.copies],
            )?;
            moved(tx, now, Cause::Restocked, note, by, std::slice::from_ref(&line))?;
        }
        let sql = "SELECT coalesce((SELECT on_hand FROM levels WHERE sku = ?1), 0)";
        let on_hand = tx.one(sql, params![&line.sku])?;
        Ok(Level { sku: line.sku, on_hand })
    })
}

/// The newest `count` movements of an album, newest first.
pub fn history(sku: &str, count: u32) -> Result<Vec<MovementBy>, Error> {
    let rows: Vec<(u64, u8, i32, u32, String, String)> = query(
        "SELECT at, cause, change, on_hand, reference, coalesce(by, '')
         FROM movements WHERE sku = ?1 ORDER BY id DESC LIMIT ?2",
        params![sku, count],
    )?;
    rows.into_iter()
        .map(|(at, number, change, on_hand, reference, by)| {
            let movement = Movement { at, cause: cause(number)?, change, on_hand, reference };
            Ok(MovementBy { movement, by })
        })
        .collect()
}

/// The cause with this number in the file; `cause as u8` is the other way round.
fn cause(number: u8) -> Result<Cause, Error> {
    let all = [Cause::Counted, Cause::Restocked, Cause::Reserved, Cause::Released, Cause::Returned];
    let unknown = || Error::Invalid(format!("the cause {number} of a movement is not known"));
    all.into_iter().find(|cause| *cause as u8 == number).ok_or_else(unknown)
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

/// Whether the key is new, and not that of the same request again.
fn is_first<E: From<Error> + From<Invalid>>(tx: &Transaction, key: &str, request: &str) -> Result<bool, E> {
    match tx.optional::<String>("SELECT request FROM keys WHERE key = ?1", params![key])? {
        Some(known) if known == request => Ok(false),
        Some(_) => Err(Invalid("key: it was used for something else".into()).into()),
        None => {
            tx.execute("INSERT INTO keys (key, request) VALUES (?1, ?2)", params![key, request])?;
            Ok(true)
        }
    }
}

/// Writes down that `on_hand` has just changed by these copies: fewer when they were reserved, else more.
fn moved(
    tx: &Transaction,
    at: u64,
    cause: Cause,
    reference: &str,
    by: Option<&str>,
    lines: &[Line],
) -> Result<(), Error> {
    let sign = if cause == Cause::Reserved { -1 } else { 1 };
    tx.execute_many(
        "INSERT INTO movements (sku, at, cause, change, on_hand, reference, by)
         SELECT sku, ?2, ?3, ?4, on_hand, ?5, ?6 FROM levels WHERE sku = ?1",
        lines.iter().map(|line| (&line.sku, at, cause as u8, sign * i64::from(line.copies), reference, by)),
    )?;
    Ok(())
}
