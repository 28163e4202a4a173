//! The last known contents of each file, and the scan that compares them with the files.
//!
//! A file with the same size, times and inode is not read again: no program can set back the time of the inode's last
//! change. A file that was read right after a write is read again by the next scan, because its times could miss a
//! second write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::limits;

/// A folder or file that is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// All files below, except hidden ones, links to folders and output of builds.
    Folder(PathBuf),
    /// One file, which may not exist yet. A symbolic link stands for its target.
    File(PathBuf),
}

/// Files that changed their contents, are new, or were removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub paths: BTreeSet<PathBuf>,
    /// When the last of them was written.
    pub saved: Option<SystemTime>,
}

#[derive(Default)]
pub struct Snapshot {
    roots: Vec<Root>,
    files: BTreeMap<PathBuf, Known>,
}

struct Known {
    hash: Hash,
    stamp: Stamp,
    /// The file was read so soon after it was written that a second write might have left the stamp unchanged.
    racy: bool,
    /// When it was first found missing.
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

/// The result of a scan.
#[derive(Default)]
pub struct Scan {
    pub changes: Changes,
    /// A file that may still be written was left out; another scan should follow soon.
    pub unsettled: bool,
}

impl Snapshot {
    /// Replaces what is compared. Files of new roots start as they are.
    pub fn set_roots(&mut self, roots: Vec<Root>) {
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

    /// Compares every file with its last known contents. `now` is the file system's time.
    pub fn scan(&mut self, now: SystemTime, quiet: Duration) -> Scan {
        let mut scan = Scan::default();
        let found = files(&self.roots);
        for path in &found {
            let Ok(stamp) = Stamp::of(path) else { continue };
            match self.files.get_mut(path) {
                Some(known) if known.stamp == stamp && !known.racy => known.missing = None,
                known => {
                    if stamp.is_fresh(now, quiet) {
                        scan.unsettled = true;
                        continue;
                    }
                    let Ok(next) = Known::read(path) else { continue };
                    if known.is_none_or(|known| known.hash != next.hash) {
                        scan.changes.paths.insert(path.clone());
                        scan.changes.saved = scan.changes.saved.max(stamp.changed());
                    }
                    self.files.insert(path.clone(), next);
                }
            }
        }
        self.files.retain(|path, known| {
            if found.contains(path) {
                return true;
            }
            // A file that is replaced in two steps is missing for a moment.
            let since = *known.missing.get_or_insert(now);
            let gone = now.duration_since(since).is_ok_and(|long| long >= quiet);
            if gone {
                scan.changes.paths.insert(path.clone());
                scan.changes.saved = scan.changes.saved.max(Some(since));
            } else {
                scan.unsettled = true;
            }
            !gone
        });
        scan
    }

    /// The folders whose events are hints.
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
                    // The target of a link changes in its own folder.
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

    /// Written less than `span` ago. A time in the future, from a clock that was set back, does not count.
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

/// Whether `path`, which may not exist, is watched.
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
    // A data folder among the sources: closing one of its files would end the host's own locks on it.
    if crate::folder::is_data(folder) {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    inside(folder);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&&*name) {
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

/// Backups, and files that an editor is about to rename. Hidden files are left out before.
fn left_by_an_editor(name: &str) -> bool {
    let hash = name.len() > 2 && name.starts_with('#') && name.ends_with('#');
    hash || name.ends_with('~') || [".swp", ".swx", ".tmp", ".bak"].iter().any(|end| name.ends_with(end))
}
