//! Makes changes to the running system, one at a time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use seam_runtime::component::{self, Artifact, Component, ContextSpec};
use seam_runtime::serve::{self, Registry};
use seam_store::ids::ContextName;
use seam_store::{HostFileError, chain};

use super::artifact_store::ArtifactStore;
use super::error::Error;
use super::history::{Change, ChangeKind, History, HistoryEntry};
use super::notices::Notices;
use super::pipeline::Pipeline;
use super::report::{DeployOutcome, DeployReport, GateRefusal, Passed, Step, SystemRefusal, Version, short};
use super::request::{DeployRequest, DesiredSystem, RollbackRequest};
use super::running_watch::{EndWatch, RunningWatch};
use super::startup::Sources;
use super::steps::publish;
use super::system::{System, hash_of};
use super::vigil::{Look, Vigils};
use super::{full, quick, rollback, startup, steps};
use crate::fit::HostCalls;
use crate::manifest::Manifest;

/// Changes versions while the system runs. Cheap to clone.
#[derive(Clone)]
pub struct Deployer(Arc<Inner>);

struct Inner {
    system: System,
    running: Mutex<Option<RunningChange>>,
    ended: Condvar,
}

/// The change that is being made now.
#[derive(Clone)]
struct RunningChange {
    name: String,
    since: Instant,
}

/// Held while a change is made; at most one exists.
struct ChangeLock<'a>(&'a Inner);

