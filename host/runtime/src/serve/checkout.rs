//! An instance that serves a `wasi:http` request: its call may go on in another task than the one that started it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::live::Live;
use crate::call::{Call, Failure, MovingDeadline};
use crate::guest::Guest;
use crate::guest::bulkhead::Callee;
use crate::guest::cut_off::CutOff;
use crate::run::instance::Instance;

/// An instance that serves one request. Dropping this drops the instance; `give_back` returns it to the pool.
pub struct Checkout {
    live: Live,
    call: Call,
    started: Instant,
    deadline: Arc<MovingDeadline>,
    /// Of the time since `started`: the guest waited for its client.
    waited: Duration,
    instance: Option<Box<Instance>>,
    failure: Option<Failure>,
    /// The guest answered with an error, or not at all.
    broke: bool,
}

impl Live {
    /// An instance for one `wasi:http` request.
    ///
    /// # Errors
    /// When no permit is released before the deadline, or the instance does not start.
    pub async fn check_out(self, call: Call) -> Result<Checkout, Failure> {
        let generation = self.generation();
        let call = generation.admit(self.with_affinity(call), Instant::now())?;
        let (permit, idle) = generation.pool().acquire(None, call.deadline).map_err(|r| generation.not_admitted(r))?;
        permit.forget();
        let mut checkout = Checkout {
            live: self,
            call,
            started: Instant::now(),
            deadline: Arc::new(MovingDeadline::new(call.deadline)),
            waited: Duration::ZERO,
            instance: None,
            failure: None,
            broke: false,
        };
        let generation = checkout.live.generation();
        let mut instance = match idle {
            Some(instance) => instance,
            None => match Instance::start_async(&generation.blueprint).await {
                Ok(instance) => instance,
                Err(error) => return Err(checkout.fail(&error)),
            },
        };
        let callee = Callee::without_function(generation.index);
        instance.begin(call, checkout.live.callees().entered(generation.pool().clone(), callee));
        instance.store.data_mut().moving = Some(checkout.deadline.clone());
        checkout.instance = Some(instance);
        Ok(checkout)
    }
}

impl Checkout {
    /// When the host stops the guest. Moving it moves the time that the guest has for computing, for statements and
    /// for its own calls.
    pub fn deadline(&self) -> Arc<MovingDeadline> {
        self.deadline.clone()
    }

    /// How long one call into this context may take.
    pub fn timeout(&self) -> Duration {
        self.live.generation().blueprint.grants.timeout
    }

    /// Keeps `waited` out of the time that counts as this call's: the guest waited for its client.
    pub fn waited_for_client(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// Ends this request when its version was replaced and its drain time is over.
    pub fn cut_off(&self) -> Arc<CutOff> {
        self.live.generation().blueprint.grants.cut_off.clone()
    }

    /// The name of the context, for a failure.
    pub fn context(&self) -> String {
        self.live.generation().context().to_string()
    }

    /// The instance, to call its handler on. `None` only after `give_back`.
    pub fn parts(&mut self) -> Option<(&mut Store<Guest>, &wasmtime::component::Instance)> {
        self.instance.as_mut().map(|i| (&mut i.store, &i.instance))
    }

    /// Returns the instance to the pool: the request was served and the guest has finished.
    pub fn give_back(mut self) {
        if let Some(instance) = self.instance.take() {
            self.live.generation().end(&self.call, instance);
        }
    }

    /// Counts the answer as broken: it is an error, or the guest gave none.
    pub fn broke(&mut self) {
        self.broke = true;
    }

    /// Logs that the request failed, and returns the failure for the client.
    pub fn fail(mut self, error: &wasmtime::Error) -> Failure {
        let failure = self.live.generation().failure(&self.call, error, "call");
        self.failure = Some(failure.clone());
        failure
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // The instance goes first: the call that gets the permit may need its memory.
        drop(self.instance.take());
        let generation = self.live.generation();
        generation.pool().release(None);
        let callees = self.live.callees();
        let took = self.started.elapsed().saturating_sub(self.waited);
        generation.count(callees, took, self.failure.as_ref());
        if self.broke && !callees.store_fails() {
            generation.count_broken();
        }
        if let Some(routed) = &self.live.routed {
            routed.record(took, self.failure.as_ref());
        }
    }
}
