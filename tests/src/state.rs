//! Every row that the contexts of a stopped shop keep, in a form that does not depend on where they live, and its hash.
//!
//! What two runs in one placement differ in is taken out:
//! - times: a column of `TIMES` says only whether there is one; long decimal numbers in texts are times, too;
//! - random values: digits of keys, tokens and digests (`HEX_MIN`), and the hashes of passwords. Keys that a test has
//!   chosen stay: they start with zeros. The number of a new account becomes its e-mail address.
//!
//! Not looked at: the host's own tables in a file, but for what contexts have published, what waits, and how sagas have
//! ended; and the indexes for searches, which follow from the rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::shop::Shop;

/// The contexts that have a file.
const KEEPERS: [&str; 6] = ["catalog", "customer", "finance", "orders", "recommendation", "warehouse"];

const TIMES: [&str; 11] = [
    "at",
    "since",
    "expires",
    "used",
    "proved",
    "shipped_at",
    "doing_since",
    "doing_from",
    "authorised",
    "voided",
    "captured",
];
const SECRET: &str = "password_hash";
/// So many hexadecimal digits in a row are random: the number of an account has 16.
const HEX_MIN: usize = 16;
/// So many decimal digits in a row are a time: seconds have 10.
const DIGITS_MIN: usize = 9;
/// What a key starts with that a test has chosen.
const CHOSEN: &str = "0000000000000000";

/// Of the host's tables: what was published, what waits to be handled, and how sagas have ended.
const OF_THE_HOST: [(&str, &str); 3] = [
    ("seam_outbox", "SELECT interface, function, subject, data FROM seam_outbox WHERE interface <> ''"),
    ("seam_waiting", "SELECT publisher, interface, subject, state, data FROM seam_waiting"),
    ("seam_sagas", "SELECT kind, id, state FROM seam_sagas"),
];

/// Rows in their order as text, by `CONTEXT.TABLE`.
#[derive(Debug, PartialEq, Eq)]
pub struct State(BTreeMap<String, Vec<String>>);

impl State {
    /// That of a shop that is stopped.
    ///
    /// # Errors
    /// When a host has a file of a context that does not live there, or copies of a context differ.
    pub fn of(shop: &Shop) -> Result<Self> {
        let names = names(&shop.store("customer"))?;
        let mut all = BTreeMap::new();
        for context in KEEPERS {
            let home = shop.host_name(context);
            let own = read(&shop.data_at(home), context, &names)?;
            for host in shop.hosts().into_iter().filter(|host| *host != home) {
                let data = shop.data_at(host);
                if shop.placement.lives_at(context, host) {
                    let other = Self(read(&data, context, &names)?);
                    let differ = Self(own.clone()).differing(&other);
                    ensure!(differ.is_empty(), "the copies of `{context}` differ: {differ:#?}");
                } else {
                    let file = data.join(format!("stores/{context}.db"));
                    ensure!(!file.exists(), "`{host}` has a file of `{context}`, which lives at `{home}`");
                }
            }
            all.extend(own);
        }
        Ok(Self(all))
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The SHA-256 of all of it, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (table, rows) in &self.0 {
            // With the lengths, so that no two states are the same bytes.
            for text in std::iter::once(table).chain(rows) {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().iter().fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").ok();
            digits
        })
    }

    /// The first rows that one of them has and the other has not.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let only = |one: &Self, other: &Self, sign: &str| -> Vec<String> {
            let none = Vec::new();
            let tables = one.0.iter().map(|(table, rows)| (table, rows, other.0.get(table).unwrap_or(&none)));
            let rows = tables.flat_map(|(table, rows, others)| {
                rows.iter().filter(|row| !others.contains(row)).map(move |row| format!("{sign} {table}: {row}"))
            });
            rows.take(10).collect()
        };
        let mut found = [only(self, other, "-"), only(other, self, "+")].concat();
        let counts = |state: &Self| state.0.iter().map(|(table, rows)| (table.clone(), rows.len())).collect::<Vec<_>>();
        if found.is_empty() && counts(self) != counts(other) {
            found.push(format!("{:?} and {:?}", counts(self), counts(other)));
        }
        found
    }
}

/// The address of each account with a random number, by that number.
fn names(customer: &Path) -> Result<Vec<(String, String)>> {
    let file = Connection::open(customer)?;
    let mut accounts = file.prepare("SELECT id, email FROM accounts WHERE email IS NOT NULL")?;
    let accounts = accounts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
    Ok(accounts.into_iter().filter(|(id, _): &(String, String)| steady(id) != *id).collect())
}

