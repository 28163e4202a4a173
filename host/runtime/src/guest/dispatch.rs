//! The one way up: how a guest's call reaches another context without knowing where that context is.
//!
//! `Dispatch` is implemented by a generation in this process; a client of another host will implement it beside that. Nobody who
//! calls it may know which it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wasmtime::Store;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{Func, Val};

use super::Guest;
use crate::call::{Call, ContextIndex, Failure};

/// Who answers for each context, by `ContextIndex`. A request takes one at its start and keeps it to the end. Cheap to clone.
#[derive(Clone, Default)]
pub struct DispatchTable {
    members: Arc<[Arc<dyn Dispatch>]>,
    /// There while a version is on probation: one for all calls of a request.
    attempt: Option<Arc<AttemptOutcome>>,
}

impl DispatchTable {
    pub fn get(&self, at: usize) -> Option<&Arc<dyn Dispatch>> {
        self.members.get(at)
    }

    /// The same for one request whose fate is to be known.
    pub fn tracked_by(&self, attempt: Arc<AttemptOutcome>) -> Self {
        Self { members: self.members.clone(), attempt: Some(attempt) }
    }

    /// The same for a call that no request waits for.
    pub fn untracked(&self) -> Self {
        Self { members: self.members.clone(), attempt: None }
    }

    pub fn attempt(&self) -> Option<&AttemptOutcome> {
        self.attempt.as_deref()
    }
}

impl FromIterator<Arc<dyn Dispatch>> for DispatchTable {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Dispatch>>>(members: I) -> Self {
        Self { members: members.into_iter().collect(), attempt: None }
    }
}

/// What became of one request while a version was on probation.
pub struct AttemptOutcome {
    /// The version, as it calls itself.
    watched: u64,
    broke: AtomicBool,
    had_effect: AtomicBool,
}

impl AttemptOutcome {
    pub fn new(watched: u64) -> Self {
        Self { watched, broke: AtomicBool::new(false), had_effect: AtomicBool::new(false) }
    }

    /// The version that calls itself `id` trapped or ran out of time.
    pub fn failed_in(&self, id: u64) {
        if id == self.watched {
            self.broke.store(true, Ordering::Relaxed);
        }
    }

    /// Something was committed, or may have been, or somebody outside of the host was asked.
    pub fn had_effect(&self) {
        self.had_effect.store(true, Ordering::Relaxed);
    }

    /// The version on probation broke it, and nobody would notice if it had never been.
    pub fn can_run_again(&self) -> bool {
        self.broke.load(Ordering::Relaxed) && !self.had_effect.load(Ordering::Relaxed)
    }
}

/// Somebody who can answer calls for one context.
pub trait Dispatch: Send + Sync {
    /// Performs one call; `call` is the caller's, and every rule about entering the callee applies inside. The results are in
    /// `exchange` when it is `Ok`.
    ///
    /// # Errors
    /// When there is no answer of the callee; its own typed errors are answers.
    fn call(
        &self,
        call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure>;
}

/// One function of a seam as its caller imports it.
pub struct Function {
    pub callee: ContextIndex,
    /// `namespace:package/interface`, as the callee exports it.
    pub interface: String,
    pub name: String,
    /// As the caller sees it; structurally equal to the callee's.
    pub signature: ComponentFunc,
    /// For the callees' use: where each found the function last time (0: nowhere yet). A callee uses one place; variants of a context
    /// have neighbouring ones.
    pub resolved: [AtomicU64; 4],
}

/// The arguments of one call and the place for its results, in whatever form the caller's side has them.
pub trait Exchange {
    /// Calls `func`, which has the function's signature, on an instance in this process.
    ///
    /// # Errors
    /// When the callee trapped, or its results are no valid values; its store must not be used again.
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()>;

    /// The arguments of this call of `function` as values, for whoever keeps them or has to send them elsewhere.
    ///
    /// # Errors
    /// When they are not of the function's types, which linking rules out.
    fn params(&self, function: &Function) -> wasmtime::Result<Vec<Val>>;

    /// Answers without an instance in this process, with as many results as the function has.
    ///
    /// # Errors
    /// When this exchange takes no values, or not so many; what is of a wrong type traps the caller.
    fn answer(&mut self, results: Vec<Val>) -> wasmtime::Result<()>;

    /// The results as values, once there are some.
    ///
    /// # Errors
    /// When nobody has answered, or as `params`.
    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>>;
}

/// An exchange of dynamically typed values: for any signature, for tools, and for the shapes that the fast path leaves out.
pub struct Values<'a> {
    pub params: &'a [Val],
    pub results: &'a mut [Val],
}

impl Exchange for Values<'_> {
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        func.call(store, self.params, self.results)
    }

    fn params(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(self.params.to_vec())
    }

    fn answer(&mut self, results: Vec<Val>) -> wasmtime::Result<()> {
        if results.len() != self.results.len() {
            wasmtime::bail!("{} results for a function that has {}", results.len(), self.results.len());
        }
        self.results.clone_from_slice(&results);
        Ok(())
    }

    fn results(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(self.results.to_vec())
    }
}
