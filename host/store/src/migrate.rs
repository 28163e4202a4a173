//! Bringing a file to the schema that its component expects.
//!
//! Migrations are numbered 1, 2, 3, ... without a gap, append-only and remembered by checksum in the host's table
//! `seam_migrations`. All pending ones run in one transaction: the file is at the new schema or exactly as it was.
//! Not here: undoing a migration. A file never goes backwards; an older component refuses it, unless it was seen to run there.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use wasmtime::component::{ComponentType, Lift};

use super::confine::HOST_PREFIX;
use super::connection::Link;
use super::copy::{self, CopyError};
use super::{Database, Error, sql};
use crate::{handoff, limits};

/// `seam:host/migrations`' record.
#[derive(Debug, Clone, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Migration {
    pub number: u32,
    pub name: String,
    pub sql: String,
}

/// What `migrate` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's number before and after; 0 is an empty file.
    pub from: u32,
    pub to: u32,
}

/// What a migration may do beside going forward.
#[derive(Debug, Default, Clone, Copy)]
pub struct Terms<'a> {
    /// The schema up to which the file may have migrations that the component does not know.
    pub ahead: Option<u32>,
    /// Where the file is copied to as it is, before its schema changes and while nobody writes.
    pub restore_point: Option<&'a Path>,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("migrations are numbered 1, 2, 3, ...: expected {expected}, found {found} (`{name}`)")]
    Gap { expected: u32, found: u32, name: String },
    #[error("migration {number} (`{name}`) is longer than {} bytes", limits::STORE_MIGRATION_BYTES_MAX)]
    TooLong { number: u32, name: String },
    #[error("the file is at migration {file}, the component knows {component}: a file never goes backwards")]
    Newer { file: u32, component: u32 },
    #[error("migration {number} (`{name}`) has changed since this file ran it (then `{then}`): history is append-only")]
    Changed { number: u32, name: String, then: String },
    #[error("migration {number} (`{name}`), line {line}: {error}")]
    Failed { number: u32, name: String, line: usize, error: Error },
    #[error("after the migrations, `{table}` holds rows that violate its foreign keys")]
    ForeignKeys { table: String },
    #[error("a migration made `{name}`: names beginning with `{HOST_PREFIX}` are the host's")]
    HostName { name: String },
    #[error("the file cannot be copied before it is migrated")]
    Copy(#[from] CopyError),
    #[error("the file cannot be migrated now: {0}")]
    Store(#[from] Error),
}

impl MigrateError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Gap { .. } => "number the migrations without a gap, oldest first".to_owned(),
            Self::TooLong { .. } => "split it; data belongs into a seed".to_owned(),
            Self::Newer { .. } => "deploy a component that knows the file's migrations".to_owned(),
            Self::Changed { .. } => "put the old text back, and add a new migration for the change".to_owned(),
            Self::Failed { .. } => "correct it and deploy again; the file is as it was".to_owned(),
            Self::ForeignKeys { .. } => "correct the rows in the same migration; the file is as it was".to_owned(),
            Self::HostName { .. } => "choose another name; the file is as it was".to_owned(),
            Self::Copy(_) => "see that the disk has room for it, and deploy again; the file is as it was".to_owned(),
            Self::Store(_) => "see that the file can be written, and try again; it is as it was".to_owned(),
        }
    }
}

/// Runs what is pending. Waits for the writer, and holds it until all is committed or undone.
pub fn migrate(database: &Database, migrations: &[Migration]) -> Result<Migrated, MigrateError> {
    migrate_under(database, migrations, &Terms::default())
}

/// The same under `terms`.
pub fn migrate_under(
    database: &Database,
    migrations: &[Migration],
    terms: &Terms<'_>,
) -> Result<Migrated, MigrateError> {
    check_numbers(migrations)?;
    let deadline = Instant::now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
    let lease = database.writer.alone(deadline, &database.counters)?;
    let copy = |link: &Link, path: &Path| copy::to_file(link.raw(), database.config(), path);
    let result = handoff::blocking(|| {
        let link = lease.link().map_err(MigrateError::from)?;
        run(link, migrations, terms.ahead, |link| terms.restore_point.map_or(Ok(()), |path| copy(link, path)))
    });
    database.writer.pass_on(lease);
    result
}

fn check_numbers(migrations: &[Migration]) -> Result<(), MigrateError> {
    for (expected, m) in (1..).zip(migrations) {
        if m.number != expected {
            return Err(MigrateError::Gap { expected, found: m.number, name: m.name.clone() });
        }
        if m.sql.len() > limits::STORE_MIGRATION_BYTES_MAX {
            return Err(MigrateError::TooLong { number: m.number, name: m.name.clone() });
        }
    }
    Ok(())
}

