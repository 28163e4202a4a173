//! Questions about the sagas of a file, and how those that have ended are forgotten.

use std::sync::Arc;

use rusqlite::{Connection, ToSql, params};

use super::table::{self, COLUMNS};
use super::types::{Saga, SagaAttempt, SagaCount, SagaFilter, SagaState};
use crate::bell::Listener;
use crate::database::Database;
use crate::error::Error;
use crate::host_table::{signed, unsigned};
use crate::limits;

/// The table without which a file has no sagas.
pub(crate) const TABLE: &str = "seam_sagas";

/// The sagas of a file, read on one of its connections.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'c> {
    pub sqlite: &'c Connection,
    /// The number of this opening of the file.
    pub opened: i64,
}

impl Reading<'_> {
    pub fn saga(self, kind: &str, id: &str) -> rusqlite::Result<Option<Saga>> {
        table::find(self.sqlite, kind, id, self.opened)
    }

    pub fn sagas(self, filter: &SagaFilter, skip: u32, count: u32) -> rusqlite::Result<Vec<Saga>> {
        // Each name is one of this program.
        let names: Vec<String> = filter.states.iter().map(|state| format!("'{}'", state.name())).collect();
        let states = if names.is_empty() { "1".to_owned() } else { format!("state IN ({})", names.join(", ")) };
        let older = filter.older_than_ms.map(signed);
        let values = params![filter.kind, older, filter.cause, count, skip];
        let rest = format!(
            "WHERE {states} AND (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR started_ms < ?2)
               AND (?3 IS NULL OR instr(lower(cause), lower(?3)) > 0 OR instr(lower(reason), lower(?3)) > 0)
             ORDER BY started_ms, number LIMIT ?4 OFFSET ?5"
        );
        self.sagas_where(&rest, values)
    }

    fn sagas_where(self, rest: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<Saga>> {
        let mut statement = self.sqlite.prepare(&format!("SELECT {COLUMNS} FROM seam_sagas {rest}"))?;
        statement.query_map(values, |row| table::saga(row, self.opened))?.collect()
    }

    pub fn timeline(self, kind: &str, id: &str) -> rusqlite::Result<Vec<SagaAttempt>> {
        let sql = "SELECT number, at_ms, took_ms, step, undo, answer, by FROM seam_saga_attempts
                   WHERE saga = (SELECT number FROM seam_sagas WHERE kind = ?1 AND id = ?2) ORDER BY number";
        let mut statement = self.sqlite.prepare(sql)?;
        let line = |row: &rusqlite::Row<'_>| {
            Ok(SagaAttempt {
                number: unsigned(row.get(0)?),
                at_ms: unsigned(row.get(1)?),
                took_ms: unsigned(row.get(2)?),
                step: row.get(3)?,
                undo: row.get(4)?,
                answer: row.get(5)?,
                by: row.get(6)?,
            })
        };
        statement.query_map([kind, id], line)?.collect()
    }
}

impl Database {
    /// Where a saga stands.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn saga(&self, kind: &str, id: &str) -> Result<Option<Saga>, Error> {
        self.read_sagas(|sagas| sagas.saga(kind, id))
    }

    /// Sagas, the oldest first, without the first `skip`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sagas(&self, filter: &SagaFilter, skip: u32, count: u32) -> Result<Vec<Saga>, Error> {
        self.read_sagas(|sagas| sagas.sagas(filter, skip, count))
    }

    /// Sagas that are due at `now_ms`, those that have been due for longest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sagas_due(&self, now_ms: u64, most: u32) -> Result<Vec<Saga>, Error> {
        let due = "WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2";
        self.read_sagas(|sagas| sagas.sagas_where(due, params![signed(now_ms), most]))
    }

    /// When the next saga is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_saga_due(&self) -> Result<Option<u64>, Error> {
        self.read_as_host(TABLE, |sqlite| {
            let sql = "SELECT min(due_ms) FROM seam_sagas WHERE due_ms IS NOT NULL";
            sqlite.query_row(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?.map(unsigned)))
        })
    }

    /// How many sagas are in process, by kind and state; none for what does not occur.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn saga_counts(&self) -> Result<Vec<SagaCount>, Error> {
        self.read_as_host(TABLE, |sqlite| {
            let sql = "SELECT kind, state, count(*), min(started_ms) FROM seam_sagas
                       WHERE state IN ('running', 'waiting', 'undoing', 'stuck') GROUP BY state, kind";
            let mut statement = sqlite.prepare(sql)?;
            let count = |row: &rusqlite::Row<'_>| {
                let state: String = row.get(1)?;
                Ok(SagaCount {
                    kind: row.get(0)?,
                    state: SagaState::parse(&state).unwrap_or(SagaState::Stuck),
                    sagas: unsigned(row.get(2)?),
                    oldest_ms: unsigned(row.get(3)?),
                })
            };
            statement.query_map([], count)?.collect()
        })
    }

    /// What a saga's steps have answered, the first line first. A gap in the numbers says that lines were dropped.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn saga_timeline(&self, kind: &str, id: &str) -> Result<Vec<SagaAttempt>, Error> {
        self.read_sagas(|sagas| sagas.timeline(kind, id))
    }

    /// Forgets sagas that ended before this time, in milliseconds since 1970, with their timelines, some at a time;
    /// returns how many.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_sagas(&self, before_ms: u64) -> Result<u64, Error> {
        let old = "SELECT number FROM seam_sagas WHERE state IN ('done', 'undone') AND changed_ms < ?1
                   ORDER BY changed_ms, number LIMIT ?2";
        // A file without any is not written to.
        let some = self.read_as_host(TABLE, |sqlite| {
            sqlite.prepare(old)?.exists(params![signed(before_ms), limits::SAGAS_FORGET_ROWS])
        })?;
        if !some {
            return Ok(0);
        }
        self.write_as_host(|sqlite| {
            let values = params![signed(before_ms), limits::SAGAS_FORGET_ROWS];
            sqlite.execute(&format!("DELETE FROM seam_saga_attempts WHERE saga IN ({old})"), values)?;
            sqlite.execute(&format!("DELETE FROM seam_sagas WHERE number IN ({old})"), values)
        })
        .map(|rows| rows as u64)
    }

    /// Has sagas tried now that are tried again at a time which a clock chose that was ahead of `now_ms`; returns how
    /// many. Also those that wait until such a time: most have counted it from that clock, and one that waits for a
    /// time of day waits again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn hasten_sagas(&self, now_ms: u64) -> Result<u64, Error> {
        let ahead = "due_ms > ?1 AND changed_ms > ?1";
        let some = self.read_as_host(TABLE, |sqlite| {
            let sql = format!("SELECT 1 FROM seam_sagas WHERE {ahead}");
            sqlite.prepare(&sql)?.exists(params![signed(now_ms)])
        })?;
        if !some {
            return Ok(0);
        }
        self.write_as_host(|sqlite| {
            let sql = "UPDATE seam_sagas
                       SET due_ms = ?1, changed_ms = ?1, step_since_ms = min(step_since_ms, ?1), revision = revision + 1";
            sqlite.execute(&format!("{sql} WHERE {ahead}"), params![signed(now_ms)])
        })
        .map(|rows| rows as u64)
    }

    /// Has `listener` called after each commit that changed sagas, until its last owner drops it.
    pub fn listen_sagas(&self, listener: &Arc<Listener>) {
        self.writer.sagas.listen(listener);
    }

    fn read_sagas<T: Default>(&self, read: impl FnOnce(Reading<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.read_as_host(TABLE, |sqlite| read(Reading { sqlite, opened: self.writer.opened }))
    }
}
