//! What a context has taken from the outboxes of others, in its own file: the mark "seen" commits together with what
//! the handler of the event wrote.
//!
//! Each subscription has a cursor: everything up to it is done, or stands in `seam_waiting`. There stands an event that
//! could not be handled, with all later ones of the same subject behind it, so that their order is kept while others
//! pass. After its last try it is a dead letter: it stays, with its reason, and those behind it go on.
//! Not here: how often and when it is tried again.

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{self, signed, unsigned};
use crate::limits;
use crate::outbox::{Event, Kind, kind};
use crate::transaction::Transaction;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS seam_inbox (
    publisher TEXT    NOT NULL,
    interface TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    caught_up INTEGER NOT NULL DEFAULT 0 CHECK (caught_up IN (0, 1)),
    PRIMARY KEY (publisher, interface)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seam_waiting (
    publisher TEXT    NOT NULL,
    interface TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    version   TEXT    NOT NULL,
    function  TEXT    NOT NULL,
    subject   TEXT,
    time_ms   INTEGER NOT NULL,
    trace     TEXT    NOT NULL,
    data      TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('retry', 'behind', 'dead')),
    tries     INTEGER NOT NULL,
    due_ms    INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    PRIMARY KEY (publisher, interface, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seam_waiting_due ON seam_waiting (publisher, interface, state, due_ms);
CREATE INDEX IF NOT EXISTS seam_waiting_subject ON seam_waiting (publisher, interface, subject, position)
    WHERE state <> 'dead'";

/// Whose events, and which of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The context that publishes.
    pub publisher: String,
    /// The path of the events interface, without a version.
    pub interface: String,
}

/// Why an event waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitState {
    /// It was tried, and will be again.
    Retry,
    /// An earlier event of its subject waits.
    Behind,
    /// It was tried as often as it may be.
    Dead,
}

/// An event that could not be handled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub source: Source,
    pub event: Event,
    pub state: WaitState,
    pub tries: u32,
    /// When it is tried next, in milliseconds since 1970.
    pub due_ms: u64,
    /// What came of the last try.
    pub reason: String,
}

/// How many events of a subscription wait, by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingCount {
    pub retry: u64,
    pub behind: u64,
    pub dead: u64,
}

impl WaitingCount {
    /// Those that are not given up.
    pub fn waiting(self) -> u64 {
        self.retry + self.behind
    }
}

impl WaitState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Behind => "behind",
            Self::Dead => "dead",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "retry" => Self::Retry,
            "behind" => Self::Behind,
            _ => Self::Dead,
        }
    }
}

const COLUMNS: &str = "publisher, interface, position, version, function, subject, time_ms, trace, data, state, tries, \
                       due_ms, reason";

impl Transaction {
    /// Notes that everything of `source` up to `at` is done, or waits.
    ///
    /// # Errors
    /// As for a statement.
    pub fn seen(&mut self, source: &Source, at: u64) -> Result<(), Error> {
        self.in_inbox(|sqlite| {
            let sql = "INSERT INTO seam_inbox (publisher, interface, at) VALUES (?1, ?2, ?3)
                       ON CONFLICT (publisher, interface) DO UPDATE SET at = excluded.at";
            sqlite.execute(sql, params![source.publisher, source.interface, signed(at)]).map(drop)
        })
    }

    /// Notes that the file holds all that `source` has published, up to `at`: once is enough.
    ///
    /// # Errors
    /// As for a statement.
    pub fn catch_up(&mut self, source: &Source, at: u64) -> Result<(), Error> {
        self.in_inbox(|sqlite| {
            let sql = "INSERT INTO seam_inbox (publisher, interface, at, caught_up) VALUES (?1, ?2, ?3, 1)
                       ON CONFLICT (publisher, interface) DO UPDATE SET caught_up = 1";
            sqlite.execute(sql, params![source.publisher, source.interface, signed(at)]).map(drop)
        })
    }

    /// As `Database::seen`, within the transaction.
    ///
    /// # Errors
    /// As for a statement.
    pub fn seen_of(&mut self, source: &Source) -> Result<Option<u64>, Error> {
        self.in_inbox(|sqlite| seen(sqlite, source))
    }

