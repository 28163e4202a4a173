//! Part of steps `start` and `publish`: sagas are in process, and the new version must be able to carry them on.
//!
//! A saga is known by its kind and the name of its step. What it has done so far, and may be doing now, must stand at
//! the beginning of the new definition in the same order, and must still be undone where it was before. What comes
//! after that may change.

use std::collections::BTreeMap;

use seam_store::{Saga, SagaDefinition, SagaFilter, SagaState, SagaUndo, limits};

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::system::System;

/// The name for `--allow` that permits a version with which such sagas are stuck.
const UNFINISHED: &str = "unfinished-sagas";

const IN_PROCESS: [SagaState; 4] = [SagaState::Running, SagaState::Waiting, SagaState::Undoing, SagaState::Stuck];

/// Looks at the sagas of the context `name`. Returns notes on those that the definitions `next` do not carry on.
///
/// # Errors
/// When there are some, unless `allow` has `unfinished-sagas`.
pub(crate) fn check(
    system: &System,
    step: Step,
    name: &str,
    next: &[SagaDefinition],
    allow: &[String],
) -> Result<Vec<String>, GateRefusal> {
    let stranded = stranded(system, name, next).map_err(|error| {
        let message = format!("cannot read the sagas of `{name}`: {error}");
        GateRefusal::at(step, message, "`seam contexts` shows what is wrong with the file")
    })?;
    if stranded.is_empty() || allow.iter().any(|allowed| allowed == UNFINISHED) {
        return Ok(note(&stranded));
    }
    Err(GateRefusal::at(
        step,
        format!("it cannot carry on sagas that are in process: {}", stranded.join("; ")),
        format!(
            "keep their steps at the beginning of the definition, in the same order and with their undos, and change \
             what comes later; or wait until `seam sagas --context {name}` shows none of them. With `--allow \
             {UNFINISHED}` they are stuck until a version knows their steps again"
        ),
    ))
}

/// As `check`, where nothing is refused.
///
/// # Errors
/// When the sagas cannot be read.
pub(crate) fn notes(system: &System, name: &str, next: &[SagaDefinition]) -> Result<Vec<String>, seam_store::Error> {
    stranded(system, name, next).map(|stranded| note(&stranded))
}

fn note(stranded: &[String]) -> Vec<String> {
    let one = |why: &String| format!("sagas that it cannot carry on are stuck: {why}");
    stranded.iter().map(one).collect()
}

/// How many sagas of which kind cannot go on, and why.
fn stranded(system: &System, name: &str, next: &[SagaDefinition]) -> Result<Vec<String>, seam_store::Error> {
    let Some(generation) = system.generation(name).filter(|generation| generation.out_of_service().is_none()) else {
        return Ok(Vec::new());
    };
    let Some(database) = generation.database() else { return Ok(Vec::new()) };
    let in_process = SagaFilter { states: IN_PROCESS.to_vec(), ..SagaFilter::default() };
    let sagas = database.sagas(&in_process, 0, limits::SAGAS_MAX)?;
    let mut counted = BTreeMap::<(String, String), u64>::new();
    for saga in &sagas {
        if let Some(why) = keeps_from_going_on(saga, generation.saga_definitions(), next) {
            *counted.entry((saga.kind.clone(), why)).or_default() += 1;
        }
    }
    let line = |((kind, why), count): ((String, String), u64)| match count {
        1 => format!("1 saga of the kind `{kind}`: {why}"),
        count => format!("{count} sagas of the kind `{kind}`: {why}"),
    };
    Ok(counted.into_iter().map(line).collect())
}

