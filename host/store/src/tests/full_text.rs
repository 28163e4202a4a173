//! Full-text search within its bounds.

use super::*;
use crate::limits::{STORE_SEARCH_WORDS_MAX, STORE_TABLE_WORDS_MAX, STORE_TEXT_COLUMNS_MAX, STORE_TEXT_WORDS_MAX};

const TABLES: &str = "
CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE VIRTUAL TABLE page USING fts5 (title, body, tokenize = 'unicode61');
CREATE VIRTUAL TABLE stem USING fts5 (body, tokenize = 'porter ascii', detail = column);
CREATE VIRTUAL TABLE piece USING fts5 (body, tokenize = 'trigram', detail = none);
";

fn library() -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Database::open(config(&folder, 64)).unwrap();
    migrate(&database, &[migration(1, TABLES)]).unwrap();
    Fixture { database, folder }
}

fn denied_or_invalid(result: &Result<Vec<u8>, Error>, says: &str) {
    let Err(Error::Denied(why) | Error::Invalid(why)) = result else { panic!("{result:?}") };
    assert!(why.contains(says), "{why}");
}

#[test]
fn a_search_has_a_bounded_number_of_words_however_it_is_written() {
    let library = library();
    library.execute("INSERT INTO page VALUES ('word', 'a few words')", &[], soon()).unwrap();
    library.execute("INSERT INTO stem VALUES ('a few words')", &[], soon()).unwrap();
    library.execute("INSERT INTO piece VALUES ('a few words')", &[], soon()).unwrap();
    fn times(text: &str, count: u32) -> Vec<&str> {
        vec![text; count as usize]
    }
    for table in ["page", "stem", "piece"] {
        let find = |query: &str| {
            let sql = format!("SELECT count(*) FROM {table} WHERE {table} MATCH ?1");
            library.query(&sql, &[query.into()], soon())
        };
        assert_eq!(number_in(&find("few").unwrap()), 1, "{table}");
        assert_eq!(case(&find(&times("few", STORE_TABLE_WORDS_MAX).join(" OR "))), "ok", "{table}");
        for count in [STORE_TABLE_WORDS_MAX + 1, STORE_SEARCH_WORDS_MAX + 1, 100_000] {
            let words = times("few", count);
            for query in [
                words.join(" "),
                words.join(" OR "),
                format!("\"{}\"", words.join(" ")),
                words.join(" + "),
                format!("NEAR({})", words.join(" ")),
                times("few*", count).join(" "),
            ] {
                let result = find(&query);
                let Err(Error::TooLarge(why)) = &result else { panic!("{table}, {}: {result:?}", &query[..20]) };
                assert!(why.contains("words at once; search for fewer"), "{why}");
            }
        }
        // A query that the statement itself builds, and one that is no operator of its text.
        let built = format!("SELECT * FROM {table}(replace(hex(zeroblob(1000)), '0', 'few '))");
        assert_eq!(case(&library.query(&built, &[], soon())), "too-large", "{table}");
    }
    // Each table has its own bound, and all of them together have one. No look at the
    // deadline comes between searches of tables without texts.
    let empty = self::library();
    let each = times("few", STORE_TABLE_WORDS_MAX).join(" OR ");
    let all = |tables: &[&str]| {
        let searches = tables.iter().map(|table| format!("(SELECT count(*) FROM {table} WHERE {table} MATCH ?1)"));
        let sql = format!("SELECT {}", searches.collect::<Vec<_>>().join(" + "));
        empty.query(&sql, &[each.as_str().into()], soon())
    };
    assert_eq!(number_in(&all(&["page", "stem"]).unwrap()), 0);
    for tables in [&["page", "stem", "piece"], &["page", "page", "stem"]] {
        assert_eq!(case(&all(tables)), "too-large", "{tables:?}");
    }
    // Of one statement, many searches are not one long one.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
                SELECT count(*) FROM n WHERE (SELECT count(*) FROM page WHERE page MATCH 'few' || (i = 0))";
    assert_eq!(case(&library.query(many, &[], soon())), "ok");
}

