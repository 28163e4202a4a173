//! Copies of a context's file while it is in use: for trials, as restore points, and back from a restore point.
//!
//! SQLite's own backup makes them in one step, so a copy is one committed state of the file. The copy of an encrypted
//! file is encrypted with the same key. Not here: how many copies are kept, and why.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::clock::Clock;
use crate::config::Config;
use crate::connection::Role;
use crate::database::Database;
use crate::error::Error;
use crate::key::{KeyError, KeySource};
use crate::mark::Mark;
use crate::open::{OpenError, open};
use crate::{blocking, limits, private, vfs};

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("cannot write the copy `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot copy to `{}`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("the file stayed locked too long")]
    Busy,
    #[error("rows were written since the copy was made")]
    Written,
    #[error("cannot get the key of the file")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Database {
    /// A database of its own at `path`, with all that is committed here now, with the same key and quota. Readers and
    /// the writer go on meanwhile.
    ///
    /// # Errors
    /// When there is no room for the copy, or this file cannot be read.
    pub fn copy(&self, path: &Path) -> Result<Arc<Self>, CopyError> {
        blocking::block_in_place(|| {
            self.writer.health.look(false)?;
            let source = open(self.config(), Role::Reader)?;
            to_file(source.sqlite(), self.config(), path)
        })?;
        Ok(Self::open(self.config_at(path))?)
    }

    /// Copies what is committed to `path`, and runs `meanwhile` before the next transaction writes.
    ///
    /// # Errors
    /// When the file is encrypted, since the copy is for people to read; when the writer is not free in time; when
    /// there is no room.
    pub fn copy_while_locked<T>(
        &self,
        path: &Path,
        deadline: Instant,
        meanwhile: impl FnOnce() -> T,
    ) -> Result<T, CopyError> {
        if self.config().key.is_some() {
            return Err(Error::Denied("an encrypted file is not copied for people to read".to_owned()).into());
        }
        let lease = self.writer.exclusive(deadline)?;
        let copied = blocking::block_in_place(|| {
            to_file(lease.connection()?.sqlite(), self.config(), path)?;
            Ok(meanwhile())
        });
        self.writer.give_back(lease);
        copied
    }

    /// Replaces this file's contents by those of the copy at `path`, as one transaction: readers, and the host after a
    /// power cut, see the old state or the new one. With `commits`, only if there were so many commits and no more
    /// since the file was opened.
    ///
    /// # Errors
    /// When `path` cannot be read, or the writer is not free in time. The file is as it was then.
    pub fn restore(&self, path: &Path, commits: Option<u64>) -> Result<(), CopyError> {
        let clock = &self.config().clock;
        let deadline = clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        let mut lease = self.writer.exclusive(deadline)?;
        if commits.is_some_and(|commits| commits != self.statistics().commits) {
            self.writer.give_back(lease);
            return Err(CopyError::Written);
        }
        let restored = blocking::block_in_place(|| {
            // The file stays itself and its count goes on: in a copy of the copy, as the pages go back in one commit.
            let aside = self.config_at(&self.path().with_extension("restoring"));
            let failed = |source| CopyError::Sqlite { path: aside.path.clone(), source };
            let mark = Mark::read(lease.connection()?.sqlite()).map_err(failed)?;
            to_file(open(&self.config_at(path), Role::Reader)?.sqlite(), &aside, &aside.path)?;
            let restored = (|| {
                let source = open(&aside, Role::Writer)?;
                if let Some(mark) = mark {
                    let commits = mark.commits + 1;
                    Mark { commits, ..mark }.write(source.sqlite()).map_err(failed)?;
                }
                copy_pages(source.sqlite(), lease.connection_mut()?.sqlite_mut(), path, clock)
            })();
            remove(&aside.path).ok();
            lease.connection()?.distrust_statements();
            // Such a commit is reported with the next statement only.
            lease.connection()?.log_frames().ok();
            restored
        });
        self.writer.give_back(lease);
        restored
    }

    /// What another file of the same context is opened with.
    pub fn config_at(&self, path: &Path) -> Config {
        Config { path: path.to_owned(), ..self.config().clone() }
    }
}

/// Copies what `source` sees to a new file at `path`: it is on the disk when this returns, and absent when this fails.
pub(super) fn to_file(source: &Connection, config: &Config, path: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError::Sqlite { path: path.to_owned(), source };
    let partial = path.with_extension("partial");
    let unwritten = |source| CopyError::File { path: path.to_owned(), source };
    remove(&partial).map_err(unwritten)?;
    let copied = (|| {
        // SQLite would create it readable for all.
        private::new_file(&partial).map_err(unwritten)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let seals = vfs::seals_for(&Config { path: partial.clone(), ..config.clone() })?;
        let mut target = match seals {
            Some(_) => Connection::open_with_flags_and_vfs(&partial, flags, vfs::name().map_err(failed)?),
            None => Connection::open_with_flags(&partial, flags),
        }
        .map_err(failed)?;
        if let Some(key) = config.key.as_ref().map(KeySource::read).transpose()? {
            target.pragma_update(None, "key", key.as_str()).map_err(failed)?;
        }
        // The incomplete file has a name that no reader looks for, and is synchronised as a whole below.
        target.execute_batch("PRAGMA synchronous = OFF").map_err(failed)?;
        copy_pages(source, &mut target, path, &config.clock)?;
        drop(target);
        let synchronised = std::fs::File::open(&partial).and_then(|file| file.sync_all());
        synchronised.and_then(|()| std::fs::rename(&partial, path)).map_err(unwritten)
    })();
    if copied.is_err() {
        remove(&partial).ok();
    }
    copied
}

/// All pages in one step: the copy is one state of the source.
fn copy_pages(source: &Connection, target: &mut Connection, path: &Path, clock: &Clock) -> Result<(), CopyError> {
    let failed = |source| CopyError::Sqlite { path: path.to_owned(), source };
    let backup = Backup::new(source, target).map_err(failed)?;
    let deadline = clock.now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
    loop {
        match backup.step(-1).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ if clock.now() > deadline => return Err(CopyError::Busy),
            _ => clock.sleep(Duration::from_millis(limits::STORE_COPY_RETRY_MS)),
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
