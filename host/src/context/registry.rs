//! All contexts of the running system, and the set of generations that serves now.
//!
//! Invariants: a request keeps the set that it got at its start; a new set is published at once and whole; a file has one `Database` in
//! this process, which all generations of its context share.
//! Not here: whether a new generation may serve, and what becomes of its store's schema when it may not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wasmtime::component::Val;

use super::component::{self, Artefact, Component, Loader};
use super::drain::Drain;
use super::generation::{Export, Generation};
use super::link::Problem;
use super::linked::{self, Absent, Part, Source};
use super::prepared::Prepared;
use super::probation::Spare;
use super::recorder::Recorder;
use super::route::{self, Member, Route, Routes};
use super::stats::Metrics;
use super::{Serves, lean, start};
use crate::call::{Call, ContextIndex, Failure, Steer};
use crate::ids::ContextName;
use crate::seam::dispatch::{Dispatch, Function, Set, Values};
use crate::store::{self, Database};
use crate::{limits, manifest};

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
    recording: manifest::Recording,
    pub(super) drain: Drain,
    pub(super) routes: Routes,
    /// One change of a route at a time.
    pub(super) routing: Mutex<()>,
    /// Variants that the manifest has and that are not loaded.
    absent: Mutex<Vec<Absent>>,
}

/// One consistent set of generations.
#[derive(Default)]
pub(super) struct Published {
    pub generations: Vec<Arc<Generation>>,
    by_name: HashMap<ContextName, ContextIndex>,
    /// Of each context that has variants.
    routes: HashMap<ContextIndex, Arc<Route>>,
    /// What served before, while one of the generations is on probation, and how that one calls itself.
    pub spare: Option<(Arc<Published>, u64)>,
    /// The same generations, as callers see them: behind their routes.
    set: Set,
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
    Routes(#[from] route::Unusable),
}

impl Registry {
    pub(super) fn empty(
        loader: Loader,
        databases: &Path,
        metrics: Metrics,
        recording: manifest::Recording,
    ) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            published: ArcSwap::default(),
            loader,
            databases: databases.to_owned(),
            open: Mutex::default(),
            metrics,
            recording,
            drain: Drain::default(),
            routes: Routes::open(databases)?,
            routing: Mutex::default(),
            absent: Mutex::default(),
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
        Ok(Live { generation, set: published.set.clone(), steer: None, named: context.contains('@'), spare })
    }

