//! Whether the host can perform the sagas that a component declares, and undo them.

use std::collections::BTreeSet;

use seam_store::{SagaDefinition, SagaStep, SagaUndo};

use super::subscription;
use crate::component::{Component, InterfaceName};
use crate::did_you_mean::nearest;
use crate::limits;
use crate::settings::ContextSettings;

/// The end of a sentence that starts with the component's name, and what to do about it.
type Wrong = (String, String);

/// Why the sagas cannot be performed, each reason with its remedy.
pub(crate) fn problems(context: &ContextSettings, component: &Component, definitions: &[SagaDefinition]) -> Vec<Wrong> {
    let mut calls = Calls::default();
    for import in &component.imports {
        let published = subscription::published(context, import).is_some();
        let names = if published { &mut calls.published } else { &mut calls.called };
        names.extend(import.functions.iter().map(|(function, _)| (import.name.clone(), function.clone())));
    }
    check(&calls, definitions)
}

/// The functions that a component imports.
#[derive(Default)]
struct Calls {
    called: Vec<(InterfaceName, String)>,
    published: Vec<(InterfaceName, String)>,
}

fn check(calls: &Calls, definitions: &[SagaDefinition]) -> Vec<Wrong> {
    let mut found = Vec::new();
    let most = limits::SAGA_KINDS_MAX;
    if definitions.len() > most {
        let message = format!("declares {} sagas; {most} are possible", definitions.len());
        found.push((message, "declare fewer, with ids that say more".to_owned()));
    }
    let mut kinds = BTreeSet::new();
    for definition in definitions {
        let saga = format!("the saga `{}`", shown(&definition.kind));
        if !is_name(&definition.kind) {
            found.push((format!("declares {saga}, which is no name"), NAME.to_owned()));
        }
        if !kinds.insert(&definition.kind) {
            found.push((format!("declares {saga} twice"), "give one of them another kind".to_owned()));
        }
        check_steps(calls, definition, &saga, &mut found);
    }
    found
}

fn check_steps(calls: &Calls, definition: &SagaDefinition, saga: &str, found: &mut Vec<Wrong>) {
    let (steps, most) = (definition.steps.len(), limits::SAGA_STEPS_MAX);
    if steps == 0 {
        found.push((format!("declares {saga} without steps"), "give it at least one step".to_owned()));
    }
    if steps > most {
        let message = format!("declares {saga} with {steps} steps; {most} are possible");
        found.push((message, "let a step start a saga of its own for some of them".to_owned()));
    }
    let (mut names, mut never) = (BTreeSet::new(), None);
    for step in &definition.steps {
        let mut wrong = |what: String, remedy: &str| {
            found.push((format!("declares {saga} whose step `{}` {what}", shown(&step.name)), remedy.to_owned()));
        };
        if !is_name(&step.name) {
            wrong("has no such name as the host can use".to_owned(), NAME);
        }
        if !names.insert(&step.name) {
            wrong("stands there twice".to_owned(), "give one of them another name");
        }
        if step.tries == 0 {
            wrong("is tried 0 times".to_owned(), "let `tries` be at least 1");
        }
        if step.patience_s == 0 {
            wrong("is tried for 0 seconds".to_owned(), "let `patience-s` be at least 1");
        }
        let undo = match &step.undo {
            SagaUndo::Call(function) => Some(("is undone by", function)),
            _ => None,
        };
        for (verb, function) in step.call.iter().map(|function| ("calls", function)).chain(undo) {
            if let Some((what, remedy)) = calls.problem(function) {
                wrong(format!("{verb} `{}`, {what}", shown(function)), &remedy);
            }
        }
        if let (Some(function), SagaUndo::Own) = (&step.call, &step.undo) {
            let what = format!("calls `{}`, and a change of its own file does not undo that", shown(function));
            wrong(what, "give it an undo that calls, or say `nothing` or `never`");
        }
        if let (Some(before), SagaUndo::Call(_) | SagaUndo::Own) = (never, &step.undo) {
            let what = format!("declares an undo, and comes after `{}`, which cannot be undone", shown(before));
            wrong(what, "say `nothing` or `never`, or move it before that step");
        }
        never = never.or_else(|| is_never(step).then_some(step.name.as_str()));
    }
}

fn is_never(step: &SagaStep) -> bool {
    step.undo == SagaUndo::Never
}

impl Calls {
    /// Why the host does not know this function as one that the component calls.
    fn problem(&self, text: &str) -> Option<Wrong> {
        let asked = parse(text);
        let is_in = |names: &[(InterfaceName, String)]| {
            asked.as_ref().is_some_and(|(interface, function)| {
                names.iter().any(|(name, known)| known == function && name.granted_by(interface))
            })
        };
        if is_in(&self.called) {
            return None;
        }
        if is_in(&self.published) {
            let remedy = "leave the call out: what the step publishes commits with what it writes";
            return Some(("which its component publishes and does not call".to_owned(), remedy.to_owned()));
        }
        let known: Vec<String> = self.called.iter().map(|(name, known)| format!("{}.{known}", name.path)).collect();
        let remedy = match nearest(text, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "the component imports no function of another context".to_owned(),
            None => "name a function that the component imports: `namespace:package/interface.function`".to_owned(),
        };
        Some(("which its component does not import".to_owned(), remedy))
    }
}

/// `namespace:package/interface[@version]`, and the function.
fn parse(text: &str) -> Option<(&str, &str)> {
    let (interface, function) = text.rsplit_once('.')?;
    InterfaceName::parse(interface).map(|_| (interface, function))
}

