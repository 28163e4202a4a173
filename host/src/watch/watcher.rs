//! The thread that waits for hints, scans when it is time, and keeps the changes until they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::hints::Hints;
use super::schedule::{Config, Schedule};
use super::snapshot::{Changes, Root, Snapshot};

/// Watches on its own thread until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    hint: SyncSender<()>,
}

struct Shared {
    roots: Mutex<Vec<Root>>,
    /// Changes that were not reported yet: at most one entry for a file.
    pending: Mutex<Changes>,
    /// Notified when `pending` grows.
    changed: Notify,
    closed: AtomicBool,
}

impl Watcher {
    /// Starts from the files as they are now, and reports what changes afterwards.
    pub fn start(roots: Vec<Root>, config: Config) -> Self {
        // One waiting hint is as good as many.
        let (hint, hints) = sync_channel(1);
        let shared = Arc::new(Shared {
            roots: Mutex::new(roots.clone()),
            pending: Mutex::default(),
            changed: Notify::new(),
            closed: AtomicBool::new(false),
        });
        let mut snapshot = Snapshot::default();
        snapshot.set_roots(roots);
        let thread = Thread { shared: shared.clone(), hints: Hints::new(hint.clone()), snapshot, config };
        let started = std::thread::Builder::new().name("watch".into()).spawn(move || thread.run(&hints));
        if let Err(error) = started {
            tracing::error!(target: "watch", "files are not watched: {error}");
        }
        Self { shared, hint }
    }

    /// Replaces what is watched. A file that was watched before keeps its last known contents; others start as they
    /// are.
    pub fn set_roots(&self, roots: Vec<Root>) {
        *self.shared.roots.lock() = roots;
        // A full channel has a hint already.
        self.hint.try_send(()).ok();
    }

    /// Waits for changes and returns all of them.
    pub async fn changes(&self) -> Changes {
        loop {
            let changed = self.shared.changed.notified();
            let pending = std::mem::take(&mut *self.shared.pending.lock());
            if !pending.paths.is_empty() {
                return pending;
            }
            changed.await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.closed.store(true, Relaxed);
        self.hint.try_send(()).ok();
    }
}

struct Thread {
    shared: Arc<Shared>,
    hints: Hints,
    snapshot: Snapshot,
    config: Config,
}

impl Thread {
    fn run(mut self, hints: &Receiver<()>) {
        let mut schedule = Schedule::new(self.config, Instant::now());
        self.hints.cover(self.snapshot.folders());
        // A file may have changed between the snapshot and the first watch.
        schedule.hint(Instant::now());
        while !self.shared.closed.load(Relaxed) {
            match hints.recv_timeout(schedule.due().saturating_duration_since(Instant::now())) {
                Ok(()) => schedule.hint(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let unsettled = self.scan();
                    schedule.scanned(Instant::now(), unsettled);
                }
            }
        }
    }

    /// Scans everything; true when something was written too recently to be reported.
    fn scan(&mut self) -> bool {
        let roots = self.shared.roots.lock().clone();
        self.snapshot.set_roots(roots);
        // Before the scan: a later change gives a hint.
        self.hints.cover(self.snapshot.folders());
        let scan = self.snapshot.scan(SystemTime::now(), self.config.quiet);
        if !scan.changes.paths.is_empty() {
            let mut pending = self.shared.pending.lock();
            pending.saved = pending.saved.max(scan.changes.saved);
            pending.paths.extend(scan.changes.paths);
            drop(pending);
            self.shared.changed.notify_one();
        }
        scan.unsettled
    }
}
