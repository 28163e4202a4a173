//! A system whose parts fit together: components, each with its entry in the manifest, wired to each other. Nothing runs yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::component::{self, Compiler, Component, Loader};
use super::link::{self, Carry, Problem, Wiring};
use super::registry::{Error, Registry};
use super::stats::Metrics;
use super::{engine, start};
use crate::ids::ContextName;
use crate::manifest::{ContextSettings, Recording, SystemSettings};
use crate::seam::Guest;
use crate::store::HostFile;

/// A context as it is to run: what the manifest says of it, and its component.
#[derive(Clone)]
pub struct Part {
    pub entry: ContextSettings,
    pub component: Component,
    /// The schema up to which its file may know more migrations than it does: an older version that was seen to run there.
    pub ahead: Option<u32>,
}

/// Where the component of a manifest's entry is taken from.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: PathBuf,
    /// See `Part`.
    pub ahead: Option<u32>,
}

impl Source {
    /// The file that the entry names.
    pub fn of(entry: &ContextSettings) -> Self {
        Self { file: entry.component.clone(), ahead: None }
    }
}

/// Components of a manifest, compiled and wired; no file of a context has been touched.
pub struct Linked {
    loader: Loader,
    parts: Vec<Part>,
    absent: Vec<Absent>,
    recording: Recording,
}

/// A variant that the manifest has and that is not loaded: its context serves without it.
#[derive(Debug, Clone)]
pub struct Absent {
    pub context: ContextName,
    pub why: String,
    /// What is wrong with it; empty when it is only not built.
    pub problems: Vec<Problem>,
}

/// A part that can be started.
pub(super) struct Wired {
    pub part: Part,
    pub wiring: Wiring,
    pub linker: Linker<Guest>,
}

impl Linked {
    /// Loads the components, several at a time, and wires them. Variants that cannot be had are left out.
    ///
    /// # Errors
    /// Everything that is wrong, of all contexts together.
    pub fn load(system: &SystemSettings, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        Self::load_from(system, compiler, cache, &Source::of)
    }

    /// The same with components from where `source` says.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_from(
        system: &SystemSettings,
        compiler: Compiler,
        cache: &Path,
        source: &(dyn Fn(&ContextSettings) -> Source + Sync),
    ) -> Result<Self, Error> {
        let engine = engine::running().map_err(Error::Engine)?;
        let loader = Loader::new(&engine, compiler, cache)?;
        let mut absent = Vec::new();
        let parts = without_broken(&mut absent, |absent| {
            let (there, missing) = present(&system.contexts, source);
            let left_out = |name: &ContextName| absent.iter().any(|absent: &Absent| absent.context == *name);
            let there: Vec<_> = there.into_iter().filter(|entry| !left_out(&entry.name)).cloned().collect();
            let missing: Vec<_> = missing.into_iter().filter(|missing| !left_out(&missing.context)).collect();
            absent.extend(missing);
            let parts = load(&loader, &there, source)?;
            wire(loader.engine(), parts.clone())?;
            Ok(parts)
        })?;
        Ok(Self { loader, parts, absent, recording: system.recording.clone() })
    }

    pub(super) fn all(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn engine(&self) -> &Engine {
        self.loader.engine()
    }

    /// A component from a file that is no part of the system.
    ///
    /// # Errors
    /// When it cannot be read, is none, or does not compile within its bounds.
    pub fn component(&self, file: &Path) -> Result<Component, Error> {
        Ok(self.loader.load(file)?)
    }

    /// The variants that were left out.
    pub fn absent(&self) -> &[Absent] {
        &self.absent
    }

    /// Opens the contexts' files in the folder `databases`, starts an instance of each, brings each file to its component's schema, and publishes them all.
    ///
    /// # Errors
    /// Everything that is wrong, of all contexts together. A file whose migration failed is as it was.
    pub fn start(self, databases: &Path, host: Arc<HostFile>, metrics: &Metrics) -> Result<Registry, Error> {
        let Self { loader, parts, mut absent, recording } = self;
        let registry = Registry::empty(loader, databases, host, metrics.clone(), recording)?;
        registry.needed(&absent)?;
        without_broken(&mut absent, |absent| {
            let left_out = |part: &Part| absent.iter().any(|absent| absent.context == part.entry.name);
            let parts = parts.iter().filter(|part| !left_out(part)).cloned().collect();
            let prepared = registry.prepare(parts)?;
            prepared.migrate()?;
            prepared.publish()
        })?;
        for absent in &absent {
            let Absent { context, why, problems } = absent;
            match problems.is_empty() {
                true => tracing::info!(target: "up", "`{context}` does not serve: {why}"),
                false => tracing::error!(target: "up", "`{context}` does not serve, others do: {why}"),
            }
        }
        registry.set_absent(absent);
        Ok(registry)
    }
}

/// Does `work` until nothing is wrong but with contexts themselves: variants that are broken go to `absent` and are done without.
fn without_broken<T>(
    absent: &mut Vec<Absent>,
    mut work: impl FnMut(&mut Vec<Absent>) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let problems = match work(absent) {
            Err(Error::Problems(problems)) if problems.iter().all(|p| p.context.variant().is_some()) => problems,
            done => return done,
        };
        let known = absent.len();
        for problem in problems {
            let found = absent.iter_mut().skip(known).find(|absent| absent.context == problem.context);
            match found {
                Some(absent) => absent.problems.push(problem),
                None => {
                    let (context, why) = (problem.context.clone(), problem.message.clone());
                    absent.push(Absent { context, why, problems: vec![problem] });
                }
            }
        }
    }
}

