//! Copies of a context's file while it is in use: to try things on, as a restore point, and back from one.
//!
//! By SQLite's own backup, page by page, so that a copy is one committed state of the file; an encrypted file's copy is encrypted with
//! the same key. Not here: how many copies are kept, and why (`deploy`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::connection::{Config, Link, OpenError, Role};
use super::key::{KeyError, KeySource};
use super::{Database, Error, migrate};
use crate::{handoff, limits};

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("cannot write the copy `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot copy to `{}`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("the file stayed locked")]
    Busy,
    #[error("rows were written meanwhile")]
    Written,
    #[error("its key cannot be had")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] Error),
}

/// A table that is not the same in two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    /// Rows in the one and in the other.
    pub here: u64,
    pub there: u64,
}

type Digests = std::collections::BTreeMap<String, Digest>;

/// How many rows a table has, and a number that another set of rows hardly has.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<()> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0u8.hash(&mut hasher),
                ValueRef::Integer(i) => (1u8, i).hash(&mut hasher),
                ValueRef::Real(r) => (2u8, r.to_bits()).hash(&mut hasher),
                ValueRef::Text(text) => (3u8, text).hash(&mut hasher),
                ValueRef::Blob(blob) => (4u8, blob).hash(&mut hasher),
            }
        }
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
        Ok(())
    }
}

impl Database {
    /// A database of its own at `path`, with all that is committed here now and with the same key and quota. Nobody waits for it.
    ///
    /// # Errors
    /// When there is no room for it, or this file cannot be read.
    pub fn copy(&self, path: &Path) -> Result<Arc<Self>, CopyError> {
        handoff::blocking(|| {
            let source = Link::open(self.config(), Role::Reader)?;
            to_file(source.raw(), self.config(), path)
        })?;
        Ok(Self::open(Config { path: path.to_owned(), ..self.config().clone() })?)
    }

    /// Copies what is committed to `path`, and runs `meanwhile` before anybody writes again.
    ///
    /// # Errors
    /// When the file is encrypted, since the copy is for people to read; when the writer does not come free; when there is no room.
    pub fn copy_still<T>(&self, path: &Path, deadline: Instant, meanwhile: impl FnOnce() -> T) -> Result<T, CopyError> {
        if self.config().key.is_some() {
            return Err(Error::Denied("an encrypted file is not copied for people to read".to_owned()).into());
        }
        let lease = self.writer.alone(deadline, &self.counters)?;
        let copied = handoff::blocking(|| {
            to_file(lease.link()?.raw(), self.config(), path)?;
            Ok(meanwhile())
        });
        self.writer.pass_on(lease);
        copied
    }

    /// Puts the state at `path`, a copy made before, into the place of this file's, as one transaction: readers see the one or the
    /// other, and so does whoever opens the file after a power cut. With `commits`, only if there have been so many and no more.
    ///
    /// # Errors
    /// When `path` cannot be read, or the writer does not come free. The file is as it was.
    pub fn restore(&self, path: &Path, commits: Option<u64>) -> Result<(), CopyError> {
        let deadline = Instant::now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
        let mut lease = self.writer.alone(deadline, &self.counters)?;
        if commits.is_some_and(|commits| commits != self.statistics().commits) {
            self.writer.pass_on(lease);
            return Err(CopyError::Written);
        }
        let restored = handoff::blocking(|| {
            let source = Link::open(&Config { path: path.to_owned(), ..self.config().clone() }, Role::Reader)?;
            run(source.raw(), lease.link_mut()?.raw_mut(), path)
        });
        self.writer.pass_on(lease);
        restored
    }

    /// What another file of the same context is opened with.
    pub fn config_at(&self, path: &Path) -> Config {
        Config { path: path.to_owned(), ..self.config().clone() }
    }

    /// Tables whose rows are not those of `other`, with how many there are here and there.
    ///
    /// # Errors
    /// When one of the two cannot be read.
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, Error> {
        let (here, there) = handoff::blocking(|| Ok((self.digests()?, other.digests()?)))?;
        let names: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        let none = Digest::default();
        let of = |all: &Digests, name: &String| *all.get(name).unwrap_or(&none);
        let differ = names.into_iter().filter(|name| here.get(*name) != there.get(*name));
        Ok(differ
            .map(|name| Difference { table: name.clone(), here: of(&here, name).rows, there: of(&there, name).rows })
            .collect())
    }

