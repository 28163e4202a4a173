//! What is sealed of a store, and the key that makes the seals.
//!
//! The key is 32 random bytes in the folder `keys` of the data folder, as hex in `CONTEXT.seal`. The host makes it when
//! it seals the file for the first time, so a key that is there says that the file must be sealed.
//! Not here: the seals of pages (`page_seals`) and of rows (`row_seals`), how a file gets its first ones (`sealing`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::ids::ContextName;
use crate::key::KeyError;
use crate::{limits, private};

/// What is sealed of a store: what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Rows of these tables are added, and never changed.
    pub tables: Vec<String>,
    /// Whether the key is that of this process: for files that end with it.
    pub passing: bool,
}

/// What a file is opened with.
#[derive(Debug, Clone)]
pub struct Seal {
    pub(super) tables: Vec<String>,
    /// The file with the key. `None`: the key of this process.
    pub(super) key: Option<PathBuf>,
}

/// A key in memory. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key([u8; limits::STORE_SEAL_KEY_BYTES]);

impl Key {
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A keyed checksum for one purpose: those of two purposes have nothing in common.
    pub fn mac_for(&self, purpose: &str) -> Hmac<Sha256> {
        let mut of = mac(&self.0);
        of.update(purpose.as_bytes());
        mac(&of.finalize().into_bytes().into())
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end().as_bytes();
        if digits.len() != 2 * limits::STORE_SEAL_KEY_BYTES {
            return None;
        }
        let mut key = [0; limits::STORE_SEAL_KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }

    fn text(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// HMAC fills a key up with zeros to the block of its hash.
fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into())
}

impl Seal {
    pub(super) fn of(context: &ContextName, sealed: &Sealed, databases: &Path) -> Self {
        let data = databases.parent().unwrap_or(databases);
        let key = (!sealed.passing).then(|| data.join("keys").join(format!("{context}.seal")));
        Self { tables: sealed.tables.clone(), key }
    }

    /// The key; `None` while the file has none.
    ///
    /// # Errors
    /// When the file with the key cannot be read, or holds no key.
    pub(super) fn key(&self) -> Result<Option<Key>, KeyError> {
        match &self.key {
            Some(path) => read(path),
            None => {
                static PASSING: OnceLock<Key> = OnceLock::new();
                Ok(Some(PASSING.get_or_init(Key::random).clone()))
            }
        }
    }

    /// The key that a file gets which was not sealed before: one that waits, or another one that waits from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn next_key(&self) -> Result<Option<Key>, KeyError> {
        let Some(path) = &self.key else { return self.key() };
        if let Some(key) = self.waiting_key() {
            return Ok(Some(key));
        }
        let waiting = waiting(path);
        let failed = |source| KeyError::Seals { path: waiting.clone(), source };
        if let Some(folder) = path.parent() {
            private::folder(folder).map_err(failed)?;
        }
        let key = Key::random();
        private::write_durably(&waiting, key.text().as_bytes()).map_err(failed)?;
        Ok(Some(key))
    }

    /// The key that waits. One that was cut off while it was written has sealed nothing.
    pub(super) fn waiting_key(&self) -> Option<Key> {
        self.key.as_deref().and_then(|path| read(&waiting(path)).ok().flatten())
    }

    /// From now on the key that waited is the file's.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(super) fn take_next_key(&self) -> Result<(), KeyError> {
        let Some(path) = &self.key else { return Ok(()) };
        let failed = |source| KeyError::Seals { path: path.clone(), source };
        private::rename_durably(&waiting(path), path).map_err(failed)
    }

    /// Where the key is, in words.
    pub(super) fn place(&self) -> String {
        self.key.as_ref().map_or_else(|| "this process".to_owned(), |path| format!("`{}`", path.display()))
    }
}

fn read(path: &Path) -> Result<Option<Key>, KeyError> {
    let failed = |source| KeyError::Seals { path: path.to_owned(), source };
    if !path.exists() {
        return Ok(None);
    }
    let bytes = private::read_secret(path, limits::STORE_KEY_BYTES_MAX).map_err(|error| failed(error.into()))?;
    let key = std::str::from_utf8(&bytes).ok().and_then(Key::parse);
    key.map(Some).ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))
}

/// Where a key waits until the file has its seals.
fn waiting(key: &Path) -> PathBuf {
    key.with_extension("seal.new")
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}
