//! Building contexts again and again while a developer edits them.
//!
//! Unlike `batch`, it finds the toolchain and the workspace once, and compiles for speed: incrementally and with few
//! optimisations, in its own target folder (`target/wasm-dev`), to its own components (`dev/` beside the manifest's).
//! So the components that another host serves, and their records, stay as they are. Cargo always builds all packages:
//! the features of a dependency depend on the packages that are built, so building one package alone would compile half
//! of the dependencies again. An unchanged package costs a check. Not here: noticing that a source changed (`watch`);
//! what happens to a component (`dev`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use seam_store::ids::ContextName;

use super::error::Error;
use super::file_state::FileState;
use super::folders::cache;
use super::job::{self, BuildStatus, Job, Options};
use super::messages::{self, CargoOutput, Diagnostic, Tail};
use super::rebuild_loop::{OwnChanges, RebuildLoop};
use super::record::{self, Folder, Sources};
use super::rust::TARGET;
use super::toolchain::{self, Toolchain};
use super::tools::{self, Progress};
use super::{cargo, write};
use crate::manifest::{Build, Context};

/// The settings of the quick profile, as cargo reads them from the environment.
const PROFILE: [(&str, &str); 8] = [
    // Without optimisation, the code is so large that the host loses more time translating it than this level costs.
    ("OPT_LEVEL", "1"),
    ("INCREMENTAL", "true"),
    ("CODEGEN_UNITS", "256"),
    // Optimising across those units took half of the time and saved a few percent of the size.
    ("LTO", "off"),
    ("DEBUG", "false"),
    ("STRIP", "debuginfo"),
    ("OVERFLOW_CHECKS", "true"),
    ("DEBUG_ASSERTIONS", "false"),
];

pub struct IncrementalBuilder {
    base: PathBuf,
    jobs: Vec<Job>,
    cargo: Option<Cargo>,
    /// A `Cargo.toml` changed: the workspace has to be read again.
    workspace_outdated: bool,
    /// What builds changed among the sources of all contexts, by absolute paths.
    own: RebuildLoop<FileState>,
    /// Nothing has changed since the last build but what that build changed itself.
    repeat: bool,
}

/// What building packages needs.
struct Cargo {
    toolchain: Toolchain,
    workspace: cargo::Workspace,
    /// The core modules that the present components were made from.
    modules: BTreeMap<ContextName, (PathBuf, SystemTime)>,
    /// The files that the compiler read for each.
    read: BTreeMap<ContextName, BTreeSet<PathBuf>>,
}

/// The results of one build.
#[derive(Debug, Default)]
pub struct IncrementalBuild {
    pub up_to_date: Vec<BuiltContext>,
    pub failed: Vec<FailedContext>,
    /// The compiler's warnings about what it compiled.
    pub warnings: Vec<Diagnostic>,
    pub took: Duration,
    /// The builds change their own sources each time: set when that is noticed, with the context that it begins with.
    pub rebuild_loop: Option<(ContextName, OwnChanges)>,
}

/// A context whose component is up to date.
#[derive(Debug)]
pub struct BuiltContext {
    pub context: ContextName,
    /// A compiler ran for it.
    pub rebuilt: bool,
    /// The component has other bytes than before.
    pub changed: bool,
}

/// A context whose component could not be built.
#[derive(Debug)]
pub struct FailedContext {
    pub context: ContextName,
    pub error: Error,
    /// The compiler's errors that have a place in a file.
    pub diagnostics: Vec<Diagnostic>,
    /// What the build printed besides them.
    pub output: String,
}

/// A file or folder whose change may change a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Folder(PathBuf),
    File(PathBuf),
}

/// The path of a context's component in an incremental build.
pub fn component(context: &Context) -> PathBuf {
    match (&context.build, context.settings.component.parent(), context.settings.component.file_name()) {
        (Some(Build::Cargo { .. }), Some(folder), Some(name)) => folder.join("dev").join(name),
        _ => context.settings.component.clone(),
    }
}

