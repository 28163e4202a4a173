//! Moves a context, with its code and its file, to another host of the system while it is called.
//!
//! The source copies the file while it is written to, sends what was committed meanwhile again and again, and compares
//! all tables with the copy. Then it holds the context's calls, sends the rest, and hands the file over: its last
//! commit names the target as the owner, under a higher token. From that commit on the context lives at the target,
//! whatever becomes of either host: the source writes nothing more, and the target, which has all of the file by then,
//! serves it as soon as it knows. A target that does not know, because one of them stopped, asks the source.
//! Invariants: at every moment exactly one host may commit to the context's file. What was not handed over is undone by
//! both hosts by themselves. A call waits for the move at most as long as it has time.
//! Not here: how steps travel (`remote`), what hosts remember (`homes`), how a file is followed (`seam_store`).
//!
//! Imports point down this list only:
//! - `adopt` is what happens without a source, because a host is gone.
//! - `source` leads a move; `target` takes its steps.
//! - `fitness` says which contexts can move; `arrival` is the copy that a target makes.
//! - `messages` is what they send each other; `report` is what the operator gets.

mod adopt;
mod arrival;
mod fitness;
mod messages;
mod report;
mod source;
mod target;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use seam_runtime::serve::Registry;
use seam_store::Config;
use seam_store::ids::ContextName;
use tokio::sync::Semaphore;

use crate::deploy::Deployer;
use crate::folder;
use crate::manifest::Manifest;
use crate::remote::Client;

pub use adopt::Code;
use arrival::Arrival;
pub use report::{Moved, Progress, Refused};
pub use target::set_aside;

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
    /// The contexts that have left, whose file old requests may still use.
    clearing: Mutex<HashSet<ContextName>>,
    /// The contexts that are coming.
    arrivals: Mutex<HashMap<ContextName, Coming>>,
}

/// A context that is coming: from which host, under which token, and its copy so far.
struct Coming {
    from: String,
    token: u64,
    arrival: Arriving,
}

/// A copy, in the hands of the step that is being taken.
type Arriving = Arc<tokio::sync::Mutex<Arrival>>;

impl Relocator {
    /// `None` when all contexts live in one process. Call `settle` once the host serves.
    pub fn new(manifest: &Manifest, registry: Registry, deployer: Deployer, client: Arc<Client>) -> Option<Self> {
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
            clearing: Mutex::default(),
            arrivals: Mutex::default(),
        })))
    }
}

/// Removes the file of a context that belongs to another host, with its keys.
fn clear_away(config: &Config, data: &Path, context: &ContextName) {
    let keys = key_files(context).map(|file| folder::keys(data).join(file));
    for file in [config.path.clone(), seam_store::log_of(&config.path)].into_iter().chain(keys) {
        std::fs::remove_file(file).ok();
    }
}

/// The keys that a host makes for the file of a context, in its folder of keys.
fn key_files(context: &ContextName) -> [String; 2] {
    [format!("{context}.seal"), format!("{context}.key")]
}
