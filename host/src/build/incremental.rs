//! A workshop: contexts that are built again and again while somebody edits them.
//!
//! Unlike `run` it asks for the toolchain and the workspace once, and compiles for a quick answer: incrementally and with few
//! optimisations, in a target folder of its own (`target/wasm-dev`), to components of their own (`dev/` beside the manifest's), so
//! that what is served elsewhere and what `run` knows of it stay as they are.
//! Cargo is always asked for all packages: which features a dependency is compiled with depends on who is asked for, and
//! asking for one package alone would compile half of the dependencies anew. What did not change costs it a look.
//! Not here: noticing that a source changed (`watch`); what becomes of a component.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::messages::{self, Diagnostic, Heard, Tail};
use super::record::Folder;
use super::error::Error;
use super::folders::cache;
use super::job::{self, Job, Options, Outcome};
use super::rust::TARGET;
use super::toolchain::{self, Toolchain};
use super::tools::{self, Say};
use super::{cargo, write};
use crate::ids::ContextName;
use crate::manifest::{Build, Context};

/// The settings of the quick profile, as cargo reads them from the environment.
const PROFILE: [(&str, &str); 8] = [
    // Without any, the machine code is so large that the host takes longer to translate it than this saves.
    ("OPT_LEVEL", "1"),
    ("INCREMENTAL", "true"),
    ("CODEGEN_UNITS", "256"),
    // Optimising across those units took half of the time for a few percent of the size.
    ("LTO", "off"),
    ("DEBUG", "false"),
    ("STRIP", "debuginfo"),
    ("OVERFLOW_CHECKS", "true"),
    ("DEBUG_ASSERTIONS", "false"),
];

pub struct Workshop {
    base: PathBuf,
    jobs: Vec<Job>,
    cargo: Option<Cargo>,
    /// A `Cargo.toml` changed: cargo has to be asked again what there is.
    outdated: bool,
}

/// What is needed to build packages.
struct Cargo {
    toolchain: Toolchain,
    workspace: cargo::Workspace,
    /// The core modules that the components were last made of.
    modules: BTreeMap<ContextName, (PathBuf, SystemTime)>,
    /// The files that the compiler read for each.
    read: BTreeMap<ContextName, BTreeSet<PathBuf>>,
}

/// What a build brought about.
#[derive(Debug, Default)]
pub struct Built {
    pub made: Vec<Made>,
    pub failed: Vec<Failed>,
    /// What the compiler warns of in what it compiled.
    pub warnings: Vec<Diagnostic>,
    pub took: Duration,
}

/// A context whose component is up to date.
#[derive(Debug)]
pub struct Made {
    pub context: ContextName,
    /// A compiler ran for it.
    pub rebuilt: bool,
    /// The component has other bytes than before.
    pub changed: bool,
}

/// A context whose component could not be made.
#[derive(Debug)]
pub struct Failed {
    pub context: ContextName,
    pub error: Error,
    /// What the compiler says, as far as it has a place.
    pub diagnostics: Vec<Diagnostic>,
    /// What the build printed besides.
    pub words: String,
}

/// Something whose change may matter to a context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Folder(PathBuf),
    File(PathBuf),
}

/// Where the workshop puts the component of a context, and looks for it.
pub fn component(context: &Context) -> PathBuf {
    match (&context.build, context.component.parent(), context.component.file_name()) {
        (Some(Build::Cargo { .. }), Some(folder), Some(name)) => folder.join("dev").join(name),
        _ => context.component.clone(),
    }
}

impl Workshop {
    /// For the contexts of a manifest in `base`.
    ///
    /// # Errors
    /// When there is no compiler for a context that is built by cargo, or cargo cannot read the workspace.
    pub fn open(contexts: &[Context], base: &Path, say: Say<'_>) -> Result<Self, Error> {
        let mut workshop = Self { base: base.into(), jobs: Vec::new(), cargo: None, outdated: false };
        workshop.employ(contexts, say)?;
        Ok(workshop)
    }

    /// Builds these contexts from now on.
    ///
    /// # Errors
    /// As those of `open`; then it builds what it built before.
    pub fn employ(&mut self, contexts: &[Context], say: Say<'_>) -> Result<(), Error> {
        let job =
            |c: &Context| Job { name: c.name.clone(), component: self.base.join(component(c)), build: c.build.clone() };
        let jobs: Vec<Job> = contexts.iter().map(job).collect();
        if self.cargo.is_none() && jobs.iter().any(|job| package(job).is_some()) {
            let search = tools::Search::from_env();
            let toolchain = toolchain::obtain(&search, &self.base, &cache(&self.base), say)?;
            let workspace = cargo::Workspace::read(&toolchain, &self.base)?;
            self.cargo = Some(Cargo { toolchain, workspace, modules: BTreeMap::new(), read: BTreeMap::new() });
        }
        self.jobs = jobs;
        Ok(())
    }

