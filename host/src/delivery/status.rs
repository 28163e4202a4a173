//! Every subscription of the running system, and how far it is.

use std::sync::Arc;

use seam_runtime::remote::{Outbox, Unread};
use seam_runtime::run::Generation;
use seam_runtime::serve::{Registry, Said};
use seam_store::ids::{ContextName, interface_path};
use seam_store::{Database, Source, WaitingCount};
use serde::{Deserialize, Serialize};

use super::tally::{Tallies, Tally};
use crate::limits;

/// How far a subscription is. What stands in a file that cannot be read now is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionStatus {
    /// A context, or a variant of one.
    pub subscriber: String,
    pub publisher: String,
    /// The path of the events interface, without a version.
    pub interface: String,
    /// The host on which the subscriber lives, if it is another one: what waits there is shown there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
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

/// A subscription with its two sides, as far as they can be read. At least one of them lives on this host.
pub(super) struct Subscription {
    pub subscriber: String,
    pub source: Source,
    pub side: Side,
    pub outbox: Option<Arc<dyn Outbox>>,
    /// The same, where the publisher lives on this host.
    pub outbox_file: Option<Arc<Database>>,
    pub tally: Arc<Tally>,
    /// Why one of the two contexts is out of service.
    out_of_service: Option<String>,
}

/// The side of the subscriber.
pub(super) enum Side {
    Here { inbox: Option<Arc<Database>> },
    Elsewhere { host: String, said: Option<Said> },
}

/// What can be read of a subscription: the position, the backlog and the events that wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub position: u64,
    pub lag: u64,
    /// When the oldest event of the backlog was published, in milliseconds since 1970.
    pub first_ms: Option<u64>,
    /// `None` where the subscriber lives on another host.
    pub waiting: Option<WaitingCount>,
}

impl Reading {
    /// The age of the backlog's oldest event, in seconds; 0 if there is none.
    pub fn lag_s(&self, now_ms: u64) -> f64 {
        self.first_ms.map_or(0.0, |first| now_ms.saturating_sub(first) as f64 / 1e3)
    }
}

impl Subscription {
    /// The subscriber's file, if it is on this host.
    pub fn inbox(&self) -> Option<&Arc<Database>> {
        match &self.side {
            Side::Here { inbox } => inbox.as_ref(),
            Side::Elsewhere { .. } => None,
        }
    }

    /// The host of the subscriber, if it is another one.
    pub fn elsewhere(&self) -> Option<&str> {
        match &self.side {
            Side::Here { .. } => None,
            Side::Elsewhere { host, .. } => Some(host),
        }
    }

    /// The files that `read` reads, if it asks no other host.
    pub fn files(&self) -> Option<Vec<&Arc<Database>>> {
        Some(vec![self.inbox()?, self.outbox_file.as_ref()?])
    }

    /// The position up to which the subscriber has everything, as far as it is known now.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn position(&self) -> Result<Option<u64>, seam_store::Error> {
        match &self.side {
            Side::Here { inbox: None } => Ok(None),
            Side::Here { inbox: Some(inbox) } => Ok(Some(inbox.seen(&self.source)?.unwrap_or(0))),
            Side::Elsewhere { said, .. } => Ok(said.as_ref().map(|said| said.taken)),
        }
    }

    /// # Errors
    /// When a file cannot be read, or the publisher's host not be asked. `most`: up to how many events the backlog is
    /// counted.
    pub fn read(&self, most: u32) -> Result<Option<Reading>, Unread> {
        let (Some(position), Some(outbox)) = (self.position()?, &self.outbox) else { return Ok(None) };
        let span = outbox.span(&self.source.interface, position, u64::MAX, most)?;
        let waiting = self.inbox().map(|inbox| inbox.waiting_count(&self.source)).transpose()?;
        Ok(Some(Reading { position, lag: span.events, first_ms: span.first_ms, waiting }))
    }

    /// Why it does not go on, if it does not.
    pub fn away(&self) -> Option<String> {
        let silent = || match &self.side {
            Side::Here { .. } => None,
            Side::Elsewhere { host, said: None } => {
                Some(format!("its host `{host}` has not asked for events since this host started; they are kept"))
            }
            Side::Elsewhere { host, said: Some(said) } => {
                let is_silent = said.silent.as_millis() > u128::from(limits::OUTBOX_SILENT_MS);
                let seconds = said.silent.as_secs();
                is_silent.then(|| format!("its host `{host}` has not asked for events for {seconds} s; they are kept"))
            }
        };
        self.out_of_service.clone().or_else(|| self.tally.away()).or_else(silent)
    }
}

