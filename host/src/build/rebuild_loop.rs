//! Builds that change their own sources, as generators, formatters and lock files do: without this, each would start
//! the next one for ever.
//!
//! What changed between a build's start and its end may be its product, or an edit that a person saved meanwhile. The
//! next build decides: a build that follows from nothing else and changes files again is a *repeat*. After
//! `limits::BUILD_REPEATS_MAX` of them the files are products: the loop is noticed, and rests until something else
//! changes. A file that changes outside of a build is an edit, also one that a build wrote before.
//! Not here: reading files (`record`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits;

/// What the last build changed among the sources. `S` is the state of a file: it differs when the file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildLoop<S> {
    /// The state of each at the build's end; `None`: the build removed it.
    written: BTreeMap<PathBuf, Option<S>>,
    /// Builds in a row that changed sources, each but the first because of the one before alone.
    repeats: u32,
    /// Files of loops that were noticed.
    products: BTreeSet<PathBuf>,
}

/// Sources that a build changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnChanges {
    pub files: Vec<PathBuf>,
    /// How it builds: the command.
    pub command: String,
    /// They start no further build.
    pub rests: bool,
    /// The loop was noticed just now.
    pub noticed: bool,
}

impl<S> Default for RebuildLoop<S> {
    fn default() -> Self {
        Self { written: BTreeMap::new(), repeats: 0, products: BTreeSet::new() }
    }
}

impl<S: Clone + PartialEq> RebuildLoop<S> {
    /// Whether this file is as the last build left it, having changed it.
    pub fn left(&self, path: &Path, now: Option<&S>) -> bool {
        self.written.get(path).is_some_and(|state| state.as_ref() == now)
    }

    /// Whether the changes of the last build start no further build.
    pub fn rests(&self) -> bool {
        !self.written.is_empty()
            && (self.repeats >= limits::BUILD_REPEATS_MAX
                || self.written.keys().all(|path| self.products.contains(path)))
    }

    /// The sources as the last build left them, if they were `before` at its start.
    pub fn after<'a>(&'a self, before: impl Iterator<Item = (&'a PathBuf, &'a S)>) -> BTreeMap<&'a PathBuf, &'a S> {
        let mut states: BTreeMap<&PathBuf, &S> = before.collect();
        for (path, state) in &self.written {
            match state {
                Some(state) => states.insert(path, state),
                None => states.remove(path),
            };
        }
        states
    }

    /// A build has ended, at whose start and end the sources were so. `repeat`: it followed from nothing but the
    /// changes of the one before. `own`: whether a file is a source of what was built.
    pub fn ended(
        &mut self,
        before: &BTreeMap<PathBuf, S>,
        after: &BTreeMap<PathBuf, S>,
        repeat: bool,
        own: impl Fn(&Path) -> bool,
    ) -> OwnChanges {
        let changed = after.iter().filter(|(path, state)| before.get(*path) != Some(state));
        self.written = changed.map(|(path, state)| (path.clone(), Some(state.clone()))).collect();
        let removed = before.keys().filter(|path| !after.contains_key(*path));
        self.written.extend(removed.map(|path| (path.clone(), None)));
        self.repeats = match (self.written.is_empty(), repeat) {
            (true, _) => 0,
            (false, true) => self.repeats.saturating_add(1),
            (false, false) => 1,
        };
        let noticed = self.repeats == limits::BUILD_REPEATS_MAX && !self.rests_by_products();
        if self.repeats >= limits::BUILD_REPEATS_MAX {
            self.products = self.written.keys().filter(|path| own(path)).cloned().collect();
        }
        let files = self.written.keys().cloned().collect();
        OwnChanges { files, command: String::new(), rests: self.rests(), noticed }
    }

    fn rests_by_products(&self) -> bool {
        !self.written.is_empty() && self.written.keys().all(|path| self.products.contains(path))
    }
}

impl OwnChanges {
    /// A line about a loop of `context`, and what to do about it.
    pub fn text(&self, context: &str) -> (String, String) {
        let files: Vec<String> = self.files.iter().take(3).map(|file| format!("`{}`", file.display())).collect();
        let more = match self.files.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (files, command) = (files.join(", ") + &more, &self.command);
        let message = match self.rests {
            true => format!(
                "the build of `{context}` changes its own sources each time: {files}, by `{command}`; these changes \
                 start no further build, until something else changes"
            ),
            false => format!(
                "sources of `{context}` changed while it was built: {files}, by `{command}` or by an edit; the next \
                 build starts because of them"
            ),
        };
        (message, "let the build write into another folder, or leave what it writes out of its sources".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, u32)]) -> BTreeMap<PathBuf, u32> {
        all.iter().map(|(path, state)| (PathBuf::from(path), *state)).collect()
    }

    #[test]
    fn a_loop_is_noticed_once_and_rests_until_something_else_changes() {
        let mut builds = RebuildLoop::default();
        let mut round = |n: u32, repeat: bool| {
            let (before, after) = (files(&[("a", 0), ("stamp", n)]), files(&[("a", 0), ("stamp", n + 1)]));
            let own = builds.ended(&before, &after, repeat, |_| true);
            (own.rests, own.noticed)
        };
        assert_eq!([round(0, false), round(1, true), round(2, true)], [(false, false), (false, false), (true, true)]);
        // Something else changed: one build, and no second message.
        assert_eq!([round(3, false), round(4, false)], [(true, false), (true, false)]);
        assert!(
            builds.left(Path::new("stamp"), Some(&5)) && !builds.left(Path::new("stamp"), Some(&6)),
            "an edit of it"
        );
        assert!(!builds.left(Path::new("a"), Some(&0)));
    }

    #[test]
    fn an_edit_that_is_saved_during_a_build_starts_the_next_one() {
        let mut builds = RebuildLoop::default();
        let own = builds.ended(&files(&[("a", 0)]), &files(&[("a", 1)]), false, |_| true);
        assert!(!own.rests && own.files == [PathBuf::from("a")]);
        let own = builds.ended(&files(&[("a", 1)]), &files(&[("a", 1)]), true, |_| true);
        assert_eq!(own, OwnChanges::default());
    }

    #[test]
    fn files_with_other_names_each_time_and_removed_ones_are_a_loop_too() {
        let mut builds = RebuildLoop::default();
        for n in 0..limits::BUILD_REPEATS_MAX {
            let (before, after) = (format!("out{n}"), format!("out{}", n + 1));
            let own = builds.ended(&files(&[(&before, 0)]), &files(&[(&after, 0)]), n > 0, |_| true);
            assert_eq!(own.files, [PathBuf::from(&before), PathBuf::from(&after)]);
            assert_eq!(own.rests, n + 1 == limits::BUILD_REPEATS_MAX);
        }
        assert!(!builds.left(Path::new("out0"), None) && builds.left(Path::new("out2"), None));
    }

    #[test]
    fn what_one_context_writes_into_the_sources_of_another_is_built_after_each_edit() {
        let mut builds = RebuildLoop::default();
        for n in 0..limits::BUILD_REPEATS_MAX {
            builds.ended(&files(&[("b", n)]), &files(&[("b", n + 1)]), n > 0, |_| false);
        }
        assert!(builds.rests());
        assert!(!builds.ended(&files(&[("b", 8)]), &files(&[("b", 9)]), false, |_| false).rests);
    }
}
