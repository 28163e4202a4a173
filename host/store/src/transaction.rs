//! A transaction of a context: begun when the writer's turn comes, rolled back at once when it is dropped.
//!
//! Invariant: whoever drops it (a return, a trap, a timeout, a panic) leaves the connection clean for the next one.
//! Not here: what a commit shares with others (`writer`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Queried;
use super::statistics::Counters;
use super::writer::{Lease, Outcome};
use super::{Database, Error, Value};
use crate::limits;

pub struct Transaction {
    database: Arc<Database>,
    /// `None` only while it is being ended.
    lease: Option<Lease>,
    /// No statement starts after it.
    ends: Instant,
    /// The error with which SQLite rolled all of it back; every further statement gets it again.
    failed: Option<Error>,
}

impl Transaction {
    pub(super) fn begin(database: Arc<Database>, deadline: Instant) -> Result<Self, Error> {
        let lease = database.writer.begin(deadline, &database.counters)?;
        let ends = Instant::now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        Ok(Self { database, lease: Some(lease), ends, failed: None })
    }

    /// Rows, packed; sees what this transaction wrote.
    pub fn query(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        Counters::add(&self.database.counters.reads, 1);
        self.run(deadline, |lease, deadline| match lease.link()?.query(sql, params, deadline)? {
            Queried::Rows(rows) => Ok(rows),
            Queried::Writes => Err(Error::Denied("this connection only reads".to_owned())),
        })
    }

    pub fn execute(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.database.counters.writes, 1);
        self.run(deadline, |lease, deadline| lease.link()?.execute(sql, params, deadline))
    }

    /// On an error the rows before it stay in the transaction.
    pub fn execute_many(&mut self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.database.counters.writes, 1);
        self.run(deadline, |lease, deadline| lease.link()?.execute_many(sql, rows, deadline))
    }

    /// Returns when the commit is durable.
    pub fn commit(self) -> Result<(), Error> {
        match self.finish() {
            Outcome::Durable => Ok(()),
            Outcome::Lost => Err(Error::Busy(
                "a transaction that shared the commit failed, and this one was undone with it; nothing was written"
                    .to_owned(),
            )),
            Outcome::Failed(error) => Err(error),
        }
    }

    pub fn rollback(self) {
        drop(self);
    }

    pub(super) fn finish(mut self) -> Outcome {
        if let Some(error) = self.failed.take() {
            return Outcome::Failed(error);
        }
        match self.lease.take() {
            Some(lease) => self.database.writer.commit(lease, &self.database.counters),
            None => Outcome::Failed(Error::Invalid("the transaction has ended".to_owned())),
        }
    }

    fn run<T>(&mut self, deadline: Instant, run: impl FnOnce(&Lease, Instant) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let lease = self.lease.as_mut().ok_or_else(|| Error::Invalid("the transaction has ended".to_owned()))?;
        if Instant::now() >= self.ends {
            let limit = limits::STORE_TRANSACTION_MS_MAX;
            return Err(Error::Interrupted(format!("the transaction held the writer for more than {limit} ms")));
        }
        let result = run(lease, deadline.min(self.ends));
        if let Err(error) = &result {
            Counters::add(&self.database.counters.failed, 1);
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
            self.database.writer.roll_back(lease, &self.database.counters);
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("failed", &self.failed).finish_non_exhaustive()
    }
}
