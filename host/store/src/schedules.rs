//! How far the schedules of a context have come: a row for each in the context's own file, which commits together with
//! what the function of the schedule writes.
//!
//! Not here: when a schedule is due.

use rusqlite::{OptionalExtension, params};

use crate::database::Database;
use crate::error::Error;
use crate::host_table::{self, signed, unsigned};
use crate::transaction::Transaction;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_schedules (
    name   TEXT    NOT NULL PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    ran_ms INTEGER,
    runs   INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

/// How far a schedule has come. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every due time up to this one is done.
    pub at_ms: u64,
    /// When the function ran last; `None`: it never did.
    pub ran_ms: Option<u64>,
    /// How often it ran, without failed runs.
    pub runs: u64,
}

impl Transaction {
    /// Notes that the schedule's function ran at `ran_ms`, for all due times up to `at_ms`.
    ///
    /// # Errors
    /// As for a statement; `Error::Busy` when these due times are done already.
    pub fn ran(&mut self, schedule: &str, at_ms: u64, ran_ms: u64) -> Result<(), Error> {
        let sql = "INSERT INTO seam_schedules (name, at_ms, ran_ms, runs) VALUES (?1, ?2, ?3, 1)
                   ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms, ran_ms = excluded.ran_ms, runs = runs + 1
                   WHERE at_ms < excluded.at_ms";
        let values = params![schedule, signed(at_ms), signed(ran_ms)];
        let rows = self.as_host(|sqlite| host_table::made(sqlite, &[TABLE], |sqlite| sqlite.execute(sql, values)))?;
        match rows {
            0 => Err(Error::Busy("the due time of the schedule is done already".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Database {
    /// How far a schedule has come; `None` if the file does not know it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schedule(&self, schedule: &str) -> Result<Option<Progress>, Error> {
        self.read_as_host("seam_schedules", |sqlite| {
            let sql = "SELECT at_ms, ran_ms, runs FROM seam_schedules WHERE name = ?1";
            let progress = |row: &rusqlite::Row<'_>| {
                let ran_ms = row.get::<_, Option<i64>>(1)?.map(unsigned);
                Ok(Progress { at_ms: unsigned(row.get(0)?), ran_ms, runs: unsigned(row.get(2)?) })
            };
            sqlite.query_row(sql, [schedule], progress).optional()
        })
    }

    /// Has a schedule go on from `at_ms`, without a run: it is new, leaves due times out, or the clock was wrong.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_schedule(&self, schedule: &str, at_ms: u64) -> Result<(), Error> {
        self.write_as_host(|sqlite| {
            let sql = "INSERT INTO seam_schedules (name, at_ms, runs) VALUES (?1, ?2, 0)
                       ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms";
            host_table::made(sqlite, &[TABLE], |sqlite| sqlite.execute(sql, params![schedule, signed(at_ms)]).map(drop))
        })
    }

    /// Forgets every schedule but these: one that is taken out and comes back later has missed nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_schedules(&self, schedules: &[&str]) -> Result<(), Error> {
        let known = self.read_as_host("seam_schedules", |sqlite| {
            let mut statement = sqlite.prepare("SELECT name FROM seam_schedules")?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        })?;
        for gone in known.iter().filter(|name| !schedules.contains(&name.as_str())) {
            self.write_as_host(|sqlite| {
                sqlite.execute("DELETE FROM seam_schedules WHERE name = ?1", [gone]).map(drop)
            })?;
        }
        Ok(())
    }
}
