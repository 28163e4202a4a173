//! What lies on the shelves, and copies set aside for orders.

use std::path::PathBuf;

use anyhow::Result;
use orders::musiccorp::warehouse::fulfilment::{Error, Line, Shortage};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Service, said, unknown, wire};
use crate::native::reader;
use crate::native::reference::now;

/// Stages as the context's file has them.
const RESERVED: u8 = 0;
const CLEARED: u8 = 1;
/// `reserved` among the causes of movements.
const CAUSE: u8 = 2;

pub fn warehouse(file: PathBuf) -> Result<()> {
    let answer = |service: &Service, function: &str, arguments: &[u8]| match function {
        "levels" => {
            let skus: Vec<&str> = serde_json::from_slice(arguments)?;
            said(&wire::all::<_, wire::Level>(reader::with(&service.file, |open| open.levels(&skus))?))
        }
        "reserve" => {
            let (order, lines): (String, Vec<Line>) = serde_json::from_slice(arguments)?;
            said(&service.writer()?.transaction::<_, anyhow::Error>(|open| reserve(open, &order, &lines))?)
        }
        "clear" => {
            let order: String = serde_json::from_slice(arguments)?;
            said(&service.writer()?.transaction::<_, anyhow::Error>(|open| clear(open, &order))?)
        }
        _ => unknown(function),
    };
    Service { writer: Some(crate::native::writer::Writer::open(&file)?), file, changes: &["reserve", "clear"], answer }
        .run()
}

fn reserve(open: &Connection, order: &str, lines: &[Line]) -> Result<std::result::Result<(), Error>> {
    if stage(open, order)?.is_some() {
        return Ok(Err(Error::Refused(format!("order {order}: it is known already"))));
    }
    let wanted: Vec<(&str, u32)> = lines.iter().map(|line| (line.sku.as_str(), line.copies)).collect();
    let short: Vec<Shortage> = open
        .prepare_cached(
            "SELECT asked.value ->> 0, asked.value ->> 1, coalesce(l.on_hand, 0)
             FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value ->> 0
             WHERE coalesce(l.on_hand, 0) < asked.value ->> 1 ORDER BY asked.key",
        )?
        .query_map([serde_json::to_string(&wanted)?], |row| {
            Ok(Shortage { sku: row.get(0)?, wanted: row.get(1)?, on_hand: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    if !short.is_empty() {
        return Ok(Err(Error::Short(short)));
    }
    let at = i64::try_from(now())?;
    open.prepare_cached("INSERT INTO orders (number, stage, at) VALUES (?1, ?3, ?2)")?
        .execute(params![order, at, RESERVED])?;
    let mut line = open.prepare_cached("INSERT INTO lines (number, sku, copies) VALUES (?1, ?2, ?3)")?;
    let mut level =
        open.prepare_cached("UPDATE levels SET on_hand = on_hand - ?2, reserved = reserved + ?2 WHERE sku = ?1")?;
    let mut moved = open.prepare_cached(
        "INSERT INTO movements (sku, at, cause, change, on_hand, reference)
         SELECT sku, ?2, ?3, ?4, on_hand, ?5 FROM levels WHERE sku = ?1",
    )?;
    for Line { sku, copies } in lines {
        line.execute(params![order, sku, copies])?;
        level.execute(params![sku, copies])?;
        moved.execute(params![sku, at, CAUSE, -i64::from(*copies), order])?;
    }
    Ok(Ok(()))
}

fn clear(open: &Connection, order: &str) -> Result<std::result::Result<(), Error>> {
    if stage(open, order)? != Some(RESERVED) {
        return Ok(Err(Error::Refused(format!("order {order}: it is not reserved"))));
    }
    open.prepare_cached("UPDATE orders SET stage = ?2 WHERE number = ?1")?.execute(params![order, CLEARED])?;
    Ok(Ok(()))
}

fn stage(open: &Connection, order: &str) -> Result<Option<u8>> {
    Ok(open
        .prepare_cached("SELECT stage FROM orders WHERE number = ?1")?
        .query_row([order], |row| row.get(0))
        .optional()?)
}
