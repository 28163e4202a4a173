//! Transactions over several files: two-phase commit with presumed abort, in which the coordinator is the last agent.
//!
//! The context that begins one is its coordinator. The others take part by a *branch*: a transaction that notes what it
//! writes. At the end each branch with writes votes: its promise to commit is on the disk (`votes`). Then the
//! coordinator commits its own writes together with the decision, one row. With that commit the transaction is
//! committed; without the row it is rolled back. Then the branches commit, each with a mark of the promise that it has
//! kept.
//! Invariants: from its vote to its end, nothing else is written to a file: its writer is held, and once that is not
//! possible, the file is in doubt, also after a crash. A decision is forgotten when no promise waits for it any more.
//! Not here: who takes part, who asks whom after a crash.

use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::health::Doubt;
use crate::host_table::{self, signed, unsigned};
use crate::mark::Mark;
use crate::outbox::NewEvent;
use crate::redo::{Action, Outcome, Step};
use crate::rows::{Rows, Value};
use crate::transaction::{STEP, Transaction};
use crate::votes::{self, Ballot, Forced, Vote};
use crate::writer::{CommitOutcome, Lease, Writer};
use crate::{blocking, fault, limits};

/// That a transaction over several files is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// 32 hex digits.
    pub transaction: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The contexts that have voted.
    pub participants: Vec<String>,
}

/// How the commit of a coordinator ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    Committed,
    /// Nothing is written.
    RolledBack(Error),
    /// Only the file can say, once it can be read.
    Unknown(Error),
}

/// A branch that has promised to commit. When it is dropped, the file is in doubt.
#[derive(Debug)]
pub struct Voted {
    vote: Vote,
    transaction: Option<Transaction>,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_decisions (
    transaction_id TEXT PRIMARY KEY,
    at_ms          INTEGER NOT NULL,
    participants   TEXT    NOT NULL
) STRICT, WITHOUT ROWID";

impl Transaction {
    /// Whether it is a branch that has written something.
    pub fn has_written(&self) -> bool {
        !self.steps().is_empty()
    }

    /// Promises to commit: on the disk when this returns.
    ///
    /// # Errors
    /// Why it cannot commit. It is rolled back then.
    pub fn vote(mut self, vote: &Vote) -> Result<Voted, Error> {
        let mark = self.on_connection(|connection| {
            if connection.violates_deferred_keys() {
                return Err(Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned()));
            }
            let prepared =
                votes::keep(connection.sqlite(), &vote.transaction).and_then(|()| Mark::read(connection.sqlite()));
            let mark = prepared.map_err(|error| connection.explain(&error))?;
            connection.flush()?;
            mark.ok_or_else(|| Error::Unavailable("the file has no mark of the host".to_owned()))
        })?;
        if fault::fails("two-phase.before-vote") {
            return Err(fault::error());
        }
        blocking::block_in_place(|| self.writer().votes.lock().cast(vote, &mark, self.steps()))?;
        fault::point("two-phase.after-vote");
        Ok(Voted { vote: vote.clone(), transaction: Some(self) })
    }

    /// Commits as a coordinator, with the decision if others have voted. Decisions that are forgotten are deleted.
    pub fn decide(mut self, decision: Option<&Decision>, forgotten: &[String]) -> Decided {
        if let Some(decision) = decision {
            let ends = self.ends();
            let noted = self.run_as_host(ends, |sqlite| {
                host_table::made(sqlite, &[TABLE], |sqlite| {
                    let sql = "INSERT INTO seam_decisions (transaction_id, at_ms, participants) VALUES (?1, ?2, ?3)";
                    let participants = decision.participants.join(" ");
                    sqlite.execute(sql, params![decision.transaction, signed(decision.at_ms), participants])?;
                    forget(sqlite, forgotten)
                })
            });
            if let Err(error) = noted {
                return Decided::RolledBack(error);
            }
        }
        fault::point("two-phase.before-decision");
        match self.finish_alone(|_| {}) {
            CommitOutcome::Durable => {
                fault::point("two-phase.after-decision");
                Decided::Committed
            }
            CommitOutcome::Lost => {
                Decided::RolledBack(Error::Busy("SQLite has rolled the transaction back".to_owned()))
            }
            CommitOutcome::Failed(error @ Error::Unavailable(_)) => Decided::Unknown(error),
            CommitOutcome::Failed(error) => Decided::RolledBack(error),
        }
    }
}

