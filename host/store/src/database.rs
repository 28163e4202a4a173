//! A context's file as the rest of the host sees it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::bell::Listener;
use crate::clock::Clock;
use crate::config::Config;
use crate::connection::{Connection, Queried};
use crate::error::Error;
use crate::health::Trouble;
use crate::host_table;
use crate::key::KeySource;
use crate::mark::Mark;
use crate::open::OpenError;
use crate::readers::{Reader, Readers};
use crate::row_seals::Verified;
use crate::rows::Value;
use crate::sql::Script;
use crate::statistics::{Counters, Statistics, wal_bytes};
use crate::transaction::Transaction;
use crate::writer::{CommitOutcome, Writer};
use crate::{blocking, encrypting, limits, private, row_seals, sealing};

/// How often a statement without a transaction of its context runs when failures of other transactions undo it. To be
/// undone twice is rare, and three times does not happen.
const TRIES_MAX: u32 = 3;

/// The readers are closed before the writer: it is the last to close and leaves no write-ahead log behind.
pub struct Database {
    readers: Readers,
    pub(super) writer: Arc<Writer>,
}

impl Database {
    /// Opens the file, or creates it. Blocks while SQLite recovers a write-ahead log.
    ///
    /// # Errors
    /// When the file cannot be opened as the context's own database, or its first connections cannot be set up.
    pub fn open(config: Config) -> Result<Arc<Self>, OpenError> {
        if let Some(folder) = config.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            private::folder(folder).map_err(|source| OpenError::Folder { path: config.path.clone(), source })?;
        }
        blocking::block_in_place(|| {
            encrypting::ready(&config)?;
            // Before a key of the seals is made: a file without its key cannot be opened.
            config.key.as_ref().map(KeySource::read).transpose()?;
            sealing::ready(&config)?;
            let writer = Arc::new(Writer::open(config.clone())?);
            let readers = Readers::open(config, writer.health.clone())?;
            Ok(Arc::new(Self { readers, writer }))
        })
    }

    pub(super) fn config(&self) -> &Config {
        self.writer.config()
    }

    pub fn path(&self) -> &Path {
        &self.config().path
    }

    /// Rows of one statement, packed as `rows` says, from a snapshot of the last commit. A statement that writes (`...
    /// RETURNING`) is a transaction of its own.
    pub fn query(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        match self.read(sql, params, deadline)? {
            Some(rows) => Ok(rows),
            None => self.write_and_read(sql, params, deadline),
        }
    }

    /// The rows of one writing statement (`... RETURNING`), as a transaction of its own.
    pub fn write_and_read(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        self.in_own_transaction(deadline, |tx| tx.query(sql, params, deadline))
    }

    /// As `query` for a statement that only reads; `None`, and nothing done, if it writes.
    pub fn read(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Option<Vec<u8>>, Error> {
        Counters::add(&self.writer.counters.reads, 1);
        let reader = self.readers.get(deadline)?;
        let result = reader.connection().and_then(|connection| connection.query(sql, params, deadline));
        match result {
            Ok(Queried::Rows(rows)) => Ok(Some(rows)),
            Ok(Queried::Writes) => Ok(None),
            Err(error) => {
                Counters::add(&self.writer.counters.failed, 1);
                if matches!(error, Error::Unavailable(_)) {
                    if let Ok(connection) = reader.connection() {
                        self.writer.note_failure(connection, &error);
                    }
                    reader.discard();
                }
                Err(error)
            }
        }
    }

    /// One writing statement as a transaction of its own; how many rows it changed.
    pub fn execute(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        self.in_own_transaction(deadline, |tx| tx.execute(sql, params, deadline))
    }

    /// The same statement for all packed rows, as one transaction.
    pub fn execute_many(&self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        self.in_own_transaction(deadline, |tx| tx.execute_many(sql, rows, deadline))
    }

    /// The clock that this store runs by.
    pub fn clock(&self) -> &Clock {
        &self.config().clock
    }

    /// All statements of a script in one transaction, for tools. The error comes with the line of its statement.
    pub fn script(&self, script: &str, deadline: Instant) -> Result<(), (usize, Error)> {
        let first = |error| (1, error);
        let mut script = Script::new(script).map_err(first)?;
        let mut tx = self.begin(deadline).map_err(first)?;
        while let Some(statement) = tx.next_of(&mut script, deadline).map_err(first)? {
            tx.execute(&statement.sql, &[], deadline).map_err(|error| (statement.line(None), error))?;
        }
        tx.commit().map_err(|error| (1, error))
    }

    /// Waits for the writer until `deadline`.
    pub fn begin(&self, deadline: Instant) -> Result<Transaction, Error> {
        Transaction::begin(self.writer.clone(), deadline)
    }

    /// What the file says of itself now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn mark(&self) -> Result<Option<Mark>, Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        Mark::read(connection.sqlite()).map_err(|error| self.failed(connection, &error))
    }

    /// Compares all sealed rows with their seals. Without any, nothing is compared.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify_seals(&self) -> Result<Verified, Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        let key = self.config().seal.as_ref().map(crate::seal::Seal::key).transpose();
        let Some(key) = key.map_err(|error| Error::Unavailable(crate::error::chain(&error)))?.flatten() else {
            return Ok(Verified { whole: true, ..Verified::default() });
        };
        let verified = blocking::block_in_place(|| row_seals::verify(connection.sqlite(), &key, None));
        verified.map_err(|error| self.failed(connection, &error))
    }

    /// Why the store does not work as it should, through no fault of its context.
    pub fn trouble(&self) -> Option<Trouble> {
        self.writer.health.trouble()
    }

    /// Whether there is a `trouble`. Costs two loads.
    pub fn is_troubled(&self) -> bool {
        self.writer.health.is_troubled()
    }

    /// Whether no statement begins any more: the host stops, or the file belongs to another host.
    pub fn is_closed(&self) -> bool {
        self.writer.health.is_closed()
    }

    /// Whether the file is gone or damaged: the store can neither be read nor written.
    pub fn is_fenced(&self) -> bool {
        self.writer.health.is_fenced()
    }

    /// Another value than before when something was committed since, or may have been. Costs three loads; `None` while
    /// that cannot be said.
    pub fn activity(&self) -> Option<(u64, u64)> {
        let commits = self.writer.counters.commits.load(Relaxed);
        (!self.is_troubled()).then(|| (commits, self.host_failures()))
    }

    /// Statements and commits that failed through no fault of the context.
    pub fn host_failures(&self) -> u64 {
        self.writer.health.failures.load(Relaxed)
    }

    /// Looks whether the file is still there and, after a trouble, whether its disk takes commits again.
    pub fn tend(&self) {
        blocking::block_in_place(|| self.writer.tend());
    }

    /// Ends the work with the file: copies its log back and closes it, so that no log is left. From now on every
    /// statement gets `unavailable`. Waits `STORE_CLOSE_MS_MAX` for a running transaction.
    ///
    /// # Errors
    /// Why a log is left.
    pub fn close(&self) -> Result<(), String> {
        self.writer.health.close();
        let reading = self.readers.close();
        blocking::block_in_place(|| self.writer.close()).map_err(|error| error.to_string())?;
        match wal_bytes(self.path()) {
            0 => Ok(()),
            bytes => Err(format!("its write-ahead log has {bytes} bytes; {reading} statements still read")),
        }
    }

    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.writer.counters, self.path(), self.writer.waiting(), self.readers.count())
    }

    /// Statements that contexts have run lately, without their values.
    pub fn statements(&self) -> Vec<String> {
        let mut all = std::collections::BTreeSet::new();
        self.readers.each_idle(|connection| connection.statements(&mut all));
        self.writer.if_idle(|connection| connection.statements(&mut all));
        all.into_iter().collect()
    }

    /// Empties what `statements` lists. Statements of connections that are in use stay.
    pub fn forget_statements(&self) {
        self.readers.each_idle(|connection| connection.sqlite().flush_prepared_statement_cache());
        self.writer.if_idle(|connection| connection.sqlite().flush_prepared_statement_cache());
    }

    /// Whether a context's statement fits the file's schema. The statement is not run.
    ///
    /// # Errors
    /// Why it does not fit.
    pub fn accepts(&self, sql: &str) -> Result<(), Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        // Preparing alone does not notice that another connection changed the schema; running something does.
        connection.run_as_host("SELECT 1 FROM sqlite_schema LIMIT 1").map_err(|e| Error::of(&e))?;
        connection.accepts(sql)
    }

    /// What a failure of one of the host's own questions means; a file that it shows to be damaged is fenced.
    pub(super) fn failed(&self, connection: &Connection, error: &rusqlite::Error) -> Error {
        let meaning = connection.explain(error);
        self.writer.note_failure(connection, &meaning);
        meaning
    }

    /// Has `listener` called after each commit that added events, until its last owner drops it.
    pub fn listen(&self, listener: &Arc<Listener>) {
        self.writer.published.listen(listener);
    }

    /// What `read` finds in the host's table `table`; nothing if the file has no such table.
    pub(super) fn read_as_host<T: Default>(
        &self,
        table: &str,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        let sqlite = connection.sqlite();
        // Most files that are asked have the table: only one that fails is looked at.
        let found = match read(sqlite) {
            Err(error) => match host_table::exists(sqlite, table) {
                Ok(false) => Ok(T::default()),
                _ => Err(error),
            },
            found => found,
        };
        found.map_err(|error| self.failed(connection, &error))
    }

    /// Changes rows of the host in a transaction of its own, which shares its commit with others.
    pub(super) fn write_as_host<T>(
        &self,
        mut write: impl FnMut(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let deadline = self.config().clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        self.in_own_transaction(deadline, |tx| tx.as_host(&mut write))
    }

    /// A reader for the host's own questions.
    pub(super) fn reader(&self) -> Result<Reader<'_>, Error> {
        let wait = Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
        self.readers.get(self.config().clock.now() + wait)
    }

    /// Runs statements as a transaction of their own, again if failures of others undo it.
    pub(super) fn in_own_transaction<T>(
        &self,
        deadline: Instant,
        mut run: impl FnMut(&mut Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..TRIES_MAX {
            let mut tx = self.begin(deadline)?;
            let value = match run(&mut tx) {
                Ok(value) => value,
                Err(error) => match tx.rollback() {
                    Ok(()) => return Err(error),
                    // The error may come from rows that were undone.
                    Err(_) => continue,
                },
            };
            match tx.finish() {
                CommitOutcome::Durable => return Ok(value),
                CommitOutcome::Failed(error) => return Err(error),
                CommitOutcome::Lost => {}
            }
        }
        Err(Error::Busy("other transactions of the group failed again and again; nothing was written".to_owned()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path()).finish_non_exhaustive()
    }
}
