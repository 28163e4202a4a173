//! The data folder: where its parts are, the lock that keeps a second host out of it, and that other users are kept out
//! of it, too.
//!
//! Invariants: only the process that has the `Folder` writes below it. The lock ends with that process, however it
//! ends. No other user can read what is below it, or could have changed it.

mod inspect;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use seam_store::private::{self, Exposure};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use the data folder `{}`", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("another host{} uses the data folder `{}`", in_brackets(pid), path.display())]
    Taken { path: PathBuf, pid: Option<String> },
    /// Something in it, or the folder itself.
    #[error("{}: {exposure}", place(data, path))]
    Exposed { data: PathBuf, path: PathBuf, exposure: Exposure },
    #[error("`{}` is a link; in the data folder only a folder may be one", path.display())]
    Link { path: PathBuf },
    #[error(
        "other users may move the data folder `{}` and may put another in its place: they may write to `{}` (mode {mode:04o})",
        path.display(), parent.display()
    )]
    Replaceable { path: PathBuf, parent: PathBuf, mode: u32 },
}

const HOW_TO_KEEP: &str = "put the file itself there, or make the folder that it is in a link to a folder elsewhere";

/// `path` is `data` or in it.
fn place(data: &Path, path: &Path) -> String {
    match data == path {
        true => format!("the data folder `{}`", data.display()),
        false => format!("`{}` in the data folder", path.display()),
    }
}

fn in_brackets(pid: &Option<String>) -> String {
    pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unusable { .. } => "correct its permissions, or name another `data` folder in `[host]`".to_owned(),
            Self::Taken { .. } => "stop that host, or name another `data` folder in `[host]`".to_owned(),
            Self::Exposed { data, exposure: Exposure::Foreign { .. }, .. } => {
                let user = rustix::process::geteuid().as_raw();
                let data = data.display();
                format!("run this as the user who owns it; or, if you trust it, `chown -R {user} {data}`")
            }
            Self::Exposed { data, .. } => {
                format!("if you trust what is there, run `chmod -R go-rwx {}`", data.display())
            }
            Self::Link { .. } => HOW_TO_KEEP.to_owned(),
            Self::Replaceable { parent, .. } => {
                let parent = parent.display();
                format!("run `chmod go-w {parent}`, or name a `data` folder elsewhere in `[host]`")
            }
        }
    }
}

/// The locked data folder of a running host.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The lock belongs to the open file: the kernel releases it when this process ends.
    _lock: File,
    withdrawn: usize,
}

impl Folder {
    /// Creates the folder and those in it where they are missing, private to this user, and takes the lock. Takes from
    /// other users what they may read, and no more.
    ///
    /// # Errors
    /// When another process has the lock, when other users may have changed what is there, or when the folder cannot
    /// be written to.
    pub fn lock(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        let readable = inspect::inspect(path)?;
        for folder in [path.to_owned(), stores(path), logs(path)] {
            private::folder(&folder).map_err(unusable)?;
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
        for (readable, meta) in &readable {
            let withdrawn = private::withdraw(readable, meta);
            // Below a folder that is closed to them, a file is, too.
            if readable == path {
                withdrawn.map_err(unusable)?;
            }
        }
        // Below a closed folder no other user could read a file, whatever its mode.
        let withdrawn = if readable.iter().any(|(readable, _)| readable == path) { readable.len() } else { 0 };
        Ok(Self { path: path.to_owned(), _lock: lock, withdrawn })
    }

    /// Why `lock` would refuse the folder at `path`, whether a host runs in it or not.
    ///
    /// # Errors
    /// As `lock`, but for the lock.
    pub fn check(path: &Path) -> Result<(), Error> {
        inspect::inspect(path).map(drop)
    }

    /// How many files and folders other users could read until now.
    pub fn withdrawn(&self) -> usize {
        self.withdrawn
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether `path` is the data folder of a host, running or not. Nothing but the store may open a file below it.
pub fn is_data(path: &Path) -> bool {
    path.join("host.db").is_file()
}

/// The keys of the contexts' files.
pub fn keys(data: &Path) -> PathBuf {
    data.join("keys")
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