impl Deployer {
    /// For the system that `registry` runs. Stores the components that serve now, so that a rollback to them is
    /// possible.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn new(registry: Registry, history: History, manifest: &Manifest, sources: &Sources) -> Result<Self, Error> {
        let artifacts = ArtifactStore::open(&manifest.host.data)?;
        let system = System {
            registry,
            history,
            artifacts,
            calls: HostCalls::of(manifest),
            notices: Notices::default(),
            watch: RunningWatch::default(),
            vigils: Vigils::default(),
        };
        startup::record(&system, sources)?;
        Ok(Self(Arc::new(Inner { system, running: Mutex::new(None), ended: Condvar::new() })))
    }

    /// Publishes `request.file` if it passes every step. Calls `passed` after each step that it passes.
    pub fn deploy(&self, request: &DeployRequest, passed: &mut dyn FnMut(&Passed)) -> DeployReport {
        let system = &self.0.system;
        let request = &DeployRequest { context: system.registry.name_of(&request.context), ..request.clone() };
        let change = (ChangeKind::Deploy, "a deploy");
        self.0.change(change, &request.context, request.wait, passed, |before, pipeline| {
            full::run(system, before, request, pipeline)
        })
    }

    /// Publishes the previous version again, or an older one.
    pub fn roll_back(&self, request: &RollbackRequest, passed: &mut dyn FnMut(&Passed)) -> DeployReport {
        let system = &self.0.system;
        let request = &RollbackRequest { context: system.registry.name_of(&request.context), ..request.clone() };
        let change = (ChangeKind::Rollback, "a rollback");
        // A version that is still watched goes at once; only to restore its file, it has to be deployed first.
        let how = if request.restore { EndWatch::Keep } else { EndWatch::Undo };
        let watched = system.watch.end(&request.context, how);
        let wait = request.wait || watched.is_some();
        self.0.change(change, &request.context, wait, passed, |current, pipeline| match &watched {
            Some(watched) if request.to.is_none() && current.component.hash != *watched => {
                let note = format!("ended the watch of {}, so the version before serves again", short(watched));
                pipeline.step(Step::Watch, || Ok::<_, GateRefusal>(((), vec![note])))?;
                Ok(system.version(&request.context))
            }
            _ => rollback::run(system, current, request, pipeline),
        })
    }

    /// Whether a version that was seldom called while it was watched is still on probation.
    pub fn has_vigils(&self) -> bool {
        !self.0.system.vigils.is_empty()
    }

    /// Looks after those versions: one that turns bad is rolled back. Call this every `limits::DRAIN_CHECK_MS`, on a
    /// thread that may wait.
    pub fn look_after_vigils(&self) {
        let system = &self.0.system;
        for mut vigil in system.vigils.take() {
            match vigil.look(&system.registry) {
                Look::GoesOn => system.vigils.add(vigil),
                Look::Ends(why) => {
                    system.explain(vigil.watched.change, &why);
                    vigil.watched.probation.keep();
                }
                Look::Bad(why) => {
                    let (context, generation) = (vigil.watched.context.clone(), vigil.watched.generation);
                    // With `wait`, this never fails.
                    let _lock = self.0.lock(format!("an automatic rollback of `{context}`"), true).ok();
                    // Another version may serve by now.
                    let serves = system.version(context.as_str()).and_then(|version| version.generation);
                    if serves == Some(generation)
                        && let Err(refusal) = publish::take_back(system, vigil.watched, &why)
                    {
                        tracing::error!(target: "deploy", %context, "{}", refusal.message);
                    }
                }
            }
        }
    }

    /// Publishes a whole system for the development loop, if it passes the steps in their quick form. Waits for a
    /// running change to end. Returns the contexts of which a new version serves.
    ///
    /// # Errors
    /// All problems of the step that refused it. The running versions keep serving then.
    pub fn quick(
        &self,
        desired: &DesiredSystem,
        passed: &mut dyn FnMut(&Passed),
    ) -> Result<Vec<ContextName>, SystemRefusal> {
        // With `wait`, this never fails.
        let _lock = self.0.lock("a change by `seam dev`".to_owned(), true).ok();
        quick::run(&self.0.system, desired, &mut Pipeline::new(passed))
    }

    /// Runs the first steps of a new version of `context`: reads its file once and compiles it.
    ///
    /// # Errors
    /// When the file is not a component or does not compile.
    pub fn component(
        &self,
        context: &ContextName,
        file: &Path,
        passed: &mut dyn FnMut(&Passed),
    ) -> Result<Component, GateRefusal> {
        let pipeline = &mut Pipeline::new(passed);
        let artifact = steps::read(file, pipeline)?;
        steps::compile(&self.0.system, context, &artifact, pipeline)
    }

    /// Holds all changes off until the result is dropped.
    ///
    /// # Errors
    /// When a change is under way, which it names.
    pub fn hold(&self, name: String) -> Result<impl Sized + Send + '_, GateRefusal> {
        self.0.lock(name, false)
    }

    /// The bytes of the component of a version that serves.
    ///
    /// # Errors
    /// When neither the host's copy nor the manifest's file has them any more.
    pub fn artifact(&self, spec: &ContextSpec) -> Result<Artifact, component::Error> {
        let (artifacts, hash) = (&self.0.system.artifacts, &spec.component.hash);
        match artifacts.holds(hash) {
            true => Artifact::read_as(&artifacts.component(hash), hash),
            false => Artifact::read_as(&spec.settings.component, hash),
        }
    }

    /// Whether this host has the component with this hash.
    pub fn holds(&self, hash: &str) -> bool {
        self.0.system.artifacts.holds(hash)
    }

    /// Keeps a component that another host has sent, and compiles it.
    ///
    /// # Errors
    /// When it cannot be written, or does not compile.
    pub fn keep(&self, artifact: &Artifact) -> Result<(), Error> {
        let path = || self.0.system.artifacts.component(&artifact.hash);
        let kept = self.0.system.artifacts.keep(artifact);
        kept.map_err(|source| Error::ArtifactStore { path: path(), source })?;
        self.0.system.registry.compile(artifact).map(drop).map_err(Error::Contexts)
    }

    /// Records that the component with this hash serves `context`, which is coming from another host, also after a
    /// restart.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn install(&self, context: &ContextName, hash: &str, tolerated_schema: Option<u32>) -> Result<(), Error> {
        let system = &self.0.system;
        let serves = system.registry.all_generations();
        let spec = serves.iter().find(|one| one.context() == context).map(|one| one.spec());
        if let Some(spec) = spec.filter(|spec| spec.component.hash == hash) {
            let path = || system.artifacts.component(hash);
            system.keep(spec).map_err(|source| Error::ArtifactStore { path: path(), source })?;
        }
        let manifest_hash = spec.and_then(|spec| hash_of(&spec.settings.component));
        let change = Change {
            context: context.as_str(),
            kind: ChangeKind::Move,
            hash,
            before: "",
            file: "",
            schema: None,
            irreversible: false,
            manifest_hash: manifest_hash.as_deref(),
        };
        let id = system.history.begin(&change)?;
        Ok(system.history.live(id, tolerated_schema, None)?)
    }

    /// What `install` has recorded: the component, and the schema that it tolerates.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn installed(&self, context: &ContextName) -> Result<(Component, Option<u32>), Error> {
        let serving = self.0.system.history.serving()?;
        let serving = serving.into_iter().find(|serving| serving.context == context.as_str());
        match serving {
            Some(serving) => Ok((self.component_of(context, &serving.hash)?, serving.tolerated_schema)),
            None => match self.known(context) {
                Some(component) => Ok((component, None)),
                None => Err(Error::Contexts(serve::Error::Problems(Vec::new()))),
            },
        }
    }

    /// The component with this hash, which is to serve `context`.
    ///
    /// # Errors
    /// When the host does not have it.
    pub fn component_of(&self, context: &ContextName, hash: &str) -> Result<Component, Error> {
        let system = &self.0.system;
        match self.known(context).filter(|known| known.hash == hash) {
            Some(known) => Ok(known),
            None => system.registry.load(&system.artifacts.component(hash)).map_err(Error::Contexts),
        }
    }

    /// The component by which the set that serves knows the context.
    fn known(&self, context: &ContextName) -> Option<Component> {
        let serves = self.0.system.registry.all_generations();
        serves.iter().find(|one| one.context() == context).map(|one| one.component().clone())
    }

    /// What the operator should know about the versions that serve now, by context.
    pub fn notices(&self) -> HashMap<ContextName, String> {
        self.0.system.notices.all()
    }

    /// The history of one context or of all, the newest entry first.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn history(&self, context: Option<&str>) -> Result<Vec<HistoryEntry>, HostFileError> {
        self.0.system.history.entries(context)
    }
}

