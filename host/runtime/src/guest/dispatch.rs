//! How a guest's call reaches another context without knowing where that context runs.
//!
//! A generation in this process implements `Dispatch`; a client of another host will implement it too. Callers must not
//! know which one they call.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Func, Val};

use super::Guest;
use super::bulkhead::Callee;
use super::cut_off::CutOff;
use super::joint::Joint;
use super::places::{Place, Places};
use super::traffic::Traffic;
use crate::call::{Call, Failure};
use crate::codec::{self, FunctionLayout};
use crate::interface_name::InterfaceName;

/// The callee for each context, by `ContextIndex`. A request takes one table at its start and keeps it to its end.
/// Cheap to clone.
#[derive(Clone, Default)]
pub struct DispatchTable {
    members: Arc<[Arc<dyn Dispatch>]>,
    /// Set while a version is on probation; shared by all calls of a request.
    retry_state: Option<Arc<RetryState>>,
    /// What the request holds in the contexts that it has entered.
    places: Option<Arc<Places>>,
    /// The transaction over several files that is open in it.
    joint: Option<Arc<Joint>>,
    /// Given when the other host, from which the request came, does not wait for its answer any more.
    cancel: Option<Arc<CutOff>>,
}

impl DispatchTable {
    pub fn get(&self, at: usize) -> Option<&Arc<dyn Dispatch>> {
        self.members.get(at)
    }

    /// A copy that notes in `retry_state` whether its one request can run again.
    pub fn tracked_by(&self, retry_state: Arc<RetryState>) -> Self {
        Self { retry_state: Some(retry_state), ..self.clone() }
    }

    /// A copy that notes nothing and holds no places, for a call that no request waits for.
    pub fn untracked(&self) -> Self {
        Self { members: self.members.clone(), ..Self::default() }
    }

    /// A copy as another host would have it, to which the request came: it knows when the client goes away, and
    /// nothing else of what the request holds here.
    pub fn elsewhere(&self) -> Self {
        Self { cancel: self.cancel.clone(), ..self.untracked() }
    }

    /// A copy for a request that ends when `cancel` is given.
    pub fn cancelled_by(&self, cancel: Arc<CutOff>) -> Self {
        Self { cancel: Some(cancel), ..self.clone() }
    }

    pub fn cancel(&self) -> Option<&Arc<CutOff>> {
        self.cancel.as_ref()
    }

    pub fn joint(&self) -> Option<&Arc<Joint>> {
        self.joint.as_ref()
    }

    /// From now on the calls that it carries are a part of this transaction. Returns the one before.
    pub fn join(&mut self, joint: Option<Arc<Joint>>) -> Option<Arc<Joint>> {
        std::mem::replace(&mut self.joint, joint)
    }

    /// Whether the store of a context does not work now, through no fault of the context: what breaks meanwhile is not
    /// held against any version.
    pub fn store_fails(&self) -> bool {
        self.members.iter().any(|member| member.store_fails())
    }

    pub fn retry_state(&self) -> Option<&RetryState> {
        self.retry_state.as_deref()
    }

    /// A copy for a call that holds a place in one more context, which its caller knows as `callee`.
    pub fn entered(&self, place: Arc<dyn Place>, callee: Callee) -> Self {
        let places = Places::new(place, callee, self.places.clone());
        Self { places: Some(Arc::new(places)), ..self.clone() }
    }

    pub fn places(&self) -> Option<&Arc<Places>> {
        self.places.as_ref()
    }
}

impl FromIterator<Arc<dyn Dispatch>> for DispatchTable {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Dispatch>>>(members: I) -> Self {
        Self { members: members.into_iter().collect(), ..Self::default() }
    }
}

/// A version on probation, as a request knows it that can be run again.
#[derive(Clone, Copy)]
pub struct WatchedVersion {
    /// The id of its generation.
    pub id: u64,
    /// Of its calls, if it is shorter than the usual one.
    pub timeout: Option<Duration>,
}

/// Whether one request can run again, with the version before the one on probation.
pub struct RetryState {
    on_probation: WatchedVersion,
    failed: AtomicBool,
    had_effect: AtomicBool,
}

