//! Orders' copies on their way to customers and back. Each function is one transaction.

use seam_sdk::clock;
use seam_sdk::store::{self, Transaction, list, params, query, transaction};

use super::{is_first, moved};
use crate::domain::orders::{Step, Verdict, verdict};
use crate::fulfilment::{Error, Line, Pick, Shortage, Stage};
use crate::stock::Cause;

pub fn reserve(order: &str, lines: &[Line]) -> Result<(), Error> {
    let now = clock::now();
    transaction(|tx| {
        if !to_do(tx, order, Step::Reserve)? {
            let mut wanted = lines.to_vec();
            wanted.sort_by(|a, b| a.sku.cmp(&b.sku));
            let same = self::lines(tx, order)? == wanted;
            return if same { Ok(()) } else { Err(refused(order, "it was reserved with other lines")) };
        }
        let short: Vec<Shortage> = tx.query(
            "SELECT asked.value ->> 0, asked.value ->> 1, coalesce(l.on_hand, 0)
             FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value ->> 0
             WHERE coalesce(l.on_hand, 0) < asked.value ->> 1 ORDER BY asked.key",
            params![&json(lines)],
        )?;
        if !short.is_empty() {
            return Err(Error::Short(short));
        }
        tx.execute("INSERT INTO orders (number, stage, at) VALUES (?1, 0, ?2)", params![order, now as i64])?;
        tx.execute_many(
            "INSERT INTO lines (number, sku, copies) VALUES (?1, ?2, ?3)",
            lines.iter().map(|line| (order, &line.sku, line.copies)),
        )?;
        tx.execute_many(
            "UPDATE levels SET on_hand = on_hand - ?2, reserved = reserved + ?2 WHERE sku = ?1",
            lines.iter().map(|line| (&line.sku, line.copies)),
        )?;
        Ok(moved(tx, now, Cause::Reserved, order, None, lines)?)
    })
}

pub fn release(order: &str) -> Result<(), Error> {
    let now = clock::now();
    transaction(|tx| {
        if !to_do(tx, order, Step::Release)? {
            return Ok(());
        }
        if stage(tx, order)?.is_none() {
            tx.execute("INSERT INTO orders (number, stage, at) VALUES (?1, 3, ?2)", params![order, now as i64])?;
            return Ok(());
        }
        set_stage(tx, order, Stage::Released)?;
        let lines = lines(tx, order)?;
        tx.execute_many(
            "UPDATE levels SET on_hand = on_hand + ?2, reserved = reserved - ?2 WHERE sku = ?1",
            lines.iter().map(|line| (&line.sku, line.copies)),
        )?;
        Ok(moved(tx, now, Cause::Released, order, None, &lines)?)
    })
}

pub fn clear(order: &str) -> Result<(), Error> {
    transaction(|tx| {
        if to_do(tx, order, Step::Clear)? {
            set_stage(tx, order, Stage::Cleared)?;
        }
        Ok(())
    })
}

pub fn ship(order: &str) -> Result<(), Error> {
    transaction(|tx| {
        if to_do(tx, order, Step::Ship)? {
            set_stage(tx, order, Stage::Shipped)?;
            tx.execute_many(
                "UPDATE levels SET reserved = reserved - ?2, shipped = shipped + ?2 WHERE sku = ?1",
                lines(tx, order)?.iter().map(|line| (&line.sku, line.copies)),
            )?;
        }
        Ok(())
    })
}

pub fn take_back(key: &str, order: &str, lines: &[Line]) -> Result<(), Error> {
    let now = clock::now();
    transaction(|tx| {
        to_do(tx, order, Step::TakeBack)?;
        let sent: Vec<(String, u32)> =
            tx.query("SELECT sku, copies - returned FROM lines WHERE number = ?1", params![order])?;
        let out = |line: &Line| sent.iter().any(|(sku, left)| *sku == line.sku && *left >= line.copies);
        if !is_first::<Error>(tx, key, &format!("take back {order} {}", json(lines)))? {
            return Ok(());
        }
        if !lines.iter().all(out) {
            return Err(refused(order, "more copies come back than are with the customer"));
        }
        tx.execute_many(
            "UPDATE lines SET returned = returned + ?3 WHERE number = ?1 AND sku = ?2",
            lines.iter().map(|line| (order, &line.sku, line.copies)),
        )?;
        tx.execute_many(
            "UPDATE levels SET on_hand = on_hand + ?2, shipped = shipped - ?2 WHERE sku = ?1",
            lines.iter().map(|line| (&line.sku, line.copies)),
        )?;
        Ok(moved(tx, now, Cause::Returned, order, None, lines)?)
    })
}

/// The orders that are cleared, oldest first.
pub fn pick_list(count: u32) -> Result<Vec<Pick>, store::Error> {
    let rows: Vec<(String, u64, String, u32)> = query(
        "SELECT o.number, o.at, l.sku, l.copies
         FROM (SELECT number, at FROM orders WHERE stage = 1 ORDER BY at, number LIMIT ?1) AS o
         CROSS JOIN lines AS l ON l.number = o.number
         ORDER BY o.at, o.number, l.sku",
        params![count],
    )?;
    let mut picks: Vec<Pick> = Vec::new();
    for (order, at, sku, copies) in rows {
        let line = Line { sku, copies };
        match picks.last_mut() {
            Some(last) if last.order == order => last.lines.push(line),
            _ => picks.push(Pick { order, stage: Stage::Cleared, at, lines: vec![line] }),
        }
    }
    Ok(picks)
}

/// Whether the step is to be done now; false when it has been done before.
fn to_do(tx: &Transaction, order: &str, step: Step) -> Result<bool, Error> {
    match verdict(stage(tx, order)?, step) {
        Verdict::Do => Ok(true),
        Verdict::Done => Ok(false),
        Verdict::Unknown => Err(Error::UnknownOrder(order.to_owned())),
        Verdict::Refuse(why) => Err(refused(order, why)),
    }
}

fn refused(order: &str, why: &str) -> Error {
    Error::Refused(format!("order {order}: {why}"))
}

fn stage(tx: &Transaction, order: &str) -> Result<Option<Stage>, store::Error> {
    let number: Option<u8> = tx.optional("SELECT stage FROM orders WHERE number = ?1", params![order])?;
    Ok(number.and_then(crate::domain::orders::stage))
}

fn set_stage(tx: &Transaction, order: &str, stage: Stage) -> Result<(), store::Error> {
    tx.execute("UPDATE orders SET stage = ?2 WHERE number = ?1", params![order, stage as u8])?;
    Ok(())
}

/// In the order of their SKUs.
fn lines(tx: &Transaction, order: &str) -> Result<Vec<Line>, store::Error> {
    tx.query("SELECT sku, copies FROM lines WHERE number = ?1 ORDER BY sku", params![order])
}

/// `[["SKU",2],...]` for `json_each`.
fn json(lines: &[Line]) -> String {
    list(&lines.iter().map(|line| (&line.sku, line.copies)).collect::<Vec<_>>())
}
