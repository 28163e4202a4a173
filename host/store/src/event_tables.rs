//! What a file holds of events, seen while no host uses it. Nothing is changed.
//!
//! Not here: the events of an open file (`inbox`, `outbox`).

use rusqlite::params;

use crate::config::Config;
use crate::host_table::{self, signed, unsigned};
use crate::inbox::Source;
use crate::look::{Log, look};
use crate::open::{OpenError, failed};

/// Events of one subscription that are set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub source: Source,
    /// Those that wait, and dead letters.
    pub events: u64,
    pub dead: u64,
}

/// The host's tables of events in one file.
pub struct EventTables {
    config: Config,
    sqlite: rusqlite::Connection,
}

impl EventTables {
    /// Those of the file that `config` names; `None` if there is no file.
    ///
    /// # Errors
    /// When the file cannot be opened with that key.
    pub fn look(config: Config) -> Result<Option<Self>, OpenError> {
        if !config.path.exists() {
            return Ok(None);
        }
        let sqlite = look(&config, Log::Read)?;
        Ok(Some(Self { config, sqlite }))
    }

    /// What is set aside, by subscription.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn set_aside(&self) -> Result<Vec<SetAside>, OpenError> {
        let sql = "SELECT publisher, interface, count(*), count(*) FILTER (WHERE state = 'dead')
                   FROM seam_waiting GROUP BY publisher, interface";
        self.rows("seam_waiting", sql, |row| {
            Ok(SetAside { source: source(row)?, events: unsigned(row.get(2)?), dead: unsigned(row.get(3)?) })
        })
    }

    /// How far the file has taken the events of others: everything up to a position is done, or set aside.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cursors(&self) -> Result<Vec<(Source, u64)>, OpenError> {
        let sql = "SELECT publisher, interface, at FROM seam_inbox";
        self.rows("seam_inbox", sql, |row| Ok((source(row)?, unsigned(row.get(2)?))))
    }

    /// How many events of `interface` (its path, without a version) the outbox has after this position.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn published_after(&self, interface: &str, after: u64) -> Result<u64, OpenError> {
        let read = |sqlite: &rusqlite::Connection| {
            if !host_table::exists(sqlite, "seam_outbox")? {
                return Ok(0);
            }
            let sql = "SELECT count(*) FROM seam_outbox
                       WHERE position > ?1 AND (interface = ?2 OR interface GLOB ?2 || '@*')";
            sqlite.query_row(sql, params![signed(after), interface], |row| row.get(0).map(unsigned))
        };
        read(&self.sqlite).map_err(|source| failed(&self.config.path, source))
    }

    fn rows<T>(
        &self,
        table: &str,
        sql: &str,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, OpenError> {
        let read = |sqlite: &rusqlite::Connection| {
            if !host_table::exists(sqlite, table)? {
                return Ok(Vec::new());
            }
            sqlite.prepare(sql)?.query_map([], row)?.collect()
        };
        read(&self.sqlite).map_err(|source| failed(&self.config.path, source))
    }
}

fn source(row: &rusqlite::Row<'_>) -> rusqlite::Result<Source> {
    Ok(Source { publisher: row.get(0)?, interface: row.get(1)? })
}