const NAME: &str = "use lower-case words with hyphens, up to 64 characters: `place-order`";

fn is_name(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= limits::SAGA_NAME_BYTES_MAX && text.split('-').all(is_word)
}

/// A text of the component, of any length.
fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn calls() -> Calls {
        let name = |text: &str, functions: &[&str]| -> Vec<(InterfaceName, String)> {
            functions.iter().map(|function| (InterfaceName::parse(text).unwrap(), (*function).to_owned())).collect()
        };
        Calls {
            called: name("shop:stock/levels@0.1.0", &["reserve", "release"]),
            published: name("shop:orders/events@0.1.0", &["order-placed"]),
        }
    }

    fn step(name: &str, call: Option<&str>, undo: SagaUndo) -> SagaStep {
        SagaStep { name: name.into(), call: call.map(Into::into), undo, tries: 1, patience_s: 1 }
    }

    fn saga(kind: &str, steps: Vec<SagaStep>) -> SagaDefinition {
        SagaDefinition { kind: kind.into(), steps }
    }

    const RESERVE: Option<&str> = Some("shop:stock/levels.reserve");

    fn release() -> SagaUndo {
        SagaUndo::Call("shop:stock/levels.release".into())
    }

    #[test]
    fn a_sound_saga_passes() {
        let steps = vec![
            step("reserve", RESERVE, release()),
            step("reserve-2", Some("shop:stock/levels@0.1.0.reserve"), SagaUndo::Nothing),
            step("note", None, SagaUndo::Own),
            step("charge", None, SagaUndo::Never),
            step("ship", RESERVE, SagaUndo::Never),
            step("thank", None, SagaUndo::Nothing),
        ];
        assert_eq!(check(&calls(), &[saga("order", steps), saga("return", vec![step("a", None, SagaUndo::Own)])]), []);
    }

    #[test]
    fn what_is_wrong_is_said_with_saga_step_and_remedy() {
        let one = |kind: &str, steps: Vec<SagaStep>, expect: &[(&str, &str)]| {
            let found = check(&calls(), &[saga(kind, steps)]);
            let found: Vec<(&str, &str)> = found.iter().map(|(what, how)| (what.as_str(), how.as_str())).collect();
            assert_eq!(found, expect);
        };
        let note = || step("note", None, SagaUndo::Own);
        one("order", vec![], &[("declares the saga `order` without steps", "give it at least one step")]);
        one("Order", vec![note()], &[("declares the saga `Order`, which is no name", NAME)]);
        one(
            "order",
            vec![note(), note()],
            &[("declares the saga `order` whose step `note` stands there twice", "give one of them another name")],
        );
        one(
            "order",
            vec![step("", None, SagaUndo::Own)],
            &[("declares the saga `order` whose step `` has no such name as the host can use", NAME)],
        );
        one(
            "order",
            vec![SagaStep { tries: 0, patience_s: 0, ..note() }],
            &[
                ("declares the saga `order` whose step `note` is tried 0 times", "let `tries` be at least 1"),
                (
                    "declares the saga `order` whose step `note` is tried for 0 seconds",
                    "let `patience-s` be at least 1",
                ),
            ],
        );
        one(
            "order",
            vec![step("reserve", Some("shop:stock/levels.reserv"), release())],
            &[(
                "declares the saga `order` whose step `reserve` calls `shop:stock/levels.reserv`, which its component does \
             not import",
                "did you mean `shop:stock/levels.reserve`?",
            )],
        );
        one(
            "order",
            vec![step("reserve", RESERVE, SagaUndo::Call("levels.release".into()))],
            &[(
                "declares the saga `order` whose step `reserve` is undone by `levels.release`, which its component does not \
             import",
                "name a function that the component imports: `namespace:package/interface.function`",
            )],
        );
        one(
            "order",
            vec![step("tell", Some("shop:orders/events.order-placed"), SagaUndo::Nothing)],
            &[(
                "declares the saga `order` whose step `tell` calls `shop:orders/events.order-placed`, which its component \
             publishes and does not call",
                "leave the call out: what the step publishes commits with what it writes",
            )],
        );
        one(
            "order",
            vec![step("reserve", RESERVE, SagaUndo::Own)],
            &[(
                "declares the saga `order` whose step `reserve` calls `shop:stock/levels.reserve`, and a change of its own \
             file does not undo that",
                "give it an undo that calls, or say `nothing` or `never`",
            )],
        );
        one(
            "order",
            vec![step("charge", None, SagaUndo::Never), note()],
            &[(
                "declares the saga `order` whose step `note` declares an undo, and comes after `charge`, which cannot be \
             undone",
                "say `nothing` or `never`, or move it before that step",
            )],
        );
        let many = (0..33).map(|at| step(&format!("s{at}"), None, SagaUndo::Nothing)).collect();
        one(
            "order",
            many,
            &[(
                "declares the saga `order` with 33 steps; 32 are possible",
                "let a step start a saga of its own for some of them",
            )],
        );
    }

    #[test]
    fn a_kind_is_declared_once_and_their_number_has_a_bound() {
        let note = || vec![step("note", None, SagaUndo::Own)];
        let found = check(&calls(), &[saga("order", note()), saga("order", note())]);
        assert_eq!(
            found.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(),
            ["declares the saga `order` twice"]
        );
        let many: Vec<SagaDefinition> = (0..65).map(|at| saga(&format!("order-{at}"), note())).collect();
        let found = check(&calls(), &many);
        assert_eq!(found.first().map(|(what, _)| what.as_str()), Some("declares 65 sagas; 64 are possible"));
    }
}
