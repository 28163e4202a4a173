//! Changing a placed order: each step, each fault in the middle of it, each key twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use std::time::Duration;

use orders::changing::request_return;
use orders::desk;
use orders::domain::sagas::RETURN;
use orders::domain::search::Range;
use orders::domain::states::Step;
use orders::neighbours::Neighbours as _;
use orders::store;
use orders::store::changing::Change;
use orders::store::desk::{authors, held_up, waiting};
use orders::wit::{Error, Order, State};
use seam_sdk::sagas;
use world::{APPROVED, COPIES, FAULTS, Fault, World, lines};

const NUMBER: &str = "MC-100001";
const ALL: Range = Range { skip: 0, count: 10 };

fn change(key: &str, step: Step) -> Change<'_> {
    Change { key, step, number: NUMBER, customer: None, by: None }
}

fn by_customer<'a>(key: &'a str, customer: &'a str, step: Step) -> Change<'a> {
    Change { customer: Some(customer), ..change(key, step) }
}

fn cancel(change: Change<'_>, reason: &str, world: &World) -> Result<Order, Error> {
    orders::changing::change(change, reason, world)
}

fn ship(change: Change<'_>, world: &World) -> Result<Order, Error> {
    orders::changing::change(change, "", world)
}

fn receive_return(change: Change<'_>, world: &World) -> Result<Order, Error> {
    orders::changing::change(change, "", world)
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
        (Step::Cancel, vec!["void", "release"]),
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
fn a_return_is_corrected_until_it_is_taken_in() {
    let world = before(Step::ReceiveReturn);
    let correct = |copies: &[(&str, u32)]| orders::changing::correct_return(NUMBER, &lines(copies), "account-7");
    assert!(matches!(correct(&[("A", 2)]), Err(Error::Refused(_))), "its saga does not wait yet");
    world.settle(RETURN, NUMBER, Duration::ZERO).unwrap();
    // The parcel that the customer announced with one `A` and one `B` holds two `A`.
    let order = correct(&[("A", 2)]).unwrap();
    assert_eq!(order.lines.iter().map(|line| line.returned).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(authors(NUMBER).unwrap().last().unwrap().by, "account-7");
    assert!(matches!(correct(&[("A", 3)]), Err(Error::Refused(why)) if why.contains("2 copies of A")));
    assert!(matches!(correct(&[("C", 1)]), Err(Error::Invalid(_))));
    assert!(matches!(correct(&[]), Err(Error::Invalid(_))));
    let order = take(Step::ReceiveReturn, "k", &world).unwrap();
    assert_eq!(order.lines.iter().map(|line| line.returned).collect::<Vec<_>>(), [2, 0], "a refusal changed nothing");
    assert_eq!(world.others.borrow().paid[NUMBER].refunded, 2000);
    assert_eq!((world.on_hand("A"), world.on_hand("B")), (COPIES, COPIES - 1));
    assert!(matches!(correct(&[("A", 1)]), Err(Error::Refused(_))));
    assert!(matches!(orders::changing::correct_return("MC-9", &lines(&[("A", 1)]), "b"), Err(Error::UnknownOrder)));
    world.check("corrected");
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
fn an_interrupted_step_continues_when_it_is_repeated_or_by_itself() {
    for step in [Step::Cancel, Step::Ship, Step::ReceiveReturn] {
        for (fault, other) in FAULTS.into_iter().flat_map(|fault| FAULTS.map(|other| (fault, other))) {
            for (first, second) in [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3)] {
                // One fault alone, or two.
                if second == first && other != fault {
                    continue;
                }
                for repeated in [false, true] {
                    let case = format!("{step:?}, {fault:?} at {first}, {other:?} at {second}, repeated: {repeated}");
                    let world = before(step);
                    world.plan(&[(second, other), (first, fault)]);
                    let answer = world.try_to(|| take(step, "k", &world));
                    if answer.is_err() {
                        for blocked in STEPS.into_iter().filter(|other| *other != step) {
                            let outcome = world.try_to(|| take(blocked, "b", &world));
                            assert!(matches!(outcome, Ok(Err(Error::Refused(_)))), "{case}: {blocked:?} {outcome:?}");
                        }
                        assert_eq!(store::in_between(1).unwrap().orders.len(), 1, "{case}: the office counts it");
                    }
                    // The second fault of a pair may occur now.
                    if repeated {
                        let again = world.try_to(|| take(step, "k", &world));
                        assert!(!matches!(again, Ok(Err(Error::Refused(_)))), "{case}: {again:?}");
                    }
                    world.plan(&[]);
                    assert_eq!(world.go_on(), 0, "{case}");
                    assert_eq!(store::in_between(1).unwrap().orders, [], "{case}");
                    assert_eq!(take(step, "k", &world).unwrap().state, step.way().1, "{case}");
                    world.check(&case);
                }
            }
        }
    }
}

#[test]
fn a_change_that_a_context_keeps_up_goes_on_by_itself() {
    let world = before(Step::Ship);
    world.absent.borrow_mut().insert("capture");
    assert!(matches!(take(Step::Ship, "k", &world), Err(Error::Unavailable(_))));
    assert!(matches!(take(Step::Cancel, "c", &world), Err(Error::Refused(_))), "it is being shipped");
    world.absent.borrow_mut().clear();
    world.go_on();
    assert_eq!(take(Step::Ship, "k", &world).unwrap().state, State::Shipped);
    world.check("shipped");
}

#[test]
fn a_parcel_is_not_shipped_when_its_payment_cannot_be_captured() {
    let world = before(Step::Ship);
    let held = world.others.borrow_mut().paid.remove(NUMBER);
    let Err(Error::Refused(why)) = take(Step::Ship, "k", &world) else { panic!("shipped") };
    assert!(why.contains("The money could not be taken"), "{why}");
    assert_eq!(*world.asked.borrow(), ["capture"]);
    assert_eq!(sagas::get_status("order", NUMBER).unwrap().state, sagas::State::Stuck, "an operator has to look at it");
    let listed = held_up(10, world.now.get() + 61).unwrap();
    assert!(listed.len() == 1 && listed[0].stuck && listed[0].step == "capture", "{listed:?}");
    world.others.borrow_mut().paid.extend(held.map(|held| (NUMBER.into(), held)));
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
    }
}

#[test]
fn a_change_that_goes_on_by_itself_keeps_who_started_it() {
    for fault in FAULTS {
        for (starter, expect) in [(Some("C-8"), ended_by("C-8", "")), (None, ended_by("", ""))] {
            let world = before(Step::ReceiveReturn);
            world.plan(&[(2, fault)]);
            let started = Change { by: starter, ..change("k", Step::ReceiveReturn) };
            let _ = world.try_to(|| receive_return(started, &world));
            world.go_on();
            assert_eq!(last_authors(), expect, "{fault:?}");
            assert_eq!(world.others.borrow().givers, [starter.map(String::from)], "{fault:?}");
        }
    }
    // The same button, pressed by another operator meanwhile.
    let by = |key, by| Change { by: Some(by), ..change(key, Step::Ship) };
    let world = before(Step::Ship);
    world.absent.borrow_mut().insert("capture");
    ship(by("k", "C-8"), &world).unwrap_err();
    world.absent.borrow_mut().clear();
    ship(by("l", "C-9"), &world).unwrap();
    assert_eq!(last_authors(), ended_by("C-8", ""), "it was under way");
}

#[test]
fn a_change_is_held_up_since_it_started_however_often_it_is_tried_again() {
    let world = before(Step::Ship);
    let started = world.now.get();
    world.absent.borrow_mut().insert("capture");
    take(Step::Ship, "k", &world).unwrap_err();
    assert_eq!(held_up(10, started + 60).unwrap(), [], "it may still be running");
    world.later(61);
    world.go_on();
    for later in [0, 30, 61] {
        let listed = held_up(10, world.now.get() + later).unwrap();
        let [one] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((one.order.number.as_str(), one.change, one.since), (NUMBER, desk::Change::Shipment, started));
        let waiting = waiting(ALL, world.now.get() + later).unwrap().orders;
        assert_eq!(waiting.len(), 1, "it is listed once");
    }
    world.absent.borrow_mut().clear();
    take(Step::Ship, "l", &world).unwrap();
    assert_eq!(held_up(10, u64::MAX).unwrap(), []);
}

/// Orders of a seed, and those that were placed before sagas, have been through the first steps on another way.
#[test]
fn an_order_without_a_saga_gets_one_when_it_is_changed() {
    for step in [Step::Cancel, Step::Ship, Step::ReceiveReturn] {
        let world = before(step);
        world.store.connection(|c| c.execute_batch("DELETE FROM seam_sagas").unwrap());
        assert_eq!(take(step, "k", &world).unwrap().state, step.way().1);
        world.check(&format!("{step:?}"));
    }
}

/// As a version without sagas left them: every change that it was in the middle of comes to its end.
#[test]
fn orders_in_the_middle_of_a_change_from_before_sagas_are_taken_over() {
    for (step, doing) in [(Step::Cancel, "cancel"), (Step::Ship, "ship"), (Step::ReceiveReturn, "take-back")] {
        let world = before(step);
        world.store.connection(|c| {
            let left = format!(
                "DELETE FROM seam_sagas;
                 UPDATE orders SET doing = '{doing}', doing_since = 5, doing_note = 'As asked.', doing_by = 'C-8';
                 INSERT INTO without_saga SELECT id FROM orders"
            );
            c.execute_batch(&left).unwrap();
        });
        assert_eq!(store::archive::start_sagas(), Ok(1));
        assert_eq!(store::archive::start_sagas(), Ok(0));
        assert_eq!(world.go_on(), 0, "{step:?}");
        let order = store::order(NUMBER).unwrap().unwrap();
        assert_eq!((order.state, order.history.last().unwrap().note.as_str()), (step.way().1, "As asked."));
        assert_eq!(last_authors(), ended_by("C-8", ""));
        world.check(&format!("{step:?}"));
    }
    for (doing, asked) in
        [("place", &[][..]), ("place", &["reserve"]), ("place", &["reserve", "authorise"]), ("undo", &["reserve"])]
    {
        let world = World::new();
        let cut_off = world.try_to(|| {
            world.plan(&[(3 + asked.len(), Fault::DeathBefore)]);
            world.place("p", &[("A", 2)], APPROVED)
        });
        assert!(cut_off.is_err());
        world.plan(&[]);
        world.store.connection(|c| {
            let left = format!(
                "DELETE FROM seam_sagas; UPDATE orders SET doing = '{doing}', card_token = NULL;
                 INSERT INTO without_saga SELECT id FROM orders"
            );
            c.execute_batch(&left).unwrap();
        });
        assert_eq!(store::archive::start_sagas(), Ok(1));
        assert_eq!(world.go_on(), 0, "{doing} after {asked:?}");
        assert_eq!(store::order(NUMBER).unwrap().unwrap().state, State::Rejected);
        world.check(&format!("{doing} after {asked:?}"));
    }
}

/// What an operator does with the host's own command, `seam sagas`.
#[test]
fn a_placed_order_whose_saga_is_given_up_is_cancelled() {
    let world = before(Step::Cancel);
    sagas::give_up("order", NUMBER, "asked for on the telephone").unwrap();
    assert_eq!(world.go_on(), 0);
    assert_eq!(store::order(NUMBER).unwrap().unwrap().state, State::Cancelled);
    world.check("given up");
}
