//! `seam up`: the host, from its manifest to the last request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Global, Stop, build, compiler, out, refused};
use crate::admin;
use crate::app::{self, App};
use crate::folder::{self, Folder};
use crate::manifest::{Encryption, LogFormat, Manifest};
use crate::{http, limits, logging, seed};

#[derive(Debug, Args)]
pub struct Options {
    /// Listen here instead of where the manifest says; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Build the components whose sources changed first
    #[arg(long)]
    build: bool,
    /// Do not load the manifest's seeds
    #[arg(long)]
    no_seeds: bool,
    /// Let a component whose file changes serve, if it passes what `seam deploy` asks of it
    #[arg(long)]
    watch: bool,
}

pub fn run(global: &Global, options: Options) -> Result<(), Stop> {
    let started = Instant::now();
    let mut manifest = global.load()?;
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

/// Runs `serve` with all that a host has around it: its log and its threads.
pub(super) fn on_runtime(log: &logging::Config, serve: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
    let log = logging::init(log)?;
    let runtime = app::runtime().map_err(|error| Stop::error(&error, ""))?;
    let dropped = log.dropped();
    runtime.spawn(tell_dropped(dropped.clone()));
    let served = runtime.block_on(serve);
    // Drained already; what a guest still does has been cut off, and only its thread remains.
    runtime.shutdown_timeout(Duration::from_millis(limits::EPOCH_TICK_MS * 20));
    drop(log);
    if dropped.all() > 0 {
        out::note(&format!("{} lines of the log were dropped because {TOO_SLOW}", dropped.all()));
    }
    served
}

const TOO_SLOW: &str = "the disk or the terminal was too slow";

/// Whoever reads the log learns of the gaps in it while it is written.
async fn tell_dropped(mut dropped: logging::Dropped) {
    let mut interval = tokio::time::interval(Duration::from_secs(limits::LOG_GAP_S));
    loop {
        interval.tick().await;
        match dropped.news() {
            0 => {}
            lines => tracing::warn!(target: "up", lines, "lines of the log were dropped because {TOO_SLOW}"),
        }
    }
}

pub(super) fn log_config(global: &Global, manifest: &Manifest) -> logging::Config {
    let host = &manifest.host;
    let format = match global.log_format {
        Some(super::LogFormat::Human) => LogFormat::Human,
        Some(super::LogFormat::Json) => LogFormat::Json,
        None => host.log,
    };
    let level = global.log_level.clone().or_else(|| std::env::var("RUST_LOG").ok().filter(|level| !level.is_empty()));
    // That it serves and that it stops is said at every level.
    let filter = format!("{},up=info", level.unwrap_or_else(|| host.log_level.clone()));
    let files = Some((folder::logs(&host.data), host.log_days));
    logging::Config { format, colours: out::colours_on_stderr(), filter, files }
}

async fn serve(
    manifest: Manifest,
    folder: Arc<Folder>,
    seeds: bool,
    watch: bool,
    started: Instant,
) -> Result<(), Stop> {
    let failed = |error: &dyn std::error::Error| Stop::error(error, "");
    let signals = Signals::new().map_err(|error| failed(&error))?;
    let (path, contexts) = (manifest.path.clone(), manifest.contexts.clone());
    // Not on this thread: it lacks the stack that a chain of guests needs.
    let loading = tokio::task::spawn_blocking(move || App::load(manifest, compiler()));
    let app = loading.await.map_err(|error| failed(&error))?.map_err(|error| refused(&path, &contexts, error))?;
    let mut following = None;
    let also = |app: &App, _: &http::Server| following = watch.then(|| tokio::spawn(app.follow_files()));
    let served = attend(app, folder, seeds, signals, started, also).await;
    following.iter().for_each(tokio::task::JoinHandle::abort);
    served
}

/// Serves a loaded system to its end. `also` gets the server when it has its addresses.
pub(super) async fn attend(
    app: App,
    folder: Arc<Folder>,
    seeds: bool,
    signals: Signals,
    started: Instant,
    also: impl FnOnce(&App, &http::Server),
) -> Result<(), Stop> {
    let manifest = &app.manifest;
    let (path, contexts) = (&manifest.path, &manifest.contexts);
    let secure = manifest.host.tls.is_some();
    for warning in manifest.warnings() {
        tracing::warn!(target: "up", "{warning}");
    }
    for context in contexts {
        let wish = context.store.as_ref().map_or(Encryption::Off, |store| store.encryption);
        if wish == Encryption::IfPossible && !wish.applies() {
            tracing::info!(target: "up", "the file of `{}` is not encrypted: this host was built without `sqlcipher`", context.name);
        }
    }
    if seeds && !manifest.seeds.is_empty() {
        load_seeds(&app, &folder).await?;
    }
    let state = admin::State::new(app.registry.clone(), app.deployer.clone(), manifest.seeds.clone(), folder);
    let admin = admin::Server::bind(state).map_err(|error| {
        Stop::error(&error, "its path may be about 90 bytes long: name a shorter `data` folder in `[host]`")
    })?;
    let admin = tokio::spawn(admin.run());
    let serving = |server: &http::Server| {
        let scheme = if secure { "https" } else { "http" };
        let urls: Vec<String> = server.addresses().iter().map(|address| format!("{scheme}://{address}")).collect();
        let ms = started.elapsed().as_millis();
        let count = match contexts.iter().filter(|context| context.name.variant().is_none()).count() {
            1 => "1 context serves".to_owned(),
            count => format!("{count} contexts serve"),
        };
        also(&app, server);
        tracing::info!(target: "up", "{count} on {} after {ms} ms", urls.join(" and "));
    };
    let served = app.serve(signals.stop(), serving).await;
    admin.abort();
    // Its socket goes with it.
    admin.await.ok();
    served.map_err(|error| refused(path, contexts, error))?;
    tracing::info!(target: "up", "stopped");
    Ok(())
}

async fn load_seeds(app: &App, folder: &Arc<Folder>) -> Result<(), Stop> {
    let (registry, seeds, folder) = (app.registry.clone(), app.manifest.seeds.clone(), folder.clone());
    let load = move || {
        let mut shown = super::seed::Shown::default();
        seed::run(&registry, &seeds, &folder, false, &mut |at| {
            // What is in already is no news at a start.
            if !at.known {
                shown.at(at);
            }
        })
    };
    let loaded = tokio::task::spawn_blocking(load).await.map_err(|error| Stop::error(&error, ""))?;
    Ok(loaded?)
}

/// SIGTERM and Ctrl-C.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ready at the first signal. The second ends the process at once: whoever sends it does not want to wait for the drain.
    async fn stop(mut self) {
        self.next().await;
        tracing::info!(target: "up", "stopping: requests may finish; a second signal cuts them off");
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