impl IncrementalBuilder {
    /// A builder for the contexts of a manifest in `base`.
    ///
    /// # Errors
    /// When a context is built by cargo and there is no compiler for it, or cargo cannot read the workspace.
    pub fn open(contexts: &[Context], base: &Path, progress: Progress<'_>) -> Result<Self, Error> {
        let mut builder = Self {
            base: base.into(),
            jobs: Vec::new(),
            cargo: None,
            workspace_outdated: false,
            own: RebuildLoop::default(),
            repeat: false,
        };
        builder.set_contexts(contexts, progress)?;
        Ok(builder)
    }

    /// Builds these contexts instead of those before.
    ///
    /// # Errors
    /// As for `open`; it keeps the contexts before.
    pub fn set_contexts(&mut self, contexts: &[Context], progress: Progress<'_>) -> Result<(), Error> {
        let jobs: Vec<Job> = contexts.iter().map(|c| Job::of(c, &component(c), &self.base)).collect();
        if self.cargo.is_none() && jobs.iter().any(|job| package(job).is_some()) {
            let search = tools::Search::from_env();
            let toolchain = toolchain::obtain(&search, &self.base, &cache(&self.base), progress)?;
            let workspace = cargo::Workspace::read(&toolchain, &self.base)?;
            self.cargo = Some(Cargo { toolchain, workspace, modules: BTreeMap::new(), read: BTreeMap::new() });
        }
        self.jobs = jobs;
        Ok(())
    }

    /// Everything whose change may change a component.
    pub fn sources(&self) -> BTreeSet<Source> {
        let mut all = BTreeSet::new();
        for job in &self.jobs {
            let (folders, files) = self.inputs(job);
            all.extend(folders.into_iter().map(|f| Source::Folder(f.path)));
            all.extend(files.into_iter().map(Source::File));
            let read = self.cargo.iter().filter_map(|cargo| cargo.read.get(&job.name)).flatten();
            all.extend(read.map(|file| Source::File(file.clone())));
        }
        let folders: Vec<PathBuf> =
            all.iter().filter_map(|s| if let Source::Folder(f) = s { Some(f.clone()) } else { None }).collect();
        let inside = |path: &Path| folders.iter().any(|f| path.starts_with(f) && path != f);
        // A folder's hidden files and those that editors leave are watched only if the compiler read them.
        all.retain(|source| {
            matches!(source, Source::File(_)) || matches!(source, Source::Folder(path) if !inside(path))
        });
        all
    }

    /// The contexts whose components may change with these files. None with files that only builds change.
    pub fn affected_by(&mut self, changed: &BTreeSet<PathBuf>) -> Vec<ContextName> {
        let left = |path: &PathBuf| {
            let now = fs::metadata(path).ok().map(|metadata| FileState::of(&metadata));
            self.own.left(path, now.as_ref())
        };
        let (by_builds, edited): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = changed.iter().cloned().partition(left);
        self.repeat = edited.is_empty() && !by_builds.is_empty();
        let changed = if self.own.rests() { &edited } else { changed };
        let is_cargo_file = |path: &Path| path.file_name().is_some_and(|n| n == "Cargo.toml" || n == "Cargo.lock");
        self.workspace_outdated |= changed.iter().any(|path| is_cargo_file(path));
        let mut affected = BTreeSet::new();
        for path in changed {
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let reads = |job: &&Job| {
                let read = self.cargo.as_ref().and_then(|cargo| cargo.read.get(&job.name));
                read.is_some_and(|read| read.contains(&real))
            };
            let readers: Vec<_> = self.jobs.iter().filter(reads).map(|job| job.name.clone()).collect();
            // A file that the compiler read affects the contexts that it read it for. A file that no compiler has read
            // may affect every context that has it in a folder.
            if !readers.is_empty() && !is_cargo_file(path) {
                affected.extend(readers);
            }
            let known = self.cargo.iter().any(|cargo| cargo.read.values().any(|read| read.contains(&real)));
            let holds = |job: &&Job| {
                let (folders, files) = self.inputs(job);
                let by_cargo = package(job).is_some();
                // A component, and its record, may lie among the sources of its build.
                let product =
                    job.build.is_some() && (*path == job.component || *path == record::path_beside(&job.component));
                !(product || by_cargo && known && !is_cargo_file(path))
                    && (files.contains(path) || folders.iter().any(|folder| is_source(path, folder)))
            };
            affected.extend(self.jobs.iter().filter(holds).map(|job| job.name.clone()));
        }
        let order = self.jobs.iter().map(|job| &job.name);
        order.filter(|name| affected.contains(*name)).cloned().collect()
    }

