//! Events that a context has published, in its own file: written in the transaction that caused them, read by those who
//! deliver them.
//!
//! Invariants: positions increase in the order of the commits, and a position is never used twice: `forget` keeps the
//! last row, from which the next position comes. What is not delivered yet is not forgotten.
//! Not here: who gets an event, and when (`inbox`).

use std::time::Instant;

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{self, signed, unsigned};
use crate::redo::Action;
use crate::rows::Value;
use crate::transaction::Transaction;
use crate::{fault, limits};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_outbox (
    position  INTEGER PRIMARY KEY,
    interface TEXT    NOT NULL,
    function  TEXT    NOT NULL,
    subject   TEXT,
    time_ms   INTEGER NOT NULL,
    trace     TEXT    NOT NULL,
    data      TEXT    NOT NULL
) STRICT";

/// Has positions start, or go on, above all that any file of the context has given before: a file that is made again,
/// or is older than what was read from it, must not give a position twice. An outbox that is filled faster than 64
/// events a millisecond, on average since it was made, would break that. The row says whether positions start or go on
/// (`RESTORED`), and after which position, so that a reader notices what the older file does not have.
pub(super) const START: &str = "INSERT INTO seam_outbox (position, interface, function, time_ms, trace, data)
    SELECT max(CAST(1000 * unixepoch('subsec') AS INTEGER) << 6, coalesce(max(position), 0) + 1),
           '', iif(max(position) IS NULL, 'start', 'restored'), CAST(1000 * unixepoch('subsec') AS INTEGER), '',
           CAST(coalesce(max(position), 0) AS TEXT)
    FROM seam_outbox";

/// What makes an outbox.
pub(super) const OUTBOX: &[&str] = &[TABLE, START];

/// The function of the row with which positions start, and of one with which they go on in a file that was put back.
pub(super) const STARTED: &str = "start";
pub(super) const RESTORED: &str = "restored";

/// An event before it has a position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewEvent<'e> {
    /// The events interface, with its version: `acme:orders/events@0.1.0`.
    pub interface: &'e str,
    /// What happened: the function's name.
    pub function: &'e str,
    /// The value of the declared key: events with the same one are delivered in order.
    pub subject: Option<&'e str>,
    /// Milliseconds since 1970, UTC.
    pub time_ms: u64,
    /// W3C `traceparent`.
    pub trace: &'e str,
    /// The arguments, as JSON.
    pub data: &'e str,
}

/// An event of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Increases from event to event. Not every position has one.
    pub position: u64,
    pub interface: String,
    pub function: String,
    pub subject: Option<String>,
    pub time_ms: u64,
    pub trace: String,
    pub data: String,
}

/// The events that an outbox still has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// The position of the oldest event; 0 if there is none.
    pub first: u64,
    /// The last position that was given; 0 if none was.
    pub last: u64,
    /// Whether events from before the first one were forgotten.
    pub is_cut: bool,
}

impl<'e> NewEvent<'e> {
    /// In the order of `of_values`.
    pub(super) fn values(&self) -> [Value<'e>; 6] {
        let subject = self.subject.map_or(Value::Null, Value::from);
        let time_ms = Value::Integer(signed(self.time_ms));
        [self.interface.into(), self.function.into(), subject, time_ms, self.trace.into(), self.data.into()]
    }

    pub(super) fn of_values(values: &'e [Value<'_>]) -> Option<Self> {
        let [
            Value::Text(interface),
            Value::Text(function),
            subject,
            Value::Integer(time_ms),
            Value::Text(trace),
            Value::Text(data),
        ] = values
        else {
            return None;
        };
        let subject = match subject {
            Value::Text(subject) => Some(subject.as_ref()),
            _ => None,
        };
        Some(Self { interface, function, subject, time_ms: unsigned(*time_ms), trace, data })
    }

    /// # Errors
    /// `Error::TooLarge` for data above `EVENT_BYTES_MAX`.
    pub(super) fn check_size(&self) -> Result<(), Error> {
        match (self.data.len(), limits::EVENT_BYTES_MAX) {
            (has, most) if has <= most => Ok(()),
            (has, most) => Err(Error::TooLarge(format!("the event takes {has} bytes as JSON, and may take {most}"))),
        }
    }
}

/// Events of an outbox between two positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub events: u64,
    /// The earliest and the latest time among them, in milliseconds since 1970.
    pub first_ms: Option<u64>,
    pub last_ms: Option<u64>,
}

/// How many events there are of one function of one version of an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// With its version.
    pub interface: String,
    pub function: String,
    pub events: u64,
}

impl Transaction {
    /// Adds an event to the outbox. It can be read once the transaction is committed.
    ///
    /// # Errors
    /// As for a statement; `Error::TooLarge` for data above `EVENT_BYTES_MAX`.
    pub fn publish(&mut self, event: &NewEvent<'_>) -> Result<(), Error> {
        event.check_size()?;
        let NewEvent { interface, function, subject, time_ms, trace, data } = *event;
        self.publishes = true;
        let sql = "INSERT INTO seam_outbox (interface, function, subject, time_ms, trace, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![interface, function, subject, signed(time_ms), trace, data];
        self.as_host_noted(Action::Publish, &event.values(), |sqlite| {
            host_table::made(sqlite, OUTBOX, |sqlite| sqlite.execute(sql, values)).map(drop)
        })
    }
}