/// Why `saga`, which has come so far by one of the definitions `before`, cannot go on by one of `next`; `None` if it
/// can, or cannot go on by `before` either.
fn keeps_from_going_on(saga: &Saga, before: &[SagaDefinition], next: &[SagaDefinition]) -> Option<String> {
    let of_kind = |definition: &&SagaDefinition| definition.kind == saga.kind;
    let before = before.iter().find(of_kind)?;
    let Some(next) = next.iter().find(of_kind) else { return Some("it has no such kind".to_owned()) };
    let at = before.position(&saga.step)?;
    // In memory, the host may be further than the file says.
    let furthest = saga.reach.iter().filter_map(|step| before.position(step)).fold(at, usize::max);
    for (number, was) in before.steps.iter().enumerate().take(furthest + 1) {
        let Some(is) = next.steps.get(number) else {
            return Some(format!("the step `{}` is missing", was.name));
        };
        if is.name != was.name {
            return Some(format!("step {} is `{}`, and was `{}`", number + 1, is.name, was.name));
        }
        let undone = |undo: &SagaUndo| matches!(undo, SagaUndo::Call(_) | SagaUndo::Own);
        if undone(&was.undo) && !undone(&is.undo) {
            return Some(format!("the step `{}` has no undo, and had one", was.name));
        }
        if was.undo != SagaUndo::Never && is.undo == SagaUndo::Never && !saga.forward_only {
            return Some(format!("the step `{}` cannot be undone, and could be", was.name));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use seam_store::SagaStep;

    use super::*;

    /// `name` is undone by itself, `name-` needs no undo, `name!` cannot be undone.
    fn definition(steps: &str) -> SagaDefinition {
        let step = |name: &str| {
            let undo = match name.chars().last() {
                Some('-') => SagaUndo::Nothing,
                Some('!') => SagaUndo::Never,
                _ => SagaUndo::Own,
            };
            let name = name.trim_end_matches(['-', '!']).to_owned();
            SagaStep { name, call: None, undo, tries: 3, patience_s: 60 }
        };
        SagaDefinition { kind: "order".into(), steps: steps.split(' ').map(step).collect() }
    }

    fn saga(step: &str, reach: &str, forward_only: bool) -> Saga {
        Saga {
            kind: "order".into(),
            id: "7".into(),
            state: SagaState::Running,
            step: step.into(),
            reach: reach.split(' ').filter(|step| !step.is_empty()).map(str::to_owned).collect(),
            in_doubt: false,
            forward_only,
            undoing: false,
            passed: false,
            attempts: 0,
            due_ms: Some(1),
            started_ms: 1,
            changed_ms: 1,
            step_since_ms: 1,
            cause: String::new(),
            reason: String::new(),
            trace: String::new(),
            revision: 1,
        }
    }

    #[test]
    fn what_was_done_stays_and_what_comes_may_change() {
        let before = [definition("open reserve authorise look- capture! ship!")];
        for (step, reach, forward_only, next, expect) in [
            ("reserve", "reserve authorise", false, "open reserve authorise look- capture! ship!", None),
            ("reserve", "reserve", false, "open reserve pay pack", None),
            ("reserve", "", false, "open reserve", None),
            ("reserve", "reserve authorise", false, "open reserve pay", Some("step 3 is `pay`, and was `authorise`")),
            ("authorise", "authorise", false, "open reserve", Some("the step `authorise` is missing")),
            ("reserve", "reserve", false, "start open reserve", Some("step 1 is `start`, and was `open`")),
            ("authorise", "", false, "open reserve- authorise", Some("the step `reserve` has no undo, and had one")),
            ("look", "", false, "open reserve authorise look!", Some("the step `look` cannot be undone, and could be")),
            ("look", "", false, "open reserve authorise look capture!", None),
            ("ship", "", true, "open reserve authorise look- capture ship! done", None),
            ("ship", "", true, "open reserve authorise look! capture! ship!", None),
            // Which it could not carry on before, either.
            ("polish", "", false, "open", None),
        ] {
            let why = keeps_from_going_on(&saga(step, reach, forward_only), &before, &[definition(next)]);
            assert_eq!(why.as_deref(), expect, "at {step} with {next}");
        }
        assert_eq!(keeps_from_going_on(&saga("open", "", false), &before, &[]).as_deref(), Some("it has no such kind"));
        assert_eq!(keeps_from_going_on(&saga("open", "", false), &[], &[]), None);
    }
}
