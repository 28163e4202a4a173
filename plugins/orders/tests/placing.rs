//! Placing an order while other contexts answer, refuse or are absent, or the host dies, at every single call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use orders::Orders;
use orders::neighbours::PlacedOrder;
use orders::placing::{get_quote, place, shipping};
use orders::store;
use orders::wit::Guest as Ordering;
use orders::wit::{Error, FieldProblem, Shipping, Shortage, State};
use seam_sdk::native::settings;
use seam_sdk::sagas;
use seam_sdk::store::{one, params};
use world::{APPROVED, COPIES, DECLINED, FAULTS, Fault, MISTYPED, NOW, UNANSWERED, WAREHOUSE, World, lines, request};

#[test]
fn an_order_is_reserved_paid_cleared_and_confirmed() {
    let world = World::new();
    let order = world.place("k-1", &[("A", 2), ("B", 1)], APPROVED).unwrap();
    assert_eq!(*world.asked.borrow(), ["albums", "keep-card", "reserve", "authorise", "clear"]);
    assert_eq!((order.number.as_str(), order.state, order.at), ("MC-100001", State::Placed, NOW));
    assert_eq!((order.shipping, order.total, order.currency.as_str()), (395, 4395, "GBP"));
    assert_eq!(order.history.iter().map(|e| e.state).collect::<Vec<_>>(), [State::Placing, State::Placed]);
    assert_eq!(
        order.lines.iter().map(|l| (l.sku.as_str(), l.copies, l.price)).collect::<Vec<_>>(),
        [("A", 2, 1000), ("B", 1, 2000)]
    );
    assert_eq!(store::order("MC-100001").unwrap(), Some(order));
    assert_eq!(world.place("k-2", &[("C", 1)], APPROVED).unwrap().number, "MC-100002");
    let event = |number: &str, skus: &[&str]| PlacedOrder {
        number: number.into(),
        customer: "C-1".into(),
        skus: skus.iter().map(|sku| (*sku).into()).collect(),
        at: NOW,
    };
    assert_eq!(world.others.borrow().published, [event("MC-100001", &["A", "B"]), event("MC-100002", &["C"])]);
    world.check("two orders");
}

#[test]
fn the_same_key_is_the_same_order() {
    let world = World::new();
    let order = world.place("k", &[("A", 1)], APPROVED).unwrap();
    world.plan(&[]);
    assert_eq!(world.place("k", &[("A", 1)], APPROVED).unwrap(), order);
    assert_eq!(world.place("k", &[("B", 2)], DECLINED).unwrap(), order, "its other arguments are ignored");
    assert!(world.asked.borrow().is_empty());
    let other = place("k", &orders::wit::Request { customer: "C-2".into(), ..request(&[("A", 1)], APPROVED) }, &world);
    assert!(matches!(other, Err(Error::Invalid(_))), "no customer sees the order of another: {other:?}");
    assert_eq!(one::<u32>("SELECT count(*) FROM orders", params![]), Ok(1));
}

#[test]
fn a_refusal_undoes_every_step_and_stays_the_answer_of_its_key() {
    let short = Shortage { sku: "B".into(), wanted: 11, on_hand: COPIES };
    for (wanted, card, expect, asked) in [
        (
            vec![("A", 1)],
            DECLINED,
            Error::Declined("The bank refuses. Nothing was charged.".into()),
            vec!["reserve", "authorise", "release"],
        ),
        (
            vec![("A", 1)],
            UNANSWERED,
            Error::Refused(
                "Your card's bank did not answer in time, so we do not know what it would have said. What it may hold \
                 is let go, and nothing was charged. Please try again, or pay with another card."
                    .into(),
            ),
            vec!["reserve", "authorise", "void", "release"],
        ),
        (vec![("A", 1), ("B", 11)], APPROVED, Error::Short(vec![short]), vec!["reserve"]),
    ] {
        let world = World::new();
        for _ in 0..2 {
            assert_eq!(world.place("k", &wanted, card), Err(expect.clone()));
        }
        assert_eq!(world.asked.borrow()[2..], asked, "{expect:?}");
        let order = store::order("MC-100001").unwrap().unwrap();
        assert_eq!(order.state, State::Rejected);
        assert!(order.history[1].note.contains("othing was charged"), "{order:?}");
        assert_eq!(world.others.borrow().published, []);
        world.check(&format!("{expect:?}"));
        world.place("another", &[("A", 1)], APPROVED).unwrap();
        world.check("a second try");
    }
}

