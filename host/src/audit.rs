//! Who changed what by hand, when and why: one table in the host's own file, for every part of the host that lets an
//! operator act on what contexts keep.
//!
//! Invariants: a line stands on the disk before its change is made, and gets the outcome afterwards; one without an
//! outcome was cut off, and may or may not have been done. A line that has its outcome is not changed. No line has a
//! value of an event, a call or a row.
//! Not here: deploys, which the history has (`deploy`).

use std::fmt::Display;
use std::sync::Arc;

use rusqlite::{Connection, params};
use seam_store::{HostFile, HostFileError};
use serde::{Deserialize, Serialize};

use crate::limits;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS audit (
    id      INTEGER PRIMARY KEY,
    time    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    who     TEXT NOT NULL,
    command TEXT NOT NULL,
    why     TEXT NOT NULL,
    outcome TEXT
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_line_is_final BEFORE UPDATE ON audit WHEN OLD.outcome IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a line of the audit log does not change'); END;
";

/// The audit log. Cheap to clone.
#[derive(Clone)]
pub struct Audit(Arc<HostFile>);

/// Who does something, with which command, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act<'a> {
    /// The operating system's user: `ada (1000)`.
    pub who: &'a str,
    /// As it would be typed: `seam events discard mail 17`.
    pub command: &'a str,
    /// The operator's words; may be empty where the action does not ask for them.
    pub why: &'a str,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    pub id: i64,
    /// RFC 3339, UTC.
    pub time: String,
    pub who: String,
    pub command: String,
    pub why: String,
    /// `None`: it was cut off, or goes on now.
    pub outcome: Option<String>,
}

impl Audit {
    /// # Errors
    /// When the host's file cannot be written.
    pub fn new(file: Arc<HostFile>) -> Result<Self, HostFileError> {
        file.change(|file| file.execute_batch(TABLE))?;
        Ok(Self(file))
    }

    /// Does `work`, with a line that says so. `work` returns its value, and what it did in a few words without values.
    ///
    /// # Errors
    /// The error of `work`, which the line has too; or, before anything is done, that the line cannot be written.
    pub fn act<T, E: Display + From<HostFileError>>(
        &self,
        act: &Act<'_>,
        work: impl FnOnce() -> Result<(T, String), E>,
    ) -> Result<T, E> {
        let id = self.0.change(|file| begin(file, act))?;
        self.ended(id, act, work())
    }

    /// As `act`, for work that waits.
    ///
    /// # Errors
    /// As `act`.
    pub async fn act_async<T, E: Display + From<HostFileError>>(
        &self,
        act: &Act<'_>,
        work: impl Future<Output = Result<(T, String), E>>,
    ) -> Result<T, E> {
        let id = self.0.change(|file| begin(file, act))?;
        self.ended(id, act, work.await)
    }

    fn ended<T, E: Display>(&self, id: i64, act: &Act<'_>, done: Result<(T, String), E>) -> Result<T, E> {
        let outcome = match &done {
            Ok((_, what)) => format!("done: {what}"),
            Err(error) => format!("failed: {error}"),
        };
        let noted = self
            .0
            .change(|file| file.execute("UPDATE audit SET outcome = ?2 WHERE id = ?1", params![id, outcome]).map(drop));
        if let Err(error) = noted {
            // The change is made: its line stays without an outcome.
            tracing::error!(target: "audit", error = seam_store::chain(&error), command = act.command, "{outcome}");
        }
        tracing::info!(target: "audit", who = act.who, command = act.command, "{outcome}");
        done.map(|(value, _)| value)
    }

    /// The newest lines, the newest first.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn lines(&self, most: u32) -> Result<Vec<AuditLine>, HostFileError> {
        self.0.read(|file| {
            let sql = "SELECT id, time, who, command, why, outcome FROM audit ORDER BY id DESC LIMIT ?1";
            let line = |row: &rusqlite::Row<'_>| {
                Ok(AuditLine {
                    id: row.get(0)?,
                    time: row.get(1)?,
                    who: row.get(2)?,
                    command: row.get(3)?,
                    why: row.get(4)?,
                    outcome: row.get(5)?,
                })
            };
            file.prepare(sql)?.query_map([most], line)?.collect()
        })
    }
}

fn begin(file: &Connection, act: &Act<'_>) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO audit (who, command, why) VALUES (?1, ?2, ?3)";
    file.execute(insert, params![act.who, act.command, act.why])?;
    let id = file.last_insert_rowid();
    let oldest = id.saturating_sub(i64::from(limits::AUDIT_LINES_MAX));
    file.execute("DELETE FROM audit WHERE id <= ?1", [oldest])?;
    Ok(id)
}

/// The name and number of a user of this machine: `ada (1000)`.
pub fn user(uid: u32) -> String {
    // Without the file, or for a user from elsewhere, the number says it.
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&users, uid).map_or_else(|| uid.to_string(), |name| format!("{name} ({uid})"))
}

/// A word of a command, in quotes where a shell needs them.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/:".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn named(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Trouble {
        #[error("no room")]
        NoRoom,
        #[error(transparent)]
        Host(#[from] HostFileError),
    }

    fn audit() -> (tempfile::TempDir, Arc<HostFile>, Audit) {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(HostFile::open(folder.path()).unwrap());
        let audit = Audit::new(file.clone()).unwrap();
        (folder, file, audit)
    }

    const ACT: Act<'_> = Act { who: "ada (1000)", command: "seam events discard mail 17", why: "a test order" };

    #[test]
    fn a_line_stands_before_the_change_and_gets_its_outcome() {
        let (_folder, _, audit) = audit();
        let seen = audit.act(&ACT, || {
            let during = audit.lines(10).map_err(Trouble::from)?;
            Ok::<_, Trouble>((during, "1 event".to_owned()))
        });
        let during = seen.unwrap();
        assert_eq!(during.iter().map(|line| line.outcome.clone()).collect::<Vec<_>>(), [None]);
        assert!(matches!(audit.act(&ACT, || Err::<((), String), _>(Trouble::NoRoom)), Err(Trouble::NoRoom)));
        let lines = audit.lines(10).unwrap();
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome.as_deref().unwrap()).collect();
        assert_eq!(outcomes, ["failed: no room", "done: 1 event"]);
        let line = lines.first().unwrap();
        assert_eq!((&*line.who, &*line.command, &*line.why), (ACT.who, ACT.command, ACT.why));
        assert_eq!(audit.lines(1).unwrap().len(), 1);
    }

    #[test]
    fn a_line_with_its_outcome_does_not_change() {
        let (_folder, file, audit) = audit();
        audit.act(&ACT, || Ok::<_, Trouble>(((), "1 event".to_owned()))).unwrap();
        let forged = file.change(|file| file.execute("UPDATE audit SET who = 'nemo'", []));
        assert!(seam_store::chain(&forged.unwrap_err()).contains("does not change"));
        assert_eq!(audit.lines(1).unwrap().first().unwrap().who, ACT.who);
    }

    #[test]
    fn a_user_is_shown_by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nodd:line\n";
        assert_eq!(named(users, 1000), Some("ada"));
        assert_eq!(named(users, 0), Some("root"));
        assert_eq!(named(users, 7), None);
    }
}
