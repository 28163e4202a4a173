//! Brings events from the outboxes of those who publish to those who subscribe.
//!
//! Each subscriber has a thread of its own, so one that is slow, broken or out of service stops no other. The tables in
//! the contexts' files are the truth; what wakes a thread is only a hint to look.
//! A publisher may live on another host: then its outbox is read from there (`seam_runtime::remote`), and all else is
//! the same.
//! Not here: the tables (`seam_store`), the transaction around a handler (`seam_runtime::run`).

mod handler;
mod metrics;
mod operator;
mod status;
mod subscriber;
mod tally;
#[cfg(test)]
mod tests;
mod unchanged;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use seam_runtime::remote::Outbox;
use seam_runtime::route::Notify;
use seam_runtime::serve::Registry;
use seam_store::ids::interface_path;
use seam_store::{Database, Listener, Source, WaitState};

pub use handler::{ContextHandler, Handler, Note};
pub use metrics::EventMetrics;
pub use operator::{Operator, Order, Replay, ReplayPlan, ReplayStart, Selection, Shown, Which};
use status::subscriptions;
pub use status::{SubscriptionStatus, statuses};
pub use subscriber::{Next, Subscriber};
pub use tally::{Tallies, Tally};

use crate::limits;

/// The deliveries of a running host. When this is dropped, each thread ends after its current delivery; the drop does
/// not wait for that, and what is cut off is delivered again.
pub struct Deliveries(Arc<Inner>);

struct Inner {
    registry: Registry,
    stop: AtomicBool,
    /// The threads that run, each with what wakes it.
    threads: Mutex<BTreeMap<String, Arc<Notify>>>,
    /// Wakes the thread that starts the others.
    woken: Notify,
    tallies: Tallies,
}

impl Deliveries {
    /// Starts delivering to every context that subscribes, now or after a later change of the system.
    /// What operators see of it stands in the `tallies`.
    pub fn start(registry: Registry, tallies: Tallies) -> Self {
        let woken = Notify::new(registry.clock().clone());
        let inner =
            Arc::new(Inner { registry, stop: AtomicBool::new(false), threads: Mutex::default(), woken, tallies });
        let work = inner.clone();
        spawn("seam-events", move || work.supervise());
        Self(inner)
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.woken.notify();
        self.0.threads.lock().values().for_each(|thread| thread.notify());
    }
}

/// Guests run on these threads.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(limits::THREAD_STACK_KB << 10);
    if let Err(error) = thread.spawn(work) {
        tracing::error!(target: "delivery", %error, "cannot start a thread that delivers events");
    }
}

impl Inner {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Starts a thread for each subscriber that has none, and forgets events that everyone has.
    fn supervise(self: Arc<Self>) {
        let clock = self.registry.clock().clone();
        let mut forgot = clock.now();
        while !self.stopped() {
            for subscriber in self.registry.subscribers() {
                let subscriber = subscriber.to_string();
                let mut threads = self.threads.lock();
                if !threads.contains_key(&subscriber) {
                    let woken = Arc::new(Notify::new(clock.clone()));
                    threads.insert(subscriber.clone(), woken.clone());
                    let inner = self.clone();
                    spawn("seam-deliver", move || inner.deliver(&subscriber, &woken));
                }
            }
            if clock.elapsed_since(forgot) >= Duration::from_secs(limits::EVENT_FORGET_S) {
                forgot = clock.now();
                self.forget();
            }
            self.woken.wait(Duration::from_millis(limits::EVENT_LOOK_MS));
        }
    }

    /// Delivers to one context until it subscribes to nothing, or the host stops.
    fn deliver(&self, subscriber: &str, woken: &Arc<Notify>) {
        let wakes = woken.clone();
        let listener: Arc<Listener> = Arc::new(move || wakes.notify());
        // Weak: a file is closed once no generation has it.
        let mut listening: Vec<Weak<dyn Outbox>> = Vec::new();
        let handler = ContextHandler::new(self.registry.clone(), subscriber);
        while !self.stopped() {
            let Ok(live) = self.registry.live(subscriber) else { break };
            let name = live.generation().context().clone();
            let subscriptions = live.generation().spec().settings.subscribes.clone();
            drop(live);
            if subscriptions.is_empty() {
                break;
            }
            let (mut wait_ms, mut sources) = (limits::EVENT_LOOK_MS, Vec::new());
            for subscription in &subscriptions {
                let interface = interface_path(&subscription.interface).to_owned();
                for (publisher, outbox) in self.registry.outboxes(&name, &interface) {
                    let file = Arc::downgrade(&outbox);
                    if !listening.iter().any(|other| other.ptr_eq(&file)) {
                        outbox.listen(&listener);
                        listening.push(file);
                    }
                    let source = Source { publisher: publisher.to_string(), interface: interface.clone() };
                    let tally = self.tallies.of(subscriber, &source);
                    let step = Subscriber { handler: &handler, subscription, source, outbox, tally };
                    wait_ms = wait_ms.min(self.run(subscriber, &step));
                    sources.push(step.source);
                }
            }
            self.note_readiness(&handler, &sources);
            listening.retain(|file| file.strong_count() > 0);
            woken.wait(Duration::from_millis(wait_ms));
        }
        self.threads.lock().remove(subscriber);
    }

