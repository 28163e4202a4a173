//! What became of each schedule: for operators and for metrics.

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use seam_store::Progress;
use serde::{Deserialize, Serialize};

use crate::manifest::Schedule;

/// A schedule at one moment. Times are milliseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    pub context: String,
    /// `interface.function`
    pub call: String,
    /// `every 30 s`, or the cron line and its time zone.
    pub when: String,
    /// When it is due next; `None` while that is not known.
    pub next_ms: Option<u64>,
    /// When it ran last with success.
    pub last_ms: Option<u64>,
    /// How often it ran with success: since ever if its context has a file, else since the host started.
    pub runs: u64,
    /// Why the last run failed, or why it cannot run; `None` if all is well.
    pub failed: Option<String>,
}

/// The status of every schedule of the manifest, in its order.
pub struct Board {
    all: Mutex<Vec<ScheduleStatus>>,
    runs: IntCounterVec,
    failing: IntGaugeVec,
    next: IntGaugeVec,
}

impl Board {
    /// Registers the metrics, too.
    ///
    /// # Errors
    /// When a metric of the same name is there.
    pub fn new(schedules: &[Schedule], metrics: &Registry) -> prometheus::Result<Self> {
        let status = |schedule: &Schedule| ScheduleStatus {
            context: schedule.context.to_string(),
            call: schedule.call.clone(),
            when: schedule.when.to_string(),
            next_ms: None,
            last_ms: None,
            runs: 0,
            failed: None,
        };
        let labels = ["context", "call", "when"];
        let what = "Runs of a schedule, by their outcome: done or failed";
        let runs =
            IntCounterVec::new(Opts::new("seam_schedule_runs_total", what), &["context", "call", "when", "outcome"])?;
        let what = "1 while the last run of a schedule failed, or it cannot run";
        let failing = IntGaugeVec::new(Opts::new("seam_schedule_failing", what), &labels)?;
        let what = "When a schedule is due next, in seconds since 1970";
        let next = IntGaugeVec::new(Opts::new("seam_schedule_next_seconds", what), &labels)?;
        metrics.register(Box::new(runs.clone()))?;
        metrics.register(Box::new(failing.clone()))?;
        metrics.register(Box::new(next.clone()))?;
        Ok(Self { all: Mutex::new(schedules.iter().map(status).collect()), runs, failing, next })
    }

    pub fn statuses(&self) -> Vec<ScheduleStatus> {
        self.all.lock().clone()
    }

    /// Notes when the schedule is due next.
    pub fn waits(&self, at: usize, next_ms: Option<u64>) {
        self.change(at, |status| status.next_ms = next_ms);
    }

    /// Notes how far a schedule has come that keeps it in its context's file.
    pub fn progress(&self, at: usize, progress: Progress) {
        self.change(at, |status| (status.last_ms, status.runs) = (progress.ran_ms, progress.runs));
    }

    /// Notes a run that succeeded; its time, in milliseconds since 1970, if its file does not keep it.
    pub fn done(&self, at: usize, now_ms: Option<u64>) {
        self.count(at, "done");
        if now_ms.is_some() {
            self.change(at, |status| (status.last_ms, status.runs) = (now_ms, status.runs + 1));
        }
    }

    /// Notes that nothing is wrong with the schedule. Whether that is news.
    pub fn well(&self, at: usize) -> bool {
        self.change(at, |status| status.failed.take().is_some()).unwrap_or(false)
    }

    /// Notes why a run failed. Whether that is news.
    pub fn failed(&self, at: usize, why: &str) -> bool {
        self.count(at, "failed");
        self.away(at, why)
    }

    /// Notes why the schedule cannot run. Whether that is news.
    pub fn away(&self, at: usize, why: &str) -> bool {
        self.change(at, |status| status.failed.replace(why.to_owned()).as_deref() != Some(why)).unwrap_or(false)
    }

    fn count(&self, at: usize, outcome: &str) {
        if let Some(status) = self.all.lock().get(at) {
            self.runs.with_label_values(&[&*status.context, &*status.call, &*status.when, outcome]).inc();
        }
    }

    fn change<T>(&self, at: usize, change: impl FnOnce(&mut ScheduleStatus) -> T) -> Option<T> {
        let mut all = self.all.lock();
        let status = all.get_mut(at)?;
        let changed = change(status);
        let labels = [&*status.context, &*status.call, &*status.when];
        self.failing.with_label_values(&labels).set(i64::from(status.failed.is_some()));
        let next_s = status.next_ms.map_or(0, |ms| i64::try_from(ms / 1_000).unwrap_or(i64::MAX));
        self.next.with_label_values(&labels).set(next_s);
        Some(changed)
    }
}
