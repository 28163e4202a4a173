//! A context's file as the rest of the host sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::connection::{Config, OpenError, Queried};
use super::readers::Readers;
use super::statistics::{Counters, Statistics};
use super::transaction::Transaction;
use super::writer::{Outcome, Writer};
use super::{Error, Value, sql};
use crate::handoff;

/// How often a statement of its own is run again when others' failures undo it. The chance to be undone twice is small, three times none.
const ATTEMPTS: u32 = 3;

/// Readers are closed before the writer, so that the writer's closing is the last and leaves no WAL behind.
pub struct Database {
    readers: Readers,
    pub(super) writer: Writer,
    pub(super) counters: Counters,
    config: Config,
}

impl Database {
    /// Opens the file, or makes it. Blocks for as long as recovering a WAL takes.
    pub fn open(config: Config) -> Result<Arc<Self>, OpenError> {
        if let Some(folder) = config.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| OpenError::Folder { path: config.path.clone(), source })?;
        }
        handoff::blocking(|| {
            let writer = Writer::open(config.clone())?;
            let readers = Readers::open(config.clone())?;
            Ok(Arc::new(Self { readers, writer, counters: Counters::default(), config }))
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// Rows of one statement, packed as `rows` says, from a snapshot of the last commit. One that writes (`... RETURNING`) is a
    /// transaction of its own.
    pub fn query(self: &Arc<Self>, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        self.query_or_write(sql, params, deadline).map(|(rows, _)| rows)
    }

    /// The same, with whether the statement wrote.
    pub fn query_or_write(
        self: &Arc<Self>,
        sql: &str,
        params: &[Value<'_>],
        deadline: Instant,
    ) -> Result<(Vec<u8>, bool), Error> {
        Counters::add(&self.counters.reads, 1);
        let reader = self.readers.get(deadline)?;
        let result = reader.link().and_then(|link| link.query(sql, params, deadline));
        match result {
            Ok(Queried::Rows(rows)) => Ok((rows, false)),
            Ok(Queried::Writes) => {
                drop(reader);
                let rows = self.in_own_transaction(deadline, |tx| tx.query(sql, params, deadline))?;
                Ok((rows, true))
            }
            Err(error) => {
                Counters::add(&self.counters.failed, 1);
                if matches!(error, Error::Unavailable(_)) {
                    reader.discard();
                }
                Err(error)
            }
        }
    }

    /// One writing statement as a transaction of its own; how many rows it changed.
    pub fn execute(self: &Arc<Self>, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        self.in_own_transaction(deadline, |tx| tx.execute(sql, params, deadline))
    }

    /// The same statement for all packed rows, as one transaction.
    pub fn execute_many(self: &Arc<Self>, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        self.in_own_transaction(deadline, |tx| tx.execute_many(sql, rows, deadline))
    }

    /// All statements of a script in one transaction: for tools. The error is that of the statement in that line.
    pub fn script(self: &Arc<Self>, script: &str, deadline: Instant) -> Result<(), (usize, Error)> {
        let mut tx = self.begin(deadline).map_err(|error| (1, error))?;
        for statement in sql::statements(script) {
            tx.execute(statement.sql, &[], deadline).map_err(|error| (statement.line, error))?;
        }
        tx.commit().map_err(|error| (1, error))
    }

    /// Waits for the writer until `deadline`.
    pub fn begin(self: &Arc<Self>, deadline: Instant) -> Result<Transaction, Error> {
        Transaction::begin(self.clone(), deadline)
    }

    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.counters, &self.config.path, self.writer.waiting(), self.readers.count())
    }

    fn in_own_transaction<T>(
        self: &Arc<Self>,
        deadline: Instant,
        mut run: impl FnMut(&mut Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let mut tx = self.begin(deadline)?;
            let value = run(&mut tx)?;
            match tx.finish() {
                Outcome::Durable => return Ok(value),
                Outcome::Failed(error) => return Err(error),
                Outcome::Lost => {}
            }
        }
        Err(Error::Busy("transactions that shared the commit failed again and again; nothing was written".to_owned()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.config.path).finish_non_exhaustive()
    }
}
