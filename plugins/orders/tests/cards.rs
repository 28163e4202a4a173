//! The card of an order: where it is kept, and how many of them may be tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use orders::domain::limits;
use orders::placing::place;
use orders::wit::{Error, Request};
use seam_sdk::attempts;
use seam_sdk::native::{set_clock, settings};
use seam_sdk::store::{execute, one, params, query};
use world::{APPROVED, DECLINED, MISTYPED, NOW, WAREHOUSE, World, request};

#[test]
fn the_card_is_kept_nowhere() {
    let world = World::new();
    world.place("k", &[("A", 1)], APPROVED).unwrap();
    let _ = world.place("l", &[("A", 1)], DECLINED);
    let tables: Vec<String> = query("SELECT name FROM sqlite_schema WHERE type = 'table'", params![]).unwrap();
    for table in tables {
        let columns: Vec<String> = query("SELECT name FROM pragma_table_info(?1)", params![&table]).unwrap();
        for column in columns {
            for secret in ["%4242 4242%", "%42424242%", "%0000%0002%", "%12/99%"] {
                let sql = format!("SELECT count(*) FROM \"{table}\" WHERE CAST(\"{column}\" AS TEXT) LIKE ?1");
                assert_eq!(one::<u32>(&sql, params![secret]), Ok(0), "{table}.{column}");
            }
        }
    }
}

#[test]
fn cards_that_fail_are_counted_by_customer_and_by_network_and_good_ones_are_not() {
    let world = World::new();
    let place = |key: &str, customer: &str, from: &str, card: &str| {
        let request = Request { customer: customer.into(), from: from.into(), ..request(&[("A", 1)], card) };
        place(key, &request, &world).map(drop)
    };
    let declined = |number: u32, customer: &str, from: &str| {
        matches!(place(&format!("{customer}-{number}"), customer, from, DECLINED), Err(Error::Declined(_)))
    };
    place("good", "C-1", "192.0.2.1", APPROVED).unwrap();
    for number in 0..10 {
        assert!(declined(number, "C-1", &format!("198.51.100.{number}")), "{number}");
    }
    // One each six minutes now, from any network; nothing is asked of the other contexts, and the key is not used up.
    world.plan(&[]);
    assert_eq!(place("later", "C-1", "203.0.113.1", APPROVED), Err(Error::Wait(360)));
    assert_eq!(*world.asked.borrow(), ["albums"]);
    set_clock(Some(NOW + 360));
    assert_eq!(place("later", "C-1", "203.0.113.1", APPROVED), Ok(()));
    // A key that was answered is answered again.
    assert!(declined(0, "C-1", "203.0.113.1"));
    // From one network of an IPv6 provider, with many accounts.
    for number in 0..20 {
        assert!(declined(0, &format!("C-2{number}"), &format!("2001:db8:1:2::{number}")), "{number}");
    }
    assert_eq!(place("k", "C-3", "2001:db8:1:2::99", APPROVED), Err(Error::Wait(180)));
    assert_eq!(place("k", "C-3", "2001:db8:1:3::99", APPROVED), Ok(()));
    // A number that cannot be used counts, too.
    for number in 0..10 {
        let mistyped = place(&format!("m-{number}"), "C-4", &format!("203.0.113.{number}"), MISTYPED);
        assert!(matches!(mistyped, Err(Error::Fields(_))), "{mistyped:?}");
    }
    assert_eq!(place("m", "C-4", "203.0.113.99", MISTYPED), Err(Error::Wait(360)));
}

#[test]
fn cards_that_are_looked_at_leave_no_room_for_more_and_are_not_called_failures() {
    let world = World::new();
    let place = |key: &str, customer: &str, card: &str| {
        let request = Request { customer: customer.into(), ..request(&[("A", 1)], card) };
        place(key, &request, &world).map(drop)
    };
    // The customers of one network: 20 of their cards are looked at together.
    let cards: Vec<_> = (0..20).map(|number| limits::cards(&format!("C-{number}"), "192.0.2.1")).collect();
    assert!(cards.iter().all(|cards| attempts::take(&cards.tried).is_ok()));
    world.plan(&[]);
    assert_eq!(place("k", "C-50", APPROVED), Err(Error::Busy(2)));
    assert_eq!(*world.asked.borrow(), ["albums"], "of many bad cards at once, no more are looked at");
    attempts::give_back(&cards[0].tried);
    assert_eq!(place("k", "C-50", APPROVED), Ok(()), "the key was not used up");
    // The room that is left is used by cards that fail. Still, most of the others may be good.
    assert!(matches!(place("l", "C-50", DECLINED), Err(Error::Declined(_))));
    assert_eq!(place("m", "C-50", APPROVED), Err(Error::Busy(2)));
    for cards in &cards[1..] {
        attempts::take(&cards.failed).unwrap();
    }
    assert_eq!(place("m", "C-50", APPROVED), Err(Error::Wait(180)), "all of them failed");
}

