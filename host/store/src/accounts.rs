//! Whether the files of a publisher and of a subscriber say the same of the events between them, at one moment of both.
//!
//! Each event that the outbox keeps is still ahead of the subscriber, or was taken, or is set aside, or is a dead
//! letter: the subscriber's cursor says which is the case, and `seam_waiting` what is set aside. So what can be wrong
//! is a cursor that the outbox does not know, and an event in `seam_waiting` that is none of the outbox, comes again,
//! or is never tried.
//! Also what the tables of sagas, and the seals of rows, must be in one file.
//! Not here: what a handler did with an event that it took; the context's own invariants say that.

use rusqlite::{Connection as Sqlite, OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::examine::{Author, Terms, armed};
use crate::feed::kept_after;
use crate::host_table::{exists, signed, unsigned};
use crate::inbox::{Source, seen};
use crate::moment::Snapshot;
use crate::outbox::RESTORED;
use crate::row_seals::{self, Verified};
use crate::seal::Seal;
use crate::{blocking, limits};

/// What was compared, and the faults of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Events of the interface that the outbox keeps, or sagas of a file.
    pub rows: u64,
    /// All faults.
    pub faults: u64,
    /// The first `STORE_VIOLATIONS_SHOWN` of them, in words.
    pub examples: Vec<String>,
}

impl Account {
    fn fault(&mut self, what: String) {
        self.faults += 1;
        if self.examples.len() < limits::STORE_VIOLATIONS_SHOWN {
            self.examples.push(what);
        }
    }
}

/// What the outbox of a publisher says, read from its file or asked of its host. All of it is younger than what the
/// subscriber's file says, or as old.
pub trait Published {
    type Error: From<rusqlite::Error>;

    /// Which positions it has, for a subscriber that has taken events up to `taken`.
    ///
    /// # Errors
    /// As of all functions here: when the outbox cannot be read.
    fn bounds(&mut self, taken: u64) -> Result<Bounds, Self::Error>;

    /// Whether the outbox has the same event at its position; `None` if it has none there. It is not asked for what it
    /// need not keep.
    fn has_same(&mut self, event: &EventAside) -> Result<Option<bool>, Self::Error>;

    /// Up to where the subscriber has taken events after `bounds` was asked for; `then` is what it had taken before.
    fn taken_since(&mut self, then: u64) -> Result<u64, Self::Error>;
}

/// Which positions an outbox has, as seen from one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The last position that was given.
    pub last: u64,
    /// Up to which position events may be forgotten.
    pub forgotten: u64,
    /// Events of the interface that it keeps.
    pub rows: u64,
    /// The last position from before the outbox was put back, if the position is one that it has lost by that.
    pub known: Option<u64>,
}

/// An event that a subscriber has set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAside {
    pub position: u64,
    /// With its version.
    pub interface: String,
    pub function: String,
    pub subject: Option<String>,
    pub data: String,
}

/// Compares the outbox of a publisher with what a subscriber notes of `source`.
///
/// # Errors
/// When a file cannot be read, or not in time.
pub fn account(outbox: &Snapshot, inbox: &Snapshot, source: &Source, terms: &Terms) -> Result<Account, Error> {
    let both = [(&outbox.connection, Author::Host), (&inbox.connection, Author::Host)];
    let compared = || {
        let sqlite = outbox.connection.sqlite();
        let has_outbox = exists(sqlite, "seam_outbox")?;
        compare(&mut OutboxFile { sqlite, has_outbox, source }, inbox.connection.sqlite(), source)
    };
    let compared = blocking::block_in_place(|| armed(&both, terms, compared));
    compared.map_err(|error| inbox.connection.explain(&error))
}

/// As `account`, with an outbox that another host reads.
///
/// # Errors
/// When the subscriber's file or the outbox cannot be read, or not in time.
pub fn account_apart<P: Published>(
    published: &mut P,
    inbox: &Snapshot,
    source: &Source,
    terms: &Terms,
) -> Result<Account, P::Error> {
    let compared = || compare(published, inbox.connection.sqlite(), source);
    blocking::block_in_place(|| armed(&[(&inbox.connection, Author::Host)], terms, compared))
}

