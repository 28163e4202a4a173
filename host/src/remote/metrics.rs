//! Counters of the calls and the questions for events between hosts, from both sides.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
    up: IntGaugeVec,
    answers: IntCounterVec,
    asks: IntCounterVec,
    asks_answered: IntCounterVec,
}

/// The buckets, from an answer out of memory on the same machine to the longest call.
const SECONDS: [f64; 12] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5.0];

impl Metrics {
    /// # Errors
    /// When the registry has them already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let calls = Opts::new("seam_remote_calls_total", "Calls to contexts on another host, by host and outcome");
        let seconds = HistogramOpts::new("seam_remote_seconds", "Time of calls to contexts on another host, by host")
            .buckets(SECONDS.into());
        let up = Opts::new("seam_remote_up", "1 while the other host can be called, 0 while it cannot be reached");
        let answers = Opts::new("seam_remote_answers_total", "Calls of other hosts, by host and outcome");
        let asks =
            Opts::new("seam_remote_event_asks_total", "Questions for events of another host, by host and outcome");
        let answered = "Questions of other hosts for events, by host and outcome";
        let metrics = Self {
            calls: IntCounterVec::new(calls, &["peer", "outcome"])?,
            seconds: HistogramVec::new(seconds, &["peer"])?,
            up: IntGaugeVec::new(up, &["peer"])?,
            answers: IntCounterVec::new(answers, &["peer", "outcome"])?,
            asks: IntCounterVec::new(asks, &["peer", "outcome"])?,
            asks_answered: IntCounterVec::new(
                Opts::new("seam_remote_event_answers_total", answered),
                &["peer", "outcome"],
            )?,
        };
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.answers.clone()))?;
        registry.register(Box::new(metrics.asks.clone()))?;
        registry.register(Box::new(metrics.asks_answered.clone()))?;
        Ok(metrics)
    }

    pub(super) fn called(&self, peer: &str, outcome: &str, took: Duration) {
        self.calls.with_label_values(&[peer, outcome]).inc();
        self.seconds.with_label_values(&[peer]).observe(took.as_secs_f64());
    }

    pub(super) fn set_up(&self, peer: &str, up: bool) {
        self.up.with_label_values(&[peer]).set(up.into());
    }

    /// `peer`: a host of the system, so that others cannot make up labels.
    pub(super) fn answered(&self, peer: &str, outcome: &str) {
        self.answers.with_label_values(&[peer, outcome]).inc();
    }

    pub(super) fn asked(&self, peer: &str, outcome: &str) {
        self.asks.with_label_values(&[peer, outcome]).inc();
    }

    /// `peer`: as for `answered`.
    pub(super) fn answered_ask(&self, peer: &str, outcome: &str) {
        self.asks_answered.with_label_values(&[peer, outcome]).inc();
    }
}
