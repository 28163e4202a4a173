//! The store on a plain SQLite file of this process: what tests of a context's SQL run on.
//!
//! The same functions as `seam:host/store`, over the same packed encoding, with the settings that the host gives a
//! connection where they change what SQL means. Not here: limits, deadlines, authorisation, concurrent calls: the
//! host's tests.

pub(crate) mod sagas;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql};

pub use self::sagas::Saga;
use crate::Migration;
pub use crate::bindings::seam::host::store::Error;
use crate::bindings::seam::host::store::Value;

thread_local! {
    static OPEN: RefCell<Option<Connection>> = const { RefCell::new(None) };
    static SETTINGS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
    static ATTEMPTS: RefCell<BTreeMap<(String, u32, u32), u64>> = const { RefCell::new(BTreeMap::new()) };
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What [`config::get`](crate::config::get) answers on this thread from now on.
pub fn settings(settings: &[(&str, &str)]) {
    SETTINGS.set(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
}

/// What [`clock::now`](crate::clock::now) answers on this thread from now on; `None`: the system's time.
pub fn set_clock(seconds: Option<u64>) {
    CLOCK.set(seconds);
}

pub(crate) fn setting(key: &str) -> Option<String> {
    SETTINGS.with_borrow(|settings| settings.get(key).cloned())
}

pub(crate) fn now() -> u64 {
    CLOCK.get().unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
    })
}

/// Forgets all attempts that were counted on this thread.
pub fn forget_attempts() {
    ATTEMPTS.take();
}

/// A limit: its key, how many attempts, in how many seconds.
pub(crate) type Limit<'a> = (&'a str, u32, u32);

/// As the host counts: the end of a key's attempts, in microseconds since 1970, lies at most a window from now. The
/// error is the seconds to wait.
pub(crate) fn take(under: &[Limit<'_>]) -> Result<(), u32> {
    ATTEMPTS.with_borrow_mut(|ends| {
        let now = now() * MICROS;
        let next = |limit: &Limit<'_>| ends.get(&owned(limit)).map_or(now, |end| now.max(*end)) + interval(limit);
        let next: Vec<u64> = under.iter().map(next).collect();
        let late = |((.., window), next): (&Limit<'_>, &u64)| next.saturating_sub(now + u64::from(*window) * MICROS);
        match under.iter().zip(&next).map(late).max() {
            Some(late @ 1..) => Err(u32::try_from(late.div_ceil(MICROS)).unwrap_or(u32::MAX)),
            _ => {
                ends.extend(under.iter().map(owned).zip(next));
                Ok(())
            }
        }
    })
}

pub(crate) fn give_back(under: &[Limit<'_>]) {
    ATTEMPTS.with_borrow_mut(|ends| {
        for limit in under {
            if let Some(end) = ends.get_mut(&owned(limit)) {
                *end = end.saturating_sub(interval(limit));
            }
        }
    });
}

const MICROS: u64 = 1_000_000;

fn owned((key, most, window): &Limit<'_>) -> (String, u32, u32) {
    ((*key).to_owned(), *most, *window)
}

/// What one attempt adds.
fn interval((_, most, window): &Limit<'_>) -> u64 {
    (u64::from(*window) * MICROS / u64::from(*most).max(1)).max(1)
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a system without random numbers cannot run the tests")]
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| std::io::Read::read_exact(&mut random, &mut bytes))
        .expect("the system's random numbers");
    bytes
}

/// The store of this thread while it lives.
#[must_use = "the store is closed when this is dropped"]
pub struct Store {
    /// Deleted, with what SQLite keeps beside it, when this is dropped.
    temporary: Option<PathBuf>,
}

impl Store {
    /// A new file in the system's folder for temporary files, with all migrations applied.
    pub fn fresh(migrations: &[Migration]) -> rusqlite::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("seam-store-{}-{number}.sqlite", std::process::id()));
        remove(&path);
        let mut store = Self::open(&path, migrations)?;
        store.temporary = Some(path);
        Ok(store)
    }

    /// Opens the file, applies the migrations that it has not seen, and makes it the store of this thread.
    pub fn open(path: &Path, migrations: &[Migration]) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;")?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_prepared_statement_cache_capacity(64);
        let transaction = connection.transaction()?;
        let seen: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for step in migrations.iter().filter(|step| step.number > seen) {
            transaction.execute_batch(step.sql)?;
            transaction.execute_batch(&format!("PRAGMA user_version = {}", step.number))?;
        }
        transaction.commit()?;
        OPEN.set(Some(connection));
        Ok(Self { temporary: None })
    }

    /// Runs `work` on the connection itself, for statements that a test needs and a context may not run.
    pub fn connection<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        #[expect(clippy::expect_used, reason = "open as long as self is")]
        OPEN.with_borrow(|open| work(open.as_ref().expect("the store of this thread is open")))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        OPEN.take();
        if let Some(path) = &self.temporary {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let _ = std::fs::remove_file(file);
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

pub(crate) fn query(sql: &str, params: &[Value<'_>]) -> Result<Vec<u8>, Error> {
    on_open(|connection| {
        let mut statement = connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut packed = seam_packed::Packer::new(columns as u32, 0);
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        let too_long = |error: seam_packed::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => packed.null(),
                    ValueRef::Integer(value) => packed.integer(value),
                    ValueRef::Real(value) => packed.real(value),
                    ValueRef::Text(bytes) => packed.text(bytes).map_err(too_long)?,
                    ValueRef::Blob(bytes) => packed.blob(bytes).map_err(too_long)?,
                }
            }
        }
        Ok(packed.finish())
    })
}

