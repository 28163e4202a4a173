//! One step of a schedule with an interval whose context has a file: whether the interval is over, and the run.
//!
//! Invariants: when it ran last stands in the context's file, so an interval goes on over a restart. A run that came
//! due while the host was down is made once, however many there would have been. If the clock is put back, the next run
//! comes one interval later at most.
//! Not here: intervals of contexts without a file (`schedule`).

use seam_store::{Database, Error, Progress, Transaction, fault};

use super::due::{Found, Runner, look, run};
use crate::manifest::Interval;

/// A schedule whose runs are noted under `name`.
pub struct IntervalSchedule<'s, R> {
    pub name: &'s str,
    pub interval: Interval,
    pub runner: &'s R,
}

impl<R: Runner> IntervalSchedule<'_, R> {
    /// Runs the function once if its interval is over. With it, how far the schedule had come before.
    pub fn step(&self) -> (Found, Option<Progress>) {
        look(self.runner, |database| self.look(database))
    }

    fn look(&self, database: &Database) -> Result<(Found, Progress), Error> {
        let now = database.clock().wall_ms();
        let progress = match database.schedule(self.name)? {
            Some(progress) if progress.at_ms <= now => progress,
            // It is new, or the clock was put back.
            found => {
                database.set_schedule(self.name, now)?;
                Progress { at_ms: now, ..found.unwrap_or_default() }
            }
        };
        let every_ms = u64::try_from(self.interval.every.as_millis()).unwrap_or(u64::MAX);
        let due = progress.at_ms.saturating_add(every_ms);
        if due > now {
            return Ok((Found::Waits(Some(due)), progress));
        }
        let mut mark = |tx: &mut Transaction| {
            // The next interval begins where the run ends; the clock may have been put back meanwhile.
            let ended = database.clock().wall_ms().max(progress.at_ms + 1);
            tx.ran(self.name, ended, ended)?;
            fault::point("schedule.before-commit");
            Ok(())
        };
        Ok((run(self.runner, self.interval.transaction, database, &mut mark), progress))
    }
}
