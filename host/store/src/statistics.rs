//! What a database did since it was opened. Counting costs one relaxed atomic addition.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Default)]
pub(super) struct Counters {
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    pub commits: AtomicU64,
    pub groups: AtomicU64,
    pub held_us: AtomicU64,
    pub checkpoints: AtomicU64,
    pub rollbacks: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}

/// A database at one moment. Counters start at 0 when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Statistics {
    pub file_bytes: u64,
    pub wal_bytes: u64,
    /// Statements that returned rows.
    pub reads: u64,
    /// Statements that changed rows, or tried to.
    pub writes: u64,
    /// Transactions that are durable.
    pub commits: u64,
    /// Commits of SQLite, each of one or more transactions: one fsync each.
    pub groups: u64,
    /// For how long those held the file's writer, from their first statement until their commit was durable, in
    /// microseconds.
    pub held_us: u64,
    /// How often the write-ahead log was copied back.
    pub checkpoints: u64,
    pub rollbacks: u64,
    /// Transactions that did not get the writer.
    pub refused: u64,
    /// Statements that failed.
    pub failed: u64,
    /// Transactions that wait for the writer now.
    pub waiting: u64,
    /// Connections that read now or are kept for reading.
    pub readers: u64,
}

impl Statistics {
    pub(super) fn of(counters: &Counters, path: &Path, waiting: usize, readers: usize) -> Self {
        Self {
            file_bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
            wal_bytes: wal_bytes(path),
            reads: counters.reads.load(Relaxed),
            writes: counters.writes.load(Relaxed),
            commits: counters.commits.load(Relaxed),
            groups: counters.groups.load(Relaxed),
            held_us: counters.held_us.load(Relaxed),
            checkpoints: counters.checkpoints.load(Relaxed),
            rollbacks: counters.rollbacks.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            waiting: waiting as u64,
            readers: readers as u64,
        }
    }
}

/// Size of the write-ahead log beside the file at `path`; 0 when there is none.
pub(super) fn wal_bytes(path: &Path) -> u64 {
    let mut name: OsString = path.into();
    name.push("-wal");
    std::fs::metadata(PathBuf::from(name)).map_or(0, |m| m.len())
}
