//! The development loop, `seam dev`: builds and publishes what a developer saves.
//!
//! One round: the loop builds the contexts that the changed files affect and loads their components. Then the newest
//! components of all contexts go through the deploy steps as one system. If a step refuses them, the loop tries only
//! the components of this round, together with the running versions of the other contexts. It shows problems in the
//! terminal and in the open pages until they are fixed; the running versions keep serving.
//! Invariants: nothing here runs without `seam dev`; a round changes the running system once or not at all.
//! Not here: noticing changes (`watch`), compiling (`build::incremental`), the deploy steps (`deploy`), the script in
//! the browser (`http`).

mod from_manifest;
mod notices;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use notices::Notice;

use crate::app::App;
use crate::build::{self, IncrementalBuild, IncrementalBuilder};
use crate::deploy::{Deployer, DesiredSystem, Passed, Step, SystemRefusal};
use crate::fit::HostCalls;
use crate::http::{self, Mounts, StatusBoard};
use crate::limits;
use crate::manifest::Manifest;
use crate::watch::{self, Changes, Watcher};
use from_manifest::LoadedComponent;
use notices::Notices;
use seam_runtime::component::{ContextProblem, ContextSpec};
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;

/// Prints text on the terminal, one or more lines at a time.
pub type Print = Arc<dyn Fn(&str) + Send + Sync>;

/// The sources of the system and their builds. It exists before anything serves.
pub struct Project {
    /// As read from the file; `manifest()` has the paths of the components that are built here.
    manifest: Manifest,
    builder: IncrementalBuilder,
    watcher: Watcher,
    notices: Notices,
    print: Print,
}

/// The development loop of a system that serves.
pub struct DevLoop {
    project: Project,
    /// The manifest at the start of the process. Some of its settings change only with a restart.
    started: Manifest,
    /// The newest valid manifest.
    desired: Manifest,
    /// The manifest of the running system.
    serving: Manifest,
    /// The newest component of each context.
    components: BTreeMap<ContextName, LoadedComponent>,
    registry: Registry,
    deployer: Deployer,
    mounts: Mounts,
    status: StatusBoard,
    /// Increases with each change that pages can show. Its first value is the time of the start, so that no two starts
    /// use the same number.
    version: u64,
    /// A summary of the last change that went live.
    last: serde_json::Value,
    /// How the running versions trapped last, as the open pages show it.
    traps: Vec<Notice>,
}

/// The result of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundResult {
    /// Contexts whose new version serves.
    pub live: Vec<ContextName>,
    /// Contexts for which a compiler ran.
    pub rebuilt: Vec<ContextName>,
    /// The manifest's mounts or a static file changed.
    pub http_changed: bool,
}

impl Project {
    /// Builds the contexts of the manifest. A context that does not compile is a notice and not an error.
    ///
    /// # Errors
    /// When nothing can be built at all: no compiler, or no workspace.
    pub fn open(manifest: Manifest, print: Print) -> Result<Self, build::Error> {
        let base = build::base(&manifest);
        let builder = IncrementalBuilder::open(&manifest.contexts, &base, &mut |line| print(line))?;
        let watcher = Watcher::start(from_manifest::watch_roots(&manifest, &builder), watch::Config::default());
        let mut project = Self { manifest, builder, watcher, notices: Notices::default(), print };
        let all = from_manifest::built_by_default(&project.manifest);
        let built = project.build(&all);
        let rebuilt = built.up_to_date.iter().filter(|made| made.rebuilt).count();
        if rebuilt > 0 {
            (project.print)(&format!("{rebuilt} of {} contexts built in {:.1} s", all.len(), built.took.as_secs_f64()));
        }
        project.watcher.set_roots(from_manifest::watch_roots(&project.manifest, &project.builder));
        Ok(project)
    }

    /// The manifest with the paths of the components that are built here.
    pub fn manifest(&self) -> Manifest {
        from_manifest::with_built_components(&self.manifest)
    }