impl Voted {
    /// Keeps the promise.
    ///
    /// # Errors
    /// Why the commit failed. The file is in doubt then, until `Database::resolve`.
    pub fn commit(mut self) -> Result<(), Error> {
        match self.transaction.take() {
            Some(transaction) => keep_promise(transaction, &self.vote),
            None => Ok(()),
        }
    }

    /// Takes the promise back: it was decided so, or nothing was decided yet and never will be.
    pub fn roll_back(mut self) {
        if let Some(transaction) = self.transaction.take() {
            let writer = transaction.writer().clone();
            if let Err(error) = writer.votes.lock().clear() {
                // Nothing was decided, so at the next start it is taken back again.
                tracing::warn!(path = %writer.config().path.display(), %error, "a promise to commit is left");
            }
            drop(transaction);
        }
    }
}

impl Drop for Voted {
    fn drop(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            // Before another transaction can begin.
            transaction.writer().health.set_doubt(self.vote.doubt("the decision could not be asked for".to_owned()));
            drop(transaction);
        }
    }
}

/// Commits a transaction whose writes were promised. In doubt from before the commit until it is known to be durable.
fn keep_promise(transaction: Transaction, vote: &Vote) -> Result<(), Error> {
    let writer = transaction.writer().clone();
    writer.health.set_doubt(vote.doubt("it is decided, and commits".to_owned()));
    if fault::fails("two-phase.before-commit") {
        return Err(still_in_doubt(&writer, vote, fault::error()));
    }
    let outcome = transaction.finish_alone(|outcome| {
        if matches!(outcome, CommitOutcome::Durable) {
            writer.health.certain();
        }
    });
    match outcome {
        CommitOutcome::Durable => {
            fault::point("two-phase.after-commit");
            if let Err(error) = writer.votes.lock().clear() {
                // The mark says that it is kept.
                tracing::warn!(path = %writer.config().path.display(), %error, "a promise that is kept is left");
            }
            fault::point("two-phase.after-clear");
            Ok(())
        }
        CommitOutcome::Lost => Err(still_in_doubt(&writer, vote, Error::Busy("SQLite has rolled it back".to_owned()))),
        CommitOutcome::Failed(error) => Err(still_in_doubt(&writer, vote, error)),
    }
}

fn still_in_doubt(writer: &Writer, vote: &Vote, error: Error) -> Error {
    writer.health.set_doubt(vote.doubt(format!("it is to commit, and could not: {error}")));
    error
}

impl Database {
    /// Waits for the writer until `deadline`. What the transaction writes commits with nothing else.
    ///
    /// # Errors
    /// As `begin`.
    pub fn begin_alone(&self, deadline: Instant) -> Result<Transaction, Error> {
        Transaction::begin_alone(self.writer.clone(), deadline, false)
    }

    /// As `begin_alone`, for a branch: a transaction that notes what it writes, and can vote. What would be another
    /// thing when it is written again is denied.
    ///
    /// # Errors
    /// As `begin`.
    pub fn begin_branch(&self, deadline: Instant) -> Result<Transaction, Error> {
        Transaction::begin_alone(self.writer.clone(), deadline, true)
    }

    /// Whether this coordinator has decided for a transaction. Asked of the file as it is after a recovery, if its last
    /// commit failed.
    ///
    /// # Errors
    /// When the file cannot be asked.
    pub fn has_decided(&self, transaction: &str) -> Result<bool, Error> {
        // Its writer's connection is opened again then, which decides that commit.
        let mut asks = Transaction::begin_in_doubt(self.writer.clone(), self.shortly())?;
        asks.on_connection(|connection| {
            let sqlite = connection.sqlite();
            let found = host_table::exists(sqlite, "seam_decisions").and_then(|there| match there {
                false => Ok(false),
                true => {
                    let sql = "SELECT 1 FROM seam_decisions WHERE transaction_id = ?1";
                    Ok(sqlite.query_row(sql, [transaction], |_| Ok(())).optional()?.is_some())
                }
            });
            found.map_err(|error| self.failed(connection, &error))
        })
    }

