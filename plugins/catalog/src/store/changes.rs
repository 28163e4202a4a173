//! Changes of one album, each with what it changed and who did it; and the albums that are no longer sold.
//!
//! `by` is the account of an operator, if it is known. Functions that change an album are false when there is none of
//! its SKU.

use seam_sdk::clock;
use seam_sdk::store::{Error, Transaction, params, query, transaction};

use super::{columns, spell};
use crate::albums::{Album, Money};
use crate::domain::aspects::{aspect, differences};
use crate::editing::{Change, Description};

/// Adds an album; false when its SKU is known.
pub fn add(album: &Album, by: Option<&str>) -> Result<bool, Error> {
    let sql = "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (sku) DO NOTHING";
    transaction(|tx| {
        let added = tx.execute_many(sql, [album])?;
        if added > 0 {
            note(tx, None, album, by)?;
        }
        spell(tx)?;
        Ok(added > 0)
    })
}

/// Sets what an album costs.
pub fn change_price(sku: &str, price: &Money, by: Option<&str>) -> Result<bool, Error> {
    change(sku, by, |tx| {
        let sql = "UPDATE albums SET price_minor = ?2, currency = ?3 WHERE sku = ?1";
        tx.execute(sql, params![sku, price.minor_units, &price.currency])
    })
}

/// Marks the album as gone.
pub fn discontinue(sku: &str, by: Option<&str>) -> Result<bool, Error> {
    change(sku, by, |tx| tx.execute("UPDATE albums SET discontinued = 1 WHERE sku = ?1", params![sku]))
}

/// Marks the album as sold again.
pub fn relist(sku: &str, by: Option<&str>) -> Result<bool, Error> {
    change(sku, by, |tx| {
        let known = tx.execute("UPDATE albums SET discontinued = 0 WHERE sku = ?1", params![sku])?;
        spell(tx)?;
        Ok(known)
    })
}

/// Replaces what is said of the album.
pub fn describe(sku: &str, description: &Description, by: Option<&str>) -> Result<bool, Error> {
    let Description { artist, title, year, genre, label, notes } = description;
    change(sku, by, |tx| {
        let known = tx.execute(
            "UPDATE albums SET artist = ?2, title = ?3, year = ?4, genre = ?5, label = ?6, notes = ?7 WHERE sku = ?1",
            params![sku, artist, title, *year, genre, label, notes],
        )?;
        spell(tx)?;
        Ok(known)
    })
}

/// Changes an album with `work`, and writes down what of it is now another than before.
fn change<T>(sku: &str, by: Option<&str>, work: impl FnOnce(&Transaction) -> Result<T, Error>) -> Result<bool, Error> {
    transaction(|tx| {
        let Some(before) = album(tx, sku)? else { return Ok(false) };
        work(tx)?;
        if let Some(after) = album(tx, sku)? {
            note(tx, Some(&before), &after, by)?;
        }
        Ok(true)
    })
}

fn album(tx: &Transaction, sku: &str) -> Result<Option<Album>, Error> {
    tx.optional(concat!("SELECT ", columns!(), " FROM albums AS a WHERE a.sku = ?1"), params![sku])
}

fn note(tx: &Transaction, before: Option<&Album>, after: &Album, by: Option<&str>) -> Result<(), Error> {
    let now = clock::now();
    let differences = differences(before, after);
    tx.execute_many(
        "INSERT INTO changes (sku, at, aspect, was, now, by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        differences.iter().map(|one| (&after.sku, now, one.aspect as u8, &one.was, &one.now, by)),
    )?;
    Ok(())
}

/// The newest `count` changes of an album, newest first.
pub fn changes(sku: &str, count: u32) -> Result<Vec<Change>, Error> {
    let rows: Vec<(u64, u8, String, String, String)> = query(
        "SELECT at, aspect, was, now, coalesce(by, '') FROM changes WHERE sku = ?1 ORDER BY id DESC LIMIT ?2",
        params![sku, count],
    )?;
    rows.into_iter()
        .map(|(at, number, was, now, by)| {
            let unknown = || Error::Invalid(format!("the aspect {number} of a change is not known"));
            Ok(Change { at, aspect: aspect(number).ok_or_else(unknown)?, was, now, by })
        })
        .collect()
}

/// The discontinued albums after this SKU, in the order of their SKUs.
pub fn discontinued(after: &str, count: u32) -> Result<Vec<Album>, Error> {
    query(
        concat!(
            "SELECT ",
            columns!(),
            " FROM albums AS a WHERE a.discontinued = 1 AND a.sku > ?1 ORDER BY a.sku LIMIT ?2"
        ),
        params![after, count],
    )
}
