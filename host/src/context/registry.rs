//! All contexts of the running system, and the set of versions that serves now.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use wasmtime::Store;
use wasmtime::component::{Linker, Val};
use wasmtime_wasi_config::WasiConfigVariables;

use super::component::{self, Compiler, Component, Loader};
use super::generation::{Blueprint, Export, Generation, Grants};
use super::instance::Instance;
use super::link::{self, Problem, Wiring};
use super::stats::Metrics;
use super::{Serves, engine, lean};
use crate::call::{Call, ContextIndex, Failure};
use crate::ids::ContextName;
use crate::manifest::{self, Manifest};
use crate::seam::dispatch::{Dispatch, Function, Set, Values};
use crate::seam::{Guest, logging, memory, wasi_http};
use crate::store;

/// All contexts of the running system. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    published: Arc<ArcSwap<Published>>,
}

/// One consistent set of versions.
struct Published {
    generations: Vec<Arc<Generation>>,
    by_name: HashMap<ContextName, ContextIndex>,
    /// The same generations, as callers see them.
    set: Set,
}

/// A context as one request sees it: its version, and those of everybody whom it may call.
pub struct Live {
    generation: Arc<Generation>,
    set: Set,
}

/// An instance that serves a `wasi:http` request. Dropped without `give_back`, the instance is gone.
pub struct Checkout {
    live: Live,
    call: Call,
    started: Instant,
    instance: Option<Box<Instance>>,
    failure: Option<Failure>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    #[error(transparent)]
    Component(#[from] component::Error),
    #[error("{} problem(s) keep the contexts from being linked", .0.len())]
    Problems(Vec<Problem>),
}

/// Components of a manifest, compiled and wired; nothing runs yet and no file of a context has been touched.
pub struct Linked {
    contexts: Vec<(manifest::Context, Component, Wiring, Linker<Guest>)>,
}

impl Linked {
    /// Loads the components, several at a time, and wires them.
    ///
    /// # Errors
    /// Everything that is wrong, of all contexts together.
    pub fn load(manifest: &Manifest, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        let engine = engine::running().map_err(Error::Engine)?;
        let loader = Loader::new(&engine, compiler, cache)?;
        let next = std::sync::atomic::AtomicUsize::new(0);
        let loaded = parking_lot::Mutex::new(Vec::new());
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        std::thread::scope(|scope| {
            for _ in 0..workers.min(manifest.contexts.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(context) = manifest.contexts.get(at) else { return };
                        let component = loader.load(&context.component);
                        loaded.lock().push((at, context, component));
                    }
                });
            }
        });
        let mut loaded = loaded.into_inner();
        loaded.sort_by_key(|(at, ..)| *at);
        let (mut components, mut problems) = (Vec::new(), Vec::new());
        for (_, context, component) in loaded {
            match component {
                Ok(component) => components.push((context, component)),
                Err(error) => problems.push(unreadable(context, &error)),
            }
        }
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        let borrowed: Vec<_> = components.iter().map(|(context, component)| (*context, component)).collect();
        let wirings = link::plan(&borrowed).map_err(Error::Problems)?;
        let mut contexts = Vec::new();
        for ((context, component), wiring) in components.into_iter().zip(wirings) {
            match link::linker(&engine, &component, &wiring, is_asynchronous(&component)) {
                Ok(linker) => contexts.push((context.clone(), component, wiring, linker)),
                Err(error) => problems.push(Problem {
                    context: context.name.clone(),
                    part: "component".into(),
                    message: format!("`{}` cannot be linked: {error:#}", context.name),
                    remedy: "rebuild it against the interfaces of this host".into(),
                }),
            }
        }
        if problems.is_empty() { Ok(Self { contexts }) } else { Err(Error::Problems(problems)) }
    }

    /// Opens the contexts' files, starts an instance of each, brings each file to its component's schema, and publishes them all.
    ///
    /// # Errors
    /// Everything that is wrong, of all contexts together. A file whose migration failed is as it was.
    pub fn start(self, databases: &Path, metrics: &Metrics) -> Result<Registry, Error> {
        let (mut generations, mut problems) = (Vec::new(), Vec::new());
        for (at, (context, component, _, linker)) in self.contexts.into_iter().enumerate() {
            let name = context.name.clone();
            let Ok(index) = ContextIndex::try_from(at) else { continue };
            match start_context(index, &context, component, &linker, databases, metrics) {
                Ok(generation) => generations.push(Arc::new(generation)),
                Err((message, remedy)) => {
                    problems.push(Problem {
                        context: name.clone(),
                        part: String::new(),
                        message: format!("`{name}` {message}"),
                        remedy,
                    });
                }
            }
        }
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        let by_name = generations.iter().map(|g| (g.context().clone(), g.index)).collect();
        let set = generations.iter().map(|g| g.clone() as Arc<dyn Dispatch>).collect();
        let published = Published { generations, by_name, set };
        Ok(Registry { published: Arc::new(ArcSwap::from_pointee(published)) })
    }
}

