//! Shadows: after a variant has answered a call, the host calls another variant with copies of the arguments. The host
//! compares its answer with the live answer and never shows it.
//!
//! Invariants: no caller waits for a shadow. One thread calls the shadows, one after the other, and rests in between,
//! so that all shadows of a host together take at most `SHADOW_CORE_PERCENT` of one core; calls that find the queue
//! full are dropped and counted. A shadow cannot call other contexts (`RefusalReason::Shadow`), so it writes only to
//! its own store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::ids::Trace;
use wasmtime::component::Val;

use super::{Readiness, overlap};
use crate::call::{Affinity, Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function, Values};
use crate::limits;
use crate::run::Generation;
use crate::run::metrics::ShadowMetrics;

/// The queue of all shadows of a host. Its thread starts with the first call and ends with the queue.
#[derive(Default)]
pub struct Shadows {
    queue: Mutex<Option<Sender<Job>>>,
    waiting: Arc<Waiting>,
}

/// The calls in the queue, and at most what their values take.
#[derive(Default)]
struct Waiting {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// Whether there is room for a call whose values take at most so many bytes; then it has entered.
    fn enter(&self, bytes: usize) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let fits = calls <= limits::SHADOW_QUEUE_MAX && all <= limits::SHADOW_QUEUE_BYTES_MAX;
        if !fits {
            self.leave(bytes);
        }
        fits
    }

    fn leave(&self, bytes: usize) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One variant that is called beside the others.
pub(super) struct Shadow {
    pub generation: Arc<Generation>,
    pub counts: ShadowMetrics,
    pub readiness: Arc<Readiness>,
    pub queue: Arc<Shadows>,
}

struct Job {
    generation: Arc<Generation>,
    callees: DispatchTable,
    trace: Trace,
    affinity: Affinity,
    function: Function,
    params: Vec<Val>,
    /// The live answer.
    live: Vec<Val>,
    bytes: usize,
    counts: ShadowMetrics,
}

impl Shadow {
    /// Queues the call that was just answered for the shadow, if there is room.
    pub fn follow(&self, call: &Call, callees: &DispatchTable, function: &Function, exchange: &dyn Exchange) {
        // Checked before anything is copied, so that a dropped call costs little.
        let (waiting, bytes) = (&self.queue.waiting, exchange.bytes_as_values());
        if bytes > limits::COPIED_VALUES_BYTES_MAX || !waiting.enter(bytes) {
            return self.counts.dropped.inc();
        }
        let (Ok(params), Ok(live)) = (exchange.params(function), exchange.results(function)) else {
            waiting.leave(bytes);
            return self.counts.failed.inc();
        };
        let function = Function::new(
            Callee::without_function(self.generation.index),
            function.interface.clone(),
            function.name.clone(),
            function.signature.clone(),
        );
        let mut affinity = call.affinity;
        affinity.shadow = true;
        self.queue.send(Job {
            generation: self.generation.clone(),
            callees: callees.untracked(),
            trace: call.trace,
            affinity,
            function,
            params,
            live,
            bytes,
            counts: self.counts.clone(),
        });
    }
}

impl Shadows {
    fn send(&self, job: Job) {
        let mut queue = self.queue.lock();
        let sender = match &*queue {
            Some(sender) => sender.clone(),
            None => {
                let (sender, jobs) = channel();
                let waiting = self.waiting.clone();
                let thread = std::thread::Builder::new().name("seam-shadow".into());
                // Guests run on this thread.
                if let Err(error) =
                    thread.stack_size(limits::THREAD_STACK_KB << 10).spawn(move || work(&jobs, &waiting))
                {
                    tracing::warn!(%error, "the thread for shadows does not start; their calls are dropped");
                }
                queue.insert(sender).clone()
            }
        };
        drop(queue);
        // Without the thread the channel has no receiver, and the job counts as dropped.
        if let Err(unsent) = sender.send(job) {
            unsent.0.counts.dropped.inc();
            self.waiting.leave(unsent.0.bytes);
        }
    }
}

fn work(jobs: &Receiver<Job>, waiting: &Waiting) {
    while let Ok(job) = jobs.recv() {
        let (started, bytes) = (Instant::now(), job.bytes);
        run(job);
        waiting.leave(bytes);
        let rest = started.elapsed() * (100 - limits::SHADOW_CORE_PERCENT) / limits::SHADOW_CORE_PERCENT;
        std::thread::sleep(rest.min(Duration::from_millis(limits::SHADOW_REST_MS_MAX)));
    }
}

fn run(job: Job) {
    let Job { generation, callees, trace, affinity, function, params, live, counts, .. } = job;
    let started = Instant::now();
    let mut call = Call::start(started + generation.spec().settings.limits.timeout, trace);
    call.affinity = affinity;
    let mut results = live.iter().map(|_| Val::Bool(false)).collect::<Vec<_>>();
    let outcome: Result<(), Failure> =
        generation.call(call, &callees, &function, &mut Values { params: &params, results: &mut results });
    counts.calls.record(started.elapsed(), outcome.as_ref().err());
    if outcome.is_err() {
        return counts.failed.inc();
    }
    if results == live {
        counts.equal.inc()
    } else {
        counts.different.inc()
    }
    if let Some(overlap) = overlap::of(&live, &results) {
        counts.lists.inc();
        counts.overlap.inc_by(overlap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_wait_are_bounded_by_number_and_by_bytes() {
        let waiting = Waiting::default();
        assert!((0..limits::SHADOW_QUEUE_MAX).all(|_| waiting.enter(1)) && !waiting.enter(1));
        (0..limits::SHADOW_QUEUE_MAX).for_each(|_| waiting.leave(1));
        assert!(waiting.enter(limits::SHADOW_QUEUE_BYTES_MAX - 1));
        assert!(!waiting.enter(2) && waiting.enter(1), "what was refused takes no room");
    }
}
