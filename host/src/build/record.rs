//! What a component was built from, recorded beside it: whether it is stale is known from file metadata, without a
//! compiler.
//!
//! A source is unchanged when its size, times and inode are as recorded, or else when its hash is: a fresh checkout
//! changes all times and no contents. The time of change (ctime) and the inode belong to it, because tools set the time
//! of modification. The record is taken *before* the build reads the sources, so the next build sees an edit made
//! during this one. Invariant: a record is written only after the component it describes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::write;
use crate::limits;

/// Raise it when this program makes different components from the same sources.
const RECIPE: u32 = 1;

/// A folder whose files are sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Folder {
    pub path: PathBuf,
    /// A crate: its `tests`, `benches` and `examples` are not part of the component.
    pub package: bool,
}

/// Everything that a component is built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    pub folders: Vec<Folder>,
    pub files: Vec<PathBuf>,
}

/// A file at the time of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// What the file system says; a record without it is of an earlier version, and its files are hashed once.
    #[serde(default)]
    file: Option<FileState>,
    sha256: String,
}

/// Differs when a file was written or replaced. Times are in nanoseconds after 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    bytes: u64,
    device: u64,
    inode: u64,
    modified_ns: i64,
    changed_ns: i64,
}

/// The file beside the component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    recipe: u32,
    /// The package or the command that built it.
    definition: String,
    component: Option<Stamp>,
    sources: Sources,
    stamps: BTreeMap<PathBuf, Stamp>,
}

/// Whether a component must be built again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// A source changed since; with the reason, for messages.
    Stale(String),
    /// Whether a source changed since is not known, so a build makes it; with the reason.
    Unknown(String),
}

/// `target/components/catalog.wasm` -> `target/components/catalog.wasm.built`
pub fn path_beside(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".built");
    name.into()
}

/// Compares a component and its sources with its record. `base` is where relative paths start.
pub fn check(component: &Path, base: &Path, definition: &str) -> Freshness {
    let unknown = |why: &str| Freshness::Unknown(why.to_owned());
    if !component.is_file() {
        return unknown("it is not built yet");
    }
    let path = path_beside(component);
    let Some(mut record) = fs::read(&path).ok().and_then(|b| serde_json::from_slice::<Record>(&b).ok()) else {
        return unknown("there is no record of its sources");
    };
    if record.recipe != RECIPE {
        return unknown("this version of seam builds differently");
    }
    if record.definition != definition {
        return unknown("its `build` in the manifest changed");
    }
    if !record.stamps.keys().any(|path| path.is_relative() && base.join(path).is_file()) {
        return unknown("none of its sources is here");
    }
    if record.component.as_mut().is_none_or(|stamp| stamp.refresh(component).is_err()) {
        return unknown("another program changed the component");
    }
    match record.refresh(component, base) {
        Err(why) => Freshness::Stale(why),
        Ok(touched) => {
            if touched {
                // Saves the next check the hashing; without it, that check hashes again.
                let _ = record.save(component);
            }
            Freshness::Fresh
        }
    }
}

/// The folders with sources in the record of a component; none without a record.
pub fn folders(component: &Path) -> Vec<PathBuf> {
    let record = fs::read(path_beside(component)).ok().and_then(|b| serde_json::from_slice::<Record>(&b).ok());
    record.into_iter().flat_map(|record| record.sources.folders).map(|folder| folder.path).collect()
}

impl Record {
    /// Records the sources as they are now; `finish` adds the component.
    pub fn take(definition: &str, sources: Sources, base: &Path) -> Result<Self, Error> {
        let mut record =
            Self { recipe: RECIPE, definition: definition.into(), component: None, sources, stamps: BTreeMap::new() };
        for path in record.sources.list(base)? {
            let stamp =
                Stamp::of(&base.join(&path)).map_err(|source| Error::Read { path: base.join(&path), source })?;
            record.stamps.insert(path, stamp);
        }
        Ok(record)
    }

