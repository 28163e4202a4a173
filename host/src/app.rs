//! The application: the only place that wires the parts together.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::deploy::{self, Deployer, History};
use crate::follow::Following;
use crate::http;
use crate::limits;
use crate::manifest::{Context, ContextSettings, Manifest};
use crate::watch::{self, Root, Watcher};
use seam_runtime::component::Compiler;
use seam_runtime::run::Metrics;
use seam_runtime::serve::{self, LinkedSystem, Registry, Source};
use seam_store::ids::ContextName;
use seam_store::{HostFile, HostFileError};

/// A loaded system: every context has started, nothing listens yet.
pub struct App {
    pub manifest: Manifest,
    pub registry: Registry,
    pub deployer: Deployer,
    /// Where open pages are told what goes on, while somebody works on the system.
    pub dev: Option<http::StatusBoard>,
    metrics: prometheus::Registry,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Contexts(#[from] serve::Error),
    #[error(transparent)]
    Host(#[from] HostFileError),
    #[error(transparent)]
    Deploy(#[from] deploy::Error),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

impl App {
    /// Compiles and wires the manifest's components and touches nothing else: what `seam check` does beyond reading the manifest.
    ///
    /// # Errors
    /// Every problem of every context.
    pub fn check(manifest: &Manifest, compiler: Compiler) -> Result<LinkedSystem, Error> {
        Ok(LinkedSystem::load(&manifest.system(), compiler, &manifest.host.data.join("cache"))?)
    }

    /// Loads the whole system: afterwards every context answers.
    ///
    /// # Errors
    /// Every problem of every context. Files whose migration failed are as they were.
    pub fn load(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        let metrics = prometheus::Registry::new();
        let families = Metrics::new(&metrics)?;
        let data = &manifest.host.data;
        let host = Arc::new(HostFile::open(data)?);
        let history = History::new(host.clone())?;
        let deployed = deploy::sources(&manifest, &history)?;
        let linked = LinkedSystem::load_from(&manifest.system(), compiler, &data.join("cache"), &|entry| {
            of_entry(&deployed, entry)
        })?;
        let registry = linked.start(&data.join("stores"), host, &families)?;
        let deployer = Deployer::new(registry.clone(), history, &manifest)?;
        Ok(Self { manifest, registry, deployer, dev: None, metrics })
    }

    /// Binds the listen addresses. Clients can connect from here on, and are answered once the server runs.
    ///
    /// # Errors
    /// When an address, a certificate or an assets' folder cannot be used.
    pub fn bind(&self) -> Result<http::Server, Error> {
        let config = http::Config { dev: self.dev.clone(), ..http::Config::from_manifest(&self.manifest) };
        Ok(http::Server::bind(config, self.registry.clone(), &self.metrics)?)
    }

    /// Lets files of components that change serve, each if it passes the gate. Goes on until it is dropped.
    pub fn follow_files(&self) -> impl Future<Output = ()> + Send + use<> {
        let file = |Context { settings: context, .. }: &Context| {
            let file = std::path::absolute(&context.component).unwrap_or_else(|_| context.component.clone());
            (file, context.name.to_string())
        };
        let files: Vec<(PathBuf, String)> = self.manifest.contexts.iter().map(file).collect();
        let roots = files.iter().map(|(file, _)| Root::File(file.clone())).collect();
        let watcher = Watcher::start(roots, watch::Config::default());
        let deployer = self.deployer.clone();
        async move {
            loop {
                let changes = watcher.changes().await;
                for (file, context) in files.iter().filter(|(file, _)| changes.paths.contains(file)) {
                    let_in(deployer.clone(), context.clone(), file.clone()).await;
                }
            }
        }
    }

    /// Serves until `shutdown` is ready and what runs has finished. `serving` gets the server, which knows its real ports.
    ///
    /// # Errors
    /// Those of `bind`; once it serves, none.
    pub async fn serve(
        &self,
        shutdown: impl Future<Output = ()> + Send,
        serving: impl FnOnce(&http::Server),
    ) -> Result<(), Error> {
        let server = self.bind()?;
        serving(&server);
        let tending = tokio::spawn(tend(self.registry.clone()));
        let follows = self.manifest.contexts.iter().any(|context| context.settings.catch_up.is_some());
        let following = follows.then(|| Following::start(self.registry.clone()));
        server.run(shutdown).await;
        tending.abort();
        drop(following);
        Ok(())
    }
}

/// Puts a changed file of a context through the gate, and says what became of it.
async fn let_in(deployer: Deployer, context: String, file: PathBuf) {
    if !file.is_file() {
        tracing::warn!(target: "deploy", context, file = %file.display(), "its component is gone; the version that serves goes on");
        return;
    }
    let request = deploy::DeployRequest { wait: true, ..deploy::DeployRequest::new(context, file) };
    // Not on this thread: it lacks the stack that a guest needs, and compiling takes its time.
    let report = tokio::task::spawn_blocking(move || deployer.deploy(&request, &mut |_| {})).await;
    let Ok(report) = report else { return };
    let context = report.context;
    match (report.outcome, report.refused, report.serves) {
        (deploy::DeployOutcome::Unchanged, ..) => {}
        (_, Some(refused), _) => {
            let step = refused.step.map_or("begin", deploy::Step::name);
            tracing::error!(target: "deploy", context, step, hint = refused.remedy, "its changed file is refused: {}", refused.message);
        }
        (_, None, serves) => {
            let hash = serves.map(|version| version.hash).unwrap_or_default();
            tracing::info!(target: "deploy", context, hash = deploy::short(&hash), "its changed file serves");
        }
    }
}

/// What was deployed, or what the manifest names.
fn of_entry(deployed: &HashMap<ContextName, Source>, entry: &ContextSettings) -> Source {
    deployed.get(&entry.name).cloned().unwrap_or_else(|| Source::of(entry))
}

/// What the contexts need from time to time.
async fn tend(registry: Registry) {
    let mut trim = tokio::time::interval(Duration::from_secs(limits::TRIM_INTERVAL_S));
    let mut drain = tokio::time::interval(Duration::from_millis(limits::DRAIN_CHECK_MS));
    loop {
        tokio::select! {
            _ = trim.tick() => registry.trim(),
            _ = drain.tick() => registry.check_draining(),
        }
    }
}

/// The runtime that everything runs on: its threads have stack for a whole chain of guests.
///
/// # Errors
/// When the system has no threads to give.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("seam")
        .thread_stack_size(limits::THREAD_STACK_KB << 10)
        .max_blocking_threads(limits::BLOCKING_THREADS_MAX)
        .build()
}
