//! Changes of the running system, one at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::artifact_store::ArtifactStore;
use super::error::Error;
use super::history::{Change, ChangeKind, History, HistoryEntry};
use super::pipeline::Pipeline;
use super::report::{DeployOutcome, DeployReport, GateRefusal, Passed, Step, SystemRefusal, Version};
use super::request::{DeployRequest, DesiredSystem, RollbackRequest};
use super::system::System;
use super::{full, quick, rollback, startup, steps};
use crate::manifest::Manifest;
use seam_runtime::component::{Component, ContextSpec};
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{HostFileError, chain};

/// Changes versions while the system runs. Cheap to clone.
#[derive(Clone)]
pub struct Deployer(Arc<Inner>);

struct Inner {
    system: System,
    running: Mutex<Option<RunningChange>>,
    ended: Condvar,
}

/// The one change that is being made.
#[derive(Clone)]
struct RunningChange {
    what: String,
    since: Instant,
}

/// The right to make a change, until it is dropped.
struct ChangeLock<'a>(&'a Inner);

impl Deployer {
    /// For the system that `registry` runs, with what `history` knows of it. Keeps the components that serve now, so that there is
    /// a way back to them.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn new(registry: Registry, history: History, manifest: &Manifest) -> Result<Self, Error> {
        let artifacts = ArtifactStore::open(&manifest.host.data)?;
        let mounted = manifest.mounts.iter().map(|mount| mount.context.clone()).collect();
        let system = System { registry, history, artifacts, mounted };
        startup::record(&system)?;
        Ok(Self(Arc::new(Inner { system, running: Mutex::new(None), ended: Condvar::new() })))
    }

    /// Has `request.file` serve, if it passes every step. `passed` is called for each step that it passes.
    pub fn deploy(&self, request: &DeployRequest, passed: &mut dyn FnMut(&Passed)) -> DeployReport {
        let system = &self.0.system;
        let request = &DeployRequest { context: system.registry.name_of(&request.context), ..request.clone() };
        let change = (ChangeKind::Deploy, "a deploy");
        self.0.change(change, &request.context, request.wait, passed, |before, pipeline| {
            full::run(system, before, request, pipeline)
        })
    }

    /// Has the version serve that did before, or an older one.
    pub fn roll_back(&self, request: &RollbackRequest, passed: &mut dyn FnMut(&Passed)) -> DeployReport {
        let system = &self.0.system;
        let request = &RollbackRequest { context: system.registry.name_of(&request.context), ..request.clone() };
        let change = (ChangeKind::Rollback, "a rollback");
        self.0.change(change, &request.context, request.wait, passed, |current, pipeline| {
            rollback::run(system, current, request, pipeline)
        })
    }

    /// Has a whole system serve as the development loop wants it, if it passes the steps in their quick form. Waits for a change
    /// that is running. Returns the contexts of which a new version serves.
    ///
    /// # Errors
    /// Everything that keeps it from serving; what served before serves on.
    pub fn quick(
        &self,
        desired: &DesiredSystem,
        passed: &mut dyn FnMut(&Passed),
    ) -> Result<Vec<ContextName>, SystemRefusal> {
        // A change that waits is not refused.
        let _lock = self.0.lock("what was saved".to_owned(), true).ok();
        quick::run(&self.0.system, desired, &mut Pipeline::new(passed))
    }

    /// Runs the first steps of a new version: its file is read once and compiled.
    ///
    /// # Errors
    /// When it is no component, or one that does not compile.
    pub fn component(&self, file: &Path, passed: &mut dyn FnMut(&Passed)) -> Result<Component, GateRefusal> {
        let pipeline = &mut Pipeline::new(passed);
        let artifact = steps::read(file, pipeline)?;
        steps::compile(&self.0.system, &artifact, pipeline)
    }

    /// What was deployed, of one context or of all, the newest first.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn history(&self, context: Option<&str>) -> Result<Vec<HistoryEntry>, HostFileError> {
        self.0.system.history.entries(context)
    }
}

impl Inner {
    /// Makes one change of `context` when no other one runs. `run` takes the version through its steps and returns the version
    /// that serves afterwards; `None` when it served before.
    fn change(
        &self,
        (kind, what): (ChangeKind, &str),
        context: &str,
        wait: bool,
        passed: &mut dyn FnMut(&Passed),
        run: impl FnOnce(&ContextSpec, &mut Pipeline<'_>) -> Result<Option<Version>, GateRefusal>,
    ) -> DeployReport {
        let mut pipeline = Pipeline::new(passed);
        // Before the look at what serves: another change may be about to end.
        let lock = self.lock(format!("{what} of `{context}`"), wait);
        let before = self.system.generation(context).map(|generation| generation.spec().clone());
        let served = self.system.version(context);
        let result = match (&lock, &before) {
            (Err(refusal), _) => Err(refusal.clone()),
            (Ok(_), None) => Err(self.system.unknown(context)),
            (Ok(_), Some(before)) => run(before, &mut pipeline),
        };
        let mut report = DeployReport {
            context: context.to_owned(),
            outcome: DeployOutcome::Live,
            serves: served.clone(),
            before: served,
            steps: Vec::new(),
            refused: None,
        };
        match result {
            Ok(Some(version)) => report.serves = Some(version),
            Ok(None) => report.outcome = DeployOutcome::Unchanged,
            Err(refusal) => {
                if let (Ok(_), Some(before)) = (&lock, &before) {
                    self.record_refusal(before, kind, &pipeline, &refusal);
                }
                report.outcome = match refusal.step {
                    Some(Step::Watch) => DeployOutcome::RolledBack,
                    _ => DeployOutcome::Refused,
                };
                report.refused = Some(refusal);
                report.serves = self.system.version(context);
            }
        }
        report.steps = pipeline.passed;
        report
    }

    /// Waits for the change that is running, or says which one it is.
    fn lock(&self, what: String, wait: bool) -> Result<ChangeLock<'_>, GateRefusal> {
        let mut running = self.running.lock();
        while let Some(other) = running.as_ref() {
            if !wait {
                let s = other.since.elapsed().as_secs();
                return Err(GateRefusal {
                    step: None,
                    message: format!("{} is running, for {s} s now", other.what),
                    remedy: "try again when it has ended, or wait for it with `--wait`".to_owned(),
                });
            }
            self.ended.wait(&mut running);
        }
        *running = Some(RunningChange { what, since: Instant::now() });
        Ok(ChangeLock(self))
    }

    /// Writes a refusal to the history, unless the step `publish` has done so.
    fn record_refusal(&self, before: &ContextSpec, kind: ChangeKind, pipeline: &Pipeline<'_>, refusal: &GateRefusal) {
        if matches!(refusal.step, Some(Step::Publish | Step::Watch)) {
            return;
        }
        let change = Change {
            context: before.settings.name.as_str(),
            kind,
            hash: &pipeline.hash,
            before: &before.component.hash,
            file: &pipeline.file,
            schema: None,
            irreversible: false,
            manifest_hash: None,
        };
        if let Err(error) = self.system.history.refuse(&change, &refusal.message) {
            tracing::warn!("a refused deploy is not in the history: {}", chain(&error));
        }
    }
}

impl Drop for ChangeLock<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() = None;
        self.0.system.artifacts.clear_trials();
        self.0.ended.notify_one();
    }
}
