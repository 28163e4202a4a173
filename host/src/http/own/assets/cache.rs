//! The files of one folder that are in memory. The bytes of all are bounded; the least recently used file goes first.

use std::collections::HashMap;
use std::sync::Arc;

use super::file::File;
use crate::limits;

#[derive(Default)]
pub(super) struct Cache {
    files: HashMap<String, Entry>,
    pub(super) bytes: usize,
    /// Counts lookups.
    now: u64,
}

struct Entry {
    file: Arc<File>,
    /// The number of the last lookup.
    used: u64,
}

impl Cache {
    pub(super) fn get(&mut self, name: &str) -> Option<Arc<File>> {
        self.now += 1;
        let entry = self.files.get_mut(name)?;
        entry.used = self.now;
        Some(entry.file.clone())
    }

    /// Keeps the file, unless it would take more than a quarter of the cache.
    pub(super) fn insert(&mut self, name: String, file: &Arc<File>) {
        let size = file.size();
        if size > limits::ASSET_CACHE_BYTES / 4 {
            return;
        }
        self.bytes += size;
        if let Some(old) = self.files.insert(name, Entry { file: file.clone(), used: self.now }) {
            self.bytes -= old.file.size();
        }
        while self.bytes > limits::ASSET_CACHE_BYTES {
            let Some(oldest) = self.files.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone())
            else {
                return;
            };
            if let Some(entry) = self.files.remove(&oldest) {
                self.bytes -= entry.file.size();
            }
        }
    }
}
