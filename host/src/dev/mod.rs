//! The development loop, `seam dev`: a saved source becomes what is served.
//!
//! One round: the contexts that the changed files matter to are built, their components loaded, and all that is newest goes through
//! the gate as one system; if that does not pass, what this round brought is tried on top of what serves. What does not pass is told,
//! in the terminal and in the open pages, until it is mended; what served before serves on.
//! Invariants: nothing here runs without `seam dev`; a round changes what serves once or not at all.
//! Not here: noticing changes (`watch`), compiling (`build::incremental`), the gate (`deploy`), what a browser does with what it is told
//! (`http`).

mod notices;
mod wanted;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use notices::Notice;

use crate::app::App;
use crate::build::{self, IncrementalBuild, IncrementalBuilder};
use crate::deploy::{Deployer, DesiredSystem, Passed, Step, SystemRefusal};
use crate::http::{self, Mounts, StatusBoard};
use crate::manifest::Manifest;
use crate::watch::{self, Changes, Watcher};
use notices::Notices;
use seam_runtime::component::{ContextProblem, ContextSpec};
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use wanted::Newest;

/// Where the terminal's text goes, a line or more at a time.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// A system that is being worked on, before it serves.
pub struct Bench {
    /// As it was read from the file: where paths of components are, `wanted` says.
    manifest: Manifest,
    workshop: IncrementalBuilder,
    watcher: Watcher,
    notices: Notices,
    say: Say,
}

/// The loop around a system that serves.
pub struct Loop {
    bench: Bench,
    /// What the process was started with, for what only a start can change.
    started: Manifest,
    /// The newest manifest that is sound in itself.
    wanted: Manifest,
    /// The one by which contexts are served.
    serving: Manifest,
    /// The newest component of each context.
    components: BTreeMap<ContextName, Newest>,
    registry: Registry,
    deployer: Deployer,
    mounts: Mounts,
    board: StatusBoard,
    /// Counts what pages could show; begins so that no two starts share a number.
    version: u64,
    /// What the last change that went live did.
    last: serde_json::Value,
}

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Contexts whose new version serves.
    pub live: Vec<ContextName>,
    /// Contexts for which a compiler ran.
    pub rebuilt: Vec<ContextName>,
    /// The manifest's mounts or a static file changed.
    pub edge: bool,
}

impl Bench {
    /// Builds what the manifest names, as far as it can be built.
    ///
    /// # Errors
    /// When nothing can be built at all: no compiler, or no workspace.
    pub fn open(manifest: Manifest, say: Say) -> Result<Self, build::Error> {
        let base = build::base(&manifest);
        let workshop = IncrementalBuilder::open(&manifest.contexts, &base, &mut |line| say(line))?;
        let watcher = Watcher::start(wanted::roots(&manifest, &workshop), watch::Config::default());
        let mut bench = Self { manifest, workshop, watcher, notices: Notices::default(), say };
        let all = wanted::built_unasked(&bench.manifest);
        let built = bench.build(&all);
        let rebuilt = built.up_to_date.iter().filter(|made| made.rebuilt).count();
        if rebuilt > 0 {
            (bench.say)(&format!("{rebuilt} of {} contexts built in {:.1} s", all.len(), built.took.as_secs_f64()));
        }
        bench.watcher.set_roots(wanted::roots(&bench.manifest, &bench.workshop));
        Ok(bench)
    }

    /// The manifest with the components that are built here.
    pub fn manifest(&self) -> Manifest {
        wanted::of_workshop(&self.manifest)
    }

    /// Waits for a change and takes it in, while there is nothing that could serve.
    pub async fn again(mut self) -> Self {
        let changes = self.watcher.changes().await;
        let task = tokio::task::spawn_blocking(move || {
            if wanted::steers(&self.manifest, &changes) {
                match Manifest::load(&self.manifest.path) {
                    Ok(next) => self.set_contexts(next),
                    Err(problems) => (self.say)(&problems.to_string()),
                }
            }
            let mut touched = self.workshop.affected_by(&changes.paths);
            let unasked = wanted::built_unasked(&self.manifest);
            touched.retain(|name| unasked.contains(name));
            let missing = self.manifest().system().contexts.into_iter().filter(|context| !context.component.is_file());
            touched.extend(missing.map(|context| context.name).filter(|name| unasked.contains(name)));
            self.build(&touched);
            self.watcher.set_roots(wanted::roots(&self.manifest, &self.workshop));
            self
        });
        match task.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn set_contexts(&mut self, manifest: Manifest) {
        let say = self.say.clone();
        match self.workshop.set_contexts(&manifest.contexts, &mut |line| say(line)) {
            Ok(()) => self.notices.manifest.clear(),
            Err(error) => self.notices.manifest = vec![Notice::error(&error, error.hint())],
        }
        self.manifest = manifest;
    }

    /// Builds these, and says what keeps which from it.
    fn build(&mut self, names: &[ContextName]) -> IncrementalBuild {
        let say = self.say.clone();
        let built = self.workshop.build(names, &mut |line| say(line));
        for warning in &built.warnings {
            (self.say)(warning.rendered.trim_end());
        }
        for line in self.notices.built(&built) {
            (self.say)(&line);
        }
        built
    }
}

impl Loop {
    /// Around `app`, which was loaded from the bench's manifest and is served with these mounts.
    pub fn new(bench: Bench, app: &App, mounts: Mounts, board: StatusBoard) -> Self {
        let parts = app.registry.specs();
        let newest = |part: ContextSpec| {
            (part.settings.name, Newest { component: part.component, tolerated_schema: part.tolerated_schema })
        };
        let components = parts.into_iter().map(newest).collect();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(since.as_millis()).unwrap_or_default();
        let (started, wanted) = (bench.manifest.clone(), bench.manifest());
        let (serving, registry, deployer) = (wanted.clone(), app.registry.clone(), app.deployer.clone());
        let last = serde_json::Value::Null;
        let this =
            Self { bench, started, wanted, serving, components, registry, deployer, mounts, board, version, last };
        this.post(&[]);
        this
    }

