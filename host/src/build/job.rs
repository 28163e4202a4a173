//! One context to build: whether it is stale, and running its own build command.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use seam_store::ids::ContextName;

use super::error::Error;
use super::messages::Tail;
use super::rebuild_loop::OwnChanges;
use super::record::{self, Folder, Freshness, Record, Sources};
use super::tools;
use crate::manifest::{Build, Context};

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Build even what is up to date.
    pub force: bool,
}

/// What happened to one context in a build.
#[derive(Debug)]
pub enum BuildStatus {
    /// No source changed.
    UpToDate,
    /// The manifest has no `build` for it, and the component exists.
    Prebuilt,
    Built {
        /// Why it was stale.
        why: String,
        bytes: u64,
        /// Whether the component differs from the one before.
        changed: bool,
        took: Duration,
        /// Its sources that changed meanwhile.
        own_changes: OwnChanges,
    },
    Failed(Error),
}

/// What a build needs to know of a context.
#[derive(Debug)]
pub struct Job {
    pub name: ContextName,
    pub component: PathBuf,
    pub build: Option<Build>,
}

impl Job {
    /// The job of a context of a manifest in `base`. It names files by their paths in `base`, wherever the manifest was
    /// named from.
    pub fn of(context: &Context, component: &Path, base: &Path) -> Self {
        let seen_from_base = |path: &PathBuf| {
            let whole = base.join(path);
            record::relative(&std::fs::canonicalize(&whole).unwrap_or(whole), base)
        };
        let build = match &context.build {
            Some(Build::Command { command, sources }) => {
                Some(Build::Command { command: command.clone(), sources: sources.iter().map(seen_from_base).collect() })
            }
            other => other.clone(),
        };
        Self { name: context.settings.name.clone(), component: base.join(component), build }
    }
}

/// How a context is built: the text for its record.
pub fn definition(build: &Build) -> String {
    match build {
        Build::Cargo { package } => format!("cargo {package}"),
        Build::Command { command, sources } => format!("command {command} {sources:?}"),
    }
}

/// Why the context must be built, or else its status without a build.
pub fn stale_because(job: &Job, base: &Path, options: &Options) -> Result<String, BuildStatus> {
    let Some(build) = &job.build else {
        let absent = || BuildStatus::Failed(Error::NoBuild { component: job.component.clone() });
        return Err(if job.component.is_file() { BuildStatus::Prebuilt } else { absent() });
    };
    if options.force {
        return Ok("--force was given".into());
    }
    if matches!(build, Build::Command { sources, .. } if sources.is_empty()) {
        return Ok("the manifest names no `sources` to compare with".into());
    }
    match record::check(&job.component, base, &definition(build)) {
        Freshness::Fresh => Err(BuildStatus::UpToDate),
        Freshness::Stale(why) | Freshness::Unknown(why) => Ok(why),
    }
}

/// The output of a finished build.
pub struct WrittenComponent {
    pub bytes: u64,
    pub changed: bool,
    pub took: Duration,
    pub own_changes: OwnChanges,
}

pub fn status(written: Result<WrittenComponent, Error>, why: String) -> BuildStatus {
    match written {
        Ok(WrittenComponent { bytes, changed, took, own_changes }) => {
            BuildStatus::Built { why, bytes, changed, took, own_changes }
        }
        Err(error) => BuildStatus::Failed(error),
    }
}

/// Runs a context's own build command and checks the component that it wrote. The command's output goes to standard
/// error or, when given, to `output`.
pub fn run_command(
    job: &Job,
    command: &str,
    sources: &[PathBuf],
    base: &Path,
    output: Option<&mut Tail>,
) -> Result<WrittenComponent, Error> {
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
    tools::withhold_keys(&mut child);
    let exit = match output {
        None => {
            // Standard output is for data.
            let stderr = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map_err(started)?;
            child.stdout(stderr).status().map_err(started)?
        }
        Some(output) => {
            let (reader, writer) = std::io::pipe().map_err(started)?;
            let mut running =
                child.stdout(writer.try_clone().map_err(started)?).stderr(writer).spawn().map_err(started)?;
            // Closes this process's copy of the writing end, so that reading ends with the command.
            drop(child);
            BufReader::new(reader).lines().map_while(Result::ok).for_each(|line| output.push(&line));
            running.wait().map_err(started)?
        }
    };
    if !exit.success() {
        return Err(Error::Command { command: command.into(), status: exit.to_string() });
    }
    let Ok(bytes) = std::fs::read(&component) else {
        return Err(Error::NoOutput { component, command: command.into() });
    };
    let valid = |bytes: &[u8]| {
        if !wasmparser::Parser::is_component(bytes) {
            return Err("its first bytes are not those of a component".to_owned());
        }
        let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
        validator.validate_all(bytes).map(|_| ()).map_err(|e| e.to_string())
    };
    valid(&bytes).map_err(|detail| Error::NotComponent { component: component.clone(), detail })?;
    let own_changes = OwnChanges { command: command.into(), ..record.finish(&component, base)? };
    Ok(WrittenComponent {
        bytes: bytes.len() as u64,
        changed: before.is_none_or(|b| b != bytes),
        took: start.elapsed(),
        own_changes,
    })
}
