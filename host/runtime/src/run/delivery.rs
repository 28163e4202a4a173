//! Events that reach a context: some calls of its own interfaces that share one transaction.
//!
//! Invariants: what the handlers write and what the host notes of the events commit together, or neither does. After an
//! event of a subject was rejected, no later one of that subject is handled.
//! Not here: which events, and what becomes of those that fail (the driver of deliveries).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use seam_store::{Error, Transaction};
use wasmtime::component::Val;

use super::Generation;
use super::instance::Instance;
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::guest::store::Session;
use crate::limits;

/// An event as an argument list of one of the context's exports.
pub struct Arrival {
    /// The position in `Generation::exports`.
    pub export: usize,
    pub params: Vec<Val>,
    pub subject: Option<String>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    Done,
    /// The handler returned an error; what it wrote is undone.
    Rejected(String),
    /// An earlier event of its subject was rejected, so it was not handled.
    Behind,
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
        arrivals: &[Arrival],
        mark: impl FnOnce(&mut Transaction, &[Handled]) -> Result<(), Error>,
    ) -> Result<usize, Undelivered> {
        let started = Instant::now();
        let mut at = None;
        let outcome = self.run(call, Callee::without_function(self.index), callees, started, |instance| {
            let handled = match handle(instance, arrivals, started, &mut at)? {
                Ok(handled) => handled,
                Err(error) => return Ok(Err(error)),
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

/// Handles events until the time is up; `at` is the one that is being handled. The inner error is that of the store.
fn handle(
    instance: &mut Instance,
    arrivals: &[Arrival],
    started: Instant,
    at: &mut Option<usize>,
) -> wasmtime::Result<Result<Vec<Handled>, Error>> {
    session(instance)?.start_delivery();
    let (mut handled, mut failed) = (Vec::new(), BTreeSet::new());
    for (number, arrival) in arrivals.iter().enumerate() {
        if arrival.subject.as_ref().is_some_and(|subject| failed.contains(subject)) {
            handled.push(Handled::Behind);
            continue;
        }
        if let Err(error) = session(instance)?.start_event() {
            return Ok(Err(error));
        }
        *at = Some(number);
        let function = instance.functions.get(arrival.export).copied();
        let function = function.ok_or_else(|| wasmtime::format_err!("no such function"))?;
        // For each event, as for each call.
        instance.store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
        let mut results = [Val::Bool(false)];
        function.call(&mut instance.store, &arrival.params, &mut results)?;
        let one = match &results {
            [Val::Result(Ok(_))] => Handled::Done,
            [other] => Handled::Rejected(reason(other)),
        };
        let one = match session(instance)?.end_event(one == Handled::Done) {
            Ok(()) => one,
            Err(Error::Constraint(why)) => Handled::Rejected(why),
            Err(error) => return Ok(Err(error)),
        };
        if let (Handled::Rejected(_), Some(subject)) = (&one, &arrival.subject) {
            failed.insert(subject.clone());
        }
        handled.push(one);
        if started.elapsed() > Duration::from_millis(limits::DELIVERY_BATCH_MS) {
            break;
        }
    }
    *at = None;
    Ok(Ok(handled))
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
