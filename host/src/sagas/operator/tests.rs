//! What an operator sees of sagas in real files, and does to them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::{
    Config, Database, HostFile, Saga, SagaAttempt, SagaDefinition, SagaState, SagaStep, SagaUndo, Transaction,
};

use super::*;
use crate::limits;

/// Milliseconds since 1970: when the operator looks.
const NOW: u64 = 10_000_000;

struct Desk {
    files: Vec<SagaFile<Arc<Database>>>,
    orders: Arc<Database>,
    audit: Audit,
    _folder: tempfile::TempDir,
}

fn definition() -> SagaDefinition {
    let step = |name: &str| SagaStep { name: name.into(), call: None, undo: SagaUndo::Own, tries: 3, patience_s: 60 };
    SagaDefinition { kind: "order".into(), steps: ["reserve", "authorise", "ship"].map(step).into() }
}

fn write(database: &Database, mut work: impl FnMut(&mut Transaction)) {
    let mut tx = database.begin(Instant::now() + Duration::from_secs(60)).unwrap();
    work(&mut tx);
    tx.commit().unwrap();
}

/// Starts a saga `minutes` before `NOW`, and has it stand as `change` says.
fn place(database: &Database, id: &str, minutes: u64, change: impl Fn(&mut Saga)) {
    let at = NOW - minutes * 60_000;
    write(database, |tx| {
        tx.saga_start(&definition(), id, "00-1-2-01", at).unwrap();
        let mut saga = tx.saga("order", id).unwrap().unwrap();
        change(&mut saga);
        assert!(tx.saga_save(&saga, &[]).unwrap());
    });
}

fn stuck(why: &str) -> impl Fn(&mut Saga) + use<> {
    let why = why.to_owned();
    move |saga| {
        (saga.state, saga.due_ms, saga.step, saga.reason) = (SagaState::Stuck, None, "authorise".into(), why.clone());
    }
}

/// `orders` has one saga in each state, and two more that are stuck; `away` is out of service.
fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let host = Arc::new(HostFile::open(folder.path()).unwrap());
    let orders = Database::open(Config::plain(folder.path().join("orders.db"), 64)).unwrap();
    place(&orders, "MC-1", 50, stuck("order MC-1: no answer from finance"));
    place(&orders, "MC-2", 40, stuck("order MC-2: no answer from finance"));
    place(&orders, "MC-3", 30, stuck("the card is unknown"));
    place(&orders, "MC-4", 20, |_| {});
    place(&orders, "MC-5", 10, |saga| (saga.state, saga.due_ms, saga.step) = (SagaState::Waiting, None, "ship".into()));
    place(&orders, "MC-6", 9, |saga| (saga.state, saga.due_ms) = (SagaState::Done, None));
    place(&orders, "MC-7", 8, |saga| {
        (saga.state, saga.undoing, saga.cause) = (SagaState::Undoing, true, "declined".into());
    });
    let audit = Audit::new(host).unwrap();
    let away = SagaFile { context: "away".into(), file: Err("its file is gone".into()) };
    let files = vec![SagaFile { context: "orders".into(), file: Ok(orders.clone()) }, away];
    Desk { files, orders, audit, _folder: folder }
}

fn of_orders() -> SagaSelection {
    SagaSelection { context: Some("orders".into()), ..SagaSelection::default() }
}

fn name(id: &str) -> SagaName {
    SagaName { context: "orders".into(), kind: "order".into(), id: id.into() }
}

impl Desk {
    fn list(&self, selection: &SagaSelection) -> Vec<String> {
        look::list(&self.files, selection, NOW, 100).unwrap().sagas.into_iter().map(|saga| saga.id).collect()
    }

    fn act(&self, of: SagaTarget, order: SagaOrder, as_of_ms: Option<u64>, preview: bool) -> Result<SagaPlan, Refused> {
        let request = SagaActRequest { of, order, why: "it is back".into(), as_of_ms, preview };
        act(&self.audit, &self.files, "ada (1000)", &request, NOW + 1_000)
    }

    fn saga(&self, id: &str) -> Saga {
        self.orders.saga("order", id).unwrap().unwrap()
    }

    fn timeline(&self, id: &str) -> Vec<SagaAttempt> {
        self.orders.saga_timeline("order", id).unwrap()
    }
}

fn ids(plan: &SagaPlan) -> Vec<&str> {
    plan.acts.iter().map(|act| act.name.id.as_str()).collect()
}