impl Inner {
    /// Makes one change of `context` while no other change runs. `run` takes the version through its steps and returns
    /// the version that serves afterwards; `None` when it already served.
    fn change(
        &self,
        (kind, name): (ChangeKind, &str),
        context: &str,
        wait: bool,
        passed: &mut dyn FnMut(&Passed),
        run: impl FnOnce(&ContextSpec, &mut Pipeline<'_>) -> Result<Option<Version>, GateRefusal>,
    ) -> DeployReport {
        let mut pipeline = Pipeline::new(passed);
        // Before reading what serves, because another change may be about to end.
        let lock = self.lock(format!("{name} of `{context}`"), wait);
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

    /// Takes the lock. If another change is running, waits for its end, or without `wait` returns a refusal that names
    /// it.
    fn lock(&self, name: String, wait: bool) -> Result<ChangeLock<'_>, GateRefusal> {
        let mut running = self.running.lock();
        while let Some(other) = running.as_ref() {
            if !wait {
                let s = other.since.elapsed().as_secs();
                return Err(GateRefusal::early(
                    format!("{} is running, for {s} s so far", other.name),
                    "try again when it has ended, or wait for it with `--wait`; `seam rollback` of the context that is \
                     watched ends its watch",
                ));
            }
            self.ended.wait(&mut running);
        }
        *running = Some(RunningChange { name, since: Instant::now() });
        Ok(ChangeLock(self))
    }

    /// Records a refusal in the history, unless the step `publish` or `watch` has recorded it.
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
        if let Err(error) = self.system.history.refuse(&change, refusal.for_history()) {
            tracing::warn!("cannot record a refused change in the history: {}", chain(&error));
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
