//! Claims about the store, each on a real file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod confinement;
mod copies;
mod damage;
mod escapes;
mod examining;
mod faults;
mod feeds;
mod following;
mod full_text;
mod health;
mod longest_call;
mod migrations;
mod moments;
mod reading;
mod register;
mod sagas;
mod seals;
mod statements;
mod timers;
mod transactions;
mod two_phase;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;

/// A database in a folder of its own, which is removed with it.
struct Fixture {
    database: Arc<Database>,
    folder: TempDir,
}

impl std::ops::Deref for Fixture {
    type Target = Arc<Database>;

    fn deref(&self) -> &Arc<Database> {
        &self.database
    }
}

const SCHEMA: &str = "
CREATE TABLE item
  (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stock INTEGER CHECK (stock >= 0), cover BLOB) STRICT;
CREATE TABLE part (item INTEGER NOT NULL REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
CREATE VIRTUAL TABLE word USING fts5 (name, content='item', content_rowid='id', tokenize='unicode61');
CREATE TRIGGER item_in AFTER INSERT ON item BEGIN
  INSERT INTO word (rowid, name) VALUES (new.id, new.name);
END;
";

fn config(folder: &TempDir, max_mb: u64) -> Config {
    Config::plain(folder.path().join("contexts").join("shop.db"), max_mb)
}

fn migration(number: u32, sql: &str) -> Migration {
    Migration { number, name: format!("step-{number}"), sql: sql.to_owned() }
}

fn shop_of(max_mb: u64) -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Database::open(config(&folder, max_mb)).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    Fixture { database, folder }
}

fn shop() -> Fixture {
    shop_of(64)
}

/// Whose events a file may have taken.
fn orders() -> Source {
    Source { publisher: "orders".into(), interface: "acme:orders/events".into() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn in_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

impl Fixture {
    fn add(&self, name: &str) -> Result<u64, Error> {
        self.execute("INSERT INTO item (name, stock) VALUES (?1, 1)", &[name.into()], soon())
    }

    /// The one number that `sql` returns.
    fn number(&self, sql: &str) -> i64 {
        number_in(&self.query(sql, &[], soon()).unwrap())
    }

    /// Runs a statement that only a bound ends. If none does, the test fails, and does not hang with it.
    fn query_without_end(&self, sql: &str, deadline: Instant) -> Result<Vec<u8>, Error> {
        let (database, sql) = (self.database.clone(), sql.to_owned());
        let (ended, result) = std::sync::mpsc::channel();
        std::thread::spawn(move || ended.send(database.query(&sql, &[], deadline)));
        result.recv_timeout(Duration::from_secs(60)).expect("no bound ended the statement")
    }

    fn items(&self) -> i64 {
        self.number("SELECT count(*) FROM item")
    }
}

fn number_in(packed: &[u8]) -> i64 {
    let mut row = Vec::new();
    assert!(Rows::new(packed).unwrap().next_into(&mut row).unwrap(), "no row");
    match row[..] {
        [Value::Integer(i)] => i,
        ref other => panic!("not one number: {other:?}"),
    }
}

fn texts_in(packed: &[u8]) -> Vec<String> {
    let mut rows = Rows::new(packed).unwrap();
    let mut row = Vec::new();
    let mut texts = Vec::new();
    while rows.next_into(&mut row).unwrap() {
        texts.extend(row.iter().map(|v| match v {
            Value::Text(text) => text.clone().into_owned(),
            other => format!("{other:?}"),
        }));
    }
    texts
}

fn pack(columns: u32, rows: &[&[Value<'_>]]) -> Vec<u8> {
    let mut packer = rows::Packer::new(columns as usize, usize::MAX);
    for value in rows.iter().flat_map(|row| row.iter()) {
        match value {
            Value::Null => packer.push(rusqlite::types::ValueRef::Null),
            Value::Integer(i) => packer.push(rusqlite::types::ValueRef::Integer(*i)),
            Value::Real(r) => packer.push(rusqlite::types::ValueRef::Real(*r)),
            Value::Text(t) => packer.push(rusqlite::types::ValueRef::Text(t.as_bytes())),
            Value::Blob(b) => packer.push(rusqlite::types::ValueRef::Blob(b)),
        }
        .unwrap();
    }
    packer.finish()
}

/// The case of an error, as the WIT names it.
fn case<T: std::fmt::Debug>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Constraint(_)) => "constraint",
        Err(Error::Busy(_)) => "busy",
        Err(Error::Full(_)) => "full",
        Err(Error::TooLarge(_)) => "too-large",
        Err(Error::Denied(_)) => "denied",
        Err(Error::Interrupted(_)) => "interrupted",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::Unavailable(_)) => "unavailable",
    }
}