    /// Sets an event aside, or notes what came of another try of it. Returns its state: with `EVENT_DEAD_MAX` dead
    /// letters, an event that would be one is tried again.
    ///
    /// # Errors
    /// As for a statement.
    pub fn set_aside(&mut self, waiting: &Waiting) -> Result<WaitState, Error> {
        let Waiting { source, event, tries, due_ms, reason, .. } = waiting;
        self.in_inbox(|sqlite| {
            let state = match waiting.state {
                WaitState::Dead if has_all_dead_letters(sqlite, source)? => WaitState::Retry,
                state => state,
            };
            let sql = format!(
                "INSERT INTO seam_waiting ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (publisher, interface, position) DO UPDATE
                 SET state = excluded.state, tries = excluded.tries, due_ms = excluded.due_ms, reason = excluded.reason"
            );
            let values = params![
                source.publisher,
                source.interface,
                signed(event.position),
                event.interface,
                event.function,
                event.subject,
                signed(event.time_ms),
                event.trace,
                event.data,
                state.name(),
                tries,
                signed(*due_ms),
                reason,
            ];
            sqlite.execute(&sql, values)?;
            // The event before it may be gone since this one was found to wait behind it.
            if state != WaitState::Retry {
                free_next(sqlite, source, event)?;
            }
            Ok(state)
        })
    }

    /// Whether this event waits, or is dead: an operator may have taken it off meanwhile.
    ///
    /// # Errors
    /// As for a statement.
    pub fn waits(&mut self, source: &Source, event: &Event) -> Result<bool, Error> {
        self.in_inbox(|sqlite| {
            let sql = "SELECT 1 FROM seam_waiting WHERE publisher = ?1 AND interface = ?2 AND position = ?3";
            let values = params![source.publisher, source.interface, signed(event.position)];
            Ok(sqlite.query_row(sql, values, |_| Ok(())).optional()?.is_some())
        })
    }

    /// Takes an event that waited off: it is done, or given up for good. The next one of its subject is due now.
    /// `false` if it does not wait.
    ///
    /// # Errors
    /// As for a statement.
    pub fn take_off(&mut self, source: &Source, event: &Event) -> Result<bool, Error> {
        self.in_inbox(|sqlite| {
            let sql = "DELETE FROM seam_waiting WHERE publisher = ?1 AND interface = ?2 AND position = ?3";
            let gone = sqlite.execute(sql, params![source.publisher, source.interface, signed(event.position)])?;
            free_next(sqlite, source, event)?;
            Ok(gone > 0)
        })
    }
}

impl Transaction {
    fn in_inbox<T>(&mut self, work: impl Fn(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.as_host(|sqlite| host_table::made(sqlite, &[TABLES], work))
    }
}

/// Whether a subscription has as many dead letters as it may.
fn has_all_dead_letters(sqlite: &rusqlite::Connection, source: &Source) -> rusqlite::Result<bool> {
    // By `seam_waiting_due`.
    let sql = "SELECT count(*) >= ?3 FROM (SELECT 1 FROM seam_waiting
                 WHERE publisher = ?1 AND interface = ?2 AND state = 'dead' LIMIT ?3)";
    sqlite.query_row(sql, params![source.publisher, source.interface, limits::EVENT_DEAD_MAX], |row| row.get(0))
}

/// Makes the oldest event of the subject of `event` due if it waits behind another: there is no other any more.
fn free_next(sqlite: &rusqlite::Connection, source: &Source, event: &Event) -> rusqlite::Result<()> {
    let sql = "UPDATE seam_waiting SET state = 'retry', due_ms = 0
               WHERE publisher = ?1 AND interface = ?2 AND state = 'behind' AND position = (
                 SELECT min(position) FROM seam_waiting
                 WHERE publisher = ?1 AND interface = ?2 AND subject = ?3 AND state <> 'dead')";
    sqlite.execute(sql, params![source.publisher, source.interface, event.subject]).map(drop)
}

