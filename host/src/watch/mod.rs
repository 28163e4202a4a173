//! Watching files: which of them have other contents than before, told soon after it happened.
//!
//! What the system tells of files is a hint and nothing more: it may come early, twice, about a neighbour, or not at all. A hint
//! says *when* to look (`pace`); a look compares every file with what was known of it (`snapshot`), and there hashes decide.
//! Without any hint there is a look every few seconds, so a lost one costs time and never a change.
//! Invariant: a file is reported when it has been left alone for a moment, so one that is being written is not; a file that is
//! renamed over another, or is gone for a moment only, is a changed file and not a removed one.
//! Not here: what a changed file means (`dev`, `app`).

mod hints;
mod pace;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits;
use hints::Hints;
use pace::Pace;
use snapshot::Snapshot;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// All files below, without hidden ones, links to folders, and what builds leave behind.
    Folder(PathBuf),
    /// One file, there or not yet. A symbolic link stands for what it leads to.
    File(PathBuf),
}

#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long a file must have been left alone.
    pub quiet: Duration,
    /// The longest that hints that do not end may put a look off.
    pub patience: Duration,
    /// How often everything is looked at without a hint.
    pub rescan: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(limits::WATCH_QUIET_MS),
            patience: Duration::from_millis(limits::WATCH_PATIENCE_MS),
            rescan: Duration::from_millis(limits::WATCH_RESCAN_MS),
        }
    }
}

/// Files whose contents changed, that are new, or are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub paths: BTreeSet<PathBuf>,
    /// When the last of them was written.
    pub saved: Option<SystemTime>,
}

/// Watches on a thread of its own until it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    hint: SyncSender<()>,
}

struct Shared {
    roots: Mutex<Vec<Root>>,
    /// Changes that nobody has taken yet: at most one entry for a file.
    found: Mutex<Changes>,
    news: Notify,
    closed: AtomicBool,
}

impl Watcher {
    /// Takes the files as they are now; what changes from here on is reported.
    pub fn start(roots: Vec<Root>, config: Config) -> Self {
        // One hint that waits is as good as many.
        let (hint, hints) = sync_channel(1);
        let shared = Arc::new(Shared {
            roots: Mutex::new(roots.clone()),
            found: Mutex::default(),
            news: Notify::new(),
            closed: AtomicBool::new(false),
        });
        let mut snapshot = Snapshot::default();
        snapshot.watch(roots);
        let thread = Thread { shared: shared.clone(), hints: Hints::new(hint.clone()), snapshot, config };
        let started = std::thread::Builder::new().name("watch".into()).spawn(move || thread.run(&hints));
        if let Err(error) = started {
            tracing::error!(target: "watch", "files are not watched: {error}");
        }
        Self { shared, hint }
    }

    /// Watches these from now on. A file that was watched before keeps its history; others are taken as they are.
    pub fn watch(&self, roots: Vec<Root>) {
        *self.shared.roots.lock() = roots;
        // A full channel has its hint already.
        self.hint.try_send(()).ok();
    }

    /// Waits for changes and takes all there are.
    pub async fn changes(&self) -> Changes {
        loop {
            let news = self.shared.news.notified();
            let found = std::mem::take(&mut *self.shared.found.lock());
            if !found.paths.is_empty() {
                return found;
            }
            news.await;
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
        let mut pace = Pace::new(self.config, Instant::now());
        self.hints.cover(self.snapshot.folders());
        // A file may have changed between the snapshot and the first watch.
        pace.hint(Instant::now());
        while !self.shared.closed.load(Relaxed) {
            match hints.recv_timeout(pace.due().saturating_duration_since(Instant::now())) {
                Ok(()) => pace.hint(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let unsettled = self.look();
                    pace.looked(Instant::now(), unsettled);
                }
            }
        }
    }

    /// Looks at everything; true when something is too fresh to be told.
    fn look(&mut self) -> bool {
        let roots = self.shared.roots.lock().clone();
        self.snapshot.watch(roots);
        // Watches come before the look: what changes after it is hinted at.
        self.hints.cover(self.snapshot.folders());
        let seen = self.snapshot.look(SystemTime::now(), self.config.quiet);
        if !seen.changes.paths.is_empty() {
            let mut found = self.shared.found.lock();
            found.saved = found.saved.max(seen.changes.saved);
            found.paths.extend(seen.changes.paths);
            drop(found);
            self.shared.news.notify_one();
        }
        seen.unsettled
    }
}
