//! Generations that were replaced: they finish the calls of the requests that started with them, and are gone after the
//! last.
//!
//! Holds weak references only, so that it keeps no generation alive.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;

use crate::run::Generation;

pub(crate) struct Drain {
    generations: Mutex<Vec<Draining>>,
    clock: Clock,
}

struct Draining {
    generation: Weak<Generation>,
    context: ContextName,
    number: u64,
    since: Instant,
    /// How long its calls may still run.
    limit: Duration,
    cut_off: bool,
}

impl Drain {
    pub fn new(clock: Clock) -> Self {
        Self { generations: Mutex::default(), clock }
    }

    /// Starts to drain `generation`, which no new request reaches any more; its idle instances are dropped now.
    pub fn begin(&self, generation: &Arc<Generation>, limit: Duration) {
        generation.retire();
        self.generations.lock().push(Draining {
            generation: Arc::downgrade(generation),
            context: generation.context().clone(),
            number: generation.number,
            since: self.clock.now(),
            limit,
            cut_off: false,
        });
    }

    /// The replaced generations of `context` and its variants that still have calls.
    pub fn of(&self, context: &str) -> Vec<Arc<Generation>> {
        let is_its = |draining: &&Draining| {
            let name = &draining.context;
            name.variant().map_or(name.as_str(), |(main, _)| main) == context
        };
        self.generations.lock().iter().filter(is_its).filter_map(|draining| draining.generation.upgrade()).collect()
    }

    pub fn list(&self) -> Vec<(ContextName, u64)> {
        let draining = self.generations.lock();
        let alive = draining.iter().filter(|d| d.generation.strong_count() > 0);
        alive.map(|d| (d.context.clone(), d.number)).collect()
    }

    /// Forgets generations that are gone, and cuts off the calls of generations that are past their limit.
    pub fn check(&self) {
        self.generations.lock().retain_mut(|draining| {
            let Draining { context, number, since, limit, .. } = draining;
            let elapsed = self.clock.elapsed_since(*since);
            let ms = elapsed.as_millis() as u64;
            let Some(generation) = draining.generation.upgrade() else {
                tracing::debug!(%context, generation = *number, ms, "a replaced version is gone");
                return false;
            };
            if !draining.cut_off && elapsed > *limit {
                draining.cut_off = true;
                let (running, waiting, _) = generation.occupancy();
                tracing::warn!(
                    %context, generation = *number, running, waiting, ms,
                    "a replaced version still has calls; they are cut off"
                );
                generation.cut_off();
            }
            true
        });
    }

    /// How many generations `check` has not forgotten yet.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.generations.lock().len()
    }
}
