//! The same random texts, read by SQLite alone and by the store: no text ends the group's transaction, and none that
//! could not end it is refused.
//!
//! The texts are made of SQL's tokens and of characters on which readers of SQL disagree. To show that the texts are
//! good enough, they also go through a filter that reads words (`words`), which must fail on them.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::{program, sql};

const SEED: u64 = 0x5EA4;
const TEXTS: usize = 6_000;

/// Every statement fails on a row that is there, so that its way to resolve the conflict acts.
const STATEMENTS: &[&[&str]] = &[
    &["INSERT", "OR", "?HOW", "INTO", "item", "(", "name", ")", "VALUES", "(", "'kept'", ")"],
    &["INSERT", "OR", "?HOW", "INTO", "item", "(", "name", ",", "stock", ")", "VALUES", "(", "'kept'", ",", "?", ")"],
    &[
        "WITH", "a", "AS", "(", "SELECT", "?", "AS", "x", ")", "INSERT", "OR", "?HOW", "INTO", "item", "(", "name",
        ")", "SELECT", "'kept'", "FROM", "a",
    ],
    &["UPDATE", "OR", "?HOW", "item", "SET", "name", "=", "'kept'"],
    &["REPLACE", "INTO", "item", "(", "name", ")", "VALUES", "(", "'kept'", ")"],
    &["DELETE", "FROM", "item", "WHERE", "name", "=", "'rollback'"],
    &["?HOW"],
    &["SELECT", "?", ",", "[", "rollback", "]"],
];

const HOWS: &[&str] = &["ROLLBACK", "ROLLBACK", "rollback", "RollBack", "ABORT", "FAIL", "IGNORE", "REPLACE"];

const PARAMETERS: &[&str] =
    &["?", "?1", ":a", "@a", "$a", "#1", "$a(')", "$a(\")", "$a([)", "$a(`)", ":a(--)", "@a(/*)", "$a::b(')", "$a(;)"];

/// Blanks of SQLite, and characters that other readers take for blanks.
const BLANKS: &[&str] = &[
    " ",
    " ",
    " ",
    "\t",
    "\n",
    "\r",
    "\x0c",
    " \x0b",
    "\x0b",
    " \u{feff}",
    "\u{feff}",
    " \u{feff} ",
    "/**/",
    "/*'*/",
    "/* \" */",
    "--'\n",
    "-- ;\n",
    "--\r",
    "\u{a0}",
    "\u{2003}",
    "\u{85}",
    "\u{200b}",
    "\u{1680}",
];

/// What is put in the middle of a statement once in a while.
const NOISE: &[&str] = &[
    "'",
    "''",
    "\"",
    "`",
    "[",
    "]",
    "--",
    "/*",
    "*/",
    ";",
    ";;",
    "x'",
    "x'00'",
    "\0",
    "$",
    "$a(",
    "#",
    "@",
    "0x",
    "1e",
    "ROLLBACK",
    "COMMIT",
    "END",
    "BEGIN",
    "SAVEPOINT",
    "RAISE",
    "EXPLAIN",
    "VACUUM",
    "é",
    "\u{feff}",
    "\\",
    "RETURNING",
    "name",
];

struct Texts(StdRng);

impl Texts {
    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.0.random_range(0..list.len())]
    }

    fn next(&mut self) -> String {
        let mut text = String::new();
        if self.0.random_ratio(1, 8) {
            text.push_str(self.pick(BLANKS));
        }
        for token in STATEMENTS[self.0.random_range(0..STATEMENTS.len())] {
            let token = match *token {
                "?HOW" => self.pick(HOWS),
                "?" => self.pick(PARAMETERS),
                token => token,
            };
            text.push_str(token);
            text.push_str(if self.0.random_ratio(1, 6) { self.pick(BLANKS) } else { " " });
            if self.0.random_ratio(1, 80) {
                text.push_str(self.pick(NOISE));
                text.push_str(self.pick(BLANKS));
            }
        }
        if self.0.random_ratio(1, 4) {
            text.push_str(["--", ";", "; --", "/*"][self.0.random_range(0..4)]);
            text.push_str(self.pick(NOISE));
        }
        text
    }
}

/// SQLite without any wall, in a transaction with a row of another member of its group.
struct Alone(rusqlite::Connection);

#[derive(Debug, PartialEq)]
enum Read {
    /// Not one statement.
    Refused,
    Ended,
    Ran,
    Failed,
}

impl Alone {
    fn new() -> Self {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.execute_batch(SCHEMA).unwrap();
        sqlite.execute_batch("INSERT INTO item (name) VALUES ('kept'), ('other')").unwrap();
        Self(sqlite)
    }

