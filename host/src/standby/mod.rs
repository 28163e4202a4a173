//! A standby takes over a context whose host is gone: it has the newest state that is stored ready, sees that the lease
//! of the file is not renewed any more, takes it, and serves.
//!
//! The lease lies in the store of backups, beside the file's backup. Its holder may commit to the file (decision 20).
//! Invariants: of the two hosts of a context at most one may commit at any moment. A host that was cut off, or stood
//! still, finds out by its own clock, before the other one may go on; what it then has more than the other is set aside
//! and said.
//!
//! Imports point down this list only:
//! - `keeper` does what one context needs on one host.
//! - `takeover` makes the other host of a context its owner.
//! - `warm` is the state that a standby has ready.
//! - `rules` decides; `lease` is the lease as it is stored.

mod keeper;
pub(crate) mod lease;
pub(crate) mod rules;
mod takeover;
pub(crate) mod warm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Bond, Owner, chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backup::continuous::{Board, Destination};
use crate::homes::{self, Home, Homes, config_of};
use crate::manifest::{BackupTo, Manifest};
use crate::relocate::{Relocator, set_aside};

use keeper::{Keeper, Parts};
use lease::Leases;
use rules::{Claim, claim};

/// Looks after the leases of all contexts that have a standby, on one of their two hosts.
pub struct Standbys {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Standbys {
    /// Begins; does nothing without such contexts. Call it in the host's runtime.
    pub fn start(
        manifest: &Manifest,
        registry: &Registry,
        relocator: Option<&Relocator>,
        board: &Arc<Board>,
        lost: &Lost,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        let asks = manifest.entries().any(|context| context.standby.is_some());
        if asks && store(manifest).is_none() {
            commit_nothing(manifest, registry);
        }
        let mut begin = |manifest: &Manifest| {
            let (relocator, this) = (relocator?, manifest.placement.this.as_ref()?);
            for (context, standby, pair) in manifest.pairs().filter(|(_, _, pair)| pair.contains(&this)) {
                let name = context.settings.name.clone();
                let to = store(manifest)?;
                let mut keeper = Keeper::new(Parts {
                    lost: lost.0.iter().find(|(lost, _)| *lost == name).and_then(|(_, commits)| *commits),
                    partner: pair.iter().find(|host| **host != this)?.to_string(),
                    this: this.to_string(),
                    takeover: standby.takeover,
                    context: name,
                    to,
                    registry: registry.clone(),
                    relocator: relocator.clone(),
                    board: board.clone(),
                    data: manifest.host.data.clone(),
                });
                keeper.bind_all(manifest);
                tasks.push(tokio::spawn(keeper.run(stopped.clone())));
            }
            Some(())
        };
        begin(manifest);
        Self { stop, tasks }
    }

    /// Ends. What this host holds stays its own for the rest of its time.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        for task in self.tasks {
            task.abort();
            task.await.ok();
        }
    }
}

/// Has no context commit that asks for more than this host can give.
fn commit_nothing(manifest: &Manifest, registry: &Registry) {
    let generations = registry.generations();
    for context in manifest.entries().filter(|context| context.standby.is_some()) {
        let name = &context.settings.name;
        let bond = Bond { term: Some(Arc::default()), copies: None };
        if let Some(config) = config_of(manifest, name) {
            bond.bind(&config.path);
        }
        let own = generations.iter().find(|generation| generation.context() == name);
        if let Some(database) = own.and_then(|generation| generation.database()) {
            database.bind(&bond);
        }
    }
}

fn store(manifest: &Manifest) -> Option<Destination> {
    let settings = manifest.backup.as_ref()?;
    if let BackupTo::Folder(folder) = &settings.to
        && let Err(error) = std::fs::create_dir(folder)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        tracing::warn!(target: "standby", "cannot make `{}`: {error}", folder.display());
    }
    match Destination::of(settings) {
        Ok(to) => Some(to),
        Err(error) => {
            let hint = error.remedy();
            tracing::error!(target: "standby", hint, "no lease can be held, so contexts with a standby commit nothing: {}", chain(&error));
            None
        }
    }
}

/// The contexts that other hosts have taken over while this host was not there, and how many commits their files here
/// have had.
#[derive(Debug, Default)]
pub struct Lost(Vec<(ContextName, Option<u64>)>);

/// Sees, before a host starts, which of its contexts others have taken over. Their files are set aside. When the store
/// of backups cannot be asked, the host starts, and commits nothing until it can.
///
/// # Errors
/// When what the host knows cannot be read or written.
pub fn settle(manifest: &Manifest) -> Result<Lost, homes::Error> {
    let mut lost = Lost::default();
    let here = homes::apply(manifest.clone())?;
    let Some(this) = here.placement.this.clone() else { return Ok(lost) };
    let own = here.pairs().filter(|(context, _, pair)| context.settings.at.is_none() && pair.contains(&&this));
    for (context, standby, _) in own {
        let name = &context.settings.name;
        let (Some(to), Some(config)) = (store(&here), config_of(&here, name)) else { continue };
        let leases = Leases::new(to, name.to_string());
        let read = || async { tokio::time::timeout(standby.takeover, leases.read()).await };
        let read = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(read()));
        let Ok(Ok(Some(seen))) = read else { continue };
        let owner = if config.path.exists() { seam_store::owner_of(&config).ok().flatten() } else { None };
        let owner = owner.unwrap_or_else(|| Owner { host: this.to_string(), token: 0 });
        let Claim::Lost(lease) = claim(Some(&seen), &owner, true) else { continue };
        let commits = if config.path.exists() { seam_store::commits_of(&config).ok().flatten() } else { None };
        tracing::warn!(
            target: "standby", context = %name, host = lease.host, token = lease.token,
            "the other host has taken the context over; the file here is set aside"
        );
        let home = Home { host: lease.host.clone(), token: lease.token };
        Homes::change(&manifest.host.data, |homes| homes.set(name, home))?;
        if let Err(error) = set_aside(&config.path) {
            tracing::error!(target: "standby", context = %name, "cannot set its file aside: {error}");
        }
        lost.0.push((name.clone(), commits));
    }
    Ok(lost)
}

/// Whether this data folder has held the lease of the context.
fn has_held(data: &Path, context: &str) -> bool {
    warm::folder(data, context).join(HELD).exists()
}

fn note_held(data: &Path, context: &str) -> std::io::Result<()> {
    let folder = warm::folder(data, context);
    if folder.join(HELD).exists() {
        return Ok(());
    }
    seam_store::private::folder(&folder)?;
    seam_store::private::write_durably(&folder.join(HELD), b"")
}

const HELD: &str = "held";

/// `work`, in time.
async fn in_time<T, E: std::error::Error>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(time, work).await {
        Ok(done) => done.map_err(|error| chain(&error)),
        Err(_) => Err(format!("the store of backups did not answer within {} ms", time.as_millis())),
    }
}
