//! Events that cross hosts, from both sides: the outboxes of other hosts that subscribers here read, and how far
//! subscribers on other hosts have read the outboxes here.
//!
//! Invariant: how far a subscriber elsewhere is, is known only from itself, and only since this host started. What is
//! not known keeps events from being forgotten.
//! Not here: what is answered to them (`asked`), and who may ask (the crate `seam`, `remote`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::Source;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;

use crate::remote::{Carrier, OutboxElsewhere};

pub(super) struct Outboxes {
    carrier: Option<Arc<dyn Carrier>>,
    clock: Clock,
    /// By the subscriber here, and by whose events it takes.
    elsewhere: Mutex<BTreeMap<(ContextName, Source), Arc<OutboxElsewhere>>>,
    /// By the subscriber elsewhere, and by whose events it takes.
    said: Mutex<BTreeMap<(ContextName, Source), Last>>,
}

/// What a subscriber on another host has said last.
#[derive(Clone, Copy)]
struct Last {
    taken: u64,
    at: Instant,
    /// Its questions that wait now.
    asking: u32,
}

/// How far a subscriber on another host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// A context, or a variant of one.
    pub subscriber: ContextName,
    pub source: Source,
    /// Its file durably has all events up to this position.
    pub taken: u64,
    /// For how long it has asked for no further ones.
    pub silent: Duration,
}

impl Outboxes {
    pub fn new(carrier: Option<Arc<dyn Carrier>>, clock: Clock) -> Self {
        Self { carrier, clock, elsewhere: Mutex::default(), said: Mutex::default() }
    }

    /// The outbox of a publisher on another host. `None` without connections to other hosts.
    pub fn elsewhere(
        &self,
        subscriber: &ContextName,
        publisher: &ContextName,
        interface: &str,
    ) -> Option<Arc<OutboxElsewhere>> {
        let carrier = self.carrier.as_ref()?;
        let source = source(publisher, interface);
        let mut all = self.elsewhere.lock();
        let outbox = all.entry((subscriber.clone(), source)).or_insert_with(|| {
            let (subscriber, publisher) = (subscriber.clone(), publisher.clone());
            Arc::new(OutboxElsewhere::new(subscriber, publisher, carrier.clone(), self.clock.clone()))
        });
        Some(outbox.clone())
    }

    /// Whether the host of a context that lives elsewhere cannot be reached now.
    pub fn is_down(&self, context: &ContextName) -> bool {
        self.carrier.as_ref().is_none_or(|carrier| carrier.is_down(context))
    }

    pub fn said_of(&self, publisher: &str) -> Vec<Said> {
        let now = self.clock.now();
        let said = self.said.lock();
        let of_it = said.iter().filter(|((_, source), _)| source.publisher == publisher);
        let said = of_it.map(|((subscriber, source), last)| Said {
            subscriber: subscriber.clone(),
            source: source.clone(),
            taken: last.taken,
            silent: if last.asking > 0 { Duration::ZERO } else { now.saturating_duration_since(last.at) },
        });
        said.collect()
    }

    /// Notes what a subscriber says, and that it asks until the result is dropped.
    pub fn note(&self, key: (ContextName, Source), taken: u64) -> Asks<'_> {
        let mut said = self.said.lock();
        let last = said.entry(key.clone()).or_insert(Last { taken, at: self.clock.now(), asking: 0 });
        (last.taken, last.at) = (taken, self.clock.now());
        last.asking += 1;
        Asks { outboxes: self, key }
    }
}

/// A question that is being answered.
pub(super) struct Asks<'o> {
    outboxes: &'o Outboxes,
    key: (ContextName, Source),
}

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        if let Some(last) = self.outboxes.said.lock().get_mut(&self.key) {
            last.asking = last.asking.saturating_sub(1);
            last.at = self.outboxes.clock.now();
        }
    }
}

fn source(publisher: &ContextName, interface: &str) -> Source {
    Source { publisher: publisher.to_string(), interface: interface.to_owned() }
}
