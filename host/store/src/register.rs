//! What the host remembers of each store, in `host.db`: its identity, its schema, and how many commits it has seen.
//!
//! A file is compared with it before it is opened. So a file that is gone, older, another or of another context does
//! not serve without a word. The operator takes such a file by `accept`, which gives it another identity. A file that
//! was found damaged while it was in use stays in quarantine over restarts, until it is restored or found whole.
//! Invariant: the count here is never above what is durable in the file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::config::Config;
use crate::connection::Role;
use crate::database::Database;
use crate::error::Error;
use crate::host::{HostFile, HostFileError};
use crate::host_table;
use crate::ids::ContextName;
use crate::inspect::{Misfit, inspect};
use crate::log_file::path_of;
use crate::mark::Mark;
use crate::open::{OpenError, open};
use crate::outbox;
use crate::{blocking, encrypting, limits, row_seals, sealing};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS store (
    context  TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    schema   INTEGER NOT NULL,
    commits  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS quarantine (
    context TEXT PRIMARY KEY,
    found   TEXT NOT NULL
) STRICT";

/// What the host remembers of the stores. Cheap to clone.
#[derive(Clone)]
pub struct Register(Arc<Inner>);

struct Inner {
    host: Arc<HostFile>,
    /// What was noted last, to write only changes.
    noted: Mutex<HashMap<String, Entry>>,
    /// Contexts whose files have just come from another host, which has had every page and table of them compared.
    came: Mutex<HashSet<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    identity: String,
    schema: u32,
    commits: u64,
}

/// Why a file could not be compared, noted or accepted.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    Host(#[from] HostFileError),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("cannot set the write-ahead log `{}` aside", path.display())]
    Aside { path: PathBuf, source: std::io::Error },
}

impl RegisterError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self, context: &str) -> String {
        match self {
            Self::Misfit(misfit) => misfit.remedy(context),
            Self::Host(error) => error.remedy(),
            Self::Store(_) => "see the log, and start the host again".to_owned(),
            Self::Aside { .. } => "check that the host may write in that folder".to_owned(),
        }
    }
}

/// A file that the host is to take for the store of a context: see `Register::adopt`.
#[derive(Debug)]
pub struct Adopted {
    context: ContextName,
    entry: Entry,
}

/// What `accept` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Why the file did not fit; `None` if it did, and nothing has changed.
    pub why: Option<String>,
    /// Where the log is now that was beside the file and does not belong to it, or is damaged.
    pub log: Option<PathBuf>,
}

impl Register {
    /// # Errors
    /// When the host's file cannot be written.
    pub fn open(host: Arc<HostFile>) -> Result<Self, HostFileError> {
        host.change(|transaction| transaction.execute_batch(TABLE))?;
        Ok(Self(Arc::new(Inner { host, noted: Mutex::default(), came: Mutex::default() })))
    }

    /// Compares the file that `config` names with what the host remembers of the store of `context`. The file must not
    /// be open in this process. The pages of one that has just come from another host are not looked at: calls wait.
    ///
    /// # Errors
    /// `RegisterError::Misfit` says what does not fit.
    pub fn compare(&self, context: &ContextName, config: &Config) -> Result<(), RegisterError> {
        let known = self.known(context)?;
        let came = self.0.came.lock().contains(context.as_str());
        let within = Some(Duration::from_millis(if came { 0 } else { limits::STORE_CHECK_MS_MAX }));
        let found = blocking::block_in_place(|| inspect(config, within))?;
        let path = || config.path.clone();
        let (found, known) = match (found, known) {
            (None, None) => return Ok(()),
            (None, Some(known)) => return Err(Misfit::Missing { path: path(), commits: known.commits }.into()),
            (Some(found), known) => (found, known),
        };
        match (&found.mark, known) {
            (Some(mark), _) if mark.context != context.as_str() => {
                Err(Misfit::Foreign { path: path(), owner: mark.context.clone() }.into())
            }
            (None, Some(_)) => Err(Misfit::Other { path: path() }.into()),
            (Some(mark), Some(known)) if mark.identity != known.identity => Err(Misfit::Other { path: path() }.into()),
            // A schema goes back when the host restores the file, which is a commit more.
            (Some(mark), Some(known)) if (mark.commits, found.schema) < (known.commits, known.schema) => {
                Err(Misfit::Older { path: path(), commits: mark.commits, seen: known.commits }.into())
            }
            _ => match self.quarantined(context)? {
                Some(found) => Err(Misfit::Quarantined { path: path(), found }.into()),
                None => Ok(()),
            },
        }
    }

