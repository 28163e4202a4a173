//! How far a variant has caught up with what its context has learned.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use seam_store::Cursor;
use seam_store::clock::Clock;

/// Outlives the variant's versions. A variant that has nothing to learn is ready from the start.
pub struct Readiness {
    /// Whether the variant has reached the end of the history, and so may answer.
    ready: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records that the variant has received since the host started.
    pub records: u64,
    /// Why it could not receive the next ones.
    pub error: Option<String>,
}

impl Readiness {
    pub fn new(ready: bool) -> Self {
        Self { ready: AtomicBool::new(ready), progress: Mutex::default() }
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Notes that the variant has received `records` more records, and that its cursor is `cursor` now.
    pub fn record_progress(&self, records: usize, cursor: Cursor) {
        let mut progress = self.progress.lock();
        progress.records += records as u64;
        progress.error = None;
        self.ready.store(cursor.caught_up, Ordering::Relaxed);
    }

    /// Notes why the variant could not receive records. It answers as before, with what it knows.
    pub fn behind(&self, why: String) {
        self.progress.lock().error = Some(why);
    }
}

/// Signals that there is something new to learn. The signal is a hint that may be lost: the thread that waits also
/// looks from time to time.
pub struct Notify {
    notified: Mutex<bool>,
    changed: Condvar,
    clock: Clock,
}

impl Notify {
    pub fn new(clock: Clock) -> Self {
        Self { notified: Mutex::default(), changed: Condvar::default(), clock }
    }

    pub fn notify(&self) {
        *self.notified.lock() = true;
        self.changed.notify_one();
    }

    /// Returns after `notify` was called, or after `longest`.
    pub fn wait(&self, longest: std::time::Duration) {
        let mut notified = self.notified.lock();
        if !*notified {
            self.clock.wait_until(&self.changed, &mut notified, self.clock.now() + longest);
        }
        *notified = false;
    }
}
