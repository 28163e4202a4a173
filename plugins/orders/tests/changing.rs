//! Changing a placed order: each step, each fault in the middle of it, each key twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use orders::changing::{cancel, receive_return, request_return, settle, ship};
use orders::desk;
use orders::domain::search::Range;
use orders::domain::states::Step;
use orders::store::changing::Change;
use orders::store::desk::{authors, cut_off, waiting};
use orders::store::{self, being_done};
use orders::wit::{Error, Order, State};
use world::{APPROVED, COPIES, FAULTS, Fault, World, lines};

const NUMBER: &str = "MC-100001";
const ALL: Range = Range { skip: 0, count: 10 };

fn change(key: &str, step: Step) -> Change<'_> {
    Change { key, step, number: NUMBER, customer: None, by: None }
}

fn by_customer<'a>(key: &'a str, customer: &'a str, step: Step) -> Change<'a> {
    Change { customer: Some(customer), ..change(key, step) }
}

/// A world with one order of two `A` and one `B`, in the state before `step`.
fn before(step: Step) -> World {
    let world = World::new();
    world.place("p", &[("A", 2), ("B", 1)], APPROVED).unwrap();
    if matches!(step, Step::RequestReturn | Step::ReceiveReturn) {
        ship(change("s", Step::Ship), &world).unwrap();
    }
    if step == Step::ReceiveReturn {
        request_return(change("r", Step::RequestReturn), &lines(&[("A", 1), ("B", 1)])).unwrap();
    }
    world.plan(&[]);
    world
}

fn take(step: Step, key: &str, world: &World) -> Result<Order, Error> {
    match step {
        Step::Cancel => cancel(change(key, step), "It was damaged.", world),
        Step::Ship => ship(change(key, step), world),
        Step::RequestReturn => request_return(change(key, step), &lines(&[("A", 1), ("B", 1)])),
        Step::ReceiveReturn => receive_return(change(key, step), world),
        Step::Confirm | Step::Reject => panic!("{step:?} has no key"),
    }
}

const STEPS: [Step; 4] = [Step::Cancel, Step::Ship, Step::RequestReturn, Step::ReceiveReturn];

#[test]
fn each_step_calls_the_other_contexts_and_leads_to_its_state() {
    for (step, asked) in [
        (Step::Cancel, vec!["release", "void"]),
        (Step::Ship, vec!["capture", "ship"]),
        (Step::RequestReturn, vec![]),
        (Step::ReceiveReturn, vec!["take-back", "refund"]),
    ] {
        let world = before(step);
        world.later(5);
        let order = take(step, "k", &world).unwrap();
        assert_eq!(order.state, step.way().1);
        let last = order.history.last().unwrap();
        assert_eq!((last.state, last.at), (order.state, world.now.get()));
        assert_eq!(last.note, if step == Step::Cancel { "It was damaged." } else { "" });
        assert_eq!(*world.asked.borrow(), asked);
        world.check(&format!("{step:?}"));

        let again = take(step, "k", &world);
        assert_eq!(again, Ok(order), "the same key has the same answer");
        assert_eq!(world.asked.borrow().len(), asked.len(), "and no context is called again");
        assert!(matches!(take(step, "other", &world), Err(Error::Refused(_))), "another key asks for a second time");
    }
}

