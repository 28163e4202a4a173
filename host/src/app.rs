//! The application: the only place that wires the parts together.

mod peers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::component::Compiler;
use seam_runtime::run::Metrics;
use seam_runtime::serve::{self, LinkedSystem, Registry};
use seam_store::ids::ContextName;
use seam_store::{HostFile, HostFileError};

use crate::audit::Audit;
use crate::backup::continuous::{self, Board, Continuous};
use crate::check;
use crate::delivery::{Deliveries, EventMetrics, Operator, Tallies};
use crate::deploy::{self, Deployer, History};
use crate::fit;
use crate::folder;
use crate::homes;
use crate::http;
use crate::limits;
use crate::manifest::{Context, Manifest, Schedule, Testers};
use crate::reconcile::{self, Book, ReconcileMetrics, Reconciler, RunningContexts};
use crate::relocate::Relocator;
use crate::remote;
use crate::sagas::{self, SagaMetrics, SagaOperator};
use crate::schedule::{self, Scheduler};
use crate::standby::{self, Standbys};
use crate::timers::{TimerMetrics, Timers};
use crate::verify::Elsewhere;
use crate::watch::{self, Root, Watcher};

use peers::Peers;

/// A loaded system: every context has started, but the host does not listen yet.
pub struct App {
    pub manifest: Manifest,
    pub registry: Registry,
    pub deployer: Deployer,
    /// The status board that open pages follow; set by `seam dev`.
    pub dev: Option<http::StatusBoard>,
    /// What became of each schedule.
    pub schedules: Arc<schedule::Board>,
    /// The schedules of this host's contexts, as on the board.
    by_time: Vec<Schedule>,
    timers: TimerMetrics,
    metrics: prometheus::Registry,
    /// The other hosts of the system, if there are any.
    peers: Option<Peers>,
    /// Moves contexts to and from them.
    pub relocator: Option<Relocator>,
    /// What operators see of deliveries.
    tallies: Tallies,
    event_metrics: Arc<EventMetrics>,
    saga_metrics: Arc<SagaMetrics>,
    /// Of events.
    pub operator: Operator,
    pub saga_operator: SagaOperator,
    pub reconciler: Arc<Reconciler<RunningContexts>>,
    /// What operators see of the backup that goes on.
    pub backups: Arc<Board>,
    /// The contexts that other hosts have taken over while this one was not there.
    lost: standby::Lost,
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
    #[error(transparent)]
    Remote(#[from] remote::Error),
    #[error(transparent)]
    Homes(#[from] homes::Error),
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

impl App {
    /// Loads the contexts of this host: afterwards each of them can answer that is not out of service. Those of other
    /// hosts do not.
    ///
    /// # Errors
    /// Every problem of every context, when none can serve and there is no other host. Files whose migration failed are
    /// as they were.
    pub fn load(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        Self::load_with(manifest, compiler, |_, _| Ok(None))
    }

    /// Like `load`, with connections to the other hosts of the system. Call it in the host's runtime.
    ///
    /// # Errors
    /// As `load`, and when this host's certificate or key cannot be used.
    pub fn load_connected(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        let lost = standby::settle(&manifest)?;
        Ok(Self { lost, ..Self::load_with(manifest, compiler, Peers::start)? })
    }

    fn load_with(
        manifest: Manifest,
        compiler: Compiler,
        connect: impl FnOnce(&Manifest, &prometheus::Registry) -> Result<Option<Peers>, remote::Error>,
    ) -> Result<Self, Error> {
        let manifest = homes::settle(manifest)?;
        let metrics = prometheus::Registry::new();
        let families = Metrics::new(&metrics)?;
        let data = &manifest.host.data;
        let host = Arc::new(HostFile::open(data)?);
        let history = History::new(host.clone())?;
        let (audit, book) = (Audit::new(host.clone())?, Book::new(host.clone())?);
        let event_metrics = Arc::new(EventMetrics::new(&metrics)?);
        let saga_metrics = Arc::new(SagaMetrics::new(&metrics)?);
        let deployed = deploy::sources(&manifest, &history)?;
        let linked = LinkedSystem::load_what_can(&manifest.system(), compiler, &data.join("cache"), &|entry| {
            deployed.of(entry)
        })?;
        // Before any file is migrated. A seed that is loaded already, and a schedule, keep nothing from serving.
        let mounted = manifest.mounts.iter().map(|mount| &mount.context);
        let misfits = fit::unserved(mounted.filter(|context| manifest.placement.lives_here(context)), linked.specs());
        if !misfits.is_empty() {
            return Err(serve::Error::Problems(misfits).into());
        }
        for (message, remedy) in check::warnings(&manifest, &linked) {
            tracing::warn!(target: "up", hint = remedy, "{message}");
        }
        let owners = manifest.placement.owners_in(data);
        let linked = linked.with_restore_points(folder::restore_points(data)).with_owners(owners);
        let peers = connect(&manifest, &metrics)?;
        let linked = match &peers {
            Some(peers) => linked.with_carrier(peers.carrier()),
            None => linked,
        };
        let registry = linked.start(&data.join("stores"), host, &families)?;
        let deployer = Deployer::new(registry.clone(), history, &manifest, &deployed)?;
        let client = peers.as_ref().map(|peers| peers.client().clone());
        let moving = |client| Relocator::new(&manifest, registry.clone(), deployer.clone(), client, audit.clone());
        let relocator = client.and_then(moving);
        // A context with a file may move here.
        let may_come = |name: &ContextName| homes::config_of(&manifest, name).is_some();
        let is_its = |name: &ContextName| manifest.placement.lives_here(name) || may_come(name);
        let by_time = manifest.schedules.iter().filter(|each| is_its(&each.context));
        let by_time: Vec<Schedule> = by_time.cloned().collect();
        let schedules = Arc::new(schedule::Board::new(&by_time, &metrics)?);
        let timers = TimerMetrics::new(&metrics)?;
        let tallies = Tallies::default();
        let operator = Operator::new(registry.clone(), tallies.clone(), audit.clone());
        let saga_operator = SagaOperator::new(registry.clone(), audit.clone());
        let backups = Arc::new(Board::new(&metrics)?);
        let (clock, figures) = (registry.clock().clone(), ReconcileMetrics::new(&metrics)?);
        let elsewhere = Elsewhere::new(peers.as_ref().map(Peers::totals));
        let contexts = RunningContexts { registry: registry.clone(), elsewhere };
        let reconciler = Reconciler::new(manifest.reconciles.clone(), contexts, book, audit, clock, figures);
        Ok(Self {
            manifest,
            registry,
            deployer,
            dev: None,
            schedules,
            by_time,
            timers,
            metrics,
            peers,
            relocator,
            tallies,
            event_metrics,
            saga_metrics,
            operator,
            saga_operator,
            reconciler: Arc::new(reconciler),
            backups,
            lost: standby::Lost::default(),
        })
    }

    /// Binds the listen addresses. Clients can connect from here on, and are answered once the server runs.
    ///
    /// # Errors
    /// When an address, a certificate or an assets' folder cannot be used.
    pub fn bind(&self) -> Result<http::Server, Error> {
        let mut config = http::Config { dev: self.dev.clone(), ..http::Config::from_manifest(&self.manifest) };
        if config.dev.is_some() {
            // Developers are testers.
            config.affinity.testers = Testers::Everyone;
        }
        Ok(http::Server::bind(config, self.registry.clone(), &self.metrics)?)
    }

    /// Watches the components' files and deploys those that change, if they pass the gate. Runs until it is dropped.
    pub fn follow_files(&self) -> impl Future<Output = ()> + Send + use<> {
        let file = |Context { settings: context, .. }: &Context| {
            let file = std::path::absolute(&context.component).unwrap_or_else(|_| context.component.clone());
            (file, context.name.to_string())
        };
        let files: Vec<(PathBuf, String)> = self.manifest.here().map(file).collect();
        let roots = files.iter().map(|(file, _)| Root::File(file.clone())).collect();
        let watcher = Watcher::start(roots, watch::Config::default());
        let deployer = self.deployer.clone();
        async move {
            loop {
                let changes = watcher.changes().await;
                for (file, context) in files.iter().filter(|(file, _)| changes.paths.contains(file)) {
                    deploy_file(deployer.clone(), context.clone(), file.clone()).await;
                }
            }
        }
    }

    /// Serves until `shutdown` is ready and running requests have finished. `serving` gets the server, which knows its
    /// real ports.
    ///
    /// # Errors
    /// As `bind`; none once it serves.
    pub async fn serve(
        &self,
        shutdown: impl Future<Output = ()> + Send,
        serving: impl FnOnce(&http::Server),
    ) -> Result<(), Error> {
        let server = self.bind()?;
        // Without its credentials the host serves all the same; `seam contexts` shows nothing of a backup then.
        let backing_up = Continuous::start(&self.manifest, &self.registry, &self.backups).unwrap_or_else(|error| {
            tracing::error!(target: "backup", "there is no backup: {}", continuous::words(&error));
            None
        });
        // Before anything is called.
        let standbys =
            Standbys::start(&self.manifest, &self.registry, self.relocator.as_ref(), &self.backups, &self.lost);
        let (stop_answering, stopped) = tokio::sync::oneshot::channel::<()>();
        let answering = match self.peers.as_ref().zip(self.relocator.as_ref()) {
            Some((peers, moves)) => {
                let server = peers.bind(&self.registry, Arc::new(moves.clone()))?;
                moves.settle()?;
                Some(tokio::spawn(server.run(async { drop(stopped.await) })))
            }
            None => None,
        };
        let (stop_copies, copies_stopped) = tokio::sync::oneshot::channel::<()>();
        let copies =
            self.peers.as_ref().and_then(|peers| peers.join(&self.registry, async { drop(copies_stopped.await) }));
        let copies = copies.map(tokio::spawn);
        // Its first sample is what later ones are compared with: before the first request.
        let metrics = (self.event_metrics.clone(), self.saga_metrics.clone());
        let sampling = tokio::spawn(sample(self.registry.clone(), self.tallies.clone(), metrics));
        serving(&server);
        let tending = tokio::spawn(tend(self.registry.clone()));
        let vigils = tokio::spawn(look_after_vigils(self.deployer.clone()));
        let deliveries = Deliveries::start(self.registry.clone(), self.tallies.clone());
        let sagas = sagas::Driver::start(self.registry.clone(), self.registry.clock().clone());
        let timers = Timers::start(self.registry.clone(), self.timers.clone());
        let scheduler = Scheduler::start(self.registry.clone(), self.by_time.clone(), self.schedules.clone());
        let reconciling = reconcile::Driver::start(self.reconciler.clone());
        server.run(shutdown).await;
        // Clients have their answers; now other hosts get theirs.
        drop((stop_answering, stop_copies));
        if let Some(copies) = copies {
            copies.await.ok();
        }
        if let Some(answering) = answering {
            answering.await.ok();
        }
        tending.abort();
        vigils.abort();
        sampling.abort();
        drop((deliveries, sagas, timers, scheduler, reconciling));
        if let Some(backing_up) = backing_up {
            backing_up.stop().await;
        }
        standbys.stop().await;
        let registry = self.registry.clone();
        tokio::task::spawn_blocking(move || registry.close_stores()).await.ok();
        Ok(())
    }
}

/// Deploys a changed file of a context, and logs the outcome.
async fn deploy_file(deployer: Deployer, context: String, file: PathBuf) {
    if !file.is_file() {
        tracing::warn!(
            target: "deploy", context, file = %file.display(),
            "the component's file is gone; the version that serves continues"
        );
        return;
    }
    let request = deploy::DeployRequest { wait: true, ..deploy::DeployRequest::new(context, file) };
    // Not on this thread: it may lack the stack that a guest needs, and compiling is slow.
    let report = tokio::task::spawn_blocking(move || deployer.deploy(&request, &mut |_| {})).await;
    let Ok(report) = report else { return };
    let context = report.context;
    match (report.outcome, report.refused, report.serves) {
        (deploy::DeployOutcome::Unchanged, ..) => {}
        (_, Some(refused), _) => {
            let step = refused.step.map_or("begin", deploy::Step::name);
            tracing::error!(
                target: "deploy", context, step, hint = refused.remedy,
                "the gate refuses the changed component file: {}", refused.message
            );
        }
        (_, None, serves) => {
            let hash = serves.map(|version| version.hash).unwrap_or_default();
            tracing::info!(target: "deploy", context, hash = deploy::short(&hash), "the changed component file serves");
        }
    }
}

/// Trims idle instances and checks draining generations, again and again.
async fn tend(registry: Registry) {
    let mut trim = tokio::time::interval(Duration::from_secs(limits::TRIM_INTERVAL_S));
    let mut note = tokio::time::interval(Duration::from_millis(seam_runtime::limits::STORE_NOTE_MS));
    let mut drain = tokio::time::interval(Duration::from_millis(limits::DRAIN_CHECK_MS));
    loop {
        tokio::select! {
            _ = note.tick() => {
                let registry = registry.clone();
                drop(tokio::task::spawn_blocking(move || registry.tend_stores()));
            }
            _ = trim.tick() => registry.trim(),
            _ = drain.tick() => registry.check_draining(),
        }
    }
}

/// Samples the metrics of events and sagas, again and again; one at a time, however slow the disk is.
async fn sample(registry: Registry, tallies: Tallies, metrics: (Arc<EventMetrics>, Arc<SagaMetrics>)) {
    let mut interval = tokio::time::interval(Duration::from_secs(limits::EVENT_SAMPLE_S));
    loop {
        interval.tick().await;
        let (registry, tallies, metrics) = (registry.clone(), tallies.clone(), metrics.clone());
        let sample = move || {
            metrics.0.sample(&registry, &tallies);
            metrics.1.sample(&registry);
        };
        tokio::task::spawn_blocking(sample).await.ok();
    }
}

/// Watches over versions that were seldom called while they were watched, again and again.
async fn look_after_vigils(deployer: Deployer) {
    let mut interval = tokio::time::interval(Duration::from_millis(limits::DRAIN_CHECK_MS));
    loop {
        interval.tick().await;
        if deployer.has_vigils() {
            let deployer = deployer.clone();
            // A rollback waits for other changes and for the disk.
            tokio::task::spawn_blocking(move || deployer.look_after_vigils()).await.ok();
        }
    }
}

/// The Tokio runtime of the host: its threads have stack for a whole chain of guests.
///
/// # Errors
/// When the system cannot start threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("seam")
        .thread_stack_size(limits::THREAD_STACK_KB << 10)
        .max_blocking_threads(limits::BLOCKING_THREADS_MAX)
        .build()
}
