//! Sagas in a file: each starts once, goes on with its transaction or not at all, and none is lost.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

fn step(name: &str, undo: SagaUndo) -> SagaStep {
    SagaStep { name: name.into(), call: Some("acme:stock/levels.take".into()), undo, tries: 3, patience_s: 60 }
}

fn sale() -> SagaDefinition {
    let back = || SagaUndo::Call("acme:stock/levels.put-back".into());
    let steps = vec![step("reserve", back()), step("pay", back()), step("send", SagaUndo::Never)];
    SagaDefinition { kind: "sale".into(), steps }
}

fn in_tx<T>(shop: &Database, run: impl FnOnce(&mut Transaction) -> Result<T, Error>) -> T {
    let mut tx = shop.begin(soon()).unwrap();
    let value = run(&mut tx).unwrap();
    tx.commit().unwrap();
    value
}

fn start(shop: &Database, id: &str, now_ms: u64) -> bool {
    in_tx(shop, |tx| tx.saga_start(&sale(), id, "trace", now_ms))
}

fn saga(shop: &Database, id: &str) -> Saga {
    shop.saga("sale", id).unwrap().unwrap()
}

/// Changes a saga as the host does.
fn save(shop: &Database, id: &str, change: impl FnOnce(&mut Saga)) -> bool {
    let mut saga = saga(shop, id);
    change(&mut saga);
    in_tx(shop, |tx| tx.saga_save(&saga, &[]))
}

fn waits(saga: &mut Saga) {
    (saga.state, saga.due_ms) = (SagaState::Waiting, None);
}

fn ends(saga: &mut Saga) {
    (saga.state, saga.due_ms, saga.changed_ms) = (SagaState::Done, None, 500);
}

