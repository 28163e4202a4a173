//! The history of changes, and the deployed version of each context, in the host's own file.
//!
//! Invariant: a change is `applying` from before it touches anything until one transaction records its end together
//! with the version that serves. So after a host was killed, its next start finds at most one such change per context
//! and resolves it (`startup`).

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use seam_store::{HostFile, HostFileError};
use serde::{Deserialize, Serialize};

use crate::limits;

/// What caused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    Deploy,
    /// By the development loop.
    Quick,
    /// Back to the previous version or an older one.
    Rollback,
    /// The manifest's component had changed when the host started.
    Manifest,
    /// The store was restored (`seam restore`). The component is the same.
    Restore,
    /// The file in place of the store was accepted (`seam accept`). The component is the same.
    Accept,
    /// The context has come from another host, with its file.
    Move,
}

/// `Applying -> Live | Refused | Undone | RolledBack`, or `Done` at once. `Applying` includes the step `watch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    Applying,
    Live,
    Refused,
    /// The version served and turned bad, so the previous version serves again.
    RolledBack,
    /// The host stopped while the change was applying; the previous version serves.
    Undone,
    /// A change of the store alone.
    Done,
}

/// One change in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub id: i64,
    pub context: String,
    pub kind: ChangeKind,
    pub state: ChangeState,
    /// SHA-256 of the component; empty when the file could not be read.
    pub hash: String,
    /// SHA-256 of the component that served before.
    pub before: String,
    /// The file that the component was read from.
    pub file: String,
    /// The schema of the context's file before and after; `None` without a store.
    pub schema_before: Option<u32>,
    pub schema_after: Option<u32>,
    /// Whether the previous version does not work with `schema_after`.
    pub irreversible: bool,
    /// Why it was refused, rolled back or undone; of a version that serves, what is remarkable about it.
    pub why: Option<String>,
    /// RFC 3339, UTC.
    pub began: String,
}

/// A change before it is recorded.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub context: &'a str,
    pub kind: ChangeKind,
    pub hash: &'a str,
    pub before: &'a str,
    pub file: &'a str,
    pub schema: Option<(u32, u32)>,
    pub irreversible: bool,
    /// SHA-256 of the file that the manifest names, as it is now.
    pub manifest_hash: Option<&'a str>,
}

/// A version that serves because of a deploy and not because the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serving {
    pub context: String,
    pub hash: String,
    /// SHA-256 of the manifest's file at the deploy. If the file has changed since, it is newer and replaces this
    /// version.
    pub manifest_hash: Option<String>,
    /// See `ContextSpec`.
    pub tolerated_schema: Option<u32>,
}

/// The history in the host's file. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<HostFile>);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS deploy (
    id            INTEGER PRIMARY KEY,
    context       TEXT NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    hash          TEXT NOT NULL,
    before        TEXT NOT NULL,
    file          TEXT NOT NULL,
    schema_before INTEGER,
    schema_after  INTEGER,
    one_way       INTEGER NOT NULL DEFAULT 0,
    manifest_hash TEXT,
    why           TEXT,
    began         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
-- The history of one context, and its oldest rows.
CREATE INDEX IF NOT EXISTS deploy_context ON deploy (context, id);
CREATE TABLE IF NOT EXISTS serving (
    context       TEXT PRIMARY KEY,
    hash          TEXT NOT NULL,
    manifest_hash TEXT,
    ahead         INTEGER
) STRICT;
";

/// Older versions of the host kept values of calls, and words of guests, in the reasons of refusals.
const WITHOUT_VALUES: &str = "
UPDATE deploy SET why = 'a recorded call was answered and now fails'
WHERE instr(why, ' was answered with ') > 0 AND instr(why, ' (trace ') = 0;
UPDATE deploy SET why = 'answers differ'
WHERE why LIKE 'answers differ: %' AND instr(why, '(..)`: ') = 0 AND instr(why, '` of a page: ') = 0;
UPDATE deploy SET why = substr(why, 1, instr(why, ': ') - 1) WHERE why LIKE 'its health check %: %';
UPDATE deploy SET why = substr(why, 1, instr(why, char(10)) - 1) WHERE instr(why, char(10)) > 0;
";

impl History {
    /// # Errors
    /// When the host's file cannot be written.
    pub fn new(file: Arc<HostFile>) -> Result<Self, HostFileError> {
        file.change(|file| file.execute_batch(TABLES).and_then(|()| file.execute_batch(WITHOUT_VALUES)))?;
        Ok(Self(file))
    }

    /// All changes of one context or of all, the newest first.
    pub fn entries(&self, context: Option<&str>) -> Result<Vec<HistoryEntry>, HostFileError> {
        self.0.read(|file| {
            let sql = format!("SELECT {COLUMNS} FROM deploy WHERE ?1 IS NULL OR context = ?1 ORDER BY id DESC");
            all(file, &sql, context)
        })
    }

    /// Changes that a stopped host left unfinished, the oldest first.
    pub(super) fn applying(&self) -> Result<Vec<HistoryEntry>, HostFileError> {
        self.0.read(|file| {
            let sql = format!("SELECT {COLUMNS} FROM deploy WHERE state = 'applying' AND ?1 IS NULL ORDER BY id");
            all(file, &sql, None)
        })
    }

