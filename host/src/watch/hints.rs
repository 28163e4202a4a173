//! What the system tells: something happened in a folder. Folders are watched and not files, because a file that is renamed over
//! another takes the other's watch away with it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

pub(super) struct Hints {
    /// `None` where the system does not tell: then only the looks without a hint find anything.
    watcher: Option<RecommendedWatcher>,
    /// The folders that are watched, and which folder each name stood for then.
    covered: BTreeMap<PathBuf, Identity>,
    complained: bool,
}

/// Device and inode: a folder that was deleted and made again is another one.
type Identity = (u64, u64);

impl Hints {
    /// Each hint is sent to `hint`, unless one waits there already.
    pub fn new(hint: SyncSender<()>) -> Self {
        let told = move |event: notify::Result<Event>| {
            // An error is news too: events may have been lost.
            if event.map_or(true, |event| matters(&event)) {
                hint.try_send(()).ok();
            }
        };
        let watcher = notify::recommended_watcher(told);
        let mut hints = Self { watcher: None, covered: BTreeMap::new(), complained: false };
        match watcher {
            Ok(watcher) => hints.watcher = Some(watcher),
            Err(error) => hints.complain(&error),
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
                // Of a folder that is gone, the system has dropped the watch itself.
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
                Err(error) => self.complain(&error),
            }
        }
        self.watcher = Some(watcher);
    }

    /// Once: the looks without a hint go on, and the limit of the system that is behind it stays.
    fn complain(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(target: "watch", "changed files are noticed late, because the system does not tell of all: {error}");
        }
    }
}

fn identity(folder: &Path) -> Option<Identity> {
    std::fs::metadata(folder).ok().filter(|meta| meta.is_dir()).map(|meta| (meta.dev(), meta.ino()))
}

/// Reading is no change: our own looks and the compiler would otherwise wake us for ever.
fn matters(event: &Event) -> bool {
    event.need_rescan()
        || match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        }
}
