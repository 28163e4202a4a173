//! Transactions that share their commit with no other: the parts of one over several files, and files in doubt.

use std::sync::Arc;
use std::time::Instant;

use super::{CommitOutcome, Lease, Writer};
use crate::error::Error;
use crate::oneshot::Oneshot;

impl Writer {
    /// As `begin`, for a transaction that commits with no other: see `commit_alone`.
    pub fn begin_alone(&self, deadline: Instant) -> Result<Lease, Error> {
        self.health.usable()?;
        self.opened(self.exclusive(deadline)?)
    }

    /// As `begin_alone`, also while the file is in doubt.
    pub fn begin_in_doubt(&self, deadline: Instant) -> Result<Lease, Error> {
        self.health.usable()?;
        let mut lease = self.lease(deadline)?;
        self.commit_group(&mut lease);
        self.opened(lease)
    }

    /// Commits a transaction that began alone. `before_next` gets the outcome before another one can begin.
    pub fn commit_alone(&self, mut lease: Lease, before_next: impl FnOnce(&CommitOutcome)) -> CommitOutcome {
        let released = lease.connection().and_then(|connection| {
            if connection.violates_deferred_keys() {
                return Err(Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned()));
            }
            connection.run_as_host("RELEASE seam").map_err(|error| connection.explain(&error))
        });
        let outcome = match released {
            Ok(()) => {
                let outcome = Arc::new(Oneshot::new());
                lease.group.push(outcome.clone());
                self.commit_group(&mut lease);
                outcome.receive()
            }
            Err(error) => {
                lease.roll_back_all();
                CommitOutcome::Failed(error)
            }
        };
        before_next(&outcome);
        self.end_group(lease);
        outcome
    }
}
