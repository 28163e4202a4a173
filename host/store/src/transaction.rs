//! A transaction of a context. It begins when it gets the writer's lease, and is rolled back when it is dropped.
//!
//! Invariant: however it is dropped (a return, a trap, a timeout, a panic), the connection is clean for the next one.
//! Not here: how transactions share a commit (`writer`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::Queried;
use crate::error::Error;
use crate::redo::{Action, Outcome, Redo, Step};
use crate::rows::{Value, pack};
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
    /// What it has written, if it is a part of another file's transaction.
    redo: Option<Redo>,
}

impl Transaction {
    pub(super) fn begin(writer: Arc<Writer>, deadline: Instant) -> Result<Self, Error> {
        let lease = writer.begin(deadline)?;
        Ok(Self::with(writer, lease, None))
    }

    /// One that commits with no other. With `redo`, it notes what it writes.
    pub(super) fn begin_alone(writer: Arc<Writer>, deadline: Instant, redo: bool) -> Result<Self, Error> {
        let lease = writer.begin_alone(deadline)?;
        Ok(Self::with(writer, lease, redo.then(Redo::default)))
    }

    /// One in a file that is in doubt.
    pub(super) fn begin_in_doubt(writer: Arc<Writer>, deadline: Instant) -> Result<Self, Error> {
        let lease = writer.begin_in_doubt(deadline)?;
        Ok(Self::with(writer, lease, None))
    }

    fn with(writer: Arc<Writer>, lease: Lease, redo: Option<Redo>) -> Self {
        let ends = writer.config().clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        Self { writer, lease: Some(lease), ends, failed: None, publishes: false, moves_sagas: false, redo }
    }

    /// Rows, packed. Sees what this transaction wrote.
    pub fn query(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        Counters::add(&self.writer.counters.reads, 1);
        let packed = |_: &Redo| pack(params, limits::TWO_PHASE_STEP_BYTES_MAX);
        self.write(Action::Query, sql, packed, deadline, |lease, deadline| {
            match lease.connection()?.query(sql, params, deadline)? {
                Queried::Rows(rows) => Ok(rows),
                Queried::Writes => Err(Error::Denied("this connection only reads".to_owned())),
            }
        })
    }

