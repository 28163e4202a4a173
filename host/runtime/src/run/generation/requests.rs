//! HTTP requests to a generation that answers whole requests.

use std::time::Instant;

use seam_store::blocking;
use wasmtime::component::TypedFunc;

use super::Generation;
use super::running::Timed;
use crate::buffered_http::{Request, Response};
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::run::instance::Instance;
use crate::run::recorder::Noted;

impl Generation {
    /// On this thread, also where a guest waits for another host meanwhile.
    pub(crate) fn handle(&self, call: Call, callees: &DispatchTable, request: Request) -> Result<Response, Failure> {
        if self.blueprint.asynchronous {
            return blocking::block_on(self.handle_async(call, callees, request));
        }
        let started = Instant::now();
        let copy = self.recorder.takes(started).then(|| request.clone());
        let mut noted = Noted::default();
        let outcome = self.run(call, Callee::without_function(self.index), callees, started, |instance| {
            let handler = handler(instance)?;
            if copy.is_none() {
                return handler.call(&mut instance.store, (request,)).and_then(sendable);
            }
            instance.note();
            let done = handler.call(&mut instance.store, (request,)).and_then(sendable);
            noted = instance.noted();
            done
        });
        self.handled(callees, copy, &outcome, noted, started);
        outcome
    }

    /// Like `handle`, for a component that is linked asynchronously, and without holding a thread.
    pub(crate) async fn handle_async(
        &self,
        call: Call,
        callees: &DispatchTable,
        request: Request,
    ) -> Result<Response, Failure> {
        let started = Instant::now();
        let copy = self.recorder.takes(started).then(|| request.clone());
        let (mut noted, mut timed) = (Noted::default(), Timed::since(started));
        let called = Callee::without_function(self.index);
        let outcome = match self.enter_async(call, called, callees, &mut timed).await {
            Ok(mut running) => {
                let instance = &mut running.instance;
                if copy.is_some() {
                    instance.note();
                }
                let done = match handler(instance) {
                    Ok(handler) => handler.call_async(&mut instance.store, (request,)).await.and_then(sendable),
                    Err(error) => Err(error),
                };
                if copy.is_some() {
                    noted = instance.noted();
                }
                running.finish(done)
            }
            Err(failure) => Err(failure),
        };
        let outcome = self.counted(&call, callees, &timed, outcome);
        self.handled(callees, copy, &outcome, noted, started);
        outcome
    }

    /// Judges the answer, and keeps a request that is recorded.
    fn handled(
        &self,
        callees: &DispatchTable,
        copy: Option<Request>,
        outcome: &Result<Response, Failure>,
        noted: Noted,
        started: Instant,
    ) {
        if outcome.as_ref().is_ok_and(|response| response.status >= 500) && !callees.store_fails() {
            self.count_broken();
            callees.retry_state().into_iter().for_each(|state| state.failed_in(self.id));
        }
        if let Some(request) = copy {
            self.recorder.keep_request(request, outcome, noted, started.elapsed());
        }
    }
}

fn handler(instance: &Instance) -> wasmtime::Result<TypedFunc<(Request,), (Response,)>> {
    instance.http_handler.ok_or_else(|| wasmtime::format_err!("it exports no http-handler"))
}

fn sendable((response,): (Response,)) -> wasmtime::Result<Response> {
    response.check_head().map_err(wasmtime::Error::msg)?;
    Ok(response)
}
