//! Sagas as text for people.

use super::out;
use crate::sagas::{NotActed, SagaGroup, SagaPlan, SagaStatus, ShownAttempt, ShownSaga, ShownStep, StepState, Unread};

/// Says which contexts could not be asked: none of their sagas is shown.
pub fn unread(all: &[Unread]) {
    for Unread { context, why } in all {
        out::warning(&format!("the sagas of `{context}` cannot be read: {why}"));
    }
}

/// `42 s`, `17 min`, `5 h`, `3 d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn second(time: &str) -> String {
    time.get(..19).map_or_else(|| time.to_owned(), |second| format!("{second}Z"))
}

pub fn listed(all: &[SagaStatus]) -> String {
    let row = |saga: &SagaStatus| {
        vec![
            saga.context.clone(),
            saga.kind.clone(),
            saga.id.clone(),
            saga.state.clone(),
            step(&saga.step, saga.undoing),
            saga.tries.to_string(),
            age(saga.age_s),
            saga.next_try.as_deref().map_or_else(|| "-".to_owned(), second),
            saga.cause.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let header = ["CONTEXT", "KIND", "ID", "STATE", "STEP", "TRIES", "AGE", "NEXT TRY", "CAUSE"];
    out::table(&header, &rows, &["TRIES", "AGE"])
}

fn step(step: &str, undo: bool) -> String {
    if undo { format!("undo {step}") } else { step.to_owned() }
}

pub fn grouped(all: &[SagaGroup]) -> String {
    let row = |group: &SagaGroup| {
        vec![
            group.sagas.to_string(),
            age(group.oldest_s),
            group.context.clone(),
            group.kind.clone(),
            group.state.clone(),
            group.step.clone(),
            group.cause.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let header = ["SAGAS", "OLDEST", "CONTEXT", "KIND", "STATE", "STEP", "CAUSE"];
    out::table(&header, &rows, &["SAGAS", "OLDEST"])
}

pub fn shown(saga: &ShownSaga) -> String {
    let ShownSaga { status, undone_because, traceparent, perhaps_performed, steps, steps_unknown, timeline } = saga;
    let mut text = format!(
        "{} {} of {}: {} at {}, started {} ago\n",
        status.kind,
        status.id,
        status.context,
        status.state,
        step(&status.step, status.undoing),
        age(status.age_s)
    );
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {name}: {value}\n"));
        }
    };
    line("why", &status.cause);
    line("undone because", undone_because);
    line("next try", status.next_try.as_deref().unwrap_or(""));
    line("perhaps performed, too", &perhaps_performed.join(", "));
    line("only goes on", if status.forward_only { "it has come to a step that cannot be undone" } else { "" });
    line("trace", traceparent);
    line("steps not shown", steps_unknown);
    if !steps.is_empty() {
        text.push('\n');
        text.push_str(&of_definition(steps, status.undoing));
    }
    let row = |line: &ShownAttempt| {
        vec![
            line.number.to_string(),
            second(&line.time),
            out::time(line.took_ms as f64 * 1e3),
            step(&line.step, line.undo),
            line.answer.clone(),
            line.by.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = timeline.iter().map(row).collect();
    text.push('\n');
    text.push_str(&out::table(&["NUMBER", "TIME", "TOOK", "STEP", "ANSWER", "BY"], &rows, &["NUMBER", "TOOK"]));
    text
}

/// What the definition says of each step, and what has become of it.
fn of_definition(steps: &[ShownStep], undoing: bool) -> String {
    let row = |one: &ShownStep| {
        let is_now = one.state == StepState::Now;
        let tries = if is_now { format!("{} of {}", one.tried, one.tries) } else { one.tries.to_string() };
        let deadline = one.deadline.as_deref().map_or_else(|| format!("{} s", one.patience_s), second);
        vec![
            step(&one.name, is_now && undoing),
            one.state.name().to_owned(),
            one.call.clone().unwrap_or_else(|| "-".to_owned()),
            one.undo.clone(),
            tries,
            deadline,
        ]
    };
    let rows: Vec<_> = steps.iter().map(row).collect();
    out::table(&["STEP", "STATE", "CALLS", "UNDO", "TRIES", "DEADLINE"], &rows, &["TRIES"])
}

/// What would happen.
pub fn plan(plan: &SagaPlan) -> String {
    let mut text = String::new();
    if !plan.acts.is_empty() {
        let rows: Vec<_> = plan
            .acts
            .iter()
            .map(|act| {
                let name = act.name.clone();
                vec![name.context, name.kind, name.id, act.state.clone(), act.effect.clone()]
            })
            .collect();
        text.push_str(&out::table(&["CONTEXT", "KIND", "ID", "STATE", "WHAT WOULD HAPPEN"], &rows, &[]));
    }
    text.push_str(&not_acted("would not be acted on", plan));
    if text.is_empty() {
        text.push_str("no saga matches\n");
    }
    text
}

/// What was done.
pub fn acted(plan: &SagaPlan) -> String {
    let mut text = match plan.acts.len() {
        1 => "1 saga was acted on\n".to_owned(),
        count => format!("{count} sagas were acted on\n"),
    };
    text.push_str(&not_acted("was not acted on", plan));
    text
}

fn not_acted(head: &str, plan: &SagaPlan) -> String {
    let line = |not: &NotActed| format!("{} {head}: {}\n", not.name, not.why);
    plan.refused.iter().chain(&plan.moved).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sagas::{SagaAct, SagaName};

    fn status() -> SagaStatus {
        SagaStatus {
            context: "orders".into(),
            kind: "order".into(),
            id: "MC-100121".into(),
            state: "stuck".into(),
            step: "authorise".into(),
            undoing: true,
            forward_only: false,
            tries: 5,
            cause: "finance is out of service".into(),
            started: "2026-11-29T20:00:00.123Z".into(),
            age_s: 600,
            next_try: None,
        }
    }

    #[test]
    fn a_list_says_where_each_saga_is_and_why() {
        let expect = "\
CONTEXT  KIND   ID         STATE  STEP            TRIES     AGE  NEXT TRY  CAUSE
orders   order  MC-100121  stuck  undo authorise      5  10 min  -         finance is out of service
";
        assert_eq!(listed(&[status()]), expect);
        for (seconds, text) in [(119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_saga_is_shown_with_its_steps_and_its_timeline() {
        let step = |name: &str, state, call: Option<&str>, undo: &str| ShownStep {
            name: name.into(),
            state,
            call: call.map(str::to_owned),
            undo: undo.into(),
            tried: if state == StepState::Now { 5 } else { 0 },
            tries: 9,
            patience_s: 60,
            deadline: (state == StepState::Now).then(|| "2026-11-29T20:01:00.5Z".to_owned()),
        };
        let attempt = |number, answer: &str, by: Option<&str>| ShownAttempt {
            number,
            time: "2026-11-29T20:00:01.5Z".into(),
            took_ms: 12,
            step: "authorise".into(),
            undo: number > 1,
            answer: answer.into(),
            by: by.map(str::to_owned),
        };
        let saga = ShownSaga {
            status: status(),
            undone_because: "the card is declined".into(),
            traceparent: "00-1-2-01".into(),
            perhaps_performed: vec!["clear".into()],
            steps: vec![
                step("open", StepState::Done, None, "own"),
                step("authorise", StepState::Now, Some("bank:cards/payments.hold"), "bank:cards/payments.free"),
                step("clear", StepState::PerhapsDone, None, "nothing"),
                step("ship", StepState::ToCome, None, "never"),
            ],
            steps_unknown: String::new(),
            timeline: vec![attempt(1, "refused: declined", None), attempt(7, "retry: it is back", Some("ada (1000)"))],
        };
        let expect = "\
order MC-100121 of orders: stuck at undo authorise, started 10 min ago
  why: finance is out of service
  undone because: the card is declined
  perhaps performed, too: clear
  trace: 00-1-2-01

STEP            STATE         CALLS                     UNDO                       TRIES  DEADLINE
open            done          -                         own                            9  60 s
undo authorise  now           bank:cards/payments.hold  bank:cards/payments.free  5 of 9  2026-11-29T20:01:00Z
clear           perhaps done  -                         nothing                        9  60 s
ship            to come       -                         never                          9  60 s

NUMBER  TIME                   TOOK  STEP            ANSWER             BY
     1  2026-11-29T20:00:01Z  12 ms  authorise       refused: declined
     7  2026-11-29T20:00:01Z  12 ms  undo authorise  retry: it is back  ada (1000)
";
        assert_eq!(shown(&saga), expect);
        let why = "the version that serves has no sagas of the kind `order`";
        let unknown = shown(&ShownSaga { steps: Vec::new(), steps_unknown: why.into(), ..saga });
        assert!(unknown.contains(&format!("  steps not shown: {why}\n")) && !unknown.contains("DEADLINE"), "{unknown}");
    }

    #[test]
    fn a_plan_says_what_would_happen_and_what_would_not() {
        let name = |id: &str| SagaName { context: "orders".into(), kind: "order".into(), id: id.into() };
        let act = SagaAct {
            name: name("7"),
            state: "stuck".into(),
            step: "ship".into(),
            effect: "`ship` is tried now".into(),
        };
        let not = NotActed { name: name("8"), why: "it has ended: it is done".into() };
        let all = SagaPlan {
            as_of: String::new(),
            done: false,
            acts: vec![act],
            refused: vec![not],
            moved: Vec::new(),
            more: false,
        };
        let expect = "\
CONTEXT  KIND   ID  STATE  WHAT WOULD HAPPEN
orders   order  7   stuck  `ship` is tried now
`order` 8 of `orders` would not be acted on: it has ended: it is done
";
        assert_eq!(plan(&all), expect);
        let expect = "1 saga was acted on\n`order` 8 of `orders` was not acted on: it has ended: it is done\n";
        assert_eq!(acted(&all), expect);
    }
}
