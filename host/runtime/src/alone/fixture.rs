//! One context alone in the real sandbox: its component, its limits and a file of its own, with stubs behind its
//! imports.
//!
//! For tools that test a context: no request passes here. Calls to neighbours pass values, because stubs have nothing
//! else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use seam_store::Database;
use seam_store::ids::ContextName;
use wasmtime::Engine;

use crate::call::ContextIndex;
use crate::component::{Component, ContextProblem, ContextSpec, InterfaceName};
use crate::guest::attempts::Attempts;
use crate::guest::dispatch::{Dispatch, DispatchTable};
use crate::guest::wasi::{Fixed, World};
use crate::limits;
use crate::link::{self, Carry, Wired, Wiring};
use crate::run::{Generation, Inherited, start};
use crate::serve::{Candidate, Error, LinkedSystem, Live, open_file};
use crate::settings::StoreGrant;

/// A context of a linked system, ready to be started alone.
pub struct Fixture {
    engine: Engine,
    index: ContextIndex,
    spec: ContextSpec,
    wiring: Wiring,
    /// All contexts of the system, by their index.
    contexts: Vec<ContextName>,
}

/// The surroundings with which a fixture starts.
pub struct Setup<'a> {
    pub config: &'a BTreeMap<String, String>,
    /// The folder for its file. A missing file is created; the file is migrated to the component's schema.
    pub databases: &'a Path,
    pub world: Arc<Fixed>,
    /// Answers the calls to every other context.
    pub neighbours: Arc<dyn Dispatch>,
}

/// A context that can be called.
pub struct RunningFixture {
    generation: Arc<Generation>,
    callees: DispatchTable,
}

impl Fixture {
    /// One of the contexts of `system`, with `component` instead of its own.
    ///
    /// # Errors
    /// When there is no such context, or `component` does not fit into the system.
    pub fn new(system: &LinkedSystem, name: &str, component: Option<&Component>) -> Result<Self, Error> {
        let mut specs = system.specs().to_vec();
        let at = specs.iter().position(|spec| spec.settings.name.as_str() == name);
        let Some((at, index)) = at.and_then(|at| Some((at, ContextIndex::try_from(at).ok()?))) else {
            return Err(Error::NoContext { name: name.to_owned() });
        };
        if let (Some(spec), Some(component)) = (specs.get_mut(at), component) {
            spec.component = component.clone();
            // A foreign component is tested for what it does, not for what the manifest grants it.
            spec.settings.capabilities = ["attempts", "clocks", "random", "wasi"].map(str::to_owned).into();
            let plain = StoreGrant::plain(limits::STORE_MB);
            spec.settings.store.get_or_insert(plain);
            let imports = |interface: &str| component.imports.iter().any(|import| import.name.granted_by(interface));
            spec.settings.publishes.retain(|publication| imports(&publication.interface));
            // Nothing is delivered to a context that is alone.
            specs.iter_mut().for_each(|spec| spec.settings.subscribes.clear());
        }
        let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
        let mut wirings = link::plan(&borrowed).map_err(Error::Problems)?;
        let wiring = wirings.swap_remove(at);
        let contexts = specs.iter().map(|spec| spec.settings.name.clone()).collect();
        Ok(Self { engine: system.engine().clone(), index, spec: specs.swap_remove(at), wiring, contexts })
    }

    pub fn spec(&self) -> &ContextSpec {
        &self.spec
    }

    /// Each interface that it imports from another context, with that context.
    pub fn callees(&self) -> impl Iterator<Item = (InterfaceName, ContextName)> + '_ {
        let imports = &self.spec.component.imports;
        imports.iter().filter_map(|import| {
            let provider = self.wiring.get(&import.name.to_string())?;
            Some((import.name.clone(), self.contexts.get(usize::from(provider.callee))?.clone()))
        })
    }

    /// The name of its file in the folder of the files.
    pub fn file_name(&self) -> String {
        seam_store::file_name(&self.spec.settings.name)
    }

    /// Starts the context. With `before`, it takes over an idle instance of that fixture; the instance keeps only its
    /// memory.
    ///
    /// # Errors
    /// When it does not start, or its file cannot be created.
    pub fn start(&self, setup: &Setup<'_>, before: Option<&RunningFixture>) -> Result<RunningFixture, ContextProblem> {
        let mut spec = self.spec.clone();
        spec.settings.config.clone_from(setup.config);
        // A fixture must not reach other machines.
        spec.settings.outgoing.clear();
        let database = match &spec.settings.store {
            Some(grant) => {
                // The file of a scenario holds no secrets, and its folder no keys.
                Some(open_file(&spec.settings, &grant.passing(), setup.databases)?)
            }
            None => None,
        };
        let wired = Wired::new(&self.engine, spec, self.wiring.clone(), self.contexts.len(), Carry::Values)?;
        let mut generation = start::generation(self.index, 1, wired, database, Inherited::unobserved())?;
        generation.blueprint.grants.world = World::Fixed(setup.world.clone());
        generation.blueprint.grants.attempts = Arc::new(Attempts::in_world(setup.world.clone()));
        let migrations = generation.probe()?;
        let candidate = Candidate { generation: Arc::new(generation), migrations };
        candidate.migrate(None)?;
        let generation = candidate.generation;
        generation.fitting_invariants(generation.database().map(Arc::as_ref))?;
        if let Some(before) = before {
            generation.adopt(&before.generation);
        }
        let callees = std::iter::repeat_with(|| setup.neighbours.clone()).take(self.contexts.len()).collect();
        Ok(RunningFixture { generation, callees })
    }
}

impl RunningFixture {
    /// The context, to be called.
    pub fn live(&self) -> Live {
        Live::apart(self.generation.clone(), self.callees.clone())
    }

    pub fn database(&self) -> Option<&Arc<Database>> {
        self.generation.database()
    }
}

impl Generation {
    /// Takes over an idle instance of another generation of the same component.
    fn adopt(&self, other: &Self) {
        if let Ok((_permit, Some(mut instance))) = other.pool().acquire(None, Instant::now()) {
            instance.move_to(&self.blueprint);
            self.pool().put_back(instance);
        }
    }
}
