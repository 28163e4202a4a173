//! What the manifest grants a context's store: its size, and whether and with which key the file is encrypted.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreGrant {
    pub encrypted: Encryption,
    /// Where the key of an encrypted file is, when the manifest names a place; else the store's own rule applies.
    pub key: Option<KeySource>,
    /// Size the file may grow to.
    pub max_mb: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    Off,
    /// `encrypted = true`: without encryption the context does not start.
    On,
    /// `encrypted = "if-possible"`: on when this host was built with encryption.
    IfPossible,
}

impl Encryption {
    /// Whether files are encrypted in this build of the host.
    pub fn applies(self) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::IfPossible => cfg!(feature = "sqlcipher"),
        }
    }
}

/// Where an encrypted store's key comes from. The key itself is never in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The bytes of a file, without a final line break.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}
