//! A file read by the contexts' own statements, with rusqlite as one would use it without a host.
//!
//! Each thread has a connection of its own and keeps it; statements are prepared once. A context's file has its tables
//! under the same names as the monolith's, so that one program reads both.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use catalog::albums::{Album, AlbumPage, Money};
use catalog::domain::{self, NOTHING, Page, Words};
use customer::wit::{Account, Address};
use orders::domain::states;
use orders::wit;
use recommendation::domain::{Neighbour, Popular, Question};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Serialize;
use storefront::seams::{Facet, Facets, Filter, Level, Suggestion};

use super::sql::{self, columns};

/// As much as the host gives the readers of four contexts' files.
const CACHE_KB: u32 = 4 * 4096;

/// One thread's connection.
pub struct Reader(Connection);

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
    static OPEN: RefCell<Option<Rc<Reader>>> = const { RefCell::new(None) };
}

/// Runs `work` with this thread's connection to `file`; a program has only one file.
pub fn with<T>(file: &Path, work: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
    let open = OPEN.with_borrow_mut(|open| match open {
        Some(open) => Ok(open.clone()),
        None => Reader::open(file).map(|opened| open.insert(Rc::new(opened)).clone()),
    })?;
    work(&open)
}

impl Reader {
    fn open(file: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(file, flags).with_context(|| format!("cannot open {}", file.display()))?;
        connection.execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KB}; PRAGMA mmap_size = 0;"
        ))?;
        // As in the host: otherwise SQLite prepares a statement again for each other `LIMIT ?`.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self(connection))
    }

    /// For statements that only one program has.
    pub fn item(&self, sku: &str) -> Result<Option<Item>> {
        let mut statement = self.0.prepare_cached(sql::ITEM)?;
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
        albums(&self.0, skus)
    }

    pub fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage> {
        let (words, page) = (Words::new(words).map_err(wrong)?, Page::new(page, size).map_err(wrong)?);
        let found = self.ranked(sql::SEARCH, &words, page)?;
        let beginning = words.whole_spelled() != words.beginning_spelled();
        if found.total == 0 && beginning { self.ranked(sql::SEARCH_BEGINNING, &words, page) } else { Ok(found) }
    }

    fn ranked(&self, statement: &str, words: &Words, page: Page) -> Result<AlbumPage> {
        let whole = words.whole();
        let last = words.beginning().unwrap_or_else(|| whole.clone());
        let spelled = [words.whole_spelled(), words.beginning_spelled()];
        let plain = if words.respelled() { spelled.clone() } else { [NOTHING, NOTHING].map(Into::into) };
        let read = |limit: u32, offset: u32| -> Result<(Option<u32>, Vec<Album>)> {
            let mut statement = self.0.prepare_cached(statement)?;
            let mut rows = statement.query(params![
                whole,
                last,
                sql::RANKED_MAX,
                limit,
                offset,
                spelled[0],
                spelled[1],
                plain[0],
                plain[1]
            ])?;
            let (mut total, mut albums) = (None, Vec::new());
            while let Some(row) = rows.next()? {
                total = Some(row.get(0)?);
                albums.push(album(row, 1)?);
            }
            Ok((total, albums))
        };
        let (total, albums) = read(page.limit(), page.offset())?;
        let total = match total {
            Some(total) => total,
            None if page.offset() > 0 => read(1, 0)?.0.unwrap_or(0),
            None => 0,
        };
        page.found(albums, || Ok(total))
    }

    pub fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage> {
        let page = Page::new(page, size).map_err(wrong)?;
        let Filter { genre, artist, decade } = filter;
        let mut matching = String::from(" FROM albums AS a WHERE a.discontinued = 0");
        let conditions = [
            (genre.is_some(), " AND a.genre = ?1"),
            (artist.is_some(), " AND a.artist = ?2"),
            (decade.is_some(), " AND a.year BETWEEN ?3 AND ?3 + 9"),
        ];
        for (_, condition) in conditions.iter().filter(|(given, _)| *given) {
            matching.push_str(condition);
        }
        let text = format!("SELECT {}{matching} ORDER BY a.year DESC, a.id LIMIT ?4 OFFSET ?5", columns!());
        let mut statement = self.0.prepare_cached(&text)?;
        let asked = params![genre, artist, decade, page.limit(), page.offset()];
        let rows = statement.query_map(asked, |row| album(row, 0))?.collect::<rusqlite::Result<_>>()?;
        page.found(rows, || match (genre, artist, decade) {
            (Some(genre), None, None) => self.on_sale("genre", genre),
            (None, Some(artist), None) => self.on_sale("artist", artist),
            (None, None, Some(decade)) => self.on_sale("decade", &decade.to_string()),
            _ => {
                let mut statement =
                    self.0.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1{matching} LIMIT ?4)"))?;
                Ok(statement.query_row(params![genre, artist, decade, domain::TOTAL_MAX], |row| row.get(0))?)
            }
        })
    }

    fn on_sale(&self, kind: &str, name: &str) -> Result<u32> {
        let mut statement = self.0.prepare_cached(sql::ON_SALE)?;
        Ok(statement.query_row([kind, name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    pub fn facets(&self) -> Result<Facets> {
        let facet = |row: &Row<'_>| Ok(Facet { name: row.get(0)?, count: row.get(1)? });
        let most = |kind: &str, count: u32| -> Result<Vec<Facet>> {
            let mut statement = self.0.prepare_cached(sql::FACETS)?;
            let facets = statement.query_map(params![kind, count], facet)?;
            Ok(facets.collect::<rusqlite::Result<_>>()?)
        };
        let decades = self.0.prepare_cached(sql::DECADES)?.query_map([], facet)?.collect::<rusqlite::Result<_>>()?;
        Ok(Facets { genres: most("genre", sql::GENRES_MAX)?, decades, artists: most("artist", sql::ARTISTS_MAX)? })
    }

    /// In the order asked, one for each.
    pub fn levels(&self, skus: &[&str]) -> Result<Vec<Level>> {
        let mut statement = self.0.prepare_cached(sql::LEVELS)?;
        let counted = statement.query_map([serde_json::to_string(skus)?], |row| row.get(0))?;
        skus.iter().zip(counted).map(|(sku, on_hand)| Ok(Level { sku: (*sku).to_owned(), on_hand: on_hand? })).collect()
    }

    /// Best first, ranked by the context's own engine.
    pub fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>> {
        let seeds = skus.iter().map(|sku| (*sku).to_owned()).collect();
        let question = Question::new(seeds, count).map_err(|wrong| anyhow::anyhow!(wrong.0))?;
        if let Some(wanted) = question.popular_wanted() {
            let mut popular = self.0.prepare_cached(sql::POPULAR)?;
            let rows = popular.query_map([wanted], |row| Ok(Popular { sku: row.get(0)?, purchases: row.get(1)? }))?;
            return Ok(suggestions(question.popular(rows.collect::<rusqlite::Result<_>>()?)));
        }
        let mut near = self.0.prepare_cached(sql::NEAR)?;
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
        Ok(suggestions(question.rank(neighbours)))
    }

    /// Whose session it is; none when it is over.
    pub fn who(&self, token: &str, now: u64) -> Result<Option<Account>> {
        if !customer::domain::is_token(token) {
            return Ok(None);
        }
        let mut statement = self.0.prepare_cached(sql::WHO)?;
        let account = statement.query_row(params![customer::secrets::digest(token), i64::try_from(now)?], |row| {
            Ok(Account {
                id: row.get(0)?,
                email: row.get(1)?,
                name: row.get(2)?,
                operator: row.get(3)?,
                since: row.get::<_, i64>(4)?.unsigned_abs(),
                address: address(row)?,
            })
        });
        Ok(account.optional()?)
    }

    pub fn connection(&self) -> &Connection {
        &self.0
    }

    pub fn order(&self, number: &str) -> Result<Option<wit::Order>> {
        order(&self.0, number)
    }
}

fn suggestions(ranked: Vec<recommendation::engine::Suggestion>) -> Vec<Suggestion> {
    ranked.into_iter().map(|s| Suggestion { sku: s.sku, score: s.score }).collect()
}

/// See [`Reader::albums`].
pub fn albums(connection: &Connection, skus: &[&str]) -> Result<Vec<Album>> {
    let mut statement = connection.prepare_cached(sql::ALBUMS)?;
    let albums = statement.query_map([serde_json::to_string(skus)?], |row| album(row, 0))?;
    Ok(albums.collect::<rusqlite::Result<_>>()?)
}

/// The whole order, as it is just now.
pub fn order(connection: &Connection, number: &str) -> Result<Option<wit::Order>> {
    let found = connection.prepare_cached(sql::ORDER)?.query_row([number], |row| {
        let order = wit::Order {
            number: row.get(1)?,
            customer: row.get(2)?,
            state: state(&row.get::<_, String>(3)?)?,
            lines: Vec::new(),
            shipping: row.get(4)?,
            total: row.get::<_, i64>(5)?.unsigned_abs(),
            currency: row.get(6)?,
            address: wit::Address {
                name: row.get(7)?,
                street: row.get(8)?,
                extra: row.get(9)?,
                city: row.get(10)?,
                postcode: row.get(11)?,
                country: row.get(12)?,
            },
            at: row.get::<_, i64>(13)?.unsigned_abs(),
            history: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, order))
    });
    let Some((id, mut order)) = found.optional()? else { return Ok(None) };
    let mut events = connection.prepare_cached(sql::EVENTS)?;
    let event = |row: &Row<'_>| {
        let (at, named): (i64, String) = (row.get(0)?, row.get(1)?);
        Ok(wit::Event { at: at.unsigned_abs(), state: state(&named)?, note: row.get(2)? })
    };
    order.history = events.query_map([id], event)?.collect::<rusqlite::Result<_>>()?;
    let mut lines = connection.prepare_cached(sql::LINES)?;
    let line = |row: &Row<'_>| {
        Ok(wit::PlacedLine { sku: row.get(0)?, copies: row.get(1)?, price: row.get(2)?, returned: row.get(3)? })
    };
    order.lines = lines.query_map([id], line)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(order))
}

fn state(named: &str) -> rusqlite::Result<wit::State> {
    states::named(named).ok_or_else(|| rusqlite::Error::InvalidParameterName(format!("the state {named}")))
}

fn album(row: &Row<'_>, first: usize) -> rusqlite::Result<Album> {
    Ok(Album {
        sku: row.get(first)?,
        artist: row.get(first + 1)?,
        title: row.get(first + 2)?,
        year: row.get(first + 3)?,
        genre: row.get(first + 4)?,
        label: row.get(first + 5)?,
        price: Money { minor_units: row.get(first + 6)?, currency: row.get(first + 7)? },
        notes: row.get(first + 8)?,
        discontinued: row.get(first + 9)?,
    })
}

/// The last six columns of an account: all of them, or nothing.
fn address(row: &Row<'_>) -> rusqlite::Result<Option<Address>> {
    let Some(name) = row.get(5)? else { return Ok(None) };
    Ok(Some(Address {
        name,
        street: row.get(6)?,
        extra: row.get(7)?,
        city: row.get(8)?,
        postcode: row.get(9)?,
        country: row.get(10)?,
    }))
}

fn wrong(domain::Invalid(why): domain::Invalid) -> anyhow::Error {
    anyhow::anyhow!(why)
}
