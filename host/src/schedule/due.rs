//! One step of a schedule that is due at times of day: whether it is due, and its run.
//!
//! Invariants: the mark that a due time is done commits together with what the function wrote, so each has its effect
//! once, over restarts and clock jumps; the mark never goes back, except after a clock that was far ahead of the time.
//! Without a transaction the mark follows the run, so after a crash between the two the function runs again.
//! Not here: threads and waiting (`schedule`).

use std::sync::Arc;

use seam_store::{Database, Error, Progress, Transaction, fault};

use crate::limits;
use crate::manifest::{DueTimes, Missed};

/// What notes in the function's transaction that a due time is done.
pub type Mark<'m> = &'m mut dyn FnMut(&mut Transaction) -> Result<(), Error>;

/// The function of a schedule, and the file of its context.
pub trait Runner {
    /// The context's file.
    ///
    /// # Errors
    /// Why the context cannot be called now.
    fn database(&self) -> Result<Arc<Database>, String>;

    /// Runs the function in one transaction, which `mark` is a part of.
    ///
    /// # Errors
    /// Why nothing is written. If the file failed at the commit, it may be.
    fn run(&self, mark: Mark<'_>) -> Result<(), String>;

    /// Runs the function without a transaction around it.
    ///
    /// # Errors
    /// Why it has not done its work.
    fn run_alone(&self) -> Result<(), String>;
}

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The next due time, in milliseconds since 1970.
    Waits(Option<u64>),
    /// It ran, or left due times out; more may be due.
    Done { ran: bool },
    /// The run failed, and is made again.
    Failed(String),
    /// The context cannot be called now.
    Away(String),
}

/// A schedule whose due times are noted under `name`.
pub struct DueSchedule<'s, R> {
    pub name: &'s str,
    pub due: &'s DueTimes,
    pub runner: &'s R,
}

impl<R: Runner> DueSchedule<'_, R> {
    /// Runs the function once if it is due. With it, how far the schedule had come before.
    pub fn step(&self) -> (Found, Option<Progress>) {
        look(self.runner, |database| self.look(database))
    }

    fn look(&self, database: &Database) -> Result<(Found, Progress), Error> {
        let now = database.clock().wall_ms();
        let mut progress = match database.schedule(self.name)? {
            Some(progress) => progress,
            None => {
                // From now on, due times count although the host may be down.
                database.set_schedule(self.name, now)?;
                Progress { at_ms: now, ..Progress::default() }
            }
        };
        if progress.at_ms > now.saturating_add(limits::SCHEDULE_AHEAD_MS) {
            tracing::warn!(
                target: "schedule", schedule = self.name,
                "the clock was more than a day ahead when this schedule ran last; it goes on from the present time"
            );
            database.set_schedule(self.name, now)?;
            progress.at_ms = now;
        }
        let first = self.due.cron.after(progress.at_ms);
        let Some(first) = first.filter(|first| *first <= now) else { return Ok((Found::Waits(first), progress)) };
        let latest = || self.due.cron.latest(now).unwrap_or(first).max(first);
        let due = match self.due.missed {
            Missed::Each => first,
            Missed::Once => latest(),
            Missed::Skip if now - latest() > limits::SCHEDULE_LATE_MS => {
                database.set_schedule(self.name, latest())?;
                return Ok((Found::Done { ran: false }, progress));
            }
            Missed::Skip => latest(),
        };
        let mut mark = |tx: &mut Transaction| {
            tx.ran(self.name, due, now)?;
            fault::point("schedule.before-commit");
            Ok(())
        };
        Ok((run(self.runner, self.due.transaction, database, &mut mark), progress))
    }
}

/// Has `one` look at the context's file. What it found, and how far the schedule had come before.
pub(super) fn look<R: Runner>(
    runner: &R,
    one: impl FnOnce(&Database) -> Result<(Found, Progress), Error>,
) -> (Found, Option<Progress>) {
    let looked = runner.database().and_then(|database| one(&database).map_err(|error| error.to_string()));
    match looked {
        Ok((found, progress)) => (found, Some(progress)),
        Err(why) => (Found::Away(why), None),
    }
}

/// Runs the function and notes it: in one transaction, or the mark after the function has returned.
pub(super) fn run<R: Runner>(runner: &R, transaction: bool, database: &Database, mark: Mark<'_>) -> Found {
    let ran = match transaction {
        true => runner.run(mark),
        false => runner.run_alone().and_then(|()| note(database, mark).map_err(|error| error.to_string())),
    };
    fault::point("schedule.after-commit");
    ran.map_or_else(Found::Failed, |()| Found::Done { ran: true })
}

fn note(database: &Database, mark: Mark<'_>) -> Result<(), Error> {
    let deadline = database.clock().now() + std::time::Duration::from_millis(limits::SCHEDULE_NOTE_MS);
    let mut tx = database.begin(deadline)?;
    mark(&mut tx)?;
    tx.commit()
}
