//! The metrics of the HTTP server. The counters of a mount are looked up once, when it is opened: a request pays four
//! atomic additions.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use seam_store::ids::Trace;

pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    bytes: IntCounterVec,
    cuts: IntCounterVec,
    connections: IntGauge,
    /// Requests that a panic in the host's own code ended.
    panics: IntCounter,
}

/// The metrics of one context, or of the responses of the host itself.
pub struct ContextMetrics {
    /// By the first digit of the status, 2 to 5.
    classes: [IntCounter; 4],
    seconds: Histogram,
    bytes: IntCounter,
    cuts: [IntCounter; Cut::ALL.len()],
    /// Of the whole host.
    panics: IntCounter,
}

/// How a client keeps a request from being served to its end. It is no fault of the context that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It asked for the head alone of an answer that is streamed.
    Head,
    /// It left before the answer, or in the middle of it.
    HangUp,
    /// It did not go on reading the answer.
    Stalled,
    /// It left before the end of its body.
    UploadLeft,
    UploadSlow,
    UploadLarge,
}

impl Cut {
    const ALL: [Self; 6] =
        [Self::Head, Self::HangUp, Self::Stalled, Self::UploadLeft, Self::UploadSlow, Self::UploadLarge];

    fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::HangUp => "hang-up",
            Self::Stalled => "stalled",
            Self::UploadLeft => "upload-cut",
            Self::UploadSlow => "upload-slow",
            Self::UploadLarge => "upload-large",
        }
    }
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// The buckets, from a response out of memory to the longest request.
const SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

impl Metrics {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new("seam_http_requests_total", "HTTP requests answered, by context and status class");
        let seconds = HistogramOpts::new("seam_http_request_seconds", "Time from a request's head to its last byte")
            .buckets(SECONDS.into());
        let bytes = Opts::new("seam_http_response_bytes_total", "Bytes of response bodies, as sent");
        let cuts = Opts::new(
            "seam_http_client_cuts_total",
            "Requests that their client kept from being served to their end, by context and kind",
        );
        let metrics = Self {
            cuts: IntCounterVec::new(cuts, &["context", "kind"])?,
            requests: IntCounterVec::new(requests, &["context", "class"])?,
            seconds: HistogramVec::new(seconds, &["context"])?,
            bytes: IntCounterVec::new(bytes, &["context"])?,
            connections: IntGauge::new("seam_http_connections", "Open HTTP connections")?,
            panics: IntCounter::new(
                "seam_host_panics_total",
                "Requests that failed by a panic in the host's own code",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.cuts.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.panics.clone()))?;
        Ok(metrics)
    }

    pub fn context(&self, context: &str) -> prometheus::Result<Arc<ContextMetrics>> {
        let class = |class: &str| self.requests.get_metric_with_label_values(&[context, class]);
        let cut = |cut: Cut| self.cuts.with_label_values(&[context, cut.name()]);
        let [two, three, four, five] = CLASSES;
        Ok(Arc::new(ContextMetrics {
            classes: [class(two)?, class(three)?, class(four)?, class(five)?],
            seconds: self.seconds.get_metric_with_label_values(&[context])?,
            bytes: self.bytes.get_metric_with_label_values(&[context])?,
            cuts: Cut::ALL.map(cut),
            panics: self.panics.clone(),
        }))
    }

    /// Counts a connection as open until the guard drops.
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }
}

pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ContextMetrics {
    pub fn count(&self, status: StatusCode, took: Duration, bytes: u64) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(class) = self.classes.get(class.min(CLASSES.len() - 1)) {
            class.inc();
        }
        self.seconds.observe(took.as_secs_f64());
        self.bytes.inc_by(bytes);
    }

    pub fn cut(&self, cut: Cut) {
        if let Some(counter) = self.cuts.get(cut as usize) {
            counter.inc();
        }
    }

    /// Counts a panic in the host's own code: the request fails, its context is not to blame.
    pub fn count_panic(&self) {
        self.panics.inc();
    }

    /// The same with a line in the log, for a panic that no error page shows.
    pub fn panicked(&self, trace: &Trace, place: &str) {
        self.count_panic();
        tracing::error!(target: "http", trace = %format_args!("{:032x}", trace.trace_id), "the host panicked {place}");
    }

    /// Panics in the host's own code so far.
    #[cfg(test)]
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Cuts of this kind so far.
    #[cfg(test)]
    pub fn cuts(&self, cut: Cut) -> u64 {
        self.cuts.get(cut as usize).map_or(0, IntCounter::get)
    }
}