    pub fn execute(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.writer.counters.writes, 1);
        let packed = |_: &Redo| pack(params, limits::TWO_PHASE_STEP_BYTES_MAX);
        self.write(Action::Execute, sql, packed, deadline, |lease, deadline| {
            lease.connection()?.execute(sql, params, deadline)
        })
    }

    /// On an error the rows before it stay in the transaction, unless it is a part of another file's.
    pub fn execute_many(&mut self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        Counters::add(&self.writer.counters.writes, 1);
        let packed = |_: &Redo| Ok(rows.to_vec());
        self.write(Action::ExecuteMany, sql, packed, deadline, |lease, deadline| {
            lease.connection()?.execute_many(sql, rows, deadline)
        })
    }

    /// Runs a context's statement. In a part of another file's transaction, what it writes is noted, and undone as a
    /// whole when it fails.
    fn write<T: Outcome>(
        &mut self,
        action: Action,
        sql: &str,
        rows: impl FnOnce(&Redo) -> Result<Vec<u8>, Error>,
        deadline: Instant,
        run: impl FnOnce(&Lease, Instant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.redo.is_none() {
            return self.run(deadline, run);
        }
        if !self.run(deadline, |lease, deadline| lease.connection()?.writes_the_same_again(sql, deadline))? {
            return self.run(deadline, run);
        }
        self.note(action, sql, rows, |transaction| transaction.run(deadline, run))
    }

    /// Runs `work` and notes it as a step.
    fn note<T: Outcome>(
        &mut self,
        action: Action,
        sql: &str,
        rows: impl FnOnce(&Redo) -> Result<Vec<u8>, Error>,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(redo) = &self.redo else { return work(self) };
        let rows = rows(redo)?;
        redo.room_for(sql, &rows)?;
        self.savepoint(STEP)?;
        match work(self) {
            Ok(value) => {
                self.end_savepoint(STEP, false)?;
                let check = value.check();
                if let Some(redo) = &mut self.redo {
                    redo.push(Step { action, sql: sql.to_owned(), rows, check });
                }
                Ok(value)
            }
            Err(error) => {
                // If SQLite has undone all of it, the next statement says so.
                self.roll_back_to(STEP).ok();
                Err(error)
            }
        }
    }

    /// As `as_host`, for what a step of a redo can write again: these values, by `action`.
    pub(super) fn as_host_noted<T>(
        &mut self,
        action: Action,
        values: &[Value<'_>],
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut result = None;
        let ends = self.ends;
        self.note(
            action,
            "",
            |_| pack(values, limits::TWO_PHASE_STEP_BYTES_MAX),
            |transaction| {
                result = Some(transaction.run_as_host(ends, run)?);
                Ok(())
            },
        )?;
        result.ok_or_else(|| Error::Invalid("the transaction has ended".to_owned()))
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

    /// Undoes it. Returns when what it read of other transactions is durable.
    ///
    /// # Errors
    /// `Busy`: what it read was undone too, so nothing that follows from it holds.
    pub fn rollback(mut self) -> Result<(), Error> {
        self.lease.take().map_or(Ok(()), |lease| self.writer.roll_back(lease))
    }

    #[cfg(test)]
    pub fn lose_connection(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.lose_connection();
        }
    }

    pub(super) fn finish(self) -> CommitOutcome {
        self.finish_by(Writer::commit)
    }

    /// As `finish`, for one that began alone. `before_next` gets the outcome before another one can begin.
    pub(super) fn finish_alone(self, before_next: impl FnOnce(&CommitOutcome)) -> CommitOutcome {
        self.finish_by(|writer, lease| writer.commit_alone(lease, before_next))
    }

    fn finish_by(mut self, commit: impl FnOnce(&Writer, Lease) -> CommitOutcome) -> CommitOutcome {
        if let Some(error) = self.failed.take() {
            return CommitOutcome::Failed(error);
        }
        if self.publishes && fault::fails("outbox.before-commit") {
            return CommitOutcome::Failed(fault::error());
        }
        let Some(lease) = self.lease.take() else {
            return CommitOutcome::Failed(Error::Invalid("the transaction has ended".to_owned()));
        };
        let outcome = commit(&self.writer, lease);
        if matches!(outcome, CommitOutcome::Durable) {
            Counters::add(&self.writer.counters.commits, 1);
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
        if self.redo.is_some() {
            let why = "this cannot be written again after a crash, so it cannot be a part of another context's \
                       transaction over several files; do it before or afterwards";
            return Err(Error::Denied(why.to_owned()));
        }
        self.run_as_host(self.ends, run)
    }

    /// The host's statements are bounded by what they are, not by a deadline.
    pub(super) fn run_as_host<T>(
        &mut self,
        deadline: Instant,
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.run(deadline, |lease, _| {
            let connection = lease.connection()?;
            run(connection.sqlite()).map_err(|error| connection.explain(&error))
        })
    }

    /// When its last statement may start.
    pub(super) fn ends(&self) -> Instant {
        self.ends
    }

    /// What it has written, as far as it notes that.
    pub(super) fn steps(&self) -> &[Step] {
        self.redo.as_ref().map_or(&[], Redo::steps)
    }

    /// Ends it by `end`, which gets what commits or rolls it back.
    pub(super) fn end_by<T>(mut self, end: impl FnOnce(&Writer, Lease) -> Result<T, Error>) -> Result<T, Error> {
        match (self.failed.take(), self.lease.take()) {
            (Some(error), lease) => {
                self.lease = lease;
                Err(error)
            }
            (None, Some(lease)) => end(&self.writer, lease),
            (None, None) => Err(Error::Invalid("the transaction has ended".to_owned())),
        }
    }

    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// Runs `look` on its connection.
    pub(super) fn on_connection<T>(
        &mut self,
        look: impl FnOnce(&crate::connection::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.run(self.ends, |lease, _| look(lease.connection()?))
    }

    /// Opens a savepoint inside the transaction. Savepoints nest.
    ///
    /// # Errors
    /// As for a statement.
    pub fn savepoint(&mut self, name: &'static str) -> Result<(), Error> {
        self.run_as_host(self.ends, |sqlite| sqlite.execute_batch(&format!("SAVEPOINT seam_{name}")))?;
        self.redo.iter_mut().for_each(|redo| redo.savepoint(name));
        Ok(())
    }

    /// Undoes what was done since the last savepoint of this name, and ends it.
    ///
    /// # Errors
    /// As for a statement.
    pub fn roll_back_to(&mut self, name: &'static str) -> Result<(), Error> {
        self.end_savepoint(name, true)
    }

    /// Ends the last savepoint of this name and keeps what was done since.
    ///
    /// # Errors
    /// As for a statement, and when rows violate deferred foreign keys.
    pub fn release(&mut self, name: &'static str) -> Result<(), Error> {
        self.check_deferred_keys()?;
        self.end_savepoint(name, false)
    }

    /// # Errors
    /// When rows violate foreign keys that SQLite checks at the end of the transaction.
    pub fn check_deferred_keys(&mut self) -> Result<(), Error> {
        self.on_connection(|connection| match connection.violates_deferred_keys() {
            true => Err(Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned())),
            false => Ok(()),
        })
    }

    /// Ends a savepoint; with `undo`, what was done since is gone.
    pub(super) fn end_savepoint(&mut self, name: &'static str, undo: bool) -> Result<(), Error> {
        let back = if undo { format!("ROLLBACK TO seam_{name}; ") } else { String::new() };
        self.run_as_host(self.ends, |sqlite| sqlite.execute_batch(&format!("{back}RELEASE seam_{name}")))?;
        self.redo.iter_mut().for_each(|redo| redo.end_savepoint(name, undo));
        Ok(())
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

/// The savepoint around one step of a redo.
pub(super) const STEP: &str = "step";

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            // For one that is dropped, no answer follows from what it read.
            self.writer.roll_back(lease).ok();
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("failed", &self.failed).finish_non_exhaustive()
    }
}
