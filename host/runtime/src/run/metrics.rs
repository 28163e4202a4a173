//! The Prometheus metrics of every call into a context.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use seam_store::Trouble;
use seam_store::ids::ContextName;

use crate::call::Failure;
use crate::guest::transactions;

/// The metric families of all contexts.
#[derive(Clone)]
pub struct Metrics {
    duration: HistogramVec,
    failures: IntCounterVec,
    /// Calls that come through a route, by context and variant.
    routed: HistogramVec,
    routed_failures: IntCounterVec,
    shadowed: IntCounterVec,
    overlap: CounterVec,
    clicks: IntCounterVec,
    /// 1 while a store does not work, by context and kind of trouble.
    store_trouble: IntGaugeVec,
    store_failures: IntCounterVec,
    /// By the context and its callee.
    callee_refusals: IntCounterVec,
    /// By the caller, its callee, and what was pretended.
    pretended: IntCounterVec,
    pub(crate) two_phase: transactions::Families,
}

impl Metrics {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        // From 2 us, a call that reads one row, to 8 s, beyond every timeout.
        let buckets = prometheus::exponential_buckets(2e-6, 2.0, 23)?;
        let times = |name: &str, help: &str, labels: &[&str]| {
            let family = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.clone()), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let counts = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let what = "Calls into a context that it did not answer";
        let failures = counts("seam_call_failures_total", what, &["context", "kind"])?;
        let what = "Calls of a variant that it did not answer";
        let routed_failures = counts("seam_variant_failures_total", what, &["context", "variant", "kind"])?;
        let what = "Sum of the shares of elements that a shadow's answers have in common with the live answers";
        let overlap = CounterVec::new(Opts::new("seam_shadow_overlap_sum", what), &["context", "variant"])?;
        registry.register(Box::new(overlap.clone()))?;
        let what = "1 while a store does not work through no fault of its context";
        let store_trouble = IntGaugeVec::new(Opts::new("seam_store_trouble", what), &["context", "kind"])?;
        registry.register(Box::new(store_trouble.clone()))?;
        let what = "Statements and commits that failed through no fault of the context";
        let store_failures = counts("seam_store_failures_total", what, &["context"])?;
        let what = "Calls that a context did not make because the callee had its share of the places";
        let callee_refusals = counts("seam_callee_refusals_total", what, &["context", "callee"])?;
        let what = "Calls that were pretended to cross hosts, and the faults that they met";
        let pretended = counts("seam_pretended_total", what, &["context", "callee", "what"])?;
        let of_variant = ["context", "variant"];
        Ok(Self {
            duration: times("seam_call_duration_seconds", "Time that a call into a context took", &["context"])?,
            failures,
            store_trouble,
            store_failures,
            callee_refusals,
            pretended,
            two_phase: transactions::Families::new(registry)?,
            routed: times("seam_variant_duration_seconds", "Time that a routed call of a variant took", &of_variant)?,
            routed_failures,
            shadowed: counts("seam_shadow_calls_total", "Calls of a shadow", &["context", "variant", "outcome"])?,
            overlap,
            clicks: counts("seam_variant_clicks_total", "Requests that came from a variant's answers", &of_variant)?,
        })
    }

    /// The metrics of a variant behind a route.
    pub(crate) fn of_variant(&self, context: &str, variant: &str) -> VariantMetrics {
        let calls = Arc::new(CallMetrics {
            duration: self.routed.with_label_values(&[context, variant]),
            failures: FailureKind::ALL
                .map(|kind| self.routed_failures.with_label_values(&[context, variant, kind.name()])),
        });
        let shadowed = |outcome: &str| self.shadowed.with_label_values(&[context, variant, outcome]);
        VariantMetrics {
            clicks: self.clicks.with_label_values(&[context, variant]),
            shadow: ShadowMetrics {
                equal: shadowed("equal"),
                different: shadowed("different"),
                failed: shadowed("failed"),
                dropped: shadowed("dropped"),
                lists: shadowed("with-a-list"),
                overlap: self.overlap.with_label_values(&[context, variant]),
                calls: calls.clone(),
            },
            calls,
        }
    }

    /// Sets what the metrics say of a store. `failures` is their count since the store was opened.
    pub(crate) fn of_store(&self, context: &ContextName, trouble: Option<&Trouble>, failures: u64) {
        for kind in Trouble::KINDS {
            let now = trouble.is_some_and(|trouble| trouble.kind() == kind);
            self.store_trouble.with_label_values(&[context.as_str(), kind]).set(i64::from(now));
        }
        let counter = self.store_failures.with_label_values(&[context.as_str()]);
        counter.inc_by(failures.saturating_sub(counter.get()));
    }

    /// Counts calls of `context` that its bulkhead before `callee` refused.
    pub(crate) fn callee_refused(&self, context: &ContextName, callee: &ContextName, calls: u64) {
        self.callee_refusals.with_label_values(&[context.as_str(), callee.as_str()]).inc_by(calls);
    }

    /// The counter of what is pretended of the calls of `caller` to `callee`.
    pub(crate) fn pretended(&self, caller: &ContextName, callee: &ContextName, what: Pretended) -> IntCounter {
        self.pretended.with_label_values(&[caller.as_str(), callee.as_str(), what.name()])
    }

    pub(crate) fn of(&self, context: &ContextName) -> CallMetrics {
        self.named(context.as_str())
    }

    fn named(&self, name: &str) -> CallMetrics {
        CallMetrics {
            duration: self.duration.with_label_values(&[name]),
            failures: FailureKind::ALL.map(|kind| self.failures.with_label_values(&[name, kind.name()])),
        }
    }
}

