//! Watching files: reports soon which of them changed their contents.
//!
//! The system's events are only hints: one may come early, twice, for a neighbouring file, or not at all. A hint
//! decides *when* to scan (`schedule`); a scan compares every file with its last known contents (`snapshot`), by hash.
//! Without hints there is a scan every few seconds, so a lost event delays a report and never loses a change.
//! Invariant: a file is reported once it has been left alone for a moment, so not while it is being written. A file
//! that is replaced by a rename, or missing only for a moment, is a changed file and not a removed one. Not here: what
//! a changed file means (`dev`, `app`).

mod hints;
mod schedule;
mod snapshot;
#[cfg(test)]
mod tests;
mod watcher;

pub use schedule::Config;
pub use snapshot::{Changes, Root};
pub use watcher::Watcher;
