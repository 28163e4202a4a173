//! What the tables of the host in a context's file have in common.

use rusqlite::{Connection, OptionalExtension};

/// Whether the file has this table.
pub(super) fn exists(sqlite: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(sqlite.query_row(sql, [table], |_| Ok(())).optional()?.is_some())
}

/// Runs `write`, and makes the `tables` that it writes to when the file does not have them yet: a file that never needs
/// them stays without.
pub(super) fn made<T>(
    sqlite: &Connection,
    tables: &[&str],
    write: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    match write(sqlite) {
        Err(error) if error.to_string().contains("no such table: seam_") => {
            tables.iter().try_for_each(|sql| sqlite.execute_batch(sql))?;
            write(sqlite)
        }
        done => done,
    }
}

/// SQLite's integers have a sign; positions and times have none.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
