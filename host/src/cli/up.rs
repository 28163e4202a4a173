//! `seam up`: runs the host until it is stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use seam_store::chain;

use super::error::{CommandError, app_error};
use super::global::{Global, compiler};
use super::{build, out};
use crate::admin;
use crate::app::{self, App};
use crate::folder::{self, Folder};
use crate::logging::LogFiles;
use crate::manifest::{Context, Manifest};
use crate::{http, limits, logging, seed};

#[derive(Debug, Args)]
pub struct Options {
    /// Listen on this address instead of the manifest's; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// First build the components whose sources changed
    #[arg(long)]
    build: bool,
    /// Do not load the manifest's seeds
    #[arg(long)]
    no_seeds: bool,
    /// Deploy a component whenever its file changes, with the steps of `seam deploy`
    #[arg(long)]
    watch: bool,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let started = Instant::now();
    let mut manifest = global.load_host()?;
    if !options.listen.is_empty() {
        manifest.host.listen = options.listen;
    }
    if options.build {
        build::run(&manifest, &[], false)?;
    }
    let folder = Arc::new(Folder::lock(&manifest.host.data)?);
    let log = log_config(global, &manifest);
    on_runtime(&log, serve(manifest, folder, !options.no_seeds, options.watch, started))
}

/// Runs `serve` with the log and the threads of a host.
pub(super) fn on_runtime(
    log: &logging::Config,
    serve: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let log = logging::init(log)?;
    let runtime = app::runtime().map_err(|error| CommandError::caused_by(&error, ""))?;
    let dropped = log.dropped();
    runtime.spawn(log_dropped(dropped.clone()));
    let served = runtime.block_on(serve);
    // Requests are drained. Guests that still run have been stopped; only their threads remain.
    runtime.shutdown_timeout(Duration::from_millis(limits::EPOCH_TICK_MS * 20));
    drop(log);
    if dropped.all() > 0 {
        out::note(&format!("{} lines of the log were dropped because {TOO_SLOW}", dropped.all()));
    }
    served
}

const TOO_SLOW: &str = "the disk or the terminal was too slow";

/// Logs the gaps in the log while it is written.
async fn log_dropped(mut dropped: logging::Dropped) {
    let mut interval = tokio::time::interval(Duration::from_secs(limits::LOG_GAP_S));
    loop {
        interval.tick().await;
        match dropped.new_losses() {
            0 => {}
            lines => tracing::warn!(target: "up", lines, "lines of the log were dropped because {TOO_SLOW}"),
        }
    }
}

pub(super) fn log_config(global: &Global, manifest: &Manifest) -> logging::Config {
    let host = &manifest.host;
    let format = global.log_format(host.log);
    // The lines that the host serves and that it stops appear at every level.
    let filter = format!("{},up=info", global.log_filter(&host.log_level));
    let files =
        LogFiles { folder: folder::logs(&host.data), days: host.log_days, bytes_max: u64::from(host.log_mb) << 20 };
    logging::Config { format, colours: out::colours_on_stderr(), filter, files: Some(files) }
}

async fn serve(
    manifest: Manifest,
    folder: Arc<Folder>,
    seeds: bool,
    watch: bool,
    started: Instant,
) -> Result<(), CommandError> {
    let failed = |error: &dyn std::error::Error| CommandError::caused_by(error, "");
    let signals = Signals::new().map_err(|error| failed(&error))?;
    let (path, contexts) = (manifest.path.clone(), manifest.contexts.clone());
    // On a thread of the runtime, which has the stack that a chain of guests needs.
    let loading = tokio::task::spawn_blocking(move || App::load_connected(manifest, compiler()));
    let app = loading.await.map_err(|error| failed(&error))?.map_err(|error| app_error(&path, &contexts, error))?;
    let mut following = None;
    let also = |app: &App, _: &http::Server| following = watch.then(|| tokio::spawn(app.follow_files()));
    let served = attend(app, folder, seeds, signals, started, also).await;
    following.iter().for_each(tokio::task::JoinHandle::abort);
    served
}