#[test]
fn a_mistyped_card_is_no_order_and_leaves_its_key_unused() {
    let world = World::new();
    let field = FieldProblem { field: "number".into(), problem: "No such card.".into() };
    assert_eq!(world.place("k", &[("A", 1)], MISTYPED), Err(Error::Fields(vec![field])));
    assert_eq!(*world.asked.borrow(), ["albums", "keep-card"]);
    assert_eq!(one::<u32>("SELECT count(*) FROM orders", params![]), Ok(0));
    assert_eq!(world.place("k", &[("A", 1)], APPROVED).unwrap().number, "MC-100001");
}

/// What the customer reads does not depend on how long the undo takes.
#[test]
fn a_refusal_is_said_at_once_although_its_undo_is_delayed() {
    let world = World::new();
    world.absent.borrow_mut().insert("release");
    let declined = Err(Error::Declined("The bank refuses. Nothing was charged.".into()));
    assert_eq!(world.place("k", &[("A", 1)], DECLINED), declined);
    assert_eq!(world.place("k", &[("A", 1)], DECLINED), declined);
    let order = store::order("MC-100001").unwrap().unwrap();
    assert_eq!((order.state, world.on_hand("A")), (State::Placing, COPIES - 1), "its copies are not back yet");
    let held_up = store::desk::held_up(10, NOW + 61).unwrap();
    let [one] = held_up.as_slice() else { panic!("{held_up:?}") };
    assert_eq!((one.order.number.as_str(), one.step.as_str()), ("MC-100001", "reserve"));
    world.absent.borrow_mut().clear();
    assert_eq!(world.go_on(), 0);
    assert_eq!(store::order("MC-100001").unwrap().unwrap().state, State::Rejected);
    world.check("released");
}

/// A context that fails once is asked again within the request; only one that stays away has the order taken back.
#[test]
fn an_order_is_tried_a_few_times_and_then_taken_back() {
    for absent in ["reserve", "authorise", "clear"] {
        let world = World::new();
        world.absent.borrow_mut().insert(absent);
        let answer = world.place("k", &[("A", 1)], APPROVED);
        assert!(matches!(&answer, Err(Error::Unavailable(why)) if why.contains("Nothing was charged")), "{answer:?}");
        assert_eq!(world.asked.borrow().iter().filter(|asked| **asked == absent).count(), 3, "{absent}");
        let order = store::order("MC-100001").unwrap().unwrap();
        assert_eq!(order.state, State::Rejected);
        assert!(order.history[1].note.contains("did not answer in time"), "{order:?}");
        world.check(absent);
        world.absent.borrow_mut().clear();
        let order = world.place("k", &[("A", 1)], APPROVED).unwrap();
        assert_eq!(order.number, "MC-100002", "nothing was decided, so the same request is a new order");
        world.check("again");
    }
}

/// The answer of a context that stays away is not known, so what it may have done is undone when it is back.
#[test]
fn an_order_whose_undo_has_no_answer_stays_in_process() {
    let world = World::new();
    world.absent.borrow_mut().extend(WAREHOUSE);
    assert!(matches!(world.place("k", &[("A", 1)], APPROVED), Err(Error::Unavailable(_))));
    assert!(matches!(world.place("k", &[("A", 1)], APPROVED), Err(Error::Unavailable(_))), "and it stays unknown");
    assert_eq!(one::<u32>("SELECT count(*) FROM orders WHERE state = 'placing'", params![]), Ok(1), "one order");
}

