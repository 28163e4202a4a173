//! What is in a snapshot, table by table, as numbers to be compared: two files with the same rows in the same order
//! have the same ones.

use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use crate::blocking;
use crate::error::Error;
use crate::moment::Snapshot;

/// One table of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub rows: u64,
    /// SHA-256 of all its rows, in the order of the file, as hex.
    pub sum: String,
}

impl Snapshot {
    /// All tables, those of the host included, by their name. Reads the whole file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tables(&self) -> Result<Vec<Table>, Error> {
        let sqlite = self.connection.sqlite();
        blocking::block_in_place(|| {
            let all = names(sqlite)?.into_iter().map(|name| table(sqlite, name, &mut |_| true));
            all.collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(|error| Error::of(&error))
    }

    /// Reads tables as `tables` does, for `most` at most. The bytes of the values that it has read, and whether these
    /// are all.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sample(&self, most: Duration) -> Result<(u64, bool), Error> {
        let (sqlite, started) = (self.connection.sqlite(), Instant::now());
        let (mut bytes, mut goes_on) = (0, true);
        let mut count = |more: usize| {
            bytes += more as u64;
            goes_on &= started.elapsed() < most;
            goes_on
        };
        let read = blocking::block_in_place(|| {
            names(sqlite)?.into_iter().try_for_each(|name| table(sqlite, name, &mut count).map(drop))
        });
        read.map_err(|error| Error::of(&error))?;
        Ok((bytes, goes_on))
    }
}

fn names(sqlite: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    // A virtual table has its rows in others, which are there too.
    let names = "SELECT name FROM pragma_table_list
                 WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 ORDER BY name";
    sqlite.prepare(names)?.query_map([], |row| row.get(0))?.collect()
}

/// Reads rows while `goes_on`, which gets the bytes of each, says so.
fn table(
    sqlite: &rusqlite::Connection,
    name: String,
    goes_on: &mut dyn FnMut(usize) -> bool,
) -> rusqlite::Result<Table> {
    let mut statement = sqlite.prepare(&format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")))?;
    let columns = statement.column_count();
    let (mut rows, mut sum, mut found) = (0, Sha256::new(), statement.query([])?);
    while let Some(row) = found.next()? {
        rows += 1;
        let mut length = 0;
        for column in 0..columns {
            // The kind and the length before each value: no two rows have the same bytes.
            let mut add = |kind: u8, bytes: &[u8]| {
                sum.update([kind]);
                sum.update((bytes.len() as u64).to_be_bytes());
                sum.update(bytes);
                length += bytes.len();
            };
            match row.get_ref(column)? {
                ValueRef::Null => add(0, &[]),
                ValueRef::Integer(i) => add(1, &i.to_be_bytes()),
                ValueRef::Real(r) => add(2, &r.to_bits().to_be_bytes()),
                ValueRef::Text(text) => add(3, text),
                ValueRef::Blob(bytes) => add(4, bytes),
            }
        }
        if !goes_on(length) {
            break;
        }
    }
    let sum = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Table { name, rows, sum })
}
