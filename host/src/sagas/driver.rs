//! The threads that perform sagas.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use seam_runtime::route::Notify;
use seam_store::clock::Clock;
use seam_store::limits::SAGAS_KEEP_S;
use seam_store::{Database, Listener};

use super::desk::{Desk, Name};
use super::performer::Performer;
use crate::limits;

/// The contexts whose sagas are performed: those of the running system. Tests put something else in their place.
pub trait Contexts: Send + Sync + 'static {
    type Performer: Performer + Send + Sync;

    /// Those that have a file now, with it.
    fn all(&self) -> Vec<(String, Arc<Database>)>;

    fn performer(&self, context: &str) -> Self::Performer;
}

/// The sagas of a running host. When this is dropped, each thread ends after the saga that it performs; the drop does
/// not wait for that, and what is cut off goes on at the next start.
pub struct Driver(Arc<dyn Stop>);

trait Stop: Send + Sync {
    fn stop(&self);
}

struct Inner<C: Contexts> {
    contexts: C,
    clock: Clock,
    stop: AtomicBool,
    /// Wakes the thread that looks for sagas that are due.
    woken: Arc<Notify>,
    queue: Mutex<Queue<C::Performer>>,
    /// Wakes a thread that has no saga.
    queued: Condvar,
}

struct Queue<P> {
    sagas: VecDeque<(Arc<Desk<P>>, Name)>,
    threads: usize,
    idle: usize,
}

/// A context while the host runs.
struct Context<P> {
    desk: Arc<Desk<P>>,
    /// The file that rings.
    file: Weak<Database>,
    listener: Arc<Listener>,
}

impl Driver {
    pub fn start(contexts: impl Contexts, clock: Clock) -> Self {
        let queue = Mutex::new(Queue { sagas: VecDeque::new(), threads: 0, idle: 0 });
        let (woken, stop) = (Arc::new(Notify::new(clock.clone())), AtomicBool::new(false));
        let inner = Arc::new(Inner { contexts, clock, stop, woken, queue, queued: Condvar::new() });
        let looks = inner.clone();
        spawn("seam-sagas", move || looks.supervise());
        Self(inner)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<C: Contexts> Stop for Inner<C> {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.woken.notify();
        self.queued.notify_all();
    }
}

/// Guests run on these threads. Whether it has started.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(limits::THREAD_STACK_KB << 10);
    let started = thread.spawn(work);
    if let Err(error) = &started {
        tracing::error!(target: "sagas", %error, "cannot start a thread that performs sagas");
    }
    started.is_ok()
}

impl<C: Contexts> Inner<C> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Looks which sagas are due, and forgets those that ended long ago.
    fn supervise(self: Arc<Self>) {
        let mut known: BTreeMap<String, Context<C::Performer>> = BTreeMap::new();
        let (mut forgot, mut wall_ms) = (self.clock.now(), self.clock.wall_ms());
        while !self.stopped() {
            let contexts = self.contexts.all();
            known.retain(|name, _| contexts.iter().any(|(other, _)| other == name));
            let was_ms = std::mem::replace(&mut wall_ms, self.clock.wall_ms());
            let is_set_back = wall_ms < was_ms;
            let mut wait = Duration::from_millis(limits::SAGA_LOOK_MS);
            for (name, database) in &contexts {
                let context = known.entry(name.clone()).or_insert_with(|| self.context(name));
                let file = Arc::downgrade(database);
                if !context.file.ptr_eq(&file) {
                    database.listen_sagas(&context.listener);
                    context.desk.note_change();
                }
                if is_set_back || !context.file.ptr_eq(&file) {
                    self.hasten(name, database);
                }
                context.file = file;
                wait = wait.min(context.desk.take(database, |saga| self.queue(&context.desk, saga)));
            }
            if self.clock.elapsed_since(forgot) >= Duration::from_secs(limits::SAGA_FORGET_S) {
                forgot = self.clock.now();
                contexts.iter().for_each(|(name, database)| self.forget(name, database));
            }
            drop(contexts);
            self.woken.wait(wait.max(Duration::from_millis(1)));
        }
    }

    fn context(&self, name: &str) -> Context<C::Performer> {
        let desk = Arc::new(Desk::new(name.to_owned(), self.contexts.performer(name), self.clock.clone()));
        let (rings, woken) = (desk.clone(), self.woken.clone());
        let listener: Arc<Listener> = Arc::new(move || {
            rings.note_change();
            woken.notify();
        });
        Context { desk, file: Weak::new(), listener }
    }

    /// Has a thread perform this saga; starts one if none is free and there may be more.
    fn queue(self: &Arc<Self>, desk: &Arc<Desk<C::Performer>>, saga: Name) {
        let mut queue = self.queue.lock();
        queue.sagas.push_back((desk.clone(), saga));
        if queue.idle < queue.sagas.len() && queue.threads < limits::SAGA_WORKERS_MAX {
            let works = self.clone();
            queue.threads += usize::from(spawn("seam-saga", move || works.work()));
        }
        self.queued.notify_one();
    }

    /// Performs sagas until there is none for a while.
    fn work(&self) {
        // Also when it unwinds.
        let _ended = Ended(&self.queue, &self.woken);
        while let Some((desk, saga)) = self.next() {
            desk.perform(&saga);
            self.woken.notify();
        }
    }

    fn next(&self) -> Option<(Arc<Desk<C::Performer>>, Name)> {
        let mut queue = self.queue.lock();
        loop {
            if self.stopped() {
                return None;
            }
            if let Some(next) = queue.sagas.pop_front() {
                return Some(next);
            }
            queue.idle += 1;
            let waited = self.queued.wait_for(&mut queue, Duration::from_secs(limits::SAGA_WORKER_IDLE_S));
            queue.idle -= 1;
            if waited.timed_out() && queue.sagas.is_empty() {
                return None;
            }
        }
    }

    /// The time of day may be before the one by which sagas are tried again.
    fn hasten(&self, context: &str, database: &Database) {
        match database.hasten_sagas(self.clock.wall_ms()) {
            Ok(0) => {}
            Ok(sagas) => tracing::warn!(target: "sagas", context, sagas, "the clock was set back; sagas go on now"),
            Err(error) => tracing::debug!(target: "sagas", context, %error, "cannot look at sagas"),
        }
    }

    /// Forgets sagas that ended long ago, some at a time, until there are no more.
    fn forget(&self, context: &str, database: &Database) {
        let before_ms = self.clock.wall_ms().saturating_sub(1_000 * SAGAS_KEEP_S);
        while !self.stopped() {
            match database.forget_sagas(before_ms) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(target: "sagas", context, %error, "cannot forget sagas that have ended");
                    break;
                }
            }
        }
    }
}

/// Takes a thread that ends off the count. If it leaves a saga, that is looked for.
struct Ended<'q, P>(&'q Mutex<Queue<P>>, &'q Notify);

impl<P> Drop for Ended<'_, P> {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.1.notify();
    }
}
