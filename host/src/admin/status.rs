//! The state of every context of a running host.

use std::collections::BTreeMap;

use seam_runtime::component::ContextProblem;
use seam_runtime::guest::bulkhead::CalleeLoad;
use seam_runtime::run::Serves;
use seam_runtime::serve::Registry;
use serde::{Deserialize, Serialize};

use crate::backup::continuous::{BackupStatus, Board, LeaseStatus};
use crate::deploy::Deployer;

/// One context at one moment. Counters start at 0 when the host starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextStatus {
    pub context: String,
    /// The other host on which it lives. Nothing of it runs here, and only its types are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The version that serves, counted since the host started.
    pub generation: u64,
    /// Whether that version is still on probation, and may be rolled back.
    #[serde(default)]
    pub on_probation: bool,
    /// Why no call reaches the context, and the ways out; `None` while it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_service: Option<String>,
    /// Why its store does not work while it serves, and what helps; `None` while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_trouble: Option<String>,
    /// Replaced versions that still have running calls.
    #[serde(default)]
    pub draining: Vec<u64>,
    /// The first 12 hex digits of the SHA-256 of its component.
    pub hash: String,
    /// The interface that serves HTTP: `http-handler`, `wasi:http` or none.
    pub http: Option<String>,
    /// `namespace:package/interface@version`
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// The shared files that it uses, and their versions.
    pub shared: BTreeMap<String, String>,
    /// Its file and the file's write-ahead log; `None` without a store.
    pub store_bytes: Option<u64>,
    /// For how long transactions have held the store's writer since the store was opened, in microseconds.
    pub store_held_us: Option<u64>,
    /// Linear memory of all its instances.
    pub memory_bytes: u64,
    /// Running calls, waiting calls, and idle instances.
    pub running: u64,
    pub waiting: u64,
    pub idle: u64,
    /// Those that have calls of this context now, or did not get some.
    #[serde(default)]
    pub callees: Vec<CalleeStatus>,
    pub calls: u64,
    /// Calls that failed. A typed error of the context is not a failure.
    pub errors: u64,
    /// Half of the calls took less, and 99 of 100; 0 without calls.
    pub p50_us: f64,
    pub p99_us: f64,
    /// What is pretended of its calls to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pretended: Vec<String>,
    /// What the operator should know about the version that serves; `None` if all is well.
    #[serde(default)]
    pub notice: Option<String>,
    /// Its backup, if it has one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    /// The lease of its file, if it has a standby and this host is one of its two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseStatus>,
}

/// The calls of a context to one of its callees, or to a context that these call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalleeStatus {
    pub callee: String,
    /// Places of the caller whose calls are in the callee now.
    pub inside: u32,
    /// Calls that wait because the callee has its share of the places.
    pub waiting: u32,
    /// Calls that waited in vain or could not wait, since this version of the caller started.
    pub refused: u64,
}

/// All contexts, in the order of the manifest.
pub fn statuses(registry: &Registry, deployer: &Deployer, backups: &Board) -> Vec<ContextStatus> {
    let mut notices = deployer.notices();
    let names = |interfaces: &[seam_runtime::component::Interface]| {
        let mut names: Vec<String> = interfaces.iter().map(|interface| interface.name.to_string()).collect();
        names.sort();
        names
    };
    let (probation, draining) = (registry.on_probation(), registry.draining());
    let generations = registry.all_generations();
    let pretences = registry.pretences();
    let callee = |load: CalleeLoad| {
        let CalleeLoad { callee, inside, waiting, refused } = load;
        let callee = generations.get(usize::from(callee))?.context().to_string();
        Some(CalleeStatus { callee, inside, waiting, refused })
    };
    let of = |generation: &std::sync::Arc<seam_runtime::run::Generation>| {
        let (running, waiting, idle) = generation.occupancy();
        let out_of_service = generation.out_of_service();
        let shown = |problem: &ContextProblem| format!("{}\nhint: {}", problem.message, problem.remedy);
        ContextStatus {
            context: generation.context().to_string(),
            at: generation.lives_elsewhere().map(ToOwned::to_owned),
            generation: generation.number,
            on_probation: probation.as_ref() == Some(&(generation.context().clone(), generation.number)),
            out_of_service: out_of_service.as_ref().map(shown),
            store_trouble: generation.store_trouble().filter(|_| out_of_service.is_none()).as_ref().map(shown),
            draining: draining.iter().filter(|(name, _)| name == generation.context()).map(|(_, n)| *n).collect(),
            hash: generation.component().hash.chars().take(12).collect(),
            http: match generation.serves() {
                Serves::Nothing => None,
                Serves::BufferedHttp => Some("http-handler".into()),
                Serves::WasiHttp => Some("wasi:http".into()),
            },
            imports: names(&generation.component().imports),
            exports: names(&generation.component().exports),
            shared: generation.shared().clone(),
            store_bytes: generation.database().map(|database| {
                let statistics = database.statistics();
                statistics.file_bytes + statistics.wal_bytes
            }),
            store_held_us: generation.database().map(|database| database.statistics().held_us),
            memory_bytes: generation.memory_bytes(),
            running: u64::from(running),
            waiting: waiting as u64,
            idle: idle as u64,
            callees: generation.callee_loads().into_iter().filter_map(callee).collect(),
            calls: generation.metrics.calls(),
            errors: generation.metrics.errors(),
            p50_us: generation.metrics.quantile_us(0.5),
            p99_us: generation.metrics.quantile_us(0.99),
            pretended: pretences
                .iter()
                .filter(|pretence| pretence.caller == generation.context().as_str())
                .map(|pretence| format!("{}->{} {}", pretence.caller, pretence.callee, pretence.terms))
                .collect(),
            notice: notices.remove(generation.context()),
            backup: backups.of(generation.context().as_str()),
            lease: backups.leases.of(generation.context().as_str()),
        }
    };
    generations.iter().map(of).collect()
}
