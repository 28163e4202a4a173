//! The steps of one saga by its definition: what has become of each, and how it is undone.
//!
//! Where the saga stands says it for the way forward. On the way back it does not say which steps after the one that is
//! being undone had been performed at all: the timeline does.

use seam_store::{Saga, SagaAttempt, SagaDefinition, SagaState, SagaStep, SagaUndo};

use super::types::{ShownStep, StepState};
use crate::times::rfc3339;

/// All steps of the definition, in its order.
pub(super) fn steps(definition: &SagaDefinition, saga: &Saga, timeline: &[SagaAttempt]) -> Vec<ShownStep> {
    let at = definition.position(&saga.step);
    let shown = |(position, step): (usize, &SagaStep)| {
        let state = at.map_or(StepState::Unknown, |at| state(step, position, at, saga, timeline));
        let is_tried = state == StepState::Now && saga.state != SagaState::Waiting;
        ShownStep {
            name: step.name.clone(),
            state,
            call: step.call.clone(),
            undo: match &step.undo {
                SagaUndo::Call(function) => function.clone(),
                SagaUndo::Own => "own".to_owned(),
                SagaUndo::Nothing => "nothing".to_owned(),
                SagaUndo::Never => "never".to_owned(),
            },
            tried: if is_tried { saga.attempts } else { 0 },
            tries: step.tries,
            patience_s: step.patience_s,
            deadline: is_tried.then(|| rfc3339(saga.step_since_ms + 1_000 * u64::from(step.patience_s))),
        }
    };
    definition.steps.iter().enumerate().map(shown).collect()
}

/// What has become of the step at `position`, while the saga is at the one at `at`.
fn state(step: &SagaStep, position: usize, at: usize, saga: &Saga, timeline: &[SagaAttempt]) -> StepState {
    let is_doubted = saga.in_doubt && saga.reach.contains(&step.name);
    match saga.state {
        SagaState::Done => StepState::Done,
        SagaState::Undone => gone(step, timeline),
        _ if position < at => StepState::Done,
        _ if position == at && saga.passed && !saga.undoing => StepState::Done,
        _ if position == at => StepState::Now,
        _ if is_doubted => StepState::PerhapsDone,
        _ if saga.undoing => gone(step, timeline),
        _ => StepState::ToCome,
    }
}

/// What has become of a step that the way back has left behind, or that was never come to.
fn gone(step: &SagaStep, timeline: &[SagaAttempt]) -> StepState {
    let has = |undo: bool, words: [&str; 2]| {
        let mut lines = timeline.iter().filter(|line| line.step == step.name && line.undo == undo);
        lines.any(|line| words.iter().any(|word| line.answer.starts_with(word)))
    };
    match step.undo {
        _ if has(true, ["done", "skip"]) => StepState::Undone,
        SagaUndo::Nothing if has(false, ["done", "skip"]) => StepState::Done,
        _ => StepState::NotDone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name` is undone by itself, `name-` needs no undo, `name!` cannot be undone.
    fn definition(steps: &str) -> SagaDefinition {
        let step = |text: &str| {
            let undo = match text.chars().last() {
                Some('-') => SagaUndo::Nothing,
                Some('!') => SagaUndo::Never,
                _ => SagaUndo::Own,
            };
            let name = text.trim_end_matches(['-', '!']).to_owned();
            SagaStep { name, call: None, undo, tries: 3, patience_s: 60 }
        };
        SagaDefinition { kind: "order".into(), steps: steps.split(' ').map(step).collect() }
    }

    fn saga(state: SagaState, step: &str) -> Saga {
        Saga {
            kind: "order".into(),
            id: "7".into(),
            state,
            step: step.into(),
            reach: Vec::new(),
            in_doubt: false,
            forward_only: false,
            undoing: matches!(state, SagaState::Undoing | SagaState::Undone),
            passed: false,
            attempts: 2,
            due_ms: None,
            started_ms: 0,
            changed_ms: 0,
            step_since_ms: 5_000,
            cause: String::new(),
            reason: String::new(),
            trace: String::new(),
            revision: 1,
        }
    }

    /// `step: answer`, or `step undo: answer`.
    fn timeline(lines: &[&str]) -> Vec<SagaAttempt> {
        let line = |line: &&str| {
            let (step, answer) = line.split_once(": ").unwrap_or((line, ""));
            let (step, undo) = step.strip_suffix(" undo").map_or((step, false), |step| (step, true));
            let (step, answer) = (step.to_owned(), answer.to_owned());
            SagaAttempt { number: 1, at_ms: 0, took_ms: 0, step, undo, answer, by: None }
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn each_step_is_done_under_way_to_come_or_undone() {
        use StepState::{Done, NotDone, Now, PerhapsDone, ToCome, Undone};
        let all = definition("open reserve look- pay capture!");
        let check = |saga: &Saga, lines: &[&str], expect: [StepState; 5]| {
            let states: Vec<_> = steps(&all, saga, &timeline(lines)).into_iter().map(|step| step.state).collect();
            assert_eq!(states, expect, "{saga:?}");
        };
        check(&saga(SagaState::Running, "open"), &[], [Now, ToCome, ToCome, ToCome, ToCome]);
        check(&saga(SagaState::Waiting, "look"), &[], [Done, Done, Now, ToCome, ToCome]);
        let passed = Saga { passed: true, ..saga(SagaState::Running, "look") };
        check(&passed, &[], [Done, Done, Done, ToCome, ToCome]);
        let doubted = Saga { in_doubt: true, reach: vec!["reserve".into(), "look".into()], ..passed };
        let doubted = Saga { step: "reserve".into(), passed: false, ..doubted };
        check(&doubted, &[], [Done, Now, PerhapsDone, ToCome, ToCome]);
        check(&saga(SagaState::Stuck, "capture"), &[], [Done, Done, Done, Done, Now]);
        check(&saga(SagaState::Done, "capture"), &[], [Done; 5]);
        let way = ["open: done", "reserve: done", "look: done", "pay: refused: declined"];
        check(&saga(SagaState::Undoing, "reserve"), &way, [Done, Now, Done, NotDone, NotDone]);
        let undone = [&way[..], &["reserve undo: skip: by hand", "open undo: done"]].concat();
        check(&saga(SagaState::Undone, "open"), &undone, [Undone, Undone, Done, NotDone, NotDone]);
        check(&saga(SagaState::Undone, "open"), &["open undo: later: away"], [NotDone; 5]);
    }

    #[test]
    fn a_step_that_is_tried_says_how_often_and_until_when() {
        let shown = |state, step| steps(&definition("open pay!"), &saga(state, step), &[]);
        let both = shown(SagaState::Running, "pay");
        let (open, pay) = (&both[0], &both[1]);
        assert_eq!((open.tried, open.tries, open.deadline.as_deref()), (0, 3, None));
        assert_eq!((pay.tried, pay.deadline.as_deref()), (2, Some("1970-01-01T00:01:05Z")));
        assert_eq!((open.undo.as_str(), pay.undo.as_str()), ("own", "never"));
        assert_eq!(shown(SagaState::Waiting, "pay")[1].deadline, None, "what waits has no deadline");
        let unknown = shown(SagaState::Stuck, "ship");
        assert!(unknown.iter().all(|step| step.state == StepState::Unknown && step.tried == 0), "{unknown:?}");
    }
}