/// Serves a loaded system until it is stopped. Calls `also` once the server has its addresses.
pub(super) async fn attend(
    app: App,
    folder: Arc<Folder>,
    seeds: bool,
    signals: Signals,
    started: Instant,
    also: impl FnOnce(&App, &http::Server),
) -> Result<(), CommandError> {
    let manifest = &app.manifest;
    let (path, contexts) = (&manifest.path, &manifest.contexts);
    let secure = manifest.host.tls.is_some();
    for warning in manifest.warnings() {
        tracing::warn!(target: "up", "{warning}");
    }
    if folder.withdrawn() > 0 {
        let files = folder.withdrawn();
        tracing::warn!(target: "up", files, "other users could read these in the data folder; from now on they cannot");
    }
    if seeds && !manifest.seeds.is_empty() {
        load_seeds(&app, &folder).await?;
    }
    let state = admin::State::new(
        app.registry.clone(),
        app.deployer.clone(),
        (app.operator.clone(), app.saga_operator.clone(), app.reconciler.clone()),
        seed::Seeds::of(manifest),
        folder,
        (app.schedules.clone(), app.backups.clone()),
        app.relocator.clone(),
    );
    let admin = admin::Server::bind(state).map_err(|error| {
        CommandError::caused_by(
            &error,
            "its path may have about 90 bytes: name a `data` folder with a shorter path in `[host]`",
        )
    })?;
    let admin = tokio::spawn(admin.run());
    let serving = |server: &http::Server| {
        let scheme = if secure { "https" } else { "http" };
        let urls: Vec<String> = server.addresses().iter().map(|address| format!("{scheme}://{address}")).collect();
        let ms = started.elapsed().as_millis();
        let out = app.registry.out_of_service().len();
        let is_entry = |context: &&Context| context.settings.name.variant().is_none();
        let count = manifest.here().filter(is_entry).count();
        let elsewhere = contexts.iter().filter(is_entry).count() - count;
        let mut count = match count.saturating_sub(out) {
            1 => "1 context serves".to_owned(),
            count => format!("{count} contexts serve"),
        };
        if out > 0 {
            count = format!("{count}, {out} out of service,");
        }
        if let Some(this) = &manifest.placement.this {
            count = format!("host `{this}`: {count}, {elsewhere} on other hosts,");
        }
        also(&app, server);
        tracing::info!(target: "up", "{count} on {} after {ms} ms", urls.join(" and "));
        if let Some(address) = server.ops_address() {
            tracing::info!(target: "up", "operators ask on http://{address}/metrics, /readyz and /healthz");
        }
    };
    let served = app.serve(signals.stop(), serving).await;
    admin.abort();
    // Dropping the task removes its socket.
    admin.await.ok();
    served.map_err(|error| app_error(path, contexts, error))?;
    tracing::info!(target: "up", "stopped");
    Ok(())
}

async fn load_seeds(app: &App, folder: &Arc<Folder>) -> Result<(), CommandError> {
    let out = app.registry.out_of_service();
    let seeds = seed::Seeds::of(&app.manifest).without(&out);
    let (registry, folder) = (app.registry.clone(), folder.clone());
    let load = move || {
        let mut display = super::seed::ProgressDisplay::default();
        seed::run(&registry, &seeds, &folder, &seed::SeedRequest::default(), &mut |at| {
            // At a start, seeds that were loaded before are not shown.
            if at.step != seed::Step::Skipped(seed::Skipped::Loaded) {
                display.update(at);
            }
        })
    };
    let loaded = tokio::task::spawn_blocking(load).await.map_err(|error| CommandError::caused_by(&error, ""))?;
    match loaded {
        // It may need a context that is out of service. The next start loads it.
        Err(error) if !out.is_empty() => tracing::error!(target: "up", "a seed is not loaded: {}", chain(&error)),
        loaded => loaded?,
    }
    Ok(())
}

/// SIGTERM and Ctrl-C.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        // A file that reaches the limit on file sizes is then an error of one write, and does not end the process. Once
        // installed, the handler stays.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ready at the first signal. The second ends the process at once, without the drain.
    async fn stop(mut self) {
        self.next().await;
        tracing::info!(target: "up", "stopping after the running requests; a second signal stops at once");
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
