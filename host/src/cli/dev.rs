//! `seam dev`: like `seam up`, and every saved change goes live.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use seam_runtime::component::Compiler;

use super::error::{CommandError, app_error};
use super::global::Global;
use super::out;
use super::up::{self, Signals};
use crate::app::App;
use crate::dev::{DevLoop, Project};
use crate::folder::Folder;
use crate::http::StatusBoard;
use crate::manifest::Manifest;

#[derive(Debug, Args)]
pub struct Options {
    /// Listen on this address instead of the manifest's; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Do not load the manifest's seeds
    #[arg(long)]
    no_seeds: bool,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let manifest = global.load()?;
    let folder = Arc::new(Folder::lock(&manifest.host.data)?);
    let log = up::log_config(global, &manifest);
    up::on_runtime(&log, serve(manifest, folder, options))
}

async fn serve(manifest: Manifest, folder: Arc<Folder>, options: Options) -> Result<(), CommandError> {
    let mut signals = Signals::new().map_err(|error| CommandError::caused_by(&error, ""))?;
    let opening = tokio::task::spawn_blocking(move || Project::open(manifest, Arc::new(out::note)));
    let opened = tokio::select! {
        opened = opening => opened.map_err(|error| CommandError::caused_by(&error, ""))?,
        () = signals.next() => return Ok(()),
    };
    let mut project = opened.map_err(|error| CommandError::caused_by(&error, error.hint().unwrap_or_default()))?;
    let (mut app, started) = loop {
        let started = Instant::now();
        let mut manifest = project.manifest();
        if !options.listen.is_empty() {
            manifest.host.listen.clone_from(&options.listen);
        }
        let (path, contexts) = (manifest.path.clone(), manifest.contexts.clone());
        // On a thread of the runtime, which has the stack that a chain of guests needs.
        let loading = tokio::task::spawn_blocking(move || App::load_connected(manifest, Compiler::Quick));
        match loading.await.map_err(|error| CommandError::caused_by(&error, ""))? {
            Ok(app) => break (app, started),
            Err(error) => {
                out::report(&app_error(&path, &contexts, error));
                out::note("nothing is served yet; waiting for a change");
            }
        }
        tokio::select! {
            next = project.rebuild_after_change() => project = next,
            () = signals.next() => return Ok(()),
        }
    };
    let board = StatusBoard::default();
    app.dev = Some(board.clone());
    let mut task = None;
    let also = |app: &App, server: &crate::http::Server| {
        task = Some(tokio::spawn(DevLoop::new(project, app, server.mounts(), board).run()));
    };
    let served = up::attend(app, folder, !options.no_seeds, signals, started, also).await;
    task.iter().for_each(tokio::task::JoinHandle::abort);
    served
}
