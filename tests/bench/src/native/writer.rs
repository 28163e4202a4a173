//! The one connection that writes to a file. Writers wait for it. Each transaction is a commit of its own, which is on
//! the disk before the client gets its answer, as in the host. Commits that several transactions share, which the host
//! has, are left out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// As much as the host gives the writer of a file.
const CACHE_KB: u32 = 16 * 1024;

pub struct Writer {
    connection: Mutex<Connection>,
    /// For how long transactions have held it, in microseconds.
    held_us: AtomicU64,
}

impl Writer {
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(file, flags).with_context(|| format!("cannot open {}", file.display()))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KB}; \
             PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY"
        ))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection: Mutex::new(connection), held_us: AtomicU64::new(0) })
    }

    /// All or nothing: an error of `work` undoes what it did. Blocks until the disk has it.
    pub fn transaction<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.connection.lock();
        let since = Instant::now();
        let done = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        let held = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.held_us.fetch_add(held, Ordering::Relaxed);
        done
    }

    pub fn held_us(&self) -> u64 {
        self.held_us.load(Ordering::Relaxed)
    }
}
