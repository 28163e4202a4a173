//! The native programs' files, made from those that the contexts have filled: a copy of each for the services of the
//! split, and all of it in one for the monolith.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;

/// Contexts that have a service of their own in the split.
const SERVICES: [&str; 6] = ["catalog", "warehouse", "recommendation", "customer", "finance", "orders"];
/// What the monolith takes from a context's file: the table, and what it is called there. The catalog's is where it
/// starts from.
const TAKEN: [(&str, &str, &str); 7] = [
    ("warehouse", "levels", "levels"),
    ("warehouse", "movements", "movements"),
    ("recommendation", "items", "items"),
    ("recommendation", "pairs", "pairs"),
    ("customer", "accounts", "accounts"),
    ("customer", "sessions", "sessions"),
    ("items", "items", "bench_items"),
];
/// What the monolith has beside these.
const SCHEMA: &str = include_str!("monolith.sql");
const MONOLITH: &str = "monolith";

/// The file of a service, or of the monolith.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.db"))
}

pub fn monolith(folder: &Path) -> PathBuf {
    file(folder, MONOLITH)
}

/// Makes all files in `native` from the databases of a host in `data`, which does not run.
pub fn make(data: &Path, native: &Path) -> Result<()> {
    std::fs::create_dir_all(native)?;
    let of = |context: &str| {
        let name = format!("{context}.db");
        find(data, &name)?.with_context(|| format!("there is no {name} in {}", data.display()))
    };
    for context in SERVICES {
        std::fs::copy(of(context)?, file(native, context))?;
    }
    let all = monolith(native);
    std::fs::copy(of("catalog")?, &all)?;
    let connection = open(&all)?;
    connection.execute_batch("DROP TABLE seam_migrations")?;
    for (context, there, here) in TAKEN {
        take(&connection, &of(context)?, there, here)?;
    }
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Copies the sessions that a host has started to the native programs.
pub fn take_sessions(data: &Path, native: &Path) -> Result<()> {
    let from = find(data, "customer.db")?.context("the host has no customer.db")?;
    for file in [monolith(native), file(native, "customer")] {
        let connection = open(&file)?;
        attached(&connection, &from, |connection| {
            Ok(connection.execute_batch("INSERT OR REPLACE INTO main.sessions SELECT * FROM there.sessions")?)
        })?;
    }
    Ok(())
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF")?;
    Ok(connection)
}

/// Copies a table of `from` with its rows, then its indexes and triggers.
fn take(connection: &Connection, from: &Path, there: &str, here: &str) -> Result<()> {
    attached(connection, from, |connection| {
        let mut made = connection.prepare(
            "SELECT type, name, sql FROM there.sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type <> 'table', rowid",
        )?;
        let made: Vec<(String, String, String)> = made
            .query_map([there], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (kind, name, sql) in made {
            match kind.as_str() {
                // The text up to the columns may have quotes around the name, which a renamed table has.
                "table" => {
                    let columns =
                        sql.find('(').and_then(|at| sql.get(at..)).with_context(|| format!("{name} has no columns"))?;
                    connection.execute_batch(&format!("CREATE TABLE main.{here} {columns}"))?;
                    connection.execute_batch(&format!("INSERT INTO main.{here} SELECT * FROM there.{there}"))?;
                }
                _ => connection.execute_batch(&sql)?,
            }
        }
        Ok(())
    })
}

fn attached(connection: &Connection, from: &Path, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    let path = from.to_str().context("a path is not UTF-8")?;
    connection.execute("ATTACH ?1 AS there", [path])?;
    work(connection)?;
    Ok(connection.execute_batch("DETACH there")?)
}

/// The file of that name in `folder` or below it.
pub fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), name)? {
                return Ok(Some(found));
            }
        } else if entry.file_name() == name {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
