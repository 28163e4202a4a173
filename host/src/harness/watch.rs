//! Waits until one of some files changes. A hint: what has changed, hashes say.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};

use crate::limits;

pub struct Watch {
    changes: Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    /// Files are watched by their folders, so that one which is replaced by another is still seen.
    ///
    /// # Errors
    /// When the system does not watch any more files.
    pub fn on(paths: &[PathBuf]) -> notify::Result<Self> {
        let (tell, changes) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let changed = |event: &notify::Event| !event.kind.is_access();
            if event.as_ref().map_or(true, changed) {
                // Nobody waits any more: the watcher is about to go.
                tell.send(()).ok();
            }
        })?;
        let mut folders: Vec<(PathBuf, RecursiveMode)> = paths
            .iter()
            .filter_map(|path| match path.is_dir() {
                true => Some((path.clone(), RecursiveMode::Recursive)),
                false => Some((path.parent()?.to_owned(), RecursiveMode::NonRecursive)),
            })
            .map(|(path, mode)| (if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }, mode))
            .collect();
        folders.sort_by(|a, b| a.0.cmp(&b.0));
        folders.dedup_by(|a, b| a.0 == b.0);
        for (folder, mode) in folders {
            watcher.watch(&folder, mode)?;
        }
        Ok(Self { changes, _watcher: watcher })
    }

    /// Returns when something has changed and then nothing for a while. False: nothing will change any more.
    pub fn wait(&self) -> bool {
        if self.changes.recv().is_err() {
            return false;
        }
        loop {
            match self.changes.recv_timeout(Duration::from_millis(limits::WATCH_REST_MS)) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
