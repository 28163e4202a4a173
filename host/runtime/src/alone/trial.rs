//! Tries a version of a context apart from the running system: on a file of its own, without network and neighbours.
//!
//! Invariant: a trial leaves no trace in the running system except lines in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::Trace;
use seam_store::{Database, Invariant, Migration, SagaDefinition};

use crate::call::{Call, ContextIndex, Failure};
use crate::component::{ContextProblem, ContextSpec};
use crate::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function};
use crate::link;
use crate::run::instance::Instance;
use crate::run::{Generation, Inherited, start};
use crate::serve::{Error, Live, Registry};

/// A version that started.
pub struct Trial {
    generation: Arc<Generation>,
    /// All migrations that its component brings, oldest first.
    pub migrations: Vec<Migration>,
    neighbours: usize,
}

impl Trial {
    /// Starts `context` as it is in `specs`, beside the system of `registry`, with `database` in the place of its file.
    ///
    /// # Errors
    /// Everything that keeps `specs` from being one system, or the context from starting.
    pub fn start(
        registry: &Registry,
        specs: Vec<ContextSpec>,
        context: &str,
        database: Option<Arc<Database>>,
    ) -> Result<Self, Error> {
        let neighbours = specs.len();
        let wired = link::wire_one(registry.engine(), specs, context).map_err(Error::Problems)?;
        let (at, mut wired) = wired.ok_or_else(|| Error::NoContext { name: context.to_owned() })?;
        // A trial must not reach other machines.
        wired.spec.settings.outgoing.clear();
        let index = ContextIndex::try_from(at).unwrap_or(ContextIndex::MAX);
        let failed = |problem| Error::Problems(vec![problem]);
        let generation = start::generation(index, 0, wired, database, Inherited::unobserved()).map_err(failed)?;
        let migrations = generation.probe().map_err(failed)?;
        Ok(Self { generation: Arc::new(generation), migrations, neighbours })
    }

    /// The version without neighbours: calls to other contexts fail.
    pub fn alone(&self) -> Live {
        self.beside_one(Arc::new(NoNeighbours))
    }

    /// The version with `other`, which answers for every other context.
    pub fn beside_one(&self, other: Arc<dyn Dispatch>) -> Live {
        let callees = std::iter::repeat_n(other, self.neighbours).collect();
        Live::apart(self.generation.clone(), callees)
    }

    /// The sagas that the version declares.
    pub fn saga_definitions(&self) -> &[SagaDefinition] {
        self.generation.saga_definitions()
    }

    /// The invariants that the version declares, if they fit the schema of `database`.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn fitting_invariants(&self, database: Option<&Database>) -> Result<Vec<Invariant>, ContextProblem> {
        self.generation.fitting_invariants(database)
    }

    pub fn has_health(&self) -> bool {
        self.generation.blueprint.health.is_some()
    }

    /// Asks the version for its health and waits up to `limit`; `None` when it has no `seam:host/health`.
    ///
    /// # Errors
    /// When it gives no answer.
    pub fn health(&self, limit: Duration) -> Option<Result<Result<(), String>, Failure>> {
        let index = self.generation.blueprint.health.as_ref()?;
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
        let callees = self.alone().callees().clone();
        let asked = Instance::start(&generation.blueprint).and_then(|mut instance| {
            instance.begin(call, callees);
            instance.call(index, ())
        });
        asked.map(|(health,)| health).map_err(|error| failed(&error))
    }
}

/// Answers for every other context that it cannot be reached.
struct NoNeighbours;

impl Dispatch for NoNeighbours {
    fn call(&self, _: Call, _: &DispatchTable, function: &Function, _: &mut dyn Exchange) -> Result<(), Failure> {
        let reason = "a version on trial reaches no other context".to_owned();
        Err(Failure::Absent { context: function.interface.to_string(), reason })
    }
}
