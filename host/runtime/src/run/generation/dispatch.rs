//! Calls of other contexts into a generation.

use std::sync::atomic::Ordering;
use std::time::Instant;

use seam_store::blocking;

use super::Generation;
use super::running::Timed;
use crate::call::{Call, Failure};
use crate::component::same_signature;
use crate::guest::dispatch::{Answering, Dispatch, DispatchTable, Exchange, Function};
use crate::run::instance::Instance;
use crate::run::recorder::Noted;

impl Generation {
    /// The index of `function` in `exports`, looked up once for each version of this context.
    fn resolve(&self, function: &Function) -> Option<usize> {
        let cached = function.resolved.get(self.id as usize % function.resolved.len())?;
        let known = cached.load(Ordering::Relaxed);
        if known >> 16 == self.id {
            return Some((known & 0xffff) as usize);
        }
        let (at, export) = self.find(&function.interface, &function.name)?;
        let fits = same_signature(&function.signature, &export.signature);
        let slot = fits.then_some(at)?;
        cached.store(self.id << 16 | slot as u64 & 0xffff, Ordering::Relaxed);
        Some(slot)
    }
}

impl Generation {
    /// The index of `function` in `exports`.
    fn found(&self, function: &Function) -> Result<usize, Failure> {
        self.resolve(function).ok_or_else(|| {
            if self.spec.component.is_placeholder() {
                return self.absence();
            }
            let reason = format!("its running version has no `{}.{}` of that type", function.interface, function.name);
            Failure::Absent { context: self.blueprint.context.to_string(), reason }
        })
    }

    /// The callee at the new home of the context, for a call that waited while the context moved there. A call from
    /// another host is sent there by that host itself, whose certificate names its caller.
    fn goes_on_elsewhere(&self, outcome: &Result<(), Failure>, exchange: &dyn Exchange) -> Option<&dyn Dispatch> {
        match outcome {
            Err(Failure::Moved { .. }) if !exchange.is_from_elsewhere() => Some(&*self.new_home.get()?.callee),
            _ => None,
        }
    }

    /// Keeps a call that is recorded.
    fn keep(
        &self,
        at: usize,
        function: &Function,
        exchange: &dyn Exchange,
        outcome: &Result<(), Failure>,
        noted: Noted,
        started: Instant,
    ) {
        if let Some(export) = self.blueprint.exports.get(at) {
            self.recorder.keep_call(function, &export.interface, exchange, outcome, noted, started.elapsed());
        }
    }
}

impl Dispatch for Generation {
    fn store_fails(&self) -> bool {
        self.database().is_some_and(|database| database.is_troubled())
    }

    fn waits(&self, _: &Call) -> bool {
        self.blueprint.asynchronous
    }

    fn call(
        &self,
        mut call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let (at, mut noted) = (self.found(function)?, Noted::default());
        let (now, made) = (Instant::now(), call);
        call.deadline = call.callee_deadline(now);
        let taken = self.recorder.takes(now);
        let outcome = self.run(call, function.callee, callees, now, |instance| {
            if !taken {
                return invoke(instance, at, exchange);
            }
            instance.note();
            let done = invoke(instance, at, exchange);
            noted = instance.noted();
            done
        });
        if let Some(elsewhere) = self.goes_on_elsewhere(&outcome, exchange) {
            return elsewhere.call(made, callees, function, exchange);
        }
        if taken {
            self.keep(at, function, exchange, &outcome, noted, now);
        }
        outcome
    }

    fn call_async<'a>(
        &'a self,
        mut call: Call,
        callees: &'a DispatchTable,
        function: &'a Function,
        exchange: &'a mut dyn Exchange,
    ) -> Answering<'a> {
        if !self.blueprint.asynchronous {
            return Box::pin(async move { self.call(call, callees, function, exchange) });
        }
        Box::pin(async move {
            let (at, mut noted) = (self.found(function)?, Noted::default());
            let (now, made) = (Instant::now(), call);
            call.deadline = call.callee_deadline(now);
            let (taken, mut timed) = (self.recorder.takes(now), Timed::since(now));
            let outcome = match self.enter_async(call, function.callee, callees, &mut timed).await {
                Ok(mut running) => {
                    let instance = &mut running.instance;
                    if taken {
                        instance.note();
                    }
                    let done = match instance.functions.get(at) {
                        Some(func) => exchange.invoke_async(func, &mut instance.store).await,
                        None => Err(missing()),
                    };
                    if taken {
                        noted = instance.noted();
                    }
                    running.finish(done)
                }
                Err(failure) => Err(failure),
            };
            let outcome = self.counted(&call, callees, &timed, outcome);
            if let Some(elsewhere) = self.goes_on_elsewhere(&outcome, exchange) {
                return elsewhere.call_async(made, callees, function, exchange).await;
            }
            if taken {
                self.keep(at, function, exchange, &outcome, noted, now);
            }
            outcome
        })
    }
}

/// Calls the function at `at` on this thread, which waits while the guest waits for another host.
fn invoke(instance: &mut Instance, at: usize, exchange: &mut dyn Exchange) -> wasmtime::Result<()> {
    let func = instance.functions.get(at).ok_or_else(missing)?;
    match instance.asynchronous {
        true => blocking::block_on(exchange.invoke_async(func, &mut instance.store)),
        false => exchange.invoke(func, &mut instance.store),
    }
}

fn missing() -> wasmtime::Error {
    wasmtime::format_err!("no such function")
}
