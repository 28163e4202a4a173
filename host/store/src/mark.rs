//! What a store's file says of itself: its identity, its context, and how many commits it has had.
//!
//! Invariant: a commit that changes rows advances the count by one, in the same commit. So the count of a file and the
//! number of commits in its write-ahead log tell whether the two belong together (`inspect`).
//! Not here: what the host remembers of a file (`register`).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Random, 32 hex digits. A file that the operator accepts gets another one.
    pub identity: String,
    /// The context that the file was created for.
    pub context: String,
    /// Commits that changed rows, since the file was created.
    pub commits: u64,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_store (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL,
    context  TEXT NOT NULL,
    commits  INTEGER NOT NULL,
    sealed   INTEGER NOT NULL DEFAULT 0
) STRICT";

/// Run by the host as the last statement of each commit.
pub(super) const ADVANCE: &str = "UPDATE seam_store SET commits = commits + 1 WHERE id = 1";
/// The same for a file with sealed rows.
pub(super) const ADVANCE_SEALED: &str = "UPDATE seam_store
    SET commits = commits + 1, sealed = (SELECT coalesce(max(number), 0) FROM seam_seals) WHERE id = 1";

impl Mark {
    /// A mark with an identity of its own.
    pub fn new(context: &str, commits: u64) -> Self {
        Self { identity: format!("{:032x}", rand::random::<u128>()), context: context.to_owned(), commits }
    }

    /// `None` when the file has no mark: no host that marks files has written to it.
    pub(super) fn read(sqlite: &Connection) -> rusqlite::Result<Option<Self>> {
        let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'seam_store'";
        if sqlite.query_row(there, [], |row| row.get::<_, u32>(0))? == 0 {
            return Ok(None);
        }
        let row = |row: &rusqlite::Row<'_>| {
            let commits = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            Ok(Self { identity: row.get(0)?, context: row.get(1)?, commits })
        };
        sqlite.query_row("SELECT identity, context, commits FROM seam_store WHERE id = 1", [], row).optional()
    }

    /// Marks a file that has no mark yet; a new file at `path` belongs to the context that it is named after.
    pub(super) fn ensure(sqlite: &Connection, path: &Path) -> rusqlite::Result<()> {
        if Self::read(sqlite)?.is_some() {
            return Ok(());
        }
        let context = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self::new(&context, 1).write(sqlite)
    }

    /// Writes the mark, as one commit.
    pub(super) fn write(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        let transaction = sqlite.unchecked_transaction()?;
        transaction.execute_batch(TABLE)?;
        let commits = i64::try_from(self.commits).unwrap_or(i64::MAX);
        let sql = "INSERT INTO seam_store (id, identity, context, commits) VALUES (1, ?1, ?2, ?3)
            ON CONFLICT (id) DO UPDATE SET identity = ?1, context = ?2, commits = ?3";
        transaction.execute(sql, params![self.identity, self.context, commits])?;
        transaction.commit()
    }
}
