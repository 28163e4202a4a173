//! Which host owns a file, and the fencing token by which the file knows.
//!
//! Each time that a file moves to another host, its last commit at the old one gives it that host's name and a higher
//! token. A file without an owner has never moved: it belongs to the host that has it.
//! Invariant: no commit happens under another token than the one with which the file was opened. Each commit compares
//! them, in the same transaction. So after its last commit, the old host can write nothing more, whatever it believes.
//! Not here: how pages get to the other host, who decides that a file moves (the crate `seam`).

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection as Sqlite, OptionalExtension, ffi, params};

use crate::config::Config;
use crate::connection::{Connection, Role};
use crate::database::Database;
use crate::error::Error;
use crate::host_table::{self, signed, unsigned};
use crate::open::{OpenError, failed, open};
use crate::writer::Lease;
use crate::{blocking, fault};

/// The host that owns a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub host: String,
    /// Higher with each move; at least 1.
    pub token: u64,
}

const NAME: &str = "seam_owner";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_owner (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    host  TEXT    NOT NULL,
    token INTEGER NOT NULL
) STRICT";

impl Owner {
    pub(super) fn read(sqlite: &Sqlite) -> rusqlite::Result<Option<Self>> {
        if !host_table::exists(sqlite, NAME)? {
            return Ok(None);
        }
        let row = |row: &rusqlite::Row<'_>| Ok(Self { host: row.get(0)?, token: unsigned(row.get(1)?) });
        sqlite.query_row("SELECT host, token FROM seam_owner WHERE id = 1", [], row).optional()
    }

    fn write(&self, sqlite: &Sqlite) -> rusqlite::Result<()> {
        sqlite.execute_batch(TABLE)?;
        let sql = "INSERT OR REPLACE INTO seam_owner (id, host, token) VALUES (1, ?1, ?2)";
        sqlite.execute(sql, params![self.host, signed(self.token)]).map(drop)
    }
}

/// # Errors
/// When the file has another token now: it belongs to another host.
pub(super) fn check(sqlite: &Sqlite, token: u64) -> rusqlite::Result<()> {
    let now: i64 = sqlite.query_row("SELECT token FROM seam_owner WHERE id = 1", [], |row| row.get(0))?;
    if unsigned(now) == token {
        return Ok(());
    }
    let why = format!("the file belongs to another host: its token is {now}, and this host has {token}");
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_PERM), Some(why)))
}

/// Makes `owner` the owner of the file that `config` names, which must not be open.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn take_over(config: &Config, owner: &Owner) -> Result<(), OpenError> {
    let failed = |source| failed(&config.path, source);
    blocking::block_in_place(|| {
        let connection = open(config, Role::Writer)?;
        let written = in_transaction(&connection, |sqlite| owner.write(sqlite));
        written.and_then(|()| connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)")).map_err(failed)
    })
}

/// Runs `write` as one counted commit.
fn in_transaction(
    connection: &Connection,
    write: impl FnOnce(&Sqlite) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    connection.run_as_host("BEGIN IMMEDIATE")?;
    let written = write(connection.sqlite()).and_then(|()| connection.count_commit());
    if written.is_err() {
        connection.run_as_host("ROLLBACK")?;
        return written;
    }
    connection.run_as_host("COMMIT")
}

/// The file's writer, held: nobody commits until this is dropped. What waits to write goes on then.
pub struct Held {
    database: Arc<Database>,
    lease: Option<Lease>,
}

/// Why a file was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    #[error("it was not handed over: {0}")]
    No(Error),
    /// Only the file can say, once it is opened again.
    #[error("it is not known whether it was handed over: {0}")]
    Unknown(Error),
}

impl Database {
    /// The owner that the file names; `None` when it has never moved.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn owner(&self) -> Result<Option<Owner>, Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        Owner::read(connection.sqlite()).map_err(|error| self.failed(connection, &error))
    }

    /// The owner of the file, which is `host` from now on if the file has none.
    ///
    /// # Errors
    /// When the writer is not free before `deadline`, or the file cannot be written.
    pub fn claim(&self, host: &str, deadline: Instant) -> Result<Owner, Error> {
        if let Some(owner) = self.owner()? {
            return Ok(owner);
        }
        let owner = Owner { host: host.to_owned(), token: 1 };
        let lease = self.writer.exclusive(deadline)?;
        let claimed = lease.connection().and_then(|connection| {
            let written = blocking::block_in_place(|| in_transaction(connection, |sqlite| owner.write(sqlite)));
            written.map_err(|error| self.failed(connection, &error))?;
            connection.set_token(owner.token);
            Ok(())
        });
        if claimed.is_ok() {
            self.writer.set_token(owner.token);
        }
        self.writer.give_back(lease);
        claimed.map(|()| owner)
    }

    /// Holds the writer: the transactions of others have ended, and the next ones wait.
    ///
    /// # Errors
    /// When the writer is not free before `deadline`, or the file is in doubt.
    pub fn hold(self: &Arc<Self>, deadline: Instant) -> Result<Held, Error> {
        let lease = self.writer.exclusive(deadline)?;
        Ok(Held { database: self.clone(), lease: Some(lease) })
    }
}

impl Held {
    /// Makes `to` the owner of the file, as the last commit of this host: it is on the disk when this returns. From
    /// then on every statement gets `unavailable`.
    ///
    /// # Errors
    /// When the commit failed, or when what became of it is not known: then no statement works either.
    pub fn hand_over(mut self, to: &Owner) -> Result<(), NotHandedOver> {
        let database = self.database.clone();
        let health = &database.writer.health;
        let Some(mut lease) = self.lease.take() else { return Ok(()) };
        let handed = blocking::block_in_place(|| last_commit(&lease, to));
        match &handed {
            Ok(()) | Err(NotHandedOver::Unknown(_)) => {
                health.moved(to);
                lease.close();
            }
            Err(NotHandedOver::No(_)) => {}
        }
        database.writer.give_back(lease);
        handed
    }
}

fn last_commit(lease: &Lease, to: &Owner) -> Result<(), NotHandedOver> {
    let connection = lease.connection().map_err(NotHandedOver::No)?;
    let no = |error: rusqlite::Error| NotHandedOver::No(connection.explain(&error));
    connection.run_as_host("BEGIN IMMEDIATE").map_err(no)?;
    // Counted under the old token, which the same transaction then replaces.
    let sql = "UPDATE seam_owner SET host = host WHERE id = 1";
    let written = connection
        .run_as_host(sql)
        .and_then(|()| connection.count_commit())
        .and_then(|()| to.write(connection.sqlite()));
    if let Err(error) = written {
        connection.run_as_host("ROLLBACK").ok();
        return Err(no(error));
    }
    fault::point("move.before-hand-over");
    let committed = connection.run_as_host("COMMIT");
    fault::point("move.after-hand-over");
    committed.map_err(|error| NotHandedOver::Unknown(connection.explain(&error)))
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.database.writer.give_back(lease);
        }
    }
}
