//! What an editor changes of one album without replacing it, and the albums that are no longer sold.

use seam_sdk::store::{Error, params, query, transaction};

use super::{columns, spell};
use crate::albums::Album;
use crate::editing::Description;

/// Marks the album as sold again; false when there is none of this SKU.
pub fn relist(sku: &str) -> Result<bool, Error> {
    transaction(|tx| {
        let known = tx.execute("UPDATE albums SET discontinued = 0 WHERE sku = ?1", params![sku])?;
        spell(tx)?;
        Ok(known > 0)
    })
}

/// Replaces what is said of the album; false when there is none of this SKU.
pub fn describe(sku: &str, description: &Description) -> Result<bool, Error> {
    let Description { artist, title, year, genre, label, notes } = description;
    transaction(|tx| {
        let known = tx.execute(
            "UPDATE albums SET artist = ?2, title = ?3, year = ?4, genre = ?5, label = ?6, notes = ?7 WHERE sku = ?1",
            params![sku, artist, title, *year, genre, label, notes],
        )?;
        spell(tx)?;
        Ok(known > 0)
    })
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
