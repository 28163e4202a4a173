//! What is known of each file, and the look that compares it with what is there.
//!
//! A file whose size, times and inode are as they were is not read again; the time of the inode's last change cannot be set back by
//! a program. One that was read in the same moment as it was written is read again the next time: its times could not tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::{Changes, Root};
use crate::limits;

#[derive(Default)]
pub(super) struct Snapshot {
    roots: Vec<Root>,
    files: BTreeMap<PathBuf, Known>,
}

struct Known {
    hash: Hash,
    stamp: Stamp,
    /// The file was written so shortly before it was read that a further change might have left the stamp as it is.
    racy: bool,
    /// Since when it is not there.
    missing: Option<SystemTime>,
}

type Hash = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_ns: i128,
    /// Of the inode: writing, renaming, linking.
    changed_ns: i128,
}

/// What a look found.
#[derive(Default)]
pub(super) struct Seen {
    pub changes: Changes,
    /// Something was left out because it is too fresh; it is to be looked at again soon.
    pub unsettled: bool,
}

impl Snapshot {
    /// From now on these are compared. Files of roots that were not there before are taken as they are.
    pub fn watch(&mut self, roots: Vec<Root>) {
        if roots == self.roots {
            return;
        }
        let added: Vec<Root> = roots.iter().filter(|root| !self.roots.contains(root)).cloned().collect();
        let before = std::mem::replace(&mut self.roots, roots);
        for path in files(&added).into_iter().filter(|path| !covers(&before, path)) {
            if let Ok(known) = Known::read(&path) {
                self.files.insert(path, known);
            }
        }
        self.files.retain(|path, _| covers(&self.roots, path));
    }

    /// Compares everything with what is known. `now` is the file system's time.
    pub fn look(&mut self, now: SystemTime, quiet: Duration) -> Seen {
        let mut seen = Seen::default();
        let found = files(&self.roots);
        for path in &found {
            let Ok(stamp) = Stamp::of(path) else { continue };
            match self.files.get_mut(path) {
                Some(known) if known.stamp == stamp && !known.racy => known.missing = None,
                known => {
                    if stamp.is_fresh(now, quiet) {
                        seen.unsettled = true;
                        continue;
                    }
                    let Ok(next) = Known::read(path) else { continue };
                    if known.is_none_or(|known| known.hash != next.hash) {
                        seen.changes.paths.insert(path.clone());
                        seen.changes.saved = seen.changes.saved.max(stamp.changed());
                    }
                    self.files.insert(path.clone(), next);
                }
            }
        }
        self.files.retain(|path, known| {
            if found.contains(path) {
                return true;
            }
            // Between the two steps of a replacement there is no file for a moment.
            let since = *known.missing.get_or_insert(now);
            let gone = now.duration_since(since).is_ok_and(|long| long >= quiet);
            if gone {
                seen.changes.paths.insert(path.clone());
                seen.changes.saved = seen.changes.saved.max(Some(since));
            } else {
                seen.unsettled = true;
            }
            !gone
        });
        seen
    }

    /// The folders in which something has to happen for a look to find anything.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut parent = |path: &Path| {
            folders.extend(path.parent().map(|p| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.into() }));
        };
        for root in &self.roots {
            match root {
                Root::Folder(path) => parent(path),
                Root::File(path) => {
                    parent(path);
                    // What a link leads to changes where it is.
                    fs::canonicalize(path).iter().for_each(|real| parent(real));
                }
            }
        }
        for root in &self.roots {
            if let Root::Folder(path) = root {
                walk(path, 0, &mut |_| {}, &mut |folder| {
                    folders.insert(folder.to_owned());
                });
            }
        }
        folders
    }
}

impl Known {
    fn read(path: &Path) -> io::Result<Self> {
        let mut file = fs::File::open(path)?;
        let stamp = Stamp::from(&file.metadata()?);
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        let racy = stamp.is_fresh(SystemTime::now(), Duration::from_millis(limits::WATCH_RACY_MS));
        Ok(Self { hash: hash.finalize().into(), stamp, racy, missing: None })
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|meta| Self::from(&meta))
    }

    fn changed(&self) -> Option<SystemTime> {
        u64::try_from(self.changed_ns).ok().map(|ns| UNIX_EPOCH + Duration::from_nanos(ns))
    }

    /// Written less than `span` ago. A time to come is a clock that was set back, and says nothing.
    fn is_fresh(&self, now: SystemTime, span: Duration) -> bool {
        self.changed().and_then(|changed| now.duration_since(changed).ok()).is_some_and(|age| age < span)
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(meta: &fs::Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
            changed_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// Whether `path` belongs to what is watched, there or not.
fn covers(roots: &[Root], path: &Path) -> bool {
    roots.iter().any(|root| match root {
        Root::Folder(folder) => path.starts_with(folder),
        Root::File(file) => path == file,
    })
}

fn files(roots: &[Root]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for root in roots {
        match root {
            Root::Folder(folder) => walk(
                folder,
                0,
                &mut |file| {
                    if found.len() < limits::WATCH_FILES_MAX {
                        found.insert(file);
                    }
                },
                &mut |_| {},
            ),
            Root::File(file) => found.extend(file.is_file().then(|| file.clone())),
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, file: &mut dyn FnMut(PathBuf), inside: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    inside(folder);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() {
            if depth < limits::BUILD_FOLDER_DEPTH_MAX {
                walk(&path, depth + 1, file, inside);
            }
        } else if !left_by_an_editor(&name) && path.is_file() {
            file(path);
        }
    }
}

/// Backups and files on the way to be renamed; hidden ones are not even listed.
fn left_by_an_editor(name: &str) -> bool {
    let hash = name.len() > 2 && name.starts_with('#') && name.ends_with('#');
    hash || name.ends_with('~') || [".swp", ".swx", ".tmp", ".bak"].iter().any(|end| name.ends_with(end))
}
