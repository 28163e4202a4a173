//! The host that owns a file, and the fencing token by which the file knows.
//!
//! Each time that a file moves to another host, its last commit at the old one gives it that host's name and a higher
//! token. A file without an owner has never moved: it belongs to the host that has it.
//! Invariant: no commit happens under another token than the one with which the file was opened. Each commit compares
//! them, in the same transaction. So after its last commit, the old host can write nothing more, whatever it believes.
//! Not here: how a file is handed over (`handover`).

use rusqlite::{Connection, OptionalExtension, ffi, params};

use crate::host_table::{self, signed, unsigned};

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
    pub(super) fn read(sqlite: &Connection) -> rusqlite::Result<Option<Self>> {
        if !host_table::exists(sqlite, NAME)? {
            return Ok(None);
        }
        let row = |row: &rusqlite::Row<'_>| Ok(Self { host: row.get(0)?, token: unsigned(row.get(1)?) });
        sqlite.query_row("SELECT host, token FROM seam_owner WHERE id = 1", [], row).optional()
    }

    pub(super) fn write(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        sqlite.execute_batch(TABLE)?;
        let sql = "INSERT OR REPLACE INTO seam_owner (id, host, token) VALUES (1, ?1, ?2)";
        sqlite.execute(sql, params![self.host, signed(self.token)]).map(drop)
    }
}

/// # Errors
/// When the file has another token now: it belongs to another host.
pub(super) fn check(sqlite: &Connection, token: u64) -> rusqlite::Result<()> {
    let now: i64 = sqlite.query_row("SELECT token FROM seam_owner WHERE id = 1", [], |row| row.get(0))?;
    if unsigned(now) == token {
        return Ok(());
    }
    let why = format!("the file belongs to another host: its token is {now}, and this host has {token}");
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_PERM), Some(why)))
}
