//! What a context's file is opened with, and how its grant becomes that.
//!
//! Not here: how a file is opened (`open`), how a key is read (`key`).

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::ids::ContextName;
use crate::key::KeySource;
use crate::seal::{Seal, Sealed};

/// What a context is granted: a file of its own, within these bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the file is encrypted.
    pub encrypted: bool,
    /// Where the key of an encrypted file is. `None`: where `KeySource::of_context` says.
    pub key: Option<KeySource>,
    /// The size that the file may grow to.
    pub max_mb: u64,
    /// What of it is sealed, if anything.
    pub sealed: Option<Sealed>,
}

impl Settings {
    /// In the clear, within `max_mb`, and not sealed.
    pub fn plain(max_mb: u64) -> Self {
        Self { encrypted: false, key: None, max_mb, sealed: None }
    }

    /// The same for a file that ends with this process: it needs no key from the data folder.
    #[must_use]
    pub fn passing(&self) -> Self {
        let sealed = self.sealed.clone().map(|sealed| Sealed { passing: true, ..sealed });
        Self { sealed, ..Self::plain(self.max_mb) }
    }
}

/// What a database is opened with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file. It is created, with its folder, when it is absent.
    pub path: PathBuf,
    /// The size that the file may grow to.
    pub max_mb: u64,
    /// Where the key is, if the file is encrypted.
    pub key: Option<KeySource>,
    /// What of the file is sealed, if anything.
    pub seal: Option<Seal>,
    /// What deadlines are compared with.
    pub clock: Clock,
}

/// What the file of a context is called.
pub fn file_name(context: &ContextName) -> String {
    format!("{context}.db")
}

/// How a database in the clear begins. An encrypted one begins with random bytes.
const CLEAR: &[u8; 16] = b"SQLite format 3\0";

/// Whether the file at `path` is a database in the clear. It must not be open in this process, which would lose its
/// locks.
pub(super) fn is_clear(path: &Path) -> bool {
    let mut start = [0; CLEAR.len()];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *CLEAR
}

impl Config {
    /// The file at `path`, in the clear, by the system's clock.
    pub fn plain(path: PathBuf, max_mb: u64) -> Self {
        Self { path, max_mb, key: None, seal: None, clock: Clock::system() }
    }

    /// The file of `context` in the folder `databases`.
    pub fn of(context: &ContextName, settings: &Settings, databases: &Path) -> Self {
        let key = || settings.key.clone().unwrap_or_else(|| KeySource::of_context(context, databases));
        Self {
            path: databases.join(file_name(context)),
            max_mb: settings.max_mb,
            key: settings.encrypted.then(key),
            seal: settings.sealed.as_ref().map(|sealed| Seal::of(context, sealed, databases)),
            clock: Clock::system(),
        }
    }

    /// What the file is looked at with as it is now: it may wait to be encrypted by its next start, or that start was
    /// cut off. It must not be open in this process.
    pub(super) fn as_it_is(&self) -> Cow<'_, Self> {
        let Some(source) = &self.key else { return Cow::Borrowed(self) };
        if is_clear(&self.path) {
            return Cow::Owned(Self { key: None, ..self.clone() });
        }
        match source.waiting() {
            Some(waiting) if !source.is_there() => Cow::Owned(Self { key: Some(waiting), ..self.clone() }),
            _ => Cow::Borrowed(self),
        }
    }

    /// Whether the pages of the file have seals. Those of an encrypted file are authenticated by its encryption.
    pub(super) fn seals_pages(&self) -> bool {
        self.seal.is_some() && self.key.is_none()
    }
}
