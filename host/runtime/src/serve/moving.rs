//! A context that moves to another host while it is called: its calls wait meanwhile, and then go there.
//!
//! Invariants: a call waits no longer than its own deadline. It runs here or there, and never on both: none runs here
//! any more once it may run there.
//! Not here: the file, and who decides that the context moves (the crate `seam`).

use std::sync::Arc;
use std::time::Duration;

use seam_store::ids::ContextName;
use seam_store::{Database, HostFileError};

use super::error::Error;
use super::prepare::{Linked, Prepared};
use super::registry::Registry;
use crate::component::ContextSpec;
use crate::run::Generation;
use crate::run::generation::NewHome;

/// The calls of a context, held: those that run go on, and no other one begins before this is dropped.
pub struct HeldCalls {
    registry: Registry,
    context: ContextName,
    generations: Vec<Arc<Generation>>,
    moved: bool,
}

impl Registry {
    /// Whether the host of a context that lives elsewhere cannot be reached now.
    pub fn is_down(&self, context: &ContextName) -> bool {
        self.outboxes_said().is_down(context)
    }

    /// Holds the calls of `context` and of its variants, in all versions that a request can still reach.
    pub fn hold_calls(&self, context: &ContextName) -> HeldCalls {
        let is_its = |generation: &&Arc<Generation>| main(generation.context()) == context.as_str();
        let set = self.serving();
        let mut generations: Vec<_> = set.reachable().filter(is_its).cloned().collect();
        generations.extend(self.0.publisher.drain.of(context.as_str()));
        generations.iter().for_each(|generation| generation.hold());
        HeldCalls { registry: self.clone(), context: context.clone(), generations, moved: false }
    }

    /// Takes the next file of `context` as it is, whatever this host remembers of one that it had: it comes from
    /// another host.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn expect_another_store(&self, context: &ContextName) -> Result<(), HostFileError> {
        self.0.stores.expect_another(context)
    }

    /// Whether this host remembers a file of `context`, which `expect_another_store` would have it forget.
    pub fn remembers_store(&self, context: &ContextName) -> bool {
        self.0.stores.remembers(context)
    }

    /// The version that is on probation now: its context and number.
    pub fn on_probation(&self) -> Option<(ContextName, u64)> {
        let set = self.0.publisher.serving();
        let watched = set.generations.iter().find(|generation| set.is_on_probation(generation))?;
        Some((watched.context().clone(), watched.number))
    }

    /// As `prepare`, of contexts that were linked before. It cannot be published once another set was since.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn prepare_linked(&self, linked: Linked) -> Result<Prepared, Error> {
        self.prepare_without(linked, &[], None)
    }

    /// As `prepare_linked`, with this file for the context that is named: to see how long it takes. Do not publish it.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn rehearse(&self, linked: Linked, lent: (&ContextName, &Arc<Database>)) -> Result<Prepared, Error> {
        self.prepare_without(linked, &[], Some(lent))
    }

    /// The specs that serve now, with `context` and its variants on the host `at`; `None`: on this one. The `token` is
    /// that of the new owner of its file.
    pub fn specs_with(&self, context: &ContextName, at: Option<&str>, token: u64) -> Vec<ContextSpec> {
        let mut specs = self.specs();
        for spec in specs.iter_mut().filter(|spec| main(&spec.settings.name) == context.as_str()) {
            (spec.settings.at, spec.settings.token) = (at.map(ToOwned::to_owned), token);
        }
        specs
    }
}

fn main(name: &ContextName) -> &str {
    name.variant().map_or(name.as_str(), |(main, _)| main)
}

impl HeldCalls {
    /// The calls that run.
    pub fn running(&self) -> u32 {
        self.generations.iter().map(|generation| generation.occupancy().0).sum()
    }

    /// The calls that wait.
    pub fn waiting(&self) -> usize {
        self.generations.iter().map(|generation| generation.occupancy().1).sum()
    }

    /// Waits until no call runs, and looks every `pause`. `false`: some still run after `most`.
    pub async fn until_none_runs(&self, pause: Duration, most: Duration) -> bool {
        let none_runs = async {
            while self.running() > 0 {
                tokio::time::sleep(pause).await;
            }
        };
        tokio::time::timeout(most, none_runs).await.is_ok()
    }

    /// Sends the calls that wait, and those of requests that still know the old versions, to the host that owns the
    /// context now under this token. The set that serves must know the context there already.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn go_to(mut self, host: &str, token: u64) -> Result<(), Error> {
        let set = self.registry.serving();
        let absent = || Error::Problems(Vec::new());
        let main = set.generation(self.context.as_str()).map_err(|_| absent())?;
        let callee = set.callees.get(usize::from(main.index)).ok_or_else(absent)?.clone();
        self.moved = true;
        self.registry.0.stores.forget(&self.context);
        for generation in &self.generations {
            generation.move_to(NewHome { host: host.to_owned(), token, callee: callee.clone() });
        }
        Ok(())
    }
}

impl Drop for HeldCalls {
    fn drop(&mut self) {
        if !self.moved {
            self.generations.iter().for_each(|generation| generation.go_on());
        }
    }
}
