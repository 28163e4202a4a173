//! What to show beside an album, and what was bought together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use recommendation::domain::{Counts, check_purchases};
use recommendation::engine::Purchase;
use rusqlite::Connection;

use super::{Service, said, unknown, wire};
use crate::native::writer::Writer;
use crate::native::{reader, sql};

pub fn recommendation(file: PathBuf) -> Result<()> {
    let answer = |service: &Service, function: &str, arguments: &[u8]| match function {
        "suggest" => {
            let (skus, count): (Vec<String>, u32) = serde_json::from_slice(arguments)?;
            let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
            said(&wire::all::<_, wire::Suggestion>(reader::with(&service.file, |open| open.suggest(&skus, count))?))
        }
        "learn" => {
            let purchases = check_purchases(serde_json::from_slice(arguments)?).map_err(|wrong| anyhow!(wrong.0))?;
            said(&service.writer()?.transaction::<_, anyhow::Error>(|open| learn(open, &purchases))?)
        }
        _ => unknown(function),
    };
    Service { writer: Some(Writer::open(&file)?), file, changes: &["learn"], answer }.run()
}

fn learn(open: &Connection, purchases: &[Purchase]) -> Result<u32> {
    let ids: Vec<&str> = purchases.iter().map(|purchase| purchase.id.as_str()).collect();
    let seen: BTreeSet<String> = open
        .prepare_cached(
            "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN learned ON learned.purchase = asked.value",
        )?
        .query_map([serde_json::to_string(&ids)?], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let new: Vec<_> = purchases.iter().filter(|purchase| !seen.contains(&purchase.id)).collect();
    let counts = Counts::of(new.iter().copied());
    let mut learned = open.prepare_cached("INSERT INTO learned (purchase) VALUES (?1)")?;
    for purchase in &new {
        learned.execute([&purchase.id])?;
    }
    let mut item = open.prepare_cached(sql::COUNT_ITEM)?;
    for (sku, count) in counts.items {
        item.execute((sku, count))?;
    }
    let mut pair = open.prepare_cached(sql::COUNT_PAIR)?;
    for ((sku, other), count) in counts.pairs {
        pair.execute((sku, other, count))?;
    }
    Ok(u32::try_from(new.len())?)
}