/// The metrics of one variant behind a route: of the calls that visitors cause, not of the calls by which the variant
/// learns.
pub(crate) struct VariantMetrics {
    pub calls: Arc<CallMetrics>,
    pub clicks: IntCounter,
    pub shadow: ShadowMetrics,
}

/// The metrics of a variant as a shadow.
#[derive(Clone)]
pub(crate) struct ShadowMetrics {
    pub equal: IntCounter,
    pub different: IntCounter,
    /// Calls without an answer.
    pub failed: IntCounter,
    pub dropped: IntCounter,
    /// Answers that were compared by their lists, and the sum of the overlaps of these lists.
    pub lists: IntCounter,
    pub overlap: Counter,
    pub calls: Arc<CallMetrics>,
}

/// The metrics of one context.
pub struct CallMetrics {
    duration: Histogram,
    failures: [IntCounter; FailureKind::ALL.len()],
}

/// What is counted of calls that are pretended to cross hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pretended {
    Call,
    LostRequest,
    LostAnswer,
    Repeated,
    Unsendable,
}

impl Pretended {
    pub const ALL: [Self; 5] = [Self::Call, Self::LostRequest, Self::LostAnswer, Self::Repeated, Self::Unsendable];

    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::LostRequest => "lost-request",
            Self::LostAnswer => "lost-answer",
            Self::Repeated => "repeated",
            Self::Unsendable => "unsendable",
        }
    }
}

#[derive(Clone, Copy)]
enum FailureKind {
    Trapped,
    TimedOut,
    Overloaded,
    Absent,
    Refused,
}

impl FailureKind {
    const ALL: [Self; 5] = [Self::Trapped, Self::TimedOut, Self::Overloaded, Self::Absent, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::Trapped => "trapped",
            Self::TimedOut => "timed-out",
            Self::Overloaded => "overloaded",
            Self::Absent => "absent",
            Self::Refused => "refused",
        }
    }
}

impl CallMetrics {
    /// Metrics that no registry shows, for a version that does not serve.
    pub(crate) fn unregistered() -> Self {
        #[expect(clippy::expect_used, reason = "these names are valid, and a private registry has no others")]
        let metrics = Metrics::new(&Registry::new()).expect("a new registry accepts these names");
        metrics.named("-")
    }

    pub(crate) fn record(&self, took: Duration, failure: Option<&Failure>) {
        self.duration.observe(took.as_secs_f64());
        let kind = match failure {
            // A call that went on to another host is counted there.
            None | Some(Failure::Moved { .. }) => return,
            Some(Failure::Trapped { .. }) => FailureKind::Trapped,
            Some(Failure::TimedOut { .. }) => FailureKind::TimedOut,
            Some(Failure::Overloaded { .. }) => FailureKind::Overloaded,
            Some(Failure::Absent { .. }) => FailureKind::Absent,
            Some(Failure::Refused { .. }) => FailureKind::Refused,
        };
        if let Some(counter) = self.failures.get(kind as usize) {
            counter.inc();
        }
    }

    pub fn calls(&self) -> u64 {
        self.duration.get_sample_count()
    }

    pub fn errors(&self) -> u64 {
        self.failures.iter().map(IntCounter::get).sum()
    }

    /// The time in microseconds below which the share `q` (0 to 1) of the calls stayed, to the width of a bucket; 0
    /// without calls.
    pub fn quantile_us(&self, q: f64) -> f64 {
        use prometheus::core::Metric;
        let metric = self.duration.metric();
        let histogram = metric.get_histogram();
        let rank = q * histogram.get_sample_count() as f64;
        if rank == 0.0 {
            return 0.0;
        }
        let (mut lower, mut before) = (0.0, 0.0);
        for bucket in histogram.get_bucket() {
            let (upper, count) = (bucket.upper_bound() * 1e6, bucket.cumulative_count() as f64);
            if count >= rank {
                // Linear within the bucket, as Prometheus' histogram_quantile does.
                return lower + (upper - lower) * (rank - before) / (count - before);
            }
            (lower, before) = (upper, count);
        }
        lower
    }
}
