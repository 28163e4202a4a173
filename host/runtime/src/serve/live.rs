//! A context as one request sees it: the generation that answers, the contexts that it may call, and the fallback.

use std::sync::Arc;
use std::time::Instant;

use seam_store::blocking;
use seam_store::{SagaOutcome, SagaTask, Transaction};
use wasmtime::component::Val;

use super::serving_set::{Fallback, ServingSet};
use crate::buffered_http;
use crate::call::{Affinity, Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::{Dispatch, DispatchTable, Function, RetryState, Values};
use crate::guest::reconciliation::DisagreementRecord;
use crate::run::metrics::CallMetrics;
use crate::run::{Arrival, Export, Generation, Handled, Mended, Serves, Undelivered};

pub struct Live {
    generation: Arc<Generation>,
    callees: DispatchTable,
    /// How the request chooses between variants; `None`: by its trace.
    affinity: Option<Affinity>,
    /// Whether the request named this variant.
    named: bool,
    fallback: Option<Box<Fallback>>,
    /// The route's metrics of the variant, when the request itself is for a context that has variants.
    pub(super) routed: Option<Arc<CallMetrics>>,
}

impl Live {
    /// `context`, or one of its variants (`context@variant`), in `set`.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub(super) fn named(set: &ServingSet, context: &str) -> Result<Self, Failure> {
        let generation = set.generation(context)?.clone();
        let (fallback, named) = (set.fallback(context, None), context.contains('@'));
        Ok(Self { generation, callees: set.callees.clone(), affinity: None, named, fallback, routed: None })
    }

    /// `context` in `set`, in the variant that `affinity` chooses.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub(super) fn routed(set: &ServingSet, context: &str, affinity: Affinity) -> Result<Self, Failure> {
        let (generation, routed) = set.pick(context, &affinity)?;
        let (generation, routed) = (generation.clone(), routed.cloned());
        let fallback = set.fallback(context, Some(&affinity));
        let (callees, affinity) = (set.callees.clone(), Some(affinity));
        Ok(Self { generation, callees, affinity, named: false, fallback, routed })
    }

    /// A generation that is in no published set, with the contexts that it may call.
    pub(crate) fn apart(generation: Arc<Generation>, callees: DispatchTable) -> Self {
        Self { generation, callees, affinity: None, named: true, fallback: None, routed: None }
    }

    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(crate) fn callees(&self) -> &DispatchTable {
        &self.callees
    }

    pub fn serves(&self) -> Serves {
        self.generation.serves()
    }

    /// Runs the buffered HTTP handler on this thread.
    ///
    /// # Errors
    /// When the guest gave no answer.
    pub fn handle(&self, call: Call, request: buffered_http::Request) -> Result<buffered_http::Response, Failure> {
        let started = Instant::now();
        let answer = match &self.fallback {
            None => self.generation.handle(self.with_affinity(call), &self.callees, request),
            Some(fallback) => self.handle_with_fallback(fallback, call, request),
        };
        if let Some(routed) = &self.routed {
            routed.record(started.elapsed(), answer.as_ref().err());
        }
        answer
    }

    /// Like `handle`, for a context whose calls may wait for another host: without holding a thread.
    ///
    /// # Errors
    /// As `handle`.
    pub async fn handle_async(
        self,
        call: Call,
        request: buffered_http::Request,
    ) -> Result<buffered_http::Response, Failure> {
        let started = Instant::now();
        let answer = match &self.fallback {
            None => self.generation.handle_async(self.with_affinity(call), &self.callees, request).await,
            Some(fallback) => {
                let (retry_state, callees) = self.watched(fallback);
                let first = self.generation.handle_async(self.with_affinity(call), &callees, request.clone()).await;
                match self.again(&retry_state, call, started) {
                    None => first,
                    // The version before may be linked otherwise.
                    Some(again) => {
                        blocking::block_in_place(|| fallback.generation.handle(again, &fallback.callees, request))
                    }
                }
            }
        };
        if let Some(routed) = &self.routed {
            routed.record(started.elapsed(), answer.as_ref().err());
        }
        answer
    }

    /// Whether a call of it may wait for another host, so that `handle_async` is for it.
    pub fn suspends(&self) -> bool {
        self.generation.blueprint.asynchronous
    }

    /// Runs a request with the version on probation. When that version broke it without any effect, runs it again with
    /// the version before.
    #[cold]
    fn handle_with_fallback(
        &self,
        fallback: &Fallback,
        call: Call,
        request: buffered_http::Request,
    ) -> Result<buffered_http::Response, Failure> {
        let started = Instant::now();
        let (retry_state, callees) = self.watched(fallback);
        let first = self.generation.handle(self.with_affinity(call), &callees, request.clone());
        match self.again(&retry_state, call, started) {
            None => first,
            Some(again) => fallback.generation.handle(again, &fallback.callees, request),
        }
    }

    /// The callees of a request that notes whether it can run again.
    fn watched(&self, fallback: &Fallback) -> (Arc<RetryState>, DispatchTable) {
        let retry_state = Arc::new(RetryState::new(fallback.on_probation));
        let callees = self.callees.tracked_by(retry_state.clone());
        (retry_state, callees)
    }

    /// The call with which a request runs again, if the version on probation broke it without any effect.
    fn again(&self, retry_state: &RetryState, call: Call, started: Instant) -> Option<Call> {
        if !retry_state.can_run_again() {
            return None;
        }
        tracing::warn!(
            context = %self.generation.context(), trace = %call.trace,
            "a version on probation broke a request; it is run again with the version before"
        );
        let mut again = self.with_affinity(call);
        again.deadline += started.elapsed();
        Some(again)
    }

    /// The call with the variants that this request chooses.
    pub(super) fn with_affinity(&self, mut call: Call) -> Call {
        if let Some(affinity) = self.affinity {
            call.affinity = affinity;
        }
        call
    }

    /// Delivers events to this generation itself, whatever its route. See `Generation::deliver`.
    ///
    /// # Errors
    /// When nothing is written.
    pub fn deliver(
        &self,
        call: Call,
        arrivals: &[Arrival<'_>],
        mark: impl FnOnce(&mut Transaction, &[Handled]) -> Result<(), seam_store::Error>,
    ) -> Result<usize, Undelivered> {
        self.generation.deliver(call, &self.callees, arrivals, mark)
    }

    /// Performs or undoes a step of a saga in this generation itself, whatever its route. See `Generation::perform`.
    ///
    /// # Errors
    /// When nothing is written.
    pub fn perform(
        &self,
        call: Call,
        task: &SagaTask,
        undo: bool,
        keep: impl FnOnce(&SagaOutcome, bool) -> bool,
        mark: impl FnOnce(&mut Transaction, &SagaOutcome) -> Result<(), seam_store::Error>,
    ) -> Result<SagaOutcome, Undelivered> {
        self.generation.perform(call, &self.callees, task, undo, keep, mark)
    }

    /// Asks this generation itself, whatever its route, to mend what contexts disagree on. See `Generation::mend`.
    ///
    /// # Errors
    /// When the guest gave no answer: it may have done what it was asked.
    pub fn mend(&self, call: Call, found: &DisagreementRecord<'_>) -> Result<Mended, Failure> {
        self.generation.mend(call, &self.callees, found)
    }

    /// Calls one exported function with dynamically typed values, as a seam would.
    ///
    /// # Errors
    /// When the guest gave no answer; `params` that do not fit the signature are a trap.
    pub fn call(&self, call: Call, export: &Export, params: &[Val]) -> Result<Vec<Val>, Failure> {
        let function = Function::new(
            Callee::without_function(self.generation.index),
            export.interface.clone(),
            export.function.clone(),
            export.signature.clone(),
        );
        let mut results = vec![Val::Bool(false); export.signature.results().len()];
        let routed = self.callees.get(usize::from(self.generation.index)).filter(|_| !self.named);
        let callee: &dyn Dispatch = routed.map_or(&*self.generation, |routed| &**routed);
        let mut values = Values { params, results: &mut results };
        callee.call(self.with_affinity(call), &self.callees, &function, &mut values)?;
        Ok(results)
    }
}
