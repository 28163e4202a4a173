//! The host's own file, `host.db` in the data folder: what the host must know after a restart, however it ended.
//!
//! Invariant: when `change` returns, its work is on the disk; on an error, nothing of it is. Not here: the tables; each
//! part of the host that keeps something creates tables of its own.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::{blocking, limits, private};

#[derive(Debug, thiserror::Error)]
#[error("cannot use the host's own file `{}`", path.display())]
pub struct HostFileError {
    path: PathBuf,
    source: rusqlite::Error,
}

impl HostFileError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        format!("check that the host may read and write `{}` and that its disk has room", self.path.display())
    }
}

pub struct HostFile {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl HostFile {
    /// Opens the file in the folder `data`, or creates it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(data: &Path) -> Result<Self, HostFileError> {
        let path = data.join("host.db");
        let failed = |source| HostFileError { path: path.clone(), source };
        // An error that prevents the folder prevents the file too, and is reported then.
        private::folder(data).ok();
        // SQLite would create it readable for all, and who can read a file can lock it. Its log takes its mode.
        drop(private::new_file(&path));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        let set = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA busy_timeout = {};",
            limits::STORE_LOCK_WAIT_MS
        );
        connection.execute_batch(&set).map_err(failed)?;
        Ok(Self { path, connection: Mutex::new(connection) })
    }

    /// Runs `work` in one transaction that writes.
    ///
    /// # Errors
    /// When `work` or the commit fails. Nothing is changed then.
    pub fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, HostFileError> {
        let done = blocking::block_in_place(|| {
            let mut connection = self.connection.lock();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit().map(|()| value)
        });
        done.map_err(|source| HostFileError { path: self.path.clone(), source })
    }

    /// As `change`, but a power cut may undo it: for notes that may be old, and must cost no sync of the disk.
    ///
    /// # Errors
    /// As `change`.
    pub fn change_without_sync<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, HostFileError> {
        let done = blocking::block_in_place(|| {
            let mut connection = self.connection.lock();
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
            let changed = (|| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let value = work(&transaction)?;
                transaction.commit().map(|()| value)
            })();
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            changed
        });
        done.map_err(|source| HostFileError { path: self.path.clone(), source })
    }

    /// Runs `work`, which only reads.
    ///
    /// # Errors
    /// When `work` fails.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, HostFileError> {
        let done = blocking::block_in_place(|| work(&self.connection.lock()));
        done.map_err(|source| HostFileError { path: self.path.clone(), source })
    }
}
