//! Commits that wait until a copy of them is in another place.
//!
//! The host copies what is committed, and says how far it is. A transaction of a context is answered once its commit is
//! in the copy. If that takes too long, its outcome is unknown: it is on this disk, and lost if another host goes on
//! from the copy.
//! Invariant: a commit is counted before any of its transactions waits for it.
//! Not here: how commits are copied (the crate `seam`).

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::bell::Listener;

/// Shared by the writer of a file and by who copies its commits.
pub struct Copies {
    counts: Mutex<Counts>,
    copied: Condvar,
    wanted: Box<Listener>,
    /// Waits in the place of a thread, in a simulation.
    waits: Option<Box<Waits>>,
}

/// Waits until the first commits are copied, so many; whether they are.
type Waits = dyn Fn(&Copies, u64) -> bool + Send + Sync;

#[derive(Default)]
struct Counts {
    committed: u64,
    copied: u64,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").finish_non_exhaustive()
    }
}

impl Copies {
    /// `wanted` is called after each commit. It must not block.
    pub fn new(wanted: impl Fn() + Send + Sync + 'static) -> Self {
        Self { counts: Mutex::default(), copied: Condvar::new(), wanted: Box::new(wanted), waits: None }
    }

    /// Has `waits` wait for copies, in a simulation whose threads take turns.
    #[must_use]
    pub fn waiting_by(mut self, waits: impl Fn(&Self, u64) -> bool + Send + Sync + 'static) -> Self {
        self.waits = Some(Box::new(waits));
        self
    }

    /// Whether the first `count` commits are copied.
    pub fn has(&self, count: u64) -> bool {
        self.counts.lock().copied >= count
    }

    /// Commits so far. What is read from the file from now on has all of them.
    pub fn committed(&self) -> u64 {
        self.counts.lock().committed
    }

    /// Whether there are commits that are not copied.
    pub fn are_behind(&self) -> bool {
        let counts = self.counts.lock();
        counts.copied < counts.committed
    }

    /// The first `count` commits are copied.
    pub fn copied(&self, count: u64) {
        let mut counts = self.counts.lock();
        counts.copied = counts.copied.max(count);
        self.copied.notify_all();
    }

    pub(super) fn count_commit(&self) {
        self.counts.lock().committed += 1;
        (self.wanted)();
    }

    /// Waits until the first `count` commits are copied; `false` when they are not by `until`.
    pub(super) fn wait(&self, count: u64, time: Duration) -> bool {
        if let Some(waits) = &self.waits {
            return waits(self, count);
        }
        let until = Instant::now() + time;
        let mut counts = self.counts.lock();
        while counts.copied < count {
            if self.copied.wait_until(&mut counts, until).timed_out() {
                return counts.copied >= count;
            }
        }
        true
    }
}
