//! An instance that serves a `wasi:http` request: its call goes on in another task than the one that began it.

use std::time::Instant;

use wasmtime::Store;

use super::live::Live;
use crate::call::{Call, Failure};
use crate::guest::Guest;
use crate::run::instance::Instance;

/// Dropped without `give_back`, the instance is gone.
pub struct Checkout {
    live: Live,
    call: Call,
    started: Instant,
    instance: Option<Box<Instance>>,
    failure: Option<Failure>,
    /// It answered, and what it answered is an error.
    broke: bool,
}

impl Live {
    /// An instance for one `wasi:http` request.
    ///
    /// # Errors
    /// When there is no place for it before the deadline, or it does not start.
    pub async fn check_out(self, call: Call) -> Result<Checkout, Failure> {
        let generation = self.generation();
        let call = generation.admit(self.with_affinity(call), Instant::now())?;
        let (permit, idle) = generation.pool().acquire(call.deadline).map_err(|r| generation.not_admitted(r))?;
        permit.forget();
        let mut checkout =
            Checkout { live: self, call, started: Instant::now(), instance: None, failure: None, broke: false };
        let generation = checkout.live.generation();
        let mut instance = match idle {
            Some(instance) => instance,
            None => match Instance::start_async(&generation.blueprint).await {
                Ok(instance) => instance,
                Err(error) => return Err(checkout.fail(&error)),
            },
        };
        instance.begin(call, checkout.live.callees().clone());
        checkout.instance = Some(instance);
        Ok(checkout)
    }
}

impl Checkout {
    /// The call as this context has it: with its own deadline.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The instance, to call its handler on. `None` only after `give_back`.
    pub fn parts(&mut self) -> Option<(&mut Store<Guest>, &wasmtime::component::Instance)> {
        self.instance.as_mut().map(|i| (&mut i.store, &i.instance))
    }

    /// The request was served and the guest has finished: the instance may serve another.
    pub fn give_back(mut self) {
        if let Some(instance) = self.instance.take() {
            self.live.generation().end(&self.call, instance);
        }
    }

    /// What the guest answered says that something is wrong with it, or it answered nothing.
    pub fn broke(&mut self) {
        self.broke = true;
    }

    /// The request broke off: says so to the log, and what the client is told.
    pub fn fail(mut self, error: &wasmtime::Error) -> Failure {
        let failure = self.live.generation().failure(&self.call, error, "call");
        self.failure = Some(failure.clone());
        failure
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // The instance goes first: whoever gets the place may need its memory.
        drop(self.instance.take());
        let generation = self.live.generation();
        generation.pool().release();
        generation.count(self.started.elapsed(), self.failure.as_ref());
        if self.broke {
            generation.count_broken();
        }
        if let Some(routed) = &self.live.routed {
            routed.record(self.started.elapsed(), self.failure.as_ref());
        }
    }
}
