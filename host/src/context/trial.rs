//! A version of a context apart from the system: on a file of its own, without the network, calling nobody but who is given.
//!
//! Invariant: whatever runs here leaves no trace in the running system but lines in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::instance::Instance;
use super::linked::{self, Part};
use super::recorder::Recorder;
use super::registry::{Error, Live, Registry};
use super::start;
use super::stats::Stats;
use crate::call::{Call, ContextIndex, Failure};
use crate::handoff;
use crate::ids::Trace;
use crate::manifest::Recording;
use crate::seam::dispatch::{Dispatch, Exchange, Function, Set};
use crate::store::{Database, Migration};

/// A version that started.
pub struct Trial {
    generation: Arc<Generation>,
    /// All migrations that its component brings, oldest first.
    pub migrations: Vec<Migration>,
    neighbours: usize,
}

impl Registry {
    /// Starts `context` as it is among `parts`, with `database` in the place of its file.
    ///
    /// # Errors
    /// Everything that keeps `parts` from being one system, or the context from starting.
    pub fn trial(&self, parts: Vec<Part>, context: &str, database: Option<Arc<Database>>) -> Result<Trial, Error> {
        let neighbours = parts.len();
        let (at, mut wired) = linked::wire_one(self.engine(), parts, context)?;
        // What a trial does must not reach the world.
        wired.part.entry.outgoing.clear();
        let index = ContextIndex::try_from(at).unwrap_or(ContextIndex::MAX);
        let refused = |problem| Error::Problems(vec![problem]);
        let nothing = Recorder::new(&Recording { per_s: 0, secrets: Vec::new() });
        let stats = Arc::new(Stats::apart());
        let generation = start::generation(index, 0, wired, database, stats, nothing).map_err(refused)?;
        let migrations = generation.probe().map_err(refused)?;
        Ok(Trial { generation: Arc::new(generation), migrations, neighbours })
    }
}

impl Trial {
    /// The version as a request sees it that finds no other context.
    pub fn alone(&self) -> Live {
        self.beside_one(Arc::new(Nobody))
    }

    /// The same with one that answers for every other.
    pub fn beside_one(&self, other: Arc<dyn Dispatch>) -> Live {
        let set = std::iter::repeat_n(other, self.neighbours).collect();
        Live::apart(self.generation.clone(), set)
    }

    pub fn has_health(&self) -> bool {
        self.generation.plan.health.is_some()
    }

    /// What the version says of itself within `limit`; `None` when it has no `seam:host/health`.
    ///
    /// # Errors
    /// When it says nothing.
    pub fn health(&self, limit: Duration) -> Option<Result<Result<(), String>, Failure>> {
        let index = self.generation.plan.health.as_ref()?;
        let call = Call::start(Instant::now() + limit, Trace::start());
        Some(self.ask(call, index))
    }

    fn ask(
        &self,
        call: Call,
        index: &wasmtime::component::ComponentExportIndex,
    ) -> Result<Result<(), String>, Failure> {
        let generation = &self.generation;
        let failed = |error: &wasmtime::Error| generation.failure(&call, error, "health");
        let set = self.alone().set().clone();
        let asked = if generation.plan.asynchronous {
            handoff::block_on(async {
                let mut instance = Instance::start_async(&generation.plan).await?;
                instance.begin(call, set);
                let check =
                    instance.instance.get_typed_func::<(), (Result<(), String>,)>(&mut instance.store, index)?;
                check.call_async(&mut instance.store, ()).await
            })
        } else {
            Instance::start(&generation.plan).and_then(|mut instance| {
                instance.begin(call, set);
                let check =
                    instance.instance.get_typed_func::<(), (Result<(), String>,)>(&mut instance.store, index)?;
                check.call(&mut instance.store, ())
            })
        };
        asked.map(|(health,)| health).map_err(|error| failed(&error))
    }
}

/// Stands for every other context where none is to be reached.
struct Nobody;

impl Dispatch for Nobody {
    fn call(&self, _: Call, _: &Set, function: &Function, _: &mut dyn Exchange) -> Result<(), Failure> {
        let reason = "a version that is tried calls nobody".to_owned();
        Err(Failure::Absent { context: function.interface.clone(), reason })
    }
}
