//! One moment of several files that are in use: what a backup of a whole system copies.
//!
//! Commits of all files wait while every file's reader takes its snapshot, which touches no page; they go on before the
//! first page is copied. Invariant: what the snapshots show was committed in all files before anything that they do not
//! show. So a context's file never holds the effect of a call of which the caller's file does not hold the cause.
//! A file that no host uses is a moment of its own.
//! Not here: where copies go, what says that they belong together, what is asked of a snapshot (`examine`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::connection::{Connection, Role};
use crate::copy::{self, CopyError};
use crate::database::Database;
use crate::error::Error;
use crate::look::{Log, look};
use crate::open::{self, OpenError, open};
use crate::saga::{self, Reading, Saga, SagaAttempt, SagaFilter};
use crate::writer::Lease;
use crate::{blocking, damage, host_table, limits, schema};

/// A file as it was at the moment. While it lives, the file's write-ahead log is not cut.
pub struct Snapshot {
    pub(super) config: Config,
    pub(super) connection: Connection,
    /// Keeps the file open; `None` when no host uses it.
    _database: Option<Arc<Database>>,
}

/// The snapshots of all `databases` at one moment, in their order.
///
/// # Errors
/// When a file cannot be read, or a transaction does not end within `STORE_MOMENT_MS`. Commits go on in any case.
pub fn moment(databases: &[Arc<Database>]) -> Result<Vec<Snapshot>, CopyError> {
    blocking::block_in_place(|| {
        // Opening a connection is the slow part: before anything waits.
        let snapshots: Result<Vec<_>, CopyError> = databases
            .iter()
            .map(|database| {
                let (config, connection) = (database.config().clone(), open(database.config(), Role::Reader)?);
                Ok(Snapshot { config, connection, _database: Some(database.clone()) })
            })
            .collect();
        let snapshots = snapshots?;
        let mut held = Held { leases: Vec::new() };
        for database in databases {
            let deadline = database.config().clock.now() + Duration::from_millis(limits::STORE_MOMENT_MS);
            // No transaction waits for another file while it is open, so this cannot become a circle.
            held.leases.push((database, Some(database.writer.exclusive(deadline)?)));
        }
        for Snapshot { connection, .. } in &snapshots {
            connection.run_as_host(TAKE).map_err(|error| CopyError::Store(Error::of(&error)))?;
        }
        Ok(snapshots)
    })
}

/// The first read takes the snapshot.
const TAKE: &str = "BEGIN; SELECT count(*) FROM sqlite_schema";

/// The leases of the files whose commits wait; given back on every way out.
struct Held<'d> {
    leases: Vec<(&'d Arc<Database>, Option<Lease>)>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for (database, lease) in &mut self.leases {
            if let Some(lease) = lease.take() {
                database.writer.give_back(lease);
            }
        }
    }
}

impl Snapshot {
    pub(super) fn now(database: &Arc<Database>) -> Result<Self, CopyError> {
        let (config, connection) = (database.config().clone(), open(database.config(), Role::Reader)?);
        connection.run_as_host(TAKE).map_err(|error| CopyError::Store(Error::of(&error)))?;
        Ok(Self { config, connection, _database: Some(database.clone()) })
    }

    /// The file of a host that is stopped, with its write-ahead log. Changes neither.
    ///
    /// # Errors
    /// When it cannot be read as a database.
    pub fn of_stopped(config: &Config) -> Result<Self, OpenError> {
        Self::looked_at(config, Log::Read)
    }

    /// A file that no process changes and that has no log: that of a backup.
    ///
    /// # Errors
    /// When it cannot be read as a database.
    pub fn of_copy(config: &Config) -> Result<Self, OpenError> {
        Self::looked_at(config, Log::Left)
    }

    fn looked_at(config: &Config, log: Log) -> Result<Self, OpenError> {
        let failed = |source| open::failed(&config.path, source);
        let connection = open::confined(look(config, log)?, config, Role::Reader).map_err(failed)?;
        connection.run_as_host(TAKE).map_err(failed)?;
        Ok(Self { config: config.clone(), connection, _database: None })
    }

    /// How many migrations the file had.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schema(&self) -> Result<u32, Error> {
        schema::number(self.connection.sqlite()).map_err(|error| Error::of(&error))
    }

    /// As `Database::saga`. The host that opens the file next does not know more: what may have been performed since it
    /// was written is in doubt.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn saga(&self, kind: &str, id: &str) -> Result<Option<Saga>, Error> {
        self.read_sagas(|sagas| sagas.saga(kind, id))
    }

    /// As `Database::sagas`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sagas(&self, filter: &SagaFilter, skip: u32, count: u32) -> Result<Vec<Saga>, Error> {
        self.read_sagas(|sagas| sagas.sagas(filter, skip, count))
    }

    /// As `Database::saga_timeline`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn saga_timeline(&self, kind: &str, id: &str) -> Result<Vec<SagaAttempt>, Error> {
        self.read_sagas(|sagas| sagas.timeline(kind, id))
    }

    fn read_sagas<T: Default>(&self, read: impl FnOnce(Reading<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let sqlite = self.connection.sqlite();
        let found = match host_table::exists(sqlite, saga::TABLE) {
            // No opening of a file has this number.
            Ok(true) => read(Reading { sqlite, opened: -1 }),
            Ok(false) => Ok(T::default()),
            Err(error) => Err(error),
        };
        found.map_err(|error| Error::of(&error))
    }

    /// Writes the file as it was to `path`: it is on the disk when this returns, and absent when this fails.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn write(&self, path: &Path) -> Result<(), CopyError> {
        blocking::block_in_place(|| copy::to_file(self.connection.sqlite(), &self.config, path))
    }
}

impl Database {
    /// Whether every page can be read and every index fits its table.
    ///
    /// # Errors
    /// What does not fit, or why the file cannot be read.
    pub fn quick_check(&self) -> Result<(), Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        let found = blocking::block_in_place(|| damage::found_in(connection.sqlite()));
        match found.map_err(|error| self.failed(connection, &error))? {
            None => Ok(()),
            Some(found) => Err(Error::Unavailable(format!("the file is damaged: {found}"))),
        }
    }
}