#[test]
fn sagas_are_found_by_state_age_and_cause_and_a_context_that_is_away_is_no_empty_one() {
    let desk = desk();
    let states = |states: &[&str]| states.iter().map(|state| (*state).to_owned()).collect::<Vec<_>>();
    for (selection, expect) in [
        (of_orders(), &["MC-1", "MC-2", "MC-3", "MC-4", "MC-5", "MC-7"][..]),
        (SagaSelection { states: states(&["stuck"]), ..of_orders() }, &["MC-1", "MC-2", "MC-3"]),
        (SagaSelection { states: states(&["done", "waiting"]), ..of_orders() }, &["MC-5", "MC-6"]),
        (SagaSelection { older_than_s: Some(40 * 60), ..of_orders() }, &["MC-1", "MC-2"]),
        (SagaSelection { cause: Some("FINANCE".into()), kind: Some("order".into()), ..of_orders() }, &["MC-1", "MC-2"]),
        (SagaSelection { cause: Some("declined".into()), ..of_orders() }, &["MC-7"]),
    ] {
        assert_eq!(desk.list(&selection), expect, "{selection:?}");
    }
    let all = look::list(&desk.files, &SagaSelection::default(), NOW, 2).unwrap();
    assert!(all.more && all.sagas.len() == 2, "{all:?}");
    assert_eq!(all.unread, [Unread { context: "away".into(), why: "its file is gone".into() }]);
    for (selection, words) in [
        (SagaSelection { context: Some("order".into()), ..of_orders() }, "did you mean `orders`?"),
        (SagaSelection { kind: Some("odrer".into()), ..of_orders() }, "did you mean `order`?"),
        (SagaSelection { states: states(&["stuk"]), ..of_orders() }, "did you mean `stuck`?"),
    ] {
        let refused = look::list(&desk.files, &selection, NOW, 2).unwrap_err();
        assert!(refused.remedy.contains(words), "{refused:?}");
    }
}

#[test]
fn sagas_with_the_same_trouble_are_counted_together() {
    let desk = desk();
    let stuck = SagaSelection { states: vec!["stuck".into()], ..of_orders() };
    let groups = look::groups(&desk.files, &stuck, NOW).unwrap().groups;
    let seen: Vec<_> = groups.iter().map(|group| (group.sagas, group.oldest_s, group.cause.as_str())).collect();
    assert_eq!(seen, [(2, 50 * 60, "order # no answer from finance"), (1, 30 * 60, "the card is unknown")]);
}

#[test]
fn a_saga_is_shown_with_what_operators_did_and_an_unknown_one_with_the_nearest() {
    let desk = desk();
    desk.act(SagaTarget::One(name("MC-1")), SagaOrder::Retry, None, false).unwrap();
    let show = |name: &SagaName| look::show(&desk.orders, name, Ok(definition()), NOW);
    let shown = show(&name("MC-1")).unwrap();
    assert_eq!((shown.status.state.as_str(), shown.status.age_s), ("running", 50 * 60));
    let [line] = &shown.timeline[..] else { panic!("{shown:?}") };
    assert_eq!((line.answer.as_str(), line.by.as_deref()), ("retry: it is back", Some("ada (1000)")));
    for (unknown, words) in [
        (name("MC-11"), "did you mean `MC-1`?"),
        (name("another"), "seam sagas --context orders"),
        (SagaName { kind: "ordre".into(), ..name("MC-1") }, "did you mean `order`?"),
    ] {
        let refused = show(&unknown).unwrap_err();
        assert!(refused.remedy.contains(words), "{refused:?}");
    }
}

#[test]
fn a_preview_says_what_would_happen_and_changes_nothing() {
    let desk = desk();
    let before: Vec<Saga> = (1..8).map(|number| desk.saga(&format!("MC-{number}"))).collect();
    let all = |selection| SagaTarget::All(selection);
    for (order, expect, effect) in [
        (SagaOrder::Retry, &["MC-1", "MC-2", "MC-3", "MC-4", "MC-7"][..], "`authorise` is tried now"),
        (SagaOrder::Skip, &["MC-1", "MC-2", "MC-3"], "`authorise` counts as performed"),
        (SagaOrder::Undo, &["MC-1", "MC-2", "MC-3", "MC-4", "MC-5"], "its steps are undone, from `"),
        (SagaOrder::Resume, &["MC-5"], "`ship` counts as performed"),
    ] {
        let plan = desk.act(all(of_orders()), order, None, true).unwrap();
        assert_eq!(ids(&plan), expect, "{order:?}");
        assert!(!plan.done && plan.acts[0].effect.contains(effect), "{plan:?}");
    }
    // Without a context, one that cannot be asked is no silent gap.
    let refused = desk.act(all(SagaSelection::default()), SagaOrder::Retry, None, true).unwrap_err();
    assert!(refused.message.contains("`away`"), "{refused:?}");
    let after: Vec<Saga> = (1..8).map(|number| desk.saga(&format!("MC-{number}"))).collect();
    assert_eq!(before, after);
    assert!(desk.audit.lines(9).unwrap().is_empty());
}

