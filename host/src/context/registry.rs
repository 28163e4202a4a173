//! All contexts of the running system, and the set of generations that serves now.
//!
//! Invariants: a request keeps the set that it got at its start; a new set is published at once and whole; a file has one `Database` in
//! this process, which all generations of its context share.
//! Not here: whether a new generation may serve, and what becomes of its store's schema when it may not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wasmtime::component::Val;

use super::component::{self, Artefact, Component, Loader};
use super::drain::Drain;
use super::generation::{Export, Generation};
use super::link::Problem;
use super::linked::{self, Part, Source};
use super::prepared::Prepared;
use super::probation::Spare;
use super::published::Published;
use super::recorder::Recorder;
use super::routing::Routing;
use super::stats::{Metrics, Stats};
use super::{Serves, lean, start};
use crate::call::{Call, ContextIndex, Failure, Steer};
use crate::ids::ContextName;
use crate::limits;
use crate::manifest::{ContextSettings, Recording};
use crate::seam::dispatch::{Dispatch, Function, Set, Values};
use crate::store::{self, Database, HostFile, HostFileError};

/// All contexts of the running system. Cheap to clone.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) published: ArcSwap<Published>,
    loader: Loader,
    /// The folder of the contexts' files.
    databases: PathBuf,
    open: Mutex<HashMap<ContextName, Weak<Database>>>,
    metrics: Metrics,
    recording: Recording,
    pub(super) drain: Drain,
    routing: Routing,
}

