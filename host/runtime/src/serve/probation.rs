//! A new version on probation: the set that served before is kept, and answers the requests that the new version
//! breaks.
//!
//! Invariant: every answer comes from one set. Only the edge runs a request again, as a whole, and only when the first
//! run committed nothing and called nothing outside the host. Without a probation this costs nothing.
//! Not here: when a version has turned bad (`deploy`).

use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::publisher::{Next, Publisher};
use super::serving_set::{OnProbation, ServingSet};
use crate::guest::dispatch::WatchedVersion;
use crate::limits;
use crate::run::{CallCounts, Generation};

/// A version on probation, to be kept or undone. Dropping this keeps the version.
pub struct Probation {
    publisher: Arc<Publisher>,
    before: Arc<Generation>,
    watched: Arc<Generation>,
}

impl Probation {
    /// Publishes `next` if `base` still serves, with its generation of `context` on probation.
    ///
    /// # Errors
    /// `Error::Overtaken` when another set serves by now; `Error::NoContext` when one of the sets has no such context.
    pub(super) fn start(
        publisher: Arc<Publisher>,
        base: &ServingSet,
        next: Vec<Arc<Generation>>,
        context: &str,
    ) -> Result<Self, Error> {
        let find = |generations: &[Arc<Generation>]| {
            let found = generations.iter().find(|generation| generation.context().as_str() == context);
            found.cloned().ok_or_else(|| Error::NoContext { name: context.to_owned() })
        };
        let (before, watched) = (find(&base.generations)?, find(&next)?);
        // The slowest call in a thousand does not count: it may have met a busy machine.
        let slow = Some(before.call_stats.counts().below(0.999)).filter(|slow| *slow > Duration::ZERO);
        let timeout = slow.map(|slow| (slow * 4).max(Duration::from_millis(limits::PROBATION_TIMEOUT_MS)));
        publisher.replace(|now| match now.is_made_of(&base.generations) {
            true => {
                let version = WatchedVersion { id: watched.id(), timeout };
                let on_probation = OnProbation { version, previous: now.clone() };
                Ok(Some(Next::new(next, Some(on_probation))))
            }
            false => Err(Error::Overtaken),
        })?;
        Ok(Self { publisher, before, watched })
    }

    /// The counts of the version before, and of the version on probation.
    pub fn counts(&self) -> (CallCounts, CallCounts) {
        (self.before.call_stats.counts(), self.watched.call_stats.counts())
    }

    /// The calls of all versions before the two of them, since the host started.
    pub fn calls_earlier(&self) -> CallCounts {
        self.before.calls_before()
    }

    pub(super) fn before(&self) -> &Arc<Generation> {
        &self.before
    }

    /// Ends the probation: the version stays, and the one before drains.
    pub fn keep(self) {}

    /// Publishes the set from before the probation again. The calls of the version on probation have a moment to end;
    /// then they are cut off, and run again where that is possible. Returns false when another set was published
    /// meanwhile; then nothing has changed.
    pub(super) fn restore_previous(&self) -> bool {
        let restored = self.publisher.replace(|now| {
            let on_probation = now.on_probation.as_ref().filter(|_| now.is_on_probation(&self.watched));
            let previous = on_probation.map(|on| on.previous.generations.clone());
            let drain_limit = Duration::from_millis(limits::PROBATION_TIMEOUT_MS);
            Ok::<_, std::convert::Infallible>(previous.map(|set| Next { drain_limit, ..Next::new(set, None) }))
        });
        restored.unwrap_or(false)
    }
}

impl Drop for Probation {
    fn drop(&mut self) {
        let kept = self.publisher.replace(|now| {
            let ended = now.is_on_probation(&self.watched);
            Ok::<_, std::convert::Infallible>(ended.then(|| Next::new(now.generations.clone(), None)))
        });
        // There is no error: its type is `Infallible`.
        kept.ok();
    }
}
