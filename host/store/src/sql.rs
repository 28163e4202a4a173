//! Where the statements of a text begin and end, and on which lines: as SQLite itself reads it.
//!
//! Invariant: nothing is refused or let through because of a word that the host has found in a text. A reader of its
//! own would disagree with SQLite's somewhere: U+FEFF is a blank for SQLite, and a parameter such as `$a(')` hides
//! what follows from one who takes the quote for the start of a string.
//! Not here: what a statement may do (`confine`, `program`).

use std::ffi::c_int;

use rusqlite::{Connection, ffi};

use crate::error::Error;
use crate::limits;

/// One statement of a script, with the comments that stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub sql: String,
    /// The line on which the text starts; the first is 1.
    from: usize,
}

impl Statement {
    /// The line of an error: that of the byte at `offset` or, if SQLite names none, of the first word.
    pub fn line(&self, offset: Option<usize>) -> usize {
        self.from + lines_in(&self.sql, offset.unwrap_or_else(|| blanks(&self.sql)))
    }
}

/// A script that is cut into its statements while it runs: SQLite can read a statement only once the tables are there
/// that those before it create.
pub(super) struct Script {
    /// Ends with a zero byte, and has no other.
    text: String,
    /// Where the next statement starts, and on which line.
    at: usize,
    line: usize,
}

impl Script {
    /// # Errors
    /// When the text has a zero byte: SQLite would read up to it.
    pub fn new(text: &str) -> Result<Self, Error> {
        without_zero(text)?;
        Ok(Self { text: format!("{text}\0"), at: 0, line: 1 })
    }

    /// The next statement; `None` after the last. Nothing is run. Where SQLite cannot read the script, the statement is
    /// the text from there on, so that the caller who runs it gets SQLite's error.
    pub fn next(&mut self, sqlite: &Connection) -> Option<Statement> {
        let rest = self.text.get(self.at..self.text.len() - 1).filter(|rest| !rest.is_empty())?;
        let length = match first_length(sqlite, self.text.get(self.at..)?) {
            First::Ends(length) => length,
            First::Unreadable => rest.len(),
            First::Absent => return None,
        };
        let sql = rest.get(..length).unwrap_or(rest);
        // Offsets in errors count from the text itself, not from the blank lines before it.
        let text = sql.trim_start_matches(BLANKS);
        let from = self.line + lines_in(sql, sql.len() - text.len());
        // A statement that is too long is so with its first bytes as well.
        let readable = text.floor_char_boundary(2 * STATEMENT_BYTES_MAX);
        let statement = Statement { sql: text.get(..readable).unwrap_or(text).to_owned(), from };
        self.line += lines_in(sql, sql.len());
        self.at += sql.len();
        Some(statement)
    }
}

/// SQLite's blanks, but for U+FEFF and for those that are one behind another blank only.
const BLANKS: [char; 5] = [' ', '\t', '\n', '\r', '\x0c'];

const STATEMENT_BYTES_MAX: usize = limits::STORE_SQL_BYTES_MAX as usize;

/// Refuses a text at whose ends stand blanks that are letters for SQLite: `rusqlite` takes them away.
pub(super) fn without_odd_blanks(text: &str) -> Result<(), Error> {
    let inner = trimmed(text);
    if inner.trim() == inner {
        return Ok(());
    }
    Err(Error::Invalid("a blank at the start or the end of the SQL that SQLite does not know as one".to_owned()))
}

/// `text` without the blanks around it, as the store has SQLite read it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// Refuses a text with a zero byte, which is the end of a text for SQLite and not for the host.
pub(super) fn without_zero(text: &str) -> Result<(), Error> {
    match text.bytes().position(|byte| byte == 0) {
        None => Ok(()),
        Some(at) => Err(Error::Invalid(format!("a zero byte in the SQL, at byte {at}"))),
    }
}

/// Semicolons up to which `rusqlite` itself may look for a second statement: it calls itself for each statement of the
/// text, on the stack.
const SEMICOLONS: usize = 32;

