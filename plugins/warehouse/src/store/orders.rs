//! Orders' copies on their way to customers and back. Each function is one transaction.

use seam_sdk::clock;
use seam_sdk::store::{Error, Transaction, params, query, transaction};

use super::{Cause, first_time, moved};
use crate::domain::orders::{Line, Shortage, Stage, Step, Verdict, verdict};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has happened, now or before.
    Done,
    Unknown,
    Refused(&'static str),
    Short(Vec<Shortage>),
    /// The key was used for something else.
    OtherRequest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    pub order: String,
    pub at: u64,
    pub lines: Vec<Line>,
}

pub fn reserve(order: &str, lines: &[Line]) -> Result<Outcome, Error> {
    let now = clock::now();
    transaction(|tx| {
        match verdict(stage(tx, order)?, Step::Reserve) {
            Verdict::Do => {}
            Verdict::Done => {
                let mut wanted = lines.to_vec();
                wanted.sort();
                let same = self::lines(tx, order)? == wanted;
                return Ok(if same { Outcome::Done } else { Outcome::Refused("it was reserved with other lines") });
            }
            other => return Ok(ended(other)),
        }
        let short: Vec<(String, u32, u32)> = tx.query(
            "SELECT asked.value ->> 0, asked.value ->> 1, coalesce(l.on_hand, 0)
             FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value ->> 0
             WHERE coalesce(l.on_hand, 0) < asked.value ->> 1 ORDER BY asked.key",
            params![&json(lines)],
        )?;
        if !short.is_empty() {
            let shortage = |(sku, wanted, on_hand)| Shortage { sku, wanted, on_hand };
            return Ok(Outcome::Short(short.into_iter().map(shortage).collect()));
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
        moved(tx, now, Cause::Reserved, order, lines)?;
        Ok(Outcome::Done)
    })
}

pub fn release(order: &str) -> Result<Outcome, Error> {
    let now = clock::now();
    transaction(|tx| {
        let stage = stage(tx, order)?;
        match (verdict(stage, Step::Release), stage) {
            (Verdict::Do, None) => {
                tx.execute("INSERT INTO orders (number, stage, at) VALUES (?1, 3, ?2)", params![order, now as i64])?;
            }
            (Verdict::Do, Some(_)) => {
                set_stage(tx, order, Stage::Released)?;
                let lines = lines(tx, order)?;
                tx.execute_many(
                    "UPDATE levels SET on_hand = on_hand + ?2, reserved = reserved - ?2 WHERE sku = ?1",
                    lines.iter().map(|line| (&line.sku, line.copies)),
                )?;
                moved(tx, now, Cause::Released, order, &lines)?;
            }
            (other, _) => return Ok(ended(other)),
        }
        Ok(Outcome::Done)
    })
}

pub fn clear(order: &str) -> Result<Outcome, Error> {
    transaction(|tx| match verdict(stage(tx, order)?, Step::Clear) {
        Verdict::Do => set_stage(tx, order, Stage::Cleared).map(|()| Outcome::Done),
        other => Ok(ended(other)),
    })
}

pub fn ship(order: &str) -> Result<Outcome, Error> {
    transaction(|tx| match verdict(stage(tx, order)?, Step::Ship) {
        Verdict::Do => {
            set_stage(tx, order, Stage::Shipped)?;
            tx.execute_many(
                "UPDATE levels SET reserved = reserved - ?2, shipped = shipped + ?2 WHERE sku = ?1",
                lines(tx, order)?.iter().map(|line| (&line.sku, line.copies)),
            )?;
            Ok(Outcome::Done)
        }
        other => Ok(ended(other)),
    })
}

pub fn take_back(key: &str, order: &str, lines: &[Line]) -> Result<Outcome, Error> {
    let now = clock::now();
    transaction(|tx| {
        match verdict(stage(tx, order)?, Step::TakeBack) {
            Verdict::Do => {}
            other => return Ok(ended(other)),
        }
        let sent: Vec<(String, u32)> =
            tx.query("SELECT sku, copies - returned FROM lines WHERE number = ?1", params![order])?;
        let out = |line: &Line| sent.iter().any(|(sku, left)| *sku == line.sku && *left >= line.copies);
        match first_time(tx, key, &format!("take back {order} {}", json(lines)))? {
            None => return Ok(Outcome::OtherRequest),
            Some(false) => return Ok(Outcome::Done),
            Some(true) if !lines.iter().all(out) => {
                tx.execute("DELETE FROM keys WHERE key = ?1", params![key])?;
                return Ok(Outcome::Refused("more copies come back than are with the customer"));
            }
            Some(true) => {}
        }
        tx.execute_many(
            "UPDATE lines SET returned = returned + ?3 WHERE number = ?1 AND sku = ?2",
            lines.iter().map(|line| (order, &line.sku, line.copies)),
        )?;
        tx.execute_many(
            "UPDATE levels SET on_hand = on_hand + ?2, shipped = shipped - ?2 WHERE sku = ?1",
            lines.iter().map(|line| (&line.sku, line.copies)),
        )?;
        moved(tx, now, Cause::Returned, order, lines)?;
        Ok(Outcome::Done)
    })
}

/// The orders that are cleared, oldest first.
pub fn pick_list(count: u32) -> Result<Vec<Pick>, Error> {
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
            _ => picks.push(Pick { order, at, lines: vec![line] }),
        }
    }
    Ok(picks)
}

fn stage(tx: &Transaction, order: &str) -> Result<Option<Stage>, Error> {
    let number: Option<u8> = tx.optional("SELECT stage FROM orders WHERE number = ?1", params![order])?;
    Ok(number.and_then(Stage::of))
}

fn set_stage(tx: &Transaction, order: &str, stage: Stage) -> Result<(), Error> {
    tx.execute("UPDATE orders SET stage = ?2 WHERE number = ?1", params![order, stage as u8])?;
    Ok(())
}

/// In the order of their SKUs.
fn lines(tx: &Transaction, order: &str) -> Result<Vec<Line>, Error> {
    let rows: Vec<(String, u32)> =
        tx.query("SELECT sku, copies FROM lines WHERE number = ?1 ORDER BY sku", params![order])?;
    Ok(rows.into_iter().map(|(sku, copies)| Line { sku, copies }).collect())
}

fn ended(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Unknown => Outcome::Unknown,
        Verdict::Refuse(why) => Outcome::Refused(why),
        Verdict::Do | Verdict::Done => Outcome::Done,
    }
}

/// `[["SKU",2],...]` for `json_each`: a SKU has no character that JSON would have to escape.
fn json(lines: &[Line]) -> String {
    let rows: Vec<_> = lines.iter().map(|line| format!("[\"{}\",{}]", line.sku, line.copies)).collect();
    format!("[{}]", rows.join(","))
}
