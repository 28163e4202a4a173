//! The world of a simulation: hosts, contexts, the network, the store of backups, and what is turned off in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use seam_store::clock::Clock;
use tempfile::TempDir;

use super::baton::{Baton, HostClock, MS, S, Us};
use super::host::Running;
use super::judge::Judge;
use super::network::Net;
use crate::backup::continuous::Destination;
use crate::manifest::{BackupSettings, BackupTo};

/// For how long a lease is not renewed before the standby takes it.
pub const TAKEOVER: Duration = Duration::from_secs(4);
/// Faults begin when each standby has a state.
pub const CALM: Us = 5 * S;
/// For how long things fail.
pub const FAULTS: Us = 40 * S;
/// All must be done so long after the last fault.
pub const HEALED: Us = 30 * S;

/// A protection of the product that is turned off, to see that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// The owner of a file commits on after its term.
    Term,
    /// A commit is answered before it is in the store of backups.
    Copies,
    /// A request that comes again is performed again.
    Key,
    /// A file in doubt is rolled back, and not asked for.
    Decision,
    /// A standby goes on with the positions of its copy.
    Positions,
    /// What could not be delivered is not tried again.
    Again,
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub hosts: usize,
    pub seed: u64,
    pub without: Option<Without>,
    pub tells: bool,
}

/// A context that has a standby.
#[derive(Debug, Clone)]
pub struct Vault {
    pub name: String,
    /// Its host by the manifest, and its standby.
    pub pair: [usize; 2],
    /// `acknowledge = "replicated"`.
    pub replicated: bool,
}

pub struct World {
    pub plan: Plan,
    pub baton: Arc<Baton>,
    pub chance: Mutex<StdRng>,
    pub net: Mutex<Net>,
    pub judge: Mutex<Judge>,
    pub vaults: Vec<Vault>,
    /// `None` while a host is down.
    hosts: Vec<Mutex<Option<Arc<Running>>>>,
    pub backups: BackupSettings,
    folder: TempDir,
}

/// The name of a context that takes part in transactions and publishes.
pub fn desk(host: usize) -> String {
    format!("desk-{host}")
}

/// The name of a context that subscribes.
pub fn shelf(host: usize) -> String {
    format!("shelf-{host}")
}

/// The time of day at which each simulation starts.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let mut chance = StdRng::seed_from_u64(plan.seed ^ ((plan.hosts as u64) << 32));
        let clocks = (0..plan.hosts).map(|_| {
            let time = Clock::manual();
            time.set_wall(start() + Duration::from_millis(chance.random_range(0..20_000)));
            HostClock::new(time, chance.random_range(930_000..1_070_000))
        });
        let baton = Baton::new(clocks.collect(), plan.tells);
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let to = folder.path().join("backups");
        std::fs::create_dir(&to).unwrap();
        let backups = BackupSettings {
            to: BackupTo::Folder(to),
            every: Duration::from_secs(1),
            keep: Duration::from_secs(1 << 30),
        };
        let vaults = (0..(plan.hosts / 8).clamp(2, 6)).map(|at| {
            let first = at * plan.hosts / 6 % plan.hosts;
            Vault { name: format!("vault-{at}"), pair: [first, (first + 1) % plan.hosts], replicated: at % 2 == 0 }
        });
        Arc::new(Self {
            vaults: vaults.collect(),
            plan,
            baton,
            chance: Mutex::new(chance),
            net: Mutex::default(),
            judge: Mutex::default(),
            hosts: (0..plan.hosts).map(|_| Mutex::default()).collect(),
            backups,
            folder,
        })
    }

    pub fn now(&self) -> Us {
        self.baton.now()
    }

    pub fn is_without(&self, what: Without) -> bool {
        self.plan.without == Some(what)
    }

    pub fn to(&self) -> Destination {
        Destination::of(&self.backups).unwrap()
    }

    /// The data folder of a host.
    pub fn data(&self, host: usize) -> PathBuf {
        self.folder.path().join(format!("host-{host}"))
    }

    pub fn running(&self, host: usize) -> Option<Arc<Running>> {
        self.hosts[host].lock().clone()
    }

    pub fn set_running(&self, host: usize, running: Option<Arc<Running>>) {
        let before = std::mem::replace(&mut *self.hosts[host].lock(), running);
        drop(before);
    }

    pub fn is_up(&self, host: usize) -> bool {
        self.hosts[host].lock().is_some()
    }

    pub fn vault(&self, name: &str) -> Option<&Vault> {
        self.vaults.iter().find(|vault| vault.name == name)
    }

    /// The host of a context by the manifest.
    pub fn placed(&self, context: &str) -> usize {
        match self.vault(context) {
            Some(vault) => vault.pair[0],
            None => context.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap(),
        }
    }

    /// Which contexts a host's shelf subscribes to.
    pub fn publishers(&self, host: usize) -> Vec<String> {
        let of = (host + 1) % self.plan.hosts;
        let vaults = self.vaults.iter().filter(|vault| (vault.pair[1] + 1) % self.plan.hosts == host);
        std::iter::once(desk(of)).chain(vaults.map(|vault| vault.name.clone())).collect()
    }

    /// What the store of backups does, if this host reaches it; `None`: there is no answer in time.
    pub fn store<T>(self: &Arc<Self>, host: usize, within: Duration, work: impl FnOnce() -> T) -> Option<T> {
        let way = self.chance.lock().random_range(2 * MS..25 * MS);
        let late = Us::try_from(within.as_micros()).unwrap();
        let reaches = || {
            let lost = self.net.lock().lost;
            !self.net.lock().no_store.contains(&host)
                && (lost == 0 || self.chance.lock().random_range(0..1_000) >= lost)
        };
        self.baton.sleep(way);
        let done = if reaches() { Some(work()) } else { None };
        match done {
            Some(done) if reaches() => {
                self.baton.sleep(way);
                Some(done)
            }
            // Not performed, or nothing is heard of it.
            _ => {
                self.baton.sleep(late.saturating_sub(way));
                None
            }
        }
    }

    /// All that a host has written of a context, by name.
    pub fn files(&self) -> BTreeMap<String, usize> {
        let desks = (0..self.plan.hosts).map(|host| (desk(host), host));
        desks.chain(self.vaults.iter().map(|vault| (vault.name.clone(), vault.pair[0]))).collect()
    }
}
