//! What becomes of a saga after a step has answered. Pure: no file, no clock, no call.
//!
//! Invariants: a saga in process is due, or waits for something outside, or is stuck. Once it is being undone it goes
//! no more forward; once it has come to a step that cannot be undone it is not undone.
//! Not here: when that is written down (`engine`).

use seam_store::{Saga, SagaDefinition, SagaOutcome, SagaState, SagaTask, SagaUndo};

use crate::limits;

/// When an answer came, and how long the saga pauses if it is to be asked again.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The pause after so many tries.
    pub pause_ms: u64,
    /// The longest one.
    pub longest_ms: u64,
}

/// A saga whose kind or step the version that serves does not know is looked at again after a pause: another version
/// may know it.
pub fn unknown(saga: &Saga, reason: String, at: At) -> Saga {
    Saga { state: SagaState::Stuck, reason, due_ms: Some(at.now_ms + at.longest_ms), ..saga.clone() }
}

/// After the step at `position` answered, or its undo if the saga is being undone.
pub fn after(definition: &SagaDefinition, position: usize, saga: &Saga, outcome: &SagaOutcome, at: At) -> Saga {
    if saga.undoing {
        return after_undo(definition, position, saga, outcome, at);
    }
    match outcome {
        SagaOutcome::Done => forward(definition, position, saga, at),
        SagaOutcome::Later(why) => later(definition, position, saga, why, at),
        SagaOutcome::Refused(why) if saga.forward_only => stuck(saga, why),
        SagaOutcome::Unknown(why) if saga.forward_only => stuck(saga, why),
        SagaOutcome::Refused(why) => undo(definition, position.checked_sub(1), saga, why, at),
        SagaOutcome::Unknown(why) => undo(definition, Some(position), saga, why, at),
        SagaOutcome::Waiting(until_s) => {
            // Not at once: it would be asked without a pause.
            let until = until_s.map(|s| s.saturating_mul(1_000).max(at.now_ms + limits::PAUSE_FIRST_MS));
            let waited = if saga.state == SagaState::Waiting { saga.attempts } else { 0 };
            let attempts = waited.saturating_add(1);
            Saga { state: SagaState::Waiting, due_ms: until, attempts, ..tried_from(saga, at) }
        }
    }
}

/// Where a saga stands after `task`, the step at `position` or its undo, answered, whatever it was at before: for
/// scenarios, which perform steps one by one. Nothing is in doubt in one.
pub fn after_step(
    definition: &SagaDefinition,
    position: usize,
    saga: &Saga,
    task: &SagaTask,
    undo: bool,
    outcome: &SagaOutcome,
    now_ms: u64,
) -> Saga {
    let waits = saga.state == SagaState::Waiting && saga.step == task.step && !undo;
    let come_to = definition.steps.get(..=position).unwrap_or_default();
    let at_it = Saga {
        state: match (undo, waits) {
            (true, _) => SagaState::Undoing,
            (false, true) => SagaState::Waiting,
            (false, false) => SagaState::Running,
        },
        step: task.step.clone(),
        reach: Vec::new(),
        in_doubt: false,
        forward_only: !undo && come_to.iter().any(|step| step.undo == SagaUndo::Never),
        undoing: undo,
        passed: false,
        attempts: task.attempt.saturating_sub(1),
        step_since_ms: now_ms,
        cause: if undo { task.cause.clone() } else { String::new() },
        ..saga.clone()
    };
    let at = At { now_ms, pause_ms: limits::PAUSE_FIRST_MS, longest_ms: 1_000 * limits::SAGA_PAUSE_S };
    Saga { changed_ms: now_ms, ..after(definition, position, &at_it, outcome, at) }
}

/// To the step after the one at `position`, which is performed.
fn forward(definition: &SagaDefinition, position: usize, saga: &Saga, at: At) -> Saga {
    let next = position + 1;
    let Some(step) = definition.steps.get(next) else {
        let ended = Saga { state: SagaState::Done, due_ms: None, reach: Vec::new(), in_doubt: false, ..saga.clone() };
        return tried_from(&ended, at);
    };
    let doubted = if saga.in_doubt { last_in_doubt(definition, saga).filter(|last| *last >= next) } else { None };
    let reach = match doubted.and_then(|last| definition.steps.get(next..=last)) {
        Some(steps) => steps.iter().map(|step| step.name.clone()).collect(),
        None => definition.reach(next),
    };
    let moved = Saga {
        state: SagaState::Running,
        step: step.name.clone(),
        reach,
        in_doubt: doubted.is_some(),
        forward_only: saga.forward_only || step.undo == SagaUndo::Never,
        due_ms: Some(at.now_ms),
        ..saga.clone()
    };
    tried_from(&moved, at)
}