pub(crate) fn execute(sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
    on_open(|connection| {
        let changed = connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(params))?;
        Ok(changed as u64)
    })
}

pub(crate) fn execute_many(sql: &str, rows: &[u8]) -> Result<u64, Error> {
    on_open(|connection| {
        let outer = connection.is_autocommit();
        if outer {
            connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        let changed = (|| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut changed = 0;
            let broken = |error: seam_packed::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
            let mut cells = seam_packed::Cells::new(rows).map_err(broken)?;
            let columns = cells.columns() as usize;
            if columns != statement.parameter_count() {
                return Err(rusqlite::Error::InvalidParameterCount(columns, statement.parameter_count()));
            }
            while !cells.is_empty() {
                for column in 1..=columns {
                    statement.raw_bind_parameter(column, parameter(cells.read().map_err(broken)?))?;
                }
                changed += statement.raw_execute()? as u64;
            }
            Ok(changed)
        })();
        if outer {
            connection.execute_batch(if changed.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        }
        changed
    })
}

pub(crate) fn begin() -> Result<(), Error> {
    let sql = if two_phase::is_open() { "SAVEPOINT guest" } else { "BEGIN IMMEDIATE" };
    on_open(|connection| connection.execute_batch(sql))
}

pub(crate) fn commit() -> Result<(), Error> {
    let sql = if two_phase::is_open() { "RELEASE guest" } else { "COMMIT" };
    on_open(|connection| connection.execute_batch(sql))
}

pub(crate) fn rollback() -> Result<(), Error> {
    let sql = if two_phase::is_open() { "ROLLBACK TO guest; RELEASE guest" } else { "ROLLBACK" };
    // After some errors SQLite has rolled back already.
    on_open(|connection| if connection.is_autocommit() { Ok(()) } else { connection.execute_batch(sql) })
}

/// [`two_phase`](crate::two_phase) over the one file of the thread.
pub(crate) mod two_phase {
    use super::{Cell, on_open};
    pub use crate::bindings::seam::host::two_phase::Error;

    thread_local! {
        static IS_OPEN: Cell<bool> = const { Cell::new(false) };
    }

    pub fn is_open() -> bool {
        IS_OPEN.get()
    }

    pub fn begin() -> Result<(), Error> {
        let free = on_open(|connection| Ok(connection.is_autocommit()));
        if !free.map_err(|error| Error::Unavailable(error.to_string()))? {
            return Err(Error::Refused("a transaction is open already".into()));
        }
        on_open(|connection| connection.execute_batch("BEGIN IMMEDIATE"))
            .map_err(|error| Error::Busy(error.to_string()))?;
        IS_OPEN.set(true);
        Ok(())
    }

    pub fn commit() -> Result<(), Error> {
        if !IS_OPEN.replace(false) {
            return Err(Error::Refused("no transaction is open".into()));
        }
        on_open(|connection| connection.execute_batch("COMMIT")).map_err(|error| {
            let _ = on_open(|connection| connection.execute_batch("ROLLBACK"));
            Error::Aborted(error.to_string())
        })
    }

    pub fn rollback() {
        if IS_OPEN.replace(false) {
            let _ = on_open(|connection| connection.execute_batch("ROLLBACK"));
        }
    }
}

/// A packed value as a parameter.
fn parameter(cell: seam_packed::Cell<'_>) -> ToSqlOutput<'_> {
    use seam_packed::Cell;
    ToSqlOutput::Borrowed(match cell {
        Cell::Null => ValueRef::Null,
        Cell::Integer(value) => ValueRef::Integer(value),
        Cell::Real(value) => ValueRef::Real(value),
        Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        Cell::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

fn on_open<T>(work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
    OPEN.with_borrow(|open| match open {
        Some(connection) => work(connection).map_err(error),
        None => Err(Error::Unavailable("this thread has no open store".into())),
    })
}

fn error(error: rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::Constraint(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(text),
        Some(ErrorCode::DiskFull) => Error::Full(text),
        Some(ErrorCode::TooBig) => Error::TooLarge(text),
        Some(ErrorCode::AuthorizationForStatementDenied) => Error::Denied(text),
        Some(ErrorCode::OperationInterrupted) => Error::Interrupted(text),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseCorrupt) => {
            Error::Unavailable(text)
        }
        _ => Error::Invalid(text),
    }
}