/// The entries whose components can be expected to be there, and the variants that nobody has built yet.
pub(super) fn present<'m>(
    contexts: &'m [ContextSettings],
    source: &dyn Fn(&ContextSettings) -> Source,
) -> (Vec<&'m ContextSettings>, Vec<Absent>) {
    let built = |entry: &&ContextSettings| entry.name.variant().is_none() || source(entry).file.exists();
    let (there, missing): (Vec<_>, Vec<_>) = contexts.iter().partition(built);
    let absent = |entry: &ContextSettings| Absent {
        context: entry.name.clone(),
        why: "it is not built".to_owned(),
        problems: Vec::new(),
    };
    (there, missing.into_iter().map(absent).collect())
}

/// Loads each context's component, several at a time.
///
/// # Errors
/// All that cannot be read or compiled.
pub(super) fn load(
    loader: &Loader,
    contexts: &[ContextSettings],
    source: &(dyn Fn(&ContextSettings) -> Source + Sync),
) -> Result<Vec<Part>, Error> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let loaded = parking_lot::Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(contexts.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(context) = contexts.get(at) else { return };
                    let Source { file, ahead } = source(context);
                    loaded.lock().push((at, context, ahead, loader.load(&file)));
                }
            });
        }
    });
    let mut loaded = loaded.into_inner();
    loaded.sort_by_key(|(at, ..)| *at);
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    for (_, entry, ahead, component) in loaded {
        match component {
            Ok(component) => parts.push(Part { entry: entry.clone(), component, ahead }),
            Err(error) => problems.push(unreadable(entry, &error)),
        }
    }
    if problems.is_empty() { Ok(parts) } else { Err(Error::Problems(problems)) }
}

/// Decides who answers each import, and gives each part a linker.
///
/// # Errors
/// Everything that keeps the parts from being one system.
pub(super) fn wire(engine: &Engine, parts: Vec<Part>) -> Result<Vec<Wired>, Error> {
    let borrowed: Vec<_> = parts.iter().map(|part| (&part.entry, &part.component)).collect();
    let wirings = link::plan(&borrowed).map_err(Error::Problems)?;
    let (mut wired, mut problems) = (Vec::new(), Vec::new());
    for (part, wiring) in parts.into_iter().zip(wirings) {
        match linked(engine, part, wiring, Carry::Bytes) {
            Ok(one) => wired.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(wired) } else { Err(Error::Problems(problems)) }
}

/// The same decisions, and a linker for `context` alone, which anything can answer.
///
/// # Errors
/// Everything that keeps the parts from being one system.
pub(super) fn wire_one(engine: &Engine, parts: Vec<Part>, context: &str) -> Result<(usize, Wired), Error> {
    let borrowed: Vec<_> = parts.iter().map(|part| (&part.entry, &part.component)).collect();
    let wirings = link::plan(&borrowed).map_err(Error::Problems)?;
    let found = parts.into_iter().zip(wirings).enumerate().find(|(_, (part, _))| part.entry.name.as_str() == context);
    let (at, (part, wiring)) = found.ok_or_else(|| Error::NoContext { name: context.to_owned() })?;
    let wired = linked(engine, part, wiring, Carry::Values).map_err(|problem| Error::Problems(vec![problem]))?;
    Ok((at, wired))
}

fn linked(engine: &Engine, part: Part, wiring: Wiring, carry: Carry) -> Result<Wired, Problem> {
    match link::linker(engine, &part.component, &wiring, start::is_asynchronous(&part.component), carry) {
        Ok(linker) => Ok(Wired { part, wiring, linker }),
        Err(error) => Err(Problem {
            context: part.entry.name.clone(),
            part: "component".into(),
            message: format!("`{}` cannot be linked: {error:#}", part.entry.name),
            remedy: "rebuild it against the interfaces of this host".into(),
        }),
    }
}

fn unreadable(context: &ContextSettings, error: &component::Error) -> Problem {
    use std::error::Error as _;
    let because = error.source().map(|s| format!(": {s}")).unwrap_or_default();
    let remedy = match (error, context.built) {
        (component::Error::Read { .. }, true) => format!("run `seam build {}`", context.name),
        (component::Error::Read { .. }, false) => "put the file there, or say how to `build` it".to_owned(),
        (component::Error::NotAComponent { .. } | component::Error::Compile { .. }, true) => {
            let name = &context.name;
            format!("run `seam build {name}`, which replaces a file that is not as it was built; else mend its sources")
        }
        (component::Error::NotAComponent { .. }, _) => "make a component of it (`wasm-tools component new`)".to_owned(),
        (component::Error::Cache { .. }, _) => "mend the data folder, or name another one in `[host] data`".to_owned(),
        _ => "rebuild it, smaller or from a source that compiles".to_owned(),
    };
    Problem { context: context.name.clone(), part: "component".into(), message: format!("{error}{because}"), remedy }
}
