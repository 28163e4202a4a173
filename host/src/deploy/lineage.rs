//! Which versions of a context served one after the other, and so what "the version before" is.
//!
//! A rollback walks back along the deploys. It never leads to a version that a rollback left or that turned bad, or a
//! second rollback would bring the bad version back. Such a version returns by a deploy, or by `--to`.

use std::collections::HashSet;

use seam_store::HostFileError;

use super::history::{ChangeKind, ChangeState, History, HistoryEntry};

/// The versions of one context.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lineage {
    /// The hash of each version that led to the one that serves, oldest first.
    served: Vec<String>,
    /// Versions that a rollback left, or that turned bad when they last served.
    left: HashSet<String>,
}

impl Lineage {
    /// Of the versions of `context`.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn read(history: &History, context: &str) -> Result<Self, HostFileError> {
        let entries = history.entries(Some(context))?;
        Ok(Self::of(entries.iter().rev()))
    }

    /// From the history of one context, oldest entry first.
    fn of<'a>(entries: impl IntoIterator<Item = &'a HistoryEntry>) -> Self {
        let mut lineage = Self::default();
        for entry in entries {
            lineage.add(entry);
        }
        lineage
    }

    fn add(&mut self, entry: &HistoryEntry) {
        let HistoryEntry { kind, state, hash, before, .. } = entry;
        match (state, kind) {
            (ChangeState::Live, ChangeKind::Rollback) => {
                self.came_from(before);
                let from = self.position(hash).unwrap_or(self.served.len());
                self.left.extend(self.served.drain(from..));
                self.serves(hash);
                self.left.insert(before.clone());
            }
            (ChangeState::Live, _) => {
                self.came_from(before);
                self.serves(hash);
            }
            (ChangeState::RolledBack, _) => {
                self.came_from(before);
                self.left.insert(hash.clone());
            }
            (ChangeState::Applying | ChangeState::Refused | ChangeState::Undone | ChangeState::Done, _) => {}
        }
    }

    /// The version that served when a change began, which may be one that no deploy brought.
    fn came_from(&mut self, before: &str) {
        match self.position(before) {
            _ if before.is_empty() => {}
            Some(at) => self.served.truncate(at + 1),
            None => self.served.push(before.to_owned()),
        }
    }

    fn serves(&mut self, hash: &str) {
        self.left.remove(hash);
        self.served.push(hash.to_owned());
    }

    fn position(&self, hash: &str) -> Option<usize> {
        self.served.iter().rposition(|served| served == hash)
    }

    /// The versions to which a rollback from `current` may lead, the nearest first.
    pub fn before<'a>(&'a self, current: &'a str) -> impl Iterator<Item = &'a str> {
        let until = self.position(current).unwrap_or(self.served.len());
        let older = self.served.iter().take(until).rev().map(String::as_str);
        older.filter(move |hash| *hash != current && !self.left.contains(*hash))
    }

    /// Versions that a rollback left, or that turned bad; `--to` leads to them.
    pub fn left(&self) -> Vec<&str> {
        let mut left: Vec<&str> = self.left.iter().map(String::as_str).collect();
        left.sort_unstable();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each change is `before>hash`, with a letter for how it ended: a deploy lives (`d`), is refused (`x`) or turns
    /// bad (`b`); a rollback lives (`r`).
    fn lineage(changes: &str) -> Lineage {
        let entry = |(id, change): (usize, &str)| {
            let (how, versions) = change.split_at(1);
            let (before, hash) = versions.split_once('>').unwrap_or_default();
            let (kind, state) = match how {
                "d" => (ChangeKind::Deploy, ChangeState::Live),
                "b" => (ChangeKind::Deploy, ChangeState::RolledBack),
                "r" => (ChangeKind::Rollback, ChangeState::Live),
                _ => (ChangeKind::Deploy, ChangeState::Refused),
            };
            HistoryEntry {
                id: id as i64,
                context: "c".into(),
                kind,
                state,
                hash: hash.into(),
                before: before.into(),
                file: String::new(),
                schema_before: None,
                schema_after: None,
                irreversible: false,
                why: None,
                began: String::new(),
            }
        };
        let entries: Vec<_> = changes.split_whitespace().enumerate().map(entry).collect();
        Lineage::of(&entries)
    }

    #[test]
    fn a_rollback_walks_back_along_the_deploys_and_never_to_what_was_left() {
        for (changes, current, expect) in [
            ("", "1", ""),
            ("d1>2 d2>3", "3", "2 1"),
            ("d1>2 d2>3 r3>2", "2", "1"),
            ("d1>2 d2>3 r3>2 r2>1", "1", ""),
            // What a rollback left is no goal, also after another deploy.
            ("d1>2 d2>3 r3>2 d2>4", "4", "2 1"),
            // A deploy brings it back, and it is one again.
            ("d1>2 d2>3 r3>2 d2>3 d3>4", "4", "3 2 1"),
            ("d1>2 d2>3 d3>2 r2>3", "3", "1"),
            // Over several at once, by `--to`, and forward again.
            ("d1>2 d2>3 d3>4 r4>2", "2", "1"),
            ("d1>2 d2>3 r3>1 r1>3", "3", ""),
            // What turned bad is none, whether it had served before or not.
            ("d1>2 b2>3", "2", "1"),
            ("d1>2 d2>3 b3>2", "3", "1"),
            ("b1>2", "1", ""),
            ("d1>2 x2>3 d2>4", "4", "2 1"),
            // A version that no deploy brought: the manifest's, or the one before in the place of a damaged one.
            ("d1>2 d2>3", "9", "3 2 1"),
            ("d1>2 d2>3", "2", "1"),
            ("d1>2 d2>3 d2>4", "4", "2 1"),
            ("d1>2 d9>4", "4", "9 2 1"),
        ] {
            let lineage = lineage(changes);
            assert_eq!(lineage.before(current).collect::<Vec<_>>().join(" "), expect, "{changes} at {current}");
        }
        assert_eq!(lineage("d1>2 d2>3 r3>2 b2>4").left(), ["3", "4"]);
    }
}
