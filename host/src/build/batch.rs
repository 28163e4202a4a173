//! Building contexts once, as `seam build` does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::Error;
use super::folders::{base, cache};
use super::job::{Job, Options, Outcome, Written, definition, outcome, run_command, stale};
use super::record::Record;
use super::tools::Say;
use super::{cargo, toolchain, tools, write};
use crate::ids::ContextName;
use crate::manifest::{Build, Context, Manifest};

/// What was done, in the manifest's order.
#[derive(Debug)]
pub struct Report {
    pub contexts: Vec<(ContextName, Outcome)>,
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
    let known = || manifest.contexts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = only.iter().find(|n| manifest.contexts.iter().all(|c| c.name != **n)) {
        return Err(Error::NoContext { name: name.clone(), known: known() });
    }
    let base = base(manifest);
    let asked = |c: &&Context| if only.is_empty() { c.name.variant().is_none() } else { only.contains(&c.name) };
    let chosen = manifest.contexts.iter().filter(asked);
    let job = |c: &'_ Context| Job { name: c.name.clone(), component: base.join(&c.component), build: c.build.clone() };
    Ok(run_jobs(&chosen.map(job).collect::<Vec<_>>(), &base, options, say))
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

/// A context whose crate must be compiled.
struct Crate<'a> {
    /// Its place in the report.
    at: usize,
    job: &'a Job,
    package: &'a str,
    why: String,
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
                    let bytes = cargo::component(&module, true)?;
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
    let workspace = cargo::Workspace::read(&toolchain, base)?;
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
    record.add(cargo::read_by_compiler(module), base);
    record.finish(&job.component)?;
    Ok(Written { bytes: bytes.len() as u64, changed, took: start.elapsed() })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
