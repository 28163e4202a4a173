//! Which tables of two files of a context hold different rows.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::types::ValueRef;

use crate::blocking;
use crate::database::Database;
use crate::error::Error;

/// A table whose rows are not the same in two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    /// How many rows the table has in this file and in the other.
    pub here: u64,
    pub there: u64,
}

type Digests = BTreeMap<String, Digest>;

/// How many rows a table has, and the sum of their hashes, which does not depend on their order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<()> {
        let mut hasher = DefaultHasher::new();
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0u8.hash(&mut hasher),
                ValueRef::Integer(i) => (1u8, i).hash(&mut hasher),
                ValueRef::Real(r) => (2u8, r.to_bits()).hash(&mut hasher),
                ValueRef::Text(text) => (3u8, text).hash(&mut hasher),
                ValueRef::Blob(blob) => (4u8, blob).hash(&mut hasher),
            }
        }
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
        Ok(())
    }
}

impl Database {
    /// The tables whose rows are not those of `other`.
    ///
    /// # Errors
    /// When one of the two files cannot be read.
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, Error> {
        let (here, there) = blocking::block_in_place(|| Ok((self.digests()?, other.digests()?)))?;
        let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        let none = Digest::default();
        let of = |all: &Digests, name: &String| *all.get(name).unwrap_or(&none);
        let differ = names.into_iter().filter(|name| here.get(*name) != there.get(*name));
        Ok(differ
            .map(|name| Difference { table: name.clone(), here: of(&here, name).rows, there: of(&there, name).rows })
            .collect())
    }

    /// Of each table that the context has created.
    fn digests(&self) -> Result<Digests, Error> {
        let reader = self.reader()?;
        let sqlite = reader.connection()?.sqlite();
        let read = || -> rusqlite::Result<Digests> {
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
                       AND substr(name, 1, 7) <> 'sqlite_' AND substr(name, 1, 5) <> 'seam_'";
            let names: Vec<String> = sqlite.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let digest = |name: String| {
                let mut digest = Digest::default();
                let mut statement = sqlite.prepare(&format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")))?;
                let columns = statement.column_count();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    digest.add(row, columns)?;
                }
                Ok((name, digest))
            };
            names.into_iter().map(digest).collect()
        };
        read().map_err(|e| Error::of(&e))
    }
}