fn later(definition: &SagaDefinition, position: usize, saga: &Saga, why: &str, at: At) -> Saga {
    let step = definition.steps.get(position);
    let (tries, patience_ms) = step.map_or((1, 0), |step| (step.tries, 1_000 * u64::from(step.patience_s)));
    let over_ms = saga.step_since_ms.saturating_add(patience_ms);
    // That it waited is not held against it.
    let failed = if saga.state == SagaState::Waiting { 0 } else { saga.attempts };
    let attempts = failed.saturating_add(1);
    let is_over = attempts >= tries || at.now_ms >= over_ms;
    let (state, due_ms) = match (is_over, saga.forward_only) {
        (true, false) => return undo(definition, Some(position), saga, why, at),
        (true, true) => (SagaState::Stuck, at.now_ms + at.longest_ms),
        // The last try is made when the patience ends, not long after.
        (false, _) => (SagaState::Running, (at.now_ms + at.pause_ms).min(over_ms)),
    };
    Saga { state, attempts, passed: false, reason: why.to_owned(), due_ms: Some(due_ms), ..saga.clone() }
}

/// Gives the saga up: undoes the steps up to the one at `from`, and those after it of which the host does not know
/// whether they were performed.
pub fn undo(definition: &SagaDefinition, from: Option<usize>, saga: &Saga, why: &str, at: At) -> Saga {
    let doubted = if saga.in_doubt { last_in_doubt(definition, saga) } else { None };
    let given_up = Saga {
        undoing: true,
        cause: if saga.undoing { saga.cause.clone() } else { why.to_owned() },
        reach: Vec::new(),
        in_doubt: false,
        ..saga.clone()
    };
    back(definition, from.max(doubted), &given_up, at)
}

fn after_undo(definition: &SagaDefinition, position: usize, saga: &Saga, outcome: &SagaOutcome, at: At) -> Saga {
    let why = match outcome {
        SagaOutcome::Done => return back(definition, position.checked_sub(1), saga, at),
        SagaOutcome::Refused(why) | SagaOutcome::Unknown(why) => return stuck(saga, why),
        SagaOutcome::Later(why) => why,
        SagaOutcome::Waiting(_) => "an undo cannot wait",
    };
    let step = definition.steps.get(position);
    let (tries, patience_ms) = step.map_or((1, 0), |step| (step.tries, 1_000 * u64::from(step.patience_s)));
    let attempts = saga.attempts.saturating_add(1);
    let is_over = attempts >= tries || at.now_ms >= saga.step_since_ms.saturating_add(patience_ms);
    let (state, pause) = if is_over { (SagaState::Stuck, at.longest_ms) } else { (SagaState::Undoing, at.pause_ms) };
    let due_ms = Some(at.now_ms + pause);
    Saga { state, attempts, passed: false, reason: why.to_owned(), due_ms, ..saga.clone() }
}

/// To the last step, up to the one at `from`, that has something to undo.
fn back(definition: &SagaDefinition, from: Option<usize>, saga: &Saga, at: At) -> Saga {
    let steps = from.and_then(|from| definition.steps.get(..=from)).unwrap_or_default();
    let next = steps.iter().rev().find(|step| step.undo != SagaUndo::Nothing);
    let moved = match next {
        Some(step) => {
            Saga { state: SagaState::Undoing, step: step.name.clone(), due_ms: Some(at.now_ms), ..saga.clone() }
        }
        None => Saga { state: SagaState::Undone, due_ms: None, ..saga.clone() },
    };
    tried_from(&moved, at)
}

/// Nothing is tried by itself any more.
fn stuck(saga: &Saga, why: &str) -> Saga {
    let attempts = saga.attempts.saturating_add(1);
    Saga { state: SagaState::Stuck, attempts, passed: false, reason: why.to_owned(), due_ms: None, ..saga.clone() }
}

/// With all its tries for what comes next.
fn tried_from(saga: &Saga, at: At) -> Saga {
    Saga { attempts: 0, passed: false, reason: String::new(), step_since_ms: at.now_ms, ..saga.clone() }
}

/// The last step that may have been performed although the host does not know it.
pub fn last_in_doubt(definition: &SagaDefinition, saga: &Saga) -> Option<usize> {
    saga.reach.iter().filter_map(|step| definition.position(step)).max()
}
