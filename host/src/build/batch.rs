//! Building contexts once, as `seam build` does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use seam_store::ids::ContextName;

use super::error::Error;
use super::folders::{base, cache};
use super::incremental::Source;
use super::job::{BuildStatus, Job, Options, WrittenComponent, definition, run_command, stale_because, status};
use super::rebuild_loop::OwnChanges;
use super::record::{self, Freshness, Record};
use super::tools::Progress;
use super::{cargo, toolchain, tools, write};
use crate::manifest::{Build, Context, Manifest};

/// What happened to each context, in the manifest's order.
#[derive(Debug)]
pub struct BuildSummary {
    pub contexts: Vec<(ContextName, BuildStatus)>,
}

impl BuildSummary {
    pub fn failures(&self) -> impl Iterator<Item = (&ContextName, &Error)> {
        self.contexts.iter().filter_map(|(name, status)| match status {
            BuildStatus::Failed(error) => Some((name, error)),
            _ => None,
        })
    }
}

/// Builds what is stale among `only`, or among all contexts but variants when it is empty: a machine may lack the tools
/// for a variant. After a failure, which the summary holds, the others are built all the same. An `Err` means that
/// nothing was built.
pub fn run(
    manifest: &Manifest,
    only: &[ContextName],
    options: &Options,
    progress: Progress<'_>,
) -> Result<BuildSummary, Error> {
    let known = || manifest.contexts.iter().map(|c| c.settings.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = only.iter().find(|n| manifest.contexts.iter().all(|c| c.settings.name != **n)) {
        return Err(Error::NoContext { name: name.clone(), known: known() });
    }
    let base = base(manifest);
    let asked = |c: &&Context| {
        if only.is_empty() { c.settings.name.variant().is_none() } else { only.contains(&c.settings.name) }
    };
    let chosen = manifest.contexts.iter().filter(asked);
    let job = |c: &'_ Context| Job::of(c, &c.settings.component, &base);
    Ok(run_jobs(&chosen.map(job).collect::<Vec<_>>(), &base, options, progress))
}

/// The contexts whose components are older than their sources, each with the reason. No compiler runs.
pub fn stale(manifest: &Manifest) -> Vec<(ContextName, String)> {
    let base = base(manifest);
    let stale = |context: &Context| {
        let job = Job::of(context, &context.settings.component, &base);
        match record::check(&job.component, &base, &definition(job.build.as_ref()?)) {
            Freshness::Stale(why) => Some((context.settings.name.clone(), why)),
            Freshness::Fresh | Freshness::Unknown(_) => None,
        }
    };
    manifest.contexts.iter().filter_map(stale).collect()
}

/// Everything that the manifest's components were built from, as far as that is known without a compiler.
pub fn sources(manifest: &Manifest) -> BTreeSet<Source> {
    let base = base(manifest);
    let mut all = BTreeSet::new();
    for context in &manifest.contexts {
        let (folders, files) = record::sources(&base.join(&context.settings.component), &base);
        all.extend(folders.into_iter().map(|folder| Source::Folder(folder.path)));
        all.extend(files.into_iter().map(Source::File));
        if let Some(Build::Command { sources, .. }) = &context.build {
            let kind = |path: PathBuf| if path.is_file() { Source::File(path) } else { Source::Folder(path) };
            all.extend(sources.iter().map(|path| kind(base.join(path))));
        }
    }
    all
}

/// The folders that hold the sources of a context, as its last build found them.
pub fn source_folders(manifest: &Manifest, context: &Context) -> Vec<PathBuf> {
    let base = base(manifest);
    let (folders, _) = record::sources(&base.join(&context.settings.component), &base);
    folders.into_iter().map(|folder| folder.path).collect()
}

fn run_jobs(jobs: &[Job], base: &Path, options: &Options, progress: Progress<'_>) -> BuildSummary {
    let mut crates = Vec::new();
    let mut statuses: Vec<Option<BuildStatus>> = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        let stale = stale_because(job, base, options);
        if let Ok(why) = &stale {
            progress(&format!("building {}: {why}", job.name));
        }
        statuses.push(match (stale, &job.build) {
            (Err(status), _) => Some(status),
            (Ok(_), None) => Some(BuildStatus::Prebuilt),
            (Ok(why), Some(Build::Command { command, sources })) => {
                Some(status(run_command(job, command, sources, base, None), why))
            }
            (Ok(why), Some(Build::Cargo { package })) => {
                crates.push(Crate { at, job, package, why });
                None
            }
        });
    }
    for (at, status) in build_crates(&crates, base, progress) {
        if let Some(slot) = statuses.get_mut(at) {
            *slot = Some(status);
        }
    }
    let names = jobs.iter().map(|job| job.name.clone());
    BuildSummary { contexts: names.zip(statuses.into_iter().flatten()).collect() }
}

/// A context whose crate must be compiled.
struct Crate<'a> {
    /// Its index in the summary.
    at: usize,
    job: &'a Job,
    package: &'a str,
    why: String,
}

fn build_crates(crates: &[Crate<'_>], base: &Path, progress: Progress<'_>) -> Vec<(usize, BuildStatus)> {
    if crates.is_empty() {
        return Vec::new();
    }
    let (start, clock) = (Instant::now(), SystemTime::now());
    match compile(crates, base, progress) {
        Ok(modules) => modules
            .into_iter()
            .zip(crates)
            .map(|(module, c)| {
                let written = module.and_then(|compiled| finish(c, base, compiled, start, clock));
                (c.at, status(written, c.why.clone()))
            })
            .collect(),
        // The same error for all: the first context has it, and the others refer to it.
        Err(error) => {
            let mut error = Some(error);
            let next = |c: &Crate<'_>| {
                let command = "see the error of the first context".to_owned();
                let error = error.take().unwrap_or_else(|| Error::Compile { package: c.package.into(), command });
                (c.at, BuildStatus::Failed(error))
            };
            crates.iter().map(next).collect()
        }
    }
}

/// A core module, and what its package was before the build.
struct Compiled {
    module: PathBuf,
    record: Record,
    /// Where cargo and the compiler write.
    target: PathBuf,
}

type Module = Result<Compiled, Error>;

/// Compiles all crates with one cargo call; returns a result for each.
fn compile(crates: &[Crate<'_>], base: &Path, progress: Progress<'_>) -> Result<Vec<Module>, Error> {
    let toolchain = toolchain::obtain(&tools::Search::from_env(), base, &cache(base), progress)?;
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
        Ok(Compiled { module: module.clone(), record, target: workspace.target.clone() })
    };
    Ok(prepared.into_iter().zip(crates).map(module).collect())
}

/// Writes the component of a compiled crate. The build began at `start`, by the clock of the file system at `clock`.
fn finish(
    c: &Crate<'_>,
    base: &Path,
    compiled: Compiled,
    start: Instant,
    clock: SystemTime,
) -> Result<WrittenComponent, Error> {
    let Compiled { module, mut record, target } = compiled;
    let bytes = cargo::component(&module, true)?;
    let changed = write::atomically(&c.job.component, &bytes)?;
    // Files that builds write are not edited.
    record.add(cargo::read_by_compiler(&module).into_iter().filter(|file| !file.starts_with(&target)), base, clock);
    let own_changes = record.finish(&c.job.component, base)?;
    let own_changes = OwnChanges { command: format!("cargo build -p {}", c.package), ..own_changes };
    Ok(WrittenComponent { bytes: bytes.len() as u64, changed, took: start.elapsed(), own_changes })
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
