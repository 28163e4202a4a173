//! Following a file while it is in use: its pages as they stand on the disk, and then every change to them, for a
//! backup that goes on and for a move to another host. Pages are bytes here: those of an encrypted file stay encrypted.
//!
//! The base is read while commits and checkpoints go on, so it may mix several states, and a page of it may even be
//! half old and half new. That does no harm: each page that a checkpoint writes meanwhile is in the log behind the
//! place at which following began, and comes with the changes. So once the changes go as far as the log went when the
//! last of the base was read, base and changes are one committed state (`Changes::whole`).
//!
//! Invariants: the file itself is read through SQLite's own descriptor, because closing any other one ends the
//! process's locks on it (decision 7). Nothing that is not durable is handed out. A follower stops no commit, and the
//! log that it needs is bounded; one that lags is let go (`tails`), and following begins again from another base. Not
//! here: where the pages go. The promise of a transaction over several files lies beside the file (`votes`), and is not
//! followed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::database::Database;
use crate::error::Error;
use crate::tails::{Pending, Place, Tail};
use crate::writer::Lease;
use crate::{blocking, limits, vfs};

/// Why a file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("the changes of `{}` are lost to this follower, which needs a new base: {why}", path.display())]
    LetGo { path: PathBuf, why: String },
    #[error("cannot read the log of `{}`", path.display())]
    Log { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] Error),
}

/// Follows one file. While it lives, the file stays open. The log is kept for it within bounds, so it is to be asked
/// for `changes` every few seconds, also while it reads the base.
pub struct Follower {
    database: Arc<Database>,
    tail: Arc<Mutex<Tail>>,
    page_bytes: u32,
    base_pages: u32,
    /// Where the log ended when the base was last read.
    base_read: Place,
}

/// The last images of the pages that some commits changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// By the number of the page; the first page is 1. None is beyond `file_pages`.
    pub pages: BTreeMap<u32, Vec<u8>>,
    /// The file's size in pages after the last of the commits.
    pub file_pages: u32,
    /// How many commits of SQLite; each holds one or more transactions.
    pub commits: u64,
    /// Whether base and changes up to here are one committed state. It stays so until more of the base is read.
    pub whole: bool,
}

impl Database {
    /// Begins to follow the file.
    ///
    /// # Errors
    /// When the file cannot be read, or the writer is not free within `STORE_LOCK_WAIT_MS`.
    pub fn follow(self: &Arc<Self>) -> Result<Follower, FollowError> {
        blocking::block_in_place(|| {
            let reader = self.reader()?;
            let connection = reader.connection()?;
            let asked = connection.sqlite().query_row("PRAGMA page_size", [], |row| row.get(0));
            let page_bytes: u32 = asked.map_err(|error| self.failed(connection, &error))?;
            let bytes = vfs::file_size(connection.sqlite()).map_err(|error| self.failed(connection, &error))?;
            let deadline = self.config().clock.now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
            let lease = self.writer.exclusive(deadline)?;
            let added = self.added(&lease, page_bytes as usize);
            self.writer.give_back(lease);
            let tail = added?;
            let base_pages = u32::try_from(bytes / u64::from(page_bytes.max(1))).unwrap_or(u32::MAX);
            let base_read = self.writer.tails.end();
            Ok(Follower { database: self.clone(), tail, page_bytes, base_pages, base_read })
        })
    }

    fn added(&self, lease: &Lease, page: usize) -> Result<Arc<Mutex<Tail>>, FollowError> {
        let connection = lease.connection()?;
        let frames = connection.log_frames().map_err(|error| connection.explain(&error))?;
        let seals = if self.config().seals_pages() { vfs::seals_of(self.path()) } else { None };
        let added = self.writer.tails.add(page, frames, seals);
        added.map_err(|source| FollowError::Log { path: self.path().to_owned(), source })
    }
}

impl Follower {
    /// Bytes of a page.
    pub fn page_bytes(&self) -> u32 {
        self.page_bytes
    }

    /// Pages of the file itself when following began.
    pub fn base_pages(&self) -> u32 {
        self.base_pages
    }

    /// Appends pages of the file itself to `into`, from number `first` on, the first page being 1; up to
    /// `STORE_FOLLOW_BASE_PAGES_MAX`. How many. Pages behind the end of the file are zeros.
    ///
    /// # Errors
    /// When the file cannot be read, or the follower was let go.
    pub fn read_base(&mut self, first: u32, count: u32, into: &mut Vec<u8>) -> Result<u32, FollowError> {
        self.usable()?;
        let count = count.min(limits::STORE_FOLLOW_BASE_PAGES_MAX);
        let size = u64::from(self.page_bytes);
        let (start, bytes) = (into.len(), u64::from(count) * size);
        into.resize(start + usize::try_from(bytes).unwrap_or(0), 0);
        let read = blocking::block_in_place(|| {
            let reader = self.database.reader()?;
            let connection = reader.connection()?;
            let to = into.get_mut(start..).unwrap_or_default();
            let read = vfs::read_file(connection.sqlite(), u64::from(first.saturating_sub(1)) * size, to);
            read.map_err(|error| self.database.failed(connection, &error))
        });
        self.base_read = self.database.writer.tails.end();
        if let Err(error) = read {
            into.truncate(start);
            return Err(error.into());
        }
        Ok(count)
    }

    /// What was committed since the last call, or the first part of it; `None` when there is nothing new, and then base
    /// and changes are one committed state. After the file was closed, this is what had not been asked for.
    ///
    /// # Errors
    /// When the follower was let go.
    pub fn changes(&mut self) -> Result<Option<Changes>, FollowError> {
        let tails = &self.database.writer.tails;
        let (pending, at) = blocking::block_in_place(|| {
            loop {
                let mut tail = self.tail.lock();
                let before = tail.at;
                let all = tails.read(&mut tail);
                if all || tail.let_go.is_some() || tail.at == before {
                    return (std::mem::take(&mut tail.pending), tail.at);
                }
            }
        });
        let Pending { pages, file_pages, commits } = pending;
        if commits == 0 {
            return self.usable().map(|()| None);
        }
        Ok(Some(Changes { pages, file_pages, commits, whole: at >= self.base_read }))
    }

    /// Bytes of the log that were not taken yet.
    pub fn lag_bytes(&self) -> u64 {
        let frames = self.database.writer.tails.end().frames_after(self.tail.lock().at);
        u64::from(frames) * u64::from(self.page_bytes)
    }

    fn usable(&self) -> Result<(), FollowError> {
        match &self.tail.lock().let_go {
            None => Ok(()),
            Some(why) => Err(FollowError::LetGo { path: self.database.path().to_owned(), why: why.clone() }),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.database.writer.tails.forget(&self.tail);
    }
}
