//! Moves a context, with its code and its file, to another host of the system while it is called.
//!
//! The source copies the file while it is written to, sends what was committed meanwhile again and again, and compares
//! all tables with the copy. When both hosts have noted that they expect it and what was sent is on the target's disk,
//! it holds the context's calls, sends the rest, and hands the file over: its last commit names the target as the
//! owner, under a higher token. From that commit on the context lives at the target, whatever becomes of either host:
//! the source writes nothing more, and the target, which has all of the file by then, serves it as soon as it knows. A
//! target that does not know, because one of them stopped, asks the source.
//! Invariants: at every moment exactly one host may commit to the context's file. What was not handed over is undone by
//! both hosts by themselves. A call waits for the move at most as long as it has time.
//! Not here: how steps travel (`remote`), what hosts remember (`homes`), how a file is followed (`seam_store`).
//!
//! Imports point down this list only:
//! - `adopt` is what happens without a source, because a host is gone.
//! - `source` leads a move (`departure`, `sending`); `target` takes its steps; `arriving` finds out what came of them.
//! - `predict` says what a move would take; `pause` rehearses all of its pause, with `rehearse` on the target.
//! - `taking`: an operator decides what became of a move whose source is lost.
//! - `fitness` says which contexts can move; `arrival` is the copy that a target makes.
//! - `review` puts what came of a move beside what was predicted.
//! - `messages` is what they send each other; `report` is what the operator gets.

mod adopt;
mod arrival;
mod arriving;
mod departure;
mod fitness;
mod messages;
mod pause;
mod predict;
mod rehearse;
mod report;
mod review;
mod sending;
mod source;
mod taking;
mod target;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use seam_runtime::component::Component;
use seam_runtime::serve::{Linked, Registry};
use seam_store::Config;
use seam_store::ids::ContextName;
use tokio::sync::Semaphore;

use crate::audit::{Act, Audit};
use crate::deploy::Deployer;
use crate::folder;
use crate::forecast::Snapshot;
use crate::manifest::Manifest;
use crate::remote::Client;

pub use adopt::Code;
use arrival::Arrival;
use messages::Token;
use rehearse::Rehearsal;
pub use report::{CopyPrediction, Moved, PauseParts, PausePrediction, Prediction, Progress, Refused, Spread};
use review::review;
pub use review::{EdgeFigures, EdgeReview, MoveReview, PageFigures, PageReview};
pub use sending::Show;
pub use taking::Taken;

/// Moves contexts from and to this host. Cheap to clone.
#[derive(Clone)]
pub struct Relocator(Arc<Inner>);

struct Inner {
    /// As this host runs it.
    manifest: Manifest,
    this: String,
    registry: Registry,
    deployer: Deployer,
    client: Arc<Client>,
    /// One move from here at a time.
    leaving: Semaphore,
    /// The token of the move that is under way from here.
    token: Mutex<Option<u64>>,
    /// One context starts to serve here at a time.
    activating: Mutex<()>,
    /// The pauses that are rehearsed here, by the host that asks for it, the context and the attempt.
    rehearsing: Mutex<HashMap<(String, ContextName, u64), Rehearsing>>,
    /// The contexts that have left, whose file old requests may still use.
    clearing: Mutex<HashSet<ContextName>>,
    /// The contexts that are coming.
    arrivals: Mutex<HashMap<ContextName, Coming>>,
    /// When the host started.
    started: Instant,
    audit: Audit,
    /// The last move of each context from or to this host, since it started.
    made: Mutex<BTreeMap<ContextName, Made>>,
}

/// A move that was made.
struct Made {
    moved: Moved,
    /// What was counted until then.
    before: Snapshot,
    counted: Instant,
    at: Instant,
}

/// A context that is coming: from which host, by which move, and its copy so far.
struct Coming {
    from: String,
    token: Token,
    arrival: Arriving,
    /// Its component, and the contexts of this host linked with it, so that no call waits for that.
    ready: Option<(Component, Linked)>,
}

/// A copy, in the hands of the step that is being taken.
type Arriving = Arc<tokio::sync::Mutex<Arrival>>;

/// The same for a rehearsal.
type Rehearsing = Arc<tokio::sync::Mutex<Rehearsal>>;

impl Relocator {
    /// `None` when all contexts live in one process. Call `settle` once the host serves.
    pub fn new(
        manifest: &Manifest,
        registry: Registry,
        deployer: Deployer,
        client: Arc<Client>,
        audit: Audit,
    ) -> Option<Self> {
        let this = manifest.placement.this.as_ref()?.to_string();
        Some(Self(Arc::new(Inner {
            manifest: manifest.clone(),
            this,
            registry,
            deployer,
            client,
            leaving: Semaphore::new(1),
            token: Mutex::new(None),
            activating: Mutex::default(),
            rehearsing: Mutex::default(),
            clearing: Mutex::default(),
            arrivals: Mutex::default(),
            started: Instant::now(),
            audit,
            made: Mutex::default(),
        })))
    }

    /// What was predicted of the last move of each context from or to this host, beside what came of it.
    pub fn moves(&self) -> Vec<MoveReview> {
        let now = self.counted();
        let reviewed = |made: &Made| {
            let [between_s, since_s] = [made.counted, made.at].map(|then| then.elapsed().as_secs_f64());
            review(&made.moved, (&made.before, &now), between_s, since_s)
        };
        self.0.made.lock().values().map(reviewed).collect()
    }

    fn counted(&self) -> Snapshot {
        Snapshot::of(&self.0.registry, self.0.started.elapsed().as_secs_f64())
    }

    /// Makes a move that `who` orders by `command`, with a line of the audit log, and remembers it for `moves`.
    async fn noted(
        &self,
        who: &str,
        command: &str,
        context: &ContextName,
        making: impl Future<Output = Result<Moved, Refused>>,
    ) -> Result<Moved, Refused> {
        let (before, counted) = (self.counted(), Instant::now());
        let work = async {
            let moved = making.await?;
            let (pause, to, token) = (moved.pause_us as f64 / 1e3, moved.to.clone(), moved.token);
            let outcome = format!("to host {to}, token {token}; its calls waited for {pause:.1} ms");
            Ok::<_, Refused>((moved, outcome))
        };
        let moved = self.0.audit.act_async(&Act { who, command, why: "" }, work).await?;
        let made = Made { moved: moved.clone(), before, counted, at: Instant::now() };
        self.0.made.lock().insert(context.clone(), made);
        Ok(moved)
    }
}

/// Removes the file of a context that belongs to another host, with its keys.
fn clear_away(config: &Config, data: &Path, context: &ContextName) {
    let keys = key_files(context).map(|file| folder::keys(data).join(file));
    for file in [config.path.clone(), seam_store::log_of(&config.path)].into_iter().chain(keys) {
        std::fs::remove_file(file).ok();
    }
}

/// Gives a file that is left from an earlier time, and its log, a name of its own.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let beside = |ending: &str| path.with_extension(ending);
    let free = (1..).map(|n| beside(&format!("db.before-move-{n}"))).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| beside("db.before-move"));
    tracing::warn!(target: "move", "`{}` is from an earlier time, and is `{}` now", path.display(), aside.display());
    let log = seam_store::log_of(path);
    if log.exists() {
        std::fs::rename(&log, seam_store::log_of(&aside))?;
    }
    std::fs::rename(path, aside)
}

/// The keys that a host makes for the file of a context, in its folder of keys.
fn key_files(context: &ContextName) -> [String; 2] {
    [format!("{context}.seal"), format!("{context}.key")]
}
