//! What statements touch, as SQLite says it, and what their text says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use rusqlite::Connection;

use super::text::Text;
use super::touch::By;
use crate::blank::Blank;
use crate::schema::Schema;

const SHOP: &str = "
    CREATE TABLE artists(id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE albums(id INTEGER PRIMARY KEY, title TEXT, artist INT REFERENCES artists ON DELETE CASCADE);
    CREATE TABLE sales(id INTEGER PRIMARY KEY, album INT, price INT, at AS (price * 2));
    CREATE TABLE audit(what TEXT);
    CREATE VIEW titles AS SELECT title FROM albums;
    CREATE TRIGGER kept AFTER UPDATE OF price ON sales BEGIN INSERT INTO audit(what) VALUES (old.price); END;";

fn touched(sql: &str) -> Vec<String> {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch(SHOP).unwrap();
    let schema = Schema::read(&file).unwrap();
    let touched = Blank::of(&schema).unwrap().touched(&schema, sql).unwrap();
    let by = |by: &By| match by {
        By::Statement => String::new(),
        By::View(name) | By::Trigger(name) => format!(" ({name})"),
        By::ForeignKey => " (key)".to_owned(),
    };
    let touches = touched.touches.iter().map(|touch| {
        let column = touch.column.as_deref().map_or(String::new(), |column| format!(".{column}"));
        format!("{:?} {}{column}{}", touch.act, touch.table, by(&touch.by)).to_lowercase()
    });
    let equal = touched.equalities.iter().map(|(one, other)| format!("{}.{} = {}.{}", one.0, one.1, other.0, other.1));
    touches.chain(equal).collect()
}

fn check(sql: &str, expected: &[&str]) {
    let (mut touched, mut expected) = (touched(sql), expected.to_vec());
    touched.sort();
    expected.sort_unstable();
    assert_eq!(touched, expected, "{sql}");
}

#[test]
fn a_query_reads_what_it_names_anywhere() {
    check("SELECT count(*) FROM sales", &["read sales"]);
    check(
        "SELECT title FROM albums WHERE artist = 1 ORDER BY id",
        &["read albums.artist", "read albums.id", "read albums.title"],
    );
    check("SELECT * FROM titles", &["read albums.title (titles)", "read titles.title"]);
    check("SELECT slug(title) FROM albums", &["read albums.title"]);
}

#[test]
fn a_change_writes_columns_and_what_follows_from_it() {
    check(
        "INSERT INTO sales(album, price) VALUES (?, 3)",
        &["insert sales", "insert sales.album", "insert sales.price"],
    );
    check("INSERT INTO \"sales\" (\"album\") VALUES (?)", &["insert sales", "insert sales.album"]);
    check("INSERT INTO audit VALUES ('x')", &["insert audit", "insert audit.what"]);
    check(
        "REPLACE INTO artists(name) VALUES ('x')",
        &[
            "read artists.id (key)",
            "delete albums (key)",
            "read albums.artist (key)",
            "delete artists",
            "insert artists",
            "insert artists.name",
        ],
    );
}

#[test]
fn triggers_and_keys_are_kept_apart_from_the_statement() {
    check(
        "UPDATE sales SET price = 1 WHERE id = 2",
        &["insert audit (kept)", "read sales.id", "read sales.price (kept)", "update sales.price"],
    );
}

#[test]
fn a_join_holds_columns_equal() {
    let equal = |sql: &str| touched(sql).into_iter().filter(|line| line.contains('=')).collect::<Vec<_>>();
    let expected = ["albums.artist = artists.id"];
    for sql in [
        "SELECT 1 FROM albums a JOIN artists AS b ON b.id = a.artist",
        "SELECT 1 FROM albums, artists WHERE albums.artist = artists.id AND title = 'x'",
        "SELECT 1 FROM \"albums\" INNER JOIN `artists` T2 ON (\"albums\".\"artist\" = T2.[id])",
        "SELECT 1 FROM main.albums JOIN artists ON artist = artists.id",
        "SELECT 1 FROM albums WHERE EXISTS (SELECT 1 FROM artists WHERE artists.id == albums.artist)",
    ] {
        assert_eq!(equal(sql), expected, "{sql}");
    }
    for sql in ["SELECT 1 FROM albums WHERE id = 3", "SELECT 1 FROM albums a, albums b WHERE a.id = b.artist"] {
        assert!(equal(sql).is_empty(), "{sql}");
    }
}

#[test]
fn a_fingerprint_has_no_values() {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch("CREATE TABLE t(a, b)").unwrap();
    let schema = Schema::read(&file).unwrap();
    let print = |sql: &str| Text::of(sql).fingerprint(&schema);
    let expected = "select * from t where a = ? and b in ( ? )";
    for sql in [
        "SELECT * FROM t WHERE a = 'O''Brien' AND b IN (1, 2, 3);",
        "select *\n from t -- secret\n where a = ?1 and b in (:x, x'00', 2.5e3)",
        "SELECT * FROM \"t\" WHERE \"a\" = \"secret\" AND \"b\" IN (\"x\")",
        "/* secret */ SELECT * FROM T WHERE A=0x10 AND B IN (?)",
    ] {
        assert_eq!(print(sql), expected, "{sql}");
    }
    assert_ne!(print("SELECT a FROM t"), print("SELECT b FROM t"));
}

#[test]
fn the_caller_stands_in_a_comment() {
    let caller = |sql: &str| Text::of(sql).caller();
    for (sql, expected) in [
        ("SELECT 1 /*controller='orders',action='place%20it',db_driver='x'*/", "orders.place it"),
        ("/*application:Shop,controller:albums,action:show*/ SELECT 1", "albums.show"),
        ("SELECT 1 -- caller: jobs/nightly\n", "jobs/nightly"),
        ("SELECT '/* controller=''no'' */' /*route='/albums'*/", "/albums"),
    ] {
        assert_eq!(caller(sql).as_deref(), Some(expected), "{sql}");
    }
    assert_eq!(caller("SELECT 1 /* all of them */"), None);
}

#[test]
fn what_sqlite_says_of_a_statement_has_no_value_of_it() {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch(SHOP).unwrap();
    let schema = Schema::read(&file).unwrap();
    let mut blank = Blank::of(&schema).unwrap();
    for (sql, said) in [
        ("SELECT name FROM artists WHERE name = 'secret", "unrecognized token"),
        ("SELECT name FROM artists 'x' secret", "syntax error"),
        ("SELECT name FROM secrets", "no such table: secrets"),
    ] {
        assert_eq!(blank.touched(&schema, sql), Err(said.to_owned()), "{sql}");
    }
}
