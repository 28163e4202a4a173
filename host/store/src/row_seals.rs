//! The seals of a table's rows. Each row of a sealed table has one in the host's table `seam_seals`: a keyed checksum
//! of its table and all its values. Their numbers have no gap, and the file's mark keeps the last one.
//!
//! Triggers of the host make a seal with each row, and let no row be changed or removed: neither by its context nor by
//! a migration. Without the key, no seal can be made; without a gap, no sealed row can go.
//! Not here: what finds that a page was changed as it is read (`page_seals`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use sha2::Sha256;

use crate::limits;
use crate::page_seals::{Seal, cut};
use crate::seal::Key;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS seam_sealed (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS seam_seals (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    row    TEXT NOT NULL,
    seal   BLOB NOT NULL
) STRICT";

/// Why the tables that the manifest names cannot be sealed, or are not as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the manifest seals `{table}`, and the schema has no such table")]
    NoTable { table: String },
    #[error("`{table}` cannot be sealed: it is not STRICT, so what is stored may not be what was sealed")]
    NotStrict { table: String },
    #[error("a migration has changed the sealed table `{table}`")]
    Changed { table: String },
    #[error("rows are not as they were sealed: {found}")]
    Broken { found: String },
}

impl SealError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoTable { .. } => "correct `store.sealed`, or add the table by a migration".to_owned(),
            Self::NotStrict { .. } => "make the table with STRICT, or take it out of `store.sealed`".to_owned(),
            Self::Changed { .. } => {
                "leave a sealed table as it is, and put new columns into a table beside it; to seal it \
                                     in another form, take it out of `store.sealed`, migrate, and put it back"
                    .to_owned()
            }
            Self::Broken { .. } => "restore a backup; to seal the rows as they are now, run `seam accept`".to_owned(),
        }
    }
}

/// What a look at the seals of rows has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows whose seals were compared.
    pub rows: u64,
    /// Whether all were, in the time that there was.
    pub whole: bool,
    /// Each row that is not as it was sealed, by its table and its key; the first `STORE_SEALS_NAMED_MAX`.
    pub broken: Vec<String>,
}

impl Verified {
    /// The rows that are not as they were sealed, in words.
    pub fn words(&self) -> Option<String> {
        (!self.broken.is_empty()).then(|| self.broken.join("; "))
    }

    fn breaks(&mut self, what: String) {
        if self.broken.len() < limits::STORE_SEALS_NAMED_MAX {
            self.broken.push(what);
        }
    }
}

/// Gives the triggers on this connection the function that makes seals. A context's own SQL cannot call it.
pub(super) fn offer(sqlite: &Connection, key: &Key) -> rusqlite::Result<()> {
    let mac = key.mac_for("rows");
    // Innocuous, since a trigger calls it.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    sqlite.create_scalar_function("seam_seal", -1, flags, move |cx: &mut Context<'_>| {
        Ok(seal(&mac, (0..cx.len()).map(|at| cx.get_raw(at))).to_vec())
    })
}

