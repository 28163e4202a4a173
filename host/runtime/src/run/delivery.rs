//! Events that reach a context: some calls of its own interfaces that share one transaction.
//!
//! Invariant: what the handlers write and what the host notes of the events commit together, or neither does.
//! Not here: which events, and what becomes of those that fail (the driver of deliveries); what is undone when one is
//! rejected (`stretches`).

use std::time::Instant;

use seam_store::{Error, Transaction};
use wasmtime::component::Val;

use super::blueprint::Export;
use super::generation::Generation;
use super::instance::Instance;
use super::stretches::{self, Handled, Handlers};
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::guest::store::Session;
use crate::limits;

/// An event for one of the context's exports.
pub struct Arrival<'e> {
    /// The position in `Generation::exports`.
    pub export: usize,
    /// The arguments, as JSON. They are read when it is this event's turn: values of many events at once would be many
    /// small pieces of memory.
    pub data: &'e str,
    pub subject: Option<&'e str>,
}

/// Why nothing of a delivery is written.
#[derive(Debug, Clone)]
pub enum Undelivered {
    /// The handler of this event, by its position among the arrivals, trapped or ran out of time.
    Event(usize, Failure),
    /// The context cannot be called now.
    Context(Failure),
    /// Its store did not do what it was asked for. After `Error::Unavailable` it may have committed.
    Store(Error),
}

impl Generation {
    /// Calls the handlers of `arrivals`, one after the other, until all are handled or `DELIVERY_BATCH_MS` has passed.
    /// `mark` gets what became of the first ones, in order, and the transaction in which the handlers wrote, which
    /// commits afterwards. Returns how many those are.
    ///
    /// # Errors
    /// When nothing is written.
    pub(crate) fn deliver(
        &self,
        call: Call,
        callees: &DispatchTable,
        arrivals: &[Arrival<'_>],
        mark: impl FnOnce(&mut Transaction, &[Handled]) -> Result<(), Error>,
    ) -> Result<usize, Undelivered> {
        let started = Instant::now();
        let mut at = None;
        let outcome = self.run(call, Callee::without_function(self.index), callees, started, |instance| {
            session(instance)?.start_delivery();
            let subjects: Vec<_> = arrivals.iter().map(|arrival| arrival.subject).collect();
            let calls = &mut Exports { exports: self.exports(), instance, arrivals, at: &mut at };
            let handled = match stretches::handle(calls, &subjects) {
                Ok(handled) => handled,
                Err(Stop::Store(error)) => return Ok(Err(error)),
                Err(Stop::Guest(error)) => return Err(error),
            };
            let data = instance.store.data_mut();
            let (deadline, session) = (data.deadline, data.store.as_mut().ok_or_else(no_store)?);
            let committed = session.end_delivery(deadline, |transaction| mark(transaction, &handled));
            Ok(committed.map(|()| handled.len()))
        });
        match (outcome, at) {
            (Ok(committed), _) => committed.map_err(Undelivered::Store),
            (Err(failure @ (Failure::Trapped { .. } | Failure::TimedOut { .. })), Some(at)) => {
                Err(Undelivered::Event(at, failure))
            }
            (Err(failure), _) => Err(Undelivered::Context(failure)),
        }
    }
}

/// The exports that handle `arrivals`, in the session of the instance.
struct Exports<'i> {
    exports: &'i [Export],
    instance: &'i mut Instance,
    arrivals: &'i [Arrival<'i>],
    /// The event that is being handled.
    at: &'i mut Option<usize>,
}

/// Why a delivery ended: the guest trapped, or its store did not do what it was asked for.
enum Stop {
    Guest(wasmtime::Error),
    Store(Error),
}

impl Handlers for Exports<'_> {
    type Error = Stop;

    fn start(&mut self) -> Result<(), Stop> {
        session(self.instance).map_err(Stop::Guest)?.start_events().map_err(Stop::Store)
    }

    fn handle(&mut self, at: usize) -> Result<Result<(), String>, Stop> {
        let arrival = self.arrivals.get(at).ok_or_else(|| Stop::Guest(missing()))?;
        let export = self.exports.get(arrival.export).ok_or_else(|| Stop::Guest(missing()))?;
        let params = match export.arguments().read(arrival.data) {
            Ok(params) => params,
            Err(why) => return Ok(Err(format!("its data does not fit `{}`: {why}", export.function))),
        };
        *self.at = Some(at);
        let answer = self.call(arrival.export, &params).map_err(Stop::Guest)?;
        *self.at = None;
        match session(self.instance).map_err(Stop::Guest)?.end_call() {
            Ok(()) => Ok(answer),
            Err(Error::Constraint(why)) => Ok(answer.and(Err(why))),
            Err(error) => Err(Stop::Store(error)),
        }
    }

    fn end(&mut self, keep: bool) -> Result<(), Stop> {
        session(self.instance).map_err(Stop::Guest)?.end_events(keep).map_err(Stop::Store)
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl Exports<'_> {
    /// The inner error is that of the handler.
    fn call(&mut self, export: usize, params: &[Val]) -> wasmtime::Result<Result<(), String>> {
        // For each event, as for each call.
        self.instance.store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
        let mut results = [Val::Bool(false)];
        self.instance.call_values(export, params, &mut results)?;
        Ok(match &results {
            [Val::Result(Ok(_))] => Ok(()),
            [other] => Err(reason(other)),
        })
    }
}

fn missing() -> wasmtime::Error {
    wasmtime::format_err!("no such function")
}

fn session(instance: &mut Instance) -> wasmtime::Result<&mut Session> {
    instance.store.data_mut().store.as_mut().ok_or_else(no_store)
}

fn no_store() -> wasmtime::Error {
    wasmtime::format_err!("it has no store")
}

/// A handler's error, as an operator reads it.
fn reason(answer: &Val) -> String {
    let error = match answer {
        Val::Result(Err(Some(error))) => error,
        other => other,
    };
    let text = error.to_wave().unwrap_or_else(|error| format!("an answer that cannot be shown: {error}"));
    text.chars().take(limits::DELIVERY_REASON_CHARS).collect()
}
