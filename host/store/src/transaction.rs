//! A transaction of a context. It begins when it gets the writer's lease, and is rolled back when it is dropped.
//!
//! Invariant: however it is dropped (a return, a trap, a timeout, a panic), the connection is clean for the next one.
//! Not here: how transactions share a commit (`writer`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::Queried;
use crate::error::Error;
use crate::rows::Value;
use crate::sql::{Script, Statement};
use crate::statistics::Counters;
use crate::writer::{CommitOutcome, Lease, Writer};
use crate::{fault, limits};

pub struct Transaction {
    writer: Arc<Writer>,
    /// `None` only while it is being ended.
    lease: Option<Lease>,
    /// No statement starts after it.
    ends: Instant,
    /// The error with which SQLite rolled all of it back. Every further statement gets the same error.
    failed: Option<Error>,
    /// Whether it has added to the outbox.
    pub(super) publishes: bool,
    /// Whether it has changed sagas.
    pub(super) moves_sagas: bool,
}

impl Transaction {
    pub(super) fn begin(writer: Arc<Writer>, deadline: Instant) -> Result<Self, Error> {
        let lease = writer.begin(deadline)?;
        let ends = writer.config().clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        Ok(Self { writer, lease: Some(lease), ends, failed: None, publishes: false, moves_sagas: false })
    }

    /// Rows, packed. Sees what this transaction wrote.
    pub fn query(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        Counters::add(&self.writer.counters.reads, 1);
        self.run(deadline, |lease, deadline| match lease.connection()?.query(sql, params, deadline)? {
            Queried::Rows(rows) => Ok(rows),
            Queried::Writes => Err(Error::Denied("this connection only reads".to_owned())),
        })
    }

    pub fn execute(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.writer.counters.writes, 1);
        self.run(deadline, |lease, deadline| lease.connection()?.execute(sql, params, deadline))
    }

    /// On an error the rows before it stay in the transaction.
    pub fn execute_many(&mut self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.writer.counters.writes, 1);
        self.run(deadline, |lease, deadline| lease.connection()?.execute_many(sql, rows, deadline))
    }

    /// The next statement of `script`. Nothing is run.
    pub(super) fn next_of(&mut self, script: &mut Script, deadline: Instant) -> Result<Option<Statement>, Error> {
        self.run(deadline, |lease, deadline| lease.connection()?.next_of(script, deadline))
    }

    /// Returns when the commit is durable.
    pub fn commit(self) -> Result<(), Error> {
        match self.finish() {
            CommitOutcome::Durable => Ok(()),
            CommitOutcome::Lost => Err(Error::Busy(
                "another transaction of the group failed, and SQLite undid this one with it; nothing was written"
                    .to_owned(),
            )),
            CommitOutcome::Failed(error) => Err(error),
        }
    }

    pub fn rollback(self) {
        drop(self);
    }

    pub(super) fn finish(mut self) -> CommitOutcome {
        if let Some(error) = self.failed.take() {
            return CommitOutcome::Failed(error);
        }
        if self.publishes && fault::fails("outbox.before-commit") {
            return CommitOutcome::Failed(fault::error());
        }
        let Some(lease) = self.lease.take() else {
            return CommitOutcome::Failed(Error::Invalid("the transaction has ended".to_owned()));
        };
        let outcome = self.writer.commit(lease);
        if matches!(outcome, CommitOutcome::Durable) {
            if self.publishes {
                fault::point("outbox.after-commit");
                self.writer.published.ring();
            }
            if self.moves_sagas {
                self.writer.sagas.ring();
            }
        }
        outcome
    }

    /// The number of this opening of the file.
    pub(super) fn opened(&self) -> i64 {
        self.writer.opened
    }

    /// Runs statements of the host as a part of the transaction.
    pub(super) fn as_host<T>(
        &mut self,
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        // The host's statements are bounded by what they are, not by a deadline.
        self.run(self.ends, |lease, _| {
            let connection = lease.connection()?;
            run(connection.sqlite()).map_err(|error| connection.explain(&error))
        })
    }

    /// Opens a savepoint inside the transaction. Savepoints nest.
    ///
    /// # Errors
    /// As for a statement.
    pub fn savepoint(&mut self, name: &'static str) -> Result<(), Error> {
        self.as_host(|sqlite| sqlite.execute_batch(&format!("SAVEPOINT seam_{name}")))
    }

    /// Undoes what was done since the last savepoint of this name, and ends it.
    ///
    /// # Errors
    /// As for a statement.
    pub fn roll_back_to(&mut self, name: &'static str) -> Result<(), Error> {
        self.as_host(|sqlite| sqlite.execute_batch(&format!("ROLLBACK TO seam_{name}; RELEASE seam_{name}")))
    }

    /// Ends the last savepoint of this name and keeps what was done since.
    ///
    /// # Errors
    /// As for a statement, and when rows violate deferred foreign keys.
    pub fn release(&mut self, name: &'static str) -> Result<(), Error> {
        self.run(self.ends, |lease, _| {
            let connection = lease.connection()?;
            if connection.violates_deferred_keys() {
                return Err(Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned()));
            }
            connection.run_as_host(&format!("RELEASE seam_{name}")).map_err(|error| connection.explain(&error))
        })
    }

    fn run<T>(&mut self, deadline: Instant, run: impl FnOnce(&Lease, Instant) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let lease = self.lease.as_mut().ok_or_else(|| Error::Invalid("the transaction has ended".to_owned()))?;
        if self.writer.config().clock.now() >= self.ends {
            let limit = limits::STORE_TRANSACTION_MS_MAX;
            return Err(Error::Interrupted(format!("the transaction held the writer for more than {limit} ms")));
        }
        let mut result = run(lease, deadline.min(self.ends));
        if result.is_ok() && lease.was_lost() {
            // The wall behind `program`, which refuses every statement that can do this.
            result = Err(Error::Unavailable("a statement has ended the transaction".to_owned()));
        }
        if let Err(error) = &result {
            Counters::add(&self.writer.counters.failed, 1);
            if let Ok(connection) = lease.connection() {
                self.writer.note_failure(connection, error);
            }
            if lease.was_lost() {
                self.failed = Some(error.clone());
            }
        }
        result
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.writer.roll_back(lease);
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("failed", &self.failed).finish_non_exhaustive()
    }
}
