//! Bringing a file to the schema that its component expects.
//!
//! Migrations are numbered 1, 2, 3, ... without a gap and append-only; the file keeps the checksum of each that it has
//! run (`schema`). All pending ones run in one transaction: the file is at the new schema or exactly as it was.
//! Not here: undoing a migration. A file never goes backwards. An older component refuses a newer file, unless it was
//! seen to work with it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Sqlite;

use crate::clock::Clock;
use crate::config::Config;
use crate::confine::HOST_PREFIX;
use crate::connection::Connection;
use crate::copy::{self, CopyError};
use crate::database::Database;
use crate::error::{Error, chain};
use crate::open::OpenError;
use crate::row_seals::{self, SealError};
use crate::seal::Seal;
use crate::sql::Script;
use crate::{blocking, full_text, limits, program, schema, sql, text};

/// One change of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, ...
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

#[derive(Debug, Default, Clone, Copy)]
pub struct MigrateOptions<'a> {
    /// The schema up to which the file may have migrations that the component does not know.
    pub tolerated_schema: Option<u32>,
    /// Where the file is copied to before its schema changes, while no transaction writes.
    pub restore_point: Option<&'a Path>,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("migrations are numbered 1, 2, 3, ...: expected {expected}, found {found} (`{name}`)")]
    Gap { expected: u32, found: u32, name: String },
    #[error("migration {number} (`{name}`) is longer than {} bytes", limits::STORE_MIGRATION_BYTES_MAX)]
    TooLong { number: u32, name: String },
    #[error("the file is at migration {file}, the component knows {component}: a file never goes backwards")]
    Newer { context: String, file: u32, component: u32 },
    #[error("migration {number} (`{name}`) has changed since this file ran it (then `{then}`): history is append-only")]
    Changed { number: u32, name: String, then: String },
    #[error("migration {number} (`{name}`), line {line}: {error}")]
    Failed { number: u32, name: String, line: usize, error: Error },
    #[error("after the migrations, `{table}` holds rows that violate its foreign keys")]
    ForeignKeys { table: String },
    #[error("a migration created `{name}`: names that begin with `{HOST_PREFIX}` belong to the host")]
    HostName { name: String },
    #[error("searches of the full-text table `{table}` have no bound: {why}")]
    FullText { table: String, why: &'static str },
    #[error(
        "after the migrations, a failed constraint or a trigger of `{name}` would undo the transactions of others who \
         share a commit (ROLLBACK in ON CONFLICT, OR, RAISE)"
    )]
    EndsTransactions { name: String },
    #[error(transparent)]
    Seals(#[from] SealError),
    #[error("cannot copy the file before it is migrated")]
    Copy(#[from] CopyError),
    #[error("cannot migrate the file now: {0}")]
    Store(#[from] Error),
}

impl MigrateError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Gap { .. } => "number the migrations without a gap, oldest first".to_owned(),
            Self::TooLong { .. } => "split it; data belongs in a seed".to_owned(),
            Self::Newer { context, component, .. } => format!(
                "with the host stopped, `seam restore {context} --schema {component}` says what going back to the file's \
                 restore point loses; or deploy a version that knows the file's migrations"
            ),
            Self::Changed { .. } => "put the old text back, and add a new migration for the change".to_owned(),
            Self::Failed { .. } => "correct it and deploy again; the file is as it was".to_owned(),
            Self::ForeignKeys { .. } => "correct the rows in the same migration; the file is as it was".to_owned(),
            Self::FullText { table, .. } => {
                format!("make `{table}` so in a migration; if an earlier one made it, drop it there and make it again")
            }
            Self::HostName { .. } => "choose another name; the file is as it was".to_owned(),
            Self::EndsTransactions { .. } => "use ABORT instead of ROLLBACK; the file is as it was".to_owned(),
            Self::Seals(why) => format!("{}; the file is as it was", why.remedy()),
            Self::Copy(_) => "make room for the copy, and deploy again; the file is as it was".to_owned(),
            Self::Store(_) => "check that the host may write the file, and try again; the file is as it was".to_owned(),
        }
    }
}

/// Runs the pending migrations. Waits for the writer, and holds it until all of them are committed or undone.
///
/// # Errors
/// When a migration fails, or the migrations do not continue those of the file. The file is as it was then.
pub fn migrate(database: &Database, migrations: &[Migration]) -> Result<Migrated, MigrateError> {
    migrate_with(database, migrations, &MigrateOptions::default())
}

