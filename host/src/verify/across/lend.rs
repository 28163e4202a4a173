//! Gives the amounts of contexts of this host to the hosts that compare them.
//!
//! Not here: which host may ask (`remote`, `app`).

use std::sync::Arc;
use std::time::Instant;

use seam_runtime::call::Failure;
use seam_runtime::serve::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::produce;
use crate::limits;
use crate::remote::{Opening, Pages, TotalAsk, Totals};

/// The contexts of this host.
pub struct Lender {
    registry: Registry,
    /// A permit for each side that is read.
    places: Arc<Semaphore>,
}

impl Lender {
    pub fn new(registry: Registry) -> Self {
        Self { registry, places: Arc::new(Semaphore::new(limits::TOTALS_OPEN)) }
    }
}

impl Totals for Lender {
    fn open(&self, ask: TotalAsk) -> Opening {
        let (registry, place) = (self.registry.clone(), self.places.clone().try_acquire_owned());
        Box::pin(async move {
            let context = ask.context.to_string();
            let Ok(place) = place else { return Err(Failure::Overloaded { context }) };
            // It waits for commits.
            let opened = tokio::task::spawn_blocking(move || lend(&registry, &ask, Arc::new(place)));
            opened.await.unwrap_or_else(|error| {
                tracing::error!(target: "reconcile", context, %error, "giving amounts failed in the host");
                Err(Failure::Absent { context, reason: "its host failed".to_owned() })
            })
        })
    }
}

fn lend(registry: &Registry, ask: &TotalAsk, place: Arc<OwnedSemaphorePermit>) -> Result<Pages, Failure> {
    let name = ask.context.as_str();
    let absent = |reason: String| Failure::Absent { context: name.to_owned(), reason };
    let generations = registry.all_generations();
    let generation = generations.iter().find(|one| one.context().as_str() == name);
    let generation = generation.ok_or_else(|| absent("this system has no such context".to_owned()))?;
    if generation.lives_elsewhere().is_some() {
        return Err(generation.absence());
    }
    let deadline = Instant::now() + ask.remaining;
    let opened = produce::open(registry, &ask.total, &[name], deadline, &place);
    let opened = opened.map_err(|unlooked| absent(unlooked.why))?.remove(name);
    opened.ok_or_else(|| absent(format!("its version that serves does not declare the total `{}`", ask.total)))
}
