//! The host function behind an imported function: it carries one call from the caller to the callee and the reply back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::{ContextName, Trace};
use wasmtime::component::types::Type;
use wasmtime::component::{Func, LinkerInstance, Val};
use wasmtime::{AsContextMut, Store, StoreContextMut};

use crate::abi_copy;
use crate::call::{Call, Failure, RefusalReason};
use crate::guest::bulkhead::NotEntered;
use crate::guest::dispatch::{DispatchTable, Exchange, Function, Invoking, Values};
use crate::guest::notes::{Notes, OutgoingCall};
use crate::guest::places::InCallee;
use crate::guest::together::Answer;
use crate::guest::{Guest, store};
use crate::limits;

/// How the values of a call cross a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carry {
    /// Copied from memory to memory, where their types allow it.
    Bytes,
    /// As `Val`s, so that the callee need not be an instance.
    Values,
}

/// Defines the host function behind one imported function. It passes the call to the callee's entry in this request's
/// dispatch table. When there is no answer, the caller gets the `unavailable` case of its own error type.
pub(super) fn link_function(
    instance: &mut LinkerInstance<'_, Guest>,
    function: Arc<Function>,
    carry: Carry,
) -> wasmtime::Result<()> {
    let name = function.name.clone();
    let signature = function.signature.clone();
    if carry == Carry::Bytes && abi_copy::supports(&signature) {
        return abi_copy::link(instance, &name, &signature, move |cx, args| {
            let mut exchange = Bytes { args, reply: None };
            match dispatch(cx, &function, &mut exchange)? {
                Ok(()) => exchange.reply.ok_or_else(|| wasmtime::format_err!("`{}` left no reply", function.name)),
                Err(failure) => Ok(abi_copy::Reply::unavailable(failure.for_caller())),
            }
        });
    }
    instance.func_new(&name, move |cx, _ty, params, results| {
        let outcome = dispatch(cx, &function, &mut Values { params, results })?;
        if let (Err(failure), Some(result)) = (outcome, results.first_mut()) {
            *result = abi_copy::values::unavailable(&failure.for_caller());
        }
        Ok(())
    })
}

/// Like `link_function`, for a callee that calls other hosts, directly or through others: a caller that waits for it
/// holds no thread. The caller must be linked asynchronously.
pub(super) fn link_function_async(
    instance: &mut LinkerInstance<'_, Guest>,
    function: Arc<Function>,
    carry: Carry,
) -> wasmtime::Result<()> {
    let name = function.name.clone();
    let signature = function.signature.clone();
    if carry == Carry::Bytes && abi_copy::supports(&signature) {
        return abi_copy::link_async(instance, &name, &signature, move |cx, args| {
            let function = function.clone();
            Box::pin(async move {
                let mut exchange = Bytes { args, reply: None };
                match dispatch_async(cx, &function, &mut exchange).await? {
                    Ok(()) => exchange.reply.ok_or_else(|| wasmtime::format_err!("`{}` left no reply", function.name)),
                    Err(failure) => Ok(abi_copy::Reply::unavailable(failure.for_caller())),
                }
            })
        });
    }
    instance.func_new_async(&name, move |cx, _ty, params, results| {
        let function = function.clone();
        Box::new(async move {
            let outcome = dispatch_async(cx, &function, &mut Values { params, results }).await?;
            if let (Err(failure), Some(result)) = (outcome, results.first_mut()) {
                *result = abi_copy::values::unavailable(&failure.for_caller());
            }
            Ok(())
        })
    })
}

/// An exchange that copies the values from memory to memory without reading them.
struct Bytes<'a> {
    args: abi_copy::Args<'a, Guest>,
    reply: Option<abi_copy::Reply>,
}

impl Exchange for Bytes<'_> {
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        self.reply = Some(self.args.invoke(func, store)?);
        Ok(())
    }

    fn invoke_async<'a>(&'a mut self, func: &'a Func, store: &'a mut Store<Guest>) -> Invoking<'a> {
        Box::pin(async move {
            self.reply = Some(self.args.invoke_async(func, store.as_context_mut()).await?);
            Ok(())
        })
    }

    fn params(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.params().map(|(_, ty)| ty).collect();
        Ok(self.args.values(&types)?)
    }

    /// A list of bytes takes the most: one `Val` for each.
    fn bytes_as_values(&self) -> usize {
        (self.args.bytes() + self.reply.as_ref().map_or(0, abi_copy::Reply::bytes)) * size_of::<Val>()
    }

    fn answer(&mut self, _: Vec<Val>) -> wasmtime::Result<()> {
        wasmtime::bail!("this call is carried as bytes and takes no values")
    }

    fn encode(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        Ok(self.args.encode(function.layout()?, out)?)
    }

    fn decode(&mut self, function: &Function, bytes: &[u8]) -> wasmtime::Result<()> {
        self.reply = Some(abi_copy::Reply::decode(function.layout()?, bytes)?);
        Ok(())
    }

    fn encode_results(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        match &self.reply {
            Some(reply) => Ok(reply.encode(function.layout()?, out)?),
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }

    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.results().collect();
        match &self.reply {
            Some(reply) => Ok(reply.values(&types)?),
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }
}