#[test]
fn in_retry_later_an_order_is_taken_and_completes_when_the_warehouse_is_back() {
    let world = World::new();
    settings(&[("checkout", "retry-later")]);
    world.absent.borrow_mut().extend(WAREHOUSE);
    let taken = Err(Error::InProcess("MC-100001".into()));
    assert_eq!(world.place("k", &[("A", 1)], APPROVED), taken);
    assert_eq!(world.place("k", &[("A", 1)], APPROVED), taken, "the same form is the same order");
    let progress = || progress_of("MC-100001");
    assert!(progress().is_some_and(|text| text.contains("warehouse does not answer")), "{:?}", progress());
    // An hour later.
    for _ in 0..12 {
        world.later(300);
        assert_eq!(world.go_on(), 0, "it waits, and is not stuck");
    }
    world.absent.borrow_mut().clear();
    world.later(300);
    world.go_on();
    let order = world.place("k", &[("A", 1)], APPROVED).unwrap();
    assert_eq!((order.number.as_str(), order.state), ("MC-100001", State::Placed));
    assert_eq!(progress(), None);
    world.check("completed");
}

#[test]
fn in_retry_later_an_order_that_cannot_be_completed_ends_and_says_why() {
    for (card, wanted, expect, note) in [
        (DECLINED, 1, Error::Declined("The bank refuses. Nothing was charged.".into()), "bank refuses"),
        (
            APPROVED,
            COPIES + 1,
            Error::Short(vec![Shortage { sku: "A".into(), wanted: COPIES + 1, on_hand: COPIES }]),
            "not enough copies",
        ),
    ] {
        let world = World::new();
        settings(&[("checkout", "retry-later")]);
        world.absent.borrow_mut().extend(WAREHOUSE);
        assert_eq!(world.place("k", &[("A", wanted)], card), Err(Error::InProcess("MC-100001".into())));
        world.absent.borrow_mut().clear();
        world.later(5);
        world.go_on();
        assert_eq!(world.place("k", &[("A", wanted)], card), Err(expect));
        let order = store::order("MC-100001").unwrap().unwrap();
        assert!(order.state == State::Rejected && order.history[1].note.contains(note), "{order:?}");
        world.check(note);
    }
}

#[test]
fn in_retry_later_an_order_waits_for_a_day_and_no_longer() {
    let world = World::new();
    settings(&[("checkout", "retry-later")]);
    world.absent.borrow_mut().insert("authorise");
    assert_eq!(world.place("k", &[("A", 1)], APPROVED), Err(Error::InProcess("MC-100001".into())));
    assert_eq!(world.on_hand("A"), COPIES - 1, "its copies are set aside meanwhile");
    world.later(23 * 3_600);
    world.go_on();
    assert_eq!(store::order("MC-100001").unwrap().unwrap().state, State::Placing);
    world.later(3_600);
    world.go_on();
    let order = store::order("MC-100001").unwrap().unwrap();
    assert!(order.state == State::Rejected && order.history[1].note.contains("Nothing was charged"), "{order:?}");
    world.check("after a day");
}

