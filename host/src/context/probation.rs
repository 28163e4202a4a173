//! A new version while it is watched: the set that served before is kept, and a request that the new version breaks is run again with it.
//!
//! Invariant: every answer comes from one set. A request is run again as a whole, only at the edge, and only if nothing was committed and
//! nobody outside was asked while it ran. Outside of a probation nothing of this costs anything.
//! Not here: when a version has turned bad (`deploy`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::lean;
use super::published::Published;
use super::registry::{Error, Live, Registry};
use super::tally::Count;
use crate::call::{Call, Failure};
use crate::ids::ContextName;
use crate::limits;
use crate::seam::dispatch::{Marks, Set};

/// What a request falls back on.
pub(super) struct Spare {
    pub generation: Arc<Generation>,
    pub set: Set,
    /// The generation on probation.
    pub on: u64,
}

/// A version on probation, to be kept or undone. Dropped, it is kept.
pub struct Probation {
    registry: Registry,
    /// What served before it.
    previous: Arc<Published>,
    before: Arc<Generation>,
    on: Arc<Generation>,
    ended: bool,
}

impl Probation {
    /// `on` serves now in the place of `before`, which served in `previous`.
    pub(super) fn new(
        registry: Registry,
        previous: Arc<Published>,
        before: Arc<Generation>,
        on: Arc<Generation>,
    ) -> Self {
        // One call in a thousand may have met a busy machine.
        let slow = before.tally.count().below(0.999);
        if slow > Duration::ZERO {
            let patience = (slow * 4).max(Duration::from_millis(limits::PROBATION_PATIENCE_MS));
            on.patience_us.store(u64::try_from(patience.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
        Self { registry, previous, before, on, ended: false }
    }

    /// What the version before has done, and what the one on probation has done.
    pub fn counts(&self) -> (Count, Count) {
        (self.before.tally.count(), self.on.tally.count())
    }

    /// The version stays, and the one before goes when its last request has ended.
    pub fn keep(mut self) {
        self.end();
    }

    /// The version before serves again, its file being at schema `ahead` by now if that is one that it does not know. Calls of the other
    /// get a moment to end; then they are cut off, and run again where they can be.
    ///
    /// # Errors
    /// When something else was published meanwhile, and the version before does not fit to it.
    pub fn undo(mut self, ahead: Option<u32>) -> Result<(), Error> {
        self.ended = true;
        self.before.set_ahead(ahead);
        self.registry.undo(&self.previous, &self.before, &self.on)
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.on.patience_us.store(0, Relaxed);
            self.registry.end_probation(&self.before, &self.on);
        }
    }
}

impl Drop for Probation {
    fn drop(&mut self) {
        self.end();
    }
}

impl Registry {
    /// Publishes `next` if `base` serves still, with the generation that replaces the one of `context` on probation.
    pub(super) fn publish_on_probation(
        &self,
        base: &Published,
        next: Vec<Arc<Generation>>,
        context: &str,
    ) -> Result<Probation, Error> {
        let of = |generations: &[Arc<Generation>]| {
            let found = generations.iter().find(|generation| generation.context().as_str() == context);
            found.cloned().ok_or_else(|| Error::NoContext { name: context.to_owned() })
        };
        let (before, on) = (of(&base.generations)?, of(&next)?);
        let (now, next) = {
            let _turn = self.routing().turn();
            let now = self.0.published.load_full();
            if !now.is_made_of(&base.generations) {
                return Err(Error::Overtaken);
            }
            let mut next = Published::of(next, self.routing());
            next.spare = Some((now.clone(), on.id()));
            let next = Arc::new(next);
            self.0.published.store(next.clone());
            (now, next)
        };
        // The one before is kept as it is, with its instances; others that were replaced with it are not needed.
        for replaced in base.generations.iter().filter(|old| !next.has(old) && !Arc::ptr_eq(old, &before)) {
            self.0.drain.begin(replaced, Duration::from_millis(limits::DRAIN_MS_MAX));
        }
        Ok(Probation::new(self.clone(), now, before, on))
    }

    /// Nothing falls back on `before` any more.
    fn end_probation(&self, before: &Arc<Generation>, on: &Arc<Generation>) {
        let _turn = self.routing().turn();
        let now = self.0.published.load_full();
        if now.spare.as_ref().is_some_and(|(_, id)| *id == on.id()) {
            self.0.published.store(Arc::new(Published::of(now.generations.clone(), self.routing())));
        }
        if !now.has(before) {
            self.0.drain.begin(before, Duration::from_millis(limits::DRAIN_MS_MAX));
        }
    }

    /// `before` serves again in the place of `on`.
    fn undo(&self, previous: &Arc<Published>, before: &Arc<Generation>, on: &Arc<Generation>) -> Result<(), Error> {
        let limit = Duration::from_millis(limits::PROBATION_PATIENCE_MS);
        {
            let _turn = self.routing().turn();
            let now = self.0.published.load_full();
            if now.spare.as_ref().is_some_and(|(_, id)| *id == on.id()) {
                let next = Arc::new(Published::of(previous.generations.clone(), self.routing()));
                self.0.published.store(next.clone());
                for replaced in now.generations.iter().filter(|old| !next.has(old)) {
                    self.0.drain.begin(replaced, limit);
                }
                return Ok(());
            }
        }
        // Something else was published meanwhile: the version before is linked into that.
        let mut parts = self.parts();
        if let Some(part) = parts.iter_mut().find(|part| part.entry.name == *before.context()) {
            *part = before.part_now();
        }
        let prepared = self.prepare(parts)?;
        prepared.migrate()?;
        prepared.publish()
    }

    /// The version that is on probation now, if one is: its context and number.
    pub fn on_probation(&self) -> Option<(ContextName, u64)> {
        let now = self.0.published.load();
        let id = now.spare.as_ref().map(|(_, id)| *id)?;
        let on = now.generations.iter().find(|generation| generation.id() == id)?;
        Some((on.context().clone(), on.number))
    }
}

impl Live {
    /// Runs a request with the version on probation, and, if that broke it, with the one before.
    #[cold]
    pub(super) fn handle_with_spare(
        &self,
        spare: &Spare,
        call: Call,
        request: lean::Request,
    ) -> Result<lean::Response, Failure> {
        let started = Instant::now();
        let marks = Arc::new(Marks::of(spare.on));
        let set = self.set().marked(marks.clone());
        let first = self.generation().handle(self.steered(call), &set, request.clone());
        if !marks.can_be_run_again() {
            return first;
        }
        tracing::warn!(
            context = %self.generation().context(), trace = %call.trace,
            "a version on probation broke a request; it is run again with the version before"
        );
        let mut again = call;
        again.deadline += started.elapsed();
        spare.generation.handle(self.steered(again), &spare.set, request)
    }
}
