//! The promise of a context's file to commit its part of a transaction over several files: `NAME.prepared.db` beside
//! it, encrypted and sealed as the file itself.
//!
//! The promise holds what the part wrote, so that it can be written again after a crash. There is one at most: while it
//! stands, nothing else is written to the file. A promise that the file's own mark names is kept already.
//! Invariant: after `cast`, the promise is on the disk. `clear` needs not be: a promise that comes back is resolved
//! again, with the same result.
//! Not here: whether a promise is to be kept (`two_phase`).

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Error, chain};
use crate::health::Doubt;
use crate::host_table::{signed, unsigned};
use crate::mark::Mark;
use crate::open::{open, open_or_create};
use crate::redo::{Action, Step};
use crate::{connection, host_table};

/// A promise to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Of the transaction: 32 hex digits.
    pub transaction: String,
    /// The context whose file decides.
    pub coordinator: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A promise, and the state of the file from which its steps were taken.
pub(super) struct Ballot {
    pub vote: Vote,
    /// As in `Mark`.
    pub identity: String,
    pub commits: u64,
}

/// An outcome that an operator chose while the file was in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    pub vote: Vote,
    /// Whether it was committed.
    pub committed: bool,
    pub at_ms: u64,
    /// What was decided, once that is known and different: the files of the transaction disagree.
    pub damaged: bool,
    /// The statements of its part, without their values.
    pub statements: Vec<String>,
}

const TABLES: &str = "CREATE TABLE IF NOT EXISTS seam_vote (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    transaction_id TEXT NOT NULL,
    coordinator TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    identity    TEXT    NOT NULL,
    commits     INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seam_redo (
    number INTEGER PRIMARY KEY,
    action TEXT    NOT NULL,
    sql    TEXT    NOT NULL,
    rows   BLOB    NOT NULL,
    result INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seam_forced (
    transaction_id TEXT PRIMARY KEY,
    coordinator TEXT    NOT NULL,
    voted_ms    INTEGER NOT NULL,
    committed   INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    damaged     INTEGER NOT NULL DEFAULT 0,
    statements  TEXT    NOT NULL
) STRICT";

/// In the context's own file: the last promise that was kept, in the commit that kept it.
pub(super) const KEPT: &str = "CREATE TABLE IF NOT EXISTS seam_two_phase (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    transaction_id TEXT NOT NULL
) STRICT";

/// The file of the promise; opened when it is needed.
pub(super) struct Votes {
    config: Config,
    connection: Option<Connection>,
}

impl Votes {
    /// Those of the file that `config` names.
    pub fn of(config: &Config) -> Self {
        Self { config: Config { path: path_of(&config.path), ..config.clone() }, connection: None }
    }

    /// What the promise that a crash may have left means for the file, on whose `connection` its mark is.
    pub fn doubt(&mut self, connection: Option<&Connection>) -> Option<Doubt> {
        let pending = self.pending().and_then(|ballot| match (&ballot, connection) {
            (Some(ballot), Some(connection)) => {
                let kept = is_kept(connection, &ballot.vote.transaction)?;
                if kept {
                    self.clear()?;
                }
                Ok((!kept).then(|| ballot.vote.clone()))
            }
            _ => Ok(ballot.map(|ballot| ballot.vote)),
        });
        match pending {
            Ok(vote) => vote.map(|vote| vote.doubt("the host has started, and has not asked yet".to_owned())),
            Err(error) => Some(self.unreadable(&error)),
        }
    }

    /// The doubt about a file whose promise cannot be read.
    pub fn unreadable(&self, error: &Error) -> Doubt {
        let why = format!("`{}` cannot be read: {error}", self.config.path.display());
        Doubt { transaction: None, coordinator: None, since_ms: 0, why }
    }

    /// The promise that stands, if one does.
    pub fn pending(&mut self) -> Result<Option<Ballot>, Error> {
        if !self.config.path.exists() {
            self.connection = None;
            return Ok(None);
        }
        self.with(standing)
    }

