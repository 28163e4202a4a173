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
use crate::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function, Values};
use crate::limits;
use crate::run::Generation;
use crate::run::metrics::ShadowMetrics;

/// The queue of all shadows of a host. Its thread starts with the first call and ends with the queue.
#[derive(Default)]
pub struct Shadows {
    queue: Mutex<Option<Sender<Job>>>,
    waiting: Arc<AtomicUsize>,
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
    counts: ShadowMetrics,
}

impl Shadow {
    /// Queues the call that was just answered for the shadow, if there is room.
    pub fn follow(&self, call: &Call, callees: &DispatchTable, function: &Function, exchange: &dyn Exchange) {
        // Checked before anything is copied, so that a dropped call costs little.
        let waiting = &self.queue.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= limits::SHADOW_QUEUE_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return self.counts.dropped.inc();
        }
        let (Ok(params), Ok(live)) = (exchange.params(function), exchange.results(function)) else {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return self.counts.failed.inc();
        };
        let function = Function {
            callee: self.generation.index,
            interface: function.interface.clone(),
            name: function.name.clone(),
            signature: function.signature.clone(),
            resolved: Default::default(),
        };
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
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn work(jobs: &Receiver<Job>, waiting: &AtomicUsize) {
    while let Ok(job) = jobs.recv() {
        let started = Instant::now();
        run(job);
        waiting.fetch_sub(1, Ordering::Relaxed);
        let rest = started.elapsed() * (100 - limits::SHADOW_CORE_PERCENT) / limits::SHADOW_CORE_PERCENT;
        std::thread::sleep(rest.min(Duration::from_millis(limits::SHADOW_REST_MS_MAX)));
    }
}

fn run(job: Job) {
    let Job { generation, callees, trace, affinity, function, params, live, counts } = job;
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