    fn run(&self, sql: &str) -> Read {
        self.0.execute_batch("BEGIN; SAVEPOINT seam").unwrap();
        let read = (|| {
            let Ok(mut statement) = self.0.prepare(sql) else { return Read::Refused };
            let mut rows = statement.raw_query();
            loop {
                match rows.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return Read::Ran,
                    Err(_) => return Read::Failed,
                }
            }
        })();
        if self.0.is_autocommit() {
            return Read::Ended;
        }
        self.0.execute_batch("ROLLBACK").unwrap();
        read
    }
}

#[test]
fn no_text_ends_the_transaction_of_its_group_and_none_that_cannot_is_refused() {
    let (alone, shop) = (Alone::new(), shop());
    shop.add("kept").unwrap();
    shop.add("other").unwrap();
    let mut texts = Texts(StdRng::seed_from_u64(SEED));
    let (mut ended, mut ran, mut by_words) = (0, 0, Vec::new());
    // One transaction for all: to begin and end one for each would sync the disk each time.
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO part (item) VALUES (1)", &[], soon()).unwrap();
    for _ in 0..TEXTS {
        let text = texts.next();
        let text = sql::trimmed(&text);
        let read = alone.run(text);
        let parameters = alone.0.prepare(text).map_or(0, |statement| statement.parameter_count());
        let stored = tx.execute(text, &vec![Value::Null; parameters], soon());
        let there = tx.query("SELECT count(*) FROM part", &[], soon());
        assert_eq!(there.as_deref().map(number_in), Ok(1), "{text:?} ended the transaction: {read:?}, {stored:?}");
        match read {
            Read::Ended => {
                ended += 1;
                let unread = text.contains('\0') || text.trim() != text;
                let expect = if unread { "invalid" } else { "denied" };
                assert_eq!(case(&stored), expect, "{text:?}: {stored:?}");
                if !words::has_word(text, "ROLLBACK") && !words::has_word(text, "COMMIT") {
                    by_words.push(text.to_owned());
                }
            }
            Read::Ran if case(&stored) == "denied" => {
                let could = program::ends_transaction(&alone.0, text).unwrap_or(false);
                let kinds = ["BEGIN", "SAVEPOINT", "VACUUM"];
                let other = kinds.iter().any(|kind| text.to_ascii_uppercase().contains(kind));
                assert!(could || other, "{text:?} is refused and could not end it: {stored:?}");
            }
            Read::Ran => ran += 1,
            Read::Refused | Read::Failed => {}
        }
        if stored.is_ok() {
            // As it was before, for the next text.
            tx.execute("DELETE FROM item WHERE name NOT IN ('kept', 'other')", &[], soon()).unwrap();
            tx.execute("INSERT OR IGNORE INTO item (name) VALUES ('kept'), ('other')", &[], soon()).unwrap();
        }
    }
    drop(tx);
    assert!(ended > TEXTS / 20 && ran > TEXTS / 20, "the texts try too little: {ended} ended it, {ran} ran");
    // The two faults that a reader of words had.
    for (fault, hidden) in [("a mark is a blank", "\u{feff}ROLLBACK"), ("a parameter hides what follows", "(')")] {
        let fooled = by_words.iter().filter(|text| text.to_ascii_uppercase().contains(hidden)).count();
        assert!(fooled > 0, "{fault}: none of {} texts shows it", by_words.len());
    }
}

/// A filter as the store had it: it finds words outside of what it takes for strings, quoted names and comments.
mod words {
    pub fn has_word(sql: &str, word: &str) -> bool {
        let bytes = sql.as_bytes();
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        let behind = |from: usize, end: &str| {
            sql.get(from..).and_then(|r| r.find(end)).map_or(sql.len(), |i| from + i + end.len())
        };
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'-' if bytes.get(at + 1) == Some(&b'-') => behind(at, "\n"),
                b'/' if bytes.get(at + 1) == Some(&b'*') => behind(at + 2, "*/"),
                b'\'' => behind(at + 1, "'"),
                b'"' => behind(at + 1, "\""),
                b'`' => behind(at + 1, "`"),
                b'[' => behind(at + 1, "]"),
                b if letter(*b) => {
                    let end = at + bytes[at..].iter().take_while(|b| letter(**b)).count();
                    if sql[at..end].eq_ignore_ascii_case(word) {
                        return true;
                    }
                    end
                }
                _ => at + 1,
            };
        }
        false
    }
}
