//! Which scenario files passed, and with which inputs. A file whose inputs are unchanged need not run again.
//!
//! The record may be deleted at any time; then everything runs. `--all` ignores it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seam_store::private;
use sha2::{Digest, Sha256};

/// By context and file, the hash of all inputs of the run.
pub struct PassedFiles {
    path: PathBuf,
    passed: BTreeMap<String, String>,
}

impl PassedFiles {
    /// An unreadable record is an empty one.
    pub fn load(data: &Path) -> Self {
        let path = data.join("tests").join("green.json");
        let passed = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, passed: passed.unwrap_or_default() }
    }

    pub fn is(&self, key: &str, hash: &str) -> bool {
        self.passed.get(key).is_some_and(|known| known == hash)
    }

    pub fn set(&mut self, key: &str, hash: &str, passed: bool) {
        match passed {
            true => drop(self.passed.insert(key.to_owned(), hash.to_owned())),
            false => drop(self.passed.remove(key)),
        }
    }

    /// A failure only costs another run later.
    pub fn save(&self) {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let partial = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let written = private::folder(folder)
            .and_then(|()| private::write(&partial, &serde_json::to_vec_pretty(&self.passed).unwrap_or_default()))
            .and_then(|()| std::fs::rename(&partial, &self.path));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "cannot remember which scenarios passed");
        }
    }
}

/// The hash of these texts and of this build of the host.
pub fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(host().as_bytes());
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("{:x}", hasher.finalize())
}

/// The hash of a file's contents.
pub fn of_file(path: &Path) -> String {
    std::fs::read(path).map(|bytes| format!("{:x}", Sha256::digest(&bytes))).unwrap_or_default()
}

/// This build of the host. Its file's size and time are cheaper than a hash and serve as well.
fn host() -> String {
    let stamp = || {
        let meta = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
        let time = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(format!("{} {}", meta.len(), time.as_nanos()))
    };
    format!("{} {}", env!("CARGO_PKG_VERSION"), stamp().unwrap_or_default())
}
