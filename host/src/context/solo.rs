//! One context alone in the real sandbox: its component, its limits and a file of its own, with somebody else's answers behind its imports.
//!
//! For tools that look at a context: nothing here is on a request's way. Imports go by values, because whoever answers has nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::Engine;

use super::component::Component;
use super::generation::Generation;
use super::link::{self, Carry, Problem, Wiring};
use super::linked::{Linked, Part, Wired};
use super::recorder::Recorder;
use super::registry::{Error, Live};
use super::start;
use super::stats::Stats;
use crate::call::ContextIndex;
use crate::limits;
use crate::manifest::{Encryption, Recording, StoreGrant};
use crate::seam::dispatch::{Dispatch, Set};
use crate::seam::wasi::{Fixed, World};
use crate::store::{self, Database};

/// A context of a system whose parts fit together.
pub struct Solo {
    engine: Engine,
    index: ContextIndex,
    part: Part,
    wiring: Wiring,
    /// How many contexts the system has.
    width: usize,
}

/// What a context is stood up with.
pub struct Setting<'a> {
    pub config: &'a BTreeMap<String, String>,
    /// The folder for its file, which is made, and brought to its schema, when it is not there.
    pub databases: &'a Path,
    pub world: Arc<Fixed>,
    /// Answers for everybody else.
    pub others: Arc<dyn Dispatch>,
}

/// A context that can be called.
pub struct Stand {
    generation: Arc<Generation>,
    set: Set,
}

impl Linked {
    /// The parts, in the manifest's order.
    pub fn parts(&self) -> &[Part] {
        self.all()
    }

    /// One of the contexts, to be stood up without the others; `component` in the place of its own, if there is one.
    ///
    /// # Errors
    /// When there is no such context, or `component` does not fit into the system.
    pub fn solo(&self, name: &str, component: Option<&Component>) -> Result<Solo, Error> {
        let mut parts = self.all().to_vec();
        let at = parts.iter().position(|part| part.entry.name.as_str() == name);
        let Some((at, index)) = at.and_then(|at| Some((at, ContextIndex::try_from(at).ok()?))) else {
            return Err(Error::NoContext { name: name.to_owned() });
        };
        if let (Some(part), Some(component)) = (parts.get_mut(at), component) {
            part.component = component.clone();
            // Whatever tool chain it comes from: it is to be seen whether it does what the context does, not what it is granted.
            part.entry.capabilities = ["clocks", "random", "wasi"].map(str::to_owned).into();
            let plain = StoreGrant { encryption: Encryption::Off, key: None, max_mb: limits::STORE_MB };
            part.entry.store.get_or_insert(plain);
        }
        let borrowed: Vec<_> = parts.iter().map(|part| (&part.entry, &part.component)).collect();
        let mut wirings = link::plan(&borrowed).map_err(Error::Problems)?;
        let wiring = wirings.swap_remove(at);
        let width = parts.len();
        let part = parts.swap_remove(at);
        Ok(Solo { engine: self.engine().clone(), index, part, wiring, width })
    }
}

impl Solo {
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// What its file is called in the folder of the files.
    pub fn file_name(&self) -> String {
        store::file_name(&self.part.entry.name)
    }

    /// Stands the context up. With `before`, an instance that has served there serves here, with everything about it new but its memory.
    ///
    /// # Errors
    /// When it does not start, or its file cannot be made.
    pub fn stand(&self, setting: &Setting<'_>, before: Option<&Stand>) -> Result<Stand, Problem> {
        let mut part = self.part.clone();
        part.entry.config.clone_from(setting.config);
        // Nobody outside is called from a stage.
        part.entry.outgoing.clear();
        let entry = &part.entry;
        let database = match &entry.store {
            Some(grant) => {
                // What is made for a scenario holds no secrets, and its folder no keys.
                let grant = StoreGrant { encryption: Encryption::Off, key: None, ..grant.clone() };
                let opened = Database::open(store::Config::of(&entry.name, &grant, setting.databases));
                let refused = |e: store::OpenError| {
                    start::problem(entry, format!("has no usable store: {}", start::chain(&e)), e.remedy())
                };
                Some(opened.map_err(refused)?)
            }
            None => None,
        };
        let asynchronous = start::is_asynchronous(&part.component);
        let linker = link::linker(&self.engine, &part.component, &self.wiring, asynchronous, Carry::Values);
        let linker = linker.map_err(|e| start::problem(entry, format!("cannot be linked: {e:#}"), String::new()))?;
        let wired = Wired { part, wiring: self.wiring.clone(), linker };
        let stats = Arc::new(Stats::apart());
        let recorder = Recorder::new(&Recording { per_s: 0, secrets: Vec::new() });
        let mut generation = start::generation(self.index, 1, wired, database, stats, recorder)?;
        generation.plan.grants.world = World::Fixed(setting.world.clone());
        let migrations = generation.probe()?;
        if let Some(database) = generation.database() {
            store::migrate(database, &migrations).map_err(|e| {
                let what = format!("cannot bring its store to its schema: {}", start::chain(&e));
                start::problem(&self.part.entry, what, e.remedy())
            })?;
        }
        if let Some(before) = before {
            generation.adopt(&before.generation);
        }
        let set: Set = std::iter::repeat_with(|| setting.others.clone()).take(self.width).collect();
        Ok(Stand { generation: Arc::new(generation), set })
    }
}

impl Stand {
    /// The context, to be called.
    pub fn live(&self) -> Live {
        Live::apart(self.generation.clone(), self.set.clone())
    }

    pub fn database(&self) -> Option<&Arc<Database>> {
        self.generation.database()
    }
}

impl Generation {
    /// Takes over an idle instance of another generation of the same component.
    fn adopt(&self, other: &Self) {
        if let Ok((_place, Some(mut instance))) = other.pool().enter(Instant::now()) {
            instance.move_to(&self.plan);
            self.pool().give_back(instance);
        }
    }
}