fn read(data: &Path, context: &str, names: &[(String, String)]) -> Result<BTreeMap<String, Vec<String>>> {
    let path = data.join(format!("stores/{context}.db"));
    ensure!(path.is_file(), "`{}` is missing", path.display());
    let file = Connection::open(&path)?;
    if let Ok(key) = std::fs::read_to_string(data.join(format!("keys/{context}.key"))) {
        file.pragma_update(None, "key", key.trim_end())?;
    }
    let of_schema = |sql: &str| -> Result<Vec<String>> {
        let mut names = file.prepare(sql).with_context(|| path.display().to_string())?;
        Ok(names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let tables = of_schema("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let indexes = of_schema("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'")?;
    let is_of_index = |table: &str| {
        indexes.iter().any(|index| {
            table.strip_prefix(index.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    };
    let mut all = BTreeMap::new();
    for table in &tables {
        let of_host = OF_THE_HOST.iter().find(|(name, _)| name == table).map(|(_, sql)| (*sql).to_owned());
        let own = !table.starts_with("seam_") && !table.starts_with("sqlite_") && !is_of_index(table);
        let Some(sql) = of_host.or_else(|| own.then(|| format!("SELECT * FROM {table:?}"))) else { continue };
        let mut rows = rows(&file, &sql, names).with_context(|| format!("{context}: {sql}"))?;
        rows.sort();
        // A table that the host makes when it needs it is as good as an empty one.
        if own || !rows.is_empty() {
            all.insert(format!("{context}.{table}"), rows);
        }
    }
    Ok(all)
}

fn rows(file: &Connection, sql: &str, names: &[(String, String)]) -> Result<Vec<String>> {
    let mut query = file.prepare(sql)?;
    let columns: Vec<String> = query.column_names().map(str::to_owned).collect();
    let mut found = query.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut text = String::new();
        for (at, column) in columns.iter().enumerate() {
            let value = match row.get_ref(at)? {
                ValueRef::Null => "-".to_owned(),
                _ if TIMES.contains(&column.as_str()) => "<time>".to_owned(),
                _ if column == SECRET => "<secret>".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    steady(&names.iter().fold(text, |text, (id, email)| text.replace(id, email)))
                }
                ValueRef::Blob(bytes) => format!("{bytes:?}"),
            };
            write!(text, "{column}={value:?} ")?;
        }
        rows.push(text);
    }
    Ok(rows)
}

/// The text without what is random or a time.
fn steady(text: &str) -> String {
    let is_hex = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
    let (mut steady, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(is_hex) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|letter| !is_hex(letter)).unwrap_or(from.len()));
        steady.push_str(before);
        if run.len() >= HEX_MIN && !run.starts_with(CHOSEN) {
            write!(steady, "<{} digits>", run.len()).ok();
        } else if run.len() >= DIGITS_MIN && run.len() < HEX_MIN && run.bytes().all(|byte| byte.is_ascii_digit()) {
            steady.push_str("<time>");
        } else {
            steady.push_str(run);
        }
        rest = after;
    }
    steady + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_random_or_a_time_is_taken_out_and_what_a_test_chooses_stays() {
        for (text, expect) in [
            ("MC-100121", "MC-100121"),
            ("C-0123456789abcdef", "C-<16 digits>"),
            ("card-4242-1796080000-00112233445566778899aabbccddeeff", "card-4242-<time>-<32 digits>"),
            ("{\"at\":1796080000,\"sum\":1299}", "{\"at\":<time>,\"sum\":1299}"),
            ("00000000000000000000000000000007-ship", "00000000000000000000000000000007-ship"),
            ("a face in a decade", "a face in a decade"),
        ] {
            assert_eq!(steady(text), expect);
        }
    }

    #[test]
    fn a_row_more_and_a_row_that_is_there_twice_both_show() {
        let state = |rows: &[&str]| {
            State(BTreeMap::from([("a.b".to_owned(), rows.iter().map(|row| (*row).to_owned()).collect())]))
        };
        let (one, more, twice) = (state(&["x"]), state(&["x", "y"]), state(&["x", "x"]));
        assert_eq!(one.differing(&more), ["+ a.b: y"]);
        assert_eq!(one.differing(&twice).len(), 1);
        assert!(one.hash() != more.hash() && one.hash() != twice.hash() && more.hash() != twice.hash());
        assert!(one.differing(&state(&["x"])).is_empty() && one.hash() == state(&["x"]).hash());
    }
}