    /// The decisions of this coordinator that are not forgotten.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn decisions(&self) -> Result<Vec<Decision>, Error> {
        self.read_as_host("seam_decisions", decisions)
    }

    /// Forgets decisions for which no promise waits any more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_decisions(&self, transactions: &[String]) -> Result<(), Error> {
        self.write_as_host(|sqlite| forget(sqlite, transactions))
    }

    /// Why nothing is written to the file, if it is because of a promise.
    pub fn doubt(&self) -> Option<Doubt> {
        self.writer.health.doubt()
    }

    /// Says in `doubt` why it was not resolved.
    pub fn stays_in_doubt(&self, why: String) {
        if let Some(doubt) = self.doubt() {
            self.writer.health.set_doubt(Doubt { why, ..doubt });
        }
    }

    /// Ends the doubt about the file, by what the coordinator has decided: writes what was promised, or takes the
    /// promise back.
    ///
    /// # Errors
    /// Why it could not be written. The file stays in doubt, and nothing of it is written.
    pub fn resolve(&self, committed: bool) -> Result<(), Error> {
        self.end_doubt(committed, false)
    }

    /// As `resolve`, by an operator and against what may be decided. It is noted, and compared later.
    ///
    /// # Errors
    /// As `resolve`, and `Error::Invalid` when the file is not in doubt about this transaction.
    pub fn force(&self, transaction: &str, committed: bool) -> Result<(), Error> {
        match self.doubt() {
            Some(doubt) if doubt.transaction.as_deref() == Some(transaction) => self.end_doubt(committed, true),
            _ => Err(Error::Invalid(format!("the file is not in doubt about `{transaction}`"))),
        }
    }

    /// A promise that cannot be read is set aside: no decision waits for it. Returns the file's name now.
    ///
    /// # Errors
    /// When it can be read, or cannot be moved.
    pub fn set_promise_aside(&self) -> Result<std::path::PathBuf, Error> {
        match self.doubt() {
            Some(Doubt { transaction: None, .. }) => {
                let aside = self.writer.votes.lock().set_aside()?;
                self.writer.health.certain();
                Ok(aside)
            }
            _ => Err(Error::Invalid("the promise of the file can be read".to_owned())),
        }
    }

    /// What operators have chosen for this file and nothing has confirmed, or what was decided otherwise.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn forced(&self) -> Result<Vec<Forced>, Error> {
        self.writer.votes.lock().forced()
    }

    /// Compares what an operator chose with what was decided; `None`: an operator has seen the difference. Whether
    /// there is one, or was.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn settle_forced(&self, transaction: &str, decided: Option<bool>) -> Result<bool, Error> {
        self.writer.votes.lock().settle_forced(transaction, decided)
    }

    /// How long the host's own questions wait.
    fn shortly(&self) -> Instant {
        self.config().clock.now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS)
    }

    fn end_doubt(&self, committed: bool, forced: bool) -> Result<(), Error> {
        let ended = blocking::block_in_place(|| self.try_end_doubt(committed, forced));
        if let Err(error) = &ended {
            self.stays_in_doubt(match committed {
                true => format!("it is to commit, and could not: {error}"),
                false => format!("it is to be rolled back, and could not: {error}"),
            });
        }
        ended
    }

    fn try_end_doubt(&self, committed: bool, forced: bool) -> Result<(), Error> {
        let writer = &self.writer;
        let Some(ballot) = writer.votes.lock().pending()? else {
            writer.health.certain();
            return Ok(());
        };
        let mut transaction = Transaction::begin_in_doubt(writer.clone(), self.shortly())?;
        let is_kept = transaction.on_connection(|connection| votes::is_kept(connection, &ballot.vote.transaction))?;
        if committed && !is_kept {
            fault::point("two-phase.before-redo");
            let steps = writer.votes.lock().steps()?;
            transaction.run_again(&ballot, &steps)?;
        }
        if forced {
            // Before the file changes: a choice that is not noted could not be compared.
            writer.votes.lock().force(&ballot.vote, committed || is_kept, self.clock().wall_ms())?;
        }
        match committed && !is_kept {
            true => keep_promise(transaction, &ballot.vote),
            false => transaction.end_by(|writer: &Writer, lease: Lease| {
                let cleared = writer.votes.lock().clear();
                if cleared.is_ok() {
                    writer.health.certain();
                }
                writer.give_back(lease);
                cleared
            }),
        }
    }
}