    /// The deployed version of each context that has one.
    pub(crate) fn serving(&self) -> Result<Vec<Serving>, HostFileError> {
        self.0.read(|file| {
            let mut statement = file.prepare("SELECT context, hash, manifest_hash, ahead FROM serving")?;
            let serving = |row: &Row<'_>| {
                Ok(Serving {
                    context: row.get(0)?,
                    hash: row.get(1)?,
                    manifest_hash: row.get(2)?,
                    tolerated_schema: row.get(3)?,
                })
            };
            statement.query_map([], serving)?.collect()
        })
    }

    /// Records that `change` begins. Returns its ID.
    pub(super) fn begin(&self, change: &Change<'_>) -> Result<i64, HostFileError> {
        self.0.change(|file| insert(file, change, ChangeState::Applying, None))
    }

    /// Records a change that was refused before it began.
    pub(super) fn refuse(&self, change: &Change<'_>, why: &str) -> Result<(), HostFileError> {
        self.0.change(|file| insert(file, change, ChangeState::Refused, Some(why)).map(drop))
    }

    /// Records, in a transaction of the host's file, that `file` has become the store of `context` while no host ran.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn replaced_store(
        transaction: &Connection,
        context: &str,
        kind: ChangeKind,
        file: &str,
        why: Option<&str>,
    ) -> rusqlite::Result<()> {
        transaction.execute_batch(TABLES)?;
        let (hash, before, schema) = ("", "", None);
        let change = Change { context, kind, hash, before, file, schema, irreversible: false, manifest_hash: None };
        insert(transaction, &change, ChangeState::Done, why).map(drop)
    }

    /// Records that the version of change `id` serves, also after a restart.
    pub(super) fn live(&self, id: i64, tolerated_schema: Option<u32>, why: Option<&str>) -> Result<(), HostFileError> {
        self.0.change(|file| {
            set_state(file, id, ChangeState::Live, why)?;
            file.execute(
                "INSERT OR REPLACE INTO serving (context, hash, manifest_hash, ahead)
                 SELECT context, hash, manifest_hash, ?2 FROM deploy WHERE id = ?1",
                params![id, tolerated_schema],
            )
            .map(drop)
        })
    }

    /// Records that the version of change `id` turned bad. The previous one serves, also after a restart, even if the
    /// manifest's file has changed since.
    pub(super) fn rolled_back(&self, id: i64, tolerated_schema: Option<u32>, why: &str) -> Result<(), HostFileError> {
        self.0.change(|file| {
            set_state(file, id, ChangeState::RolledBack, Some(why))?;
            file.execute(
                "INSERT OR REPLACE INTO serving (context, hash, manifest_hash, ahead)
                 SELECT context, before, manifest_hash, ?2 FROM deploy WHERE id = ?1",
                params![id, tolerated_schema],
            )
            .map(drop)
        })
    }

    /// Adds to the entry of change `id` what became known of its version later.
    pub(super) fn explain(&self, id: i64, why: &str) -> Result<(), HostFileError> {
        self.0.change(|file| file.execute("UPDATE deploy SET why = ?2 WHERE id = ?1", params![id, why]).map(drop))
    }

    /// Records that the version of change `id` does not serve.
    pub(super) fn end(&self, id: i64, state: ChangeState, why: &str) -> Result<(), HostFileError> {
        self.0.change(|file| set_state(file, id, state, Some(why)))
    }

    /// Records that the manifest's components serve from now on. A change that `begin` has recorded comes with its ID.
    pub(super) fn follow_manifest(&self, changes: &[(Change<'_>, Option<i64>)]) -> Result<(), HostFileError> {
        self.0.change(|file| {
            for (change, id) in changes {
                match id {
                    Some(id) => set_state(file, *id, ChangeState::Live, None)?,
                    None => drop(insert(file, change, ChangeState::Live, None)?),
                }
                file.execute("DELETE FROM serving WHERE context = ?1", [change.context])?;
            }
            Ok(())
        })
    }

    /// Whether `hash` turned bad when it last served.
    pub(super) fn turned_bad(&self, context: &str, hash: &str) -> Result<bool, HostFileError> {
        self.0.read(|file| {
            let sql = "SELECT state = 'rolled-back' FROM deploy
                       WHERE context = ?1 AND hash = ?2 AND state IN ('live', 'rolled-back')
                       ORDER BY id DESC LIMIT 1";
            Ok(file.query_row(sql, [context, hash], |row| row.get(0)).optional()?.unwrap_or(false))
        })
    }

    /// The hashes of all versions of `context` that served, if they begin with `prefix`.
    pub(super) fn served(&self, context: &str, prefix: &str) -> Result<Vec<String>, HostFileError> {
        self.0.read(|file| {
            let sql =
                "SELECT hash FROM deploy WHERE context = ?1 AND state = 'live' AND substr(hash, 1, length(?2)) = ?2
                       UNION SELECT before FROM deploy WHERE context = ?1 AND substr(before, 1, length(?2)) = ?2";
            file.prepare(sql)?.query_map([context, prefix], |row| row.get(0))?.collect()
        })
    }

    /// Whether `hash` has proved to work at `schema` since the last schema change: it served there, or it served before
    /// that change and the change is not irreversible.
    pub(super) fn works_at(&self, context: &str, hash: &str, schema: u32) -> Result<bool, HostFileError> {
        self.0.read(|file| {
            let sql = "SELECT count(*) FROM deploy
                       WHERE context = ?1 AND schema_after = ?3 AND state IN ('live', 'rolled-back')
                       AND id >= (SELECT coalesce(max(id), 0) FROM deploy
                                  WHERE context = ?1 AND state IN ('live', 'rolled-back')
                                  AND schema_before <> schema_after)
                       AND (before = ?2 AND NOT one_way OR hash = ?2 AND state = 'live')";
            let changes: i64 = file.query_row(sql, params![context, hash, schema], |row| row.get(0))?;
            Ok(changes > 0)
        })
    }

    /// The last change that took the file from `schema` or an older schema to a newer one.
    pub(super) fn last_change_past(&self, context: &str, schema: u32) -> Result<Option<i64>, HostFileError> {
        self.0.read(|file| {
            let sql = "SELECT max(id) FROM deploy WHERE context = ?1 AND state IN ('live', 'rolled-back')
                       AND schema_before <= ?2 AND schema_after > ?2";
            file.query_row(sql, params![context, schema], |row| row.get(0))
        })
    }
}

const COLUMNS: &str = "id, context, kind, state, hash, before, file, schema_before, schema_after, one_way, why, began";

fn entry(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    Ok(HistoryEntry {
        id: row.get(0)?,
        context: row.get(1)?,
        kind: word(row, 2)?,
        state: word(row, 3)?,
        hash: row.get(4)?,
        before: row.get(5)?,
        file: row.get(6)?,
        schema_before: row.get(7)?,
        schema_after: row.get(8)?,
        irreversible: row.get(9)?,
        why: row.get(10)?,
        began: row.get(11)?,
    })
}

fn all(file: &Connection, sql: &str, context: Option<&str>) -> rusqlite::Result<Vec<HistoryEntry>> {
    file.prepare(sql)?.query_map([context], entry)?.collect()
}

/// Reads an enum from a column that holds its serialised name.
fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(text.into())
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e)))
}