    /// Builds these contexts, and every other package of the workspace that changed.
    pub fn build(&mut self, names: &[ContextName], progress: Progress<'_>) -> IncrementalBuild {
        let start = Instant::now();
        let before = self.states();
        let mut results = IncrementalBuild::default();
        let chosen = |job: &&Job| names.contains(&job.name);
        if self.jobs.iter().filter(chosen).any(|job| package(job).is_some()) {
            self.build_packages(&mut results, progress);
        }
        for job in self.jobs.iter().filter(chosen).filter(|job| package(job).is_none()) {
            self.build_by_command(job, &mut results);
        }
        results.took = start.elapsed();
        results.rebuild_loop = self.own_changes(&before, names);
        results
    }

    /// The sources of all contexts as they are now, without their components.
    fn states(&self) -> BTreeMap<PathBuf, FileState> {
        let mut states = BTreeMap::new();
        for job in &self.jobs {
            let (folders, files) = self.inputs(job);
            // Too many files are an error of the build.
            for path in (Sources { folders, files }).list(&self.base).unwrap_or_default() {
                let path = self.base.join(path);
                if let Ok(metadata) = fs::metadata(&path) {
                    states.insert(path, FileState::of(&metadata));
                }
            }
        }
        for job in &self.jobs {
            states.remove(&job.component);
            states.remove(&record::path_beside(&job.component));
        }
        states
    }

    /// Compares the sources after a build of these contexts with those before. Returns a loop that is noticed now.
    fn own_changes(
        &mut self,
        before: &BTreeMap<PathBuf, FileState>,
        names: &[ContextName],
    ) -> Option<(ContextName, OwnChanges)> {
        let (after, repeat) = (self.states(), std::mem::take(&mut self.repeat));
        let reads = |job: &Job, path: &Path| {
            let (folders, files) = self.inputs(job);
            files.iter().any(|file| file == path) || folders.iter().any(|folder| is_source(path, folder))
        };
        let chosen: Vec<&Job> = self.jobs.iter().filter(|job| names.contains(&job.name)).collect();
        let mut own = self.own.clone();
        let changes = own.ended(before, &after, repeat, |path| chosen.iter().any(|job| reads(job, path)));
        let noticed = changes.files.first().filter(|_| changes.noticed).and_then(|file| {
            let job = chosen.iter().find(|job| reads(job, file)).or(chosen.first())?;
            let command = match &job.build {
                Some(Build::Command { command, .. }) => command.clone(),
                _ => format!("cargo build -p {}", package(job).unwrap_or_default()),
            };
            let seen = |file: &PathBuf| record::relative(file, &self.base);
            let files = changes.files.iter().map(seen).collect();
            Some((job.name.clone(), OwnChanges { files, command, ..changes.clone() }))
        });
        self.own = own;
        noticed
    }

