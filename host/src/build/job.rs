//! One context to build: whether it is stale, and running its own build command.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::Error;
use super::messages::Tail;
use super::record::{self, Folder, Freshness, Record, Sources};
use crate::ids::ContextName;
use crate::manifest::Build;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Build even what seems fresh.
    pub force: bool,
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

/// A context, as far as building is concerned.
#[derive(Debug)]
pub struct Job {
    pub name: ContextName,
    pub component: PathBuf,
    pub build: Option<Build>,
}

/// How a context is built, for the record.
pub fn definition(build: &Build) -> String {
    match build {
        Build::Cargo { package } => format!("cargo {package}"),
        Build::Command { command, sources } => format!("command {command} {sources:?}"),
    }
}

/// Why the context must be built, or else what is the case instead.
pub fn stale(job: &Job, base: &Path, options: &Options) -> Result<String, Outcome> {
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

/// What a build that came to an end has written.
pub struct Written {
    pub bytes: u64,
    pub changed: bool,
    pub took: Duration,
}

pub fn outcome(written: Result<Written, Error>, why: String) -> Outcome {
    match written {
        Ok(Written { bytes, changed, took }) => Outcome::Built { why, bytes, changed, took },
        Err(error) => Outcome::Failed(error),
    }
}

/// Runs a context's own build command and looks at what it wrote. What it prints goes to standard error or, when given, to `words`.
pub fn run_command(
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
