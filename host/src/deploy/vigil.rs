//! A version that was called too seldom while it was watched stays on probation for its first calls.
//!
//! Without calls, a watch shows nothing. The deploy ends all the same, and other changes may begin; the first of them
//! that publishes something ends the vigil, because a set has one version on probation.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_runtime::serve::{Probation, Registry};
use seam_store::ids::ContextName;

use super::judge::Judge;
use crate::limits;

/// A version on probation.
pub(super) struct OnWatch {
    pub context: ContextName,
    /// The number of its generation.
    pub generation: u64,
    /// The ID of its change in the history.
    pub change: i64,
    /// The schema of its file, if the version before does not know that schema.
    pub newer_schema: Option<u32>,
    /// The schema of its file, if the version itself does not know that schema.
    pub tolerated_schema: Option<u32>,
    pub probation: Probation,
    pub began: Instant,
}

pub(super) struct Vigil {
    pub watched: OnWatch,
    judge: Judge,
    looked: Instant,
    alarmed: bool,
}

/// What a look at a vigil shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    GoesOn,
    /// The version stays; the text is for the history.
    Ends(String),
    /// The version turned bad: why.
    Bad(String),
}

impl Vigil {
    /// Goes on with the `judge` of the watch.
    pub fn new(watched: OnWatch, judge: Judge, now: Instant) -> Self {
        Self { watched, judge, looked: now, alarmed: false }
    }

    /// Call this every `limits::DRAIN_CHECK_MS`.
    pub fn look(&mut self, registry: &Registry) -> Look {
        let OnWatch { context, generation, began, .. } = &self.watched;
        let now = registry.clock().now();
        let counts = self.watched.probation.counts();
        let calls = counts.1.calls();
        if registry.on_probation() != Some((context.clone(), *generation)) {
            return Look::Ends(format!("{}, when another change ended the probation", called(calls)));
        }
        let due = Duration::from_millis(limits::DRAIN_CHECK_MS);
        let (after, broken) = (now.saturating_duration_since(self.looked), counts.1.broken);
        self.looked = now;
        if let Some(why) = self.judge.look(counts, after, due) {
            return Look::Bad(why);
        }
        if self.judge.has_broken() && !self.alarmed {
            self.alarmed = true;
            tracing::error!(
                target: "deploy", %context, generation, calls, broken,
                hint = format!("`seam rollback {context}` puts the version before back"),
                "a version that was hardly called while it was watched breaks its first calls"
            );
        }
        let waited = now.saturating_duration_since(*began);
        let over = calls >= limits::DEPLOY_COVERED_CALLS || waited >= Duration::from_millis(limits::DEPLOY_COVER_MS);
        match over {
            true => Look::Ends(format!("{}, {broken} broken, when the probation ended", called(calls))),
            false => Look::GoesOn,
        }
    }
}

/// How often it was called, as a clause.
pub(super) fn called(calls: u64) -> String {
    match calls {
        0 => "nothing called it".to_owned(),
        1 => "it was called once".to_owned(),
        calls => format!("it was called {calls} times"),
    }
}

#[derive(Default)]
pub(super) struct Vigils(Mutex<Vec<Vigil>>);

impl Vigils {
    pub fn add(&self, vigil: Vigil) {
        self.0.lock().push(vigil);
    }

    /// Takes all of them out. One that goes on must be added again.
    pub fn take(&self) -> Vec<Vigil> {
        std::mem::take(&mut *self.0.lock())
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
