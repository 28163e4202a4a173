//! The backup that goes on while the host serves: every change of each context's file is stored within seconds, and the
//! file can be put back as it was at any time that is kept.
//!
//! From the top down: `ship` makes the backup of one context; `history` finds a state again; `image` puts a snapshot
//! together; `spool` is what waits on the disk; `destination` is the store of backups, over `bucket` or in a folder;
//! `board` is what operators see.

mod board;
mod bucket;
mod destination;
mod history;
mod image;
mod ship;
mod spool;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::serve::Registry;
use seam_store::{Database, blocking, chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::limits;
use crate::manifest::Manifest;

use ship::{Finished, Ship};
use spool::Spool;

pub use board::{BackupStatus, Board};
pub use destination::{Destination, DestinationError, Stored};
pub use history::{Fetched, HistoryError, fetch};

/// The backups of all contexts of a host that serves.
pub struct Continuous {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Where what is not stored yet waits, in the data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("backup-spool")
}

impl Continuous {
    /// Begins, if the manifest has a `[backup]`. Call it in the host's runtime.
    ///
    /// # Errors
    /// When the store of backups cannot be used at all: its credentials are missing.
    pub fn start(
        manifest: &Manifest,
        registry: &Registry,
        board: &Arc<Board>,
    ) -> Result<Option<Self>, DestinationError> {
        let Some(settings) = &manifest.backup else { return Ok(None) };
        let to = Destination::of(settings)?;
        let (stop, stopped) = watch::channel(false);
        let contexts = manifest.here().filter(|context| context.settings.store.is_some());
        let mut tasks = Vec::new();
        for context in contexts.map(|context| context.settings.name.to_string()) {
            let path = folder(&manifest.host.data).join(&context);
            let spool = Spool::open(path.clone()).map_err(|source| DestinationError::Folder { path, source })?;
            let (name, registry) = (context.clone(), registry.clone());
            let source = Box::new(move || database(&registry, &name));
            let ship = Ship::new(context, source, (to.clone(), settings), spool, board.clone());
            tasks.push(tokio::spawn(run(ship, stopped.clone())));
        }
        Ok(Some(Self { stop, tasks }))
    }

    /// Takes what changed, and waits `BACKUP_STOP_MS` until it is stored. What is left waits on the disk.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        let all = futures::future::join_all(self.tasks);
        let time = Duration::from_millis(2 * limits::BACKUP_STOP_MS);
        if tokio::time::timeout(time, all).await.is_err() {
            tracing::warn!(target: "backup", "the host ends before all changes are stored; the next start stores them");
        }
    }
}

fn database(registry: &Registry, context: &str) -> Option<Arc<Database>> {
    let generations = registry.generations();
    let own = generations.iter().find(|generation| generation.context().as_str() == context)?;
    own.database().cloned()
}

async fn run(mut ship: Ship, mut stopped: watch::Receiver<bool>) {
    loop {
        let pause = blocking::block_in_place(|| ship.tick());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            finished = ended(&mut ship.work) => ship.finished = Some(finished),
            _ = stopped.changed() => break,
        }
    }
    let rest = async {
        ship.last_look();
        loop {
            let pause = blocking::block_in_place(|| ship.tick());
            if !ship.waits() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                finished = ended(&mut ship.work) => ship.finished = Some(finished),
            }
        }
    };
    tokio::time::timeout(Duration::from_millis(limits::BACKUP_STOP_MS), rest).await.ok();
    if let Some(work) = ship.work.take() {
        work.abort();
    }
}

/// The end of the request that runs; never, when none does.
async fn ended(work: &mut Option<JoinHandle<Result<ship::Done, DestinationError>>>) -> Finished {
    match work {
        None => std::future::pending().await,
        Some(running) => {
            let finished = running.await;
            *work = None;
            finished
        }
    }
}

/// Writes the newest state of a context, or that at `at_ms`, to a file in `folder`, on a thread without a runtime.
///
/// # Errors
/// As `fetch`.
pub fn fetch_now(
    from: &Destination,
    context: &str,
    at_ms: Option<u64>,
    folder: &Path,
) -> Result<(PathBuf, Fetched), HistoryError> {
    let path = folder.join(format!("{context}.db"));
    let unwritten = |source| HistoryError::Write { path: folder.display().to_string(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unwritten)?;
    let fetched = runtime.block_on(fetch(from, context, at_ms, (&path, folder)));
    fetched.map(|fetched| (path, fetched))
}

/// In words, why the backups cannot begin.
pub fn words(error: &DestinationError) -> String {
    format!("{}; hint: {}", chain(error), error.remedy())
}