impl Transaction {
    /// Writes what was promised, in a file that is as it was then.
    fn run_again(&mut self, ballot: &Ballot, steps: &[Step]) -> Result<(), Error> {
        let mark = self
            .on_connection(|connection| Mark::read(connection.sqlite()).map_err(|error| connection.explain(&error)))?;
        if !mark.is_some_and(|mark| mark.identity == ballot.identity && mark.commits == ballot.commits) {
            return Err(Error::Unavailable(
                "the file is not as it was when it promised: it was put back, or written by another host".to_owned(),
            ));
        }
        for (number, step) in (1..).zip(steps) {
            self.savepoint(STEP)?;
            let check = self.run_step(step)?;
            self.end_savepoint(STEP, false)?;
            if check != step.check {
                return Err(Error::Unavailable(format!(
                    "step {number} of {} of what was promised does something else now: `{}`",
                    steps.len(),
                    step.sql
                )));
            }
        }
        let ends = self.ends();
        self.run_as_host(ends, |sqlite| votes::keep(sqlite, &ballot.vote.transaction))
    }

    fn run_step(&mut self, step: &Step) -> Result<i64, Error> {
        let ends = self.ends();
        if step.action == Action::ExecuteMany {
            return self.execute_many(&step.sql, &step.rows, ends).map(|rows| rows.check());
        }
        let (mut rows, mut values) = (Rows::new(&step.rows)?, Vec::new());
        rows.next_into(&mut values)?;
        let unreadable = || Error::Unavailable("an event of what was promised cannot be read".to_owned());
        match step.action {
            Action::Execute => self.execute(&step.sql, &values, ends).map(|rows| rows.check()),
            Action::Query => self.query(&step.sql, &values, ends).map(|rows| rows.check()),
            Action::ExecuteMany => Ok(0),
            Action::Publish => {
                let event = NewEvent::of_values(&values).ok_or_else(unreadable)?;
                self.publish(&event).map(|done| done.check())
            }
            Action::PublishAt => match values.split_last() {
                Some((Value::Integer(due_ms), values)) => {
                    let event = NewEvent::of_values(values).ok_or_else(unreadable)?;
                    self.publish_at(&event, unsigned(*due_ms)).map(|done| done.check())
                }
                _ => Err(unreadable()),
            },
        }
    }
}

/// The decisions in the file of a coordinator that has some.
pub(super) fn decisions(sqlite: &rusqlite::Connection) -> rusqlite::Result<Vec<Decision>> {
    let sql = "SELECT transaction_id, at_ms, participants FROM seam_decisions ORDER BY at_ms";
    let mut statement = sqlite.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let participants: String = row.get(2)?;
        let participants = participants.split(' ').map(str::to_owned).collect();
        Ok(Decision { transaction: row.get(0)?, at_ms: unsigned(row.get(1)?), participants })
    })?;
    rows.collect()
}

fn forget(sqlite: &rusqlite::Connection, transactions: &[String]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM seam_decisions WHERE transaction_id = ?1";
    transactions.iter().try_for_each(|transaction| sqlite.execute(sql, [transaction]).map(drop))
}

/// An id for a transaction over several files.
pub fn new_transaction_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Vote {
    /// A promise for the transaction, with the file of `coordinator` to decide.
    pub fn new(transaction: &str, coordinator: &str, at_ms: u64) -> Self {
        Self { transaction: transaction.to_owned(), coordinator: coordinator.to_owned(), at_ms }
    }
}