    fn build_packages(&mut self, results: &mut IncrementalBuild, progress: Progress<'_>) {
        let jobs: Vec<&Job> = self.jobs.iter().filter(|job| package(job).is_some()).collect();
        let Some(cargo) = &mut self.cargo else { return };
        let cargo_output = match cargo.build(&jobs, &self.base, std::mem::take(&mut self.workspace_outdated), progress)
        {
            Ok(cargo_output) => cargo_output,
            Err(error) => {
                // The same error for all contexts: the first one reports it.
                self.workspace_outdated = true;
                let context = jobs.first().map(|job| job.name.clone());
                results.failed.extend(context.map(|context| FailedContext {
                    context,
                    error,
                    diagnostics: Vec::new(),
                    output: String::new(),
                }));
                return;
            }
        };
        let compiled: BTreeSet<&Path> =
            cargo_output.artifacts.iter().filter(|a| !a.fresh).map(|a| a.manifest.as_path()).collect();
        results.warnings =
            cargo_output.diagnostics.iter().filter(|d| !d.error && compiled.contains(&*d.manifest)).cloned().collect();
        for job in jobs {
            match cargo.finish(job, &cargo_output) {
                Ok(made) => results.up_to_date.push(made),
                Err(failed) => results.failed.push(*failed),
            }
        }
    }

    fn build_by_command(&self, job: &Job, results: &mut IncrementalBuild) {
        let context = job.name.clone();
        let mut output = Tail::default();
        let status = match job::stale_because(job, &self.base, &Options::default()) {
            Err(status) => status,
            Ok(why) => match &job.build {
                Some(Build::Command { command, sources }) => {
                    job::status(job::run_command(job, command, sources, &self.base, Some(&mut output)), why)
                }
                _ => BuildStatus::Prebuilt,
            },
        };
        match status {
            BuildStatus::Built { changed, .. } => {
                results.up_to_date.push(BuiltContext { context, rebuilt: true, changed })
            }
            BuildStatus::UpToDate | BuildStatus::Prebuilt => {
                results.up_to_date.push(BuiltContext { context, rebuilt: false, changed: false })
            }
            BuildStatus::Failed(error) => {
                results.failed.push(FailedContext { context, error, diagnostics: Vec::new(), output: output.0 });
            }
        }
    }

    /// The folders and files that a job's component is built from, absolute.
    fn inputs(&self, job: &Job) -> (Vec<Folder>, Vec<PathBuf>) {
        let absolute = |folder: Folder| Folder { path: self.base.join(folder.path), package: folder.package };
        match &job.build {
            Some(Build::Cargo { package }) => {
                let Some(cargo) = &self.cargo else { return Default::default() };
                let sources = cargo.workspace.sources(package, &cargo.toolchain, &self.base).unwrap_or_default();
                // The compiler does not change during development.
                let files = sources.files.into_iter().filter(|file| *file != cargo.toolchain.rust.rustc);
                (sources.folders.into_iter().map(absolute).collect(), files.map(|f| self.base.join(f)).collect())
            }
            Some(Build::Command { sources, .. }) => {
                let (files, folders) =
                    sources.iter().map(|s| self.base.join(s)).partition::<Vec<_>, _>(|s| s.is_file());
                (folders.into_iter().map(|path| Folder { path, package: false }).collect(), files)
            }
            // Built elsewhere: the component itself changes.
            None => (Vec::new(), vec![job.component.clone()]),
        }
    }
}