    /// Notes how far the store is. Without a sync of the disk: a power cut may take the note back, never raise it.
    ///
    /// # Errors
    /// When one of the two files cannot be used.
    pub fn note(&self, context: &ContextName, database: &Database) -> Result<(), RegisterError> {
        let Some(mark) = database.mark()? else { return Ok(()) };
        let entry = Entry { identity: mark.identity, schema: database.schema()?, commits: mark.commits };
        let mut noted = self.0.noted.lock();
        if noted.get(context.as_str()) != Some(&entry) {
            self.0.host.change_without_sync(|transaction| entry.write(transaction, context))?;
            noted.insert(context.to_string(), entry);
        }
        Ok(())
    }

    /// Notes that the file of `context` was found damaged while it was in use: no start takes it from now on.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn quarantine(&self, context: &ContextName, found: &str) -> Result<(), RegisterError> {
        if self.quarantined(context)?.is_none() {
            let sql = "INSERT OR IGNORE INTO quarantine (context, found) VALUES (?1, ?2)";
            self.0.host.change(|transaction| transaction.execute(sql, [context.as_str(), found]))?;
        }
        Ok(())
    }

    /// Takes the file that `config` names as the store of `context`, if it does not fit what the host remembers: it
    /// gets another identity. A log that does not belong to it, or is damaged, is set aside and kept. Without a file,
    /// the next start creates one. The file must not be open in this process. `also` runs in the transaction of the
    /// host's file.
    ///
    /// # Errors
    /// When the file is damaged: only a backup helps then. One in quarantine is looked at as a whole.
    pub fn accept(
        &self,
        context: &ContextName,
        config: &Config,
        also: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<()>,
    ) -> Result<Accepted, RegisterError> {
        let misfit = match self.compare(context, config) {
            Ok(()) => return Ok(Accepted { why: None, log: None }),
            Err(RegisterError::Misfit(misfit)) => misfit,
            Err(error) => return Err(error),
        };
        let why = misfit.to_string();
        let log = match misfit {
            Misfit::Log { path } => Some(set_aside(&path, false)?),
            // Its valid part belongs to the file.
            Misfit::DamagedLog { path, .. } => Some(set_aside(&path, true)?),
            Misfit::Unsealed { .. } | Misfit::Rows { .. } | Misfit::Open(OpenError::NoSealKey { .. }) => {
                blocking::block_in_place(|| seal_again(config))?;
                None
            }
            Misfit::Open(OpenError::InTheClear { .. }) => {
                blocking::block_in_place(|| encrypting::encrypt_if_clear(config)).map_err(Misfit::Open)?;
                None
            }
            Misfit::Truncated { .. } | Misfit::Damaged { .. } | Misfit::Unreadable { .. } | Misfit::Open(_) => {
                return Err(misfit.into());
            }
            Misfit::Quarantined { .. } => {
                blocking::block_in_place(|| inspect(config, None))?;
                None
            }
            Misfit::Missing { .. } | Misfit::Foreign { .. } | Misfit::Other { .. } | Misfit::Older { .. } => None,
        };
        if config.path.exists() {
            let adopted = Self::adopt(context, config)?;
            self.expect([&adopted].into_iter(), |transaction| also(transaction, &why))?;
        } else {
            self.0.noted.lock().remove(context.as_str());
            self.0.host.change(|transaction| {
                transaction.execute("DELETE FROM store WHERE context = ?1", [context.as_str()])?;
                release(transaction, context)?;
                also(transaction, &why)
            })?;
        }
        Ok(Accepted { why: Some(why), log })
    }

    /// Makes the file that `config` names, wherever it is, a store of `context`: it gets an identity of its own. The
    /// host takes it after `expect`. The file must not be open in this process, and has no log afterwards.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn adopt(context: &ContextName, config: &Config) -> Result<Adopted, RegisterError> {
        let failed = |source| Misfit::Open(OpenError::Sqlite { path: config.path.clone(), source });
        let entry = blocking::block_in_place(|| {
            encrypting::ready(config).map_err(Misfit::Open)?;
            let connection = open(config, Role::Writer).map_err(Misfit::Open)?;
            let sqlite = connection.sqlite();
            let commits = Mark::read(sqlite).map_err(failed)?.map_or(0, |mark| mark.commits);
            if host_table::exists(sqlite, "seam_outbox").map_err(failed)? {
                sqlite.execute_batch(outbox::START).map_err(failed)?;
            }
            // The log is copied back on both sides of the new identity: file and log always have the same one.
            connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed)?;
            let mark = Mark::new(context.as_str(), commits + 1);
            mark.write(sqlite).map_err(failed)?;
            connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed)?;
            let schema = crate::schema::number(sqlite).map_err(failed)?;
            Ok::<_, Misfit>(Entry { identity: mark.identity, schema, commits: mark.commits })
        })?;
        Ok(Adopted { context: context.clone(), entry })
    }

    /// From now on only these files fit their contexts. `also` runs in the same transaction of the host's file.
    ///
    /// # Errors
    /// When the host's file cannot be written. Nothing has changed then.
    pub fn expect<'a>(
        &self,
        adopted: impl Iterator<Item = &'a Adopted> + Clone,
        also: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), RegisterError> {
        self.0.host.change(|transaction| {
            adopted.clone().try_for_each(|Adopted { context, entry }| {
                release(transaction, context)?;
                entry.write(transaction, context)
            })?;
            also(transaction)
        })?;
        let mut noted = self.0.noted.lock();
        adopted.for_each(|adopted| drop(noted.remove(adopted.context.as_str())));
        Ok(())
    }

    /// Forgets what the store of `context` was: the next file is taken as it is. For a file that comes from another
    /// host, which knows what it is.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn forget(&self, context: &ContextName) -> Result<(), HostFileError> {
        self.0.noted.lock().remove(context.as_str());
        self.0.came.lock().insert(context.to_string());
        self.0.host.change(|transaction| {
            transaction.execute("DELETE FROM store WHERE context = ?1", [context.as_str()])?;
            release(transaction, context)
        })
    }

    /// Whether the host remembers a store of `context`.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn knows(&self, context: &ContextName) -> Result<bool, HostFileError> {
        self.known(context).map(|known| known.is_some())
    }

    /// The file of `context` serves here: the next time it is opened, its pages are looked at.
    pub fn has_come(&self, context: &ContextName) {
        self.0.came.lock().remove(context.as_str());
    }

    fn quarantined(&self, context: &ContextName) -> Result<Option<String>, HostFileError> {
        let sql = "SELECT found FROM quarantine WHERE context = ?1";
        self.0.host.read(|sqlite| sqlite.query_row(sql, [context.as_str()], |row| row.get(0)).optional())
    }

    fn known(&self, context: &ContextName) -> Result<Option<Entry>, HostFileError> {
        let sql = "SELECT identity, schema, commits FROM store WHERE context = ?1";
        let row = |row: &rusqlite::Row<'_>| {
            let commits = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            Ok(Entry { identity: row.get(0)?, schema: row.get(1)?, commits })
        };
        self.0.host.read(|sqlite| sqlite.query_row(sql, [context.as_str()], row).optional())
    }
}

