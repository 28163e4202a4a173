//! Where the key of an encrypted file is, how it is read, and how the host makes one.
//!
//! A key that the host makes waits under another name until the file is encrypted with it. So a key that is there says
//! that the file must be encrypted.
//! Invariant: a key is never in the manifest, in an error or in a log. A build that cannot encrypt neither reads one
//! nor makes one.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ids::ContextName;
use crate::{limits, private};

/// The key itself is read when a connection is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that holds the key and nothing else; white space at its end does not count.
    File(PathBuf),
    /// The same file in the data folder. The host makes the key when it encrypts the context's file for the first time.
    Own(PathBuf),
    /// A variable of the host's environment.
    Environment(String),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key file `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot read or write the key of the seals, `{}`", path.display())]
    Seals { path: PathBuf, source: std::io::Error },
    #[error("cannot make the key file `{}`", path.display())]
    Make { path: PathBuf, source: std::io::Error },
    #[error("the environment variable `{name}`, which holds the key, is not set")]
    Environment { name: String },
    #[error("the key in {source_of_key} is empty")]
    Empty { source_of_key: KeySource },
    #[error("the file is to be encrypted, and this program was built without encryption")]
    NoEncryption,
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
    /// copy of that folder holds no keys. The host makes the file if it is missing.
    pub fn of_context(name: &ContextName, databases: &Path) -> Self {
        let variable = variable_of(name);
        if std::env::var_os(&variable).is_some() {
            return Self::Environment(variable);
        }
        let data = databases.parent().unwrap_or(databases);
        Self::Own(data.join("keys").join(format!("{name}.key")))
    }

    pub(super) fn read(&self) -> Result<Key, KeyError> {
        can_encrypt()?;
        let text = match self {
            Self::File(path) | Self::Own(path) => {
                let failed = |source| KeyError::File { path: path.clone(), source };
                let bytes = private::read_secret(path, limits::STORE_KEY_BYTES_MAX);
                let bytes = bytes.map_err(|error| failed(error.into()))?;
                String::from_utf8(bytes).map_err(|_| failed(std::io::ErrorKind::InvalidData.into()))?
            }
            Self::Environment(name) => std::env::var(name).map_err(|_| KeyError::Environment { name: name.clone() })?,
        };
        let key = text.trim_end();
        if key.is_empty() {
            return Err(KeyError::Empty { source_of_key: self.clone() });
        }
        Ok(Key(key.to_owned()))
    }

    /// Whether the key must be there already: only one of the host's own is made when it is missing.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Own(path) => path.exists(),
            Self::File(_) | Self::Environment(_) => true,
        }
    }

    /// The key that waits until the file is encrypted with it, if one does. One that was cut off while it was written
    /// has encrypted nothing.
    pub(super) fn waiting(&self) -> Option<Self> {
        let Self::Own(path) = self else { return None };
        let waiting = Self::File(waiting(path));
        waiting.read().is_ok_and(|key| is_whole(key.as_str())).then_some(waiting)
    }

    /// The key that waits, or another one that waits from now on: 32 random bytes, which SQLCipher takes as they are.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn next(&self) -> Result<Self, KeyError> {
        can_encrypt()?;
        let Self::Own(path) = self else { return Ok(self.clone()) };
        if let Some(waiting) = self.waiting() {
            return Ok(waiting);
        }
        let waiting = waiting(path);
        let failed = |source| KeyError::Make { path: waiting.clone(), source };
        if let Some(folder) = path.parent() {
            private::folder(folder).map_err(failed)?;
        }
        let digits = rand::random::<[u8; limits::STORE_OWN_KEY_BYTES]>().map(|byte| format!("{byte:02x}")).concat();
        private::write_durably(&waiting, format!("x'{digits}'\n").as_bytes()).map_err(failed)?;
        Ok(Self::File(waiting))
    }

    /// From now on the key that waited is the file's.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(super) fn take_next(&self) -> Result<(), KeyError> {
        let Self::Own(path) = self else { return Ok(()) };
        private::rename_durably(&waiting(path), path).map_err(|source| KeyError::Make { path: path.clone(), source })
    }
}

/// SQLite without SQLCipher takes a key without a word, and writes the file in the clear.
///
/// # Errors
/// In a build without the feature `encryption`.
fn can_encrypt() -> Result<(), KeyError> {
    if cfg!(feature = "encryption") { Ok(()) } else { Err(KeyError::NoEncryption) }
}

/// Where a key waits until the file is encrypted with it.
fn waiting(key: &Path) -> PathBuf {
    key.with_extension("key.new")
}

/// Whether `next` has written all of it.
fn is_whole(key: &str) -> bool {
    let digits = key.strip_prefix("x'").and_then(|key| key.strip_suffix('\''));
    digits.is_some_and(|digits| digits.len() == 2 * limits::STORE_OWN_KEY_BYTES)
}

/// The beginning of the name of each variable that holds a key by default.
pub const VARIABLE_PREFIX: &str = "SEAM_KEY_";

/// The variable with the key of a context. No two contexts share one: in a name, hyphens stand alone, so two
/// underscores are always the `@` of a variant.
fn variable_of(name: &ContextName) -> String {
    let name = name.as_str().to_ascii_uppercase().replace('-', "_").replace('@', "__");
    format!("{VARIABLE_PREFIX}{name}")
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Own(path) => write!(f, "the file `{}`", path.display()),
            Self::Environment(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn no_two_contexts_share_a_variable() {
        let context = |name: &str| ContextName::new(name).unwrap();
        let of = |name: ContextName| variable_of(&name);
        assert_eq!(of(context("order-desk")), "SEAM_KEY_ORDER_DESK");
        assert_eq!(of(context("order").with_variant("desk").unwrap()), "SEAM_KEY_ORDER__DESK");
        let names =
            [context("a-b-c"), context("a").with_variant("b-c").unwrap(), context("a-b").with_variant("c").unwrap()];
        let variables: std::collections::HashSet<String> = names.into_iter().map(of).collect();
        assert_eq!(variables.len(), 3);
    }

    #[test]
    fn a_key_that_every_user_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.key");
        std::fs::write(&path, "a long secret\n").unwrap();
        let source = KeySource::File(path.clone());
        let read = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            source.read()
        };
        assert_eq!(read(0o640).unwrap().as_str(), "a long secret");
        let error = crate::chain(&read(0o644).err().unwrap());
        assert!(error.contains(&format!("`chmod o= {}`", path.display())) && !error.contains("secret"), "{error}");
    }
}
