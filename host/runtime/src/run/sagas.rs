//! The steps of sagas: one call of `seam:host/saga-steps`, in one transaction with the mark of what became of it.
//!
//! Invariants: calls to other contexts come before the step's first write, which opens the transaction; what the step
//! writes and the mark commit together, or neither does.
//! Not here: which step, and what follows from its outcome (the driver of sagas).

use std::time::Instant;

use seam_store::{Error, SagaOutcome, SagaTask, Transaction};

use super::Generation;
use super::delivery::Undelivered;
use super::instance::Instance;
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::guest::saga_steps::{OutcomeCase, TaskRecord};
use crate::guest::store::Session;

impl Generation {
    /// Performs one step of a saga, or undoes it. `mark` gets its outcome and the transaction in which it wrote, which
    /// commits afterwards. A step that has written nothing, and whose outcome `keep` does not want kept, commits
    /// nothing; `keep` also gets whether the step has written. Rows that the schema refuses at the end count as
    /// `Later`, and are undone.
    ///
    /// # Errors
    /// When nothing is written; `Undelivered::Event(0, _)` when the step trapped or ran out of time.
    pub(crate) fn perform(
        &self,
        call: Call,
        callees: &DispatchTable,
        task: &SagaTask,
        undo: bool,
        keep: impl FnOnce(&SagaOutcome, bool) -> bool,
        mark: impl FnOnce(&mut Transaction, &SagaOutcome) -> Result<(), Error>,
    ) -> Result<SagaOutcome, Undelivered> {
        let mut entered = false;
        let outcome = self.run(call, Callee::without_function(self.index), callees, Instant::now(), |instance| {
            entered = true;
            let performed = self.step(instance, task, undo)?;
            let data = instance.store.data_mut();
            let deadline = data.deadline;
            let session = data.store.as_mut().ok_or_else(no_store)?;
            let (outcome, wrote) = match performed {
                Ok(outcome) => (outcome, session.in_transaction()),
                Err(error) => return Ok(Err(error)),
            };
            if !keep(&outcome, wrote) && !wrote {
                return Ok(Ok(outcome));
            }
            let committed = session.end_delivery(deadline, |transaction| mark(transaction, &outcome));
            Ok(committed.map(|()| outcome))
        });
        match outcome {
            Ok(performed) => performed.map_err(Undelivered::Store),
            Err(failure @ (Failure::Trapped { .. } | Failure::TimedOut { .. })) if entered => {
                Err(Undelivered::Event(0, failure))
            }
            Err(failure) => Err(Undelivered::Context(failure)),
        }
    }

    /// Calls the guest. The inner error is that of the store.
    fn step(
        &self,
        instance: &mut Instance,
        task: &SagaTask,
        undo: bool,
    ) -> wasmtime::Result<Result<SagaOutcome, Error>> {
        let steps = self.blueprint.saga_steps.as_ref();
        let steps = steps.ok_or_else(|| wasmtime::format_err!("it performs no sagas"))?;
        let index = if undo { &steps.undo } else { &steps.perform };
        session(instance)?.start_delivery();
        let (outcome,): (OutcomeCase,) = instance.call(index, (TaskRecord::from(task),))?;
        match session(instance)?.end_event(true) {
            Ok(()) => Ok(Ok(outcome.into())),
            Err(Error::Constraint(why)) => {
                Ok(Ok(SagaOutcome::Later(format!("the schema refuses what the step wrote: {why}"))))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

fn session(instance: &mut Instance) -> wasmtime::Result<&mut Session> {
    instance.store.data_mut().store.as_mut().ok_or_else(no_store)
}

fn no_store() -> wasmtime::Error {
    wasmtime::format_err!("it has no store")
}
