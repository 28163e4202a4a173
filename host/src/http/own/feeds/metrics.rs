//! The metrics of feeds, by context and by the name of the reader's token.

use http::StatusCode;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::problem::Problem;
use crate::manifest;

/// The families of all feeds. Cheap to clone.
#[derive(Clone)]
pub struct FeedMetrics {
    requests: IntCounterVec,
    refused: IntCounterVec,
    events: IntCounterVec,
    gone: IntCounterVec,
    streams: IntGaugeVec,
}

/// Why a client learns nothing of a feed.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    /// It asks from another machine without TLS.
    Plain,
    NoToken,
    WrongToken,
    /// It has sent too many wrong tokens, and waits.
    Guesses,
}

/// What is counted of one feed.
pub struct FeedCounts {
    families: FeedMetrics,
    context: String,
}

/// A stream that is open until this drops.
pub struct OpenStream(IntGauge);

impl Refusal {
    const ALL: [Self; 4] = [Self::Plain, Self::NoToken, Self::WrongToken, Self::Guesses];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain-http",
            Self::NoToken => "no-token",
            Self::WrongToken => "wrong-token",
            Self::Guesses => "guesses",
        }
    }
}

impl FeedMetrics {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counts = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let streams = Opts::new("seam_feed_streams", "Open streams of a feed, by token");
        let streams = IntGaugeVec::new(streams, &["context", "token"])?;
        registry.register(Box::new(streams.clone()))?;
        let by_token = ["context", "token"];
        Ok(Self {
            streams,
            requests: counts(
                "seam_feed_requests_total",
                "Requests for a feed with one of its tokens, by token and status",
                &["context", "token", "status"],
            )?,
            refused: counts(
                "seam_feed_refused_total",
                "Requests for a feed that were refused before their query was read, by reason",
                &["context", "reason"],
            )?,
            events: counts("seam_feed_events_total", "Events that readers of a feed got, by token", &by_token)?,
            gone: counts(
                "seam_feed_gone_total",
                "How often a reader of a feed was behind what is kept (410), by token",
                &by_token,
            )?,
        })
    }

    /// Those of a feed. They are there from the start, so that an alarm sees the first change.
    pub fn of(&self, feed: &manifest::Feed) -> FeedCounts {
        let context = feed.context.to_string();
        for token in &feed.tokens {
            let labels = [context.as_str(), token.name.as_str()];
            self.streams.with_label_values(&labels);
            self.events.with_label_values(&labels);
            self.gone.with_label_values(&labels);
        }
        for refusal in Refusal::ALL {
            self.refused.with_label_values(&[context.as_str(), refusal.name()]);
        }
        FeedCounts { families: self.clone(), context }
    }
}

impl FeedCounts {
    pub fn refused(&self, refusal: Refusal) {
        self.families.refused.with_label_values(&[self.context.as_str(), refusal.name()]).inc();
    }

    /// Counts a request with this token.
    pub fn answered(&self, token: &str, status: StatusCode) {
        self.families.requests.with_label_values(&[self.context.as_str(), token, status.as_str()]).inc();
    }

    /// Counts events that a reader gets.
    pub fn served(&self, token: &str, events: usize) {
        self.families.events.with_label_values(&[self.context.as_str(), token]).inc_by(events as u64);
    }

    /// Counts a problem that a reader gets, if it is behind what is kept.
    pub fn problem(&self, token: &str, problem: &Problem) {
        if problem.is_gone() {
            self.families.gone.with_label_values(&[self.context.as_str(), token]).inc();
        }
    }

    pub fn open(&self, token: &str) -> OpenStream {
        let streams = self.families.streams.with_label_values(&[self.context.as_str(), token]);
        streams.inc();
        OpenStream(streams)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
