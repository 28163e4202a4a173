//! `seam build`: turns the sources of contexts into components, and `seam doctor`: says what a machine lacks for that.
//!
//! Only what is stale is built: `record` compares sources with what was built from them, without starting a compiler.
//! A component appears under its name when it is complete and valid, or not at all.
//! Not here: whether a component fits the manifest and its neighbours; that is checked where it is loaded.

pub mod doctor;
mod error;
mod messages;
mod packages;
mod record;
mod rust;
mod sysroot;
pub mod toolchain;
pub mod tools;
pub mod workshop;
mod write;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::ids::ContextName;
use crate::manifest::{Build, Context, Manifest};
pub use error::Error;
pub use messages::Diagnostic;
use messages::Tail;
use record::{Folder, Freshness, Record, Sources};
pub use workshop::{Built, Failed, Made, Source, Workshop};

/// Where messages about what is being done go, one line each. Programs that are run write to stderr themselves.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// Where compiled standard libraries and installed tools are kept, in the manifest's folder.
pub const TOOLS_FOLDER: &str = ".tools";

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Build even what seems fresh.
    pub force: bool,
}

/// What was done, in the manifest's order.
#[derive(Debug)]
pub struct Report {
    pub contexts: Vec<(ContextName, Outcome)>,
}

#[derive(Debug)]
pub enum Outcome {
    /// Nothing had changed.
    Fresh,
    /// The manifest has no build for it, and the component is there.
    Given,
    Built {
        /// Why it was stale.
        why: String,
        bytes: u64,
        /// Whether other bytes came out than before.
        changed: bool,
        took: Duration,
    },
    Failed(Error),
}

impl Report {
    pub fn failures(&self) -> impl Iterator<Item = (&ContextName, &Error)> {
        self.contexts.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Failed(error) => Some((name, error)),
            _ => None,
        })
    }
}

/// Builds what is stale among `only`, or among all contexts when it is empty; variants, which a machine may lack the tools for, are
/// built by their names only. One failure does not keep the others from being
/// built; it stands in the report. An `Err` means that nothing was tried.
pub fn run(manifest: &Manifest, only: &[ContextName], options: &Options, say: Say<'_>) -> Result<Report, Error> {
    let known = || manifest.contexts.iter().map(|c| c.settings.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = only.iter().find(|n| manifest.contexts.iter().all(|c| c.settings.name != **n)) {
        return Err(Error::NoContext { name: name.clone(), known: known() });
    }
    let base = base(manifest);
    let asked = |c: &&Context| {
        if only.is_empty() { c.settings.name.variant().is_none() } else { only.contains(&c.settings.name) }
    };
    let chosen = manifest.contexts.iter().filter(asked);
    let job = |c: &'_ Context| Job {
        name: c.settings.name.clone(),
        component: base.join(&c.settings.component),
        build: c.build.clone(),
    };
    Ok(run_jobs(&chosen.map(job).collect::<Vec<_>>(), &base, options, say))
}

/// A context, as far as building is concerned.
#[derive(Debug)]
struct Job {
    name: ContextName,
    component: PathBuf,
    build: Option<Build>,
}

fn run_jobs(jobs: &[Job], base: &Path, options: &Options, say: Say<'_>) -> Report {
    let mut crates = Vec::new();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        let stale = stale(job, base, options);
        if let Ok(why) = &stale {
            say(&format!("building {}: {why}", job.name));
        }
        outcomes.push(match (stale, &job.build) {
            (Err(outcome), _) => Some(outcome),
            (Ok(_), None) => Some(Outcome::Given),
            (Ok(why), Some(Build::Command { command, sources })) => {
                Some(outcome(run_command(job, command, sources, base, None), why))
            }
            (Ok(why), Some(Build::Cargo { package })) => {
                crates.push(Crate { at, job, package, why });
                None
            }
        });
    }
    for (at, outcome) in build_crates(&crates, base, say) {
        if let Some(slot) = outcomes.get_mut(at) {
            *slot = Some(outcome);
        }
    }
    let names = jobs.iter().map(|job| job.name.clone());
    Report { contexts: names.zip(outcomes.into_iter().flatten()).collect() }
}

/// The manifest's folder, absolute: cargo reports absolute paths.
pub fn base(manifest: &Manifest) -> PathBuf {
    let folder = manifest.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.into())
}

/// Where the toolchain's own files are kept for this manifest.
pub(crate) fn cache(base: &Path) -> PathBuf {
    base.join(TOOLS_FOLDER).join("wasm")
}

/// How a context is built, for the record.
fn definition(build: &Build) -> String {
    match build {
        Build::Cargo { package } => format!("cargo {package}"),
        Build::Command { command, sources } => format!("command {command} {sources:?}"),
    }
}

/// Why the context must be built, or else what is the case instead.
fn stale(job: &Job, base: &Path, options: &Options) -> Result<String, Outcome> {
    let Some(build) = &job.build else {
        let absent = || Outcome::Failed(Error::NoBuild { component: job.component.clone() });
        return Err(if job.component.is_file() { Outcome::Given } else { absent() });
    };
    if options.force {
        return Ok("it was asked for".into());
    }
    if matches!(build, Build::Command { sources, .. } if sources.is_empty()) {
        return Ok("the manifest names no `sources` to compare with".into());
    }
    match record::check(&job.component, base, &definition(build)) {
        Freshness::Fresh => Err(Outcome::Fresh),
        Freshness::Stale(why) => Ok(why),
    }
}

/// A context whose crate must be compiled.
struct Crate<'a> {
    /// Its place in the report.
    at: usize,
    job: &'a Job,
    package: &'a str,
    why: String,
}