    /// `context` as a request sees it that starts now and is steered by `steer`, and by `wanted`: the variants that it asks for,
    /// `context=variant` each. Those that are not there are not missed.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live_for<'a>(
        &self,
        context: &str,
        mut steer: Steer,
        wanted: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Live, Failure> {
        let published = self.0.published.load();
        for (context, variant) in wanted {
            if let Some(index) = published.by_name.get(&*format!("{context}@{variant}")) {
                steer.force(*index);
            }
        }
        let generation = published.picked(context, &steer)?.clone();
        let spare = published.spare(context, Some(&steer));
        Ok(Live { generation, set: published.set.clone(), steer: Some(steer), named: false, spare })
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

    /// The same for the components that the entries of a manifest name.
    ///
    /// # Errors
    /// All that cannot be read or compiled.
    pub fn load_all(&self, contexts: &[manifest::Context]) -> Result<Vec<Part>, Error> {
        linked::load(&self.0.loader, contexts, &Source::of)
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
        entry: &manifest::Context,
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
            let _routing = self.0.routing.lock();
            let now = self.0.published.load_full();
            let next = Arc::new(Published::of(next, &self.0.routes));
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

    /// Which variants there are, and what share of the calls each gets.
    pub fn routes(&self) -> Vec<route::Status> {
        let published = self.0.published.load();
        let absent = self.0.absent.lock();
        let mains = published.generations.iter().filter(|g| g.context().variant().is_none());
        let status = mains.map(|main| route::Status::of(main, &published.generations, &absent, &self.0.routes));
        status.filter(|status| status.variants.len() > 1).collect()
    }

    /// Changes what share of the calls each variant of `context` gets, for the requests that start from now on, and for good.
    ///
    /// # Errors
    /// When `changes` are not understood, name nobody, or name somebody who cannot answer; then nothing has changed.
    pub fn route(&self, context: &str, changes: &[String]) -> Result<route::Status, route::Refused> {
        let _routing = self.0.routing.lock();
        let status = |all: Vec<route::Status>| all.into_iter().find(|status| status.context == context);
        let before = self.routes();
        let mains: Vec<_> = self
            .generations()
            .iter()
            .filter(|g| g.context().variant().is_none())
            .map(|g| g.context().to_string())
            .collect();
        let before = status(before).ok_or_else(|| route::Refused::not_routed(context, &mains))?;
        if changes.is_empty() {
            return Ok(before);
        }
        let names: Vec<&str> = before.variants.iter().map(|variant| variant.name.as_str()).collect();
        let shares = self.0.routes.of(context).changed(context, &names, changes)?;
        before.allow(&shares)?;
        self.0.routes.set(context, shares).map_err(|error| route::Refused::NotKept(error.to_string()))?;
        let now = self.0.published.load_full();
        let next = Published { spare: now.spare.clone(), ..Published::of(now.generations.clone(), &self.0.routes) };
        self.0.published.store(Arc::new(next));
        status(self.routes()).ok_or_else(|| route::Refused::not_routed(context, &mains))
    }

    /// Whether all that are to be called can be done without those that nobody has built.
    ///
    /// # Errors
    /// When one of them has a share of the calls.
    pub(super) fn needed(&self, absent: &[Absent]) -> Result<(), Error> {
        let missed = |absent: &&Absent| absent.problems.is_empty();
        let problem = |absent: &Absent| {
            let (context, variant) = absent.context.variant()?;
            let name = &absent.context;
            (self.0.routes.of(context).weight(variant, "") > 0).then(|| Problem {
                context: name.clone(),
                part: "component".into(),
                message: format!("`{name}` has a share of the calls, and {}", absent.why),
                remedy: format!(
                    "run `seam build {name}`, or give its share to another: `seam route {context} VARIANT=1`"
                ),
            })
        };
        let problems: Vec<_> = absent.iter().filter(missed).filter_map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
    }

    pub(super) fn set_absent(&self, absent: Vec<Absent>) {
        *self.0.absent.lock() = absent;
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

impl Published {
    pub fn of(generations: Vec<Arc<Generation>>, routes: &Routes) -> Self {
        let mut by_name: HashMap<_, _> = generations.iter().map(|g| (g.context().clone(), g.index)).collect();
        let routes: HashMap<_, _> =
            generations.iter().filter_map(|main| Self::route(main, &generations, routes)).collect();
        for main in routes.keys().filter_map(|main| generations.get(usize::from(*main))) {
            let entry = &main.part().entry;
            by_name.extend(entry.name.with_variant(&entry.variant).map(|name| (name, main.index)));
        }
        let dispatch = |generation: &Arc<Generation>| match routes.get(&generation.index) {
            Some(route) => route.clone() as Arc<dyn Dispatch>,
            None => generation.clone(),
        };
        let set = generations.iter().map(dispatch).collect();
        Self { generations, by_name, routes, spare: None, set }
    }

    pub fn has(&self, generation: &Arc<Generation>) -> bool {
        self.generations.iter().any(|own| Arc::ptr_eq(own, generation))
    }

    /// Who answers for `context` when a request is steered by `steer`.
    fn picked(&self, context: &str, steer: &Steer) -> Result<&Arc<Generation>, Failure> {
        let main = self.generation(context)?;
        Ok(self.routes.get(&main.index).map_or(main, |route| route.pick(steer)))
    }

    fn spare(&self, context: &str, steer: Option<&Steer>) -> Option<Box<Spare>> {
        let (previous, on) = self.spare.as_ref()?;
        let generation = match steer {
            Some(steer) => previous.picked(context, steer),
            None => previous.generation(context),
        };
        Some(Box::new(Spare { generation: generation.ok()?.clone(), set: previous.set.clone(), on: *on }))
    }

    /// The route of `main`, if there are variants of it.
    fn route(
        main: &Arc<Generation>,
        generations: &[Arc<Generation>],
        routes: &Routes,
    ) -> Option<(ContextIndex, Arc<Route>)> {
        let context = main.context().as_str();
        let of_it = |g: &&Arc<Generation>| g.context().variant().is_some_and(|(of, _)| of == context);
        let others: Vec<_> = generations.iter().filter(of_it).collect();
        if others.is_empty() {
            return None;
        }
        let shares = routes.of(context);
        let member = |generation: &Arc<Generation>| Member {
            generation: generation.clone(),
            weight: shares.weight(&generation.part().entry.variant, &main.part().entry.variant),
        };
        Some((main.index, Arc::new(Route::new(member(main), others.into_iter().map(member).collect()))))
    }

    fn generation(&self, name: &str) -> Result<&Arc<Generation>, Failure> {
        let index = self.by_name.get(name).map(|index| usize::from(*index));
        let absent = || Failure::Absent { context: name.to_owned(), reason: "there is no such context".into() };
        index.and_then(|index| self.generations.get(index)).ok_or_else(absent)
    }

    pub fn is_made_of(&self, generations: &[Arc<Generation>]) -> bool {
        let same = self.generations.iter().zip(generations).all(|(one, other)| Arc::ptr_eq(one, other));
        same && self.generations.len() == generations.len()
    }
}

impl Live {
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// A generation that is in no published set, and those whom it may call.
    pub(super) fn apart(generation: Arc<Generation>, set: Set) -> Self {
        Self { generation, set, steer: None, named: true, spare: None }
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
        match &self.spare {
            None => self.generation.handle(self.steered(call), &self.set, request),
            Some(spare) => self.handle_with_spare(spare, call, request),
        }
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