impl RetryState {
    pub fn new(on_probation: WatchedVersion) -> Self {
        Self { on_probation, failed: AtomicBool::new(false), had_effect: AtomicBool::new(false) }
    }

    /// A call that starts `now` in the version with this `id`, with the deadline that it has there.
    pub fn within_timeout(&self, id: u64, mut call: Call, now: Instant) -> Call {
        if let Some(timeout) = self.on_probation.timeout.filter(|_| id == self.on_probation.id) {
            call.deadline = call.deadline.min(now + timeout);
        }
        call
    }

    /// The version with this `id` trapped or ran out of time.
    pub fn failed_in(&self, id: u64) {
        if id == self.on_probation.id {
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// The request committed something, or may have, or sent a request to another machine.
    pub fn had_effect(&self) {
        self.had_effect.store(true, Ordering::Relaxed);
    }

    /// Whether the version on probation made the request fail before it had any effect.
    pub fn can_run_again(&self) -> bool {
        self.failed.load(Ordering::Relaxed) && !self.had_effect.load(Ordering::Relaxed)
    }
}

/// Answers calls for one context.
pub trait Dispatch: Send + Sync {
    /// Whether its store does not work now, through no fault of the context.
    fn store_fails(&self) -> bool {
        false
    }

    /// Whether the context lives on another host.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Whether a call of it, which its caller makes in `call`, would wait for another host, or may.
    fn waits(&self, _call: &Call) -> bool {
        false
    }

    /// Performs one call. `call` is the caller's; the implementation applies every rule for entering the callee. On
    /// `Ok`, `exchange` holds the results.
    ///
    /// # Errors
    /// When the callee gave no answer; its own typed errors are answers.
    fn call(
        &self,
        call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure>;

    /// Like `call`, for a caller that is linked asynchronously: it may wait for another host without holding a thread.
    /// A callee that never waits for one answers on the caller's thread, as `call` does.
    fn call_async<'a>(
        &'a self,
        call: Call,
        callees: &'a DispatchTable,
        function: &'a Function,
        exchange: &'a mut dyn Exchange,
    ) -> Answering<'a> {
        Box::pin(async move { self.call(call, callees, function, exchange) })
    }
}

/// A call that may wait without holding a thread.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One function of a seam as its caller imports it.
pub struct Function {
    pub callee: Callee,
    /// As its caller imports it. The callee chooses among its exports by `InterfaceName::choose`.
    pub interface: InterfaceName,
    pub name: String,
    /// The caller's type of the function; structurally equal to the callee's.
    pub signature: ComponentFunc,
    /// A cache for the callees: where each found the function last time (0: not yet). A callee uses one entry; variants
    /// of a context use neighbouring entries.
    pub resolved: [AtomicU64; 4],
    pub traffic: Traffic,
    digest: OnceLock<[u8; 32]>,
    layout: OnceLock<Result<FunctionLayout, codec::Error>>,
}

impl Function {
    pub fn new(callee: Callee, interface: InterfaceName, name: String, signature: ComponentFunc) -> Self {
        let (resolved, traffic) = Default::default();
        let (digest, layout) = (OnceLock::new(), OnceLock::new());
        Self { callee, interface, name, signature, resolved, traffic, digest, layout }
    }

    /// The digest of its type, by which another host knows it.
    pub fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| codec::digest(&self.signature))
    }

    /// By which its values are read and written as bytes.
    ///
    /// # Errors
    /// When a value of its type cannot leave the host.
    pub fn layout(&self) -> Result<&FunctionLayout, codec::Error> {
        self.layout.get_or_init(|| FunctionLayout::of(&self.signature)).as_ref().map_err(Clone::clone)
    }
}

/// As `Exchange::invoke` says.
pub type Invoking<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'a>>;

/// The arguments of one call and the storage for its results, in the form that the caller's side uses.
pub trait Exchange: Send {
    /// Calls `func`, which has the function's signature, on an instance in this process.
    ///
    /// # Errors
    /// When the callee trapped, or its results are not valid values; its store must not be used again.
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()>;

