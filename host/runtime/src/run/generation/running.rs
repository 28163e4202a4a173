//! A call that runs on an instance of its own: how it enters a generation, and how it ends.
//!
//! A call enters in one of two ways. Inline: it waits on its thread (decision 1). Asynchronously: where the calls of a
//! context may wait for another host, they hold no thread meanwhile. Everything else is the same.

use std::time::Instant;

use seam_store::blocking;

use super::Generation;
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::run::instance::Instance;
use crate::run::pool::Permit;

pub(super) struct Running<'g> {
    generation: &'g Generation,
    call: Call,
    /// Dropped before the permit: the call that gets the permit may need its memory.
    pub instance: Box<Instance>,
    _permit: Permit<'g, Box<Instance>>,
}

/// When a call was made, and when its guest started to work: the start of an instance does not count against the
/// version.
pub(super) struct Timed {
    started: Instant,
    from: Instant,
}

impl Timed {
    pub fn since(started: Instant) -> Self {
        Self { started, from: started }
    }
}

impl<'g> Running<'g> {
    fn begin(
        generation: &'g Generation,
        call: Call,
        called: Callee,
        callees: &DispatchTable,
        permit: Permit<'g, Box<Instance>>,
        mut instance: Box<Instance>,
    ) -> Self {
        instance.begin(call, callees.entered(generation.pool.clone(), called));
        Self { generation, call, instance, _permit: permit }
    }

    /// The guest has ended with `done`. If it succeeded, its instance is kept for the next call; otherwise it is
    /// dropped, and its open transaction with it.
    pub fn finish<T>(self, done: wasmtime::Result<T>) -> Result<T, Failure> {
        // The permit is dropped last.
        let Self { _permit, generation, call, instance } = self;
        match done {
            Ok(value) => {
                generation.end(&call, instance);
                Ok(value)
            }
            Err(error) => Err(generation.failure_of(&call, &error, &instance)),
        }
    }
}

impl Generation {
    /// Runs one call on an instance of its own, on this thread: checks the call chain before it and counts its outcome
    /// after it. The caller knows this context and the function as `called`; `started` is now.
    pub(in crate::run) fn run<T>(
        &self,
        call: Call,
        called: Callee,
        callees: &DispatchTable,
        started: Instant,
        work: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let mut timed = Timed::since(started);
        let outcome = self.enter(call, called, callees, &mut timed).and_then(|mut running| {
            let done = self.run_guest_code(|| work(&mut running.instance));
            running.finish(done)
        });
        self.counted(&call, callees, &timed, outcome)
    }

    /// Waits on this thread until the call may run.
    fn enter(
        &self,
        call: Call,
        called: Callee,
        callees: &DispatchTable,
        timed: &mut Timed,
    ) -> Result<Running<'_>, Failure> {
        let call = self.lets_in(call, callees, timed.started)?;
        let acquired = self.pool.acquire(called.function, call.deadline);
        let (permit, idle) = acquired.map_err(|refused| self.not_admitted(refused))?;
        let instance = match idle {
            Some(instance) => instance,
            None => {
                let started = self.run_guest_code(|| Instance::start(&self.blueprint));
                timed.from = Instant::now();
                started.map_err(|error| self.failure(&call, &error, "start"))?
            }
        };
        Ok(Running::begin(self, call, called, callees, permit, instance))
    }

    /// Like `enter`, for a component that is linked asynchronously, and without holding a thread.
    pub(super) async fn enter_async(
        &self,
        call: Call,
        called: Callee,
        callees: &DispatchTable,
        timed: &mut Timed,
    ) -> Result<Running<'_>, Failure> {
        let call = self.lets_in(call, callees, timed.started)?;
        let acquired = self.pool.acquire_async(called.function, call.deadline).await;
        let (permit, idle) = acquired.map_err(|refused| self.not_admitted(refused))?;
        let instance = match idle {
            Some(instance) => instance,
            None => {
                let started = Instance::start_async(&self.blueprint).await;
                timed.from = Instant::now();
                started.map_err(|error| self.failure(&call, &error, "start"))?
            }
        };
        Ok(Running::begin(self, call, called, callees, permit, instance))
    }

    /// The call as this context gets it, if no rule keeps it out.
    fn lets_in(&self, call: Call, callees: &DispatchTable, started: Instant) -> Result<Call, Failure> {
        let call = callees.retry_state().map_or(call, |state| state.within_timeout(self.id, call, started));
        let call = self.admit(call, started)?;
        match callees.joint() {
            Some(joint) if !joint.lets_in(&self.blueprint.context) => Err(self.not_a_part(&call)),
            _ => Ok(call),
        }
    }

    /// Counts what became of a call.
    pub(super) fn counted<T>(
        &self,
        call: &Call,
        callees: &DispatchTable,
        timed: &Timed,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (ended, failure) = (Instant::now(), outcome.as_ref().err());
        if matches!(failure, Some(Failure::Moved { .. })) {
            return outcome;
        }
        // What broke while a store did not work says nothing of the version.
        let blamed = failure.filter(|_| !callees.store_fails());
        if !call.bulk {
            self.metrics.record(ended - timed.started, failure);
            self.call_stats.record(ended - timed.from, blamed);
        }
        if blamed.is_none() {
            return outcome;
        }
        if let (Err(Failure::Trapped { .. } | Failure::TimedOut { .. }), Some(state)) =
            (&outcome, callees.retry_state())
        {
            state.failed_in(self.id);
        }
        outcome
    }

    /// Runs guest code on this thread. When the guest may wait in the host, the runtime's other tasks move to another
    /// thread first.
    fn run_guest_code<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.blueprint.waits { blocking::block_in_place(work) } else { work() }
    }
}