fn compare<P: Published>(published: &mut P, inbox: &Sqlite, source: &Source) -> Result<Account, P::Error> {
    let taken = if exists(inbox, "seam_inbox")? { seen(inbox, source)?.unwrap_or(0) } else { 0 };
    let Bounds { last, forgotten, rows, known } = published.bounds(taken)?;
    let mut account = Account { rows, ..Account::default() };
    if taken > last {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher has given positions up to {last} only"
        ));
    }
    // A subscriber that has taken nothing starts with the first event that is kept.
    if taken > 0 && taken < forgotten && published.taken_since(taken)? < forgotten {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher does not keep those up to {forgotten}"
        ));
    }
    if let Some(known) = known {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher's file, which was put back, knows them \
             up to {known}"
        ));
    }
    if exists(inbox, "seam_waiting")? {
        set_aside(published, inbox, source, (taken, forgotten), &mut account)?;
    }
    Ok(account)
}

/// The outbox in a file.
struct OutboxFile<'o> {
    sqlite: &'o Sqlite,
    has_outbox: bool,
    source: &'o Source,
}

impl Published for OutboxFile<'_> {
    type Error = rusqlite::Error;

    fn bounds(&mut self, taken: u64) -> rusqlite::Result<Bounds> {
        if self.has_outbox { bounds(self.sqlite, &self.source.interface, taken) } else { Ok(Bounds::default()) }
    }

    fn has_same(&mut self, event: &EventAside) -> rusqlite::Result<Option<bool>> {
        if !self.has_outbox {
            return Ok(None);
        }
        let sql = "SELECT interface = ?2 AND function = ?3 AND subject IS ?4 AND data = ?5 FROM seam_outbox
                   WHERE position = ?1 AND interface <> ''";
        let EventAside { position, interface, function, subject, data } = event;
        let event = params![signed(*position), interface, function, subject, data];
        self.sqlite.prepare_cached(sql)?.query_row(event, |row| row.get(0)).optional()
    }

    fn taken_since(&mut self, then: u64) -> rusqlite::Result<u64> {
        Ok(then)
    }
}

fn sagas(sqlite: &Sqlite) -> rusqlite::Result<Account> {
    let rows = sqlite.query_row("SELECT count(*) FROM seam_sagas", [], |row| row.get(0).map(unsigned))?;
    let mut account = Account { rows, ..Account::default() };
    let sql = "SELECT kind, id, state, step FROM seam_sagas
               WHERE state IN ('running', 'undoing') AND due_ms IS NULL
                  OR state = 'stuck' AND due_ms IS NULL AND reason = ''
                  OR state IN ('done', 'undone') AND due_ms IS NOT NULL
               ORDER BY number";
    let mut statement = sqlite.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |at| row.get::<_, String>(at);
        let (kind, id, state, step) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let what = match state.as_str() {
            "stuck" => "and nothing says why",
            "done" | "undone" => "and is still due",
            _ => "and would never go on",
        };
        account.fault(format!("`{kind}` {id} is {state} at `{step}`, {what}"));
    }
    let sql = "SELECT DISTINCT saga FROM seam_saga_attempts WHERE saga NOT IN (SELECT number FROM seam_sagas)";
    let mut statement = sqlite.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        account.fault(format!("the timeline of saga number {} is there without the saga", row.get::<_, i64>(0)?));
    }
    Ok(account)
}

fn bounds(outbox: &Sqlite, interface: &str, at: u64) -> rusqlite::Result<Bounds> {
    let last = "SELECT coalesce(max(position), 0) FROM seam_outbox";
    let rows = "SELECT count(*) FROM seam_outbox WHERE interface = ?1 OR interface GLOB ?1 || '@*'";
    // What is forgotten meanwhile is younger than the rest.
    let forgotten = kept_after(outbox)?;
    Ok(Bounds {
        last: outbox.query_row(last, [], |row| row.get(0).map(unsigned))?,
        forgotten,
        rows: outbox.query_row(rows, [interface], |row| row.get(0).map(unsigned))?,
        known: lost_at(outbox, at)?,
    })
}