    /// Adds sources that only the compiler knows (a file that is included from another folder).
    pub fn add(&mut self, files: impl IntoIterator<Item = PathBuf>, base: &Path) {
        for file in files {
            // `src/../../shared.txt` and `shared.txt` are the same file.
            let file = fs::canonicalize(&file).unwrap_or(file);
            let path = file.strip_prefix(base).map(Path::to_path_buf).unwrap_or(file);
            if self.stamps.contains_key(&path) {
                continue;
            }
            if let Ok(stamp) = Stamp::of(&base.join(&path)) {
                self.stamps.insert(path.clone(), stamp);
                self.sources.files.push(path);
            }
        }
    }

    /// Writes the record beside the finished component.
    pub fn finish(mut self, component: &Path) -> Result<(), Error> {
        let stamp = Stamp::of(component).map_err(|source| Error::Read { path: component.into(), source })?;
        self.component = Some(stamp);
        self.save(component)
    }

    fn save(&self, component: &Path) -> Result<(), Error> {
        let path = path_beside(component);
        let text = serde_json::to_vec(self).map_err(|e| Error::write(&path)(e.into()))?;
        write::atomically(&path, &text).map(|_| ())
    }

    /// `Ok(true)` when only times differ, which the record takes over; `Err` with the first difference in content.
    fn refresh(&mut self, component: &Path, base: &Path) -> Result<bool, String> {
        let mut touched = false;
        let Some(stamp) = self.component.as_mut() else { return Err("there is no record of the component".into()) };
        touched |= stamp.refresh(component).map_err(|()| "another program changed the component".to_owned())?;
        let files = self.sources.list(base).map_err(|e| e.to_string())?;
        for path in &files {
            let Some(stamp) = self.stamps.get_mut(path) else { return Err(format!("{} is new", path.display())) };
            touched |= stamp.refresh(&base.join(path)).map_err(|()| format!("{} changed", path.display()))?;
        }
        match self.stamps.keys().find(|p| files.binary_search(p).is_err()) {
            Some(path) => Err(format!("{} was removed", path.display())),
            None => Ok(touched),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = fs::File::open(path)?;
        let state = FileState::of(&file.metadata()?);
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        Ok(Self { file: Some(state), sha256: format!("{:x}", hash.finalize()) })
    }

    /// Whether only the time changed; `Err` when the content changed or the file is gone.
    fn refresh(&mut self, path: &Path) -> Result<bool, ()> {
        let metadata = fs::metadata(path).map_err(|_| ())?;
        if self.file == Some(FileState::of(&metadata)) {
            return Ok(false);
        }
        let now = Self::of(path).map_err(|_| ())?;
        let same = now.sha256 == self.sha256;
        *self = now;
        if same { Ok(true) } else { Err(()) }
    }
}

impl FileState {
    fn of(metadata: &fs::Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            bytes: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Sources {
    /// Every file that exists, sorted; relative to `base` if inside.
    fn list(&self, base: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut found: Vec<PathBuf> = self.files.iter().filter(|f| base.join(f).is_file()).cloned().collect();
        for folder in &self.folders {
            walk(&base.join(&folder.path), folder.package, limits::BUILD_FOLDER_DEPTH_MAX, &mut found)?;
        }
        for path in &mut found {
            if let Ok(inside) = path.strip_prefix(base) {
                *path = inside.to_path_buf();
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// Collects files. Hidden files and output of builds (`target`, `node_modules`, `__pycache__`) are not sources. Links
/// to folders are not followed: they can form circles.
fn walk(folder: &Path, package: bool, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    if folder.is_file() {
        found.push(folder.into());
        return Ok(());
    }
    // Closing a file of a data folder would end the locks of a host in this process.
    if crate::folder::is_data(folder) {
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&&*name) {
            continue;
        }
        if kind.is_dir() {
            let aside = package && matches!(&*name, "tests" | "benches" | "examples");
            if !aside && depth > 0 {
                walk(&path, false, depth - 1, found)?;
            }
        } else if path.is_file() {
            found.push(path);
        }
        if found.len() > limits::BUILD_FILES_MAX {
            return Err(Error::TooManySources { folder: folder.into() });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