    /// What the promise that stands is to write.
    pub fn steps(&mut self) -> Result<Vec<Step>, Error> {
        let rows = self.with(|sqlite| {
            let mut statement = sqlite.prepare("SELECT action, sql, rows, result FROM seam_redo ORDER BY number")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let step = |(action, sql, rows, check): (String, _, _, _)| {
            let action = Action::parse(&action)
                .ok_or_else(|| Error::Unavailable(format!("this host knows no step `{action}` of a promise")))?;
            Ok(Step { action, sql, rows, check })
        };
        rows.into_iter().map(step).collect()
    }

    /// Gives a promise, from which `mark` is what the file says of itself. On the disk when this returns.
    pub fn cast(&mut self, vote: &Vote, mark: &Mark, steps: &[Step]) -> Result<(), Error> {
        let cast = self.with(|sqlite| {
            let transaction = sqlite.unchecked_transaction()?;
            transaction.execute_batch("DELETE FROM seam_vote; DELETE FROM seam_redo")?;
            let sql = "INSERT INTO seam_vote (one, transaction_id, coordinator, at_ms, identity, commits)
                       VALUES (1, ?1, ?2, ?3, ?4, ?5)";
            let Vote { transaction: id, coordinator, at_ms } = vote;
            transaction.execute(sql, params![id, coordinator, signed(*at_ms), mark.identity, signed(mark.commits)])?;
            let sql = "INSERT INTO seam_redo (action, sql, rows, result) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare(sql)?;
            for Step { action, sql, rows, check } in steps {
                insert.execute(params![action.name(), sql, rows, check])?;
            }
            drop(insert);
            transaction.commit()
        });
        if cast.is_err() {
            // Only a new connection can tell what the file holds now.
            self.connection = None;
        }
        cast
    }

    /// The promise is kept, or not needed any more. A power cut may bring it back.
    pub fn clear(&mut self) -> Result<(), Error> {
        let cleared = self.with(|sqlite| {
            sqlite.execute_batch("PRAGMA synchronous = NORMAL")?;
            let cleared = sqlite.execute_batch("BEGIN; DELETE FROM seam_vote; DELETE FROM seam_redo; COMMIT");
            sqlite.execute_batch("PRAGMA synchronous = FULL")?;
            cleared
        });
        if cleared.is_err() {
            self.connection = None;
        }
        if let Some(connection) = &mut self.connection
            && connection.checkpoint_due().is_some()
        {
            // It costs nothing but space when this fails.
            connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)").ok();
        }
        cleared
    }

    /// Notes what an operator chose for the promise that stands.
    pub fn force(&mut self, vote: &Vote, committed: bool, at_ms: u64) -> Result<(), Error> {
        self.with(|sqlite| {
            let sql = "INSERT OR REPLACE INTO seam_forced
                         (transaction_id, coordinator, voted_ms, committed, at_ms, statements)
                       SELECT ?1, ?2, ?3, ?4, ?5, coalesce(group_concat(sql, char(30) ORDER BY number), '')
                       FROM seam_redo";
            let Vote { transaction: id, coordinator, at_ms: voted_ms } = vote;
            sqlite.execute(sql, params![id, coordinator, signed(*voted_ms), committed, signed(at_ms)]).map(drop)
        })
    }

    /// What operators have chosen, and nothing has confirmed yet.
    pub fn forced(&mut self) -> Result<Vec<Forced>, Error> {
        if !self.config.path.exists() {
            return Ok(Vec::new());
        }
        self.with(|sqlite| {
            let sql =
                "SELECT transaction_id, coordinator, voted_ms, committed, at_ms, damaged, statements FROM seam_forced";
            let mut statement = sqlite.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let statements: String = row.get(6)?;
                Ok(Forced {
                    vote: Vote { transaction: row.get(0)?, coordinator: row.get(1)?, at_ms: unsigned(row.get(2)?) },
                    committed: row.get(3)?,
                    at_ms: unsigned(row.get(4)?),
                    damaged: row.get(5)?,
                    statements: statements.split('\u{1e}').filter(|sql| !sql.is_empty()).map(str::to_owned).collect(),
                })
            })?;
            rows.collect()
        })
    }

    /// What was decided about a transaction whose outcome an operator chose here. `None`: an operator has seen it.
    pub fn settle_forced(&mut self, transaction: &str, decided: Option<bool>) -> Result<bool, Error> {
        self.with(|sqlite| match decided {
            None => sqlite.execute("DELETE FROM seam_forced WHERE transaction_id = ?1", [transaction]),
            Some(decided) => {
                let agrees = "DELETE FROM seam_forced WHERE transaction_id = ?1 AND committed = ?2";
                if sqlite.execute(agrees, params![transaction, decided])? > 0 {
                    return Ok(0);
                }
                sqlite.execute("UPDATE seam_forced SET damaged = 1 WHERE transaction_id = ?1", [transaction])
            }
        })
        .map(|rows| rows > 0)
    }

    /// Moves a file that cannot be read to a name that is free.
    pub fn set_aside(&mut self) -> Result<PathBuf, Error> {
        self.connection = None;
        let path = &self.config.path;
        let name = |n: u32| path.with_extension(format!("db.damaged-{n}"));
        let aside = (1..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
        let failed = |error: std::io::Error| Error::Unavailable(format!("cannot move `{}`: {error}", path.display()));
        std::fs::rename(path, &aside).map_err(failed)?;
        std::fs::remove_file(crate::log_file::path_of(path)).ok();
        Ok(aside)
    }

    fn with<T>(&mut self, work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let connection = self.connection.insert(connection);
        work(connection.sqlite()).map_err(|error| connection.explain(&error))
    }

    fn open(&self) -> Result<connection::Connection, Error> {
        let opened = match self.config.path.exists() {
            true => open(&self.config, connection::Role::Writer),
            false => open_or_create(&self.config),
        };
        let connection = opened.map_err(|error| Error::Unavailable(chain(&error)))?;
        let whole = host_table::exists(connection.sqlite(), "seam_forced")
            .and_then(|there| if there { Ok(()) } else { connection.run_as_host(TABLES) });
        whole.map_err(|error| connection.explain(&error))?;
        Ok(connection)
    }
}