#[test]
fn a_text_of_too_many_words_enters_no_index() {
    let library = library();
    let text = |words: u32| "word ".repeat(words as usize);
    let add = |words: u32| library.execute("INSERT INTO page VALUES ('', ?1)", &[text(words).as_str().into()], soon());
    assert_eq!(add(STORE_TEXT_WORDS_MAX), Ok(1));
    let Err(Error::TooLarge(why)) = add(STORE_TEXT_WORDS_MAX + 1) else { panic!("it was indexed") };
    assert!(why.contains("8192 words") && why.contains("in parts"), "{why}");
    assert_eq!(library.number("SELECT count(*) FROM page"), 1);
    assert_eq!(library.number("SELECT count(*) FROM page WHERE page MATCH 'word'"), 1);
    assert_eq!(case(&library.execute("DELETE FROM page", &[], soon())), "ok");
}

#[test]
fn a_table_whose_searches_would_have_no_bound_is_refused_when_it_is_made() {
    let columns = |count: usize| (0..count).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
    let (most, more) = (columns(STORE_TEXT_COLUMNS_MAX), columns(STORE_TEXT_COLUMNS_MAX + 1));
    for (table, expect) in [
        ("CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'unicode61')".to_owned(), None),
        ("CREATE VIRTUAL TABLE t USING fts5 (x, content = '', tokenize = \"porter\")".to_owned(), None),
        (format!("CREATE VIRTUAL TABLE t USING fts5 ({most}, tokenize = ascii)"), None),
        (format!("CREATE VIRTUAL TABLE t USING fts5 ({more}, tokenize = ascii)"), Some("more columns")),
        ("CREATE VIRTUAL TABLE t USING fts5 (x)".to_owned(), Some("tokenize = 'unicode61'")),
        // It looks as if it named one.
        ("CREATE VIRTUAL TABLE t USING fts5 (x, content = 'tokenize=')".to_owned(), Some("tokenize = 'unicode61'")),
        ("CREATE VIRTUAL TABLE \"t \"\"x\" USING fts5 (tokenize) -- tokenize = 'ascii'".to_owned(), Some("names no")),
    ] {
        let folder = TempDir::new().unwrap();
        let database = Database::open(config(&folder, 64)).unwrap();
        let result = migrate(&database, &[migration(1, &table)]);
        match expect {
            None => assert!(result.is_ok(), "{table}: {result:?}"),
            Some(says) => {
                let Err(MigrateError::FullText { why, .. }) = &result else { panic!("{table}: {result:?}") };
                assert!(why.contains(says), "{why}");
                assert_eq!(database.schema(), Ok(0));
            }
        }
    }
}

/// A host that knew no bound for searches has made it.
#[test]
fn a_table_of_before_is_named_until_a_migration_makes_it_again() {
    let folder = TempDir::new().unwrap();
    let first = migration(1, "CREATE TABLE note (body TEXT) STRICT");
    let file = config(&folder, 64);
    migrate(&Database::open(file.clone()).unwrap(), std::slice::from_ref(&first)).unwrap();
    let old = rusqlite::Connection::open(&file.path).unwrap();
    old.execute_batch("CREATE VIRTUAL TABLE old USING fts5 (body); INSERT INTO old VALUES ('a few words')").unwrap();
    drop(old);

    let database = Database::open(file).unwrap();
    let migrated = |second: &str| migrate(&database, &[first.clone(), migration(2, second)]);
    migrate(&database, std::slice::from_ref(&first)).unwrap();
    let few = "SELECT count(*) FROM old WHERE old MATCH 'few'";
    assert_eq!(number_in(&database.query(few, &[], soon()).unwrap()), 1, "it goes on as it did");
    for refused in [check_full_text(&database), migrated("CREATE TABLE other (x TEXT) STRICT").map(drop)] {
        let Err(error @ MigrateError::FullText { .. }) = &refused else { panic!("{refused:?}") };
        let (said, remedy) = (error.to_string(), error.remedy());
        assert!(said.contains("`old`") && said.contains("tokenize = 'unicode61'"), "{said}");
        assert!(remedy.contains("drop it there and make it again"), "{remedy}");
    }
    migrated(
        "CREATE VIRTUAL TABLE new USING fts5 (body, tokenize = 'unicode61');
         INSERT INTO new SELECT body FROM old; DROP TABLE old; ALTER TABLE new RENAME TO old",
    )
    .unwrap();
    assert!(check_full_text(&database).is_ok());
    assert_eq!(number_in(&database.query(few, &[], soon()).unwrap()), 1);
}

