//! Every subscription of the running system, and how far it is.

use std::sync::Arc;

use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::ids::interface_path;
use seam_store::{Database, Source, WaitingCount};
use serde::{Deserialize, Serialize};

use super::tally::{Tallies, Tally};

/// How far a subscription is. What stands in a file that cannot be read now is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionStatus {
    /// A context, or a variant of one.
    pub subscriber: String,
    pub publisher: String,
    /// The path of the events interface, without a version.
    pub interface: String,
    /// Everything up to this position is done, or waits in one of the states below.
    pub position: Option<u64>,
    /// Events that it has not taken yet, counted up to `EVENT_COUNT_MAX` of the store's limits.
    pub lag: Option<u64>,
    /// The age of the oldest of them; 0 if there is none.
    pub lag_s: Option<f64>,
    /// Events that are tried again by themselves.
    pub retry: Option<u64>,
    /// Events that wait behind an earlier one of their subject.
    pub behind: Option<u64>,
    /// Dead letters.
    pub dead: Option<u64>,
    /// Why it does not go on; `None` while it does.
    pub away: Option<String>,
}

/// A subscription with the files of its two sides, as far as they are open.
pub(super) struct Subscription {
    pub subscriber: String,
    pub source: Source,
    pub inbox: Option<Arc<Database>>,
    pub outbox: Option<Arc<Database>>,
    pub tally: Arc<Tally>,
    /// Why one of the two contexts is out of service.
    out_of_service: Option<String>,
}

/// What can be read of a subscription: the position, the backlog and the events that wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub position: u64,
    pub lag: u64,
    /// When the oldest event of the backlog was published, in milliseconds since 1970.
    pub first_ms: Option<u64>,
    pub waiting: WaitingCount,
}

impl Reading {
    /// The age of the backlog's oldest event, in seconds; 0 if there is none.
    pub fn lag_s(&self, now_ms: u64) -> f64 {
        self.first_ms.map_or(0.0, |first| now_ms.saturating_sub(first) as f64 / 1e3)
    }
}

impl Subscription {
    /// # Errors
    /// When a file cannot be read. `most`: up to how many events the backlog is counted.
    pub fn read(&self, most: u32) -> Result<Option<Reading>, seam_store::Error> {
        let (Some(inbox), Some(outbox)) = (&self.inbox, &self.outbox) else { return Ok(None) };
        let position = inbox.seen(&self.source)?.unwrap_or(0);
        let span = outbox.span(&self.source.interface, position, u64::MAX, most)?;
        let waiting = inbox.waiting_count(&self.source)?;
        Ok(Some(Reading { position, lag: span.events, first_ms: span.first_ms, waiting }))
    }

    /// Why it does not go on, if it does not.
    pub fn away(&self) -> Option<String> {
        self.out_of_service.clone().or_else(|| self.tally.away())
    }
}

/// All subscriptions, in the manifest's order of their subscribers.
pub(super) fn subscriptions(registry: &Registry, tallies: &Tallies) -> Vec<Subscription> {
    let generations = registry.generations();
    let file = |generation: &Generation| {
        let serves = generation.out_of_service().is_none();
        generation.database().filter(|_| serves).cloned()
    };
    let mut all = Vec::new();
    for subscriber in &generations {
        for subscription in &subscriber.spec().settings.subscribes {
            let interface = interface_path(&subscription.interface);
            let publishes = |other: &&Arc<Generation>| {
                other
                    .spec()
                    .settings
                    .publishes
                    .iter()
                    .any(|publication| interface_path(&publication.interface) == interface)
            };
            for publisher in generations.iter().filter(publishes) {
                let source = Source { publisher: publisher.context().to_string(), interface: interface.to_owned() };
                let name = subscriber.context().to_string();
                let out = |generation: &Arc<Generation>| {
                    let problem = generation.out_of_service()?;
                    Some(format!("`{}` is out of service: {}", generation.context(), problem.message))
                };
                all.push(Subscription {
                    tally: tallies.of(&name, &source),
                    subscriber: name,
                    source,
                    inbox: file(subscriber),
                    outbox: file(publisher),
                    out_of_service: out(subscriber).or_else(|| out(publisher)),
                });
            }
        }
    }
    all
}

/// How far every subscription is.
pub fn statuses(registry: &Registry, tallies: &Tallies) -> Vec<SubscriptionStatus> {
    let now_ms = registry.clock().wall_ms();
    let status = |subscription: Subscription| {
        let read = subscription.read(seam_store::limits::EVENT_COUNT_MAX);
        let unreadable = read.as_ref().err().map(ToString::to_string);
        let read = read.ok().flatten();
        let waiting = read.as_ref().map(|read| read.waiting);
        SubscriptionStatus {
            position: read.as_ref().map(|read| read.position),
            lag: read.as_ref().map(|read| read.lag),
            lag_s: read.as_ref().map(|read| read.lag_s(now_ms)),
            retry: waiting.map(|waiting| waiting.retry),
            behind: waiting.map(|waiting| waiting.behind),
            dead: waiting.map(|waiting| waiting.dead),
            away: subscription.away().or(unreadable),
            subscriber: subscription.subscriber,
            publisher: subscription.source.publisher,
            interface: subscription.source.interface,
        }
    };
    subscriptions(registry, tallies).into_iter().map(status).collect()
}
