//! What a component was built from, recorded beside it: whether it is stale is known from file metadata, without a
//! compiler.
//!
//! A source is unchanged when its size, times and inode are as recorded, or else when its hash is: a fresh checkout
//! changes all times and no contents. The time of change (ctime) and the inode belong to it, because tools set the time
//! of modification. The record is taken *before* the build reads the sources, so the next build sees an edit made
//! during this one; `rebuild_loop` says when such a change is the build's own product.
//! Invariants: a record is written only after the component that it describes. It holds no absolute path but those of
//! tools, so it is right in a copy of the folder too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::file_state::FileState;
use super::rebuild_loop::{OwnChanges, RebuildLoop};
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

/// The file beside the component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    recipe: u32,
    /// The package or the command that built it.
    definition: String,
    component: Option<Stamp>,
    sources: Sources,
    /// At the start of the build; at its end those that are its products.
    stamps: BTreeMap<PathBuf, Stamp>,
    /// What builds changed themselves, by hash.
    #[serde(default)]
    own: RebuildLoop<String>,
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
    let Some(mut record) = Record::read(component) else {
        return unknown("there is no record of its sources");
    };
    // Folders of a record by an earlier version may be those of another checkout.
    if record.recipe != RECIPE || record.sources.folders.iter().any(|folder| folder.path.is_absolute()) {
        return unknown("this version of seam builds differently");
    }
    if record.definition != definition {
        return unknown("its `build` in the manifest changed");
    }
    if !record
        .stamps
        .keys()
        .any(|path| path.components().next() != Some(Component::ParentDir) && base.join(path).is_file())
    {
        return unknown("none of its sources is here");
    }
    if record.component.clone().is_none_or(|mut stamp| stamp.refresh(component).is_err()) {
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

/// The folders and files that a component was built from, absolute, as far as its record tells.
pub fn sources(component: &Path, base: &Path) -> (Vec<Folder>, Vec<PathBuf>) {
    let Sources { folders, files } = Record::read(component).map(|record| record.sources).unwrap_or_default();
    let absolute = |folder: Folder| Folder { path: base.join(folder.path), package: folder.package };
    (folders.into_iter().map(absolute).collect(), files.into_iter().map(|file| base.join(file)).collect())
}

impl Record {
    /// Records the sources as they are now; `finish` adds the component. Paths of `sources` are relative to `base`,
    /// but for those of tools.
    pub fn take(definition: &str, sources: Sources, base: &Path) -> Result<Self, Error> {
        let (component, own) = (None, RebuildLoop::default());
        let mut record =
            Self { recipe: RECIPE, definition: definition.into(), component, sources, stamps: BTreeMap::new(), own };
        record.stamps = record.stamps_now(base)?;
        Ok(record)
    }

    fn read(component: &Path) -> Option<Self> {
        fs::read(path_beside(component)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    fn stamps_now(&self, base: &Path) -> Result<BTreeMap<PathBuf, Stamp>, Error> {
        let stamp = |path: PathBuf| {
            let whole = base.join(&path);
            let stamp = Stamp::of(&whole).map_err(|source| Error::Read { path: whole, source })?;
            Ok((path, stamp))
        };
        self.sources.list(base)?.into_iter().map(stamp).collect()
    }

    /// Adds sources that only the compiler knows (a file that is included from another folder). One that was written
    /// after `start`, when the build began, counts as changed during the build.
    pub fn add(&mut self, files: impl IntoIterator<Item = PathBuf>, base: &Path, start: SystemTime) {
        for file in files {
            // `src/../../shared.txt` and `shared.txt` are the same file.
            let path = relative(&fs::canonicalize(&file).unwrap_or(file), base);
            if self.stamps.contains_key(&path) || self.sources.files.contains(&path) {
                continue;
            }
            if let Ok(stamp) = Stamp::of(&base.join(&path)) {
                if stamp.file.is_none_or(|state| state.is_older_than(start)) {
                    self.stamps.insert(path.clone(), stamp);
                }
                self.sources.files.push(path);
            }
        }
    }

    /// Writes the record beside the finished component. Returns which sources changed during the build.
    pub fn finish(mut self, component: &Path, base: &Path) -> Result<OwnChanges, Error> {
        let hashes = |stamps: &BTreeMap<PathBuf, Stamp>| -> BTreeMap<PathBuf, String> {
            stamps.iter().map(|(path, stamp)| (path.clone(), stamp.sha256.clone())).collect()
        };
        let product = relative(&fs::canonicalize(component).unwrap_or_else(|_| component.into()), base);
        let products = [path_beside(&product), product];
        self.stamps.retain(|path, _| !products.contains(path));
        let mut after = self.stamps_now(base)?;
        after.retain(|path, _| !products.contains(path));
        let (at_start, at_end) = (hashes(&self.stamps), hashes(&after));
        let previous = Self::read(component).filter(|previous| previous.definition == self.definition);
        let repeat = previous.as_ref().is_some_and(|previous| {
            let stamps = hashes(&previous.stamps);
            previous.own.after(stamps.iter()) == at_start.iter().collect()
        });
        self.own = previous.map(|previous| previous.own).unwrap_or_default();
        let own = self.own.ended(&at_start, &at_end, repeat, |_| true);
        if own.rests {
            self.stamps = after;
        }
        let stamp = Stamp::of(component).map_err(|source| Error::Read { path: component.into(), source })?;
        self.component = Some(stamp);
        self.save(component)?;
        Ok(own)
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
        let product = relative(&fs::canonicalize(component).unwrap_or_else(|_| component.into()), base);
        let products = [path_beside(&product), product];
        let mut files = self.sources.list(base).map_err(|e| e.to_string())?;
        files.retain(|path| !products.contains(path));
        let during = |own: &RebuildLoop<String>, path: &Path, now: Option<&String>, else_: &str| {
            let how = if own.left(path, now) { "changed during the last build" } else { else_ };
            format!("{} {how}", path.display())
        };
        for path in &files {
            let whole = base.join(path);
            let Some(stamp) = self.stamps.get_mut(path) else {
                let now = Stamp::of(&whole).ok().map(|stamp| stamp.sha256);
                return Err(during(&self.own, path, now.as_ref(), "is new"));
            };
            touched |= stamp.refresh(&whole).map_err(|()| during(&self.own, path, Some(&stamp.sha256), "changed"))?;
        }
        match self.stamps.keys().find(|p| files.binary_search(p).is_err()) {
            Some(path) => Err(during(&self.own, path, None, "was removed")),
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

/// `path` as seen from `base`, through `..` where it lies elsewhere. Both are absolute and without links.
pub fn relative(path: &Path, base: &Path) -> PathBuf {
    if !path.is_absolute() {
        return path.into();
    }
    let shared = path.components().zip(base.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

impl Sources {
    /// Every file that exists, sorted; relative to `base` if inside.
    pub fn list(&self, base: &Path) -> Result<Vec<PathBuf>, Error> {
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
