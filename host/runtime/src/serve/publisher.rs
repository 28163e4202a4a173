//! The one place where a set of generations replaces another.
//!
//! Invariants: sets change one at a time, each decided on the set that it replaces; a new set is published whole; a
//! generation that no new request can reach drains.
//! Not here: what the next set is (`registry`, `probation`, `routes`).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use seam_store::clock::Clock;

use super::drain::Drain;
use super::routing::Routing;
use super::serving_set::{OnProbation, ServingSet};
use crate::limits;
use crate::run::Generation;

pub(crate) struct Publisher {
    serving: ArcSwap<ServingSet>,
    /// Held from the decision on the next set until that set serves.
    changing: Mutex<()>,
    pub routing: Routing,
    pub drain: Drain,
}

/// The set that will serve next.
pub(crate) struct Next {
    pub generations: Vec<Arc<Generation>>,
    pub on_probation: Option<OnProbation>,
    /// How long the calls of replaced generations may still run.
    pub drain_limit: Duration,
}

impl Next {
    pub fn new(generations: Vec<Arc<Generation>>, on_probation: Option<OnProbation>) -> Self {
        Self { generations, on_probation, drain_limit: Duration::from_millis(limits::DRAIN_MS_MAX) }
    }
}

impl Publisher {
    fn new(routing: Routing, clock: Clock) -> Self {
        Self { serving: ArcSwap::default(), changing: Mutex::default(), routing, drain: Drain::new(clock) }
    }

    /// The same, which callees on other hosts ask who serves a context here.
    pub fn start(routing: Routing, clock: Clock) -> Arc<Self> {
        let here = routing.here.clone();
        let publisher = Arc::new(Self::new(routing, clock));
        let newest = Arc::downgrade(&publisher);
        here.get_or_init(|| {
            Arc::new(move |context| {
                let set = newest.upgrade()?.serving().clone();
                let main = set.generation(context.as_str()).ok()?.index;
                set.callees.get(usize::from(main)).cloned()
            })
        });
        publisher
    }

    /// The set that serves now.
    pub fn serving(&self) -> Guard<Arc<ServingSet>> {
        self.serving.load()
    }

    /// Replaces the serving set by the set that `decide` returns; `None` leaves everything as it is. No other change
    /// happens between the decision and the replacement. Returns whether the set was replaced.
    ///
    /// # Errors
    /// Those of `decide`; then nothing has changed.
    pub fn replace<E>(&self, decide: impl FnOnce(&Arc<ServingSet>) -> Result<Option<Next>, E>) -> Result<bool, E> {
        let changing = self.changing.lock();
        let now = self.serving.load_full();
        let Some(Next { generations, on_probation, drain_limit }) = decide(&now)? else { return Ok(false) };
        let next = Arc::new(ServingSet::new(generations, on_probation, &self.routing));
        self.serving.store(next.clone());
        drop(changing);
        for replaced in now.reachable().filter(|old| !next.reaches(old)) {
            self.drain.begin(replaced, drain_limit);
        }
        Ok(true)
    }
}
