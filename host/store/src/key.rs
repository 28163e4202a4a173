//! Where the key of an encrypted file is, and how it is read.
//!
//! Invariant: a key is never in the manifest, in an error or in a log.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ids::ContextName;

/// The key itself is read when a connection is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that holds the key and nothing else; white space at its end does not count.
    File(PathBuf),
    /// A variable of the host's environment.
    Environment(String),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the environment variable `{name}`, which holds the key, is not set")]
    Environment { name: String },
    #[error("the key in {source_of_key} is empty")]
    Empty { source_of_key: KeySource },
}

/// A key in memory. It cannot be printed.
pub(super) struct Key(String);

impl Key {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeySource {
    /// Where the key of a context is, unless its settings say otherwise. For `order-desk`: the variable
    /// `SEAM_KEY_ORDER_DESK` if it is set, else the file `keys/order-desk.key` beside the folder of the databases. A
    /// copy of that folder holds no keys.
    pub fn of_context(name: &ContextName, databases: &Path) -> Self {
        let variable = format!("SEAM_KEY_{}", name.as_str().to_ascii_uppercase().replace(['-', '@'], "_"));
        if std::env::var_os(&variable).is_some() {
            return Self::Environment(variable);
        }
        let data = databases.parent().unwrap_or(databases);
        Self::File(data.join("keys").join(format!("{name}.key")))
    }

    pub(super) fn read(&self) -> Result<Key, KeyError> {
        let text = match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|source| KeyError::File { path: path.clone(), source })?
            }
            Self::Environment(name) => std::env::var(name).map_err(|_| KeyError::Environment { name: name.clone() })?,
        };
        let key = text.trim_end();
        if key.is_empty() {
            return Err(KeyError::Empty { source_of_key: self.clone() });
        }
        Ok(Key(key.to_owned()))
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Environment(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}