    /// Everything a change of which may matter.
    pub fn sources(&self) -> BTreeSet<Source> {
        let mut all = BTreeSet::new();
        for job in &self.jobs {
            let (folders, files) = self.made_from(job);
            all.extend(folders.into_iter().map(|f| Source::Folder(f.path)));
            all.extend(files.into_iter().map(Source::File));
            let read = self.cargo.iter().filter_map(|cargo| cargo.read.get(&job.name)).flatten();
            all.extend(read.map(|file| Source::File(file.clone())));
        }
        let folders: Vec<PathBuf> =
            all.iter().filter_map(|s| if let Source::Folder(f) = s { Some(f.clone()) } else { None }).collect();
        let inside = |path: &Path| folders.iter().any(|f| path.starts_with(f) && path != f);
        all.retain(|source| match source {
            Source::Folder(path) | Source::File(path) => !inside(path),
        });
        all
    }

    /// The contexts for which a change of these files matters.
    pub fn touched(&mut self, changed: &BTreeSet<PathBuf>) -> Vec<ContextName> {
        let steers = |path: &Path| path.file_name().is_some_and(|n| n == "Cargo.toml" || n == "Cargo.lock");
        self.outdated |= changed.iter().any(|path| steers(path));
        let mut touched = BTreeSet::new();
        for path in changed {
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let reads = |job: &&Job| {
                let read = self.cargo.as_ref().and_then(|cargo| cargo.read.get(&job.name));
                read.is_some_and(|read| read.contains(&real))
            };
            let readers: Vec<_> = self.jobs.iter().filter(reads).map(|job| job.name.clone()).collect();
            // What a compiler has read matters to those for whom it did. What none knows yet may matter to whoever has it in a folder.
            if !readers.is_empty() && !steers(path) {
                touched.extend(readers);
            }
            let known = self.cargo.iter().any(|cargo| cargo.read.values().any(|read| read.contains(&real)));
            let holds = |job: &&Job| {
                let (folders, files) = self.made_from(job);
                let by_cargo = package(job).is_some();
                !(by_cargo && known && !steers(path))
                    && (files.contains(path) || folders.iter().any(|folder| is_source(path, folder)))
            };
            touched.extend(self.jobs.iter().filter(holds).map(|job| job.name.clone()));
        }
        let order = self.jobs.iter().map(|job| &job.name);
        order.filter(|name| touched.contains(*name)).cloned().collect()
    }

    /// Builds these contexts, and whatever else of the workspace changed meanwhile.
    pub fn build(&mut self, names: &[ContextName], say: Say<'_>) -> Built {
        let start = Instant::now();
        let mut built = Built::default();
        let wanted = |job: &&Job| names.contains(&job.name);
        if self.jobs.iter().filter(wanted).any(|job| package(job).is_some()) {
            self.build_packages(&mut built, say);
        }
        for job in self.jobs.iter().filter(wanted).filter(|job| package(job).is_none()) {
            self.build_by_command(job, &mut built);
        }
        built.took = start.elapsed();
        built
    }

    fn build_packages(&mut self, built: &mut Built, say: Say<'_>) {
        let jobs: Vec<&Job> = self.jobs.iter().filter(|job| package(job).is_some()).collect();
        let Some(cargo) = &mut self.cargo else { return };
        let heard = match cargo.build(&jobs, &self.base, std::mem::take(&mut self.outdated), say) {
            Ok(heard) => heard,
            Err(error) => {
                // The same trouble for all: it is told of the first.
                self.outdated = true;
                let context = jobs.first().map(|job| job.name.clone());
                built.failed.extend(context.map(|context| Failed {
                    context,
                    error,
                    diagnostics: Vec::new(),
                    words: String::new(),
                }));
                return;
            }
        };
        let compiled: BTreeSet<&Path> =
            heard.artifacts.iter().filter(|a| !a.fresh).map(|a| a.manifest.as_path()).collect();
        built.warnings =
            heard.diagnostics.iter().filter(|d| !d.error && compiled.contains(&*d.manifest)).cloned().collect();
        for job in jobs {
            match cargo.finish(job, &heard) {
                Ok(made) => built.made.push(made),
                Err(failed) => built.failed.push(*failed),
            }
        }
    }

    fn build_by_command(&self, job: &Job, built: &mut Built) {
        let context = job.name.clone();
        let mut words = Tail::default();
        let outcome = match job::stale(job, &self.base, &Options::default()) {
            Err(outcome) => outcome,
            Ok(why) => match &job.build {
                Some(Build::Command { command, sources }) => {
                    job::outcome(job::run_command(job, command, sources, &self.base, Some(&mut words)), why)
                }
                _ => Outcome::Given,
            },
        };
        match outcome {
            Outcome::Built { changed, .. } => built.made.push(Made { context, rebuilt: true, changed }),
            Outcome::Fresh | Outcome::Given => built.made.push(Made { context, rebuilt: false, changed: false }),
            Outcome::Failed(error) => {
                built.failed.push(Failed { context, error, diagnostics: Vec::new(), words: words.0 });
            }
        }
    }

