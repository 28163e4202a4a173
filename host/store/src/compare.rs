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
    /// Rows of this file that the other does not have in the same form.
    pub lost: u64,
}

type Digests = BTreeMap<String, Digest>;

/// How many rows a table has, and the sum of their hashes, which does not depend on their order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u64,
}

/// Calls `each` with the hash of every row of `table`.
fn each_row(sqlite: &rusqlite::Connection, table: &str, mut each: impl FnMut(u64)) -> rusqlite::Result<()> {
    let mut statement = sqlite.prepare(&format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
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
        each(hasher.finish());
    }
    Ok(())
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
        let difference = |name: &String| {
            let lost = blocking::block_in_place(|| self.rows_without(other, name))?;
            Ok(Difference { table: name.clone(), here: of(&here, name).rows, there: of(&there, name).rows, lost })
        };
        differ.map(difference).collect()
    }

    /// How many rows of `table` here `other` does not have. Takes 8 bytes of memory for each row.
    fn rows_without(&self, other: &Self, table: &str) -> Result<u64, Error> {
        let there = other.hashes(table)?;
        let mut there = there.iter().peekable();
        let mut lost = 0;
        for hash in self.hashes(table)? {
            while there.next_if(|other| **other < hash).is_some() {}
            lost += u64::from(there.next_if(|other| **other == hash).is_none());
        }
        Ok(lost)
    }

    /// The hash of each row of `table`, in ascending order; none if there is no such table.
    fn hashes(&self, table: &str) -> Result<Vec<u64>, Error> {
        let reader = self.reader()?;
        let sqlite = reader.connection()?.sqlite();
        let mut hashes = Vec::new();
        let mut read = || -> rusqlite::Result<()> {
            if sqlite.table_exists(None, table)? {
                each_row(sqlite, table, |hash| hashes.push(hash))?;
            }
            Ok(())
        };
        read().map_err(|e| Error::of(&e))?;
        hashes.sort_unstable();
        Ok(hashes)
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
                each_row(sqlite, &name, |hash| {
                    digest.rows += 1;
                    digest.sum = digest.sum.wrapping_add(hash);
                })?;
                Ok((name, digest))
            };
            names.into_iter().map(digest).collect()
        };
        read().map_err(|e| Error::of(&e))
    }
}