fn refused(change: &SagaChange) -> &str {
    match change {
        SagaChange::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_saga_starts_with_its_transaction_or_not_at_all_and_once() {
    let shop = shop();
    assert_eq!((shop.saga("sale", "1").unwrap(), shop.next_saga_due().unwrap()), (None, None), "no table yet");
    let mut tx = shop.begin(soon()).unwrap();
    assert!(tx.saga_start(&sale(), "gone", "", 5).unwrap());
    drop(tx);
    assert_eq!(shop.saga("sale", "gone").unwrap(), None);
    assert!(start(&shop, "1", 5));
    assert!(!start(&shop, "1", 9), "it has been started");
    let first = saga(&shop, "1");
    assert_eq!(
        (first.state, first.step.as_str(), first.started_ms, first.due_ms),
        (SagaState::Running, "reserve", 5, Some(5))
    );
    assert_eq!(first.reach, ["reserve", "pay"], "up to the step that cannot be undone");
    assert!(!first.in_doubt && !first.forward_only && !first.undoing);
    let mut tx = shop.begin(soon()).unwrap();
    for bad in ["", &"x".repeat(limits::SAGA_ID_CHARS_MAX + 1)] {
        assert_eq!(case(&tx.saga_start(&sale(), bad, "", 5)), "invalid", "{bad}");
    }
    let empty = SagaDefinition { kind: "nothing".into(), steps: vec![] };
    assert_eq!(case(&tx.saga_start(&empty, "1", "", 5)), "invalid");
}

#[test]
fn what_changed_since_it_was_read_is_not_saved_over() {
    let shop = shop();
    start(&shop, "1", 5);
    let old = saga(&shop, "1");
    assert_eq!(in_tx(&shop, |tx| tx.saga_give_up("sale", "1", "the customer", 7)), SagaChange::Done);
    assert!(!in_tx(&shop, |tx| tx.saga_save(&old, &[])));
    let given_up = saga(&shop, "1");
    assert_eq!((given_up.state, given_up.why(), given_up.due_ms), (SagaState::Undoing, "the customer", Some(7)));
    assert!(save(&shop, "1", |saga| saga.step = "pay".into()));
    assert_eq!(saga(&shop, "1").step, "pay");
    let gone = Saga { id: "2".into(), ..old };
    assert!(!in_tx(&shop, |tx| tx.saga_save(&gone, &[])), "none is made by saving it");
}

#[test]
fn after_the_file_was_opened_again_the_host_knows_no_more_what_has_happened() {
    let Fixture { database, folder } = shop();
    for id in ["1", "2", "3"] {
        start(&database, id, 5);
    }
    save(&database, "2", waits);
    save(&database, "3", |saga| saga.in_doubt = true);
    assert!(!saga(&database, "2").in_doubt && saga(&database, "3").in_doubt);
    database.close().unwrap();
    let again = Database::open(config(&folder, 64)).unwrap();
    assert!(saga(&again, "1").in_doubt);
    // Nothing happens after a step at which a saga waits.
    assert_eq!(in_tx(&again, |tx| tx.saga_resume("sale", "2", "reserve", 9)), SagaChange::Done);
    let resumed = saga(&again, "2");
    assert_eq!((resumed.state, resumed.passed, resumed.in_doubt), (SagaState::Running, true, false));
    assert_eq!(resumed.due_ms, Some(9));
}

#[test]
fn a_change_that_does_not_fit_the_state_changes_nothing() {
    let shop = shop();
    for id in ["runs", "waits", "sent", "done"] {
        start(&shop, id, 5);
    }
    save(&shop, "waits", waits);
    save(&shop, "sent", |saga| (saga.forward_only, saga.step) = (true, "send".into()));
    save(&shop, "done", ends);
    let before: Vec<Saga> = shop.sagas(&SagaFilter::default(), 0, 10).unwrap();
    in_tx(&shop, |tx| {
        assert_eq!(tx.saga_resume("sale", "unknown", "pay", 9)?, SagaChange::Unknown);
        assert_eq!(tx.saga_give_up("sale", "unknown", "", 9)?, SagaChange::Unknown);
        assert!(refused(&tx.saga_resume("sale", "runs", "reserve", 9)?).contains("running"));
        assert!(refused(&tx.saga_resume("sale", "waits", "pay", 9)?).contains("waits at `reserve`"));
        assert!(refused(&tx.saga_give_up("sale", "sent", "", 9)?).contains("`send`"));
        assert!(refused(&tx.saga_give_up("sale", "done", "", 9)?).contains("has ended"));
        for (id, action, why_not) in [
            ("done", SagaAction::Retry, "has ended"),
            ("runs", SagaAction::Resume, "does not wait"),
            ("runs", SagaAction::Skip, "has not failed"),
            ("waits", SagaAction::Skip, "resume it"),
            ("sent", SagaAction::Undo, "only goes on"),
        ] {
            let came = tx.saga_act(("sale", id), action, ("ann", ""), 9)?;
            assert!(refused(&came).contains(why_not), "{id} {action:?}: {came:?}");
        }
        Ok(())
    });
    assert_eq!(shop.sagas(&SagaFilter::default(), 0, 10).unwrap(), before);
}

#[test]
fn what_an_operator_does_stands_in_the_timeline() {
    let shop = shop();
    start(&shop, "1", 5);
    let fails = |saga: &mut Saga| {
        (saga.state, saga.attempts, saga.reason, saga.due_ms) = (SagaState::Stuck, 3, "no room".into(), None);
        saga.step = "pay".into();
    };
    save(&shop, "1", fails);
    let act = |action, why: &str| in_tx(&shop, |tx| tx.saga_act(("sale", "1"), action, ("ann", why), 9));
    assert_eq!(act(SagaAction::Retry, ""), SagaChange::Done);
    let retried = saga(&shop, "1");
    assert_eq!((retried.state, retried.attempts, retried.due_ms), (SagaState::Running, 0, Some(9)));
    save(&shop, "1", fails);
    assert_eq!(act(SagaAction::Skip, "paid in cash"), SagaChange::Done);
    let skipped = saga(&shop, "1");
    assert_eq!((skipped.state, skipped.passed, skipped.due_ms), (SagaState::Running, true, Some(9)));
    assert_eq!(act(SagaAction::Undo, ""), SagaChange::Done);
    assert_eq!(saga(&shop, "1").cause, "an operator");
    save(&shop, "1", fails);
    assert_eq!(act(SagaAction::Skip, "nothing to undo"), SagaChange::Done);
    assert_eq!(saga(&shop, "1").state, SagaState::Undoing);
    let lines: Vec<_> =
        shop.saga_timeline("sale", "1").unwrap().into_iter().map(|a| (a.number, a.answer, a.undo)).collect();
    let line = |number, answer: &str, undo| (number, answer.to_owned(), undo);
    assert_eq!(
        lines,
        [
            line(1, "retry", false),
            line(2, "skip: paid in cash", false),
            line(3, "undo", false),
            line(4, "skip: nothing to undo", true)
        ]
    );
    assert_eq!(shop.saga_timeline("sale", "1").unwrap()[0].by.as_deref(), Some("ann"));
}

#[test]
fn those_that_are_due_are_found_in_order_and_others_are_not() {
    let shop = shop();
    for (id, due) in [("late", 900), ("early", 100), ("second", 500)] {
        start(&shop, id, due);
    }
    start(&shop, "waits", 1);
    save(&shop, "waits", waits);
    let due = |now| -> Vec<String> { shop.sagas_due(now, 10).unwrap().into_iter().map(|saga| saga.id).collect() };
    assert_eq!(shop.next_saga_due().unwrap(), Some(100));
    assert_eq!((due(99), due(500)), (vec![], vec!["early".to_owned(), "second".to_owned()]));
    assert_eq!(shop.sagas_due(1_000, 1).unwrap().len(), 1);
}

#[test]
fn after_a_clock_was_set_back_no_try_waits_for_it() {
    let shop = shop();
    assert_eq!(shop.hasten_sagas(500).unwrap(), 0, "a file without sagas");
    for id in ["tried", "before", "waits", "rests", "done"] {
        start(&shop, id, 5);
    }
    save(&shop, "rests", |saga| (saga.state, saga.due_ms, saga.changed_ms) = (SagaState::Waiting, None, 8_000));
    save(&shop, "tried", |saga| (saga.due_ms, saga.changed_ms, saga.step_since_ms) = (Some(9_000), 8_000, 8_000));
    save(&shop, "before", |saga| (saga.due_ms, saga.changed_ms) = (Some(900), 400));
    save(&shop, "waits", |saga| {
        (saga.state, saga.due_ms, saga.changed_ms) = (SagaState::Waiting, Some(9_000), 8_000);
    });
    save(&shop, "done", ends);
    assert_eq!(shop.hasten_sagas(500).unwrap(), 2);
    let tried = saga(&shop, "tried");
    assert_eq!((tried.due_ms, tried.step_since_ms), (Some(500), 500));
    assert_eq!((saga(&shop, "before").due_ms, saga(&shop, "waits").due_ms), (Some(900), Some(500)));
    assert_eq!(saga(&shop, "rests").due_ms, None, "it waits for something else");
    assert_eq!(shop.hasten_sagas(500).unwrap(), 0);
}

#[test]
fn lists_are_filtered_and_counts_leave_out_what_has_ended() {
    let shop = shop();
    for (number, id) in ["1", "2", "3", "4"].into_iter().enumerate() {
        start(&shop, id, 10 * (number as u64 + 1));
    }
    save(&shop, "2", |saga| (saga.state, saga.reason) = (SagaState::Stuck, "Warehouse is away".into()));
    in_tx(&shop, |tx| tx.saga_give_up("sale", "3", "card declined", 50));
    save(&shop, "4", ends);
    let ids = |filter: &SagaFilter, skip, count| -> Vec<String> {
        shop.sagas(filter, skip, count).unwrap().into_iter().map(|saga| saga.id).collect()
    };
    let all = SagaFilter::default;
    assert_eq!(ids(&all(), 0, 10), ["1", "2", "3", "4"]);
    assert_eq!(ids(&all(), 1, 2), ["2", "3"]);
    assert_eq!(ids(&SagaFilter { kind: Some("other".into()), ..all() }, 0, 10), [""; 0]);
    let states = vec![SagaState::Stuck, SagaState::Undoing];
    assert_eq!(ids(&SagaFilter { states, ..all() }, 0, 10), ["2", "3"]);
    assert_eq!(ids(&SagaFilter { older_than_ms: Some(20), ..all() }, 0, 10), ["1"]);
    for (text, id) in [("warehouse", "2"), ("declined", "3")] {
        assert_eq!(ids(&SagaFilter { cause: Some(text.into()), ..all() }, 0, 10), [id]);
    }
    let mut counts = shop.saga_counts().unwrap();
    counts.sort_by_key(|count| count.state);
    let counts: Vec<_> = counts.iter().map(|count| (count.state, count.sagas, count.oldest_ms)).collect();
    assert_eq!(counts, [(SagaState::Running, 1, 10), (SagaState::Undoing, 1, 30), (SagaState::Stuck, 1, 20)]);
}

#[test]
fn a_long_timeline_keeps_how_it_began_and_its_end() {
    let shop = shop();
    start(&shop, "1", 5);
    let all = u64::from(limits::SAGA_ATTEMPTS_MAX) + 50;
    for number in 0..all {
        let line = SagaAttempt {
            number: 0,
            at_ms: number,
            took_ms: 1,
            step: "reserve".into(),
            undo: false,
            answer: "x".repeat(2 * limits::SAGA_REASON_CHARS_MAX),
            by: None,
        };
        let saga = saga(&shop, "1");
        assert!(in_tx(&shop, |tx| tx.saga_save(&saga, &[line])));
    }
    let kept = shop.saga_timeline("sale", "1").unwrap();
    assert_eq!(kept.len(), limits::SAGA_ATTEMPTS_MAX as usize);
    let first = limits::SAGA_ATTEMPTS_FIRST as usize;
    assert_eq!((kept[first - 1].number, kept[first].number), (first as u64, first as u64 + 51), "a gap in the middle");
    assert_eq!(kept.last().unwrap().number, all);
    assert_eq!(kept[0].answer.len(), limits::SAGA_REASON_CHARS_MAX);
}

#[test]
fn those_that_have_ended_are_forgotten_with_their_timelines_and_others_stay() {
    let shop = shop();
    assert_eq!(shop.forget_sagas(1_000).unwrap(), 0, "a file without sagas");
    for id in ["1", "2", "3"] {
        start(&shop, id, 5);
    }
    let line = |answer: &str| SagaAttempt {
        number: 0,
        at_ms: 1,
        took_ms: 1,
        step: "send".into(),
        undo: false,
        answer: answer.into(),
        by: None,
    };
    let mut ended = saga(&shop, "1");
    ends(&mut ended);
    assert!(in_tx(&shop, |tx| tx.saga_save(&ended, &[line("done")])));
    save(&shop, "2", |saga| (saga.state, saga.due_ms, saga.changed_ms) = (SagaState::Undone, None, 2_000));
    assert_eq!(shop.forget_sagas(500).unwrap(), 0, "it ended at 500, not before");
    assert_eq!(shop.forget_sagas(501).unwrap(), 1);
    assert_eq!(shop.saga("sale", "1").unwrap(), None);
    assert!(shop.saga("sale", "2").unwrap().is_some() && shop.saga("sale", "3").unwrap().is_some());
    let lines = shop.reader().unwrap();
    let sql = "SELECT count(*) FROM seam_saga_attempts";
    let lines: i64 = lines.connection().unwrap().sqlite().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(lines, 0);
}

#[test]
fn a_commit_that_changed_sagas_rings_and_no_other_one_does() {
    let shop = shop();
    let rings = Arc::new(AtomicU32::new(0));
    let counted = rings.clone();
    let listener: Arc<Listener> = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    shop.listen_sagas(&listener);
    shop.add("a").unwrap();
    let mut tx = shop.begin(soon()).unwrap();
    tx.saga_start(&sale(), "gone", "", 5).unwrap();
    drop(tx);
    assert_eq!(rings.load(Ordering::SeqCst), 0);
    start(&shop, "1", 5);
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    in_tx(&shop, |tx| tx.saga_give_up("sale", "1", "", 6));
    assert_eq!(rings.load(Ordering::SeqCst), 2);
}

#[test]
fn beyond_the_bound_no_saga_is_started_and_those_in_process_stay() {
    let shop = shop();
    start(&shop, "first", 10);
    let more = limits::SAGAS_MAX - 1;
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})
         INSERT INTO seam_sagas (kind, id, state, step, reach, opened, forward_only, undoing, passed, attempts,
                                 started_ms, changed_ms, step_since_ms, cause, reason, trace, revision)
         SELECT 'sale', 'x' || i, 'waiting', 'pay', '', 1, 0, 0, 0, 0, 1, 1, 1, '', '', '', 1 FROM n"
    );
    shop.write_as_host(|sqlite| sqlite.execute(&fill, []).map(drop)).unwrap();
    let refused = (0..=limits::SAGAS_COUNTED_EVERY).find_map(|number| {
        let mut tx = shop.begin(soon()).unwrap();
        let started = tx.saga_start(&sale(), &format!("more{number}"), "", 30);
        match case(&started) {
            "ok" => tx.commit().map(|()| None).unwrap(),
            other => Some(other),
        }
    });
    assert_eq!(refused, Some("full"));
    assert!(shop.trouble().is_none(), "the file is well");
    assert!(shop.saga("sale", "first").unwrap().is_some());
}
