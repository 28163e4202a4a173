//! Whether SQLite has found a file damaged: by the code of an error, or by looking through the whole file.
//!
//! A context that misuses a full-text index (its `delete` command with other values, an index whose content has gone)
//! gets SQLite's words for a damaged file with a code of their own. That is no damage of the file, neither when it
//! runs nor when the file is looked through.

use rusqlite::{Connection, ErrorCode, ffi};

use crate::error::message;

/// How SQLite's words about a full-text index begin, when it looks through a file.
const OF_AN_INDEX: [&str; 2] =
    ["malformed inverted index for FTS5 table ", "unable to validate the inverted index for FTS5 table "];

/// Lines of `quick_check` that are looked at; a file has fewer full-text tables.
const LINES: u32 = 100;

/// SQLite's words, if `error` says that the file is damaged.
pub(super) fn of(error: &rusqlite::Error) -> Option<String> {
    let failure = error.sqlite_error()?;
    let damaged = match failure.code {
        ErrorCode::NotADatabase => true,
        ErrorCode::DatabaseCorrupt => failure.extended_code != ffi::SQLITE_CORRUPT_VTAB,
        // Of a page that does not fit its seal.
        ErrorCode::SystemIoFailure => failure.extended_code == ffi::SQLITE_IOERR_DATA,
        _ => false,
    };
    damaged.then(|| message(error))
}

/// What SQLCipher has noted of an encrypted file, in words: a page that does not fit its key. It hands the first such
/// page on as zeros, and only the next page fails. So whatever was read counts once this has said `None`.
pub(super) fn of_encryption(sqlite: &Connection) -> Option<String> {
    let status = sqlite.query_row("PRAGMA cipher_status", [], |row| row.get::<_, String>(0));
    (status != Ok("1".to_owned())).then(|| "a page does not fit its encryption".to_owned())
}

/// Whether `error` is one of an index that a context misuses.
pub(super) fn is_of_an_index(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| failure.extended_code == ffi::SQLITE_CORRUPT_VTAB)
}

/// The first fault that SQLite finds in the pages, tables and indexes of the file; `None` if there is none.
///
/// # Errors
/// When the look is interrupted or the file cannot be read.
pub(super) fn found_in(sqlite: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = sqlite.prepare(&format!("PRAGMA quick_check({LINES})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let line = text.lines().last().unwrap_or_default();
        if line != "ok" && !OF_AN_INDEX.iter().any(|words| line.starts_with(words)) {
            return Ok(Some(line.to_owned()));
        }
    }
    Ok(None)
}