/// In an outage, an order that waits leaves room for the next: its card counts when it is looked at.
#[test]
fn the_card_of_an_order_that_waits_counts_when_the_bank_is_asked() {
    let world = World::new();
    settings(&[("checkout", "retry-later")]);
    world.absent.borrow_mut().extend(WAREHOUSE);
    let place = |number: u32, card: &str| {
        let request = Request { customer: format!("C-{number}"), ..request(&[("A", 1)], card) };
        place(&format!("k-{number}"), &request, &world).map(drop)
    };
    let taken = |number: u32| Err(Error::InProcess(format!("MC-{}", 100_000 + number)));
    // More than 20 of one network, and of each 25, five are bad: they are the last ones.
    world.others.borrow_mut().on_hand.insert("A".into(), 100);
    for number in 1..=25 {
        assert_eq!(place(number, APPROVED), taken(number));
    }
    for number in 26..=50 {
        assert_eq!(place(number, DECLINED), taken(number));
    }
    let in_state = |state| one::<u32>("SELECT count(*) FROM orders WHERE state = ?1", params![state]).unwrap();
    assert_eq!(in_state("placing"), 50);
    world.absent.borrow_mut().clear();
    world.later(60);
    assert_eq!(world.go_on(), 0);
    // The good ones have given their room back; of the bad ones, no more were looked at than may fail.
    assert_eq!((in_state("placed"), in_state("rejected"), in_state("placing")), (25, 20, 5));
    assert_eq!(world.asked.borrow().iter().filter(|asked| **asked == "authorise").count(), 45);
    assert_eq!(place(51, APPROVED), Err(Error::Wait(180)), "so many have failed");
    // There is room for one more every three minutes.
    for left in (0..5).rev() {
        world.later(180);
        assert_eq!(world.go_on(), 0);
        assert_eq!(in_state("placing"), left);
    }
    assert_eq!(one::<u32>("SELECT count(*) FROM orders WHERE card_from IS NOT NULL", params![]), Ok(0));
    world.later(180);
    assert_eq!(place(52, APPROVED), Ok(()));
}

#[test]
fn a_refused_card_counts_as_failed_although_its_request_has_gone() {
    for (gone_before, gone_meanwhile, room) in [(true, false, 9), (false, true, 9), (false, false, 10)] {
        let world = World::new();
        settings(&[("checkout", "retry-later")]);
        world.absent.borrow_mut().insert("authorise");
        assert_eq!(world.place("k", &[("A", 1)], DECLINED), Err(Error::InProcess("MC-100001".into())));
        if !gone_before {
            // As if the request still waited.
            execute("UPDATE orders SET card_from = NULL", params![]).unwrap();
        }
        world.absent.borrow_mut().clear();
        world.request_goes.set(gone_meanwhile);
        world.later(5);
        world.go_on();
        let cards = limits::cards("C-1", "192.0.2.1");
        let left = |under: &[attempts::Limit]| (0..30).take_while(|_| attempts::take(under).is_ok()).count();
        assert_eq!((left(&cards.failed), left(&cards.tried)), (room, room), "{gone_before} {gone_meanwhile}");
    }
}

#[test]
fn an_absent_or_endless_address_is_refused() {
    let world = World::new();
    for from in ["", &"1".repeat(101), "a\nb"] {
        let request = orders::wit::Request { from: from.into(), ..request(&[("A", 1)], APPROVED) };
        assert!(
            matches!(place("k", &request, &world), Err(Error::Invalid(why)) if why.starts_with("from: ")),
            "{from}"
        );
    }
}