#[test]
fn a_return_gives_back_the_price_of_what_came_back() {
    let world = before(Step::ReceiveReturn);
    let order = take(Step::ReceiveReturn, "k", &world).unwrap();
    assert_eq!(order.lines.iter().map(|line| line.returned).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(world.others.borrow().paid[NUMBER].refunded, 3000);
    assert_eq!((world.on_hand("A"), world.on_hand("B")), (COPIES - 1, COPIES));
}

#[test]
fn a_step_is_refused_in_another_state_and_for_the_order_of_another_customer() {
    for (state, step) in STEPS.into_iter().flat_map(|state| STEPS.map(|step| (state, step))) {
        let world = before(state);
        let fits = step.way().0 == state.way().0;
        let outcome = take(step, "k", &world);
        assert_eq!(outcome.is_ok(), fits, "{step:?} before {state:?}: {outcome:?}");
        assert!(fits || matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
        world.check(&format!("{step:?} before {state:?}"));
    }
    let world = before(Step::Cancel);
    let foreign = cancel(by_customer("k", "C-2", Step::Cancel), "", &world);
    assert_eq!(foreign, Err(Error::UnknownOrder));
    let unknown = ship(Change { number: "MC-1", ..change("k", Step::Ship) }, &world);
    assert_eq!(unknown, Err(Error::UnknownOrder));
    assert_eq!(ship(Change { number: "", ..change("k", Step::Ship) }, &world), Err(Error::UnknownOrder));
    assert!(matches!(ship(change("", Step::Ship), &world), Err(Error::Invalid(_))));
    assert!(matches!(ship(change("p", Step::Ship), &world), Err(Error::Invalid(_))), "the key placed it");
    assert!(cancel(by_customer("k", "C-1", Step::Cancel), "", &world).is_ok());
}

#[test]
fn an_interrupted_step_continues_when_it_is_repeated_or_settled() {
    for step in [Step::Cancel, Step::Ship, Step::ReceiveReturn] {
        for (fault, other) in FAULTS.into_iter().flat_map(|fault| FAULTS.map(|other| (fault, other))) {
            for (first, second) in [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3)] {
                // One fault alone, or two.
                if second == first && other != fault {
                    continue;
                }
                for by_settling in [false, true] {
                    let case = format!("{step:?}, {fault:?} at {first}, {other:?} at {second}, settled: {by_settling}");
                    let world = before(step);
                    world.plan(&[(second, other), (first, fault)]);
                    let answer = world.try_to(|| take(step, "k", &world));
                    assert!(!matches!(answer, Ok(Ok(_))), "{case}");
                    for blocked in STEPS.into_iter().filter(|other| *other != step) {
                        let outcome = world.try_to(|| take(blocked, "b", &world));
                        assert!(matches!(outcome, Ok(Err(Error::Refused(_)))), "{case}: {blocked:?} {outcome:?}");
                    }
                    let between = store::in_between(1).unwrap().orders;
                    assert_eq!(between.len(), being_done(u64::MAX, 10).unwrap().len(), "{case}: the office counts it");
                    // The second fault of a pair occurs in the second try.
                    let again = world.try_to(|| take(step, "k", &world));
                    assert!(!matches!(again, Ok(Err(Error::Refused(_)))), "{case}: {again:?}");
                    world.plan(&[]);
                    if by_settling {
                        world.later(61);
                        let left = u32::from(!matches!(again, Ok(Ok(_))));
                        assert_eq!(settle(None, &world), Ok(left), "{case}");
                    } else {
                        take(step, "k", &world).unwrap();
                    }
                    assert_eq!(being_done(u64::MAX, 10).unwrap(), [], "{case}");
                    assert_eq!(store::order(NUMBER).unwrap().unwrap().state, step.way().1, "{case}");
                    world.check(&case);
                }
            }
        }
    }
}

#[test]
fn settling_reports_a_context_that_does_not_answer_and_retries_later() {
    let world = before(Step::Ship);
    world.plan(&[(1, Fault::DeathBefore)]);
    world.try_to(|| take(Step::Ship, "k", &world)).unwrap_err();
    assert_eq!(settle(None, &world), Ok(0), "it has just started");
    world.later(61);
    world.plan(&[(1, Fault::Away)]);
    assert!(matches!(settle(None, &world), Err(Error::Unavailable(_))));
    world.plan(&[]);
    assert_eq!(settle(None, &world), Ok(0), "it was tried this minute");
    world.later(61);
    assert_eq!(settle(None, &world), Ok(1));
    world.check("settled");
}

#[test]
fn a_parcel_is_not_shipped_when_its_payment_cannot_be_captured() {
    let world = before(Step::Ship);
    let held = world.others.borrow().paid[NUMBER].clone();
    world.others.borrow_mut().paid.remove(NUMBER);
    assert!(matches!(take(Step::Ship, "k", &world), Err(Error::Refused(_))));
    assert_eq!(*world.asked.borrow(), ["capture"]);
    world.others.borrow_mut().paid.insert(NUMBER.into(), held);
    assert_eq!(take(Step::Cancel, "c", &world).unwrap().state, State::Cancelled, "it can still be cancelled");
    world.check("cancelled");
}

#[test]
fn a_return_that_was_refunded_by_hand_before_is_completed_and_promises_no_more_than_is_left() {
    for (refunded, note) in [
        (4395, "All of the money had been given back before."),
        (4394, "Some of the money had been given back before; the shop looks after the rest."),
    ] {
        let world = before(Step::ReceiveReturn);
        world.others.borrow_mut().paid.get_mut(NUMBER).unwrap().refunded = refunded;
        let order = take(Step::ReceiveReturn, "k", &world).unwrap();
        assert_eq!(order.state, State::Returned);
        assert_eq!(order.history.last().unwrap().note, note);
        assert_eq!(world.others.borrow().paid[NUMBER].refunded, refunded, "no more than was paid");
    }
}

#[test]
fn copies_are_returned_within_sixty_days_and_no_more_than_were_shipped() {
    let world = before(Step::RequestReturn);
    let ask = |wanted: &[(&str, u32)]| request_return(by_customer("k", "C-1", Step::RequestReturn), &lines(wanted));
    assert!(matches!(ask(&[("A", 3)]), Err(Error::Refused(_))));
    assert!(matches!(ask(&[("C", 1)]), Err(Error::Invalid(_))));
    assert!(matches!(ask(&[]), Err(Error::Invalid(_))));
    world.later(60 * 86_400 + 1);
    assert!(matches!(ask(&[("A", 1)]), Err(Error::Refused(_))), "too late");
    world.now.set(world.now.get() - 2);
    world.later(0);
    let order = ask(&[("A", 2)]).unwrap();
    assert_eq!(order.state, State::ReturnRequested);
    assert_eq!(order.lines.iter().map(|line| line.returned).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(ask(&[("A", 2)]), Ok(order));
}

/// Who is behind the last event of the order, and who ended it.
fn last_authors() -> (String, String) {
    let last = authors(NUMBER).unwrap().pop().unwrap();
    (last.by, last.ended_by)
}

fn ended_by(by: &str, ended_by: &str) -> (String, String) {
    (by.into(), ended_by.into())
}

#[test]
fn each_step_keeps_who_took_it() {
    for step in [Step::Cancel, Step::Ship, Step::ReceiveReturn] {
        for (by, expect) in [(Some("C-9"), "C-9"), (None, "")] {
            let world = before(step);
            let asked = Change { by, ..change("k", step) };
            let order = match step {
                Step::Cancel => cancel(asked, "It was damaged.", &world),
                Step::Ship => ship(asked, &world),
                _ => receive_return(asked, &world),
            };
            assert_eq!(authors(NUMBER).unwrap().len(), order.unwrap().history.len(), "{step:?}");
            assert_eq!(last_authors(), ended_by(expect, ""), "{step:?}");
            let earlier = authors(NUMBER).unwrap();
            assert!(earlier.iter().rev().skip(1).all(|author| author.by.is_empty()), "{step:?}: {earlier:?}");
            let givers = if step == Step::ReceiveReturn { vec![by.map(String::from)] } else { vec![] };
            assert_eq!(world.others.borrow().givers, givers, "the refund of a return names the same account");
        }
    }
    let world = before(Step::Ship);
    for by in ["", "a\u{7}b", &"x".repeat(65)] {
        let asked = Change { by: Some(by), ..change("k", Step::Ship) };
        assert!(matches!(ship(asked, &world), Err(Error::Invalid(_))), "{by:?}");
        assert!(matches!(settle(Some(by), &world), Err(Error::Invalid(_))), "{by:?}");
    }
}

#[test]
fn what_was_cut_off_keeps_who_started_it_and_who_brought_it_to_its_end() {
    let by = |key, step, by| Change { by: Some(by), ..change(key, step) };
    for fault in FAULTS {
        for (starter, ender, expect) in [
            (Some("C-8"), Some("C-9"), ended_by("C-8", "C-9")),
            (Some("C-8"), Some("C-8"), ended_by("C-8", "")),
            (Some("C-8"), None, ended_by("C-8", "")),
            (None, Some("C-9"), ended_by("", "C-9")),
        ] {
            let world = before(Step::ReceiveReturn);
            world.plan(&[(2, fault)]);
            let started = Change { by: starter, ..change("k", Step::ReceiveReturn) };
            assert!(!matches!(world.try_to(|| receive_return(started, &world)), Ok(Ok(_))));
            world.later(61);
            assert_eq!(settle(ender, &world), Ok(1), "{fault:?}");
            assert_eq!(last_authors(), expect, "{fault:?}");
            assert_eq!(world.others.borrow().givers, [starter.map(String::from)], "{fault:?}");
        }
    }
    // The same button, pressed by another operator.
    let world = before(Step::Ship);
    world.plan(&[(1, Fault::Away)]);
    ship(by("k", Step::Ship, "C-8"), &world).unwrap_err();
    ship(by("l", Step::Ship, "C-9"), &world).unwrap();
    assert_eq!(last_authors(), ended_by("C-8", "C-9"));
    // What cannot be done leaves no name for the next change.
    let world = before(Step::Ship);
    let held = world.others.borrow_mut().paid.remove(NUMBER).unwrap();
    ship(by("k", Step::Ship, "C-8"), &world).unwrap_err();
    world.others.borrow_mut().paid.insert(NUMBER.into(), held);
    cancel(by_customer("l", "C-1", Step::Cancel), "", &world).unwrap();
    assert_eq!(last_authors(), ended_by("", ""));
}

#[test]
fn a_change_is_cut_off_since_it_started_however_often_it_is_tried_again() {
    let world = before(Step::Ship);
    let started = world.now.get();
    world.plan(&[(1, Fault::Away), (2, Fault::Away), (3, Fault::Away)]);
    take(Step::Ship, "k", &world).unwrap_err();
    assert_eq!(cut_off(10, started + 60).unwrap(), [], "it may still be running");
    world.later(61);
    settle(None, &world).unwrap_err();
    for later in [0, 30, 61] {
        let listed = cut_off(10, world.now.get() + later).unwrap();
        let [one] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((one.order.number.as_str(), one.change, one.since), (NUMBER, desk::Change::Shipment, started));
        let waiting = waiting(ALL, world.now.get() + later).unwrap().orders;
        assert_eq!(waiting.len(), 1, "it is listed once");
    }
    world.plan(&[]);
    take(Step::Ship, "l", &world).unwrap();
    assert_eq!(cut_off(10, u64::MAX).unwrap(), []);
}
