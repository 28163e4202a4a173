//! The Prometheus metrics of events, sampled from the tables now and then: nothing of them is on a call's path, and a
//! file is read only after a commit.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use seam_runtime::serve;
use seam_store::{Error, Source};

use super::status::{Reading, Subscription, subscriptions};
use super::tally::Tallies;
use super::unchanged::Unchanged;
use crate::limits;

/// The families of all subscriptions and publishers.
pub struct EventMetrics {
    backlog: IntGaugeVec,
    lag: GaugeVec,
    waiting: IntGaugeVec,
    away: IntGaugeVec,
    delivered: IntCounterVec,
    failed: IntCounterVec,
    dead: IntCounterVec,
    published: IntCounterVec,
    outbox: IntGaugeVec,
    sampled: Mutex<Sampled>,
}

/// What earlier samples have found.
#[derive(Default)]
struct Sampled {
    /// By the subscriber, and by whose events it takes.
    subscriptions: Unchanged<(String, Source), Option<Reading>>,
    /// The rows and the last position of each publisher's outbox.
    outboxes: Unchanged<String, (u64, u64)>,
    /// The last position of each publisher at the last sample.
    last: BTreeMap<String, u64>,
}

const SUBSCRIPTION: [&str; 3] = ["subscriber", "publisher", "interface"];

impl EventMetrics {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let counts = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let lag = Opts::new("seam_event_lag_seconds", "Age of the oldest event that a subscription has not taken");
        let lag = GaugeVec::new(lag, &SUBSCRIPTION)?;
        registry.register(Box::new(lag.clone()))?;
        let [subscriber, publisher, interface] = SUBSCRIPTION;
        let by_state = [subscriber, publisher, interface, "state"];
        Ok(Self {
            lag,
            backlog: gauges("seam_event_backlog", "Events that a subscription has not taken", &SUBSCRIPTION)?,
            waiting: gauges("seam_event_waiting", "Events of a subscription that are set aside, by state", &by_state)?,
            away: gauges("seam_event_away", "1 while a subscription does not go on", &SUBSCRIPTION)?,
            delivered: counts("seam_event_delivered_total", "Events that were handled", &SUBSCRIPTION)?,
            failed: counts("seam_event_failures_total", "Tries of an event that failed", &SUBSCRIPTION)?,
            dead: counts("seam_event_dead_letters_total", "Events that became dead letters", &SUBSCRIPTION)?,
            published: counts("seam_event_published_total", "Events that were published", &["publisher"])?,
            outbox: gauges("seam_event_outbox_rows", "Events that are kept in an outbox", &["publisher"])?,
            sampled: Mutex::default(),
        })
    }

    /// Reads how far every subscription is. Call it every `limits::EVENT_SAMPLE_S`. May wait for a disk.
    pub fn sample(&self, registry: &serve::Registry, tallies: &Tallies) {
        let now_ms = registry.clock().wall_ms();
        let mut before = self.sampled.lock();
        before.subscriptions.forget_closed();
        before.outboxes.forget_closed();
        let read = |subscription: Subscription| {
            let key = (subscription.subscriber.clone(), subscription.source.clone());
            let now = || subscription.read(limits::EVENT_SAMPLE_MAX);
            let read = match subscription.files() {
                Some(files) => before.subscriptions.read(key, &files, now),
                // Where one side is on another host: a look into one file, or, unless all is taken, a question.
                None => now(),
            };
            (subscription, read)
        };
        // All is read before, so that a scrape finds gaps for some microseconds only.
        let sampled: Vec<_> = subscriptions(registry, tallies).into_iter().map(read).collect();
        // Subscriptions that are gone leave no gauge behind.
        for family in [&self.backlog, &self.waiting, &self.away] {
            family.reset();
        }
        self.lag.reset();
        for (subscription, read) in sampled {
            let source = &subscription.source;
            let labels = [&*subscription.subscriber, &*source.publisher, &*source.interface];
            let is_away = read.is_err() || subscription.away().is_some();
            self.away.with_label_values(&labels).set(i64::from(is_away));
            // What cannot be read has no gauge: 0 would say that all is well.
            if let Ok(Some(read)) = read {
                self.backlog.with_label_values(&labels).set(signed(read.lag));
                self.lag.with_label_values(&labels).set(read.lag_s(now_ms));
                let [subscriber, publisher, interface] = labels;
                let waiting = read.waiting.map(|count| [count.retry, count.behind, count.dead]);
                for (state, events) in ["retry", "behind", "dead"].into_iter().zip(waiting.into_iter().flatten()) {
                    self.waiting.with_label_values(&[subscriber, publisher, interface, state]).set(signed(events));
                }
            }
            let (delivered, failed, dead) = subscription.tally.counts();
            for (family, now) in [(&self.delivered, delivered), (&self.failed, failed), (&self.dead, dead)] {
                let counter = family.with_label_values(&labels);
                counter.inc_by(now.saturating_sub(counter.get()));
            }
        }
        self.sample_outboxes(registry, &mut before);
    }

    fn sample_outboxes(&self, registry: &serve::Registry, sampled: &mut Sampled) {
        for generation in registry.generations() {
            let Some(outbox) = generation.database().filter(|_| !generation.spec().settings.publishes.is_empty())
            else {
                continue;
            };
            let name = generation.context().as_str();
            let count = || Ok::<_, Error>((outbox.outbox_rows(limits::EVENT_SAMPLE_MAX)?, outbox.kept()?.last));
            let Ok((rows, last)) = sampled.outboxes.read(name.to_owned(), &[outbox], count) else { continue };
            self.outbox.with_label_values(&[name]).set(signed(rows));
            // Positions increase by one from event to event while a file is open, and an outbox starts far above 0.
            let before = sampled.last.insert(name.to_owned(), last);
            let new = match before {
                Some(0) => rows,
                Some(before) => last.saturating_sub(before),
                None => 0,
            };
            self.published.with_label_values(&[name]).inc_by(new);
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