    /// Like `invoke`, on an instance that is linked asynchronously.
    fn invoke_async<'a>(&'a mut self, func: &'a Func, store: &'a mut Store<Guest>) -> Invoking<'a>;

    /// The arguments of this call of `function` as values, to keep them or to send them to another process.
    ///
    /// # Errors
    /// When they do not have the function's types, which linking rules out.
    fn params(&self, function: &Function) -> wasmtime::Result<Vec<Val>>;

    /// At most about what `params` and `results` take in the host's memory.
    fn bytes_as_values(&self) -> usize;

    /// Sets the results without an instance in this process. `results` must have as many values as the function has
    /// results.
    ///
    /// # Errors
    /// When this exchange takes no values, or another number of them. A value of a wrong type traps the caller.
    fn answer(&mut self, results: Vec<Val>) -> wasmtime::Result<()>;

    /// Appends the arguments of this call of `function` to `out`, as `codec` writes them.
    ///
    /// # Errors
    /// When they are too large.
    fn encode(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()>;

    /// Sets the results of `function` from what `codec` wrote.
    ///
    /// # Errors
    /// When `bytes` are not the results of this function.
    fn decode(&mut self, function: &Function, bytes: &[u8]) -> wasmtime::Result<()>;

    /// Whether the call came from another host.
    fn is_from_elsewhere(&self) -> bool {
        false
    }

    /// Appends the results to `out`, as `codec` writes them, after the call.
    ///
    /// # Errors
    /// When there is no answer, or it is too large.
    fn encode_results(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()>;

    /// The results as values, after the call.
    ///
    /// # Errors
    /// When there is no answer, and as for `params`.
    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>>;
}

/// An exchange of dynamically typed values: for tools, and for the signatures that `abi_copy` does not support.
pub struct Values<'a> {
    pub params: &'a [Val],
    pub results: &'a mut [Val],
}

impl Exchange for Values<'_> {
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        func.call(store, self.params, self.results)
    }

    fn invoke_async<'a>(&'a mut self, func: &'a Func, store: &'a mut Store<Guest>) -> Invoking<'a> {
        Box::pin(func.call_async(store, self.params, self.results))
    }

    fn params(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(self.params.to_vec())
    }

    fn bytes_as_values(&self) -> usize {
        self.params.iter().chain(&*self.results).map(bytes_of).sum()
    }

    fn answer(&mut self, results: Vec<Val>) -> wasmtime::Result<()> {
        if results.len() != self.results.len() {
            wasmtime::bail!("{} results for a function that has {}", results.len(), self.results.len());
        }
        self.results.clone_from_slice(&results);
        Ok(())
    }

    fn encode(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        let types: Vec<Type> = function.signature.params().map(|(_, ty)| ty).collect();
        Ok(codec::encode(self.params, &types, out)?)
    }

    fn decode(&mut self, function: &Function, bytes: &[u8]) -> wasmtime::Result<()> {
        let types: Vec<Type> = function.signature.results().collect();
        self.answer(codec::decode(bytes, &types)?)
    }

    fn encode_results(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        let types: Vec<Type> = function.signature.results().collect();
        Ok(codec::encode(self.results, &types, out)?)
    }

    fn results(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(self.results.to_vec())
    }
}

/// The approximate size of a value in memory.
pub fn bytes_of(value: &Val) -> usize {
    let boxed = |inner: &Option<Box<Val>>| inner.as_deref().map_or(0, bytes_of);
    let inside = match value {
        Val::String(text) => text.len(),
        Val::List(items) | Val::Tuple(items) => items.iter().map(bytes_of).sum(),
        Val::Record(fields) => {
            fields.iter().map(|(name, value)| size_of::<String>() + name.len() + bytes_of(value)).sum()
        }
        Val::Variant(case, inner) => case.len() + boxed(inner),
        Val::Enum(case) => case.len(),
        Val::Option(inner) => boxed(inner),
        Val::Result(Ok(inner) | Err(inner)) => boxed(inner),
        Val::Flags(names) => names.iter().map(|name| size_of::<String>() + name.len()).sum(),
        _ => 0,
    };
    size_of::<Val>() + inside
}
