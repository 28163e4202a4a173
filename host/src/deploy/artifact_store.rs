//! The folder `deploy` of the data folder: components by their hash, restore points, and trial copies of contexts'
//! files.
//!
//! Invariants: a component under its final name is complete and synced to the disk; its name is its hash, which is
//! compared each time that the file is read. Trial copies are deleted after each change and at each start.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use seam_runtime::component::Artifact;
use seam_store::private;

use super::error::Error;
use crate::limits;

pub(super) struct ArtifactStore {
    folder: PathBuf,
}

impl ArtifactStore {
    /// Creates the folders, readable for this user only: they hold rows of contexts, and code that will run.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let artifacts = Self { folder: data.join("deploy") };
        for folder in [artifacts.folder.clone(), artifacts.folder.join("restore"), artifacts.trials()] {
            private::folder(&folder).map_err(|source| Error::ArtifactStore { path: folder, source })?;
        }
        artifacts.clear_trials();
        Ok(artifacts)
    }

    /// The path for the component of this hash; the file may be missing.
    pub fn component(&self, hash: &str) -> PathBuf {
        component(&self.folder, hash)
    }

    /// Whether the component of this hash is there, undamaged.
    pub fn holds(&self, hash: &str) -> bool {
        holds(&self.folder, hash)
    }

    /// Writes the component under its hash, unless it is there already and undamaged.
    pub fn keep(&self, artifact: &Artifact) -> std::io::Result<()> {
        let path = self.component(&artifact.hash);
        if self.holds(&artifact.hash) {
            // `prune` goes by the time of the last use.
            fs::File::open(&path).and_then(|file| file.set_modified(std::time::SystemTime::now())).ok();
            return Ok(());
        }
        let partial = path.with_extension("partial");
        let write = || {
            let mut file = private::file(&partial)?;
            file.write_all(&artifact.bytes)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            // Makes the new name durable, too.
            fs::File::open(&self.folder)?.sync_all()
        };
        let written = write();
        if written.is_err() {
            fs::remove_file(&partial).ok();
        }
        written
    }

    pub fn restore_point(&self, name: &str) -> PathBuf {
        self.folder.join("restore").join(name)
    }

    /// The path for a trial copy.
    pub fn trial(&self, name: &str) -> PathBuf {
        self.trials().join(format!("{name}.db"))
    }

    pub fn clear_trials(&self) {
        for entry in fs::read_dir(self.trials()).into_iter().flatten().flatten() {
            fs::remove_file(entry.path()).ok();
        }
    }

    /// Removes components beyond `DEPLOY_COMPONENTS_MAX` and restore points beyond `DEPLOY_RESTORE_POINTS_MAX`, the
    /// least recently used first. Keeps everything in `needed`.
    pub fn prune(&self, needed: &HashSet<String>) {
        prune(&self.folder, limits::DEPLOY_COMPONENTS_MAX, needed);
        prune(&self.folder.join("restore"), limits::DEPLOY_RESTORE_POINTS_MAX, needed);
    }

    fn trials(&self) -> PathBuf {
        self.folder.join("trial")
    }
}

/// The path for the component of this hash in the data folder `data`.
pub(super) fn component_in(data: &Path, hash: &str) -> PathBuf {
    component(&data.join("deploy"), hash)
}

/// The kept component whose hash starts with these digits, in the data folder `data`.
pub fn kept_component(data: &Path, hash: &str) -> Option<PathBuf> {
    let mut files = fs::read_dir(data.join("deploy")).ok()?.flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        !hash.is_empty() && name.starts_with(hash) && name.ends_with(".wasm")
    };
    files.find(named)
}

/// Whether the data folder `data` has the component of this hash, undamaged.
pub(super) fn held_in(data: &Path, hash: &str) -> bool {
    holds(&data.join("deploy"), hash)
}

fn holds(folder: &Path, hash: &str) -> bool {
    Artifact::read_as(&component(folder, hash), hash).is_ok()
}

fn component(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("{hash}.wasm"))
}

fn prune(folder: &Path, max: usize, needed: &HashSet<String>) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok().filter(|meta| meta.is_file())?;
            Some((meta.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    let excess = files.len().saturating_sub(max);
    let is_needed = |path: &Path| path.file_stem().is_some_and(|stem| needed.contains(&*stem.to_string_lossy()));
    for (_, path) in files.iter().filter(|(_, path)| !is_needed(path)).take(excess) {
        fs::remove_file(path).ok();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn prune_bounds_the_store_and_keeps_needed_components() {
        let data = tempfile::tempdir().unwrap();
        let artifacts = ArtifactStore::open(data.path()).unwrap();
        let artifact = |n: usize| Artifact { path: "x".into(), bytes: vec![0], hash: format!("{n:03}") };
        let all = limits::DEPLOY_COMPONENTS_MAX + 3;
        for n in 0..all {
            artifacts.keep(&artifact(n)).unwrap();
            let age = std::time::Duration::from_secs(1_000 - n as u64);
            let file = fs::File::open(artifacts.component(&artifact(n).hash)).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
        artifacts.prune(&HashSet::from(["000".to_owned()]));
        let there = |n: usize| artifacts.component(&artifact(n).hash).is_file();
        assert_eq!((0..all).filter(|n| there(*n)).count(), limits::DEPLOY_COMPONENTS_MAX);
        assert!(there(0) && !there(1) && !there(2) && !there(3) && there(4));
    }
}