impl Database {
    /// Up to which position everything of `source` is done or waits; `None` for a subscription that has taken nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn seen(&self, source: &Source) -> Result<Option<u64>, Error> {
        self.read_as_host("seam_inbox", |sqlite| seen(sqlite, source))
    }

    /// Whether the file has held all that `source` has published once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn caught_up(&self, source: &Source) -> Result<bool, Error> {
        self.read_as_host("seam_inbox", |sqlite| {
            let sql = "SELECT caught_up FROM seam_inbox WHERE publisher = ?1 AND interface = ?2";
            let caught_up = sqlite.query_row(sql, params![source.publisher, source.interface], |row| row.get(0));
            Ok(caught_up.optional()?.unwrap_or(false))
        })
    }

    /// Has a subscription take the events from this position on again, those among them that wait or are dead included.
    /// Returns how many waited or were dead. A position that it has not come to yet changes nothing: the events up to
    /// it are not skipped, also when another replay has set the subscription back meanwhile.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn take_again(&self, source: &Source, from: u64) -> Result<u64, Error> {
        self.in_own_transaction(self.soon(), |tx| {
            if tx.seen_of(source)?.is_none_or(|at| at < from) {
                return Ok(0);
            }
            let gone = tx.in_inbox(|sqlite| {
                let sql = "DELETE FROM seam_waiting WHERE publisher = ?1 AND interface = ?2 AND position >= ?3";
                sqlite.execute(sql, params![source.publisher, source.interface, signed(from)])
            })?;
            tx.seen(source, from.saturating_sub(1)).map(|()| gone as u64)
        })
    }

    /// Has an event that waits, or is dead, tried now, as often as a new one; without a position all that are dead, at
    /// most `EVENT_WAITING_MAX`. Returns how many. One that waits behind another stays there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn try_again(&self, source: &Source, position: Option<u64>) -> Result<u64, Error> {
        let sql = "UPDATE seam_waiting SET state = 'retry', tries = 0, due_ms = 0
                   WHERE publisher = ?1 AND interface = ?2 AND position IN (
                     SELECT position FROM seam_waiting
                     WHERE publisher = ?1 AND interface = ?2 AND (position = ?3 AND state <> 'behind'
                       OR ?3 IS NULL AND state = 'dead')
                     ORDER BY position LIMIT ?4)";
        let values = params![source.publisher, source.interface, position.map(signed), limits::EVENT_WAITING_MAX];
        self.in_own_transaction(self.soon(), |tx| tx.in_inbox(|sqlite| sqlite.execute(sql, values)))
            .map(|rows| rows as u64)
    }

    /// Gives an event that waits, or is dead, up for good. `false` if there is none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn discard(&self, source: &Source, event: &Event) -> Result<bool, Error> {
        self.in_own_transaction(self.soon(), |tx| tx.take_off(source, event))
    }

    /// The kinds of events of a subscription that wait and are not given up.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting_kinds(&self, source: &Source) -> Result<Vec<Kind>, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let sql = "SELECT version, function, count(*) FROM seam_waiting
                       WHERE publisher = ?1 AND interface = ?2 AND state <> 'dead' GROUP BY version, function";
            let mut statement = sqlite.prepare(sql)?;
            statement.query_map(params![source.publisher, source.interface], kind)?.collect()
        })
    }

    /// How many events of a subscription wait or are dead from this position on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting_from(&self, source: &Source, from: u64) -> Result<u64, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let sql = "SELECT count(*) FROM seam_waiting WHERE publisher = ?1 AND interface = ?2 AND position >= ?3";
            sqlite.query_row(sql, params![source.publisher, source.interface, signed(from)], |row| {
                row.get(0).map(unsigned)
            })
        })
    }

    fn soon(&self) -> std::time::Instant {
        self.config().clock.now() + std::time::Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX)
    }

    /// Events of a subscription that are due for another try at `now_ms`, oldest first; also those that would wait for
    /// longer than a try is ever put off: the clock was ahead when their time was chosen, and is right now. The longest
    /// pause before the first further try is `first_ms`; it doubles with each, up to `longest_ms`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn due(
        &self,
        source: &Source,
        now_ms: u64,
        (first_ms, longest_ms): (u64, u64),
        most: u32,
    ) -> Result<Vec<Waiting>, Error> {
        let filter = "WHERE publisher = ?1 AND interface = ?2 AND state = 'retry'
                      AND (due_ms <= ?3 OR due_ms > ?3 + min(?4 << min(max(tries - 1, 0), 30), ?5))
                      ORDER BY position LIMIT ?6";
        let (now, first, longest) = (signed(now_ms), signed(first_ms), signed(longest_ms));
        self.waiting_where(filter, params![source.publisher, source.interface, now, first, longest, most])
    }

    /// When the next event of a subscription that waits is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_due(&self, source: &Source) -> Result<Option<u64>, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let sql = "SELECT min(due_ms) FROM seam_waiting
                       WHERE publisher = ?1 AND interface = ?2 AND state = 'retry'";
            sqlite.query_row(sql, params![source.publisher, source.interface], |row| {
                Ok(row.get::<_, Option<i64>>(0)?.map(unsigned))
            })
        })
    }

    /// Events of a subscription that wait, from this position on, oldest first; in one state if one is given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting(
        &self,
        source: &Source,
        state: Option<WaitState>,
        from: u64,
        most: u32,
    ) -> Result<Vec<Waiting>, Error> {
        let filter = "WHERE publisher = ?1 AND interface = ?2 AND position >= ?3 AND (?4 IS NULL OR state = ?4)
                      ORDER BY position LIMIT ?5";
        let state = state.map(WaitState::name);
        self.waiting_where(filter, params![source.publisher, source.interface, signed(from), state, most])
    }

    /// How many events of a subscription wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting_count(&self, source: &Source) -> Result<WaitingCount, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let sql = "SELECT count(*) FILTER (WHERE state = 'retry'), count(*) FILTER (WHERE state = 'behind'),
                              count(*) FILTER (WHERE state = 'dead')
                       FROM seam_waiting WHERE publisher = ?1 AND interface = ?2";
            sqlite.query_row(sql, params![source.publisher, source.interface], |row| {
                let count = |at| row.get(at).map(unsigned);
                Ok(WaitingCount { retry: count(0)?, behind: count(1)?, dead: count(2)? })
            })
        })
    }

    /// The subjects of events of `source` that wait for another try.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn waiting_subjects(&self, source: &Source) -> Result<std::collections::BTreeSet<String>, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let sql = "SELECT DISTINCT subject FROM seam_waiting
                       WHERE publisher = ?1 AND interface = ?2 AND state <> 'dead' AND subject IS NOT NULL";
            let mut statement = sqlite.prepare(sql)?;
            statement.query_map(params![source.publisher, source.interface], |row| row.get(0))?.collect()
        })
    }

    fn waiting_where(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Waiting>, Error> {
        self.read_as_host("seam_waiting", |sqlite| {
            let mut statement = sqlite.prepare(&format!("SELECT {COLUMNS} FROM seam_waiting {filter}"))?;
            statement.query_map(values, waiting)?.collect()
        })
    }
}

pub(super) fn seen(sqlite: &rusqlite::Connection, source: &Source) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT at FROM seam_inbox WHERE publisher = ?1 AND interface = ?2";
    let at = |row: &rusqlite::Row<'_>| row.get(0).map(unsigned);
    sqlite.query_row(sql, params![source.publisher, source.interface], at).optional()
}

fn waiting(row: &rusqlite::Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        source: Source { publisher: row.get(0)?, interface: row.get(1)? },
        event: Event {
            position: unsigned(row.get(2)?),
            interface: row.get(3)?,
            function: row.get(4)?,
            subject: row.get(5)?,
            time_ms: unsigned(row.get(6)?),
            trace: row.get(7)?,
            data: row.get(8)?,
        },
        state: WaitState::parse(&row.get::<_, String>(9)?),
        tries: row.get(10)?,
        due_ms: unsigned(row.get(11)?),
        reason: row.get(12)?,
    })
}