/// All subscriptions of which a side lives here, in the manifest's order of their subscribers.
pub(super) fn subscriptions(registry: &Registry, tallies: &Tallies) -> Vec<Subscription> {
    let generations = registry.all_generations();
    let mut all = Vec::new();
    for subscriber in &generations {
        for subscription in &subscriber.spec().settings.subscribes {
            let interface = interface_path(&subscription.interface);
            let publishes = |other: &&Arc<Generation>| {
                let publishes = &other.spec().settings.publishes;
                publishes.iter().any(|publication| interface_path(&publication.interface) == interface)
            };
            let is_here =
                |other: &&Arc<Generation>| subscriber.lives_elsewhere().is_none() || other.lives_elsewhere().is_none();
            let publishers = generations.iter().filter(publishes).filter(is_here);
            all.extend(publishers.map(|publisher| one(registry, tallies, (subscriber, publisher), interface)));
        }
    }
    all
}

/// The file of a context that serves on this host.
fn file(generation: &Generation) -> Option<Arc<Database>> {
    let serves = generation.lives_elsewhere().is_none() && generation.out_of_service().is_none();
    generation.database().filter(|_| serves).cloned()
}

fn one(
    registry: &Registry,
    tallies: &Tallies,
    (subscriber, publisher): (&Arc<Generation>, &Arc<Generation>),
    interface: &str,
) -> Subscription {
    let source = Source { publisher: publisher.context().to_string(), interface: interface.to_owned() };
    let out = |generation: &Arc<Generation>| {
        let problem = generation.out_of_service()?;
        Some(format!("`{}` is out of service: {}", generation.context(), problem.message))
    };
    let outbox_file = file(publisher);
    let outbox: Option<Arc<dyn Outbox>> = match (publisher.lives_elsewhere(), &outbox_file) {
        (Some(_), _) => registry.outbox_elsewhere(subscriber.context(), publisher.context(), interface),
        (None, file) => file.clone().map(|file| -> Arc<dyn Outbox> { file }),
    };
    let side = match subscriber.lives_elsewhere() {
        None => Side::Here { inbox: file(subscriber) },
        Some(host) => Side::Elsewhere { host: host.to_owned(), said: said(registry, subscriber.context(), &source) },
    };
    Subscription {
        tally: tallies.of(subscriber.context().as_str(), &source),
        subscriber: subscriber.context().to_string(),
        source,
        side,
        outbox,
        outbox_file,
        out_of_service: out(subscriber).or_else(|| out(publisher)),
    }
}

fn said(registry: &Registry, subscriber: &ContextName, source: &Source) -> Option<Said> {
    let all = registry.said_of(&source.publisher);
    all.into_iter().find(|said| said.subscriber == *subscriber && said.source == *source)
}

/// How far every subscription is.
pub fn statuses(registry: &Registry, tallies: &Tallies) -> Vec<SubscriptionStatus> {
    let now_ms = registry.clock().wall_ms();
    let status = |subscription: Subscription| {
        let read = subscription.read(seam_store::limits::EVENT_COUNT_MAX);
        let unreadable = read.as_ref().err().map(ToString::to_string);
        let read = read.ok().flatten();
        let waiting = read.as_ref().and_then(|read| read.waiting);
        SubscriptionStatus {
            at: subscription.elsewhere().map(ToOwned::to_owned),
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
