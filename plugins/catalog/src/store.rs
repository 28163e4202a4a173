//! The catalog's SQL. Every query here has its index, named in the migrations.

pub mod changes;
mod near;

use seam_sdk::store::{Error, Transaction, list, one, optional, params, query, transaction};
use seam_sdk::{Invalid, log};

use crate::albums::{Album, AlbumPage, Facets, Filter, Sorting};
use crate::domain::{LISTED_MAX, Listed, NOTHING, Number, Page, TOTAL_MAX, Words, forms, sorted};
pub use near::did_you_mean;

/// In the order of the fields of `Album`.
macro_rules! columns {
    () => {
        "a.sku, a.artist, a.title, a.year, a.genre, a.label, a.price_minor, a.currency, a.notes, a.discontinued"
    };
}
use columns;

/// From `matching (id, tier)` to one page of albums in their order, with the number of matches. The rows are fetched
/// last, so that the sorting carries only ids.
macro_rules! ranking {
    () => {
        concat!(
            "sized AS (
               SELECT m.id, m.tier, length(a.artist) + length(a.title) AS size
               FROM matching AS m CROSS JOIN albums AS a ON a.id = m.id),
             best AS MATERIALIZED (SELECT * FROM sized ORDER BY tier, size, id LIMIT ?3)
             SELECT (SELECT count(*) FROM best), ",
            columns!(),
            " FROM (SELECT * FROM best ORDER BY tier, size, id LIMIT ?4 OFFSET ?5) AS b CROSS JOIN albums AS a ON a.id = b.id
             ORDER BY b.tier, b.size, b.id"
        )
    };
}

/// Matches that a search ranks.
const RANKED_MAX: u32 = 200;
/// Albums whose spellings one call writes: as many as the editor puts in one call, which takes a fraction of a second.
const SPELLED_MAX: u32 = 1_000;
/// Albums whose SKUs have the same digits that are looked at: as many makes of SKUs as a shop may have.
const NUMBERED_MAX: u32 = 100;
const GENRES_MAX: u32 = 200;
const ARTISTS_MAX: u32 = 50;

/// The albums of `skus` in their order; unknown ones are left out.
pub fn by_skus(skus: &[String]) -> Result<Vec<Album>, Error> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    query(
        concat!(
            "SELECT ",
            columns!(),
            " FROM json_each(?1) AS asked CROSS JOIN albums AS a ON a.sku = asked.value ORDER BY asked.key"
        ),
        params![&list(skus)],
    )
}

/// A page of the albums that match the filter, newest year first, then in the order in which they came into the
/// catalog.
pub fn browse(filter: &Filter, page: Page) -> Result<AlbumPage, Error> {
    let matching = matching(filter);
    let (genre, artist) = (filter.genre.as_deref(), filter.artist.as_deref());
    let rows = query(
        &format!("SELECT {}{matching} ORDER BY a.year DESC, a.id LIMIT ?4 OFFSET ?5", columns!()),
        params![genre, artist, filter.decade, page.limit(), page.offset()],
    )?;
    page.found(rows, || match (genre, artist, filter.decade) {
        (Some(genre), None, None) => on_sale("genre", genre),
        (None, Some(artist), None) => on_sale("artist", artist),
        (None, None, Some(decade)) => on_sale("decade", &decade.to_string()),
        _ => one(
            &format!("SELECT count(*) FROM (SELECT 1{matching} LIMIT ?4)"),
            params![genre, artist, filter.decade, TOTAL_MAX],
        ),
    })
}

/// How many albums one facet has; the table keeps the number.
fn on_sale(kind: &str, name: &str) -> Result<u32, Error> {
    let count = optional("SELECT count FROM facets WHERE kind = ?1 AND name = ?2", params![kind, name])?;
    Ok(count.unwrap_or(0))
}