fn unreadable(context: &manifest::Context, error: &component::Error) -> Problem {
    use std::error::Error as _;
    let because = error.source().map(|s| format!(": {s}")).unwrap_or_default();
    let remedy = match (error, &context.build) {
        (component::Error::Read { .. }, Some(_)) => format!("run `seam build {}`", context.name),
        (component::Error::Read { .. }, None) => "put the file there, or say how to `build` it".to_owned(),
        (component::Error::NotAComponent { .. }, _) => "make a component of it (`wasm-tools component new`)".to_owned(),
        (component::Error::Cache { .. }, _) => "mend the data folder, or name another one in `[host] data`".to_owned(),
        _ => "rebuild it, smaller or from a source that compiles".to_owned(),
    };
    Problem { context: context.name.clone(), part: "component".into(), message: format!("{error}{because}"), remedy }
}

fn is_asynchronous(component: &Component) -> bool {
    let exports = |path: &str| component.exports.iter().any(|e| e.name.path == path);
    exports(link::WASI_HTTP) && !exports(link::HTTP_HANDLER)
}

fn start_context(
    index: ContextIndex,
    context: &manifest::Context,
    component: Component,
    linker: &Linker<Guest>,
    databases: &Path,
    metrics: &Metrics,
) -> Result<Generation, (String, String)> {
    let broken = |what: &str, e: &dyn std::fmt::Display| (format!("{what}: {e:#}"), "rebuild the component".to_owned());
    let pre = linker.instantiate_pre(&component.code).map_err(|e| broken("cannot be linked", &e))?;
    let database = match &context.store {
        None => None,
        Some(grant) => {
            let opened = store::Database::open(store::Config::of(&context.name, grant, databases));
            Some(opened.map_err(|e| (format!("has no usable store: {}", chain(&e)), e.remedy()))?)
        }
    };
    let mut config = WasiConfigVariables::new();
    for (key, value) in &context.config {
        config.insert(key, value);
    }
    let limits = &context.limits;
    let index_of = |path: &str, function: &str| {
        let interface = component.exports.iter().find(|e| e.name.path == path)?;
        let instance = component.code.get_export_index(None, interface.name.to_string())?;
        component.code.get_export_index(Some(&instance), function)
    };
    let mut exports = Vec::new();
    for interface in component.exports.iter().filter(|e| link::is_seam(&e.name)) {
        for (function, signature) in &interface.functions {
            let index = index_of(&interface.name.path, function)
                .ok_or_else(|| broken("is inconsistent", &format!("`{function}` is declared but missing")))?;
            let (function, signature) = (function.clone(), signature.clone());
            exports.push(Export { interface: interface.name.path.clone(), function, signature, index });
        }
    }
    let blueprint = Blueprint {
        context: context.name.clone(),
        pre,
        exports,
        lean: index_of(link::HTTP_HANDLER, "handle"),
        migrations: index_of(link::MIGRATIONS, "all"),
        asynchronous: is_asynchronous(&component),
        waits: link::waits(&component),
        grants: Grants {
            database: database.clone(),
            config: Arc::new(config),
            shared: context.shared.iter().map(|shared| (shared.name.clone(), shared.version.clone())).collect(),
            outgoing: wasi_http::Outgoing::new(&context.outgoing),
            memory: memory::Shared::new(limits.context_memory_mb),
            instance_memory_mb: limits.instance_memory_mb,
            log_budget: Arc::new(logging::Budget::new(limits.log_kb_per_s)),
            timeout: limits.timeout,
        },
    };
    let stats = Arc::new(metrics.of(&context.name));
    let places = (limits.concurrency, limits.queue);
    let generation = Generation::new(index, blueprint, component, places, stats);
    let migrations =
        generation.probe().map_err(|message| (message, "see the log; then rebuild the component".to_owned()))?;
    match database {
        Some(database) => {
            let migrated = store::migrate(&database, &migrations);
            migrated.map_err(|e| (format!("cannot bring its store to its schema: {}", chain(&e)), e.remedy()))?;
        }
        None if !migrations.is_empty() => {
            let remedy = format!("add `store = true` to [context.{}]", context.name);
            return Err(("has migrations, but the manifest does not grant it a store".into(), remedy));
        }
        None => {}
    }
    Ok(generation)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl Registry {
    /// `context` as a request that starts now sees it.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live(&self, context: &str) -> Result<Live, Failure> {
        let published = self.published.load();
        let absent = || Failure::Absent { context: context.to_owned(), reason: "there is no such context".into() };
        let index = *published.by_name.get(context).ok_or_else(absent)?;
        let generation = published.generations.get(usize::from(index)).ok_or_else(absent)?.clone();
        Ok(Live { generation, set: published.set.clone() })
    }

    /// All versions that serve now, in the manifest's order.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.published.load().generations.clone()
    }

    /// Drops idle instances that were not needed lately. To be called every `limits::TRIM_INTERVAL_S`.
    pub fn trim(&self) {
        self.published.load().generations.iter().for_each(|g| g.trim());
    }
}

