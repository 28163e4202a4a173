//! The catalog's SQL. Every query here has its index, named in the migrations.

use seam_sdk::store::{Error, execute, execute_many, list, one, params, query};

use crate::domain::{Album, Facets, Filter, Found, Page, TOTAL_MAX, Words};

/// In the order of the fields of `Album`.
macro_rules! columns {
    () => {
        "a.sku, a.artist, a.title, a.year, a.genre, a.label, a.price_minor, a.currency, a.notes, a.discontinued"
    };
}

/// Matches of one kind that a search ranks.
const RANKED_MAX: u32 = 400;
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

/// A page of what the filter lets through, newest year first, then in the order in which they came into the catalog.
pub fn browse(filter: &Filter, page: Page) -> Result<Found, Error> {
    let mut matching = String::from(" FROM albums AS a WHERE a.discontinued = 0");
    let mut conditions = |given: bool, sql: &str| given.then(|| matching.push_str(sql));
    conditions(filter.genre.is_some(), " AND a.genre = ?1");
    conditions(filter.artist.is_some(), " AND a.artist = ?2");
    conditions(filter.decade.is_some(), " AND a.year BETWEEN ?3 AND ?3 + 9");
    let (genre, artist) = (filter.genre.as_deref(), filter.artist.as_deref());
    let rows = query(
        &format!("SELECT {}{matching} ORDER BY a.year DESC, a.id LIMIT ?4 OFFSET ?5", columns!()),
        params![genre, artist, filter.decade, page.limit(), page.offset()],
    )?;
    page.found(rows, || {
        one(
            &format!("SELECT count(*) FROM (SELECT 1{matching} LIMIT ?4)"),
            params![genre, artist, filter.decade, TOTAL_MAX],
        )
    })
}

/// A page of the albums that hold the words; the interface says in which order.
pub fn search(words: &Words, page: Page) -> Result<Found, Error> {
    let (whole, beginning) = (words.whole(), words.beginning());
    let last = beginning.as_deref().unwrap_or(&whole);
    let found = ranked(
        concat!(
            "WITH found (id, tier) AS (
               SELECT * FROM (SELECT rowid, 0 FROM album_names WHERE album_names MATCH ?1 ORDER BY rowid LIMIT ?3)
               UNION ALL
               SELECT * FROM (SELECT rowid, 1 FROM album_names WHERE album_names MATCH ?2 ORDER BY rowid LIMIT ?3)
               UNION ALL
               SELECT * FROM (SELECT rowid, 2 FROM album_words WHERE album_words MATCH ?1 ORDER BY rowid LIMIT ?3)
             ), best AS (SELECT id, min(tier) AS tier FROM found GROUP BY id)
             SELECT count(*) OVER (), ",
            columns!(),
            " FROM best CROSS JOIN albums AS a ON a.id = best.id
             ORDER BY best.tier, length(a.artist) + length(a.title), a.id LIMIT ?4 OFFSET ?5"
        ),
        [&whole, last],
        page,
    )?;
    match beginning {
        // The index of all words has none of beginnings, which would double it: a beginning is looked up the long way, and only
        // where nothing else was found.
        Some(beginning) if found.total == 0 => ranked(
            concat!(
                "WITH best AS (SELECT rowid AS id FROM album_words WHERE album_words MATCH ?2 ORDER BY rowid LIMIT ?3)
                 SELECT count(*) OVER (), ",
                columns!(),
                " FROM best CROSS JOIN albums AS a ON a.id = best.id
                 ORDER BY length(a.artist) + length(a.title), a.id LIMIT ?4 OFFSET ?5"
            ),
            ["", &beginning],
            page,
        ),
        _ => Ok(found),
    }
}

fn ranked(sql: &str, [whole, last]: [&str; 2], page: Page) -> Result<Found, Error> {
    let rows = |limit: u32, offset: u32| -> Result<Vec<(u32, Album)>, Error> {
        query(sql, params![whole, last, RANKED_MAX, limit, offset])
    };
    let rows = match rows(page.limit(), page.offset())? {
        // Beyond the last page no row tells the total.
        empty if empty.is_empty() && page.offset() > 0 => {
            let total = rows(1, 0)?.first().map_or(0, |(total, _)| *total);
            return page.found(Vec::new(), || Ok(total));
        }
        rows => rows,
    };
    let total = rows.first().map_or(0, |(total, _)| *total);
    page.found(rows.into_iter().map(|(_, album)| album).collect(), || Ok(total))
}

/// Genres, decades and artists with their number of albums on sale.
pub fn facets() -> Result<Facets, Error> {
    let most = "SELECT name, count FROM facets WHERE kind = ?1 ORDER BY count DESC, name LIMIT ?2";
    Ok(Facets {
        genres: query(most, params!["genre", GENRES_MAX])?,
        decades: query("SELECT name, count FROM facets WHERE kind = 'decade' ORDER BY name", params![])?,
        artists: query(most, params!["artist", ARTISTS_MAX])?,
    })
}

/// Adds these albums, or replaces those whose SKU is known; all or none. What is unchanged is not written.
pub fn put(albums: &[Album]) -> Result<(), Error> {
    execute_many(
        "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (sku) DO UPDATE SET
           artist = excluded.artist, title = excluded.title, year = excluded.year, genre = excluded.genre,
           label = excluded.label, price_minor = excluded.price_minor, currency = excluded.currency,
           notes = excluded.notes, discontinued = excluded.discontinued
         WHERE (artist, title, year, genre, label, price_minor, currency, notes, discontinued)
           IS NOT (excluded.artist, excluded.title, excluded.year, excluded.genre, excluded.label, excluded.price_minor,
                   excluded.currency, excluded.notes, excluded.discontinued)",
        albums,
    )?;
    Ok(())
}

/// Marks the album as gone; false when there is none of this SKU.
pub fn discontinue(sku: &str) -> Result<bool, Error> {
    Ok(execute("UPDATE albums SET discontinued = 1 WHERE sku = ?1", params![sku])? > 0)
}
