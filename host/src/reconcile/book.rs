//! The disagreements that the host keeps: a table in its own file.
//!
//! Invariant: of a key of a total, at most one disagreement stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Row, Transaction, params};
use seam_store::{HostFile, HostFileError};

use super::record::{Disagreement, MendAnswer, State};
use crate::limits;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS disagreement (
    id         TEXT    NOT NULL PRIMARY KEY,
    total      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    amounts    TEXT    NOT NULL,
    first_ms   INTEGER NOT NULL,
    last_ms    INTEGER NOT NULL,
    said_ms    INTEGER,
    over_ms    INTEGER,
    attempts   INTEGER NOT NULL,
    asked_ms   INTEGER,
    answer     TEXT,
    answer_why TEXT    NOT NULL,
    by         TEXT,
    why        TEXT    NOT NULL
) STRICT;
-- a look, and what an operator asks: those that stand
CREATE UNIQUE INDEX IF NOT EXISTS disagreement_standing ON disagreement (total, key) WHERE over_ms IS NULL;
-- those that are over: the newest, and the oldest to be forgotten
CREATE INDEX IF NOT EXISTS disagreement_over ON disagreement (total, over_ms) WHERE over_ms IS NOT NULL;
";

const COLUMNS: &str = "id, total, key, state, amounts, first_ms, last_ms, said_ms, over_ms, attempts, asked_ms, answer,
    answer_why, by, why";

/// Cheap to clone.
#[derive(Clone)]
pub struct Book(Arc<HostFile>);

impl Book {
    /// # Errors
    /// When the host's file cannot be written.
    pub fn new(file: Arc<HostFile>) -> Result<Self, HostFileError> {
        file.change(|file| file.execute_batch(TABLE))?;
        Ok(Self(file))
    }

    /// Those of a total that stand, by their keys.
    ///
    /// # Errors
    /// As all functions here: when the host's file cannot be read or written.
    pub fn standing(&self, total: &str) -> Result<BTreeMap<String, Disagreement>, HostFileError> {
        self.0.read(|file| {
            let sql = format!("SELECT {COLUMNS} FROM disagreement WHERE total = ?1 AND over_ms IS NULL");
            let with_key = |row: &Row<'_>| read(row).map(|one| (one.key.clone(), one));
            file.prepare(&sql)?.query_map([total], with_key)?.collect()
        })
    }

    /// Those of a total that are over, the newest first.
    pub fn over(&self, total: &str) -> Result<Vec<Disagreement>, HostFileError> {
        self.0.read(|file| {
            let sql = format!(
                "SELECT {COLUMNS} FROM disagreement WHERE total = ?1 AND over_ms IS NOT NULL
                 ORDER BY over_ms DESC, first_ms DESC, key"
            );
            file.prepare(&sql)?.query_map([total], read)?.collect()
        })
    }

    /// The totals of which some stand.
    pub fn totals(&self) -> Result<Vec<String>, HostFileError> {
        self.0.read(|file| {
            let sql = "SELECT DISTINCT total FROM disagreement WHERE over_ms IS NULL";
            file.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Keeps `changed`, forgets `dropped`, and forgets what has been over for long.
    pub fn save(&self, changed: &[Disagreement], dropped: &[Disagreement], now_ms: u64) -> Result<(), HostFileError> {
        if changed.is_empty() && dropped.is_empty() {
            return Ok(());
        }
        self.0.change(|file| {
            let mut forget = file.prepare_cached("DELETE FROM disagreement WHERE id = ?1")?;
            for one in dropped {
                forget.execute([&one.id])?;
            }
            changed.iter().try_for_each(|one| write(file, one))?;
            // Only these totals can have more that are over.
            for one in changed.iter().filter(|one| one.over_ms.is_some()) {
                file.execute(
                    "DELETE FROM disagreement WHERE total = ?1 AND over_ms IS NOT NULL AND (over_ms < ?2 OR id NOT IN (
                       SELECT id FROM disagreement WHERE total = ?1 AND over_ms IS NOT NULL
                       ORDER BY over_ms DESC LIMIT ?3))",
                    params![
                        one.total,
                        integer(now_ms.saturating_sub(1_000 * limits::RECONCILE_OVER_S)),
                        limits::RECONCILE_OVER_MAX
                    ],
                )?;
            }
            Ok(())
        })
    }
}

fn write(file: &Transaction<'_>, one: &Disagreement) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO disagreement ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    let (answer, why) = one.answer.as_ref().map_or((None, ""), |answer| {
        let (name, why) = answer.parts();
        (Some(name), why)
    });
    let amounts = serde_json::to_string(&one.amounts).unwrap_or_default();
    file.prepare_cached(&sql)?.execute(params![
        one.id,
        one.total,
        one.key,
        one.state.name(),
        amounts,
        integer(one.first_ms),
        integer(one.last_ms),
        one.said_ms.map(integer),
        one.over_ms.map(integer),
        one.attempts,
        one.asked_ms.map(integer),
        answer,
        why,
        one.by,
        one.why
    ])?;
    Ok(())
}

fn integer(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Disagreement> {
    let ms = |at: usize| row.get::<_, i64>(at).map(|ms| u64::try_from(ms).unwrap_or(0));
    let maybe_ms = |at: usize| row.get::<_, Option<i64>>(at).map(|ms| ms.and_then(|ms| u64::try_from(ms).ok()));
    let odd = |at: usize, what: &str| {
        let error = format!("a {what} that this host does not know").into();
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, error)
    };
    let (state, amounts): (String, String) = (row.get(3)?, row.get(4)?);
    let (answer, answer_why): (Option<String>, String) = (row.get(11)?, row.get(12)?);
    Ok(Disagreement {
        id: row.get(0)?,
        total: row.get(1)?,
        key: row.get(2)?,
        state: State::parse(&state).ok_or_else(|| odd(3, "state"))?,
        amounts: serde_json::from_str(&amounts).map_err(|_| odd(4, "list of amounts"))?,
        first_ms: ms(5)?,
        last_ms: ms(6)?,
        said_ms: maybe_ms(7)?,
        over_ms: maybe_ms(8)?,
        attempts: row.get(9)?,
        asked_ms: maybe_ms(10)?,
        answer: answer.and_then(|name| MendAnswer::from_parts(&name, answer_why)),
        by: row.get(13)?,
        why: row.get(14)?,
    })
}