impl Live {
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
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

    /// An instance for one `wasi:http` request.
    ///
    /// # Errors
    /// When there is no place for it before the deadline, or it does not start.
    pub async fn check_out(self, call: Call) -> Result<Checkout, Failure> {
        let generation = &self.generation;
        let call = generation.admit(call, std::time::Instant::now())?;
        let (place, idle) = generation.pool().enter(call.deadline).map_err(|r| generation.not_entered(r))?;
        place.keep();
        let mut checkout = Checkout { live: self, call, started: Instant::now(), instance: None, failure: None };
        let generation = &checkout.live.generation;
        let mut instance = match idle {
            Some(instance) => instance,
            None => match Instance::start_async(&generation.plan).await {
                Ok(instance) => instance,
                Err(error) => return Err(checkout.fail(&error)),
            },
        };
        instance.begin(call, checkout.live.set.clone());
        checkout.instance = Some(instance);
        Ok(checkout)
    }
}

impl Checkout {
    /// The call as this context has it: with its own deadline.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The instance, to call its handler on. `None` only after `give_back`.
    pub fn parts(&mut self) -> Option<(&mut Store<Guest>, &wasmtime::component::Instance)> {
        self.instance.as_mut().map(|i| (&mut i.store, &i.instance))
    }

    /// The request was served and the guest has finished: the instance may serve another.
    pub fn give_back(mut self) {
        if let Some(instance) = self.instance.take() {
            self.live.generation.end(&self.call, instance);
        }
    }

    /// The request broke off: says so to the log, and what the client is told.
    pub fn fail(mut self, error: &wasmtime::Error) -> Failure {
        let failure = self.live.generation.failure(&self.call, error, "call");
        self.failure = Some(failure.clone());
        failure
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // The instance goes first: whoever gets the place may need its memory.
        drop(self.instance.take());
        let generation = &self.live.generation;
        generation.pool().leave();
        generation.stats.record(self.started.elapsed(), self.failure.as_ref());
    }
}
