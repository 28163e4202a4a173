//! Lists as CSV (RFC 4180): UTF-8, commas, lines that end with CR LF, a first line with the names of the columns.
//!
//! A spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula and runs it. Such a text gets an
//! apostrophe before it, so that it stays a text. Numbers and amounts are ours and stay numbers.
//! Not here: which rows a list has; a list that is too long for one file is refused by its page.

use std::fmt::{self, Write};

use crate::reply::{CachePolicy, Kind, Reply};
use crate::time::Machine;

use super::fields::plain;

/// Rows of one file. A longer list is asked for in parts.
pub const ROWS_MAX: usize = 10_000;

/// Tells spreadsheets that the file is UTF-8.
const MARK: char = '\u{feff}';

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Text(&'a str),
    Count(u64),
    /// By how much a count changed.
    Change(i64),
    /// Minor units, and the digits of the currency after the point.
    Amount(i64, u32),
    /// Seconds since 1970, UTC.
    Time(u64),
    Empty,
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(text)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Cell::Text(text)
    }
}

impl From<u32> for Cell<'_> {
    fn from(count: u32) -> Self {
        Cell::Count(count.into())
    }
}

impl From<u64> for Cell<'_> {
    fn from(count: u64) -> Self {
        Cell::Count(count)
    }
}

/// A file in the making.
#[derive(Debug)]
pub struct Csv {
    body: String,
}

impl Csv {
    pub fn new(columns: &[&str]) -> Csv {
        let mut csv = Csv { body: String::from(MARK) };
        let cells: Vec<Cell<'_>> = columns.iter().copied().map(Cell::Text).collect();
        csv.row(&cells);
        csv
    }

    pub fn row(&mut self, cells: &[Cell<'_>]) {
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                self.body.push(',');
            }
            // Writing to a string does not fail.
            let _ = write(&mut self.body, *cell);
        }
        self.body.push_str("\r\n");
    }

    /// The file, to be kept under this name.
    pub fn reply(self, name: &str) -> Reply {
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let name: String = name.chars().map(safe).collect();
        Reply {
            draft: None,
            status: 200,
            kind: Kind::Csv,
            cache: CachePolicy::NoStore,
            headers: vec![("content-disposition", format!("attachment; filename=\"{name}.csv\""))],
            body: self.body,
        }
    }
}

fn write(out: &mut String, cell: Cell<'_>) -> fmt::Result {
    match cell {
        Cell::Text(text) => {
            write_text(out, text);
            Ok(())
        }
        Cell::Count(count) => write!(out, "{count}"),
        Cell::Change(change) => write!(out, "{change}"),
        Cell::Amount(amount, digits) => {
            let sign = if amount < 0 { "-" } else { "" };
            write!(out, "{sign}{}", plain(amount.unsigned_abs(), digits))
        }
        Cell::Time(at) => write!(out, "{}", Machine(at)),
        Cell::Empty => Ok(()),
    }
}

fn write_text(out: &mut String, text: &str) {
    // Programs that trim blanks, or read the wide forms of the signs, find the formula behind them.
    let first = text.trim_start().chars().next();
    let formula = matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'))
        || text.starts_with(['\t', '\r', '\n']);
    let quoted = text.contains(['"', ',', '\r', '\n', ';']) || text != text.trim();
    if quoted {
        out.push('"');
    }
    if formula {
        out.push('\'');
    }
    match quoted {
        true => out.push_str(&text.replace('"', "\"\"")),
        false => out.push_str(text),
    }
    if quoted {
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: Cell<'_>) -> String {
        let mut csv = Csv::new(&[]);
        csv.row(&[cell]);
        csv.body.trim_start_matches(MARK).trim_start_matches("\r\n").trim_end_matches("\r\n").to_owned()
    }

    #[test]
    fn a_file_has_a_mark_a_head_and_rows_of_equal_length() {
        let mut csv = Csv::new(&["Order", "Name", "Total"]);
        csv.row(&["D-1".into(), "Sigur Rós".into(), Cell::Amount(1205, 2)]);
        csv.row(&["D-2".into(), Cell::Empty, Cell::Amount(-5, 2)]);
        let reply = csv.reply("orders 2026/\"x");
        assert_eq!(reply.body, "\u{feff}Order,Name,Total\r\nD-1,Sigur Rós,12.05\r\nD-2,,-0.05\r\n");
        let disposition = "attachment; filename=\"orders_2026__x.csv\"";
        assert_eq!(reply.headers, [("content-disposition", disposition.to_owned())]);
    }

    #[test]
    fn texts_are_quoted_where_they_would_end_a_cell() {
        for (text, expect) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("one\ntwo", "\"one\ntwo\""),
            ("a;b", "\"a;b\""),
            (" a ", "\" a \""),
        ] {
            assert_eq!(written(text.into()), expect, "{text:?}");
        }
    }

    #[test]
    fn no_text_becomes_a_formula_and_no_number_a_text() {
        for (text, expect) in [
            ("=1+1", "'=1+1"),
            ("+44 20", "'+44 20"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("\t=1", "\"'\t=1\""),
            (" =1", "\"' =1\""),
            ("\r=1", "\"'\r=1\""),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a=1", "a=1"),
            ("AC/DC", "AC/DC"),
        ] {
            assert_eq!(written(text.into()), expect, "{text:?}");
        }
        assert_eq!(written(Cell::Amount(-7847, 2)), "-78.47");
        assert_eq!(written(Cell::Amount(-2800, 0)), "-2800");
        assert_eq!(written(Cell::Change(-1)), "-1");
        assert_eq!(written(Cell::Time(1_772_460_309)), "2026-03-02T14:05:09Z");
    }
}