/// As `migrate`, with `options`.
///
/// # Errors
/// As `migrate`, and when the restore point cannot be written.
pub fn migrate_with(
    database: &Database,
    migrations: &[Migration],
    options: &MigrateOptions<'_>,
) -> Result<Migrated, MigrateError> {
    check_numbers(migrations)?;
    let config = database.config();
    if database.doubt().is_some() {
        // Nothing is written to it, and its rows can be read if there is nothing to change.
        let reader = database.reader()?;
        let applied = schema::applied(reader.connection()?.sqlite()).map_err(host)?;
        let context = config.path.file_stem().unwrap_or_default().to_string_lossy();
        let unchanged = continues(&applied, &context, migrations, options.tolerated_schema)?;
        if unchanged.from == unchanged.to {
            return Ok(unchanged);
        }
    }
    let deadline = config.clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
    let lease = database.writer.exclusive(deadline)?;
    let result = blocking::block_in_place(|| {
        let connection = lease.connection().map_err(MigrateError::from)?;
        // A context's file, and each copy of it that is migrated, has its name.
        let context = config.path.file_stem().unwrap_or_default().to_string_lossy();
        run(connection, &context, migrations, options.tolerated_schema, config, || match options.restore_point {
            Some(path) => copy::to_file(connection.sqlite(), config, path),
            None => Ok(()),
        })
    });
    database.writer.give_back(lease);
    result
}

/// Whether `migrations` continue those that the file of `config` has run. Changes nothing. No process may use the file.
///
/// # Errors
/// The outer one when there is a file that cannot be read, the inner one when `migrate` would refuse it.
pub fn would_migrate(
    config: &Config,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
) -> Result<Result<Migrated, MigrateError>, OpenError> {
    let context = config.path.file_stem().unwrap_or_default().to_string_lossy();
    let applied = schema::applied_at(config)?;
    Ok(check_numbers(migrations).and_then(|()| continues(&applied, &context, migrations, tolerated_schema)))
}

fn continues(
    applied: &[schema::Applied],
    context: &str,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
) -> Result<Migrated, MigrateError> {
    for (m, then) in migrations.iter().zip(applied) {
        if !schema::is_checksum_of(&then.checksum, &m.sql) {
            return Err(MigrateError::Changed { number: m.number, name: m.name.clone(), then: then.name.clone() });
        }
    }
    let from = u32::try_from(applied.len()).unwrap_or(u32::MAX);
    let to = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if from > to && tolerated_schema.is_some_and(|tolerated| from <= tolerated) {
        return Ok(Migrated { from, to: from });
    }
    if from > to {
        return Err(MigrateError::Newer { context: context.to_owned(), file: from, component: to });
    }
    Ok(Migrated { from, to })
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
    connection: &Connection,
    context: &str,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
    config: &Config,
    before_change: impl FnOnce() -> Result<(), CopyError>,
) -> Result<Migrated, MigrateError> {
    let applied = schema::applied(connection.sqlite()).map_err(host)?;
    let Migrated { from, to } = continues(&applied, context, migrations, tolerated_schema)?;
    let pending = migrations.get(applied.len()..).unwrap_or(&[]);
    let sealed = config.seal.as_ref().map_or(&[][..], |seal| &seal.tables);
    if pending.is_empty() && row_seals::fit(connection.sqlite(), sealed).map_err(host)? {
        return Ok(Migrated { from, to });
    }
    if !pending.is_empty() {
        before_change()?;
    }
    // Rebuilding a table drops one that others refer to, so foreign keys are off and all of them are checked at the
    // end. They can only be switched outside a transaction.
    connection.run_as_host("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE").map_err(host)?;
    let result = apply(connection, pending, &config.clock)
        .and_then(|()| seal(connection, sealed, config.seal.as_ref()))
        .and_then(|()| connection.count_commit().and_then(|()| connection.run_as_host("COMMIT")).map_err(host));
    if result.is_err() && !connection.is_idle() {
        // If even this fails, `give_back` closes the connection, which undoes the transaction as well.
        let _ = connection.run_as_host("ROLLBACK");
    }
    connection.distrust_statements();
    connection.run_as_host("PRAGMA foreign_keys = ON").map_err(host)?;
    result.map(|()| Migrated { from, to })
}

/// Seals the tables that the manifest names. Those that are sealed must have come through the migrations as they were.
fn seal(connection: &Connection, tables: &[String], seal: Option<&Seal>) -> Result<(), MigrateError> {
    let key = seal.map(Seal::key).transpose().map_err(|error| Error::Unavailable(chain(&error)))?.flatten();
    row_seals::bring(connection.sqlite(), tables, key.as_ref()).map_err(host)??;
    connection.count_seals().map_err(host)
}