/// Of the name of a row's table, and its values in the order of the columns.
fn seal<'v>(mac: &Hmac<Sha256>, values: impl Iterator<Item = ValueRef<'v>>) -> Seal {
    let mut mac = mac.clone();
    for value in values {
        // Each value begins with its type and ends where its length says, so that no two rows read alike.
        match value {
            ValueRef::Null => mac.update(&[0]),
            ValueRef::Integer(i) => {
                mac.update(&[1]);
                mac.update(&i.to_le_bytes());
            }
            ValueRef::Real(r) => {
                mac.update(&[2]);
                mac.update(&r.to_bits().to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                mac.update(&[if matches!(value, ValueRef::Text(_)) { 3 } else { 4 }]);
                mac.update(&(bytes.len() as u64).to_le_bytes());
                mac.update(bytes);
            }
        }
    }
    cut(mac)
}

/// A table as its seals see it.
struct Table {
    name: String,
    /// Those that are stored.
    columns: Vec<String>,
    /// What tells one row from another.
    key: Vec<String>,
}

impl Table {
    /// # Errors
    /// The inner ones when it cannot be sealed.
    fn of(sqlite: &Connection, name: &str) -> rusqlite::Result<Result<Self, SealError>> {
        let listed = "SELECT strict, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = ?1";
        let found = sqlite.query_row(listed, [name], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)));
        let table = || name.to_owned();
        let without_rowid = match found.optional()? {
            None => return Ok(Err(SealError::NoTable { table: table() })),
            Some((false, _)) => return Ok(Err(SealError::NotStrict { table: table() })),
            Some((true, without_rowid)) => without_rowid,
        };
        let mut statement =
            sqlite.prepare("SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")?;
        let columns = statement.query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
        let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut key: Vec<_> = columns.iter().filter(|(_, pk)| *pk > 0).collect();
        key.sort_by_key(|(_, pk)| *pk);
        let mut key: Vec<String> = key.into_iter().map(|(name, _)| name.clone()).collect();
        if key.is_empty() && !without_rowid {
            key.push("rowid".to_owned());
        }
        Ok(Ok(Self { name: table(), columns: columns.into_iter().map(|(name, _)| name).collect(), key }))
    }

    /// The names of its triggers and their text.
    fn triggers(&self) -> [(String, String); 3] {
        let Self { name, columns, .. } = self;
        let (table, text) = (quoted(name), literal(name));
        let values: String = columns.iter().map(|column| format!(", NEW.{}", quoted(column))).collect();
        let trigger = |end: &str, when: &str, body: &str| {
            let trigger = format!("{PREFIX}{name}{end}");
            let sql = format!("CREATE TRIGGER {} {when} ON {table} BEGIN {body} END", quoted(&trigger));
            (trigger, sql)
        };
        // The number is the next one by itself. Nothing in it reads a table of the host: see `confine`.
        let seal = format!(
            "INSERT INTO seam_seals (name, row, seal) VALUES ({text}, {}, seam_seal({text}{values}));",
            self.row("NEW.")
        );
        let refuse = |what: &str| {
            let why = literal(&format!("the host seals `{name}`: a row of it is added, and never {what}"));
            format!("SELECT RAISE(ABORT, {why});")
        };
        [
            trigger("", "AFTER INSERT", &seal),
            trigger("+", "BEFORE UPDATE", &refuse("changed")),
            trigger("-", "BEFORE DELETE", &refuse("deleted")),
        ]
    }

    /// An expression for the words that name a row.
    fn row(&self, of: &str) -> String {
        let parts: Vec<_> = self.key.iter().map(|column| format!("quote({of}{})", quoted(column))).collect();
        parts.join(" || ', ' || ")
    }

    fn select(&self) -> String {
        let columns: String = self.columns.iter().map(|column| format!(", {}", quoted(column))).collect();
        format!("SELECT {}{columns} FROM {}", self.row(""), quoted(&self.name))
    }
}

/// The names of the triggers begin with it.
const PREFIX: &str = "seam_seal ";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether rows of the file have seals, or had some.
pub(super) fn are_in(sqlite: &Connection) -> rusqlite::Result<bool> {
    let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'seam_sealed'";
    sqlite.query_row(there, [], |row| row.get::<_, u32>(0)).map(|tables| tables > 0)
}

/// Whether rows of the file have seals now.
pub(super) fn are_kept(sqlite: &Connection) -> rusqlite::Result<bool> {
    sealed(sqlite).map(|tables| !tables.is_empty())
}