fn dispatch(
    mut cx: StoreContextMut<'_, Guest>,
    function: &Arc<Function>,
    exchange: &mut dyn Exchange,
) -> wasmtime::Result<Result<(), Failure>> {
    if cx.data().together.is_some()
        && let Some(outcome) = in_batch(&mut cx, function, exchange)?
    {
        return Ok(outcome);
    }
    let guest = cx.data();
    let (call, callees) = match may_call(guest, function)? {
        Ok(may) => may,
        Err(failure) => return Ok(Err(failure)),
    };
    let started = guest.notes.is_some().then(Instant::now);
    let outcome = match (callees.get(usize::from(function.callee.context)), enter(call, callees, function)) {
        (Some(callee), Ok(_in_callee)) => callee.call(call, callees, function, exchange),
        (None, _) => Err(not_loaded(function)),
        (_, Err(not_entered)) => Err(refused(&guest.context, call.trace, function, not_entered)),
    };
    count(call, function, exchange, &outcome);
    if let Some(started) = started {
        note(&mut cx, function, exchange, &outcome, started.elapsed());
    }
    Ok(outcome)
}

/// Like `dispatch`, without holding a thread while the callee waits for another host.
async fn dispatch_async(
    mut cx: StoreContextMut<'_, Guest>,
    function: &Arc<Function>,
    exchange: &mut dyn Exchange,
) -> wasmtime::Result<Result<(), Failure>> {
    if cx.data().together.is_some()
        && let Some(outcome) = in_batch(&mut cx, function, exchange)?
    {
        return Ok(outcome);
    }
    let guest = cx.data();
    let (call, callees) = match may_call(guest, function)? {
        Ok((call, callees)) => (call, callees.clone()),
        Err(failure) => return Ok(Err(failure)),
    };
    let (context, started) = (guest.context.clone(), guest.notes.is_some().then(Instant::now));
    let outcome = perform(&context, call, &callees, function, exchange).await;
    if let Some(started) = started {
        note(&mut cx, function, exchange, &outcome, started.elapsed());
    }
    Ok(outcome)
}

/// Makes a call of `context` that may be made, and may wait without holding a thread.
pub(super) async fn perform(
    context: &ContextName,
    call: Call,
    callees: &DispatchTable,
    function: &Function,
    exchange: &mut dyn Exchange,
) -> Result<(), Failure> {
    let outcome = match callees.get(usize::from(function.callee.context)) {
        Some(callee) => match enter_async(call, callees, function).await {
            Ok(_in_callee) => callee.call_async(call, callees, function, exchange).await,
            Err(not_entered) => Err(refused(context, call.trace, function, not_entered)),
        },
        None => Err(not_loaded(function)),
    };
    count(call, function, exchange, &outcome);
    outcome
}

/// The answer to a call of a guest that makes calls side by side: before they are made, that it is kept; afterwards its
/// own. `None` when the call is to be made now.
///
/// # Errors
/// As `may_call`.
#[cold]
fn in_batch(
    cx: &mut StoreContextMut<'_, Guest>,
    function: &Arc<Function>,
    exchange: &mut dyn Exchange,
) -> wasmtime::Result<Option<Result<(), Failure>>> {
    if let Err(failure) = may_call(cx.data(), function)? {
        return Ok(Some(Err(failure)));
    }
    let Some(together) = cx.data_mut().together.as_mut() else { return Ok(None) };
    let absent = |reason: String| Failure::Absent { context: function.interface.to_string(), reason };
    if !together.is_performed() {
        together.keep(function, exchange);
        return Ok(Some(Err(absent("the call is made later, with others".to_owned()))));
    }
    let Some(Answer { outcome, took }) = together.take(function, exchange) else { return Ok(None) };
    let outcome = outcome.and_then(|results| {
        let read = exchange.decode(function, &results);
        read.map_err(|error| absent(format!("its answer is not one that this host can read: {error:#}")))
    });
    note(cx, function, exchange, &outcome, took);
    Ok(Some(outcome))
}