    /// Of each table that a context made, whatever the order of its rows.
    fn digests(&self) -> Result<Digests, Error> {
        let reader = self.readers().get(Instant::now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS))?;
        let conn = reader.link()?.raw();
        let read = || -> rusqlite::Result<Digests> {
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
                       AND substr(name, 1, 7) <> 'sqlite_' AND substr(name, 1, 5) <> 'seam_'";
            let names: Vec<String> = conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let digest = |name: String| {
                let mut digest = Digest::default();
                let mut statement = conn.prepare(&format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")))?;
                let columns = statement.column_count();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    digest.add(row, columns)?;
                }
                Ok((name, digest))
            };
            names.into_iter().map(digest).collect()
        };
        read().map_err(|e| Error::of(&e))
    }

    /// How many migrations the file has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn schema(&self) -> Result<u32, Error> {
        let reader = self.readers().get(Instant::now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS))?;
        migrate::schema_of(reader.link()?.raw()).map_err(|e| Error::of(&e))
    }

    /// Statements that contexts have run lately, without their values.
    pub fn statements(&self) -> Vec<String> {
        let mut all = std::collections::BTreeSet::new();
        self.readers().each_idle(|link| link.statements(&mut all));
        self.writer.if_idle(|link| link.statements(&mut all));
        all.into_iter().collect()
    }

    /// From now on `statements` knows those only that are run from now on. What is in use is not forgotten.
    pub fn forget_statements(&self) {
        self.readers().each_idle(|link| link.raw().flush_prepared_statement_cache());
        self.writer.if_idle(|link| link.raw().flush_prepared_statement_cache());
    }

    /// Whether a context's statement fits the file's schema; it is not run.
    ///
    /// # Errors
    /// Why it does not.
    pub fn accepts(&self, sql: &str) -> Result<(), Error> {
        let reader = self.readers().get(Instant::now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS))?;
        let link = reader.link()?;
        // Preparing alone does not notice that another connection changed the schema; running something does.
        link.host("SELECT 1 FROM sqlite_schema LIMIT 1").map_err(|e| Error::of(&e))?;
        link.accepts(sql)
    }
}

/// The schema of the file that `config` names: how many migrations it has. No file has none.
///
/// # Errors
/// When there is a file that cannot be read.
pub fn schema_at(config: &Config) -> Result<u32, CopyError> {
    if !config.path.exists() {
        return Ok(0);
    }
    let link = Link::open(config, Role::Reader)?;
    migrate::schema_of(link.raw()).map_err(|source| CopyError::Sqlite { path: config.path.clone(), source })
}

/// Copies what `source` sees to a new file at `path`, which is on the disk when this returns and not there when it fails.
pub(super) fn to_file(source: &Connection, config: &Config, path: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError::Sqlite { path: path.to_owned(), source };
    let partial = path.with_extension("partial");
    let unwritten = |source| CopyError::File { path: path.to_owned(), source };
    remove(&partial).map_err(unwritten)?;
    let copied = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut target = Connection::open_with_flags(&partial, flags).map_err(failed)?;
        if let Some(key) = config.key.as_ref().map(KeySource::read).transpose()? {
            target.pragma_update(None, "key", key.as_str()).map_err(failed)?;
        }
        // The file has no name yet by which anybody could find it half-done, and is synchronised as a whole below.
        target.execute_batch("PRAGMA synchronous = OFF").map_err(failed)?;
        run(source, &mut target, path)?;
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
fn run(source: &Connection, target: &mut Connection, path: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError::Sqlite { path: path.to_owned(), source };
    let backup = Backup::new(source, target).map_err(failed)?;
    let deadline = Instant::now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
    loop {
        match backup.step(-1).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ if Instant::now() > deadline => return Err(CopyError::Busy),
            _ => std::thread::sleep(Duration::from_millis(limits::EPOCH_TICK_MS)),
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