/// A context as one request sees it: its generation, and those of everybody whom it may call.
pub struct Live {
    generation: Arc<Generation>,
    set: Set,
    /// How the request is steered between variants, if it is not left to its trace.
    steer: Option<Steer>,
    /// Whether this very variant was asked for.
    named: bool,
    /// What a request falls back on that a version on probation breaks.
    spare: Option<Box<Spare>>,
    /// What its route counts of it, when the request itself is for a context that has variants.
    pub(super) routed: Option<Arc<Stats>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    #[error(transparent)]
    Component(#[from] component::Error),
    #[error("{} problem(s) keep the contexts from being linked", .0.len())]
    Problems(Vec<Problem>),
    #[error("there is no context `{name}`")]
    NoContext { name: String },
    #[error("another change was published meanwhile")]
    Overtaken,
    #[error(transparent)]
    Routes(#[from] HostFileError),
}

impl Registry {
    pub(super) fn routing(&self) -> &Routing {
        &self.0.routing
    }

    pub(super) fn published(&self) -> &ArcSwap<Published> {
        &self.0.published
    }

    pub(super) fn empty(
        loader: Loader,
        databases: &Path,
        host: Arc<HostFile>,
        metrics: Metrics,
        recording: Recording,
    ) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            published: ArcSwap::default(),
            loader,
            databases: databases.to_owned(),
            open: Mutex::default(),
            routing: Routing::open(host, metrics.clone())?,
            metrics,
            recording,
            drain: Drain::default(),
        })))
    }

    /// `context`, or one of its variants (`context@variant`), as a request that starts now sees it.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live(&self, context: &str) -> Result<Live, Failure> {
        let published = self.0.published.load();
        let generation = published.generation(context)?.clone();
        let spare = published.spare(context, None);
        let named = context.contains('@');
        Ok(Live { generation, set: published.set.clone(), steer: None, named, spare, routed: None })
    }

    /// `context` as a request sees it that starts now and is steered by `steer`, and by `wanted`: the variants that it asks for,
    /// `context=variant` each; those that are not there are not missed. Its `query` may say which answer it came from.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live_for<'a>(
        &self,
        context: &str,
        mut steer: Steer,
        wanted: impl Iterator<Item = (&'a str, &'a str)>,
        query: Option<&str>,
    ) -> Result<Live, Failure> {
        let published = self.0.published.load();
        for (context, variant) in wanted {
            if let Some(index) = published.by_name.get(&*format!("{context}@{variant}")) {
                steer.force(*index);
            }
        }
        if let Some(query) = query {
            published.clickable.iter().for_each(|route| route.clicked(query, &steer));
        }
        let (generation, routed) = published.picked(context, &steer)?;
        let (generation, routed) = (generation.clone(), routed.cloned());
        let spare = published.spare(context, Some(&steer));
        Ok(Live { generation, set: published.set.clone(), steer: Some(steer), named: false, spare, routed })
    }

    /// All generations that serve now, in the manifest's order.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.0.published.load().generations.clone()
    }

    /// What serves now, to be changed and handed to `prepare`.
    pub fn parts(&self) -> Vec<Part> {
        self.0.published.load().generations.iter().map(|generation| generation.part_now()).collect()
    }

    /// Reads a component's file once; those bytes are hashed, and compiled unless the cache has them.
    ///
    /// # Errors
    /// When it cannot be read, is none, or does not compile within its bounds.
    pub fn load(&self, file: &Path) -> Result<Component, Error> {
        Ok(self.0.loader.load(file)?)
    }

    /// Compiles what was read before, unless the cache has it.
    ///
    /// # Errors
    /// When it does not compile within its bounds.
    pub fn compile(&self, artefact: &Artefact) -> Result<Component, Error> {
        Ok(self.0.loader.load_artefact(artefact)?)
    }

    /// The same for the components that the entries of a manifest name, without variants that nobody has built.
    ///
    /// # Errors
    /// All that cannot be read or compiled.
    pub fn load_all(&self, contexts: &[ContextSettings]) -> Result<Vec<Part>, Error> {
        let there: Vec<_> = linked::present(contexts, &Source::of).0.into_iter().cloned().collect();
        linked::load(&self.0.loader, &there, &Source::of)
    }

    /// Wires `parts` into one system, and starts an instance of each that differs from what serves now. Until `Prepared::publish`
    /// nothing has changed.
    ///
    /// # Errors
    /// Everything that keeps `parts` from being one system, or one of them from starting.
    pub fn prepare(&self, parts: Vec<Part>) -> Result<Prepared, Error> {
        let wired = linked::wire(self.0.loader.engine(), parts)?;
        let base = self.0.published.load_full();
        let (mut generations, mut fresh, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (at, wired) in wired.into_iter().enumerate() {
            let Ok(index) = ContextIndex::try_from(at) else { continue };
            let at_index = base.generations.get(at);
            if let Some(same) = at_index.filter(|g| g.is_made_of(&wired.part, &wired.wiring)) {
                generations.push(same.clone());
                continue;
            }
            let name = &wired.part.entry.name;
            let before = base.by_name.get(name).and_then(|at| base.generations.get(usize::from(*at)));
            let number = before.map_or(1, |generation| generation.number + 1);
            let stats = Arc::new(self.0.metrics.of(name));
            let recorder = before.map_or_else(|| Recorder::new(&self.0.recording), |g| g.recorder.clone());
            let started = self
                .database(&wired.part.entry, before)
                .and_then(|database| start::generation(index, number, wired, database, stats, recorder))
                .and_then(|generation| Ok((generation.probe()?, Arc::new(generation))));
            match started {
                Ok((migrations, generation)) => {
                    generations.push(generation.clone());
                    fresh.push((generation, migrations));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        Ok(Prepared::new(self.clone(), base, generations, fresh))
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.0.loader.engine()
    }

    /// The file of a context, opened once however many generations use it.
    fn database(
        &self,
        entry: &ContextSettings,
        before: Option<&Arc<Generation>>,
    ) -> Result<Option<Arc<Database>>, Problem> {
        let Some(grant) = &entry.store else { return Ok(None) };
        let mut open = self.0.open.lock();
        if let Some(database) = open.get(&entry.name).and_then(Weak::upgrade) {
            let granted = before.and_then(|generation| generation.part().entry.store.as_ref());
            if granted.is_some_and(|before| before != grant) {
                let remedy = "put it back, or stop the host and start it again".to_owned();
                return Err(start::problem(entry, "has its store open with another `store` entry".into(), remedy));
            }
            return Ok(Some(database));
        }
        let opened = Database::open(store::Config::of(&entry.name, grant, &self.0.databases));
        let refused = |e: store::OpenError| {
            start::problem(entry, format!("has no usable store: {}", start::chain(&e)), e.remedy())
        };
        let database = opened.map_err(refused)?;
        open.insert(entry.name.clone(), Arc::downgrade(&database));
        Ok(Some(database))
    }

    /// Publishes `next` if what `base` is made of serves still, with the routes as they are now. Whoever is replaced drains.
    pub(super) fn publish(&self, base: &Published, next: Vec<Arc<Generation>>) -> Result<(), Error> {
        let next = {
            // No route changes meanwhile, so there is nothing else that publishes and is not another change of the generations.
            let _turn = self.0.routing.turn();
            let now = self.0.published.load_full();
            let next = Arc::new(Published::of(next, &self.0.routing));
            if !now.is_made_of(&base.generations) {
                return Err(Error::Overtaken);
            }
            self.0.published.store(next.clone());
            next
        };
        for replaced in base.generations.iter().filter(|old| !next.has(old)) {
            self.0.drain.begin(replaced, Duration::from_millis(limits::DRAIN_MS_MAX));
        }
        Ok(())
    }

    /// Drops idle instances that were not needed lately. To be called every `limits::TRIM_INTERVAL_S`.
    pub fn trim(&self) {
        self.0.published.load().generations.iter().for_each(|g| g.trim());
    }

    /// Generations that were replaced and have calls still: their context and number.
    pub fn draining(&self) -> Vec<(ContextName, u64)> {
        self.0.drain.list()
    }

    /// Sees which replaced generations are gone, and cuts off those that take too long. To be called every `limits::DRAIN_LOOK_MS`.
    pub fn tend(&self) {
        self.0.drain.tend();
    }
}

impl Live {
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// A generation that is in no published set, and those whom it may call.
    pub(super) fn apart(generation: Arc<Generation>, set: Set) -> Self {
        Self { generation, set, steer: None, named: true, spare: None, routed: None }
    }

    pub(super) fn set(&self) -> &Set {
        &self.set
    }

    pub fn serves(&self) -> Serves {
        self.generation.serves()
    }

    /// Runs the lean handler on this thread.
    ///
    /// # Errors
    /// When the guest gave no answer.
    pub fn handle(&self, call: Call, request: lean::Request) -> Result<lean::Response, Failure> {
        let started = Instant::now();
        let answer = match &self.spare {
            None => self.generation.handle(self.steered(call), &self.set, request),
            Some(spare) => self.handle_with_spare(spare, call, request),
        };
        if let Some(routed) = &self.routed {
            routed.record(started.elapsed(), answer.as_ref().err());
        }
        answer
    }

    /// The call with what this request said of variants.
    pub(super) fn steered(&self, mut call: Call) -> Call {
        if let Some(steer) = self.steer {
            call.steer = steer;
        }
        call
    }

    /// Calls one exported function with dynamically typed values, as a seam would.
    ///
    /// # Errors
    /// When the guest gave no answer; `params` that do not fit the signature are a trap.
    pub fn call(&self, call: Call, export: &Export, params: &[Val]) -> Result<Vec<Val>, Failure> {
        let function = Function {
            callee: self.generation.index,
            interface: export.interface.clone(),
            name: export.function.clone(),
            signature: export.signature.clone(),
            resolved: Default::default(),
        };
        let mut results = vec![Val::Bool(false); export.signature.results().len()];
        let routed = self.set.get(usize::from(self.generation.index)).filter(|_| !self.named);
        let callee: &dyn Dispatch = routed.map_or(&*self.generation, |routed| &**routed);
        callee.call(self.steered(call), &self.set, &function, &mut Values { params, results: &mut results })?;
        Ok(results)
    }
}
