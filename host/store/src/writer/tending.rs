//! What the writer does about a file that does not work, and about a log that grows.

use std::time::Duration;

use super::{Writer, truncate_log};
use crate::connection::{Connection, Fault};
use crate::error::Error;
use crate::sealing::with_rows;
use crate::statistics::Counters;
use crate::tails::Lag;
use crate::{blocking, damage, fault, limits, mark};

/// What SQLite says when a disk or a file may not grow.
const FULL: &str = "database or disk is full";

impl Writer {
    /// Takes note of a failure that is not the context's.
    pub fn note_failure(&self, connection: &Connection, error: &Error) {
        let no_room = match error {
            Error::Unavailable(_) => match connection.take_fault() {
                Some(Fault::Damaged(found)) => return self.quarantine(found),
                Some(Fault::Index) => return,
                None => false,
            },
            Error::Full(why) if why == FULL => {
                // SQLite says the same of the context's quota: the nearer bound is meant.
                let bytes = std::fs::metadata(&self.config.path).map_or(0, |file| file.len());
                let quota = (self.config.max_mb << 20).saturating_sub(bytes);
                if self.health.disk_bytes().is_none_or(|there| there >= quota.max(limits::STORE_ROOM_BYTES_MIN)) {
                    return;
                }
                true
            }
            Error::Full(_) => connection.lacked_room(),
            _ => return,
        };
        self.health.failed(no_room, error);
    }

    /// Fences the file, which was found damaged in these words; says which sealed rows are not as they were.
    fn quarantine(&self, found: String) {
        if self.health.is_fenced() {
            return;
        }
        let found = self.health.broken_seal().unwrap_or(found);
        self.health.damaged(with_rows(&self.config, found));
    }

    /// Looks whether the file is there and, after a failure, whether its disk takes a commit.
    pub fn tend(&self) {
        if let Some(found) = self.health.broken_seal().filter(|_| !self.health.is_fenced()) {
            self.quarantine(found);
        }
        // Without a connection there may be no log. A transaction that runs looks itself.
        let open = self.state.lock().idle.is_some();
        if self.health.look(open).is_err() || !self.health.does_not_work() {
            return;
        }
        let deadline = self.config.clock.now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
        let Ok(mut lease) = self.exclusive(deadline) else { return };
        let commit = format!("BEGIN IMMEDIATE; {}; COMMIT", mark::ADVANCE);
        let tried = lease.connection().map(|connection| {
            if !self.health.has_room() {
                // That may make room in the log. No follower is worth a store that takes no commits.
                self.may_copy_back(connection, Lag::LetGo);
                truncate_log(connection).ok();
            }
            // A small commit may find room where the next one does not.
            self.health.has_room().then(|| connection.run_as_host(&commit))
        });
        match tried {
            Ok(Some(Ok(()))) => self.health.goes_on(),
            Ok(None) => {}
            _ => lease.connection = None,
        }
        self.give_back(lease);
    }

    /// Whether the log may be copied back, which lets it be written from its start: those who follow the file have taken
    /// all that it holds, or are let go. The caller has the lease, so no commit comes in between.
    pub fn may_copy_back(&self, connection: &Connection, lag: Lag) -> bool {
        if !self.tails.are_any() {
            return true;
        }
        let ready = || connection.log_frames().is_ok_and(|(frames, _)| self.tails.take_all(frames, lag));
        let ready = blocking::block_in_place(ready);
        if !ready && lag == Lag::LetGo {
            self.tails.let_all_go("the log could not be read to its end");
        }
        ready
    }

    /// Keeps the write-ahead log short. Each time that it has grown by `STORE_WAL_PAGES_CHECKPOINT`, it is copied back,
    /// which waits for no reader. From `STORE_WAL_PAGES_RESET` pages on it is also cut, which waits for the readers of
    /// old snapshots; the deadlines of their statements bound that. Once a log is copied back as a whole and no reader
    /// uses it, the next commit overwrites it from its start.
    /// A failure costs nothing but space.
    pub(super) fn checkpoint(&self, connection: &mut Connection) {
        let Some(pages) = connection.checkpoint_due() else { return };
        if !self.may_copy_back(connection, Lag::Wait) {
            return;
        }
        let mode = if pages < limits::STORE_WAL_PAGES_RESET { "PASSIVE" } else { "TRUNCATE" };
        let (path, started) = (self.config.path.display(), self.config.clock.now());
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        fault::point("checkpoint.before");
        if let Err(error) = blocking::block_in_place(|| connection.run_as_host(&sql)) {
            tracing::warn!(%path, pages, %error, "the write-ahead log was not copied back");
            if let Some(found) = damage::of(&error) {
                self.quarantine(found);
            }
        }
        fault::point("checkpoint.after");
        Counters::add(&self.counters.checkpoints, 1);
        let took = self.config.clock.elapsed_since(started);
        if took > Duration::from_millis(limits::STORE_SLOW_MS) {
            tracing::info!(%path, pages, ms = took.as_millis() as u64, "slow checkpoint");
        }
    }
}
