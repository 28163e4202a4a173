//! A step of a saga in a scenario: it is performed or undone once, whatever the saga is at, in one transaction with
//! where the saga stands afterwards by the host's rules.
//!
//! Not here: which step comes next (the scenario says it), pauses.

use std::time::Instant;

use seam_runtime::call::{Call, Failure};
use seam_runtime::did_you_mean;
use seam_runtime::run::Undelivered;
use seam_runtime::serve::Live;
use seam_store::ids::Trace;
use seam_store::{Error, SagaDefinition, SagaOutcome, SagaTask, SagaUndo, Transaction};
use wasmtime::component::Val;

use super::check::StepCall;
use crate::sagas;

/// What is wrong, and what to do about it.
type Wrong = (String, String);

/// Performs or undoes `step` of the saga `id`. The inner error is why the step gave no answer.
///
/// # Errors
/// When the context declares no such step or no undo of it, or what the step wrote cannot be committed.
pub fn perform(live: &Live, step: &StepCall, id: String, deadline: Instant) -> Result<Result<Val, Failure>, Wrong> {
    let (definition, position) = declared(live.generation().saga_definitions(), step)?;
    let task = SagaTask {
        key: SagaTask::key(&step.kind, &id, &step.step, step.undo),
        kind: step.kind.clone(),
        id,
        step: step.step.clone(),
        attempt: step.attempt,
        cause: step.cause.clone(),
    };
    let now_ms = live.generation().database().map_or(0, |database| database.clock().wall_ms());
    let mark = |tx: &mut Transaction, outcome: &SagaOutcome| {
        let saga = tx.saga(&task.kind, &task.id)?.filter(|saga| !saga.state.has_ended());
        // A step can be tried for a saga that was never started.
        let Some(saga) = saga else { return Ok::<_, Error>(()) };
        let after = sagas::after_step(definition, position, &saga, &task, step.undo, outcome, now_ms);
        tx.saga_save(&after, &[]).map(drop)
    };
    let call = Call::start(deadline, Trace::start());
    match live.perform(call, &task, step.undo, |_, _| true, mark) {
        Ok(outcome) => Ok(Ok(value(outcome))),
        Err(Undelivered::Event(_, failure) | Undelivered::Context(failure)) => Ok(Err(failure)),
        Err(Undelivered::Store(error)) => {
            let what = format!("what {} has written cannot be committed: {error}", step.text);
            Err((what, "correct what the step writes".to_owned()))
        }
    }
}

/// The definition, and where the step stands in it.
fn declared<'d>(all: &'d [SagaDefinition], step: &StepCall) -> Result<(&'d SagaDefinition, usize), Wrong> {
    let Some(definition) = all.iter().find(|definition| definition.kind == step.kind) else {
        let remedy = did_you_mean::hint(&step.kind, all.iter().map(|definition| definition.kind.as_str()));
        return Err((format!("the context declares no saga `{}`", step.kind), remedy));
    };
    let names = || definition.steps.iter().map(|step| step.name.as_str());
    let Some(position) = definition.position(&step.step) else {
        let remedy = did_you_mean::hint(&step.step, names());
        return Err((format!("the saga `{}` has no step `{}`", step.kind, step.step), remedy));
    };
    let undo = definition.steps.get(position).map(|step| &step.undo);
    match undo {
        Some(SagaUndo::Nothing | SagaUndo::Never) if step.undo => {
            let what = format!("the step `{}` declares no undo, so the host never calls one", step.step);
            Err((what, "declare an undo, or leave this step out of the scenario".to_owned()))
        }
        _ => Ok((definition, position)),
    }
}

/// The WIT variant `outcome` of `seam:host/saga-steps`.
fn value(outcome: SagaOutcome) -> Val {
    let case = |name: &str, value: Option<Val>| Val::Variant(name.to_owned(), value.map(Box::new));
    let text = |why: String| Some(Val::String(why));
    match outcome {
        SagaOutcome::Done => case("done", None),
        SagaOutcome::Later(why) => case("later", text(why)),
        SagaOutcome::Refused(why) => case("refused", text(why)),
        SagaOutcome::Unknown(why) => case("unknown", text(why)),
        SagaOutcome::Waiting(until) => case("waiting", Some(Val::Option(until.map(|until| Box::new(Val::U64(until)))))),
    }
}