    /// Notes how far a variant is, which may answer once it has had everything.
    fn note_readiness(&self, handler: &ContextHandler, sources: &[Source]) {
        let (context, events) = (&handler.context, handler.handled());
        let Some(readiness) = self.registry.readiness(context) else { return };
        let away = |source: &Source| self.tallies.of(context, source).away();
        let (was_ready, mut error) = (readiness.is_ready(), sources.iter().find_map(away));
        let is_ready = match handler.database() {
            Ok(database) => {
                error = error.or_else(|| sources.iter().find_map(|source| behind(&database, source)));
                sources.iter().all(|source| database.caught_up(source).unwrap_or(was_ready))
            }
            Err(_) => was_ready,
        };
        if is_ready && !was_ready {
            tracing::info!(target: "delivery", context, events, "a variant has caught up and may answer");
        }
        readiness.note(events, is_ready, error);
    }

    /// Steps for as long as there is something to do, but not without end: others of the same subscriber wait. For how
    /// many milliseconds there is nothing to do.
    fn run(&self, name: &str, subscriber: &Subscriber<'_, ContextHandler>) -> u64 {
        let publisher = &subscriber.source.publisher;
        for _ in 0..limits::EVENT_STEPS_MAX {
            let next = subscriber.step();
            let away = match &next {
                Next::Away(why) => Some(why.as_str()),
                Next::Now | Next::Later(_) => None,
            };
            match (subscriber.tally.set_away(away), away) {
                (false, _) => {}
                (true, None) => {
                    tracing::info!(target: "delivery", subscriber = name, publisher, "events are delivered again");
                }
                (true, Some(why)) => tracing::warn!(
                    target: "delivery", subscriber = name, publisher,
                    "events wait, and are delivered once it works: {why}"
                ),
            }
            match next {
                Next::Now if !self.stopped() => {}
                Next::Now => return 0,
                Next::Later(due) => {
                    return due.map_or(limits::EVENT_LOOK_MS, |due| due.saturating_sub(subscriber.now_ms()).max(1));
                }
                Next::Away(_) => return limits::EVENT_LOOK_MS,
            }
        }
        0
    }

    /// Forgets the events that are old enough and that every subscriber has.
    fn forget(&self) {
        for generation in self.registry.generations() {
            let (Some(database), publishes) = (generation.database(), &generation.spec().settings.publishes) else {
                continue;
            };
            // One outbox for all interfaces: the longest of their times.
            let keeps: Option<Vec<Duration>> = publishes.iter().map(|publication| publication.keep).collect();
            let Some(keep) = keeps.and_then(|keeps| keeps.into_iter().max()) else { continue };
            let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            let before = self.registry.clock().wall_ms().saturating_sub(keep_ms);
            let publisher = generation.context().as_str();
            let Some(up_to) = self.taken_by_all(publisher) else { continue };
            // Some at a time, until there are no more: as fast as they come in, they go.
            while !self.stopped() {
                match database.forget_published(up_to, before) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(target: "delivery", publisher, %error, "cannot forget old events");
                        break;
                    }
                }
            }
        }
    }

    /// The position up to which every subscriber has the events of `publisher`, on whichever host it lives; `None` if
    /// that cannot be known now.
    fn taken_by_all(&self, publisher: &str) -> Option<u64> {
        // Also of variants that are on their host and not on this one.
        let said = self.registry.said_of(publisher).into_iter().map(|said| said.taken).min().unwrap_or(u64::MAX);
        let mut all = subscriptions(&self.registry, &self.tallies).into_iter();
        all.try_fold(said, |up_to, subscription| {
            if subscription.source.publisher != publisher {
                return Some(up_to);
            }
            Some(up_to.min(subscription.position().ok()??))
        })
    }
}

/// Which events of `source` a subscriber could not handle yet, and why.
fn behind(inbox: &Database, source: &Source) -> Option<String> {
    let waiting = inbox.waiting_count(source).ok()?.waiting();
    let first = inbox.waiting(source, Some(WaitState::Retry), 0, 1).ok()?.pop()?;
    let waits = if waiting == 1 { "event waits" } else { "events wait" };
    Some(format!("{waiting} {waits} for another try, the first after: {}", first.reason))
}
