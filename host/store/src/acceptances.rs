//! What an operator has said to be all right of what contexts disagree on: rows in the file of the context that decides
//! which host compares, so that they are wherever that host is.
//!
//! Not here: what is compared, and when an acceptance ends (the crate `seam`, `reconcile`).

use rusqlite::params;

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{made, signed, unsigned};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_accepted (
    total   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    amounts TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    why     TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (total, key)
) STRICT, WITHOUT ROWID";

/// An accepted disagreement on a key of a total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    pub key: String,
    /// What each side says, as its keeper writes it.
    pub amounts: String,
    /// The operator, and the reason.
    pub by: String,
    pub why: String,
    /// In milliseconds since 1970.
    pub at_ms: u64,
}

impl Database {
    /// What is accepted of a total, by its keys.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self, total: &str) -> Result<Vec<Acceptance>, Error> {
        self.read_as_host("seam_accepted", |sqlite| {
            let sql = "SELECT key, amounts, by, why, at_ms FROM seam_accepted WHERE total = ?1 ORDER BY key";
            let accepted = |row: &rusqlite::Row<'_>| {
                Ok(Acceptance {
                    key: row.get(0)?,
                    amounts: row.get(1)?,
                    by: row.get(2)?,
                    why: row.get(3)?,
                    at_ms: unsigned(row.get(4)?),
                })
            };
            sqlite.prepare(sql)?.query_map([total], accepted)?.collect()
        })
    }

    /// Notes what is accepted of a total from now on, and what is so no longer, by its keys: as one commit.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn accept(&self, total: &str, accepted: &[Acceptance], over: &[String]) -> Result<(), Error> {
        if accepted.is_empty() && over.is_empty() {
            return Ok(());
        }
        self.write_as_host(|sqlite| {
            made(sqlite, &[TABLE], |sqlite| {
                for key in over {
                    sqlite.execute("DELETE FROM seam_accepted WHERE total = ?1 AND key = ?2", params![total, key])?;
                }
                for Acceptance { key, amounts, by, why, at_ms } in accepted {
                    let sql = "INSERT OR REPLACE INTO seam_accepted (total, key, amounts, by, why, at_ms)
                               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                    sqlite.execute(sql, params![total, key, amounts, by, why, signed(*at_ms)])?;
                }
                Ok(())
            })
        })
    }
}
