//! One moment of several files that are in use: what a backup of a whole system copies.
//!
//! Commits of all files wait while every file's reader takes its snapshot, which touches no page; they go on before the
//! first page is copied. Invariant: what the snapshots show was committed in all files before anything that they do not
//! show. So a context's file never holds the effect of a call of which the caller's file does not hold the cause.
//! Not here: where copies go, and what says that they belong together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Connection, Role};
use crate::copy::{self, CopyError};
use crate::database::Database;
use crate::error::Error;
use crate::open::open;
use crate::writer::Lease;
use crate::{blocking, damage, limits, schema};

/// A file as it was at the moment. While it lives, the file's write-ahead log is not cut.
pub struct Snapshot {
    database: Arc<Database>,
    connection: Connection,
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
                let connection = open(database.config(), Role::Reader)?;
                Ok(Snapshot { database: database.clone(), connection })
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
            // The first read takes the snapshot.
            let read = connection.run_as_host("BEGIN; SELECT count(*) FROM sqlite_schema");
            read.map_err(|error| CopyError::Store(Error::of(&error)))?;
        }
        Ok(snapshots)
    })
}

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
    /// How many migrations the file had.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schema(&self) -> Result<u32, Error> {
        schema::number(self.connection.sqlite()).map_err(|error| Error::of(&error))
    }

    /// Writes the file as it was to `path`: it is on the disk when this returns, and absent when this fails.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn write(&self, path: &Path) -> Result<(), CopyError> {
        blocking::block_in_place(|| copy::to_file(self.connection.sqlite(), self.database.config(), path))
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
