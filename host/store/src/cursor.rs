//! How far a file has followed a history that another context keeps: a row of the host's in the very file that it describes.
//!
//! So whoever puts an older file back puts back the older cursor with it, and a file that is made anew begins at the beginning.

use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};

use super::{Database, Error};
use crate::{handoff, limits};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last of the history that is in.
    pub at: u64,
    /// Whether the end of the history has been reached once.
    pub caught_up: bool,
}

impl Cursor {
    /// Where `database` stands in the history `source`; at its beginning when it has never followed it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(database: &Database, source: &str) -> Result<Self, Error> {
        alone(database, |conn| {
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

    /// Has it on the disk before it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, database: &Database, source: &str) -> Result<(), Error> {
        alone(database, |conn| {
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
            conn.execute(sql, params![source, at, self.caught_up]).map(drop)
        })
    }
}

/// Runs a statement of the host's while nobody else writes.
fn alone<T>(database: &Database, work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
    let deadline = Instant::now() + Duration::from_millis(limits::STORE_TRANSACTION_MS_MAX);
    let lease = database.writer.alone(deadline, &database.counters)?;
    let done = handoff::blocking(|| lease.link().and_then(|link| work(link.raw()).map_err(|e| Error::of(&e))));
    database.writer.pass_on(lease);
    done
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::Config;

    #[test]
    fn a_cursor_outlives_its_database_and_a_new_file_begins_at_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let open = || Database::open(Config { path: path.clone(), max_mb: 64, key: None }).unwrap();
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