/// Refuses a text whose statements `rusqlite` cannot count within the stack.
pub(super) fn countable(sqlite: &Connection, text: &str) -> Result<(), Error> {
    if text.bytes().filter(|byte| *byte == b';').nth(SEMICOLONS).is_none() {
        return Ok(());
    }
    let mut script = Script::new(text)?;
    if script.next(sqlite).is_some() && script.next(sqlite).is_some() {
        return Err(Error::of(&rusqlite::Error::MultipleStatement));
    }
    Ok(())
}

/// How many lines end before the byte at `offset`.
fn lines_in(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

enum First {
    /// How many bytes the first statement takes, with what stands before it and its semicolon.
    Ends(usize),
    Absent,
    Unreadable,
}

/// Has SQLite read the first statement of `text`, which ends with a zero byte. Nothing is run.
fn first_length(sqlite: &Connection, text: &str) -> First {
    debug_assert!(text.ends_with('\0'));
    let start = text.as_ptr().cast();
    let (mut statement, mut tail) = (std::ptr::null_mut(), std::ptr::null());
    // SAFETY: the handle is that of an open connection that this thread uses alone. The text ends with a zero byte, up
    // to which SQLite reads, and outlives the call. The statement is ended once, and null may be ended too.
    let (code, there): (c_int, bool) = unsafe {
        let code = ffi::sqlite3_prepare_v3(sqlite.handle(), start, -1, 0, &raw mut statement, &raw mut tail);
        let there = !statement.is_null();
        ffi::sqlite3_finalize(statement);
        (code, there)
    };
    if code != ffi::SQLITE_OK {
        return First::Unreadable;
    }
    if there { First::Ends((tail as usize).saturating_sub(start as usize)) } else { First::Absent }
}

/// How many bytes of blanks, comments and semicolons stand before the first word. Only for the line of an error.
fn blanks(text: &str) -> usize {
    let mut rest = text;
    loop {
        let behind = |end: &str| rest.split_once(end).map_or("", |(_, behind)| behind);
        rest = match rest.as_bytes() {
            [b'-', b'-', ..] => behind("\n"),
            [b'/', b'*', ..] => behind("*/"),
            [b';' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => rest.get(1..).unwrap_or(""),
            [0xef, 0xbb, 0xbf, ..] => rest.get(3..).unwrap_or(""),
            _ => return text.len() - rest.len(),
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn cut(script: &str) -> Vec<(usize, String)> {
        let sqlite = Connection::open_in_memory().unwrap();
        let mut script = Script::new(script).unwrap();
        let mut found = Vec::new();
        while let Some(statement) = script.next(&sqlite) {
            let run = sqlite.execute_batch(&statement.sql);
            found.push((statement.line(None), statement.sql));
            if run.is_err() {
                break;
            }
        }
        found
    }

    #[test]
    fn scripts_are_cut_into_statements_with_their_lines() {
        let script = "-- schema\nCREATE TABLE a (x TEXT DEFAULT ';');\n\n\
                      /* ; */ CREATE TRIGGER t AFTER INSERT ON a BEGIN\n \
                      UPDATE a SET x = CASE WHEN 1 THEN 2 END; DELETE FROM a;\nEND;\n;;\n\
                      \u{feff}INSERT INTO a VALUES ('é;');-- ;\nSELECT $a(';) -- ')\n, 2;\nSELECT nothing\n; SELECT 1";
        let found = cut(script);
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4, 8, 9, 11], "{found:?}");
        assert!(found[1].1.ends_with("END;"));
        assert_eq!(found[2].1, ";;\n\u{feff}INSERT INTO a VALUES ('é;');");
        assert_eq!(found[4].1, "SELECT nothing\n; SELECT 1", "the rest, since SQLite cannot read on");
        assert!(cut(" -- nothing\n;").is_empty());
        assert!(Script::new("SELECT 1\0; SELECT 2").is_err());
    }

    #[test]
    fn a_long_script_of_short_statements_is_cut_in_linear_time() {
        let sqlite = Connection::open_in_memory().unwrap();
        let mut script = Script::new(&"SELECT 1;\n".repeat(limits::STORE_MIGRATION_BYTES_MAX / 10)).unwrap();
        let mut last = 0;
        while let Some(statement) = script.next(&sqlite) {
            last = statement.line(None);
        }
        assert_eq!(last, limits::STORE_MIGRATION_BYTES_MAX / 10);
    }
}
