//! Events that cross hosts, from both sides: the outboxes of other hosts that subscribers here read, and how far
//! subscribers on other hosts have read the outboxes here.
//!
//! Invariant: how far a subscriber elsewhere is, is known only from itself, and only since this host started. What is
//! not known keeps events from being forgotten.
//! Not here: who may ask (the crate `seam`, `remote`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::{ContextName, interface_path};
use seam_store::{Database, Listener, Source};

use super::registry::Registry;
use crate::call::Failure;
use crate::limits;
use crate::remote::{Ask, Asked, Carrier, OutboxElsewhere, Page, Question, Reply};

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
    fn note(&self, key: (ContextName, Source), taken: u64) -> Asks<'_> {
        let mut said = self.said.lock();
        let last = said.entry(key.clone()).or_insert(Last { taken, at: self.clock.now(), asking: 0 });
        (last.taken, last.at) = (taken, self.clock.now());
        last.asking += 1;
        Asks { outboxes: self, key }
    }
}

/// A question that is being answered.
struct Asks<'o> {
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

/// Answers a question of a subscriber on another host.
pub(super) async fn answer(registry: &Registry, ask: Ask) -> Asked {
    let Ask { subscriber, publisher, interface, question, .. } = ask;
    let outbox = outbox(registry, &publisher, &interface)?;
    let absent = |error: seam_store::Error| {
        let (context, reason) = (publisher.to_string(), error.to_string());
        Failure::Absent { context, reason }
    };
    match question {
        Question::Page { after, most, wait, taken } => {
            // A variant of the publisher has its own outbox, whichever of its two names it was asked by.
            let named = registry.name_of(publisher.as_str());
            let key = (subscriber, Source { publisher: named, interface: interface.clone() });
            let _asks = taken.map(|taken| registry.outboxes_said().note(key, taken));
            page(&outbox, &interface, after, most, wait).await.map(Reply::Page).map_err(absent)
        }
        Question::Span { after, up_to, most } => {
            outbox.span(&interface, after, up_to, most).map(Reply::Span).map_err(absent)
        }
        Question::Kinds { after } => outbox.kinds(&interface, after).map(Reply::Kinds).map_err(absent),
    }
}

/// The file of a context of this host that publishes the interface.
fn outbox(registry: &Registry, publisher: &ContextName, interface: &str) -> Result<Arc<Database>, Failure> {
    let set = registry.serving();
    let generation = set.generation(publisher.as_str())?;
    if generation.lives_elsewhere().is_some() || generation.out_of_service().is_some() {
        return Err(generation.absence());
    }
    let absent = |reason: String| Failure::Absent { context: publisher.to_string(), reason };
    let publishes = &generation.spec().settings.publishes;
    if !publishes.iter().any(|publication| interface_path(&publication.interface) == interface) {
        return Err(absent(format!("it does not publish `{interface}`")));
    }
    generation.database().cloned().ok_or_else(|| absent("it has no store".to_owned()))
}

/// The events after a position; waits for one if there is none.
async fn page(
    outbox: &Arc<Database>,
    interface: &str,
    after: u64,
    most: u32,
    wait: Duration,
) -> Result<Page, seam_store::Error> {
    let deadline = Instant::now() + wait.min(Duration::from_millis(limits::OUTBOX_WAIT_MS));
    let woken = Arc::new(tokio::sync::Notify::new());
    let wakes = woken.clone();
    let listener: Arc<Listener> = Arc::new(move || wakes.notify_one());
    outbox.listen(&listener);
    loop {
        let kept = outbox.kept()?;
        let events = outbox.published(Some(interface), after, most)?;
        if !events.is_empty() || Instant::now() >= deadline {
            return Ok(Page { events, kept });
        }
        let _ = tokio::time::timeout_at(deadline.into(), woken.notified()).await;
    }
}
