//! Loads and compiles the components that a manifest names, several at a time; leaves out variants that cannot be
//! loaded.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use seam_store::chain;
use seam_store::ids::ContextName;

use super::error::Error;
use crate::component::{self, Artifact, ContextProblem, ContextSpec, Loader};
use crate::settings::ContextSettings;

/// Where the component of an entry in the manifest comes from.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: PathBuf,
    /// The SHA-256 that its bytes must have; `None`: any.
    pub hash: Option<String>,
    /// See `ContextSpec`.
    pub tolerated_schema: Option<u32>,
}

impl Source {
    /// The file that the entry names.
    pub fn of(entry: &ContextSettings) -> Self {
        Self { file: entry.component.clone(), hash: None, tolerated_schema: None }
    }
}

/// A variant of the manifest that is not loaded: its context serves without it.
#[derive(Debug, Clone)]
pub struct Absent {
    pub context: ContextName,
    pub why: String,
    /// Its problems; empty when it is only not built.
    pub problems: Vec<ContextProblem>,
}

/// Repeats `work` without the variants that it found broken, which go to `absent`, until it succeeds or fails for
/// another reason.
pub(super) fn without_broken_variants<T>(
    absent: &mut Vec<Absent>,
    mut work: impl FnMut(&mut Vec<Absent>) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let problems = match work(absent) {
            Err(Error::Problems(problems))
                if !problems.is_empty() && problems.iter().all(|p| p.context.variant().is_some()) =>
            {
                problems
            }
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

/// The entries whose components should exist, and the variants that are not built yet.
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
/// Every component that cannot be read or compiled.
pub(super) fn load(
    loader: &Loader,
    contexts: &[ContextSettings],
    source: &(dyn Fn(&ContextSettings) -> Source + Sync),
) -> Result<Vec<ContextSpec>, Error> {
    let (specs, problems) = load_what_can(loader, contexts, source)?;
    if problems.is_empty() { Ok(specs) } else { Err(Error::Problems(problems)) }
}

/// Like `load`, with a placeholder for each component that cannot be read or compiled, and why it cannot.
///
/// # Errors
/// When there is no placeholder.
pub(super) fn load_what_can(
    loader: &Loader,
    contexts: &[ContextSettings],
    source: &(dyn Fn(&ContextSettings) -> Source + Sync),
) -> Result<(Vec<ContextSpec>, Vec<ContextProblem>), Error> {
    let next = AtomicUsize::new(0);
    let loaded = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(contexts.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(context) = contexts.get(at) else { return };
                    let Source { file, hash, tolerated_schema } = source(context);
                    let artifact = match hash {
                        Some(hash) => Artifact::read_as(&file, &hash),
                        None => Artifact::read(&file),
                    };
                    let component = artifact.and_then(|artifact| loader.load_artifact(&artifact));
                    loaded.lock().push((at, context, tolerated_schema, component));
                }
            });
        }
    });
    let mut loaded = loaded.into_inner();
    loaded.sort_by_key(|(at, ..)| *at);
    let (mut specs, mut problems) = (Vec::new(), Vec::new());
    for (_, entry, tolerated_schema, component) in loaded {
        let component = match component {
            Ok(component) => component,
            Err(error) => {
                problems.push(unreadable(entry, &error));
                loader.placeholder()?
            }
        };
        specs.push(ContextSpec { settings: entry.clone(), component, tolerated_schema });
    }
    Ok((specs, problems))
}

fn unreadable(context: &ContextSettings, error: &component::Error) -> ContextProblem {
    if let component::Error::Foreign { what, remedy, .. } = error {
        let problem = ContextProblem::of(&context.name, what, remedy.clone());
        return ContextProblem { part: "component".into(), ..problem };
    }
    let remedy = match (error, context.built) {
        (component::Error::Read { .. }, true) => format!("run `seam build {}`", context.name),
        (component::Error::Read { .. }, false) => "put the file there, or add a `build` entry".to_owned(),
        (component::Error::NotAComponent { .. } | component::Error::Compile { .. }, true) => {
            let name = &context.name;
            format!(
                "run `seam build {name}`, which replaces a damaged file; if that does not help, correct its sources"
            )
        }
        (component::Error::NotAComponent { .. }, _) => "make a component of it (`wasm-tools component new`)".to_owned(),
        (component::Error::Changed { .. }, _) => {
            format!("put the undamaged file there, or deploy it: `seam deploy {} FILE`", context.name)
        }
        (component::Error::Cache { .. }, _) => {
            "repair the data folder, or name another one in `[host] data`".to_owned()
        }
        _ => "rebuild it, smaller or from a source that compiles".to_owned(),
    };
    ContextProblem { context: context.name.clone(), part: "component".into(), message: chain(error), remedy }
}
