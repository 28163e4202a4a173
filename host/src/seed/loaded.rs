//! The list of loaded seeds: a file in the folder of the contexts' files, so that deleting the folder deletes the list,
//! too.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use seam_store::private;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::limits;
use crate::manifest::Seed;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub context: String,
    pub call: String,
    /// Without its folder.
    pub file: String,
    pub sha256: String,
    pub rows: u64,
    /// False from before the first row until the context has taken the last.
    #[serde(default = "yes")]
    pub complete: bool,
}

impl Record {
    pub fn new(seed: &Seed, sha256: &str) -> Self {
        Self {
            context: seed.context.to_string(),
            call: seed.call.clone(),
            file: name(&seed.file),
            sha256: sha256.to_owned(),
            rows: 0,
            complete: false,
        }
    }

    /// Whether both are of one seed, whose text may have changed.
    fn same_seed(&self, other: &Self) -> bool {
        let same_file = self.sha256 == other.sha256 || self.file == other.file;
        self.context == other.context && self.call == other.call && same_file
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug)]
pub(super) struct Loaded {
    path: PathBuf,
    records: Vec<Record>,
}

impl Loaded {
    /// Reads the list at `path`. An unreadable list counts as empty: contexts that hold rows get none
    /// then, since a seed is loaded into an empty context only.
    pub fn open(path: &Path) -> Self {
        let read = || {
            let mut text = String::new();
            fs::File::open(path).ok()?.take(limits::SEED_LIST_BYTES_MAX).read_to_string(&mut text).ok()?;
            serde_json::from_str(&text)
                .inspect_err(
                    |error| tracing::warn!(%error, file = %path.display(), "cannot read the list of loaded seeds"),
                )
                .ok()
        };
        Self { path: path.to_owned(), records: read().unwrap_or_default() }
    }

    /// What is known of the seed of `record`: of the same text, if that was loaded, else of the last.
    pub fn find(&self, record: &Record) -> Option<&Record> {
        let known = || self.records.iter().filter(|known| known.same_seed(record));
        known().find(|known| known.sha256 == record.sha256).or_else(|| known().next_back())
    }

    /// Adds `records`. They are on the disk when this returns.
    pub fn remember(&mut self, records: impl IntoIterator<Item = Record>) -> Result<(), Error> {
        let records: Vec<Record> = records.into_iter().collect();
        if records.is_empty() {
            return Ok(());
        }
        for record in records {
            self.records.retain(|known| !known.same_seed(&record));
            self.records.push(record);
        }
        let partial = self.path.with_extension("json.tmp");
        let write = || {
            if let Some(parent) = self.path.parent() {
                private::folder(parent)?;
            }
            let mut file = private::file(&partial)?;
            file.write_all(serde_json::to_string_pretty(&self.records)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        };
        write().map_err(|source| Error::Remember { path: self.path.clone(), source })
    }
}

/// The file's name without its folder, so that a moved folder still knows its seeds.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