/// A page of the albums that hold the words; the interface says in which order.
///
/// Matches are taken from the index in the order of their ids and only until there are enough: bm25 would look at every
/// match of every word. Two words cost a walk along the matches of the rarer one.
pub fn search(words: &Words, page: Page) -> Result<AlbumPage, Error> {
    // An album that waits for its spellings is found as it is written; so a busy store does not fail the search.
    if let Err(error) = spell_waiting() {
        log::warn(format_args!("spellings wait for the next search: {error}"));
    }
    let number = words.number();
    // Letters and digits are a SKU if there is one. Digits alone are first of all words: `1999`.
    if let Some(number) = number.as_ref().filter(|number| !number.is_alone()) {
        let found = numbered(number, page)?;
        if found.total > 0 {
            return Ok(found);
        }
    }
    let found = worded(words, page)?;
    match number.filter(|number| found.total == 0 && number.is_alone()) {
        Some(number) => numbered(&number, page),
        None => Ok(found),
    }
}

/// The albums that have this number.
fn numbered(number: &Number, page: Page) -> Result<AlbumPage, Error> {
    let mut albums: Vec<Album> = query(
        concat!(
            "SELECT ",
            columns!(),
            " FROM albums AS a
             WHERE a.discontinued = 0 AND CAST(ltrim(a.sku, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-') AS INTEGER) = ?1
             ORDER BY a.id LIMIT ?2"
        ),
        params![number.value(), NUMBERED_MAX],
    )?;
    albums.retain(|album| number.is_of(&album.sku));
    let total = albums.len() as u32;
    page.found(page.of(albums), || Ok(total))
}

/// The albums that hold the words, as they are typed or in another spelling.
fn worded(words: &Words, page: Page) -> Result<AlbumPage, Error> {
    let queries = Queries {
        whole: words.whole(),
        last: words.beginning().unwrap_or_else(|| words.whole()),
        whole_spelled: words.whole_spelled(),
        last_spelled: words.beginning_spelled(),
        respelled: words.respelled(),
    };
    let found = ranked(
        concat!(
            "WITH
             named AS MATERIALIZED (
               SELECT rowid AS id, 0 AS tier FROM album_names WHERE album_names MATCH ?1 ORDER BY rowid LIMIT ?3),
             beginnings AS MATERIALIZED (
               SELECT rowid AS id, 1 AS tier FROM album_names WHERE album_names MATCH ?2 ORDER BY rowid
               LIMIT iif((SELECT count(*) FROM named) < ?3, ?3, 0)),
             names AS MATERIALIZED (
               SELECT id, min(tier) AS tier FROM (SELECT * FROM named UNION ALL SELECT * FROM beginnings) GROUP BY id),
             others AS MATERIALIZED (
               SELECT rowid AS id, 2 AS tier FROM album_words WHERE album_words MATCH ?1 ORDER BY rowid
               LIMIT iif((SELECT count(*) FROM names) < ?3, ?3, 0)),
             spelled_names AS MATERIALIZED (
               SELECT rowid AS id, 3 AS tier FROM name_forms WHERE name_forms MATCH ?7 ORDER BY rowid LIMIT ?3),
             spelled_others AS MATERIALIZED (
               SELECT rowid AS id, 4 AS tier FROM word_forms WHERE word_forms MATCH ?6 ORDER BY rowid LIMIT ?3),
             plain_names AS MATERIALIZED (
               SELECT rowid AS id, 3 AS tier FROM album_names WHERE album_names MATCH ?9 ORDER BY rowid LIMIT ?3),
             plain_others AS MATERIALIZED (
               SELECT rowid AS id, 4 AS tier FROM album_words WHERE album_words MATCH ?8 ORDER BY rowid LIMIT ?3),
             matching AS (
               SELECT id, min(tier) AS tier
               FROM (SELECT * FROM names UNION ALL SELECT * FROM others
                     UNION ALL SELECT * FROM spelled_names UNION ALL SELECT * FROM spelled_others
                     UNION ALL SELECT * FROM plain_names UNION ALL SELECT * FROM plain_others)
               GROUP BY id), ",
            ranking!()
        ),
        &queries,
        page,
    )?;
    if found.total > 0 || queries.whole_spelled == queries.last_spelled {
        return Ok(found);
    }
    // The indexes of all words have none of beginnings, which would double them: a beginning is looked up the long way,
    // and only where nothing else was found.
    ranked(
        concat!(
            "WITH
             typed AS MATERIALIZED (
               SELECT rowid AS id, 0 AS tier FROM album_words WHERE album_words MATCH ?2 ORDER BY rowid LIMIT ?3),
             spelled AS MATERIALIZED (
               SELECT rowid AS id, 1 AS tier FROM word_forms WHERE word_forms MATCH ?7 ORDER BY rowid LIMIT ?3),
             plain AS MATERIALIZED (
               SELECT rowid AS id, 1 AS tier FROM album_words WHERE album_words MATCH ?9 ORDER BY rowid LIMIT ?3),
             matching AS (
               SELECT id, min(tier) AS tier
               FROM (SELECT * FROM typed UNION ALL SELECT * FROM spelled UNION ALL SELECT * FROM plain) GROUP BY id), ",
            ranking!()
        ),
        &queries,
        page,
    )
}

/// What the indexes are asked, with whole words or with a beginning.
struct Queries {
    whole: String,
    last: String,
    whole_spelled: String,
    last_spelled: String,
    /// Whether the words as typed and the other spelling can find different albums in the same index.
    respelled: bool,
}

fn ranked(sql: &str, queries: &Queries, page: Page) -> Result<AlbumPage, Error> {
    let Queries { whole, last, whole_spelled, last_spelled, respelled } = queries;
    // An album that has one spelling only is not in the indexes of spellings.
    let [whole_plain, last_plain] = if *respelled { [whole_spelled.as_str(), last_spelled] } else { [NOTHING; 2] };
    let read = |limit: u32, offset: u32| -> Result<Vec<(u32, Album)>, Error> {
        let page =
            params![whole, last, RANKED_MAX, limit, offset, whole_spelled, last_spelled, whole_plain, last_plain];
        query(sql, page)
    };
    let rows = read(page.limit(), page.offset())?;
    let total = match rows.first() {
        Some((total, _)) => *total,
        // Beyond the last page there is no row with the total.
        None if page.offset() > 0 => read(1, 0)?.first().map_or(0, |(total, _)| *total),
        None => 0,
    };
    page.found(rows.into_iter().map(|(_, album)| album).collect(), || Ok(total))
}

/// Writes the spellings of albums that wait for it, at most [`SPELLED_MAX`].
fn spell_waiting() -> Result<(), Error> {
    match one("SELECT EXISTS (SELECT 1 FROM unspelled)", params![])? {
        true => transaction(spell),
        false => Ok(()),
    }
}

/// Writes the spellings of the next albums that wait for it: each belongs to the album as it is now.
fn spell(tx: &Transaction) -> Result<(), Error> {
    type Waiting = (i64, String, String, String, String, String);
    let waiting: Vec<Waiting> = tx.query(
        "SELECT a.id, a.artist, a.title, a.genre, a.label, a.notes
         FROM (SELECT id FROM unspelled ORDER BY id LIMIT ?1) AS u CROSS JOIN albums AS a ON a.id = u.id",
        params![SPELLED_MAX],
    )?;
    let (mut names, mut words) = (Vec::new(), Vec::new());
    near::learn(
        tx,
        waiting
            .iter()
            .flat_map(|(_, artist, title, genre, label, _)| [artist, title, genre, label].map(String::as_str)),
    )?;
    for (id, artist, title, genre, label, notes) in &waiting {
        names.extend(forms(&[artist, title]).map(|forms| (id, forms)));
        words.extend(forms(&[artist, title, genre, label, notes]).map(|forms| (id, forms)));
    }
    tx.execute_many("INSERT INTO name_forms (rowid, forms) VALUES (?1, ?2)", names)?;
    tx.execute_many("INSERT INTO word_forms (rowid, forms) VALUES (?1, ?2)", words)?;
    tx.execute_many("DELETE FROM unspelled WHERE id = ?1", waiting.iter().map(|(id, ..)| (id,)))?;
    Ok(())
}

/// The SKUs of the albums that match, sorted: those that a search finds, or without words those of a filter.
pub fn skus(words: Option<&Words>, filter: &Filter, sorting: Sorting) -> Result<Vec<String>, Error> {
    let albums = match words {
        Some(words) => found_skus(words)?,
        None => filtered(filter)?,
    };
    Ok(sorted(albums, sorting).into_iter().map(|album| album.sku).collect())
}

fn found_skus(words: &Words) -> Result<Vec<Listed>, Error> {
    let mut listed = Vec::new();
    let mut page = Some(Page::LONGEST);
    while let Some(at) = page {
        let found = search(words, at)?;
        listed.extend(found.albums.into_iter().map(|album| Listed {
            sku: album.sku,
            artist: album.artist,
            year: album.year,
            minor_units: album.price.minor_units,
            currency: album.price.currency,
        }));
        page = at.next().filter(|_| found.more);
    }
    Ok(listed)
}

fn filtered(filter: &Filter) -> Result<Vec<Listed>, Error> {
    query(
        &format!(
            "SELECT a.sku, a.artist, a.year, a.price_minor, a.currency{} ORDER BY a.year DESC, a.id LIMIT ?4",
            matching(filter)
        ),
        params![filter.genre.as_deref(), filter.artist.as_deref(), filter.decade, LISTED_MAX],
    )
}

/// The tables and conditions of a filter, whose values are the parameters 1 to 3.
fn matching(filter: &Filter) -> String {
    let mut matching = String::from(" FROM albums AS a WHERE a.discontinued = 0");
    let mut conditions = |given: bool, sql: &str| given.then(|| matching.push_str(sql));
    conditions(filter.genre.is_some(), " AND a.genre = ?1");
    conditions(filter.artist.is_some(), " AND a.artist = ?2");
    conditions(filter.decade.is_some(), " AND a.year BETWEEN ?3 AND ?3 + 9");
    matching
}

/// Genres, decades and artists with the number of their albums on sale.
pub fn facets() -> Result<Facets, Error> {
    let most = "SELECT name, count FROM facets WHERE kind = ?1 ORDER BY count DESC, name LIMIT ?2";
    Ok(Facets {
        genres: query(most, params!["genre", GENRES_MAX])?,
        decades: query("SELECT name, count FROM facets WHERE kind = 'decade' ORDER BY name", params![])?,
        artists: query(most, params!["artist", ARTISTS_MAX])?,
    })
}

/// Runs each query behind the shop's pages once, for as few rows as possible.
pub fn check() -> Result<(), String> {
    let text = |error: Error| error.to_string();
    let page = Page::new(1, 1).map_err(|Invalid(why)| why)?;
    let words = Words::new("a").map_err(|Invalid(why)| why)?;
    by_skus(&["-".to_owned()]).map_err(text)?;
    facets().map_err(text)?;
    search(&words, page).map_err(text)?;
    did_you_mean(&words).map_err(text)?;
    browse(&Filter { genre: None, artist: None, decade: None }, page).map_err(text)?;
    Ok(())
}

/// Adds these albums, or replaces those whose SKU is known; all or none. What is unchanged is not written.
pub fn put(albums: &[Album]) -> Result<(), Error> {
    let sql = "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (sku) DO UPDATE SET
           artist = excluded.artist, title = excluded.title, year = excluded.year, genre = excluded.genre,
           label = excluded.label, price_minor = excluded.price_minor, currency = excluded.currency,
           notes = excluded.notes, discontinued = excluded.discontinued
         WHERE (artist, title, year, genre, label, price_minor, currency, notes, discontinued)
           IS NOT (excluded.artist, excluded.title, excluded.year, excluded.genre, excluded.label, excluded.price_minor,
                   excluded.currency, excluded.notes, excluded.discontinued)";
    transaction(|tx| {
        tx.execute_many(sql, albums)?;
        spell(tx)
    })
}
