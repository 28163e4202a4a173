//! The Prometheus metrics of what contexts disagree on: set after each look.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::record::State;

/// The families of all totals that are reconciled. Cheap to clone.
#[derive(Clone)]
pub struct ReconcileMetrics {
    standing: IntGaugeVec,
    unkept: IntGaugeVec,
    looked: IntGaugeVec,
    unlooked: IntGaugeVec,
    asked: IntCounterVec,
}

impl ReconcileMetrics {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let standing = "Keys of a total on which contexts disagree, by state";
        let unkept = "Keys of a total on which contexts disagree and that the host does not keep";
        let looked = "When the host last looked at a total, in seconds since 1970; 0: not since it started";
        let unlooked = "Whether the last look at a total could not see all of it: 1, or 0";
        let asked = Opts::new("seam_mends_total", "Attempts to have a context mend a disagreement, by answer");
        let metrics = Self {
            standing: gauge("seam_disagreements", standing, &["total", "state"])?,
            unkept: gauge("seam_disagreements_unkept", unkept, &["total"])?,
            looked: gauge("seam_reconciled_seconds", looked, &["total"])?,
            unlooked: gauge("seam_reconcile_failing", unlooked, &["total"])?,
            asked: IntCounterVec::new(asked, &["total", "answer"])?,
        };
        registry.register(Box::new(metrics.standing.clone()))?;
        registry.register(Box::new(metrics.unkept.clone()))?;
        registry.register(Box::new(metrics.looked.clone()))?;
        registry.register(Box::new(metrics.unlooked.clone()))?;
        registry.register(Box::new(metrics.asked.clone()))?;
        Ok(metrics)
    }

    /// A context was asked, and has answered so.
    pub(super) fn asked(&self, total: &str, answer: &str) {
        self.asked.with_label_values(&[total, answer]).inc();
    }

    /// The last look could not see all of it.
    pub(super) fn set_unlooked(&self, total: &str, unlooked: bool) {
        self.unlooked.with_label_values(&[total]).set(i64::from(unlooked));
    }

    /// Another host has the figures of this total.
    pub(super) fn forget(&self, total: &str) {
        for state in State::STANDING {
            // It is an error that there was none.
            let _ = self.standing.remove_label_values(&[total, state.name()]);
        }
        for family in [&self.unkept, &self.looked, &self.unlooked] {
            let _ = family.remove_label_values(&[total]);
        }
    }

    /// `looked_ms`: when all of the total was seen, in milliseconds since 1970.
    pub(super) fn set(&self, total: &str, standing: impl Iterator<Item = State>, unkept: u64, looked_ms: Option<u64>) {
        let standing: Vec<State> = standing.collect();
        let number = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
        for state in State::STANDING {
            let count = standing.iter().filter(|one| **one == state).count();
            self.standing.with_label_values(&[total, state.name()]).set(number(count));
        }
        self.unkept.with_label_values(&[total]).set(i64::try_from(unkept).unwrap_or(i64::MAX));
        let at_s = looked_ms.unwrap_or(0) / 1_000;
        self.looked.with_label_values(&[total]).set(i64::try_from(at_s).unwrap_or(i64::MAX));
    }
}
