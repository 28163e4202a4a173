//! A new version of a context, from a file to serving: the steps that it must pass, the one after the other, and the way back.
//!
//! Invariants: until `publish` the version that serves is untouched, whatever the new one does; one change at a time; what serves, and
//! why, is in `history` before anybody is told.
//! Each step is a file of its own and ends with what it has to say, or with a `Refused`. Not here: how a set is published and drained
//! (`context`), how a file is migrated (`store`), who asked (`admin`, the watcher).

mod capabilities;
mod fault;
mod gate;
mod health;
mod history;
mod migrations;
mod publish;
mod quick;
mod replay;
mod rollback;
mod serving;
mod shelf;
mod watch;
mod wit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

pub use history::{Entry, History, Kind, State, word_of};
pub use quick::{Unfit, Wish};
pub use serving::sources;

use crate::context::component::Component;
use crate::context::{self, Registry, link};
use crate::ids::ContextName;
use crate::limits;
use crate::manifest::Manifest;
use crate::store::HostFileError;
use gate::Walk;
use shelf::Shelf;

/// What is to serve, and how it is looked at before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub context: String,
    /// Absolute: the host has a folder of its own.
    pub file: PathBuf,
    /// What the new version may import though the one that serves does not, by name, and `one-way`.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Refuse another answer to a recorded call, too.
    #[serde(default)]
    pub strict: bool,
    /// How long the new version is watched once it serves; 0: not at all.
    pub watch_ms: u64,
    /// Wait for a change that is under way, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}

impl Request {
    /// `file` for `context`, as when nothing else is said.
    pub fn new(context: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self {
            context: context.into(),
            file: file.into(),
            allow: Vec::new(),
            strict: false,
            watch_ms: limits::DEPLOY_WATCH_MS,
            wait: false,
        }
    }
}

/// A context that is to be served by the version before, or by an older one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Back {
    pub context: String,
    /// The first digits of the hash of a version that served; `None`: the one before.
    #[serde(default)]
    pub to: Option<String>,
    /// Put the file back to what it was before its schema changed, whatever was written since.
    #[serde(default)]
    pub restore: bool,
    /// Wait for a change that is under way, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}

/// How much a new version is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything, for a version that customers get.
    Full,
    /// For whoever edits and looks: what others would have to say yes to is told and not refused (`quick`).
    Quick,
}

/// In the order in which they are passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Read,
    Compile,
    Wit,
    Capabilities,
    Start,
    Migrations,
    Health,
    Replay,
    Publish,
    Watch,
}

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compile => "compile",
            Self::Wit => "wit",
            Self::Capabilities => "capabilities",
            Self::Start => "start",
            Self::Migrations => "migrations",
            Self::Health => "health",
            Self::Replay => "replay",
            Self::Publish => "publish",
            Self::Watch => "watch",
        }
    }
}

/// A step that let the version pass, and what there is to know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    pub step: Step,
    pub ms: f64,
    pub notes: Vec<String>,
}

/// Why a version does not serve. The one before does, as if nothing had been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// `None`: before the first one.
    pub step: Option<Step>,
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Live,
    /// The same component serves already.
    Unchanged,
    Refused,
    /// It served, turned bad, and the version before serves again.
    RolledBack,
}

/// A version of a context, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of its component.
    pub hash: String,
    /// Counted since the host started; `None` for one that never served.
    pub generation: Option<u64>,
}

/// Everything about one change, as `--format json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub context: String,
    pub outcome: Outcome,
    /// What serves now.
    pub serves: Option<Version>,
    /// What served when it began.
    pub before: Option<Version>,
    pub steps: Vec<Passed>,
    pub refused: Option<Refused>,
}

/// Changes versions while the system runs. Cheap to clone.
#[derive(Clone)]
pub struct Deployer(Arc<Inner>);

struct Inner {
    registry: Registry,
    history: History,
    shelf: Shelf,
    /// Contexts that serve HTTP.
    mounted: Vec<ContextName>,
    under_way: Mutex<Option<UnderWay>>,
    free: Condvar,
}

/// The one change that is being made.
#[derive(Clone)]
struct UnderWay {
    what: String,
    since: Instant,
}