/// What is sealed in the file now.
fn sealed(sqlite: &Connection) -> rusqlite::Result<Vec<String>> {
    if !are_in(sqlite)? {
        return Ok(Vec::new());
    }
    let mut statement = sqlite.prepare("SELECT name FROM seam_sealed ORDER BY name")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Whether exactly the tables that `wanted` names are sealed, each as it is now.
pub(super) fn fit(sqlite: &Connection, wanted: &[String]) -> rusqlite::Result<bool> {
    let now = sealed(sqlite)?;
    let mut wanted = wanted.to_vec();
    wanted.sort();
    if now != wanted {
        return Ok(false);
    }
    for name in &now {
        if !is_as_sealed(sqlite, name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Seals the tables of the file that `wanted` names, and no others, as a part of the open transaction. What is sealed
/// already must be as it was.
///
/// # Errors
/// The inner ones when a table cannot be sealed, or a migration has changed one that is.
pub(super) fn bring(
    sqlite: &Connection,
    wanted: &[String],
    key: Option<&Key>,
) -> rusqlite::Result<Result<(), SealError>> {
    let mut wanted = wanted.to_vec();
    wanted.sort();
    let now = sealed(sqlite)?;
    for name in now.iter().filter(|name| wanted.contains(name)) {
        if !is_as_sealed(sqlite, name)? {
            return Ok(Err(SealError::Changed { table: name.clone() }));
        }
    }
    if now == wanted {
        return Ok(Ok(()));
    }
    let Some(key) = key else {
        return forget(sqlite).map(Ok);
    };
    // Under other numbers, they get other seals: not before the old ones were compared.
    let kept: Vec<_> = now.into_iter().filter(|name| wanted.contains(name)).collect();
    if let Some(found) = verify_tables(sqlite, key, &kept, None)?.words() {
        return Ok(Err(SealError::Broken { found }));
    }
    forget(sqlite)?;
    sqlite.execute_batch(TABLES)?;
    // Files from before rows were sealed have no place for it.
    let placed = "SELECT count(*) FROM pragma_table_info('seam_store') WHERE name = 'sealed'";
    if sqlite.query_row(placed, [], |row| row.get::<_, u32>(0))? == 0 {
        sqlite.execute_batch("ALTER TABLE seam_store ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0")?;
    }
    for name in &wanted {
        let table = match Table::of(sqlite, name)? {
            Ok(table) => table,
            Err(why) => return Ok(Err(why)),
        };
        add(sqlite, key, &table)?;
        sqlite.execute("INSERT INTO seam_sealed (name) VALUES (?1)", [name])?;
        table.triggers().iter().try_for_each(|(_, sql)| sqlite.execute_batch(sql))?;
    }
    Ok(Ok(()))
}

/// Seals the rows that a table has.
fn add(sqlite: &Connection, key: &Key, table: &Table) -> rusqlite::Result<()> {
    let mac = key.mac_for("rows");
    let last = "SELECT coalesce(max(number), 0) FROM seam_seals";
    let mut number: i64 = sqlite.query_row(last, [], |row| row.get(0))?;
    let mut statement = sqlite.prepare(&format!("{} ORDER BY {}", table.select(), order(table)))?;
    let mut insert = sqlite.prepare("INSERT INTO seam_seals (number, name, row, seal) VALUES (?1, ?2, ?3, ?4)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        number += 1;
        let seal = seal_of(&mac, table, row)?;
        insert.execute((number, &table.name, row.get::<_, String>(0)?, seal))?;
    }
    sqlite.execute("UPDATE seam_store SET sealed = ?1 WHERE id = 1", [number]).map(drop)
}

fn order(table: &Table) -> String {
    table.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

/// The seal of a row of `Table::select`.
fn seal_of(mac: &Hmac<Sha256>, table: &Table, row: &Row<'_>) -> rusqlite::Result<Seal> {
    let values = (1..=table.columns.len()).map(|at| row.get_ref(at)).collect::<rusqlite::Result<Vec<_>>>()?;
    let name = ValueRef::Text(table.name.as_bytes());
    Ok(seal(mac, std::iter::once(name).chain(values)))
}

/// Whether a table has the triggers that seal it, as it is now.
fn is_as_sealed(sqlite: &Connection, name: &str) -> rusqlite::Result<bool> {
    let Ok(table) = Table::of(sqlite, name)? else { return Ok(false) };
    for (trigger, sql) in table.triggers() {
        let there = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2";
        let found = sqlite.query_row(there, [trigger.as_str(), name], |row| row.get::<_, String>(0)).optional()?;
        if found.as_ref() != Some(&sql) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes all seals of rows out of the file. The next `bring` makes others.
pub(super) fn forget(sqlite: &Connection) -> rusqlite::Result<()> {
    if sealed(sqlite)?.is_empty() {
        return Ok(());
    }
    let triggers = format!("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '{PREFIX}%'");
    let mut statement = sqlite.prepare(&triggers)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    drop(statement);
    names.iter().try_for_each(|name| sqlite.execute_batch(&format!("DROP TRIGGER {}", quoted(name))))?;
    sqlite.execute_batch("DELETE FROM seam_seals; DELETE FROM seam_sealed; UPDATE seam_store SET sealed = 0")
}

/// Compares all sealed rows of the file with their seals, `within` a time or without a bound.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn verify(sqlite: &Connection, key: &Key, within: Option<Duration>) -> rusqlite::Result<Verified> {
    let tables = sealed(sqlite)?;
    verify_tables(sqlite, key, &tables, within)
}

fn verify_tables(
    sqlite: &Connection,
    key: &Key,
    tables: &[String],
    within: Option<Duration>,
) -> rusqlite::Result<Verified> {
    let mut found = Verified::default();
    if tables.is_empty() {
        return Ok(Verified { whole: true, ..found });
    }
    let ends = within.map(|within| Instant::now() + within);
    let in_time = |rows: u64| !rows.is_multiple_of(256) || ends.is_none_or(|ends| Instant::now() < ends);
    let (mut seals, mut last) = (HashMap::<String, HashMap<String, (i64, Vec<u8>)>>::new(), 0);
    let mut statement = sqlite.prepare("SELECT number, name, row, seal FROM seam_seals ORDER BY number")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (number, name, key): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if number != last + 1 {
            found.breaks(format!("the seals after number {last}, and their rows, are gone"));
        }
        last = number;
        seals.entry(name).or_default().insert(key, (number, row.get(3)?));
        if !in_time(number.unsigned_abs()) {
            return Ok(found);
        }
    }
    let noted: i64 = sqlite.query_row("SELECT sealed FROM seam_store WHERE id = 1", [], |row| row.get(0))?;
    if last != noted {
        found.breaks(format!("{noted} rows were sealed, and there are {last} seals"));
    }
    let mac = key.mac_for("rows");
    for name in tables {
        let Ok(table) = Table::of(sqlite, name)? else {
            found.breaks(format!("the table `{name}` is gone"));
            continue;
        };
        let mut of_table = seals.remove(name).unwrap_or_default();
        let mut statement = sqlite.prepare(&table.select())?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            found.rows += 1;
            match of_table.remove(&key) {
                None => found.breaks(format!("`{name}` {key} has no seal")),
                Some((_, seal)) if seal_of(&mac, &table, row)?[..] != *seal => {
                    found.breaks(format!("`{name}` {key} was changed"));
                }
                Some(_) => {}
            }
            if !in_time(found.rows) {
                return Ok(found);
            }
        }
        let mut gone: Vec<_> = of_table.into_iter().map(|(key, (number, _))| (number, key)).collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|(_, key)| found.breaks(format!("`{name}` {key} is gone")));
    }
    Ok(Verified { whole: true, ..found })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_read_alike() {
        let mac = Hmac::<Sha256>::new_from_slice(b"a key").unwrap();
        let of = |values: &[ValueRef<'_>]| seal(&mac, values.iter().copied());
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        // What stands between two values in one row stands within them in the other.
        assert_ne!(of(&[text("a\u{3}b"), text("c")]), of(&[text("a"), text("b\u{3}c")]));
        assert_ne!(of(&[text("1")]), of(&[ValueRef::Blob(b"1")]));
        assert_ne!(of(&[ValueRef::Integer(0)]), of(&[ValueRef::Real(0.0)]));
        assert_ne!(of(&[ValueRef::Null, text("")]), of(&[text(""), ValueRef::Null]));
        assert_eq!(of(&[text("a"), ValueRef::Null]), of(&[text("a"), ValueRef::Null]));
    }
}