fn apply(connection: &Connection, pending: &[Migration], clock: &Clock) -> Result<(), MigrateError> {
    let sqlite = connection.sqlite();
    connection.run_as_host(schema::TABLE).map_err(host)?;
    let before = host_names(sqlite).map_err(host)?;
    let deadline = clock.now() + Duration::from_millis(limits::STORE_MIGRATION_MS_MAX);
    for m in pending {
        let failed = |line, error| MigrateError::Failed { number: m.number, name: m.name.clone(), line, error };
        let mut script = Script::new(&text::normalised(&m.sql)).map_err(|error| failed(1, error))?;
        loop {
            connection.guard().arm_migration(deadline);
            let statement = script.next(sqlite);
            let done = statement.as_ref().map(|statement| step_through(sqlite, &statement.sql));
            connection.guard().disarm();
            let (Some(statement), Some(done)) = (statement, done) else { break };
            done.map_err(|e| {
                let line = statement.line(offset_of(&e));
                let error = match e {
                    StepError::Host(error) => error,
                    StepError::Sqlite(error) => connection.explain(&error),
                };
                failed(line, error)
            })?;
            if connection.is_idle() {
                let error = Error::Unavailable("SQLite rolled the transaction back".to_owned());
                return Err(failed(statement.line(None), error));
            }
        }
        schema::record(sqlite, m.number, &m.name, &m.sql).map_err(host)?;
    }
    // SQLite tells the authorizer only the old name of a table that is renamed, so the new names are checked here.
    match host_names(sqlite).map_err(host)?.into_iter().find(|name| !before.contains(name)) {
        Some(name) => return Err(MigrateError::HostName { name }),
        None => check_foreign_keys(sqlite)?,
    }
    if let Some(name) = program::ending_table(sqlite).map_err(host)? {
        return Err(MigrateError::EndsTransactions { name });
    }
    check_searches(connection)
}

/// As at the end of each migration, for a file to which none is pending: an earlier host let them pass.
///
/// # Errors
/// `FullText` for a table whose searches have no bound, `Store` when the file cannot be asked.
pub fn check_full_text(database: &Database) -> Result<(), MigrateError> {
    check_searches(database.reader()?.connection()?)
}

fn check_searches(connection: &Connection) -> Result<(), MigrateError> {
    match full_text::unbounded_table(connection.sqlite(), connection.guard()).map_err(host)? {
        Some((table, why)) => Err(MigrateError::FullText { table, why }),
        None => Ok(()),
    }
}

/// A statement of the host failed.
fn host(error: rusqlite::Error) -> MigrateError {
    MigrateError::Store(Error::of(&error))
}

/// The names in the schema that belong to the host.
fn host_names(sqlite: &Sqlite) -> rusqlite::Result<Vec<String>> {
    let mut statement = sqlite.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'seam\\_%' ESCAPE '\\'")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn check_foreign_keys(sqlite: &Sqlite) -> Result<(), MigrateError> {
    match sqlite.query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0)) {
        Ok(table) => Err(MigrateError::ForeignKeys { table }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(e) => Err(host(e)),
    }
}

enum StepError {
    Host(Error),
    Sqlite(rusqlite::Error),
}

fn step_through(sqlite: &Sqlite, statement: &str) -> Result<(), StepError> {
    sql::countable(sqlite, statement).map_err(StepError::Host)?;
    let mut prepared = sqlite.prepare(statement).map_err(StepError::Sqlite)?;
    if prepared.parameter_count() > 0 {
        return Err(StepError::Host(Error::Invalid("a migration has no parameters".to_owned())));
    }
    if !prepared.readonly() && program::ends_transaction(sqlite, statement).map_err(StepError::Sqlite)? {
        let why = "it ends the transaction, which the host does (ROLLBACK to resolve a conflict, VACUUM); use OR ABORT";
        return Err(StepError::Host(Error::Denied(why.to_owned())));
    }
    let mut rows = prepared.raw_query();
    while rows.next().map_err(StepError::Sqlite)?.is_some() {}
    Ok(())
}

/// The byte of the statement that SQLite names.
fn offset_of(error: &StepError) -> Option<usize> {
    match error {
        StepError::Sqlite(rusqlite::Error::SqlInputError { offset, .. }) => usize::try_from(*offset).ok(),
        _ => None,
    }
}