    /// The folders and files a job is made from, absolute.
    fn made_from(&self, job: &Job) -> (Vec<Folder>, Vec<PathBuf>) {
        let absolute = |folder: Folder| Folder { path: self.base.join(folder.path), package: folder.package };
        match &job.build {
            Some(Build::Cargo { package }) => {
                let Some(cargo) = &self.cargo else { return Default::default() };
                let sources = cargo.workspace.sources(package, &cargo.toolchain, &self.base).unwrap_or_default();
                // Nobody edits the compiler.
                let files = sources.files.into_iter().filter(|file| *file != cargo.toolchain.rust.rustc);
                (sources.folders.into_iter().map(absolute).collect(), files.map(|f| self.base.join(f)).collect())
            }
            Some(Build::Command { sources, .. }) => {
                let (files, folders) =
                    sources.iter().map(|s| self.base.join(s)).partition::<Vec<_>, _>(|s| s.is_file());
                (folders.into_iter().map(|path| Folder { path, package: false }).collect(), files)
            }
            // Somebody else makes it: the component itself is what changes.
            None => (Vec::new(), vec![job.component.clone()]),
        }
    }
}

impl Cargo {
    /// Compiles everything that changed.
    fn build(&mut self, jobs: &[&Job], base: &Path, outdated: bool, say: Say<'_>) -> Result<Heard, Error> {
        if outdated {
            self.workspace = cargo::Workspace::read(&self.toolchain, base)?;
        }
        let mut command = tools::command(&self.toolchain.rust.cargo);
        command.args(["build", "--lib", "--keep-going", "--target", TARGET, "--message-format=json"]);
        command.arg("--target-dir").arg(self.workspace.target.join("wasm-dev"));
        let known =
            jobs.iter().filter_map(|job| package(job)).filter(|package| self.workspace.package(package).is_ok());
        let packages: BTreeSet<&str> = known.collect();
        if packages.is_empty() {
            return Ok(Heard::default());
        }
        for package in packages {
            command.args(["-p", package]);
        }
        self.prepare(&mut command);
        // The first time takes a minute, and whoever waits wants to see that something goes on.
        let (lines, words) = std::sync::mpsc::channel::<String>();
        let start = Instant::now();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                messages::listen(&mut command, move |line| {
                    let line = line.trim_start();
                    let news = line.starts_with("Compiling")
                        || line.starts_with("Downloading")
                        || line.starts_with("Blocking");
                    if news && start.elapsed() > Duration::from_secs(2) {
                        // Nobody listens once cargo has ended.
                        lines.send(line.to_owned()).ok();
                    }
                })
            });
            words.iter().for_each(|line| say(&line));
            running.join().unwrap_or_else(|_| Ok(Heard::default()))
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

    /// Makes the component of a job's module, if the module is another than last time.
    fn finish(&mut self, job: &Job, heard: &Heard) -> Result<Made, Box<Failed>> {
        let context = job.name.clone();
        let failed = |error: Error, diagnostics: Vec<Diagnostic>, words: &str| {
            Box::new(Failed { context: job.name.clone(), error, diagnostics, words: words.into() })
        };
        let name = package(job).unwrap_or_default();
        let manifest = self.workspace.package(name).map_err(|e| failed(e, Vec::new(), ""))?.to_path_buf();
        let artifact = heard.artifacts.iter().find(|a| a.manifest == manifest);
        let module =
            artifact.and_then(|a| Some((a, a.files.iter().find(|f| f.extension().is_some_and(|e| e == "wasm"))?)));
        let Some((artifact, module)) = module else {
            let needed = self.workspace.needed(name);
            let about = |d: &&Diagnostic| d.error && needed.contains(folder_of(&d.manifest));
            let diagnostics: Vec<_> = heard.diagnostics.iter().filter(about).cloned().collect();
            let words = if diagnostics.is_empty() { &*heard.words } else { "" };
            let error = Error::Compile { package: name.into(), command: format!("cargo build -p {name}") };
            return Err(failed(error, diagnostics, words));
        };
        let written = fs::metadata(module).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let latest = (module.clone(), written);
        let rebuilt = !artifact.fresh;
        if self.modules.get(&job.name) == Some(&latest) && job.component.is_file() {
            return Ok(Made { context, rebuilt, changed: false });
        }
        let changed = cargo::component(module, false)
            .and_then(|bytes| write::atomically(&job.component, &bytes))
            .map_err(|error| failed(error, Vec::new(), ""))?;
        let real = |file: PathBuf| fs::canonicalize(&file).unwrap_or(file);
        let read = cargo::read_by_compiler(module).into_iter().map(real);
        // What builds write themselves, nobody edits.
        self.read.insert(job.name.clone(), read.filter(|file| !file.starts_with(&self.workspace.target)).collect());
        self.modules.insert(job.name.clone(), latest);
        Ok(Made { context, rebuilt, changed })
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
