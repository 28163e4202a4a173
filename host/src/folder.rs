//! The data folder: where its parts are, and the lock that keeps a second host out of it.
//!
//! Invariant: only the process that has the `Folder` writes below it. The lock ends with that process, however it ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use the data folder `{}`", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("another host{} uses the data folder `{}`", in_brackets(pid), path.display())]
    Taken { path: PathBuf, pid: Option<String> },
}

fn in_brackets(pid: &Option<String>) -> String {
    pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "correct its permissions, or name another `data` folder in `[host]`",
            Self::Taken { .. } => "stop that host, or name another `data` folder in `[host]`",
        }
    }
}

/// The locked data folder of a running host.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The lock belongs to the open file: the kernel releases it when this process ends.
    _lock: File,
}

impl Folder {
    /// Creates the folder and those in it where they are missing, private to this user, and takes the lock.
    ///
    /// # Errors
    /// When another process has the lock, or the folder cannot be written to.
    pub fn lock(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        // The folder itself may be there already, readable for other users; the folders in it are not for them.
        for folder in [path.to_owned(), stores(path), logs(path)] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        }
        let file = path.join("lock");
        let mut options = OpenOptions::new();
        // Not truncated on opening: until this process has the lock, the pid in it is another host's.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(file).map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // The other host may not have written it yet; the message then goes without.
                (&lock).take(20).read_to_string(&mut pid).ok();
                let pid = Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty());
                return Err(Error::Taken { path: path.to_owned(), pid });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.seek(SeekFrom::Start(0))?;
            writeln!(lock, "{}", std::process::id())
        };
        write(&mut lock).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether `path` is the data folder of a host, running or not. Nothing but the store may open a file below it.
pub fn is_data(path: &Path) -> bool {
    path.join("host.db").is_file()
}

/// The contexts' files.
pub fn stores(data: &Path) -> PathBuf {
    data.join("stores")
}

/// Copies of contexts' files from before their schemas changed, `CONTEXT-NUMBER.db`.
pub fn restore_points(data: &Path) -> PathBuf {
    data.join("deploy").join("restore")
}

/// Copies of contexts' files that something is tried on. Each start empties it.
pub fn trials(data: &Path) -> PathBuf {
    data.join("deploy").join("trial")
}

/// Log files, JSON lines, one a day.
pub fn logs(data: &Path) -> PathBuf {
    data.join("logs")
}

/// The socket of a running host.
pub fn socket(data: &Path) -> PathBuf {
    data.join("seam.sock")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_gets_an_error_that_names_the_first() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("run");
        let first = Folder::lock(&path).unwrap();
        let shown = Folder::lock(&path).unwrap_err().to_string();
        assert!(
            shown.starts_with(&format!("another host (pid {}) uses the data folder", std::process::id())),
            "{shown}"
        );
        drop(first);
        Folder::lock(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_an_error_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::lock(file.path()).unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }) && error.remedy().contains("[host]"));
    }
}