#[test]
fn excerpts_are_refused_wherever_they_are_asked_for() {
    let library = library();
    library.execute("INSERT INTO page VALUES ('word', 'a few words')", &[], soon()).unwrap();
    for call in ["snippet(page, 0, '', '', '', 9)", "highlight(page, 0, '', '')", "fts5_get_locale(page, 0)"] {
        let sql = format!("SELECT {call} FROM page WHERE page MATCH 'few'");
        denied_or_invalid(&library.query(&sql, &[], soon()), "not for contexts");
        let rank = "SELECT rank FROM page WHERE page MATCH 'few' AND rank MATCH ?1";
        let as_rank = call.replace("page, ", "");
        denied_or_invalid(&library.query(rank, &[as_rank.as_str().into()], soon()), "not for contexts");
    }
}

/// The same texts in a table of SQLite's own: the ranks are the same.
#[test]
fn ranks_are_those_of_sqlite() {
    let library = library();
    let theirs = rusqlite::Connection::open_in_memory().unwrap();
    theirs.execute_batch(TABLES).unwrap();
    let words = ["blue", "train", "kind", "of", "steps", "giant", "bluer", "trains"];
    for i in 0..60_usize {
        let text = |seed: usize| {
            let word = |n: usize| words[(seed * 7 + n * n * (1 + seed % 3)) % words.len()];
            (0..1 + seed % 9).map(word).collect::<Vec<_>>().join(" ")
        };
        let (title, body) = (text(i), text(i * i + 3));
        for sql in ["INSERT INTO page VALUES (?1, ?2)", "INSERT INTO stem VALUES (?1 || ' ' || ?2)"] {
            library.execute(sql, &[title.as_str().into(), body.as_str().into()], soon()).unwrap();
            theirs.execute(sql, [&title, &body]).unwrap();
        }
    }
    for (table, rank, query) in [
        ("page", "rank", "blue"),
        ("page", "rank", "blue OR train OR nothing"),
        ("page", "rank", "\"kind of\" OR giant*"),
        ("page", "rank", "title : blue NOT steps"),
        ("page", "rank", "NEAR(blue train, 3)"),
        ("page", "bm25(page, 10.0, 0.5)", "blue train OR kind"),
        ("page", "bm25(page, 0)", "of"),
        ("stem", "rank", "train OR blue"),
    ] {
        let sql = format!("SELECT rowid || ' ' || round({rank}, 9) FROM {table} WHERE {table} MATCH ?1 ORDER BY rowid");
        let ours = texts_in(&library.query(&sql, &[query.into()], soon()).unwrap());
        let mut statement = theirs.prepare(&sql).unwrap();
        let rows = statement.query_map([query], |row| row.get::<_, String>(0)).unwrap();
        let expect: Vec<_> = rows.map(Result::unwrap).collect();
        assert!(expect.len() > 3, "{query} finds too little to compare");
        assert_eq!(ours, expect, "{query}");
    }
}

/// Its rarity of each phrase needs a walk through all texts that have it.
#[test]
fn a_rank_looks_at_the_deadline() {
    let library = library();
    let fill = "INSERT INTO page WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
                SELECT 'word', 'a few words' FROM n";
    library.execute(fill, &[], soon()).unwrap();
    let ranked = "SELECT rank FROM page WHERE page MATCH ?1 LIMIT 1";
    let query = vec!["few"; STORE_TABLE_WORDS_MAX as usize].join(" OR ");
    let timed = |deadline: Instant| {
        let began = Instant::now();
        (case(&library.query(ranked, &[query.as_str().into()], deadline)), began.elapsed())
    };
    let (whole, long) = timed(soon());
    let (cut, short) = timed(in_ms(1));
    assert_eq!((whole, cut), ("ok", "interrupted"));
    assert!(short < long / 2, "{short:?}, and {long:?} for the whole search");
}