    /// Waits for a change and builds it. For the time before anything serves.
    pub async fn rebuild_after_change(mut self) -> Self {
        let changes = self.watcher.changes().await;
        let task = tokio::task::spawn_blocking(move || {
            if from_manifest::affects_manifest(&self.manifest, &changes) {
                match self.manifest.reload() {
                    Ok(next) => self.set_contexts(next),
                    Err(problems) => (self.print)(&problems.to_string()),
                }
            }
            let mut affected = self.builder.affected_by(&changes.paths);
            let by_default = from_manifest::built_by_default(&self.manifest);
            affected.retain(|name| by_default.contains(name));
            let missing = self.manifest().system().contexts.into_iter().filter(|context| !context.component.is_file());
            affected.extend(missing.map(|context| context.name).filter(|name| by_default.contains(name)));
            self.build(&affected);
            self.watcher.set_roots(from_manifest::watch_roots(&self.manifest, &self.builder));
            self
        });
        match task.await {
            Ok(project) => project,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn set_contexts(&mut self, manifest: Manifest) {
        let print = self.print.clone();
        match self.builder.set_contexts(&manifest.contexts, &mut |line| print(line)) {
            Ok(()) => self.notices.manifest.clear(),
            Err(error) => self.notices.manifest = vec![Notice::error(&error, error.hint())],
        }
        self.manifest = manifest;
    }

    /// Builds these contexts and prints warnings and failures.
    fn build(&mut self, names: &[ContextName]) -> IncrementalBuild {
        let print = self.print.clone();
        let built = self.builder.build(names, &mut |line| print(line));
        for warning in &built.warnings {
            (self.print)(warning.rendered.trim_end());
        }
        for line in self.notices.update_builds(&built) {
            (self.print)(&line);
        }
        if let Some((context, changes)) = &built.rebuild_loop {
            let (message, hint) = changes.text(context.as_str());
            (self.print)(&format!("warning: {message}\n  hint: {hint}"));
        }
        built
    }
}

impl DevLoop {
    /// `app` was loaded from the project's manifest and is served with `mounts`.
    pub fn new(project: Project, app: &App, mounts: Mounts, status: StatusBoard) -> Self {
        let loaded = |spec: ContextSpec| {
            (spec.settings.name, LoadedComponent { component: spec.component, tolerated_schema: spec.tolerated_schema })
        };
        let components = app.registry.specs().into_iter().map(loaded).collect();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(since.as_millis()).unwrap_or_default();
        let (started, desired) = (project.manifest.clone(), project.manifest());
        let (serving, registry, deployer) = (desired.clone(), app.registry.clone(), app.deployer.clone());
        let last = serde_json::Value::Null;
        let traps = Vec::new();
        let mut this = Self {
            project,
            started,
            desired,
            serving,
            components,
            registry,
            deployer,
            mounts,
            status,
            version,
            last,
            traps,
        };
        this.post_status(&[]);
        this
    }

    /// Runs until its task is dropped.
    pub async fn run(mut self) {
        loop {
            let changes = tokio::select! {
                changes = self.project.watcher.changes() => changes,
                () = tokio::time::sleep(Duration::from_millis(limits::DEV_TRAPS_MS)) => {
                    if self.traps != notices::of_traps(&self.registry) {
                        self.post_status(&[]);
                    }
                    continue;
                }
            };
            // On another thread: this one lacks the stack that a guest needs.
            let round = tokio::task::spawn_blocking(move || {
                self.round(&changes);
                self
            });
            match round.await {
                Ok(next) => self = next,
                Err(error) => {
                    tracing::error!(target: "dev", "the development loop has ended: {error}");
                    return;
                }
            }
        }
    }

    /// Builds and publishes what changed.
    pub fn round(&mut self, changes: &Changes) -> RoundResult {
        let started = Instant::now();
        let problems_before = self.project.notices.count();
        let reloaded = from_manifest::affects_manifest(&self.project.manifest, changes) && self.reload_manifest();
        let mut affected = self.project.builder.affected_by(&changes.paths);
        let by_default = from_manifest::built_by_default(&self.project.manifest);
        affected.retain(|name| by_default.contains(name));
        let missing = by_default.into_iter().filter(|name| !self.components.contains_key(name));
        affected.extend(missing.filter(|name| !affected.contains(name)).collect::<Vec<_>>());
        self.post_status(&affected);
        let built = if affected.is_empty() { IncrementalBuild::default() } else { self.project.build(&affected) };
        let loading = Instant::now();
        let mut steps = Vec::new();
        let updated = self.load(&built, &mut steps);
        let mut result = RoundResult::default();
        if reloaded || !updated.is_empty() {
            result = self.publish(&updated, reloaded, &mut steps);
        }
        let host = loading.elapsed();
        let assets = from_manifest::assets(&self.serving);
        result.http_changed |= changes.paths.iter().any(|path| assets.iter().any(|folder| path.starts_with(folder)));
        self.project.watcher.set_roots(from_manifest::watch_roots(&self.project.manifest, &self.project.builder));
        result.rebuilt = built.up_to_date.iter().filter(|made| made.rebuilt).map(|made| made.context.clone()).collect();
        if !result.live.is_empty() || result.http_changed {
            self.version += 1;
            let since = changes.saved.and_then(|saved| saved.elapsed().ok()).unwrap_or(started.elapsed());
            (self.project.print)(&summary(&result, since, built.took, host));
            for note in steps.iter().filter(|passed| passed.step != Step::Read).flat_map(|passed| &passed.notes) {
                (self.project.print)(&format!("  {note}"));
            }
            self.last = serde_json::json!({
                "live": names(&result.live),
                "rebuilt": names(&result.rebuilt),
                "ms": since.as_millis(),
                "build_ms": built.took.as_millis(),
                "host_ms": host.as_millis(),
                "steps": steps,
            });
        } else if self.project.notices.count() == 0 && problems_before > 0 {
            (self.project.print)("all problems are fixed");
        }
        self.post_status(&[]);
        result
    }

    /// Reads the manifest again. Returns whether it is valid.
    fn reload_manifest(&mut self) -> bool {
        match self.project.manifest.reload() {
            Ok(next) => {
                self.project.set_contexts(next);
                self.desired = self.project.manifest();
                self.project.notices.restart = from_manifest::needs_restart(&self.started, &self.project.manifest);
                for notice in &self.project.notices.restart {
                    (self.project.print)(&format!("note: {}", notice.message));
                }
                true
            }
            Err(problems) => {
                (self.project.print)(&format!(
                    "{problems}\nthe change of {} is not live; the previous manifest is still in use",
                    file_name(&self.desired.path)
                ));
                let notice = |problem| Notice::of_problem(&self.desired.path, problem);
                self.project.notices.manifest = problems.all().iter().map(notice).collect();
                false
            }
        }
    }

    /// Loads the components that changed. Returns their contexts.
    fn load(&mut self, built: &IncrementalBuild, steps: &mut Vec<Passed>) -> Vec<ContextName> {
        let mut updated = Vec::new();
        for made in &built.up_to_date {
            let Some(entry) = self.desired.context(made.context.as_str()).map(|context| &context.settings) else {
                continue;
            };
            if !made.changed && self.components.contains_key(&entry.name) {
                continue;
            }
            match self.deployer.component(&entry.name, &entry.component, &mut |passed| steps.push(passed.clone())) {
                Ok(component) => {
                    let hash = component.hash.clone();
                    let loaded = LoadedComponent { component, tolerated_schema: None };
                    let before = self.components.insert(entry.name.clone(), loaded);
                    if before.is_none_or(|before| before.component.hash != hash) {
                        updated.push(entry.name.clone());
                    }
                }
                Err(refusal) => {
                    let notice = Notice::of_refusal(&refusal).about(&entry.name);
                    (self.project.print)(&notice.to_string());
                    self.project.notices.builds.insert(entry.name.clone(), vec![notice]);
                }
            }
        }
        updated
    }

    /// Publishes the newest components of all contexts. If they are refused, publishes those of `updated` together with
    /// the running versions of the other contexts.
    fn publish(&mut self, updated: &[ContextName], reloaded: bool, steps: &mut Vec<Passed>) -> RoundResult {
        let mut result = RoundResult::default();
        let newest = from_manifest::specs(&self.desired, &self.components);
        let (loaded, mounts) = (steps.len(), http::mounts(&self.desired));
        match newest.map(|specs| self.publish_without_broken_variants(specs, steps)) {
            Some(Ok((live, broken))) => {
                self.project.notices.system.clear();
                if !broken.is_empty() {
                    self.report_refusal(notices::of_problems(&self.desired, None, &broken));
                }
                result.live = live;
                if reloaded && mounts != http::mounts(&self.serving) {
                    match self.mounts.set(&mounts) {
                        Ok(()) => result.http_changed = true,
                        Err(error) => self.report_refusal(vec![Notice::error(&error, None)]),
                    }
                }
                self.serving = self.desired.clone();
                return result;
            }
            Some(Err(SystemRefusal { step, problems })) => {
                self.report_refusal(notices::of_problems(&self.desired, Some(step), &problems));
            }
            // A context has no component; its failed build has been reported.
            None => {}
        }
        let mut specs = self.registry.specs();
        for spec in specs.iter_mut().filter(|spec| updated.contains(&spec.settings.name)) {
            if let Some(newest) = self.components.get(&spec.settings.name).cloned() {
                (spec.component, spec.tolerated_schema) = (newest.component, newest.tolerated_schema);
            }
        }
        steps.truncate(loaded);
        let system = DesiredSystem { specs, calls: HostCalls::of(&self.serving) };
        let published = self.deployer.quick(&system, &mut |passed| steps.push(passed.clone()));
        // The refusal of the first try has been reported; a second one adds nothing.
        result.live = published.unwrap_or_default();
        result
    }

    /// Publishes all of these. When only variants are refused, publishes the rest without them. Returns the contexts of
    /// which a new version serves, and the problems of the variants left out.
    fn publish_without_broken_variants(
        &self,
        mut specs: Vec<ContextSpec>,
        steps: &mut Vec<Passed>,
    ) -> Result<(Vec<ContextName>, Vec<ContextProblem>), SystemRefusal> {
        let mut broken: Vec<ContextProblem> = Vec::new();
        let (loaded, calls) = (steps.len(), HostCalls::of(&self.desired));
        loop {
            steps.truncate(loaded);
            let system = DesiredSystem { specs: specs.clone(), calls: calls.clone() };
            match self.deployer.quick(&system, &mut |passed| steps.push(passed.clone())) {
                Err(SystemRefusal { problems, .. })
                    if !problems.is_empty() && problems.iter().all(|p| p.context.variant().is_some()) =>
                {
                    specs.retain(|spec| problems.iter().all(|problem| problem.context != spec.settings.name));
                    broken.extend(problems);
                }
                result => return result.map(|live| (live, broken)),
            }
        }
    }

    fn report_refusal(&mut self, notices: Vec<Notice>) {
        for notice in &notices {
            (self.project.print)(&notice.to_string());
        }
        (self.project.print)("the last change is not live; the previous version keeps serving");
        self.project.notices.system = notices;
    }

    /// Sends the state to the open pages.
    fn post_status(&mut self, building: &[ContextName]) {
        self.traps = notices::of_traps(&self.registry);
        let problems = self.project.notices.for_pages();
        let state = serde_json::json!({
            "version": self.version,
            "building": names(building),
            "problems": problems,
            "traps": self.traps,
            "notes": self.project.notices.restart,
            "last": self.last,
        });
        self.status.post(&state, self.version);
    }
}

/// `catalog live after 1.4 s: build 1.3 s, host 60 ms`
fn summary(result: &RoundResult, since: Duration, build: Duration, host: Duration) -> String {
    let after = since.as_secs_f64();
    if result.live.is_empty() {
        return format!("live after {after:.2} s: static files or mounts");
    }
    format!(
        "{} live after {after:.2} s: build {:.2} s, host {} ms",
        names(&result.live).join(", "),
        build.as_secs_f64(),
        host.as_millis()
    )
}

fn names(contexts: &[ContextName]) -> Vec<&str> {
    contexts.iter().map(ContextName::as_str).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
