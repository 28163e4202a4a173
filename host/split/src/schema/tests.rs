//! Schemas, as they are read from files of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use rusqlite::Connection;

use super::*;

fn schema(sql: &str) -> Schema {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    Schema::read(&connection).unwrap()
}

fn names<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Vec<&'a str> {
    columns.into_iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn a_table_has_its_key_and_its_kind() {
    let schema = schema(
        "CREATE TABLE plain(id INTEGER PRIMARY KEY AUTOINCREMENT, n COLLATE NOCASE, v AS (n || 'x'), w AS (n) STORED);
         CREATE TABLE text(code TEXT PRIMARY KEY);
         CREATE TABLE pair(a, b, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE down(id INTEGER PRIMARY KEY DESC);
         CREATE TABLE none(a);
         CREATE TABLE narrow(a INT) STRICT;
         CREATE VIRTUAL TABLE words USING fts5(body);",
    );
    let plain = schema.table("PLAIN").unwrap();
    assert_eq!(plain.rowid_column().map(|column| column.name.as_str()), Some("id"));
    assert!(plain.has_autoincrement && plain.has_rowid);
    assert_eq!(plain.column("n").unwrap().collation, "NOCASE");
    assert_eq!(plain.column("v").unwrap().generated, Some(Generated::Virtual));
    assert_eq!(plain.column("w").unwrap().generated, Some(Generated::Stored));

    let text = schema.table("text").unwrap();
    assert!(text.rowid_column().is_none() && text.is_unique(&["CODE"]));
    let pair = schema.table("pair").unwrap();
    assert!(!pair.has_rowid && pair.is_unique(&["a", "b"]) && !pair.is_unique(&["a"]));
    assert_eq!(names(pair.primary_key()), ["b", "a"]);
    assert!(schema.table("down").unwrap().rowid_column().is_none());
    assert!(schema.table("none").unwrap().primary_key().is_empty());
    assert!(schema.table("narrow").unwrap().is_strict);

    assert_eq!(schema.table("words").unwrap().kind, Kind::Virtual { module: "fts5".to_owned() });
    let shadows = schema.tables.iter().filter(|table| table.kind == Kind::Shadow).count();
    assert!(shadows > 0);
    assert_eq!(schema.own().count(), schema.tables.len() - shadows);
}

#[test]
fn a_foreign_key_is_resolved_however_it_is_spelled() {
    let schema = schema(
        "CREATE TABLE parent(x, y, code UNIQUE, PRIMARY KEY (x, y));
         CREATE TABLE child(
             px, py, c REFERENCES PARENT(CODE) ON DELETE SET NULL, gone REFERENCES missing(id), short REFERENCES parent,
             FOREIGN KEY (px, py) REFERENCES \"Parent\" ON UPDATE CASCADE ON DELETE RESTRICT);",
    );
    let keys = &schema.table("child").unwrap().foreign_keys;
    let shown: Vec<_> =
        keys.iter().map(|key| (key.columns.join(","), key.parent.as_str(), key.parent_columns.join(","))).collect();
    let expected =
        [("c", "parent", "code"), ("gone", "missing", ""), ("short", "parent", ""), ("px,py", "parent", "x,y")];
    assert_eq!(shown, expected.map(|(child, parent, columns)| (child.to_owned(), parent, columns.to_owned())));
    assert_eq!((keys[0].on_delete, keys[0].on_update), (Action::SetNull, Action::NoAction));
    assert_eq!((keys[3].on_delete, keys[3].on_update), (Action::Restrict, Action::Cascade));
}

#[test]
fn a_partial_index_and_one_on_an_expression_make_nothing_unique() {
    let schema = schema(
        "CREATE TABLE t(a, b, c);
         CREATE UNIQUE INDEX some ON t(a) WHERE b > 0;
         CREATE UNIQUE INDEX lower ON t(lower(b));
         CREATE UNIQUE INDEX whole ON t(c);",
    );
    let table = schema.table("t").unwrap();
    assert_eq!([["a"], ["b"], ["c"]].map(|columns| table.is_unique(&columns)), [false, false, true]);
}

#[test]
fn names_that_need_quotes_are_read() {
    let schema = schema(
        "CREATE TABLE \"order\"(\"select\" INTEGER PRIMARY KEY, \"a \"\"b\"\"\" TEXT);
         CREATE TABLE \"sqlitedata\"(x REFERENCES \"order\");
         CREATE VIEW \"from\" AS SELECT 1;
         CREATE TRIGGER \"where\" AFTER INSERT ON \"order\" BEGIN SELECT 1; END;",
    );
    assert_eq!(names(&schema.table("order").unwrap().columns), ["select", "a \"b\""]);
    assert_eq!(schema.table("sqlitedata").unwrap().foreign_keys[0].parent_columns, ["select"]);
    assert_eq!((schema.views[0].name.as_str(), schema.triggers[0].on.as_str()), ("from", "order"));
}
