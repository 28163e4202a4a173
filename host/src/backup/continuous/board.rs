//! What operators see of the backup of each context: in `seam contexts` and in `/metrics`.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use serde::{Deserialize, Serialize};

use super::lease_board::LeaseBoard;

/// The backup of one context at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupStatus {
    /// The time of the last state that is stored, in milliseconds since 1970; `None` before the first one.
    pub stored_ms: Option<u64>,
    /// What was committed before this time was looked at, in milliseconds since 1970.
    pub looked_ms: u64,
    /// For how long there have been changes that are not stored, in milliseconds; 0 when there are none.
    pub behind_ms: u64,
    /// The number of the last snapshot that was stored since the host started; 0 before it.
    #[serde(default)]
    pub snapshot: u64,
    /// Bytes that wait on this host's disk.
    pub waiting_bytes: u64,
    /// Why the last attempt failed; `None` when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The backups of all contexts.
pub struct Board {
    statuses: Mutex<BTreeMap<String, BackupStatus>>,
    behind_seconds: IntGaugeVec,
    waiting_bytes: IntGaugeVec,
    stored_seconds: IntGaugeVec,
    files: IntCounterVec,
    bytes: IntCounterVec,
    failures: IntCounterVec,
    /// Of those that a standby takes over.
    pub leases: LeaseBoard,
}

impl Board {
    /// # Errors
    /// When a metric of the same name is there.
    pub fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let family = IntGaugeVec::new(Opts::new(name, help), &["context"])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        Ok(Self {
            statuses: Mutex::default(),
            behind_seconds: gauge(
                "seam_backup_behind_seconds",
                "Age of the oldest change of a context that is not stored",
            )?,
            waiting_bytes: gauge(
                "seam_backup_waiting_bytes",
                "Bytes of a context's backup that wait on this host's disk",
            )?,
            stored_seconds: gauge("seam_backup_stored_seconds", "Time of the last state of a context that is stored")?,
            files: counter(
                "seam_backup_files_total",
                "Files of a context's backup that were stored",
                &["context", "kind"],
            )?,
            bytes: counter("seam_backup_bytes_total", "Bytes of a context's backup that were stored", &["context"])?,
            failures: counter("seam_backup_failures_total", "Attempts to store that failed", &["context"])?,
            leases: LeaseBoard::new(registry)?,
        })
    }

    pub fn of(&self, context: &str) -> Option<BackupStatus> {
        self.statuses.lock().get(context).cloned()
    }

    pub(super) fn set(&self, context: &str, status: BackupStatus) {
        let of = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.behind_seconds.with_label_values(&[context]).set(of(status.behind_ms / 1_000));
        self.waiting_bytes.with_label_values(&[context]).set(of(status.waiting_bytes));
        if let Some(ms) = status.stored_ms {
            self.stored_seconds.with_label_values(&[context]).set(of(ms / 1_000));
        }
        self.statuses.lock().insert(context.to_owned(), status);
    }

    pub(super) fn stored(&self, context: &str, kind: &str, bytes: u64) {
        self.files.with_label_values(&[context, kind]).inc();
        self.bytes.with_label_values(&[context]).inc_by(bytes);
    }

    pub(super) fn failed(&self, context: &str) {
        self.failures.with_label_values(&[context]).inc();
    }
}
