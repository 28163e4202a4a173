//! The tables of sagas, and a row of them as a value.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::types::{Saga, SagaAttempt, SagaState};
use crate::host_table::{self, signed, unsigned};
use crate::limits;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS seam_sagas (
    number        INTEGER PRIMARY KEY,
    kind          TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('running', 'waiting', 'undoing', 'stuck', 'done', 'undone')),
    step          TEXT    NOT NULL,
    reach         TEXT    NOT NULL,
    opened        INTEGER NOT NULL,
    forward_only  INTEGER NOT NULL CHECK (forward_only IN (0, 1)),
    undoing       INTEGER NOT NULL CHECK (undoing IN (0, 1)),
    passed        INTEGER NOT NULL CHECK (passed IN (0, 1)),
    attempts      INTEGER NOT NULL,
    due_ms        INTEGER,
    started_ms    INTEGER NOT NULL,
    changed_ms    INTEGER NOT NULL,
    step_since_ms INTEGER NOT NULL,
    cause         TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    trace         TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
-- The next ones that are due.
CREATE INDEX IF NOT EXISTS seam_sagas_due ON seam_sagas (due_ms) WHERE due_ms IS NOT NULL;
-- Counts of those in process, and lists of those in a state.
CREATE INDEX IF NOT EXISTS seam_sagas_state ON seam_sagas (state, kind, started_ms);
-- Those that have ended and are forgotten.
CREATE INDEX IF NOT EXISTS seam_sagas_ended ON seam_sagas (changed_ms) WHERE state IN ('done', 'undone');
CREATE TABLE IF NOT EXISTS seam_saga_attempts (
    saga    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    step    TEXT    NOT NULL,
    undo    INTEGER NOT NULL CHECK (undo IN (0, 1)),
    answer  TEXT    NOT NULL,
    by      TEXT,
    PRIMARY KEY (saga, number)
) STRICT, WITHOUT ROWID";

pub(super) const COLUMNS: &str = "kind, id, state, step, reach, opened, forward_only, undoing, passed, attempts, due_ms, \
                                  started_ms, changed_ms, step_since_ms, cause, reason, trace, revision";

/// For a row that the host itself holds to be in doubt.
pub(super) const DOUBTED: i64 = 0;

/// Runs `write` on the tables, which are made when the file does not have them yet.
pub(super) fn made<T>(sqlite: &Connection, write: impl Fn(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    host_table::made(sqlite, &[TABLES], write)
}

/// The saga of a row of `COLUMNS`; `opened` is the number of this opening of the file.
pub(super) fn saga(row: &Row<'_>, opened: i64) -> rusqlite::Result<Saga> {
    let state = SagaState::parse(&row.get::<_, String>(2)?).unwrap_or(SagaState::Stuck);
    let (reach, written): (String, i64) = (row.get(4)?, row.get(5)?);
    // Nothing happens after a step at which a saga waits, before it is written that it goes on.
    let in_doubt = written == DOUBTED || (written != opened && state != SagaState::Waiting);
    Ok(Saga {
        kind: row.get(0)?,
        id: row.get(1)?,
        state,
        step: row.get(3)?,
        reach: reach.split(' ').filter(|step| !step.is_empty()).map(str::to_owned).collect(),
        in_doubt,
        forward_only: row.get(6)?,
        undoing: row.get(7)?,
        passed: row.get(8)?,
        attempts: row.get(9)?,
        due_ms: row.get::<_, Option<i64>>(10)?.map(unsigned),
        started_ms: unsigned(row.get(11)?),
        changed_ms: unsigned(row.get(12)?),
        step_since_ms: unsigned(row.get(13)?),
        cause: row.get(14)?,
        reason: row.get(15)?,
        trace: row.get(16)?,
        revision: unsigned(row.get(17)?),
    })
}

pub(super) fn find(sqlite: &Connection, kind: &str, id: &str, opened: i64) -> rusqlite::Result<Option<Saga>> {
    let sql = format!("SELECT {COLUMNS} FROM seam_sagas WHERE kind = ?1 AND id = ?2");
    sqlite.query_row(&sql, [kind, id], |row| saga(row, opened)).optional()
}

/// Adds lines to the timeline of a saga. Beyond `SAGA_ATTEMPTS_MAX` the oldest ones after the first
/// `SAGA_ATTEMPTS_FIRST` go.
pub(super) fn add_attempts(
    sqlite: &Connection,
    kind: &str,
    id: &str,
    attempts: &[SagaAttempt],
) -> rusqlite::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let sql = "SELECT number, (SELECT coalesce(max(number), 0) FROM seam_saga_attempts
                               WHERE saga = seam_sagas.number)
               FROM seam_sagas WHERE kind = ?1 AND id = ?2";
    let row = sqlite.query_row(sql, [kind, id], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((saga, mut last)) = row.optional()?.map(|(saga, last): (i64, i64)| (saga, last)) else { return Ok(()) };
    let sql = "INSERT INTO seam_saga_attempts (saga, number, at_ms, took_ms, step, undo, answer, by)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut insert = sqlite.prepare(sql)?;
    for attempt in attempts {
        last += 1;
        let SagaAttempt { at_ms, took_ms, step, undo, answer, by, .. } = attempt;
        insert.execute(params![saga, last, signed(*at_ms), signed(*took_ms), step, undo, short(answer), by])?;
    }
    if last > i64::from(limits::SAGA_ATTEMPTS_MAX) {
        let (first, rest) = (limits::SAGA_ATTEMPTS_FIRST, limits::SAGA_ATTEMPTS_MAX - limits::SAGA_ATTEMPTS_FIRST);
        let sql = "DELETE FROM seam_saga_attempts WHERE saga = ?1 AND number > ?2 AND number <= ?3";
        sqlite.execute(sql, params![saga, first, last - i64::from(rest)])?;
    }
    Ok(())
}

/// A text of a context or an operator, as it is kept.
pub(super) fn short(text: &str) -> String {
    text.chars().take(limits::SAGA_REASON_CHARS_MAX).collect()
}
