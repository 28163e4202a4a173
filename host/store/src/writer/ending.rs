//! The end of a transaction that may share its commit with others.

use std::sync::Arc;
use std::time::Duration;

use super::{CommitOutcome, Lease, Writer, closed};
use crate::copies::Copies;
use crate::error::Error;
use crate::oneshot::Oneshot;
use crate::statistics::Counters;
use crate::{blocking, limits};

impl Writer {
    /// Releases the savepoint. Returns when the group's commit is durable, or has failed.
    pub fn commit(&self, lease: Lease) -> CommitOutcome {
        let Some(connection) = lease.connection.as_ref() else {
            self.give_back(lease);
            return CommitOutcome::Failed(closed());
        };
        if connection.violates_deferred_keys() {
            // Checked here, for this transaction alone: the outer COMMIT would fail for the whole group.
            let error = Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned());
            return self.roll_back(lease).map_or(CommitOutcome::Lost, |()| CommitOutcome::Failed(error));
        }
        if let Err(error) = connection.run_as_host("RELEASE seam") {
            let error = connection.explain(&error);
            return self.roll_back(lease).map_or(CommitOutcome::Lost, |()| CommitOutcome::Failed(error));
        }
        self.end_with_group(lease)
    }

    /// Undoes the savepoint, and nothing of the other transactions in the group. Returns when their commit is durable:
    /// this transaction has read what they wrote, and what it was rolled back for may follow from that.
    ///
    /// # Errors
    /// `Busy`: that commit failed, so what this transaction read was undone too. `Unavailable`: it may have been.
    pub fn roll_back(&self, mut lease: Lease) -> Result<(), Error> {
        Counters::add(&self.counters.rollbacks, 1);
        let undone = match lease.connection.as_ref() {
            Some(connection) if !connection.is_idle() => {
                connection.run_as_host("ROLLBACK TO seam; RELEASE seam").is_ok()
            }
            _ => false,
        };
        if !undone {
            lease.roll_back_all();
        }
        if lease.group.is_empty() {
            // An outer transaction that holds nothing is no group: the next transaction starts one of its own.
            lease.end_outer();
            if let Err(lease) = self.hand_to_next(lease) {
                self.end_group(lease);
            }
            return Ok(());
        }
        match self.end_with_group(lease) {
            CommitOutcome::Durable => Ok(()),
            CommitOutcome::Failed(error @ Error::Unavailable(_)) => Err(error),
            CommitOutcome::Lost | CommitOutcome::Failed(_) => {
                Err(Error::Busy("the transactions whose rows this one read were undone; it may try again".to_owned()))
            }
        }
    }

    /// Hands the lease on, or commits for the group, and waits for the outcome of that commit.
    fn end_with_group(&self, mut lease: Lease) -> CommitOutcome {
        let outcome = Arc::new(Oneshot::new());
        lease.group.push(outcome.clone());
        let outcome = match self.hand_to_next(lease) {
            Ok(()) => blocking::block_in_place(|| outcome.receive()),
            Err(lease) => {
                // The outcome is there once the group has ended: no wait, so the worker keeps its tasks.
                self.end_group(lease);
                outcome.receive()
            }
        };
        match (&outcome, self.health.copies()) {
            (CommitOutcome::Durable, Some(copies)) => until_copied(copies),
            _ => outcome,
        }
    }
}

/// Waits until all that is committed is copied: what the transaction wrote, and what it has read of others. So a caller
/// that asks again with the same key gets no answer from a commit that may still be lost.
fn until_copied(copies: &Copies) -> CommitOutcome {
    let count = copies.committed();
    let time = Duration::from_millis(limits::STORE_COPY_MS_MAX);
    if copies.has(count) || blocking::block_in_place(|| copies.wait(count, time)) {
        return CommitOutcome::Durable;
    }
    CommitOutcome::Failed(Error::Unavailable(format!(
        "the commit is on the disk of this host, and may or may not stay: the store of backups did not have it within {} \
         ms",
        limits::STORE_COPY_MS_MAX
    )))
}
