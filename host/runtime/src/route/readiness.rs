//! How far a variant has caught up with the events that its context has had.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use seam_store::clock::Clock;

/// Outlives the variant's versions. A variant that subscribes to nothing is ready from the start.
pub struct Readiness {
    /// Whether the variant has had everything once, and so may answer.
    ready: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events that the variant has handled since the host started.
    pub events: u64,
    /// Why it does not handle the next ones.
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

    /// Notes that the variant has handled `events` since the host started, whether it has had everything once, and why
    /// it does not go on.
    pub fn note(&self, events: u64, ready: bool, error: Option<String>) {
        *self.progress.lock() = Progress { events, error };
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// Signals that there is something to do. The signal is a hint that may be lost: the thread that waits also
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
