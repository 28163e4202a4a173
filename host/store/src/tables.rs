//! What is in a snapshot, table by table, as numbers to be compared: two files with the same rows in the same order
//! have the same ones.

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
            // A virtual table has its rows in others, which are there too.
            let names = "SELECT name FROM pragma_table_list
                         WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                         ORDER BY name";
            let mut statement = sqlite.prepare(names)?;
            let names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            names.into_iter().map(|name| table(sqlite, name)).collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(|error| Error::of(&error))
    }
}

fn table(sqlite: &rusqlite::Connection, name: String) -> rusqlite::Result<Table> {
    let mut statement = sqlite.prepare(&format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")))?;
    let columns = statement.column_count();
    let (mut rows, mut sum, mut found) = (0, Sha256::new(), statement.query([])?);
    while let Some(row) = found.next()? {
        rows += 1;
        for column in 0..columns {
            // The kind and the length before each value: no two rows have the same bytes.
            let mut add = |kind: u8, bytes: &[u8]| {
                sum.update([kind]);
                sum.update((bytes.len() as u64).to_be_bytes());
                sum.update(bytes);
            };
            match row.get_ref(column)? {
                ValueRef::Null => add(0, &[]),
                ValueRef::Integer(i) => add(1, &i.to_be_bytes()),
                ValueRef::Real(r) => add(2, &r.to_bits().to_be_bytes()),
                ValueRef::Text(text) => add(3, text),
                ValueRef::Blob(bytes) => add(4, bytes),
            }
        }
    }
    let sum = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Table { name, rows, sum })
}