impl Cargo {
    /// Compiles everything that changed.
    fn build(
        &mut self,
        jobs: &[&Job],
        base: &Path,
        workspace_outdated: bool,
        progress: Progress<'_>,
    ) -> Result<CargoOutput, Error> {
        if workspace_outdated {
            self.workspace = cargo::Workspace::read(&self.toolchain, base)?;
        }
        let mut command = tools::command(&self.toolchain.rust.cargo);
        command.args(["build", "--lib", "--keep-going", "--target", TARGET, "--message-format=json"]);
        command.arg("--target-dir").arg(self.workspace.target.join("wasm-dev"));
        let known =
            jobs.iter().filter_map(|job| package(job)).filter(|package| self.workspace.package(package).is_ok());
        let packages: BTreeSet<&str> = known.collect();
        if packages.is_empty() {
            return Ok(CargoOutput::default());
        }
        for package in packages {
            command.args(["-p", package]);
        }
        self.prepare(&mut command);
        // The first build takes a minute: the developer sees what it compiles.
        let (sender, lines) = std::sync::mpsc::channel::<String>();
        let start = Instant::now();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                messages::capture(&mut command, move |line| {
                    let line = line.trim_start();
                    let shown = line.starts_with("Compiling")
                        || line.starts_with("Downloading")
                        || line.starts_with("Blocking");
                    if shown && start.elapsed() > Duration::from_secs(2) {
                        // Fails once cargo has ended, when the line does not matter any more.
                        sender.send(line.to_owned()).ok();
                    }
                })
            });
            lines.iter().for_each(|line| progress(&line));
            running.join().unwrap_or_else(|_| Ok(CargoOutput::default()))
        })
    }

    fn prepare(&self, command: &mut Command) {
        for (setting, value) in PROFILE {
            command.env(format!("CARGO_PROFILE_DEV_{setting}"), value);
        }
        command
            .env("RUSTC", &self.toolchain.rust.rustc)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.toolchain.linker)
            .env("CARGO_ENCODED_RUSTFLAGS", cargo::flags(&self.toolchain).join("\u{1f}"))
            .env("CARGO_TERM_COLOR", "never")
            .current_dir(&self.workspace.root)
            .stdin(Stdio::null());
    }

    /// Makes a component of a job's module, if the module changed.
    fn finish(&mut self, job: &Job, cargo_output: &CargoOutput) -> Result<BuiltContext, Box<FailedContext>> {
        let context = job.name.clone();
        let failed = |error: Error, diagnostics: Vec<Diagnostic>, output: &str| {
            Box::new(FailedContext { context: job.name.clone(), error, diagnostics, output: output.into() })
        };
        let name = package(job).unwrap_or_default();
        let manifest = self.workspace.package(name).map_err(|e| failed(e, Vec::new(), ""))?.to_path_buf();
        let artifact = cargo_output.artifacts.iter().find(|a| a.manifest == manifest);
        let module =
            artifact.and_then(|a| Some((a, a.files.iter().find(|f| f.extension().is_some_and(|e| e == "wasm"))?)));
        let Some((artifact, module)) = module else {
            let dependencies = self.workspace.dependencies(name);
            let about = |d: &&Diagnostic| d.error && dependencies.contains(folder_of(&d.manifest));
            let diagnostics: Vec<_> = cargo_output.diagnostics.iter().filter(about).cloned().collect();
            let output = if diagnostics.is_empty() { &*cargo_output.stderr } else { "" };
            let error = Error::Compile { package: name.into(), command: format!("cargo build -p {name}") };
            return Err(failed(error, diagnostics, output));
        };
        let written = fs::metadata(module).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let latest = (module.clone(), written);
        let rebuilt = !artifact.fresh;
        if self.modules.get(&job.name) == Some(&latest) && job.component.is_file() {
            return Ok(BuiltContext { context, rebuilt, changed: false });
        }
        let changed = cargo::component(module, false)
            .and_then(|bytes| write::atomically(&job.component, &bytes))
            .map_err(|error| failed(error, Vec::new(), ""))?;
        let real = |file: PathBuf| fs::canonicalize(&file).unwrap_or(file);
        let read = cargo::read_by_compiler(module).into_iter().map(real);
        // Files that builds write are not edited.
        self.read.insert(job.name.clone(), read.filter(|file| !file.starts_with(&self.workspace.target)).collect());
        self.modules.insert(job.name.clone(), latest);
        Ok(BuiltContext { context, rebuilt, changed })
    }
}

fn package(job: &Job) -> Option<&str> {
    match &job.build {
        Some(Build::Cargo { package }) => Some(package),
        _ => None,
    }
}

fn folder_of(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(manifest)
}

/// Whether a file in this folder goes into a component: a crate's tests do not.
fn is_source(path: &Path, folder: &Folder) -> bool {
    let Ok(inside) = path.strip_prefix(&folder.path) else { return false };
    let first = inside.components().next().map(|c| c.as_os_str().to_string_lossy());
    !(folder.package && first.is_some_and(|first| matches!(&*first, "tests" | "benches" | "examples")))
}

#[cfg(test)]
#[path = "incremental_tests.rs"]
mod tests;