impl Vote {
    /// The doubt about a file that has given this promise.
    pub(super) fn doubt(&self, why: String) -> Doubt {
        Doubt {
            transaction: Some(self.transaction.clone()),
            coordinator: Some(self.coordinator.clone()),
            since_ms: self.at_ms,
            why,
        }
    }
}

/// The promise that stands in the file of a promise.
pub(super) fn standing(sqlite: &rusqlite::Connection) -> rusqlite::Result<Option<Ballot>> {
    let sql = "SELECT transaction_id, coordinator, at_ms, identity, commits FROM seam_vote";
    let row = |row: &rusqlite::Row<'_>| {
        let vote = Vote { transaction: row.get(0)?, coordinator: row.get(1)?, at_ms: unsigned(row.get(2)?) };
        Ok(Ballot { vote, identity: row.get(3)?, commits: unsigned(row.get(4)?) })
    };
    sqlite.query_row(sql, [], row).optional()
}

/// Whether the file on `connection` has kept the promise of this transaction.
pub(super) fn is_kept(connection: &Connection, transaction: &str) -> Result<bool, Error> {
    let sqlite = connection.sqlite();
    let kept = host_table::exists(sqlite, "seam_two_phase").and_then(|there| match there {
        false => Ok(false),
        true => {
            let sql = "SELECT 1 FROM seam_two_phase WHERE transaction_id = ?1";
            Ok(sqlite.query_row(sql, [transaction], |_| Ok(())).optional()?.is_some())
        }
    });
    kept.map_err(|error| connection.explain(&error))
}

/// Notes that the promise of this transaction is kept, as a part of the open transaction.
pub(super) fn keep(sqlite: &rusqlite::Connection, transaction: &str) -> rusqlite::Result<()> {
    host_table::made(sqlite, &[KEPT], |sqlite| {
        let sql = "INSERT OR REPLACE INTO seam_two_phase (one, transaction_id) VALUES (1, ?1)";
        sqlite.execute(sql, [transaction]).map(drop)
    })
}

/// `warehouse.prepared.db` for `warehouse.db`.
pub fn path_of(path: &Path) -> PathBuf {
    path.with_extension("prepared.db")
}
