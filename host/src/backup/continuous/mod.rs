//! The backup that goes on while the host serves: every change of each context's file is stored within seconds, and the
//! file can be put back as it was at any time that is kept.
//!
//! From the top down: `ship` makes the backup of one context; `history` finds a state again; `image` puts a snapshot
//! together; `spool` is what waits on the disk; `destination` is the store of backups, over `bucket` or in a folder;
//! `board` is what operators see, `lease_board` what they see of standbys.

mod board;
mod bucket;
mod destination;
mod history;
mod image;
mod lease_board;
mod ship;
mod spool;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::serve::Registry;
use seam_store::{Bond, Copies, Database, blocking, chain};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::homes::config_of;
use crate::limits;
use crate::manifest::Manifest;

use ship::Finished;
pub(crate) use {ship::Ship, spool::Spool};

pub use board::{BackupStatus, Board};
pub use destination::{Destination, DestinationError, Stored};
pub use history::{Fetched, HistoryError, advance, fence, fetch};
pub use lease_board::{LeaseBoard, LeaseStatus};

/// The backups of all contexts of a host that serves.
pub struct Continuous {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Has the next file of a context's backup get a number above `last`.
///
/// # Errors
/// When it cannot be noted.
pub fn number_after(data: &Path, context: &str, last: u64) -> std::io::Result<()> {
    let mut spool = Spool::open(folder(data).join(context))?;
    spool.drop_all();
    spool.note_last(last)
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
        let Some(backup) = &manifest.backup else { return Ok(None) };
        let to = Destination::of(backup)?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        // Those of other hosts, too: they may come here.
        for settings in manifest.contexts.iter().map(|context| &context.settings) {
            if settings.store.is_none() {
                continue;
            }
            let leased = manifest.placement.this.is_some() && manifest.pair(&settings.name).is_some();
            let context = settings.name.to_string();
            let path = folder(&manifest.host.data).join(&context);
            let spool = Spool::open(path.clone()).map_err(|source| DestinationError::Folder { path, source })?;
            let (name, registry) = (context.clone(), registry.clone());
            let wanted = Arc::new(Notify::new());
            let copies = manifest.is_replicated(&settings.name).then(|| {
                let wanted = wanted.clone();
                Arc::new(Copies::new(move || wanted.notify_one()))
            });
            if let (Some(_), Some(config)) = (&copies, config_of(manifest, &settings.name)) {
                let bond = Bond { term: None, copies: copies.clone() };
                bond.bind(&config.path);
                if let Some(file) = database(&registry, &name) {
                    file.bind(&bond);
                }
            }
            let source = Box::new(move || database(&registry, &name));
            let ship = Ship::new(context, source, (to.clone(), backup), spool, board.clone()).with_lease(leased);
            let ship = ship.with_copies(copies);
            tasks.push(tokio::spawn(run(ship, wanted, stopped.clone())));
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

async fn run(mut ship: Ship, wanted: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
    loop {
        let pause = blocking::block_in_place(|| ship.tick());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wanted.notified() => {}
            finished = ended(&mut ship.work) => ship.finished = Some(finished),
            finished = ended(&mut ship.work_aside) => ship.finished_aside = Some(finished),
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
    for work in [ship.work.take(), ship.work_aside.take()].into_iter().flatten() {
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
