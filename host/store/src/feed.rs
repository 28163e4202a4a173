//! An outbox as its readers outside of the host see it: pages by position.
//!
//! Invariants: a reader gets every event after its position, or learns that it cannot: events that are no longer kept,
//! and events that a file which was put back does not have, are never left out in silence. A full page stays as it is,
//! since positions increase in the order of the commits and none is used twice.
//! Not here: who may read (`http` of the host), and when events are forgotten (`outbox`).

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{signed, unsigned};
use crate::ids::interface_path;
use crate::outbox::{Event, RESTORED, STARTED};

/// What a reader asks for.
#[derive(Debug, Clone, Copy)]
pub struct FeedRequest<'r> {
    /// The paths of the interfaces whose events it gets, without a version.
    pub interfaces: &'r [String],
    /// The position up to which it has read; `None`: it starts with the oldest event that is kept.
    pub after: Option<u64>,
    /// The most entries, at least 1.
    pub most: u32,
    /// The page ends with the entry with which its data has so many bytes.
    pub bytes: usize,
    /// The most events that are looked at, also those of other interfaces; at least 1.
    pub looks: u32,
}

/// The answer to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    Page(FeedPage),
    /// Events after the reader's position are no longer kept: those up to `kept_after`. `head` is the last position.
    Behind {
        kept_after: u64,
        head: u64,
    },
    /// The reader's position is above `head`, the last one that was given.
    Ahead {
        head: u64,
    },
}

/// Entries in the order of their positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedPage {
    pub entries: Vec<FeedEntry>,
    /// The position up to which the reader has read with this page.
    pub next: u64,
    /// The last position that was given.
    pub head: u64,
    /// Whether it ended at one of the request's bounds, so that it stays as it is.
    pub is_full: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEntry {
    Event(Event),
    /// From here on, the events come from a file that was put back: none of those that had positions above `last` and
    /// below `position` is in it.
    Restored {
        position: u64,
        last: u64,
        time_ms: u64,
    },
}

impl FeedEntry {
    pub fn position(&self) -> u64 {
        match self {
            Self::Event(event) => event.position,
            Self::Restored { position, .. } => *position,
        }
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::Page(FeedPage::default())
    }
}

impl Database {
    /// A page of the outbox.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn feed(&self, request: &FeedRequest<'_>) -> Result<Feed, Error> {
        let feed = self.read_as_host("seam_outbox", |sqlite| {
            // The head first and the oldest row last: what is published or forgotten meanwhile is not left out.
            let head = sqlite.query_row("SELECT coalesce(max(position), 0) FROM seam_outbox", [], |row| row.get(0))?;
            let head = unsigned(head);
            let page = page(sqlite, request, head)?;
            let kept_after = kept_after(sqlite)?;
            Ok(match request.after {
                Some(after) if after < kept_after => Feed::Behind { kept_after, head },
                _ => Feed::Page(page),
            })
        })?;
        Ok(match (feed, request.after) {
            // Also in a file without an outbox.
            (Feed::Page(FeedPage { head, .. }), Some(after)) if after > head => Feed::Ahead { head },
            (feed, _) => feed,
        })
    }
}

fn page(sqlite: &rusqlite::Connection, request: &FeedRequest<'_>, head: u64) -> rusqlite::Result<FeedPage> {
    let after = request.after.unwrap_or(0);
    let sql = "SELECT position, interface, function, subject, time_ms, trace, data FROM seam_outbox
               WHERE position > ?1 ORDER BY position LIMIT ?2";
    let mut statement = sqlite.prepare(sql)?;
    let mut rows = statement.query(params![signed(after), request.looks])?;
    let mut page = FeedPage { next: after, head, ..FeedPage::default() };
    let (mut bytes, mut looks) = (0, 0);
    while let Some(row) = rows.next()? {
        looks += 1;
        page.next = unsigned(row.get(0)?);
        if let Some(entry) = entry(row, request)? {
            bytes += if let FeedEntry::Event(event) = &entry { event.data.len() } else { 0 };
            page.entries.push(entry);
        }
        if page.entries.len() >= request.most as usize || bytes >= request.bytes || looks >= request.looks {
            page.is_full = true;
            break;
        }
    }
    if looks > 0 {
        page.head = head.max(page.next);
    }
    if !page.is_full {
        page.next = page.next.max(page.head);
    }
    Ok(page)
}

/// What the reader gets of a row; `None` if nothing.
fn entry(row: &rusqlite::Row<'_>, request: &FeedRequest<'_>) -> rusqlite::Result<Option<FeedEntry>> {
    let interface = row.get_ref(1)?.as_str()?;
    if interface.is_empty() {
        // Positions that start concern a reader that has read from the file before.
        let concerns = row.get_ref(2)?.as_str()? == RESTORED || request.after.is_some_and(|after| after > 0);
        let last = row.get_ref(6)?.as_str()?.parse().unwrap_or(0);
        let (position, time_ms) = (unsigned(row.get(0)?), unsigned(row.get(4)?));
        return Ok(concerns.then_some(FeedEntry::Restored { position, last, time_ms }));
    }
    let path = interface_path(interface);
    if !request.interfaces.iter().any(|granted| granted == path) {
        return Ok(None);
    }
    Ok(Some(FeedEntry::Event(Event {
        position: unsigned(row.get(0)?),
        interface: interface.to_owned(),
        function: row.get(2)?,
        subject: row.get(3)?,
        time_ms: unsigned(row.get(4)?),
        trace: row.get(5)?,
        data: row.get(6)?,
    })))
}

/// The position after which every event is kept.
pub(super) fn kept_after(sqlite: &rusqlite::Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT position, interface, function, data FROM seam_outbox ORDER BY position LIMIT 1";
    let oldest = sqlite.query_row(sql, [], |row| {
        let (interface, function) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        Ok(match (interface, function) {
            ("", STARTED) => 0,
            ("", _) => row.get_ref(3)?.as_str()?.parse().unwrap_or(0),
            _ => unsigned(row.get(0)?).saturating_sub(1),
        })
    });
    Ok(oldest.optional()?.unwrap_or(0))
}
