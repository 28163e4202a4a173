//! Events that are published once their time has come: written in the transaction that sets them, and moved to the
//! outbox when they are due.
//!
//! Invariants: a timer is moved and deleted in one transaction, so it comes once, also after a crash and whatever the
//! clock does. Those that are due come in the order of their times, and of their setting if these are equal.
//! Not here: who looks at the clock (the driver of timers).

use std::time::Instant;

use rusqlite::params;

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{self, signed, unsigned};
use crate::outbox::{self, NewEvent};
use crate::redo::Action;
use crate::rows::Value;
use crate::transaction::Transaction;
use crate::{fault, limits};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS seam_timers (
    id        INTEGER PRIMARY KEY,
    due_ms    INTEGER NOT NULL,
    interface TEXT    NOT NULL,
    function  TEXT    NOT NULL,
    subject   TEXT,
    trace     TEXT    NOT NULL,
    data      TEXT    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS seam_timers_due ON seam_timers (due_ms)";

impl Transaction {
    /// Sets a timer: `event` is published at `due_ms`, in milliseconds since 1970. Its own time is set then.
    ///
    /// # Errors
    /// As for `publish`; `Error::Full` when `TIMERS_MAX` timers wait.
    pub fn publish_at(&mut self, event: &NewEvent<'_>, due_ms: u64) -> Result<(), Error> {
        event.check_size()?;
        let NewEvent { interface, function, subject, trace, data, .. } = *event;
        self.publishes = true;
        let sql = "INSERT INTO seam_timers (due_ms, interface, function, subject, trace, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let set = |sqlite: &rusqlite::Connection| {
            // Counted by pages: 100,000 of them take a fraction of a millisecond.
            let waiting: u32 = sqlite.query_row("SELECT count(*) FROM seam_timers", [], |row| row.get(0))?;
            if waiting >= limits::TIMERS_MAX {
                return Ok(false);
            }
            sqlite.execute(sql, params![signed(due_ms), interface, function, subject, trace, data]).map(|_| true)
        };
        let [interface, function, subject, time_ms, trace, data] = event.values();
        let values = [interface, function, subject, time_ms, trace, data, Value::Integer(signed(due_ms))];
        match self.as_host_noted(Action::PublishAt, &values, |sqlite| host_table::made(sqlite, &[TABLES], set))? {
            true => Ok(()),
            false => Err(Error::Full(format!("{} timers wait; set it again when some have come", limits::TIMERS_MAX))),
        }
    }
}

impl Database {
    /// Sets a timer, as a transaction of its own.
    ///
    /// # Errors
    /// As `Transaction::publish_at`.
    pub fn publish_at(&self, event: &NewEvent<'_>, due_ms: u64, deadline: Instant) -> Result<(), Error> {
        self.in_own_transaction(deadline, |tx| tx.publish_at(event, due_ms))
    }

    /// When the next timer is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_timer(&self) -> Result<Option<u64>, Error> {
        self.read_as_host("seam_timers", |sqlite| {
            sqlite.query_row("SELECT min(due_ms) FROM seam_timers", [], |row| {
                Ok(row.get::<_, Option<i64>>(0)?.map(unsigned))
            })
        })
    }

    /// How many timers wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn timers(&self) -> Result<u64, Error> {
        self.read_as_host("seam_timers", |sqlite| {
            sqlite.query_row("SELECT count(*) FROM seam_timers", [], |row| row.get(0).map(unsigned))
        })
    }

    /// Moves timers that are due at `now_ms` to the outbox, some at a time; returns how many.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is moved then, or after `Error::Unavailable` perhaps all of them.
    pub fn fire_timers(&self, now_ms: u64, deadline: Instant) -> Result<u64, Error> {
        let values = params![signed(now_ms), limits::TIMERS_PER_COMMIT];
        let fire = |sqlite: &rusqlite::Connection| {
            let sql = "INSERT INTO seam_outbox (interface, function, subject, time_ms, trace, data)
                       SELECT interface, function, subject, ?1, trace, data FROM seam_timers
                       WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2";
            sqlite.execute(sql, values)?;
            let sql = "DELETE FROM seam_timers WHERE id IN (
                         SELECT id FROM seam_timers WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2)";
            sqlite.execute(sql, values).map(|rows| rows as u64)
        };
        let fired = self.in_own_transaction(deadline, |tx| {
            tx.publishes = true;
            let fired = tx.as_host(|sqlite| host_table::made(sqlite, outbox::OUTBOX, fire))?;
            fault::point("timers.before-commit");
            Ok(fired)
        })?;
        fault::point("timers.after-commit");
        Ok(fired)
    }
}