impl Database {
    /// Adds an event to the outbox, as a transaction of its own.
    ///
    /// # Errors
    /// As for a statement.
    pub fn publish(&self, event: &NewEvent<'_>, deadline: Instant) -> Result<(), Error> {
        self.in_own_transaction(deadline, |tx| tx.publish(event))
    }

    /// Events of `interface` (its path, without a version) after this position, oldest first: at most `most`, and of
    /// about `EVENT_PAGE_BYTES_MAX` together.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn published(&self, interface: Option<&str>, after: u64, most: u32) -> Result<Vec<Event>, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT position, interface, function, subject, time_ms, trace, data FROM seam_outbox
                       WHERE position > ?1 AND interface <> '' AND (?2 IS NULL OR interface = ?2 OR interface GLOB ?2 || '@*')
                       ORDER BY position LIMIT ?3";
            let mut statement = sqlite.prepare(sql)?;
            let mut rows = statement.query(params![signed(after), interface, most])?;
            let (mut events, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let event = event(row)?;
                bytes += event.data.len();
                events.push(event);
                if bytes >= limits::EVENT_PAGE_BYTES_MAX {
                    break;
                }
            }
            Ok(events)
        })
    }

    /// The event at this position, if the outbox still has it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn published_at(&self, position: u64) -> Result<Option<Event>, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT position, interface, function, subject, time_ms, trace, data FROM seam_outbox
                       WHERE position = ?1 AND interface <> ''";
            sqlite.query_row(sql, [signed(position)], event).optional()
        })
    }

    /// What the outbox still has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn kept(&self) -> Result<Kept, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT
                  coalesce((SELECT position FROM seam_outbox WHERE interface <> '' ORDER BY position LIMIT 1), 0),
                  coalesce(max(position), 0),
                  coalesce((SELECT interface <> '' OR function <> 'start' FROM seam_outbox ORDER BY position LIMIT 1), 0)
                FROM seam_outbox";
            sqlite.query_row(sql, [], |row| {
                Ok(Kept { first: unsigned(row.get(0)?), last: unsigned(row.get(1)?), is_cut: row.get(2)? })
            })
        })
    }

    /// The events of `interface` after one position and up to another, counted up to `most`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn span(&self, interface: &str, after: u64, up_to: u64, most: u32) -> Result<Span, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT count(*), min(time_ms), max(time_ms) FROM (
                         SELECT time_ms FROM seam_outbox
                         WHERE position > ?1 AND position <= ?2 AND (interface = ?3 OR interface GLOB ?3 || '@*')
                         ORDER BY position LIMIT ?4)";
            sqlite.query_row(sql, params![signed(after), signed(up_to), interface, most], |row| {
                let time = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(unsigned));
                Ok(Span { events: unsigned(row.get(0)?), first_ms: time(1)?, last_ms: time(2)? })
            })
        })
    }

    /// How many events the outbox still has, counted up to `most`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outbox_rows(&self, most: u32) -> Result<u64, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM seam_outbox WHERE interface <> '' LIMIT ?1)";
            sqlite.query_row(sql, [most], |row| row.get(0).map(unsigned))
        })
    }

    /// The kinds of events of `interface` (its path, without a version) that come after this position.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn kinds(&self, interface: &str, after: u64) -> Result<Vec<Kind>, Error> {
        self.read_as_host("seam_outbox", |sqlite| {
            let sql = "SELECT interface, function, count(*) FROM seam_outbox
                       WHERE position > ?1 AND (interface = ?2 OR interface GLOB ?2 || '@*')
                       GROUP BY interface, function";
            let mut statement = sqlite.prepare(sql)?;
            statement.query_map(params![signed(after), interface], kind)?.collect()
        })
    }

    /// Forgets events up to `position` from before `time_ms`, some at a time; returns how many. The last event stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_published(&self, position: u64, time_ms: u64) -> Result<u64, Error> {
        self.write_as_host(|sqlite| {
            // Up to the first one that is young enough: a clock may have been set back.
            let sql = "DELETE FROM seam_outbox WHERE position IN (
                         SELECT position FROM seam_outbox WHERE position <= ?1
                         ORDER BY position LIMIT ?3)
                       AND position < (SELECT max(position) FROM seam_outbox)
                       AND position < coalesce(
                         (SELECT position FROM seam_outbox WHERE time_ms >= ?2 ORDER BY position LIMIT 1),
                         9223372036854775807)";
            let rows = sqlite.execute(sql, params![signed(position), signed(time_ms), limits::EVENT_FORGET_ROWS])?;
            fault::point("outbox.forget");
            Ok(rows)
        })
        .map(|rows| rows as u64)
    }
}

pub(super) fn kind(row: &rusqlite::Row<'_>) -> rusqlite::Result<Kind> {
    Ok(Kind { interface: row.get(0)?, function: row.get(1)?, events: unsigned(row.get(2)?) })
}

fn event(row: &rusqlite::Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        position: unsigned(row.get(0)?),
        interface: row.get(1)?,
        function: row.get(2)?,
        subject: row.get(3)?,
        time_ms: unsigned(row.get(4)?),
        trace: row.get(5)?,
        data: row.get(6)?,
    })
}
