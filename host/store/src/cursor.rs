//! How far a file has followed a history that another context keeps: a row of the host in the same file.
//!
//! So a restored file comes with the cursor that belongs to it, and a new file starts at the beginning of the history.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::{blocking, limits, mark};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last record of the history that the file holds.
    pub at: u64,
    /// Whether the file has held the whole history once.
    pub caught_up: bool,
}

impl Cursor {
    /// How far `database` has followed the history `source`; the beginning if it never did.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(database: &Database, source: &str) -> Result<Self, Error> {
        exclusive(database, |conn| {
            let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'seam_cursors'";
            if conn.query_row(there, [], |row| row.get::<_, u32>(0))? == 0 {
                return Ok(Self::default());
            }
            let at = |at: i64| u64::try_from(at).unwrap_or_default();
            let row = |row: &rusqlite::Row<'_>| Ok(Self { at: at(row.get(0)?), caught_up: row.get(1)? });
            let sql = "SELECT at, caught_up FROM seam_cursors WHERE source = ?1";
            Ok(conn.query_row(sql, [source], row).optional()?.unwrap_or_default())
        })
    }

    /// Writes the cursor. It is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, database: &Database, source: &str) -> Result<(), Error> {
        exclusive(database, |conn| {
            // What `exclusive` gets back with a transaction open, it rolls back.
            conn.execute_batch("BEGIN IMMEDIATE")?;
            conn.execute_batch(
                "CREATE TABLE IF NOT EXISTS seam_cursors (
                    source    TEXT    NOT NULL PRIMARY KEY,
                    at        INTEGER NOT NULL,
                    caught_up INTEGER NOT NULL CHECK (caught_up IN (0, 1))
                ) STRICT",
            )?;
            let sql = "INSERT INTO seam_cursors (source, at, caught_up) VALUES (?1, ?2, ?3)
                       ON CONFLICT (source) DO UPDATE SET at = excluded.at, caught_up = excluded.caught_up";
            let at = i64::try_from(self.at).unwrap_or(i64::MAX);
            conn.execute(sql, params![source, at, self.caught_up])?;
            conn.execute_batch(mark::ADVANCE)?;
            conn.execute_batch("COMMIT")
        })
    }
}

/// Runs SQL of the host while no transaction writes.
fn exclusive<T>(
    database: &Database,
    work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
) -> Result<T, Error> {
    let deadline = database.config().clock.now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
    let lease = database.writer.exclusive(deadline)?;
    let done = blocking::block_in_place(|| {
        lease.connection().and_then(|connection| work(connection.sqlite()).map_err(|e| Error::of(&e)))
    });
    database.writer.give_back(lease);
    done
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_cursor_stays_when_its_database_is_closed_and_a_new_file_starts_at_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let open = || Database::open(Config::plain(path.clone(), 64)).unwrap();
        let database = open();
        assert_eq!(Cursor::read(&database, "orders").unwrap(), Cursor::default());
        for cursor in [Cursor { at: 7, caught_up: false }, Cursor { at: 9, caught_up: true }] {
            cursor.write(&database, "orders").unwrap();
            assert_eq!(Cursor::read(&database, "orders").unwrap(), cursor);
        }
        assert_eq!(Cursor::read(&database, "others").unwrap(), Cursor::default());
        drop(database);
        assert_eq!(Cursor::read(&open(), "orders").unwrap(), Cursor { at: 9, caught_up: true });
    }
}
