//! What orders lets go that others keep for an order, and what it leaves to a person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use orders::changing::change;
use orders::domain::states::Step;
use orders::mending::mend;
use orders::neighbours::{Neighbours as _, Sale, fulfilment, payments};
use orders::store::changing::Change;
use seam_sdk::reconciliation::{Disagreement, Outcome, Side};
use world::{APPROVED, DECLINED, Fault, World};

fn found(total: &str, key: &str, orders: i64, keeper: &str, kept: i64) -> Disagreement {
    let side = |context: &str, amount| Side { context: context.into(), least: amount, most: amount };
    Disagreement {
        total: total.into(),
        key: key.into(),
        sides: vec![side("orders", orders), side(keeper, kept)],
        since: world::NOW,
        attempt: 1,
        id: "0123456789abcdef0123456789abcdef".into(),
    }
}

fn copies(key: &str, orders: i64, kept: i64) -> Disagreement {
    found("copies-reserved", key, orders, "warehouse", kept)
}

fn money(key: &str, orders: i64, kept: i64) -> Disagreement {
    found("money-held", key, orders, "finance", kept)
}

/// The warehouse keeps copies, and finance holds money, for this order.
fn forget(world: &World, order: &str) {
    let line = fulfilment::Line { sku: "A".into(), copies: 2 };
    world.reserve(order, &[line]).unwrap();
    let line = payments::Line { sku: "A".into(), quantity: 2, price: 1000 };
    let sale =
        Sale { order: order.into(), customer: "C-1".into(), lines: vec![line], shipping: 0, currency: "GBP".into() };
    world.authorise(&format!("{order}:authorise"), &sale, "token-4242").unwrap();
}

fn refused(outcome: &Outcome, words: &str) {
    assert!(matches!(outcome, Outcome::Refused(why) if why.contains(words)), "`{words}` in {outcome:?}");
}

#[test]
fn what_is_kept_for_an_unknown_order_is_let_go_once() {
    let world = World::new();
    forget(&world, "LOST-1");
    for _ in 0..2 {
        assert_eq!(mend(&copies("LOST-1 A", 0, 2), &world), Outcome::Mended);
        assert_eq!(mend(&money("LOST-1", 0, 2000), &world), Outcome::Mended);
    }
    assert_eq!(world.on_hand("A"), world::COPIES);
    assert_eq!(world.others.borrow().paid["LOST-1"].stage, payments::Stage::Voided);
}

#[test]
fn what_is_kept_for_an_order_that_is_over_is_let_go() {
    let world = World::new();
    let order = world.place("a", &[("A", 2)], APPROVED).unwrap().number;
    let cancel = Change { key: "c", step: Step::Cancel, number: &order, customer: None, by: None };
    change(cancel, "", &world).unwrap();
    world.place("b", &[("A", 2)], DECLINED).unwrap_err();
    let rejected = "MC-100002";
    // As if their undo had never been asked for.
    for number in [order.as_str(), rejected] {
        world.others.borrow_mut().reserved.remove(number);
        let line = fulfilment::Line { sku: "A".into(), copies: 2 };
        world.reserve(number, &[line]).unwrap();
        assert_eq!(mend(&copies(&format!("{number} A"), 0, 2), &world), Outcome::Mended, "{number}");
        assert_eq!(mend(&money(number, 0, 2000), &world), Outcome::Mended, "{number}");
    }
    world.check("all is let go");
}

#[test]
fn what_is_missing_or_too_much_for_a_placed_order_is_left_to_a_person() {
    let world = World::new();
    let order = world.place("a", &[("A", 2)], APPROVED).unwrap().number;
    world.plan(&[]);
    for found in [copies(&format!("{order} A"), 2, 0), copies(&format!("{order} A"), 2, 3), money(&order, 2395, 0)] {
        refused(&mend(&found, &world), "the order is placed");
    }
    let ship = Change { key: "s", step: Step::Ship, number: &order, customer: None, by: None };
    change(ship, "", &world).unwrap();
    world.plan(&[]);
    refused(&mend(&money(&order, 0, 2395), &world), "the order is shipped");
    assert!(world.asked.borrow().is_empty(), "nothing is asked: {:?}", world.asked.borrow());
    world.check("nothing is changed");
}

#[test]
fn a_number_that_an_order_to_come_may_get_is_not_used_up() {
    let world = World::new();
    forget(&world, "MC-100001");
    refused(&mend(&copies("MC-100001 A", 0, 2), &world), "a new one may get this number");
    refused(&mend(&money("MC-100001", 0, 2000), &world), "a new one may get this number");
    assert_eq!(world.on_hand("A"), world::COPIES - 2);
    // Once it is given, the order itself decides.
    refused(&mend(&copies("MC-100002 A", 0, 2), &world), "a new one may get this number");
    world.others.borrow_mut().reserved.clear();
    world.place("a", &[("B", world::COPIES + 1)], APPROVED).unwrap_err();
    assert_eq!(mend(&copies("MC-100001 A", 0, 2), &world), Outcome::Mended);
    // What is no number of the shop's own is unknown for good.
    for odd in ["MC-", "MC-x", "LOST-1"] {
        assert_eq!(mend(&copies(&format!("{odd} A"), 0, 2), &world), Outcome::Mended, "{odd}");
        refused(&mend(&copies(&format!("{odd} A"), 1, 0), &world), "nothing that could be let go");
    }
}

#[test]
fn a_context_that_is_away_is_asked_again_and_a_lost_answer_does_nothing_twice() {
    let world = World::new();
    forget(&world, "LOST-1");
    for fault in [Fault::Away, Fault::Lost] {
        for found in [copies("LOST-1 A", 0, 2), money("LOST-1", 0, 2000)] {
            world.plan(&[(1, fault)]);
            assert!(matches!(mend(&found, &world), Outcome::Later(_)), "{fault:?}");
        }
    }
    world.plan(&[]);
    assert_eq!(mend(&copies("LOST-1 A", 0, 2), &world), Outcome::Mended);
    assert_eq!(mend(&money("LOST-1", 0, 2000), &world), Outcome::Mended);
    assert_eq!(world.on_hand("A"), world::COPIES);
}

/// In the midst of a change, the order's own saga is on its way.
#[test]
fn while_a_change_of_the_order_is_under_way_it_is_later() {
    let world = World::new();
    let order = world.place("a", &[("A", 2)], APPROVED).unwrap().number;
    world.absent.borrow_mut().insert("release");
    let cancel = Change { key: "c", step: Step::Cancel, number: &order, customer: None, by: None };
    change(cancel, "", &world).unwrap_err();
    let under_way = mend(&copies(&format!("{order} A"), 0, 2), &world);
    assert_eq!(under_way, Outcome::Later("a change of the order is under way".into()));
}
