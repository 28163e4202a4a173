//! How far a variant is in learning what its context has learned.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use seam_store::Cursor;

/// Outlives the variant's versions. One that has nothing to learn is there from the beginning.
pub struct Readiness {
    /// Whether it has been at the end of the history, and so may answer.
    ready: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records that it has been told since the host started.
    pub records: u64,
    /// Why it could not be told the next ones.
    pub trouble: Option<String>,
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

    /// It was told so many records, and is where `cursor` says.
    pub fn told(&self, records: usize, cursor: Cursor) {
        let mut progress = self.progress.lock();
        progress.records += records as u64;
        progress.trouble = None;
        self.ready.store(cursor.caught_up, Ordering::Relaxed);
    }

    /// It could not be told. It answers as before, with what it knows.
    pub fn behind(&self, why: String) {
        self.progress.lock().trouble = Some(why);
    }
}

/// Says that there is something new to learn. A hint that may be lost: whoever waits looks now and then anyway.
#[derive(Default)]
pub struct Notify {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Notify {
    pub fn notify(&self) {
        *self.notified.lock() = true;
        self.changed.notify_one();
    }

    /// Returns when it was notified, or after `longest`.
    pub fn wait(&self, longest: std::time::Duration) {
        let mut notified = self.notified.lock();
        if !*notified {
            self.changed.wait_for(&mut notified, longest);
        }
        *notified = false;
    }
}
