//! The system's events: something happened in a folder. It watches folders and not files, because a file that a rename
//! replaces loses its watch.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

pub struct Hints {
    /// `None` where the system gives no events: then only the scans at intervals find changes.
    watcher: Option<RecommendedWatcher>,
    /// The folders that are watched, and the identity of each at that time.
    covered: BTreeMap<PathBuf, Identity>,
    warned: bool,
}

/// Device and inode: a folder that was deleted and created again has another identity.
type Identity = (u64, u64);

impl Hints {
    /// Each hint is sent to `hint`, unless one waits there already.
    pub fn new(hint: SyncSender<()>) -> Self {
        let on_event = move |event: notify::Result<Event>| {
            // An error is a hint, too: events may have been lost.
            if event.map_or(true, |event| matters(&event)) {
                hint.try_send(()).ok();
            }
        };
        let watcher = notify::recommended_watcher(on_event);
        let mut hints = Self { watcher: None, covered: BTreeMap::new(), warned: false };
        match watcher {
            Ok(watcher) => hints.watcher = Some(watcher),
            Err(error) => hints.warn_once(&error),
        }
        hints
    }

    /// Watches these folders and no others.
    pub fn cover(&mut self, folders: BTreeSet<PathBuf>) {
        let known = |folder: PathBuf| identity(&folder).map(|identity| (folder, identity));
        let folders: BTreeMap<_, _> = folders.into_iter().filter_map(known).collect();
        let Some(mut watcher) = self.watcher.take() else { return };
        self.covered.retain(|folder, known| {
            let stays = folders.get(folder) == Some(known);
            if !stays {
                // Fails for a deleted folder, whose watch the system has dropped.
                watcher.unwatch(folder).ok();
            }
            stays
        });
        for (folder, identity) in folders {
            if self.covered.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.covered.insert(folder, identity);
                }
                Err(error) => self.warn_once(&error),
            }
        }
        self.watcher = Some(watcher);
    }

    /// Warns once: the scans at intervals go on, and the system's limit behind the error does not change.
    fn warn_once(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(target: "watch", "changed files are noticed late, because the system does not report all events: {error}");
        }
    }
}

fn identity(folder: &Path) -> Option<Identity> {
    std::fs::metadata(folder).ok().filter(|meta| meta.is_dir()).map(|meta| (meta.dev(), meta.ino()))
}

/// Whether an event may mean a change. Reading does not: our own scans and the compiler would cause scans for ever.
fn matters(event: &Event) -> bool {
    event.need_rescan()
        || match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        }
}