impl Entry {
    fn write(&self, sqlite: &rusqlite::Connection, context: &ContextName) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO store (context, identity, schema, commits) VALUES (?1, ?2, ?3, ?4)";
        let commits = i64::try_from(self.commits).unwrap_or(i64::MAX);
        sqlite.execute(sql, params![context.as_str(), self.identity, self.schema, commits]).map(drop)
    }
}

/// Seals the pages of a file as they are. Its rows get their seals when it is migrated.
fn seal_again(config: &Config) -> Result<(), Misfit> {
    sealing::seal_again(config).map_err(Misfit::Open)?;
    let failed = |source| Misfit::Open(OpenError::Sqlite { path: config.path.clone(), source });
    let connection = open(config, Role::Writer).map_err(Misfit::Open)?;
    row_seals::forget(connection.sqlite()).map_err(failed)
}

/// Ends the quarantine of the file of `context`.
fn release(sqlite: &rusqlite::Connection, context: &ContextName) -> rusqlite::Result<()> {
    sqlite.execute("DELETE FROM quarantine WHERE context = ?1", [context.as_str()]).map(drop)
}

/// Moves the log of the file at `path` to a name that is free, or copies it there.
fn set_aside(path: &Path, copy: bool) -> Result<PathBuf, RegisterError> {
    let log = path_of(path);
    let failed = |source| RegisterError::Aside { path: log.clone(), source };
    let name = |n: u32| {
        let mut name = log.clone().into_os_string();
        name.push(format!(".aside-{n}"));
        PathBuf::from(name)
    };
    let aside = (1..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
    match copy {
        true => crate::private::copy(&log, &aside).map(drop).map_err(failed)?,
        false => std::fs::rename(&log, &aside).map_err(failed)?,
    }
    Ok(aside)
}