#[test]
fn many_are_acted_on_as_one_line_of_the_audit_log_and_what_moved_on_is_left_alone() {
    let desk = desk();
    let finance = SagaSelection { cause: Some("no answer from finance".into()), ..of_orders() };
    let target = || SagaTarget::All(finance.clone());
    let plan = desk.act(target(), SagaOrder::Retry, None, true).unwrap();
    let as_of = crate::times::parse_rfc3339(&plan.as_of).unwrap();
    // After the preview, one of the two gets further and fails again.
    write(&desk.orders, |tx| {
        let mut saga = tx.saga("order", "MC-2").unwrap().unwrap();
        (saga.step, saga.step_since_ms) = ("ship".into(), as_of + 1);
        assert!(tx.saga_save(&saga, &[]).unwrap());
    });
    let done = desk.act(target(), SagaOrder::Retry, Some(as_of), false).unwrap();
    assert_eq!((ids(&done), done.done), (vec!["MC-1"], true));
    assert!(
        matches!(&done.moved[..], [one] if one.name.id == "MC-2" && one.why.contains("stuck at `ship`")),
        "{done:?}"
    );
    assert_eq!((desk.saga("MC-1").state, desk.saga("MC-2").state), (SagaState::Running, SagaState::Stuck));
    assert_eq!((desk.timeline("MC-1").len(), desk.timeline("MC-2").len()), (1, 0));
    let lines = desk.audit.lines(9).unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line.command, "seam sagas retry --all --context orders --cause 'no answer from finance'");
    assert_eq!((line.why.as_str(), line.who.as_str()), ("it is back", "ada (1000)"));
    assert_eq!(line.outcome.as_deref(), Some("done: 1 saga, 0 refused, 1 had moved on"));
}

#[test]
fn what_changes_between_the_look_and_the_act_is_left_alone() {
    let desk = desk();
    let request = SagaActRequest {
        of: SagaTarget::All(of_orders()),
        order: SagaOrder::Undo,
        why: "closed".into(),
        as_of_ms: None,
        preview: false,
    };
    let prepared = act::prepare(&desk.files, &request, NOW).unwrap();
    write(&desk.orders, |tx| {
        let mut saga = tx.saga("order", "MC-4").unwrap().unwrap();
        saga.state = SagaState::Done;
        assert!(tx.saga_save(&saga, &[]).unwrap());
    });
    let done = act::carry_out(&desk.files, prepared, SagaOrder::Undo, ("ada", "closed"), NOW).unwrap();
    assert_eq!(ids(&done), ["MC-1", "MC-2", "MC-3", "MC-5"]);
    assert!(matches!(&done.moved[..], [one] if one.name.id == "MC-4" && one.why.contains("it is done")), "{done:?}");
    let undoing = desk.saga("MC-5");
    assert_eq!((undoing.state, undoing.cause.as_str()), (SagaState::Undoing, "closed"));
}

#[test]
fn more_than_one_commit_of_sagas_is_acted_on_and_no_more_than_the_bound() {
    let desk = desk();
    write(&desk.orders, |tx| {
        for number in 0..limits::SAGA_ACTS_MAX + 5 {
            tx.saga_start(&SagaDefinition { kind: "many".into(), ..definition() }, &number.to_string(), "", NOW)
                .unwrap();
        }
    });
    let many = SagaSelection { kind: Some("many".into()), ..of_orders() };
    let done = desk.act(SagaTarget::All(many), SagaOrder::Undo, None, false).unwrap();
    assert!(done.more && done.acts.len() == limits::SAGA_ACTS_MAX as usize, "{}", done.acts.len());
    let counts = desk.orders.saga_counts().unwrap();
    let of = |state| counts.iter().find(|count| count.kind == "many" && count.state == state).map(|count| count.sagas);
    assert_eq!((of(SagaState::Undoing), of(SagaState::Running)), (Some(u64::from(limits::SAGA_ACTS_MAX)), Some(5)));
}

#[test]
fn what_a_state_does_not_allow_is_refused_and_changes_nothing() {
    let desk = desk();
    for (id, order, words) in [
        ("MC-6", SagaOrder::Retry, "it has ended: it is done"),
        ("MC-6", SagaOrder::Undo, "it has ended: it is done"),
        ("MC-7", SagaOrder::Undo, "it is being undone already"),
        ("MC-1", SagaOrder::Resume, "it does not wait: it is stuck"),
        ("MC-5", SagaOrder::Skip, "it waits at `ship`"),
        ("MC-9", SagaOrder::Retry, "there is no saga"),
    ] {
        let refused = desk.act(SagaTarget::One(name(id)), order, None, false).unwrap_err();
        assert!(refused.message.contains(words), "{id} {order:?}: {refused:?}");
    }
    let silent = SagaActRequest {
        of: SagaTarget::One(name("MC-1")),
        order: SagaOrder::Skip,
        why: " ".into(),
        as_of_ms: None,
        preview: false,
    };
    let refused = act(&desk.audit, &desk.files, "ada", &silent, NOW).unwrap_err();
    assert!(refused.remedy.contains("--why"), "{refused:?}");
    assert!(desk.audit.lines(9).unwrap().is_empty() && desk.timeline("MC-1").is_empty());
}
