//! Whether the files of a publisher and of a subscriber say the same of the events between them, at one moment of both.
//!
//! Each event that the outbox keeps is still ahead of the subscriber, or was taken, or is set aside, or is a dead
//! letter: the subscriber's cursor says which is the case, and `seam_waiting` what is set aside. So what can be wrong
//! is a cursor that the outbox does not know, and an event in `seam_waiting` that is none of the outbox, comes again,
//! or is never tried.
//! Also what the tables of sagas, and the seals of rows, must be in one file.
//! Not here: what a handler did with an event that it took; the context's own invariants say that.

use rusqlite::{Connection as Sqlite, OptionalExtension, params};

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

/// Compares the outbox of a publisher with what a subscriber notes of `source`.
///
/// # Errors
/// When a file cannot be read, or not in time.
pub fn account(outbox: &Snapshot, inbox: &Snapshot, source: &Source, terms: &Terms) -> Result<Account, Error> {
    let both = [(&outbox.connection, Author::Host), (&inbox.connection, Author::Host)];
    let compared = || compare(outbox.connection.sqlite(), inbox.connection.sqlite(), source);
    let compared = blocking::block_in_place(|| armed(&both, terms, compared));
    compared.map_err(|error| inbox.connection.explain(&error))
}

fn compare(outbox: &Sqlite, inbox: &Sqlite, source: &Source) -> rusqlite::Result<Account> {
    let mut account = Account::default();
    let has_outbox = exists(outbox, "seam_outbox")?;
    let (mut last, mut forgotten) = (0, 0);
    if has_outbox {
        last = outbox.query_row("SELECT coalesce(max(position), 0) FROM seam_outbox", [], |row| row.get(0))?;
        forgotten = kept_after(outbox)?;
        let sql = "SELECT count(*) FROM seam_outbox WHERE interface = ?1 OR interface GLOB ?1 || '@*'";
        account.rows = outbox.query_row(sql, [&source.interface], |row| row.get(0).map(unsigned))?;
    }
    let last = unsigned(last);
    let taken = if exists(inbox, "seam_inbox")? { seen(inbox, source)?.unwrap_or(0) } else { 0 };
    if taken > last {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher has given positions up to {last} only"
        ));
    }
    // A subscriber that has taken nothing starts with the first event that is kept.
    if taken > 0 && taken < forgotten {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher does not keep those up to {forgotten}"
        ));
    }
    if let Some(known) = if has_outbox { lost_at(outbox, taken)? } else { None } {
        account.fault(format!(
            "the subscriber has taken events up to {taken}, and the publisher's file, which was put back, knows them \
             up to {known}"
        ));
    }
    if exists(inbox, "seam_waiting")? {
        set_aside(has_outbox.then_some(outbox), inbox, source, (taken, forgotten), &mut account)?;
    }
    Ok(account)
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

/// The last position from before the outbox was put back, if `position` is one that it has lost by that.
fn lost_at(outbox: &Sqlite, position: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT CAST(data AS INTEGER) FROM seam_outbox
               WHERE interface = '' AND function = ?1 AND position > ?2 AND CAST(data AS INTEGER) < ?2 LIMIT 1";
    let known = outbox.query_row(sql, params![RESTORED, signed(position)], |row| row.get(0).map(unsigned));
    known.optional()
}

/// Looks at each event that is set aside.
fn set_aside(
    outbox: Option<&Sqlite>,
    inbox: &Sqlite,
    source: &Source,
    (taken, forgotten): (u64, u64),
    account: &mut Account,
) -> rusqlite::Result<()> {
    // An event waits behind the first one of its subject that is not dead.
    let sql = "SELECT position, version, function, subject, data, state,
                 state = 'behind' AND NOT EXISTS (
                   SELECT 1 FROM seam_waiting AS first
                   WHERE first.publisher = w.publisher AND first.interface = w.interface AND first.subject = w.subject
                     AND first.state = 'retry' AND first.position < w.position)
               FROM seam_waiting AS w WHERE publisher = ?1 AND interface = ?2 ORDER BY position";
    let same = "SELECT interface = ?2 AND function = ?3 AND subject IS ?4 AND data = ?5 FROM seam_outbox
                WHERE position = ?1 AND interface <> ''";
    let mut published = outbox.map(|outbox| outbox.prepare(same)).transpose()?;
    let mut statement = inbox.prepare(sql)?;
    let mut rows = statement.query(params![source.publisher, source.interface])?;
    while let Some(row) = rows.next()? {
        let (position, state): (i64, String) = (row.get(0)?, row.get(5)?);
        let at = unsigned(position);
        let text = |at| row.get::<_, Option<String>>(at);
        let event = params![position, text(1)?, text(2)?, text(3)?, text(4)?];
        if at > taken {
            account.fault(format!("the event at {at} is set aside ({state}), and is still to come, too"));
        }
        if at > forgotten {
            let is_same = published.as_mut().map(|sql| sql.query_row(event, |row| row.get(0)).optional());
            match is_same.transpose()?.flatten() {
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
