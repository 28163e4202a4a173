//! All contexts of the running system, and the set of generations that serves now.
//!
//! Invariants: a request keeps the set that it got at its start; a new set is published at once and whole; a file has one `Database` in
//! this process, which all generations of its context share.
//! Not here: whether a new generation may serve, and what becomes of its store's schema when it may not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wasmtime::component::Val;

use super::component::{self, Component, Loader};
use super::drain::Drain;
use super::generation::{Export, Generation};
use super::link::Problem;
use super::linked::{self, Part};
use super::prepared::Prepared;
use super::stats::Metrics;
use super::{Serves, lean, start};
use crate::call::{Call, ContextIndex, Failure};
use crate::ids::ContextName;
use crate::manifest;
use crate::seam::dispatch::{Dispatch, Function, Set, Values};
use crate::store::{self, Database};

/// All contexts of the running system. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    published: ArcSwap<Published>,
    loader: Loader,
    /// The folder of the contexts' files.
    databases: PathBuf,
    open: Mutex<HashMap<ContextName, Weak<Database>>>,
    metrics: Metrics,
    drain: Drain,
}

/// One consistent set of generations.
#[derive(Default)]
pub(super) struct Published {
    pub generations: Vec<Arc<Generation>>,
    by_name: HashMap<ContextName, ContextIndex>,
    /// The same generations, as callers see them.
    set: Set,
}

/// A context as one request sees it: its generation, and those of everybody whom it may call.
pub struct Live {
    generation: Arc<Generation>,
    set: Set,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    #[error(transparent)]
    Component(#[from] component::Error),
    #[error("{} problem(s) keep the contexts from being linked", .0.len())]
    Problems(Vec<Problem>),
    #[error("another change was published meanwhile")]
    Overtaken,
}

impl Registry {
    pub(super) fn empty(loader: Loader, databases: &Path, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            published: ArcSwap::default(),
            loader,
            databases: databases.to_owned(),
            open: Mutex::default(),
            metrics,
            drain: Drain::default(),
        }))
    }

    /// `context` as a request that starts now sees it.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live(&self, context: &str) -> Result<Live, Failure> {
        let published = self.0.published.load();
        let absent = || Failure::Absent { context: context.to_owned(), reason: "there is no such context".into() };
        let index = *published.by_name.get(context).ok_or_else(absent)?;
        let generation = published.generations.get(usize::from(index)).ok_or_else(absent)?.clone();
        Ok(Live { generation, set: published.set.clone() })
    }

    /// All generations that serve now, in the manifest's order.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.0.published.load().generations.clone()
    }

    /// What serves now, to be changed and handed to `prepare`.
    pub fn parts(&self) -> Vec<Part> {
        self.0.published.load().generations.iter().map(|generation| generation.part().clone()).collect()
    }

    /// Reads a component's file once; those bytes are hashed, and compiled unless the cache has them.
    ///
    /// # Errors
    /// When it cannot be read, is none, or does not compile within its bounds.
    pub fn load(&self, file: &Path) -> Result<Component, Error> {
        Ok(self.0.loader.load(file)?)
    }

    /// The same for the components that the entries of a manifest name.
    ///
    /// # Errors
    /// All that cannot be read or compiled.
    pub fn load_all(&self, contexts: &[manifest::Context]) -> Result<Vec<Part>, Error> {
        linked::load(&self.0.loader, contexts)
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
            let started = self
                .database(&wired.part.entry, before)
                .and_then(|database| start::generation(index, number, wired, database, stats))
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
        Ok(Prepared::new(self.clone(), base, Published::of(generations), fresh))
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

    /// Publishes `next` if `base` serves still. Whoever is replaced drains.
    pub(super) fn publish(&self, base: &Arc<Published>, next: Published) -> Result<(), Error> {
        let next = Arc::new(next);
        let before = self.0.published.compare_and_swap(base, next.clone());
        if !Arc::ptr_eq(&before, base) {
            return Err(Error::Overtaken);
        }
        let stays = |old: &Arc<Generation>| next.generations.iter().any(|new| Arc::ptr_eq(new, old));
        for replaced in base.generations.iter().filter(|old| !stays(old)) {
            self.0.drain.begin(replaced);
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

impl Published {
    fn of(generations: Vec<Arc<Generation>>) -> Self {
        let by_name = generations.iter().map(|g| (g.context().clone(), g.index)).collect();
        let set = generations.iter().map(|g| g.clone() as Arc<dyn Dispatch>).collect();
        Self { generations, by_name, set }
    }
}

impl Live {
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
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
        self.generation.handle(call, &self.set, request)
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
        let generation: &dyn Dispatch = &*self.generation;
        generation.call(call, &self.set, &function, &mut Values { params, results: &mut results })?;
        Ok(results)
    }
}
