//! Which seeds have been loaded: a file beside the contexts' own files, so that whoever deletes those deletes it too.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, name};
use crate::limits;
use crate::manifest::Seed;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub context: String,
    pub call: String,
    /// For people; the hash is what counts.
    pub file: String,
    pub sha256: String,
    pub rows: u64,
}

impl Record {
    pub fn new(seed: &Seed, sha256: &str) -> Self {
        Self {
            context: seed.context.to_string(),
            call: seed.call.clone(),
            file: name(&seed.file),
            sha256: sha256.to_owned(),
            rows: 0,
        }
    }

    fn same_seed(&self, other: &Self) -> bool {
        self.context == other.context && self.call == other.call && self.sha256 == other.sha256
    }
}

#[derive(Debug)]
pub(super) struct Loaded {
    path: PathBuf,
    records: Vec<Record>,
}

impl Loaded {
    /// What stands in the file at `path`. One that cannot be read is as good as none: the seeds are fed once more, which changes nothing.
    pub fn open(path: &Path) -> Self {
        let read = || {
            let mut text = String::new();
            fs::File::open(path).ok()?.take(limits::SEED_LIST_BYTES_MAX).read_to_string(&mut text).ok()?;
            serde_json::from_str(&text)
                .inspect_err(|error| tracing::warn!(%error, file = %path.display(), "unreadable list of seeds"))
                .ok()
        };
        Self { path: path.to_owned(), records: read().unwrap_or_default() }
    }

    pub fn find(&self, record: &Record) -> Option<&Record> {
        self.records.iter().find(|known| known.same_seed(record))
    }

    /// Adds `record` and has it on the disk before it returns.
    pub fn remember(&mut self, record: Record) -> Result<(), Error> {
        self.records.retain(|known| !known.same_seed(&record));
        self.records.push(record);
        let partial = self.path.with_extension("json.tmp");
        let write = || {
            if let Some(parent) = self.path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = fs::File::create(&partial)?;
            file.write_all(serde_json::to_string_pretty(&self.records)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        };
        write().map_err(|source| Error::Remember { path: self.path.clone(), source })
    }
}