/// The serialised name of a kind or a state.
pub fn word_of(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn insert(file: &Connection, change: &Change<'_>, state: ChangeState, why: Option<&str>) -> rusqlite::Result<i64> {
    let Change { context, kind, hash, before, file: from, schema, irreversible, manifest_hash } = *change;
    file.execute(
        "INSERT INTO deploy (context, kind, state, hash, before, file, schema_before, schema_after, one_way,
                             manifest_hash, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            context,
            word_of(&kind),
            word_of(&state),
            hash,
            before,
            from,
            schema.map(|s| s.0),
            schema.map(|s| s.1),
            irreversible,
            manifest_hash,
            why
        ],
    )?;
    let id = file.last_insert_rowid();
    file.execute(
        "DELETE FROM deploy WHERE context = ?1
         AND id <= (SELECT id FROM deploy WHERE context = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        params![context, limits::DEPLOY_HISTORY_MAX],
    )?;
    Ok(id)
}

fn set_state(file: &Connection, id: i64, state: ChangeState, why: Option<&str>) -> rusqlite::Result<()> {
    file.execute(
        "UPDATE deploy SET state = ?2, why = coalesce(?3, why) WHERE id = ?1",
        params![id, word_of(&state), why],
    )
    .map(drop)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_an_older_version_kept_lose_their_values_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(HostFile::open(folder.path()).unwrap());
        let history = History::new(file.clone()).unwrap();
        let reasons = [
            (
                "`desk.find(\"Anna\")` was answered with ok(\"Anna\") and now fails: `orders` trapped: unreachable",
                "a recorded call was answered and now fails",
            ),
            ("`desk.find(..)` was answered with `ok` and now fails: it trapped (trace 00ab)", ""),
            ("answers differ: `desk.find(7)`: ok(\"Anna\") became ok(\"Bert\") (and 2 more)", "answers differ"),
            ("answers differ: `desk.find(..)`: ok: another value (and 2 more)", ""),
            ("its health check says that it cannot work: no row for Anna", "its health check says that it cannot work"),
            ("`orders` trapped: unreachable\nno row for Anna", "`orders` trapped: unreachable"),
            ("7 of 9 calls broke, 0 of 1000 before", ""),
        ];
        for (why, _) in reasons {
            let change = Change {
                context: "orders",
                kind: ChangeKind::Deploy,
                hash: "",
                before: "",
                file: "",
                schema: None,
                irreversible: false,
                manifest_hash: None,
            };
            history.refuse(&change, why).unwrap();
        }
        let kept = History::new(file).unwrap().entries(None).unwrap().into_iter().rev().map(|entry| entry.why.unwrap());
        let expect = reasons.map(|(why, kept)| if kept.is_empty() { why } else { kept });
        assert_eq!(kept.collect::<Vec<_>>(), expect);
    }
}
