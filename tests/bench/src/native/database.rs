//! The contexts' files, read by their own statements, with rusqlite as one would use it without a host.
//!
//! Each thread has its own connections and keeps them; statements are prepared once.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use recommendation::domain::{Neighbour, Popular, Question};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
use storefront::seams::{Album, Level, Money, Suggestion};

/// As large as the host gives a reading connection.
const CACHE_KB: u32 = 4096;

const ALBUMS: &str = "SELECT a.sku, a.artist, a.title, a.year, a.genre, a.label, a.price_minor, a.currency, a.notes, a.discontinued \
    FROM json_each(?1) AS asked CROSS JOIN albums AS a ON a.sku = asked.value ORDER BY asked.key";
const LEVELS: &str = "SELECT coalesce(l.on_hand, 0) FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value \
    ORDER BY asked.key";
const NEAR: &str = "SELECT near.other, near.together, item.purchases, (SELECT purchases FROM items WHERE sku = ?1) \
    FROM (SELECT other, together FROM pairs WHERE sku = ?1 ORDER BY together DESC, other LIMIT ?2) AS near \
    CROSS JOIN items AS item ON item.sku = near.other";
const POPULAR: &str = "SELECT sku, purchases FROM items ORDER BY purchases DESC, sku LIMIT ?1";
const ITEM: &str = "SELECT sku, artist, title, year, price, notes FROM items WHERE sku = ?1";

/// One thread's connections.
pub struct Databases {
    catalog: Connection,
    warehouse: Connection,
    recommendation: Connection,
    items: Connection,
}

/// What `/bench/items/{sku}` answers.
#[derive(Serialize)]
pub struct Item {
    sku: String,
    artist: String,
    title: String,
    year: u16,
    price: u32,
    notes: String,
}

thread_local! {
    static OPEN: RefCell<Option<Rc<Databases>>> = const { RefCell::new(None) };
}

/// Runs `work` with this thread's connections to the files in `folder`.
pub fn with<T>(folder: &Path, work: impl FnOnce(&Databases) -> Result<T>) -> Result<T> {
    let open = OPEN.with_borrow_mut(|open| match open {
        Some(open) => Ok(open.clone()),
        None => Databases::open(folder).map(|opened| open.insert(Rc::new(opened)).clone()),
    })?;
    work(&open)
}

impl Databases {
    fn open(folder: &Path) -> Result<Self> {
        let open = |context: &str| {
            let path = folder.join(format!("{context}.db"));
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection =
                Connection::open_with_flags(&path, flags).with_context(|| format!("cannot open {}", path.display()))?;
            connection.execute_batch(&format!(
                "PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KB}; PRAGMA mmap_size = 0;"
            ))?;
            connection.set_prepared_statement_cache_capacity(64);
            anyhow::Ok(connection)
        };
        Ok(Self {
            catalog: open("catalog")?,
            warehouse: open("warehouse")?,
            recommendation: open("recommendation")?,
            items: open("items")?,
        })
    }

    pub fn item(&self, sku: &str) -> Result<Option<Item>> {
        let mut statement = self.items.prepare_cached(ITEM)?;
        let item = statement.query_row([sku], |row| {
            Ok(Item {
                sku: row.get(0)?,
                artist: row.get(1)?,
                title: row.get(2)?,
                year: row.get(3)?,
                price: row.get(4)?,
                notes: row.get(5)?,
            })
        });
        Ok(item.optional()?)
    }

    /// In the order asked, unknown ones left out.
    pub fn albums(&self, skus: &[&str]) -> Result<Vec<Album>> {
        let mut statement = self.catalog.prepare_cached(ALBUMS)?;
        let albums = statement.query_map([serde_json::to_string(skus)?], |row| {
            Ok(Album {
                sku: row.get(0)?,
                artist: row.get(1)?,
                title: row.get(2)?,
                year: row.get(3)?,
                genre: row.get(4)?,
                label: row.get(5)?,
                price: Money { minor_units: row.get(6)?, currency: row.get(7)? },
                notes: row.get(8)?,
                discontinued: row.get(9)?,
            })
        })?;
        Ok(albums.collect::<rusqlite::Result<_>>()?)
    }

    /// In the order asked, one for each.
    pub fn levels(&self, skus: &[&str]) -> Result<Vec<Level>> {
        let mut statement = self.warehouse.prepare_cached(LEVELS)?;
        let counted = statement.query_map([serde_json::to_string(skus)?], |row| row.get(0))?;
        skus.iter().zip(counted).map(|(sku, on_hand)| Ok(Level { sku: (*sku).to_owned(), on_hand: on_hand? })).collect()
    }

    /// Best first, ranked by the context's own engine.
    pub fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>> {
        let seeds = skus.iter().map(|sku| (*sku).to_owned()).collect();
        let question = Question::new(seeds, count).map_err(|wrong| anyhow::anyhow!(wrong.0))?;
        let mut near = self.recommendation.prepare_cached(NEAR)?;
        let mut neighbours = Vec::new();
        for seed in question.seeds() {
            let rows = near.query_map(params![seed, question.neighbours_wanted()], |row| {
                Ok(Neighbour {
                    sku: row.get(0)?,
                    together: row.get(1)?,
                    purchases: row.get(2)?,
                    seed_purchases: row.get(3)?,
                })
            })?;
            for row in rows {
                neighbours.push(row?);
            }
        }
        let mut ranked = question.rank(neighbours);
        if question.wants_more(&ranked) {
            let mut popular = self.recommendation.prepare_cached(POPULAR)?;
            let wanted = question.popular_wanted() + u32::try_from(ranked.len())?;
            let rows = popular.query_map([wanted], |row| Ok(Popular { sku: row.get(0)?, purchases: row.get(1)? }))?;
            ranked = question.fill(ranked, rows.collect::<rusqlite::Result<_>>()?);
        }
        Ok(ranked.into_iter().map(|s| Suggestion { sku: s.sku, score: s.score }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As one line, without the marks of Rust's strings.
    fn flat(text: &str) -> String {
        text.replace(['"', ','], " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_statements_are_those_of_the_contexts() {
        let catalog = flat(include_str!("../../../../plugins/catalog/src/store.rs"));
        let (columns, from) = ALBUMS.split_once(" FROM").unwrap_or_default();
        assert!(catalog.contains(&flat(columns.trim_start_matches("SELECT "))), "{columns}");
        assert!(catalog.contains(&flat(from)), "{from}");
        for (statement, source) in [
            (LEVELS, include_str!("../../../../plugins/warehouse/src/store.rs")),
            (NEAR, include_str!("../../../../plugins/recommendation/src/store.rs")),
            (POPULAR, include_str!("../../../../plugins/recommendation/src/store.rs")),
            (ITEM, include_str!("../../guests/items/src/lib.rs")),
        ] {
            assert!(flat(source).contains(&flat(statement)), "{statement}");
        }
    }
}
