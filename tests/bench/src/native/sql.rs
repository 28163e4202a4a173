//! The contexts' own statements, as the native programs run them. A test holds them to the contexts' sources.

/// In the order of the fields of an album.
macro_rules! columns {
    () => {
        "a.sku, a.artist, a.title, a.year, a.genre, a.label, a.price_minor, a.currency, a.notes, a.discontinued"
    };
}
pub(super) use columns;

pub const RANKED_MAX: u32 = 200;
pub const GENRES_MAX: u32 = 200;
pub const ARTISTS_MAX: u32 = 50;

pub const ALBUMS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM json_each(?1) AS asked CROSS JOIN albums AS a ON a.sku = asked.value ORDER BY asked.key"
);
pub const ON_SALE: &str = "SELECT count FROM facets WHERE kind = ?1 AND name = ?2";
pub const FACETS: &str = "SELECT name, count FROM facets WHERE kind = ?1 ORDER BY count DESC, name LIMIT ?2";
pub const DECADES: &str = "SELECT name, count FROM facets WHERE kind = 'decade' ORDER BY name";

/// From `matching (id, tier)` to one page of albums.
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

pub const SEARCH: &str = concat!(
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
);
pub const SEARCH_BEGINNING: &str = concat!(
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
);

pub const LEVELS: &str = "SELECT coalesce(l.on_hand, 0) FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value \
    ORDER BY asked.key";

pub const NEAR: &str = "SELECT near.other, near.together, item.purchases, (SELECT purchases FROM items WHERE sku = ?1) \
    FROM (SELECT other, together FROM pairs WHERE sku = ?1 ORDER BY together DESC, other LIMIT ?2) AS near \
    CROSS JOIN items AS item ON item.sku = near.other";
pub const POPULAR: &str = "SELECT sku, purchases FROM items ORDER BY purchases DESC, sku LIMIT ?1";
pub const COUNT_ITEM: &str = "INSERT INTO items (sku, purchases) VALUES (?1, ?2) \
    ON CONFLICT (sku) DO UPDATE SET purchases = purchases + excluded.purchases";
pub const COUNT_PAIR: &str = "INSERT INTO pairs (sku, other, together) VALUES (?1, ?2, ?3) \
    ON CONFLICT (sku, other) DO UPDATE SET together = together + excluded.together";

pub const WHO: &str = "SELECT id, email, name, operator, since, recipient, street, extra, city, postcode, country \
    FROM sessions AS s CROSS JOIN accounts AS a ON a.id = s.account WHERE s.digest = ?1 AND s.expires > ?2 AND a.email IS NOT NULL \
    AND (a.operator = 0 OR s.used > ?2 - 28800 AND s.expires > ?2 + 2505600)";

pub const ORDER: &str = "SELECT id, number, customer, state, shipping, total, currency, name, street, extra, city, postcode, country, at \
    FROM orders WHERE number = ?1";
pub const EVENTS: &str = "SELECT at, state, note FROM events WHERE order_id = ?1 ORDER BY position";
pub const LINES: &str = "SELECT sku, copies, price, returned FROM lines WHERE order_id = ?1 ORDER BY position";

/// The bench's own; in the monolith's file its table has another name, since recommendation has one of this name too.
pub const ITEM: &str = "SELECT sku, artist, title, year, price, notes FROM bench_items WHERE sku = ?1";

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "id, email, name, operator, since, recipient, street, extra, city, postcode, country";

    /// As one line, without the marks of Rust's strings.
    fn flat(text: &str) -> String {
        text.replace(['"', ',', '\\'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_statements_are_those_of_the_contexts() {
        let catalog = include_str!("../../../../plugins/catalog/src/store.rs");
        let recommendation = include_str!("../../../../plugins/recommendation/src/store.rs");
        let orders = include_str!("../../../../plugins/orders/src/store/mod.rs");
        let customer = include_str!("../../../../plugins/customer/src/store.rs");
        for (statement, source) in [
            (ALBUMS, catalog),
            (FACETS, catalog),
            (DECADES, catalog),
            (ON_SALE, catalog),
            (SEARCH, catalog),
            (SEARCH_BEGINNING, catalog),
            (LEVELS, include_str!("../../../../plugins/warehouse/src/store/mod.rs")),
            (NEAR, recommendation),
            (POPULAR, recommendation),
            (COUNT_ITEM, recommendation),
            (COUNT_PAIR, recommendation),
            (WHO, customer),
            (ORDER, orders),
            (EVENTS, orders),
            (LINES, orders),
        ] {
            // The sources put some of them together from pieces: each piece has to be there.
            let source = flat(source);
            let pieces = [columns!(), ACCOUNT, "sized AS", "ON a.id = s.account WHERE"]
                .iter()
                .fold(flat(statement), |text, cut| text.replace(&flat(cut), "|"));
            for piece in pieces.split('|').map(str::trim).filter(|piece| !["SELECT", ""].contains(piece)) {
                assert!(source.contains(piece), "{piece}");
            }
        }
        let items = flat(include_str!("../../guests/items/src/lib.rs"));
        assert!(items.contains(&flat(&ITEM.replace("bench_items", "items"))));
    }
}
