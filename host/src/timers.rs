//! Publishes events whose time has come: moves them from a context's timers to its outbox, where subscribers find them.
//!
//! Invariant: the table in the context's file is the truth; what wakes the thread is a hint to look. The time of day
//! decides, also after it jumped: forward, timers come at once; back, those that came do not come again.
//! Not here: the tables (`seam_store`), who gets the events (`delivery`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use seam_runtime::route::Notify;
use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::{Database, Error, Listener};
use serde::{Deserialize, Serialize};

use crate::limits;

/// The timers of one context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerStatus {
    pub context: String,
    pub waiting: u64,
    /// When the next one is due, in milliseconds since 1970, UTC.
    pub next_ms: Option<u64>,
}

/// What `/metrics` says of timers.
#[derive(Clone)]
pub struct TimerMetrics {
    waiting: IntGaugeVec,
    fired: IntCounterVec,
}

impl TimerMetrics {
    /// # Errors
    /// When a metric of the same name is there.
    pub fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let waiting = Opts::new("seam_timers_waiting", "Events of a context that wait for their time");
        let fired = Opts::new("seam_timers_fired_total", "Events of a context that were published at their time");
        let metrics =
            Self { waiting: IntGaugeVec::new(waiting, &["context"])?, fired: IntCounterVec::new(fired, &["context"])? };
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.fired.clone()))?;
        Ok(metrics)
    }
}

/// The timers of every context that has some.
pub fn statuses(registry: &Registry) -> Vec<TimerStatus> {
    let status = |generation: Arc<Generation>| {
        let database = generation.database()?;
        let (waiting, next_ms) = (database.timers().ok()?, database.next_timer().ok()?);
        (waiting > 0).then(|| TimerStatus { context: generation.context().to_string(), waiting, next_ms })
    };
    registry.generations().into_iter().filter_map(status).collect()
}

/// The thread that looks at the clock. When this is dropped, it ends before the next move.
pub struct Timers {
    stop: Arc<AtomicBool>,
    woken: Arc<Notify>,
}

impl Timers {
    pub fn start(registry: Registry, metrics: TimerMetrics) -> Self {
        let (stop, woken) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new(registry.clock().clone())));
        let (thread_stop, thread_woken) = (stop.clone(), woken.clone());
        let work = move || run(&registry, &metrics, &thread_stop, &thread_woken);
        if let Err(error) = std::thread::Builder::new().name("seam-timers".into()).spawn(work) {
            tracing::error!(target: "timers", %error, "cannot start the thread that publishes events at their time");
        }
        Self { stop, woken }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.woken.notify();
    }
}

/// A file, and what was read of it last: it is read again after a commit, or when a timer is due.
struct Known {
    database: Arc<Database>,
    activity: Option<(u64, u64)>,
    next_ms: Option<u64>,
}

fn run(registry: &Registry, metrics: &TimerMetrics, stop: &AtomicBool, woken: &Arc<Notify>) {
    let wakes = woken.clone();
    let listener: Arc<Listener> = Arc::new(move || wakes.notify());
    let mut known: Vec<Known> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut wait_ms = limits::TIMER_LOOK_MS;
        let publishes = |generation: &Arc<Generation>| !generation.spec().settings.publishes.is_empty();
        for generation in registry.generations().into_iter().filter(publishes) {
            let Some(database) = generation.database().filter(|_| generation.out_of_service().is_none()) else {
                continue;
            };
            let at = known.iter().position(|other| Arc::ptr_eq(&other.database, database)).unwrap_or_else(|| {
                database.listen(&listener);
                known.push(Known { database: database.clone(), activity: None, next_ms: None });
                known.len() - 1
            });
            let Some(known) = known.get_mut(at) else { continue };
            // Before it is read: what is set meanwhile is read the next time.
            let activity = database.activity();
            let until_ms =
                |next_ms: Option<u64>| next_ms.map_or(u64::MAX, |next| next.saturating_sub(database.clock().wall_ms()));
            if activity.is_some() && activity == known.activity && until_ms(known.next_ms) > 0 {
                wait_ms = wait_ms.min(until_ms(known.next_ms));
                continue;
            }
            let context = generation.context().as_str();
            match fire(database) {
                Ok((fired, next_ms)) => {
                    (known.activity, known.next_ms) = (activity, next_ms);
                    metrics.fired.with_label_values(&[context]).inc_by(fired);
                    wait_ms = wait_ms.min(until_ms(next_ms));
                    let waiting = next_ms.map_or(Ok(0), |_| database.timers()).unwrap_or(0);
                    metrics.waiting.with_label_values(&[context]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
                }
                // It is looked at again; a store that does not work says so itself.
                Err(error) => tracing::debug!(target: "timers", context, %error, "timers wait"),
            }
        }
        // Files of generations that are gone.
        known.retain(|file| Arc::strong_count(&file.database) > 1);
        woken.wait(Duration::from_millis(wait_ms));
    }
}

/// Publishes some timers of `database` that are due. How many, and when the next one is due, in milliseconds since
/// 1970.
fn fire(database: &Database) -> Result<(u64, Option<u64>), Error> {
    let now = database.clock().wall_ms();
    let fired = match database.next_timer()? {
        Some(due) if due <= now => {
            let deadline = database.clock().now() + Duration::from_millis(limits::TIMER_WRITE_MS);
            database.fire_timers(now, deadline)?
        }
        next => return Ok((0, next)),
    };
    Ok((fired, database.next_timer()?))
}