/// What a build that came to an end has written.
struct Written {
    bytes: u64,
    changed: bool,
    took: Duration,
}

fn outcome(written: Result<Written, Error>, why: String) -> Outcome {
    match written {
        Ok(Written { bytes, changed, took }) => Outcome::Built { why, bytes, changed, took },
        Err(error) => Outcome::Failed(error),
    }
}

fn build_crates(crates: &[Crate<'_>], base: &Path, say: Say<'_>) -> Vec<(usize, Outcome)> {
    if crates.is_empty() {
        return Vec::new();
    }
    let start = Instant::now();
    match compile(crates, base, say) {
        Ok(modules) => modules
            .into_iter()
            .zip(crates)
            .map(|(module, c)| {
                let written = module.and_then(|(module, record)| {
                    let bytes = rust::component(&module, true)?;
                    finish(c.job, base, record, &module, &bytes, start)
                });
                (c.at, outcome(written, c.why.clone()))
            })
            .collect(),
        // The same trouble for all: said once, and the rest refers to it.
        Err(error) => {
            let mut error = Some(error);
            let next = |c: &Crate<'_>| {
                let command = "see the error of the first context".to_owned();
                let error = error.take().unwrap_or_else(|| Error::Compile { package: c.package.into(), command });
                (c.at, Outcome::Failed(error))
            };
            crates.iter().map(next).collect()
        }
    }
}

type Module = Result<(PathBuf, Record), Error>;

/// Compiles all crates with one cargo call; one answer for each.
fn compile(crates: &[Crate<'_>], base: &Path, say: Say<'_>) -> Result<Vec<Module>, Error> {
    let toolchain = toolchain::obtain(&tools::Search::from_env(), base, &cache(base), say)?;
    let workspace = rust::Workspace::read(&toolchain, base)?;
    let prepare = |c: &Crate<'_>| {
        let sources = workspace.sources(c.package, &toolchain, base)?;
        let build = Build::Cargo { package: c.package.into() };
        Ok((workspace.package(c.package)?.to_path_buf(), Record::take(&definition(&build), sources, base)?))
    };
    let prepared: Vec<Result<_, Error>> = crates.iter().map(prepare).collect();
    let packages: BTreeSet<&str> =
        crates.iter().zip(&prepared).filter(|(_, p)| p.is_ok()).map(|(c, _)| c.package).collect();
    let (modules, failed) = match packages.is_empty() {
        true => Default::default(),
        false => workspace.compile(&toolchain, &packages)?,
    };
    let module = |(prepared, c): (Result<(PathBuf, Record), Error>, &Crate<'_>)| {
        let (manifest, record) = prepared?;
        let command = failed.clone().unwrap_or_else(|| "cargo build".into());
        let module = modules.get(&manifest).ok_or(Error::Compile { package: c.package.into(), command })?;
        Ok((module.clone(), record))
    };
    Ok(prepared.into_iter().zip(crates).map(module).collect())
}

fn finish(
    job: &Job,
    base: &Path,
    mut record: Record,
    module: &Path,
    bytes: &[u8],
    start: Instant,
) -> Result<Written, Error> {
    let changed = write::atomically(&job.component, bytes)?;
    record.add(rust::read_by_compiler(module), base);
    record.finish(&job.component)?;
    Ok(Written { bytes: bytes.len() as u64, changed, took: start.elapsed() })
}

/// Runs a context's own build command and looks at what it wrote. What it prints goes to standard error or, when given, to `words`.
fn run_command(
    job: &Job,
    command: &str,
    sources: &[PathBuf],
    base: &Path,
    words: Option<&mut Tail>,
) -> Result<Written, Error> {
    let start = Instant::now();
    let component = job.component.clone();
    let folders = sources.iter().map(|path| Folder { path: path.clone(), package: false }).collect();
    let build = Build::Command { command: command.into(), sources: sources.into() };
    let record = Record::take(&definition(&build), Sources { folders, files: Vec::new() }, base)?;
    let before = std::fs::read(&component).ok();
    if let Some(folder) = component.parent() {
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    }
    let started = |source| Error::Start { command: command.into(), source };
    let mut child = std::process::Command::new("sh");
    child.args(["-c", command]).current_dir(base).stdin(std::process::Stdio::null());
    let status = match words {
        None => {
            // stdout is data; what a build prints is not.
            let stderr = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map_err(started)?;
            child.stdout(stderr).status().map_err(started)?
        }
        Some(words) => {
            let (reader, writer) = std::io::pipe().map_err(started)?;
            let mut running =
                child.stdout(writer.try_clone().map_err(started)?).stderr(writer).spawn().map_err(started)?;
            // Its ends of the pipe go with it: else the reading below would have no end.
            drop(child);
            BufReader::new(reader).lines().map_while(Result::ok).for_each(|line| words.push(&line));
            running.wait().map_err(started)?
        }
    };
    if !status.success() {
        return Err(Error::Command { command: command.into(), status: status.to_string() });
    }
    let Ok(bytes) = std::fs::read(&component) else {
        return Err(Error::NoOutput { component, command: command.into() });
    };
    let valid = |bytes: &[u8]| {
        if !wasmparser::Parser::is_component(bytes) {
            return Err("its first bytes are those of something else".to_owned());
        }
        let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
        validator.validate_all(bytes).map(|_| ()).map_err(|e| e.to_string())
    };
    valid(&bytes).map_err(|detail| Error::NotComponent { component: component.clone(), detail })?;
    record.finish(&component)?;
    Ok(Written { bytes: bytes.len() as u64, changed: before.is_none_or(|b| b != bytes), took: start.elapsed() })
}

#[cfg(test)]
mod tests;