fn run(
    link: &Link,
    migrations: &[Migration],
    ahead: Option<u32>,
    before: impl FnOnce(&Link) -> Result<(), CopyError>,
) -> Result<Migrated, MigrateError> {
    let host = |e: rusqlite::Error| MigrateError::Store(Error::of(&e));
    let history = history(link.raw()).map_err(host)?;
    for (m, (then, checksum)) in migrations.iter().zip(&history) {
        if *checksum != checksum_of(m) {
            return Err(MigrateError::Changed { number: m.number, name: m.name.clone(), then: then.clone() });
        }
    }
    let from = u32::try_from(history.len()).unwrap_or(u32::MAX);
    let to = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if from > to && ahead.is_some_and(|ahead| from <= ahead) {
        return Ok(Migrated { from, to: from });
    }
    if from > to {
        return Err(MigrateError::Newer { file: from, component: to });
    }
    let pending = migrations.get(history.len()..).unwrap_or(&[]);
    if pending.is_empty() {
        return Ok(Migrated { from, to });
    }
    before(link)?;
    // Rebuilding a table drops the one that others refer to. Off only works outside a transaction; all are checked at the end.
    link.host("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE").map_err(host)?;
    let result = apply(link, pending).and_then(|()| link.host("COMMIT").map_err(host));
    if result.is_err() && !link.is_idle() {
        // Should even this fail, `pass_on` closes the connection, which undoes it as well.
        let _ = link.host("ROLLBACK");
    }
    link.host("PRAGMA foreign_keys = ON").map_err(host)?;
    result.map(|()| Migrated { from, to })
}

fn apply(link: &Link, pending: &[Migration]) -> Result<(), MigrateError> {
    let conn = link.raw();
    let host = |e: rusqlite::Error| MigrateError::Store(Error::of(&e));
    link.host(HISTORY_TABLE).map_err(host)?;
    let ends = Instant::now() + Duration::from_millis(limits::STORE_MIGRATION_MS_MAX);
    for m in pending {
        for statement in sql::statements(&m.sql) {
            link.guard().arm_migration(ends.saturating_duration_since(Instant::now()));
            let done = step_through(conn, statement.sql);
            link.guard().disarm();
            done.map_err(|e| MigrateError::Failed {
                number: m.number,
                name: m.name.clone(),
                line: statement.line + line_in(&e),
                error: match e {
                    Refused::Host(error) => error,
                    Refused::Sqlite(error) => link.explain(&error),
                },
            })?;
            if link.is_idle() {
                let error = Error::Unavailable("SQLite rolled the transaction back".to_owned());
                return Err(MigrateError::Failed {
                    number: m.number,
                    name: m.name.clone(),
                    line: statement.line,
                    error,
                });
            }
        }
        conn.execute(
            "INSERT INTO seam_migrations (number, name, checksum) VALUES (?1, ?2, ?3)",
            params![m.number, m.name, checksum_of(m)],
        )
        .map_err(host)?;
    }
    check_host_names(conn)?;
    check_foreign_keys(conn)
}

/// A renamed table escapes the authorizer, which is told its old name only.
fn check_host_names(conn: &Connection) -> Result<(), MigrateError> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE name LIKE 'seam\\_%' ESCAPE '\\' AND name <> 'seam_migrations' LIMIT 1";
    match conn.query_row(sql, [], |row| row.get::<_, String>(0)) {
        Ok(name) => Err(MigrateError::HostName { name }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(e) => Err(MigrateError::Store(Error::of(&e))),
    }
}

fn check_foreign_keys(conn: &Connection) -> Result<(), MigrateError> {
    match conn.query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0)) {
        Ok(table) => Err(MigrateError::ForeignKeys { table }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(e) => Err(MigrateError::Store(Error::of(&e))),
    }
}

enum Refused {
    Host(Error),
    Sqlite(rusqlite::Error),
}

fn step_through(conn: &Connection, statement: &str) -> Result<(), Refused> {
    if sql::has_word(statement, "ROLLBACK") {
        let why =
            "ROLLBACK (ON CONFLICT, OR, RAISE) would undo the transactions of others who share a commit; use ABORT";
        return Err(Refused::Host(Error::Denied(why.to_owned())));
    }
    let mut prepared = conn.prepare(statement).map_err(Refused::Sqlite)?;
    if prepared.parameter_count() > 0 {
        return Err(Refused::Host(Error::Invalid("a migration has no parameters".to_owned())));
    }
    let mut rows = prepared.raw_query();
    while rows.next().map_err(Refused::Sqlite)?.is_some() {}
    Ok(())
}

/// Lines between the start of the statement and what SQLite points at.
fn line_in(refused: &Refused) -> usize {
    match refused {
        Refused::Sqlite(rusqlite::Error::SqlInputError { sql, offset, .. }) => {
            sql::line_of(sql, usize::try_from(*offset).unwrap_or(0)) - 1
        }
        _ => 0,
    }
}

const HISTORY_TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_migrations (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    checksum BLOB NOT NULL,
    applied  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT";

/// How many migrations the file has.
pub(super) fn schema_of(conn: &Connection) -> rusqlite::Result<u32> {
    history(conn).map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX))
}

/// Name and checksum of every migration that the file has, in order.
fn history(conn: &Connection) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let made = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'seam_migrations'";
    if conn.query_row(made, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare("SELECT name, checksum FROM seam_migrations ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Of the text alone: a better name is no change of history.
fn checksum_of(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.sql.as_bytes()).to_vec()
}
