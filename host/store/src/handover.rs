//! Handing a file over to another host: the last commit of this one.
//!
//! Not here: what each commit checks (`owner`), how pages get to the other host, who decides that a file moves (the
//! crate `seam`).

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection as Sqlite, ffi};

use crate::bond::Bond;
use crate::config::Config;
use crate::connection::{Connection, Role};
use crate::copies::Copies;
use crate::copy::CopyError;
use crate::database::Database;
use crate::error::Error;
use crate::look::{Log, look};
use crate::mark::Mark;
use crate::moment::Snapshot;
use crate::open::{OpenError, failed, open};
use crate::owner::Owner;
use crate::term::Term;
use crate::writer::Lease;
use crate::{blocking, fault, host_table, outbox};

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

/// As `take_over`, for a copy that may lack commits of its last owner. Positions of its outbox go on above all that
/// this owner may have given: its events may have been delivered.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn take_over_copy(config: &Config, owner: &Owner) -> Result<(), OpenError> {
    let failed = |source| failed(&config.path, source);
    blocking::block_in_place(|| {
        let connection = open(config, Role::Writer)?;
        let written = in_transaction(&connection, |sqlite| {
            // Once: a takeover that is done again goes on from its own row.
            if Owner::read(sqlite)?.as_ref() != Some(owner) && host_table::exists(sqlite, "seam_outbox")? {
                sqlite.execute_batch(outbox::START)?;
            }
            owner.write(sqlite)
        });
        written.and_then(|()| connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)")).map_err(failed)
    })
}

/// The owner that the file which `config` names gives itself, with its log; `None` when it has never moved. Changes
/// nothing.
///
/// # Errors
/// When it cannot be read as a database.
pub fn owner_of(config: &Config) -> Result<Option<Owner>, OpenError> {
    let sqlite = look(config, Log::Read)?;
    Owner::read(&sqlite).map_err(|source| failed(&config.path, source))
}

/// How many commits the file that `config` names has had, with its log; `None` when no host has marked it. Changes
/// nothing.
///
/// # Errors
/// When it cannot be read as a database.
pub fn commits_of(config: &Config) -> Result<Option<u64>, OpenError> {
    let sqlite = look(config, Log::Read)?;
    let mark = Mark::read(&sqlite).map_err(|source| failed(&config.path, source))?;
    Ok(mark.map(|mark| mark.commits))
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

/// The file's writer, held: no transaction commits until this is dropped. What waits to write goes on then.
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

    /// From now on the file is bound, besides what binds it already.
    pub fn bind(&self, bond: &Bond) {
        self.writer.health.bind(bond);
    }

    /// What the commits of the file wait for.
    pub fn copies(&self) -> Option<&Arc<Copies>> {
        self.writer.health.copies()
    }

    /// The term to which the file is bound.
    pub fn term(&self) -> Option<&Arc<Term>> {
        self.writer.health.term()
    }

    /// From now on no statement begins: another host has taken the file over.
    pub fn give_up(&self, to: &Owner) {
        self.writer.health.moved(to);
    }

    /// Holds the writer: the transactions of others have ended, and the next ones wait.
    ///
    /// # Errors
    /// When the writer is not free before `deadline`, the file is in doubt, or this host may not commit to it.
    pub fn hold(self: &Arc<Self>, deadline: Instant) -> Result<Held, Error> {
        self.writer.health.in_term()?;
        let lease = self.writer.exclusive(deadline)?;
        Ok(Held { database: self.clone(), lease: Some(lease) })
    }
}

impl Held {
    /// The file as it is now. What is written later does not show in it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, CopyError> {
        Snapshot::now(&self.database)
    }

    /// Makes `to` the owner of the file, as the last commit of this host: it is on the disk when this returns. From
    /// then on every statement gets `unavailable`.
    ///
    /// # Errors
    /// When the commit failed, or when what became of it is not known: then no statement works either.
    pub fn hand_over(self, to: &Owner) -> Result<(), NotHandedOver> {
        self.leave(to, false)
    }

    /// As `hand_over`, of a file that was made to see how long it takes: without the points at which tests let the
    /// process die.
    ///
    /// # Errors
    /// As `hand_over`.
    pub fn rehearse(self, to: &Owner) -> Result<(), NotHandedOver> {
        self.leave(to, true)
    }

    fn leave(mut self, to: &Owner, rehearsal: bool) -> Result<(), NotHandedOver> {
        let database = self.database.clone();
        let health = &database.writer.health;
        let Some(mut lease) = self.lease.take() else { return Ok(()) };
        let handed = blocking::block_in_place(|| last_commit(&lease, to, rehearsal));
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

fn last_commit(lease: &Lease, to: &Owner, rehearsal: bool) -> Result<(), NotHandedOver> {
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
    if !rehearsal {
        fault::point("move.before-hand-over");
    }
    let committed = connection.run_as_host("COMMIT");
    if !rehearsal {
        fault::point("move.after-hand-over");
    }
    committed.map_err(|error| {
        // A write of the log that found no room: what it wrote has no end, so no start finds the commit there.
        let code = error.sqlite_error().map(|code| code.extended_code);
        let unwritten = matches!(code, Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_WRITE));
        if unwritten && connection.ran_out_of_space(&error) {
            let explained = no(error);
            connection.run_as_host("ROLLBACK").ok();
            return explained;
        }
        NotHandedOver::Unknown(connection.explain(&error))
    })
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.database.writer.give_back(lease);
        }
    }
}
