//! A session in a transaction over several files: that of the context that began it, and those of its callees.
//!
//! Each call of a callee is a savepoint in its context's part. Not here: the whole transaction (`joint`).

use std::time::Instant;

use seam_store::ids::ContextName;
use seam_store::{Error, Transaction};

use super::{Delivery, EVENT, Session, away_for_writer};
use crate::guest::dispatch::DispatchTable;
use crate::guest::places::{Away, Places};

impl Session {
    /// Prepares the session of `context` for a call that `callees` carries.
    pub fn enter(&mut self, callees: &DispatchTable, context: &ContextName) {
        self.places = callees.places().cloned();
        let Some(joint) = callees.joint() else { return };
        self.delivery = Some(Delivery { guest_began: false });
        self.transaction = joint.take(context);
        if let Some(Err(error)) = self.transaction.as_mut().map(|transaction| transaction.savepoint(EVENT)) {
            joint.fail(context, &error.to_string());
        }
        self.joint = Some((joint.clone(), context.clone()));
    }

    /// Whether no transaction is open, of whatever kind.
    pub fn is_free(&self) -> bool {
        self.transaction.is_none() && self.delivery.is_none()
    }

    pub fn in_guest_transaction(&self) -> bool {
        self.delivery.is_some_and(|delivery| delivery.guest_began)
    }

    /// Begins the coordinator's own part of a transaction over several files.
    ///
    /// # Errors
    /// When the file is not free in time, or cannot be written.
    pub fn coordinate(&mut self, deadline: Instant) -> Result<(), Error> {
        let _away = away_for_writer(self.places.as_deref())?;
        self.transaction = Some(self.database.begin_alone(deadline)?);
        self.delivery = Some(Delivery { guest_began: false });
        self.coordinates = true;
        Ok(())
    }

    pub fn coordinates(&self) -> bool {
        self.coordinates
    }

    /// Ends the call's part in the transaction over several files that it began.
    pub fn end_coordination(&mut self) -> Option<Transaction> {
        self.coordinates = false;
        self.delivery = None;
        self.wrote = true;
        self.transaction.take()
    }

    /// Gives the call's places away while it waits for another transaction.
    ///
    /// # Errors
    /// When as many calls as may wait for a commit wait already.
    pub fn away_for_writer(&self) -> Result<Option<Away<'_>>, Error> {
        away_for_writer(self.places.as_deref())
    }

    /// The same while it waits for the disk.
    pub fn away_for_commit(&self) -> Option<Away<'_>> {
        self.places.as_deref().and_then(Places::away_for_commit)
    }

    /// Ends the call's part in the transaction of another context: keeps what it wrote in it, or undoes that.
    pub(super) fn leave(&mut self, keep: bool) {
        let Some((joint, context)) = self.joint.take() else { return };
        if let Err(error) = self.end_event(keep) {
            joint.fail(&context, &error.to_string());
        }
        self.delivery = None;
        if let Some(transaction) = self.transaction.take() {
            joint.put_back(&context, transaction);
        }
    }
}

/// A call that failed leaves nothing in the transaction of another context.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave(false);
    }
}
