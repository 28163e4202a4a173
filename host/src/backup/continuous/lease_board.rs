//! What operators see of the leases of files that a standby takes over: in `seam contexts` and in `/metrics`.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use serde::{Deserialize, Serialize};

/// The lease of one context at one moment, as one of its two hosts sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// The host that holds it; `None` when this host has seen none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The standby: the other host of the two.
    pub standby: String,
    pub token: u64,
    /// For how long this host may still commit, in milliseconds; `None` when it is the standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// The time of the state that this host has ready, in milliseconds since 1970; `None` when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// Whether this host, as the standby, has got the component and the keys from the owner since it started.
    #[serde(default)]
    pub is_equipped: bool,
    /// What does not work; `None` when all does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The leases of all contexts that have a standby.
pub struct LeaseBoard {
    statuses: Mutex<BTreeMap<String, LeaseStatus>>,
    left: IntGaugeVec,
    ready: IntGaugeVec,
    failures: IntCounterVec,
    takeovers: IntCounterVec,
}

impl LeaseBoard {
    pub(super) fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let family = IntGaugeVec::new(Opts::new(name, help), &["context"])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let counter = |name: &str, help: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &["context"])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        Ok(Self {
            statuses: Mutex::default(),
            left: gauge("seam_lease_left_ms", "For how long this host may still commit to a context's file")?,
            ready: gauge("seam_standby_ready_seconds", "Time of the state that this standby has ready")?,
            failures: counter("seam_lease_failures_total", "Attempts to renew, read or take a lease that failed")?,
            takeovers: counter("seam_standby_takeovers_total", "Contexts that this host has taken over")?,
        })
    }

    pub fn of(&self, context: &str) -> Option<LeaseStatus> {
        self.statuses.lock().get(context).cloned()
    }

    pub fn set(&self, context: &str, status: LeaseStatus) {
        let of = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match status.left_ms {
            Some(ms) => self.left.with_label_values(&[context]).set(of(ms)),
            None => drop(self.left.remove_label_values(&[context])),
        }
        match status.ready_ms {
            Some(ms) => self.ready.with_label_values(&[context]).set(of(ms / 1_000)),
            None => drop(self.ready.remove_label_values(&[context])),
        }
        self.statuses.lock().insert(context.to_owned(), status);
    }

    pub fn failed(&self, context: &str) {
        self.failures.with_label_values(&[context]).inc();
    }

    pub fn took_over(&self, context: &str) {
        self.takeovers.with_label_values(&[context]).inc();
    }
}
