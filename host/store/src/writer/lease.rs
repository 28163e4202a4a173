//! The lease of a writer: its connection, and the end of the group that waits for its commit.

use super::{CommitOutcome, Lease, closed};
use crate::connection::Connection;
use crate::error::Error;

impl Lease {
    pub fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_deref().ok_or_else(closed)
    }

    /// Closes the connection, for good: for a file that this host does not own any more.
    pub fn close(&mut self) {
        self.connection = None;
    }

    pub fn connection_mut(&mut self) -> Result<&mut Connection, Error> {
        self.connection.as_deref_mut().ok_or_else(closed)
    }

    /// After a failed statement: whether SQLite rolled everything back. If so, the rest of the group gets `Lost`.
    pub fn was_lost(&mut self) -> bool {
        let lost = self.connection.as_ref().is_none_or(|connection| connection.is_idle());
        if lost {
            self.lose_group();
            self.open_since = None;
        }
        lost
    }

    /// As a failure does: the next holder opens the file again.
    #[cfg(test)]
    pub fn lose_connection(&mut self) {
        self.connection = None;
    }

    pub(super) fn lose_group(&mut self) {
        for member in self.group.drain(..) {
            member.send(CommitOutcome::Lost);
        }
    }

    /// Rolls the outer transaction back, with everything in it.
    pub(super) fn roll_back_all(&mut self) {
        self.lose_group();
        self.end_outer();
    }

    /// Rolls an outer transaction back that no other transaction waits for. A connection that cannot do that is closed.
    pub(super) fn end_outer(&mut self) {
        self.open_since = None;
        let clean = self.connection.as_ref().is_some_and(|connection| {
            connection.is_idle() || (connection.run_as_host("ROLLBACK").is_ok() && connection.is_idle())
        });
        if !clean {
            self.connection = None;
        }
    }
}