/// The guest's call, if it may call another context now.
///
/// # Errors
/// When it serves no call: it is starting.
fn may_call<'g>(guest: &'g Guest, function: &Function) -> wasmtime::Result<Result<(Call, &'g DispatchTable), Failure>> {
    let (Some(call), Some(callees)) = (guest.call(), &guest.callees) else {
        wasmtime::bail!("`{}.{}` was called during the start of the component", function.interface, function.name);
    };
    if call.affinity.shadow {
        let (context, reason) = (guest.context.to_string(), RefusalReason::Shadow);
        return Ok(Err(Failure::Refused { context, reason }));
    }
    if guest.store.as_ref().is_some_and(store::Session::in_transaction) {
        return Ok(Err(transaction_open(guest, call.trace, function)));
    }
    Ok(Ok((call, callees)))
}

#[cold]
fn not_loaded(function: &Function) -> Failure {
    Failure::Absent { context: function.interface.to_string(), reason: "it is not loaded".into() }
}

/// Counts a call that was answered, and the bytes of some of them.
fn count(call: Call, function: &Function, exchange: &dyn Exchange, outcome: &Result<(), Failure>) {
    if outcome.is_ok() && !call.bulk && function.traffic.takes() {
        count_bytes(function, exchange);
    }
}

#[cold]
fn count_bytes(function: &Function, exchange: &dyn Exchange) {
    let mut bytes = Vec::new();
    if exchange.encode(function, &mut bytes).is_err() {
        return;
    }
    let request = bytes.len();
    bytes.clear();
    if exchange.encode_results(function, &mut bytes).is_ok() {
        function.traffic.add(request, bytes.len());
    }
}

/// Notes the call if this call of the guest is recorded.
pub(super) fn note(
    cx: &mut StoreContextMut<'_, Guest>,
    function: &Function,
    exchange: &dyn Exchange,
    outcome: &Result<(), Failure>,
    took: Duration,
) {
    if let Some(notes) = cx.data_mut().notes.as_mut() {
        record_call(notes, function, exchange, outcome, took);
    }
}

/// Enters the callee, as `Places::enter`. A call that holds no place needs none to wait in.
fn enter<'c>(call: Call, callees: &'c DispatchTable, function: &Function) -> Result<Option<InCallee<'c>>, NotEntered> {
    let deadline = || call.callee_deadline(Instant::now());
    callees.places().map(|places| places.enter(function.callee, deadline)).transpose()
}

/// Like `enter`, without holding a thread.
async fn enter_async<'c>(
    call: Call,
    callees: &'c DispatchTable,
    function: &Function,
) -> Result<Option<InCallee<'c>>, NotEntered> {
    match callees.places() {
        Some(places) => places.enter_async(function.callee, call.callee_deadline(Instant::now())).await.map(Some),
        None => Ok(None),
    }
}

/// The callee has its share of the caller's places, and the caller keeps the others for calls to other contexts.
#[cold]
fn refused(context: &ContextName, trace: Trace, function: &Function, why: NotEntered) -> Failure {
    tracing::debug!(
        %context, %trace, function = %format_args!("{}.{}", function.interface, function.name),
        "the callee has its share of this context's calls: {why:?}"
    );
    let context = function.interface.to_string();
    match why {
        NotEntered::Full => Failure::Overloaded { context },
        NotEntered::TimedOut => Failure::TimedOut { context },
    }
}

/// A context must not hold its one writer during a call to another context: its other writers would wait for that call.
#[cold]
fn transaction_open(guest: &Guest, trace: Trace, function: &Function) -> Failure {
    tracing::warn!(
        context = %guest.context,
        %trace,
        function = %format_args!("{}.{}", function.interface, function.name),
        "a call to another context was refused: a transaction is open; commit or roll back first"
    );
    Failure::Refused { context: function.interface.to_string(), reason: RefusalReason::TransactionOpen }
}

#[cold]
fn record_call(
    notes: &mut Notes,
    function: &Function,
    exchange: &dyn Exchange,
    outcome: &Result<(), Failure>,
    took: Duration,
) {
    notes.bytes = notes.bytes.saturating_add(exchange.bytes_as_values());
    if notes.calls.len() >= limits::RECORD_OUTGOING_CALLS_MAX || notes.bytes > limits::COPIED_VALUES_BYTES_MAX {
        notes.calls_dropped += 1;
        return;
    }
    let unreadable = |error: wasmtime::Error| Failure::Absent {
        context: function.interface.to_string(),
        reason: format!("the answer cannot be read: {error:#}"),
    };
    let outcome = match outcome {
        Ok(()) => exchange.results(function).map_err(unreadable),
        Err(failure) => Err(failure.clone()),
    };
    notes.calls.push(OutgoingCall {
        callee: function.callee.context,
        interface: function.interface.clone(),
        function: function.name.clone(),
        names: function.signature.params().map(|(name, _)| name.to_owned()).collect(),
        params: exchange.params(function).unwrap_or_default(),
        outcome,
        took,
    });
}