#[test]
fn in_two_phases_an_order_is_placed_or_nothing_of_it_is_there() {
    let declined = Error::Declined("The bank refuses. Nothing was charged.".into());
    let short = Error::Short(vec![Shortage { sku: "A".into(), wanted: COPIES + 1, on_hand: COPIES }]);
    for (card, wanted, absent, expect) in [
        (APPROVED, 1, None, Ok(State::Placed)),
        (DECLINED, 1, None, Err(Some(declined))),
        (APPROVED, COPIES + 1, None, Err(Some(short))),
        (UNANSWERED, 1, None, Err(None)),
        (APPROVED, 1, Some("reserve"), Err(None)),
        (APPROVED, 1, Some("authorise"), Err(None)),
        (APPROVED, 1, Some("clear"), Err(None)),
    ] {
        let world = World::new();
        settings(&[("checkout", "two-phase")]);
        world.absent.borrow_mut().extend(absent);
        let answer = world.place("k", &[("A", wanted)], card);
        let case = format!("{card} {wanted} {absent:?}: {answer:?}");
        match &expect {
            Ok(state) => {
                let order = answer.as_ref().unwrap();
                assert_eq!((order.state, order.number.as_str()), (*state, "MC-100001"), "{case}");
                let asked = world.asked.borrow().clone();
                assert_eq!(asked, ["albums", "keep-card", "reserve", "authorise", "clear"], "{case}");
                assert_eq!(world.go_on(), 0, "{case}");
                assert_eq!(*world.asked.borrow(), asked, "its saga takes no step twice");
                assert_eq!(sagas::get_status("order", "MC-100001").unwrap().state, sagas::State::Waiting, "{case}");
                assert_eq!(world.others.borrow().published.len(), 1, "{case}");
                assert_eq!(world.place("k", &[("A", wanted)], card), answer, "{case}");
            }
            Err(error) => {
                assert!(error.as_ref().is_none_or(|error| answer.as_ref().is_err_and(|got| got == error)), "{case}");
                assert!(answer.is_err(), "{case}");
                let rows = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM keys)";
                assert_eq!(one::<u32>(rows, params![]), Ok(0), "{case}");
                world.absent.borrow_mut().clear();
                assert!(world.place("k", &[("A", 1)], APPROVED).is_ok(), "{case}: the key is unused");
            }
        }
        world.check(&case);
    }
}

#[test]
fn an_unknown_kind_of_checkout_is_an_error_that_names_those_that_there_are() {
    let world = World::new();
    settings(&[("checkout", "saga"), ("reference.countries", "GB United Kingdom")]);
    assert!(world.place("k", &[("A", 1)], APPROVED).is_ok());
    settings(&[("checkout", "sagas")]);
    let Err(Error::Unavailable(why)) = world.place("l", &[("A", 1)], APPROVED) else { panic!("placed") };
    assert!(["`sagas`", "`saga`", "`retry-later`", "`two-phase`"].iter().all(|name| why.contains(name)), "{why}");
    assert_eq!(one::<u32>("SELECT count(*) FROM orders", params![]), Ok(1));
}

#[test]
fn an_order_whose_total_the_customer_did_not_see_is_not_placed() {
    let world = World::new();
    let mut asked = request(&[("A", 1)], APPROVED);
    asked.total += 1;
    let Err(Error::Changed(quote)) = place("k", &asked, &world) else { panic!("ordered") };
    assert_eq!(quote.total, 1395);
    let Err(Error::Changed(quote)) = world.place("k", &[("A", 1), ("GONE", 1)], APPROVED) else { panic!("ordered") };
    assert_eq!(quote.gone, ["GONE"]);
    asked.total -= 1;
    asked.address.country = "FR".into();
    assert!(matches!(place("k", &asked, &world), Err(Error::Fields(problems)) if problems[0].field == "country"));
    asked.lines.clear();
    assert!(matches!(place("k", &asked, &world), Err(Error::Invalid(_))));
    assert_eq!(one::<u32>("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM keys)", params![]), Ok(0));
    assert_eq!(world.place("k", &[("A", 1)], APPROVED).unwrap().number, "MC-100001", "the key is still unused");
}

#[test]
fn shipping_costs_come_from_the_manifest() {
    let world = World::new();
    settings(&[("shipping_minor_units", "500"), ("free_shipping_from", "2000")]);
    let sums = |wanted: &[(&str, u32)]| get_quote(&lines(wanted), &world).map(|quote| (quote.shipping, quote.total));
    assert_eq!(sums(&[("A", 1)]), Ok((500, 1500)));
    assert_eq!(sums(&[("A", 2)]), Ok((0, 2000)));
    assert_eq!(shipping(), Ok(Shipping { fee: 500, free_from: 2000 }));
    settings(&[("shipping_minor_units", "much")]);
    assert!(matches!(sums(&[("A", 1)]), Err(Error::Unavailable(_))));
}