/// The right to make a change.
struct Turn<'a>(&'a Inner);

impl Deployer {
    /// For the system that `registry` runs, with what `history` knows of it. Keeps the components that serve now, so that there is a
    /// way back to them.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn new(registry: Registry, history: History, manifest: &Manifest) -> Result<Self, Error> {
        let shelf = Shelf::open(&manifest.host.data)?;
        let mounted = manifest.mounts.iter().map(|mount| mount.context.clone()).collect();
        let inner = Inner { registry, history, shelf, mounted, under_way: Mutex::new(None), free: Condvar::new() };
        inner.started()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Lets `request.file` serve, if it passes. `tell` hears of each step that it passed.
    pub fn deploy(&self, request: &Request, tell: &mut dyn FnMut(&Passed)) -> Report {
        self.0.deploy(request, tell)
    }

    /// The first steps of a new version: its file is read once and compiled.
    ///
    /// # Errors
    /// When it is no component, or one that does not compile.
    pub fn component(&self, file: &Path, tell: &mut dyn FnMut(&Passed)) -> Result<Component, Refused> {
        let walk = &mut Walk::new(tell);
        let artefact = self.0.read(file, walk)?;
        self.0.compile(&artefact, walk)
    }

    /// Lets a whole system serve as somebody who edits it wishes, if it passes the other steps in their quick form. Whatever is under way
    /// is waited for. The contexts of which a new version serves.
    ///
    /// # Errors
    /// Everything that keeps it from serving; what served before does.
    pub fn quick(&self, wish: &Wish, tell: &mut dyn FnMut(&Passed)) -> Result<Vec<ContextName>, Unfit> {
        self.0.quick(wish, tell)
    }

    /// Lets the version serve that did before.
    pub fn roll_back(&self, request: &Back, tell: &mut dyn FnMut(&Passed)) -> Report {
        self.0.roll_back(request, tell)
    }

    /// What was deployed, of one context or of all, the newest first.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn history(&self, context: Option<&str>) -> Result<Vec<Entry>, HostFileError> {
        self.0.history.entries(context)
    }
}

/// Why there are no deploys at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    History(#[from] HostFileError),
    #[error("cannot use the folder of deployed components `{}`", path.display())]
    Shelf { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::History(error) => error.remedy(),
            Self::Shelf { .. } => "mend its permissions, or name another `data` folder in `[host]`".to_owned(),
        }
    }
}

impl Inner {
    /// Waits for the turn, or says whose it is.
    fn turn(&self, what: String, wait: bool) -> Result<Turn<'_>, Refused> {
        let mut under_way = self.under_way.lock();
        while let Some(other) = under_way.as_ref() {
            if !wait {
                let s = other.since.elapsed().as_secs();
                return Err(Refused {
                    step: None,
                    message: format!("{} is under way, for {s} s now", other.what),
                    remedy: "try again when it has ended, or wait for it with `--wait`".to_owned(),
                });
            }
            self.free.wait(&mut under_way);
        }
        *under_way = Some(UnderWay { what, since: Instant::now() });
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock() = None;
        self.0.shelf.clear_trials();
        self.0.free.notify_one();
    }
}

impl Refused {
    fn at(step: Step, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { step: Some(step), message: message.into(), remedy: remedy.into() }
    }

    /// The first of what keeps parts from being a system; the others are counted.
    fn problems(step: Step, problems: &[link::Problem]) -> Self {
        let Some(first) = problems.first() else { return Self::at(step, "it does not fit", "") };
        let more = match problems.len() {
            1 => String::new(),
            more => format!(" (and {} more)", more - 1),
        };
        Self::at(step, format!("{}{more}", first.message), first.remedy.clone())
    }

    fn context(step: Step, error: context::Error) -> Self {
        match error {
            context::Error::Problems(problems) => Self::problems(step, &problems),
            other => Self::at(step, chain(&other), ""),
        }
    }

    fn history(error: &HostFileError) -> Self {
        Self { step: Some(Step::Publish), message: chain(error), remedy: error.remedy() }
    }
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// As much of a hash as people look at.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