    /// Goes on until the task that it runs on is dropped.
    pub async fn run(mut self) {
        loop {
            let changes = self.bench.watcher.changes().await;
            // Not on this thread: it lacks the stack that a guest needs.
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

    /// Takes in what changed.
    pub fn round(&mut self, changes: &Changes) -> Outcome {
        let begun = Instant::now();
        let told = self.bench.notices.count();
        let steered = wanted::steers(&self.bench.manifest, changes) && self.reread();
        let mut touched = self.bench.workshop.affected_by(&changes.paths);
        let unasked = wanted::built_unasked(&self.bench.manifest);
        touched.retain(|name| unasked.contains(name));
        let missing = unasked.into_iter().filter(|name| !self.components.contains_key(name));
        touched.extend(missing.filter(|name| !touched.contains(name)).collect::<Vec<_>>());
        self.post(&touched);
        let built = if touched.is_empty() { IncrementalBuild::default() } else { self.bench.build(&touched) };
        let linking = Instant::now();
        let mut steps = Vec::new();
        let fresh = self.load(&built, &mut steps);
        let mut outcome = Outcome::default();
        if steered || !fresh.is_empty() {
            outcome = self.publish(&fresh, steered, &mut steps);
        }
        let host = linking.elapsed();
        let assets = wanted::assets(&self.serving);
        outcome.edge |= changes.paths.iter().any(|path| assets.iter().any(|folder| path.starts_with(folder)));
        self.bench.watcher.set_roots(wanted::roots(&self.bench.manifest, &self.bench.workshop));
        outcome.rebuilt =
            built.up_to_date.iter().filter(|made| made.rebuilt).map(|made| made.context.clone()).collect();
        if !outcome.live.is_empty() || outcome.edge {
            self.version += 1;
            let since = changes.saved.and_then(|saved| saved.elapsed().ok()).unwrap_or(begun.elapsed());
            (self.bench.say)(&sentence(&outcome, since, built.took, host));
            for note in steps.iter().filter(|passed| passed.step != Step::Read).flat_map(|passed| &passed.notes) {
                (self.bench.say)(&format!("  {note}"));
            }
            self.last = serde_json::json!({
                "live": names(&outcome.live),
                "rebuilt": names(&outcome.rebuilt),
                "ms": since.as_millis(),
                "build_ms": built.took.as_millis(),
                "host_ms": host.as_millis(),
                "steps": steps,
            });
        } else if self.bench.notices.count() == 0 && told > 0 {
            (self.bench.say)("all is well again");
        }
        self.post(&[]);
        outcome
    }

    /// Reads the manifest again; true when it is another one that is sound in itself.
    fn reread(&mut self) -> bool {
        match Manifest::load(&self.bench.manifest.path) {
            Ok(next) => {
                self.bench.set_contexts(next);
                self.wanted = self.bench.manifest();
                self.bench.notices.restart = wanted::needs_restart(&self.started, &self.bench.manifest);
                for notice in &self.bench.notices.restart {
                    (self.bench.say)(&format!("note: {}", notice.message));
                }
                true
            }
            Err(problems) => {
                (self.bench.say)(&format!(
                    "{problems}\n{} is not live; the one before is",
                    file_name(&self.wanted.path)
                ));
                self.bench.notices.manifest = problems.all().iter().map(|p| Notice::of(&self.wanted.path, p)).collect();
                false
            }
        }
    }

    /// Loads the components that are new; which ones.
    fn load(&mut self, built: &IncrementalBuild, steps: &mut Vec<Passed>) -> Vec<ContextName> {
        let mut fresh = Vec::new();
        for made in &built.up_to_date {
            let Some(entry) = self.wanted.context(made.context.as_str()).map(|context| &context.settings) else {
                continue;
            };
            if !made.changed && self.components.contains_key(&entry.name) {
                continue;
            }
            match self.deployer.component(&entry.component, &mut |passed| steps.push(passed.clone())) {
                Ok(component) => {
                    let hash = component.hash.clone();
                    let before =
                        self.components.insert(entry.name.clone(), Newest { component, tolerated_schema: None });
                    if before.is_none_or(|before| before.component.hash != hash) {
                        fresh.push(entry.name.clone());
                    }
                }
                Err(refused) => {
                    let notice = Notice::refused(&refused).about(&entry.name);
                    (self.bench.say)(&notice.to_string());
                    self.bench.notices.builds.insert(entry.name.clone(), vec![notice]);
                }
            }
        }
        fresh
    }

    /// Lets all that is newest in, and else what is `fresh` on top of what serves.
    fn publish(&mut self, fresh: &[ContextName], steered: bool, steps: &mut Vec<Passed>) -> Outcome {
        let mut outcome = Outcome::default();
        let newest = wanted::specs(&self.wanted, &self.components);
        let (loaded, mounts) = (steps.len(), http::mounts(&self.wanted));
        match newest.map(|parts| self.without_broken_variants(parts, steps)) {
            Some(Ok((live, broken))) => {
                self.bench.notices.system.clear();
                if !broken.is_empty() {
                    self.refused(notices::of_problems(&self.wanted, None, &broken));
                }
                outcome.live = live;
                if steered && mounts != http::mounts(&self.serving) {
                    match self.mounts.set(&mounts) {
                        Ok(()) => outcome.edge = true,
                        Err(error) => self.refused(vec![Notice::error(&error, None)]),
                    }
                }
                self.serving = self.wanted.clone();
                return outcome;
            }
            Some(Err(unfit)) => self.refused(notices::of_problems(&self.wanted, Some(unfit.step), &unfit.problems)),
            // A context without a component: why it has none has been told.
            None => {}
        }
        let mut parts = self.registry.specs();
        for part in &mut parts {
            let newest = self.components.get(&part.settings.name).filter(|_| fresh.contains(&part.settings.name));
            if let Some(Newest { component, tolerated_schema }) = newest.cloned() {
                (part.component, part.tolerated_schema) = (component, tolerated_schema);
            }
        }
        steps.truncate(loaded);
        let mounted = http::mounts(&self.serving).into_iter().map(|mount| mount.context).collect();
        // Why it does not work has been told by the first attempt.
        let let_in =
            self.deployer.quick(&DesiredSystem { specs: parts, mounted }, &mut |passed| steps.push(passed.clone()));
        outcome.live = let_in.unwrap_or_default();
        outcome
    }

    /// Lets all of these in, and without variants that keep it from being let in when nothing else does; what is wrong with those.
    fn without_broken_variants(
        &self,
        mut parts: Vec<ContextSpec>,
        steps: &mut Vec<Passed>,
    ) -> Result<(Vec<ContextName>, Vec<ContextProblem>), SystemRefusal> {
        let mut broken: Vec<ContextProblem> = Vec::new();
        let (loaded, mounts) = (steps.len(), http::mounts(&self.wanted));
        loop {
            steps.truncate(loaded);
            let mounted = mounts.iter().map(|mount| mount.context.clone()).collect();
            let wish = DesiredSystem { specs: parts.clone(), mounted };
            match self.deployer.quick(&wish, &mut |passed| steps.push(passed.clone())) {
                Err(SystemRefusal { problems, .. })
                    if !problems.is_empty() && problems.iter().all(|p| p.context.variant().is_some()) =>
                {
                    parts.retain(|part| problems.iter().all(|problem| problem.context != part.settings.name));
                    broken.extend(problems);
                }
                done => return done.map(|live| (live, broken)),
            }
        }
    }

    fn refused(&mut self, notices: Vec<Notice>) {
        for notice in &notices {
            (self.bench.say)(&notice.to_string());
        }
        (self.bench.say)("what was saved is not live; the version before serves on");
        self.bench.notices.system = notices;
    }

    fn post(&self, building: &[ContextName]) {
        let problems = self.bench.notices.shown();
        let state = serde_json::json!({
            "version": self.version,
            "building": names(building),
            "problems": problems,
            "notes": self.bench.notices.restart,
            "last": self.last,
        });
        self.board.post(&state, self.version);
    }
}

/// `catalog live after 1.4 s: build 1.3 s, host 60 ms`
fn sentence(outcome: &Outcome, since: Duration, build: Duration, host: Duration) -> String {
    let after = since.as_secs_f64();
    if outcome.live.is_empty() {
        return format!("live after {after:.2} s: static files or mounts");
    }
    format!(
        "{} live after {after:.2} s: build {:.2} s, host {} ms",
        names(&outcome.live).join(", "),
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