/// What the customer reads of an order that something is being done with.
fn progress_of(number: &str) -> Option<String> {
    let progress = <Orders as Ordering>::get_progress("C-1".into(), vec![number.into(), "MC-9".into()]).unwrap();
    progress.into_iter().next().map(|one| one.text)
}

#[test]
fn an_order_goes_on_from_where_a_crash_has_cut_it_off() {
    let world = World::new();
    world.plan(&[(5, Fault::DeathAfter)]);
    world.try_to(|| world.place("k", &[("A", 1)], APPROVED)).unwrap_err();
    assert!(progress_of("MC-100001").is_some());
    let other = <Orders as Ordering>::get_progress("C-2".into(), vec!["MC-100001".into()]);
    assert_eq!(other, Ok(vec![]), "no customer sees the order of another");
    world.plan(&[]);
    world.go_on();
    let order = store::order("MC-100001").unwrap().unwrap();
    assert_eq!(order.state, State::Placed, "the customer wanted it");
    assert_eq!(world.place("k", &[("A", 1)], APPROVED), Ok(order));
    world.check("after the crash");
}

/// Every fault at every call, alone and in pairs, with every kind of card: once the host has gone on with the sagas,
/// all copies and money that are reserved, held or charged belong to an order, and the same key sent again has the
/// expected outcome.
#[test]
fn copies_and_money_balance_after_every_fault() {
    for card in [APPROVED, DECLINED, UNANSWERED] {
        for (fault, other) in FAULTS.into_iter().flat_map(|fault| FAULTS.map(|other| (fault, other))) {
            for first in 1..=7 {
                for second in [first, first + 1, first + 2] {
                    // One fault alone, or two.
                    if second == first && other != fault {
                        continue;
                    }
                    let case = format!("card {card}, {fault:?} at {first}, {other:?} at {second}");
                    let world = World::new();
                    world.plan(&[(second, other), (first, fault)]);
                    let answer = world.try_to(|| world.place("k", &[("A", 2), ("B", 1)], card));
                    world.plan(&[]);
                    if let Ok(Ok(order)) = &answer {
                        assert_eq!((order.state, card), (State::Placed, APPROVED), "{case}");
                        world.check(&case);
                    }
                    assert_eq!(world.go_on(), 0, "{case}: all sagas have ended or wait");
                    world.check(&case);

                    let again = world.place("k", &[("A", 2), ("B", 1)], card);
                    match (card, &again) {
                        (APPROVED, Ok(order)) => assert_eq!(order.state, State::Placed, "{case}"),
                        (DECLINED, Err(Error::Declined(_))) | (UNANSWERED, Err(Error::Refused(_))) => {}
                        _ => panic!("{case}: {again:?} after {answer:?}"),
                    }
                    world.check(&case);
                    let placed = store::in_state(State::Placed, 1).unwrap().orders.len();
                    assert_eq!(placed, usize::from(card == APPROVED), "{case}: one order at most");
                    assert_eq!(world.on_hand("A"), COPIES - 2 * u32::from(card == APPROVED), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_hundred_buyers_of_ten_copies_get_ten() {
    let world = World::new();
    let outcomes: Vec<_> = (0..100).map(|i| world.place(&format!("k-{i}"), &[("A", 1)], APPROVED)).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(outcomes[10..].iter().all(|outcome| matches!(outcome, Err(Error::Short(_)))));
    assert_eq!(world.others.borrow().paid.len(), 10, "only buyers with an order were charged");
}

/// The event is a part of the transaction that places the order.
#[test]
fn an_order_whose_event_cannot_be_published_is_not_placed_yet() {
    let world = World::new();
    world.others.borrow_mut().outbox_full = true;
    assert_eq!(world.place("k", &[("A", 1)], APPROVED), Err(Error::InProcess("MC-100001".into())));
    assert_eq!(store::order("MC-100001").unwrap().unwrap().state, State::Placing);
    world.others.borrow_mut().outbox_full = false;
    assert_eq!(world.place("k", &[("A", 1)], APPROVED).unwrap().state, State::Placed);
    world.check("published");
}