/// The last position from before the outbox was put back, if `position` is one that it has lost by that.
fn lost_at(outbox: &Sqlite, position: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT CAST(data AS INTEGER) FROM seam_outbox
               WHERE interface = '' AND function = ?1 AND position > ?2 AND CAST(data AS INTEGER) < ?2 LIMIT 1";
    let known = outbox.query_row(sql, params![RESTORED, signed(position)], |row| row.get(0).map(unsigned));
    known.optional()
}

/// Looks at each event that is set aside.
fn set_aside<P: Published>(
    published: &mut P,
    inbox: &Sqlite,
    source: &Source,
    (taken, forgotten): (u64, u64),
    account: &mut Account,
) -> Result<(), P::Error> {
    // An event waits behind the first one of its subject that is not dead.
    let sql = "SELECT position, version, function, subject, data, state,
                 state = 'behind' AND NOT EXISTS (
                   SELECT 1 FROM seam_waiting AS first
                   WHERE first.publisher = w.publisher AND first.interface = w.interface AND first.subject = w.subject
                     AND first.state = 'retry' AND first.position < w.position)
               FROM seam_waiting AS w WHERE publisher = ?1 AND interface = ?2 ORDER BY position";
    let mut statement = inbox.prepare(sql)?;
    let mut rows = statement.query(params![source.publisher, source.interface])?;
    while let Some(row) = rows.next()? {
        let (at, state): (u64, String) = (unsigned(row.get(0)?), row.get(5)?);
        if at > taken {
            account.fault(format!("the event at {at} is set aside ({state}), and is still to come, too"));
        }
        if at > forgotten {
            let event = EventAside {
                position: at,
                interface: row.get(1)?,
                function: row.get(2)?,
                subject: row.get(3)?,
                data: row.get(4)?,
            };
            match published.has_same(&event)? {
                Some(true) => {}
                Some(false) => account.fault(format!("the event at {at} is set aside as another than was published")),
                None => account.fault(format!("the event at {at} is set aside, and the publisher does not have it")),
            }
        }
        if row.get(6)? {
            account.fault(format!("the event at {at} waits behind no other event, and so would never be tried"));
        }
    }
    Ok(())
}

impl Database {
    /// Which positions the outbox has, as seen from `at`. `interface` is a path, without a version.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bounds(&self, interface: &str, at: u64) -> Result<Bounds, Error> {
        self.read_as_host("seam_outbox", |sqlite| bounds(sqlite, interface, at))
    }
}

impl Snapshot {
    /// Whether each saga in process goes on by itself, waits, or is stuck with a reason, and each line of a timeline is
    /// that of a saga; `None` if the file never had a saga. `rows` are the sagas of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or not in time.
    pub fn verify_sagas(&self, terms: &Terms) -> Result<Option<Account>, Error> {
        let sqlite = self.connection.sqlite();
        let look = || if exists(sqlite, "seam_sagas")? { sagas(sqlite).map(Some) } else { Ok(None) };
        let looked = blocking::block_in_place(|| armed(&[(&self.connection, Author::Host)], terms, look));
        looked.map_err(|error| self.connection.explain(&error))
    }

    /// Compares all sealed rows with their seals, as they are in the snapshot. `None` if no table is sealed.
    ///
    /// # Errors
    /// When the file or its key cannot be read.
    pub fn verify_seals(&self, terms: &Terms) -> Result<Option<Verified>, Error> {
        let Some(seal) = self.config.seal.as_ref().filter(|seal| !seal.tables.is_empty()) else { return Ok(None) };
        let key = Seal::key(seal).map_err(|error| Error::Unavailable(crate::error::chain(&error)))?;
        let key = key.ok_or_else(|| Error::Unavailable(format!("the key of its seals is not in {}", seal.place())))?;
        let within = terms.deadline.saturating_duration_since(std::time::Instant::now());
        let sqlite = self.connection.sqlite();
        let verified = blocking::block_in_place(|| row_seals::verify(sqlite, &key, Some(within)));
        verified.map(Some).map_err(|error| self.connection.explain(&error))
    }
}
