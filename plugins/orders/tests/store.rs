//! The orders' SQL on a real SQLite file: pages, past orders, and that every query has its index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use std::time::{Duration, Instant};

use orders::archive::PastOrder;
use orders::domain::states::Step;
use orders::domain::{past, states};
use orders::store::{archive, finish, head, in_state, of_customer, order, placing};
use orders::wit::{Address, Event, PlacedLine, PricedLine, Quote, State};
use seam_sdk::native::Store;
use seam_sdk::store::{Error, execute, one, params, query};
use world::World;

const CARD: placing::Card<'_> = placing::Card { token: "token-4242", note: "Held." };

fn address() -> Address {
    Address {
        name: "Ann Lee".into(),
        street: "1 High Street".into(),
        extra: "Flat 2".into(),
        city: "Leeds".into(),
        postcode: "LS1 1AA".into(),
        country: "GB".into(),
    }
}

fn past_order(number: u32, state: State) -> PastOrder {
    let event = |at, state| Event { at, state, note: format!("note {at}") };
    let at = u64::from(number);
    let way: &[State] = match state {
        State::Rejected => &[State::Placing],
        State::Placed => &[State::Placing],
        State::Cancelled | State::Shipped => &[State::Placing, State::Placed],
        State::ReturnRequested => &[State::Placing, State::Placed, State::Shipped],
        _ => &[State::Placing, State::Placed, State::Shipped, State::ReturnRequested],
    };
    let returned = u32::from(matches!(state, State::ReturnRequested | State::Returned));
    PastOrder {
        number: format!("D-{number:06}"),
        customer: format!("C-{}", number % 3),
        state,
        lines: vec![
            PlacedLine { sku: "B".into(), copies: 1, price: 1999, returned: 0 },
            PlacedLine { sku: "A".into(), copies: 2, price: 999, returned },
        ],
        shipping: 395,
        currency: "GBP".into(),
        address: address(),
        at,
        history: (0..).zip(way.iter().chain([&state])).map(|(i, state)| event(at + 10 * i, *state)).collect(),
    }
}

#[test]
fn past_orders_are_put_once_and_read_as_they_were_put() {
    let world = World::new();
    let all: Vec<PastOrder> = (1..).zip(states::ALL).skip(1).map(|(number, state)| past_order(number, state)).collect();
    past::check(&all).unwrap();
    assert_eq!(archive::put(&all[1..], &world).unwrap(), 5);
    assert_eq!(archive::put(&all, &world).unwrap(), 1);
    assert_eq!(archive::put(&all, &world).unwrap(), 0);
    for put in &all {
        let order = order(&put.number).unwrap().unwrap();
        assert_eq!((&order.lines, &order.history, order.state), (&put.lines, &put.history, put.state));
        assert_eq!((order.total, order.shipping, &order.address), (4392, 395, &put.address));
        let shipped = head(&put.number).unwrap().unwrap().shipped_at;
        let expect = put.history.iter().find(|event| event.state == State::Shipped).map(|event| event.at);
        assert_eq!(shipped, expect);
    }
    let mut sold = world.others.take().published;
    assert!(sold.iter().all(|order| order.skus == ["B", "A"]));
    sold.sort_by_key(|order| order.at);
    let sold: Vec<_> = sold.into_iter().map(|order| order.number).collect();
    assert_eq!(sold, ["D-000002", "D-000003", "D-000004", "D-000005"], "neither cancelled nor rejected ones");
    let started: Vec<String> = query("SELECT kind || ' ' || id FROM seam_sagas ORDER BY id", params![]).unwrap();
    assert_eq!(started, ["order D-000002", "return D-000004"], "those that wait for their parcel, or its return");
}

#[test]
fn orders_from_before_events_are_published_once() {
    let world = World::new();
    let (before, after) = orders::MIGRATIONS.split_at(3);
    let store = Store::fresh(before).unwrap();
    archive::put(&[past_order(1, State::Shipped), past_order(2, State::Placed)], &world).unwrap();
    store.connection(|c| {
        c.execute_batch("INSERT INTO purchases (order_id, learned) SELECT id, id % 2 FROM orders").unwrap();
        after.iter().for_each(|migration| c.execute_batch(migration.sql).unwrap());
    });
    let sold = world.others.take().published;
    assert_eq!(sold.len(), 2);
    archive::publish_earlier(&world).unwrap();
    assert_eq!(world.others.take().published, sold);
    archive::publish_earlier(&world).unwrap();
    assert_eq!(world.others.take().published, []);
}

#[test]
fn a_bad_row_refuses_its_whole_batch() {
    let world = World::new();
    let mut orders = vec![past_order(1, State::Placed), past_order(2, State::Placed)];
    orders[1].lines[1].copies = 0;
    assert!(matches!(archive::put(&orders, &world), Err(Error::Constraint(_))));
    assert_eq!(one::<u32>("SELECT count(*) FROM orders", params![]), Ok(0));
}

#[test]
fn pages_hold_twenty_newest_first_for_customers_oldest_first_at_the_desk() {
    let world = World::new();
    let orders: Vec<_> = (1..=100).map(|number| past_order(number, State::Shipped)).collect();
    archive::put(&orders, &world).unwrap();
    let numbers = |page: orders::wit::Page| page.orders.into_iter().map(|order| order.number).collect::<Vec<_>>();
    let first = of_customer("C-1", 1).unwrap();
    assert!(first.more);
    let summary = &first.orders[0];
    assert_eq!((summary.copies, summary.total, summary.customer.as_str()), (3, 4392, "C-1"));
    let first = numbers(first);
    assert_eq!((first.len(), first[0].as_str(), first[19].as_str()), (20, "D-000100", "D-000043"));
    let second = of_customer("C-1", 2).unwrap();
    assert!(!second.more);
    assert_eq!(numbers(second).last().map(String::as_str), Some("D-000001"));
    assert_eq!(numbers(of_customer("C-9", 1).unwrap()), Vec::<String>::new());
    let desk = in_state(State::Shipped, 5).unwrap();
    assert!(!desk.more);
    assert_eq!(numbers(desk)[0], "D-000081");
    assert!(in_state(State::Shipped, 4).unwrap().more);
    assert!(in_state(State::Placed, 1).unwrap().orders.is_empty());
}

#[test]
fn new_numbers_are_above_those_of_a_seed() {
    let world = World::new();
    archive::put(&[past_order(1, State::Shipped), past_order(2, State::Shipped)], &world).unwrap();
    let line = PricedLine { sku: "A".into(), artist: String::new(), title: String::new(), copies: 1, price: 1000 };
    let quote = Quote { lines: vec![line], gone: vec![], shipping: 0, total: 1000, currency: "GBP".into() };
    let opened = |key: &str| placing::open(key, "C-1", &address(), &quote, CARD, 5).unwrap();
    assert_eq!(opened("k").as_deref(), Some("MC-100003"));
    assert_eq!(opened("k"), None, "the key has its order");
    assert_eq!(opened("l").as_deref(), Some("MC-100004"));
}

#[test]
fn a_key_is_free_again_only_if_its_order_was_never_decided() {
    let _store = Store::fresh(orders::MIGRATIONS).unwrap();
    let line = PricedLine { sku: "A".into(), artist: String::new(), title: String::new(), copies: 1, price: 1000 };
    let quote = Quote { lines: vec![line], gone: vec![], shipping: 0, total: 1000, currency: "GBP".into() };
    let open = |key: &str, customer: &str| placing::open(key, customer, &address(), &quote, CARD, 5).unwrap();
    let id = |number: Option<String>| head(&number.unwrap()).unwrap().unwrap().id;
    let (cut_off, declined) = (id(open("k", "C-1")), id(open("l", "C-1")));
    finish(cut_off, Step::Reject, Some("Cut off."), 6).unwrap();
    placing::decide(declined, &orders::wit::Error::Declined("No.".into()), "No.").unwrap();
    for at in [6, 7] {
        finish(declined, Step::Reject, None, at).unwrap();
    }
    let notes: Vec<String> =
        query("SELECT note FROM events WHERE state = 'rejected' ORDER BY order_id", params![]).unwrap();
    assert_eq!(notes, ["Cut off.", "No."], "once, with the reason that was decided");
    assert_eq!(open("l", "C-1"), None);
    assert_eq!(open("k", "C-2"), None, "nor is it another customer's");
    assert!(open("k", "C-1").is_some());
    assert_eq!(one::<u32>("SELECT count(*) FROM orders", params![]), Ok(3), "refused orders left no row");
}

#[test]
fn the_schema_refuses_a_step_in_process_that_does_not_fit_the_state() {
    let world = World::new();
    archive::put(&[past_order(1, State::Placed)], &world).unwrap();
    for wrong in [
        "UPDATE orders SET state = 'placing'",
        "UPDATE orders SET doing = 'place', doing_since = 1",
        "UPDATE orders SET doing = 'ship'",
        "UPDATE orders SET state = 'lost'",
        "UPDATE lines SET returned = copies + 1",
    ] {
        assert!(matches!(execute(wrong, params![]), Err(Error::Constraint(_))), "{wrong}");
    }
    assert_eq!(execute("UPDATE orders SET doing = 'ship', doing_since = 1", params![]), Ok(1));
}

#[test]
fn a_thousand_past_orders_take_one_call_and_little_time() {
    let world = World::new();
    let orders: Vec<_> = (1..=1000).map(|number| past_order(number, State::Shipped)).collect();
    let start = Instant::now();
    assert_eq!(archive::put(&orders, &world).unwrap(), 1000);
    // Unoptimised and on a busy machine this takes about 50 ms; a statement and a commit for each row would take many
    // times as long.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn every_query_has_its_index() {
    let store = Store::fresh(orders::MIGRATIONS).unwrap();
    let plan = |sql: &str| -> String {
        store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        })
    };
    for (sql, index) in [
        (
            "SELECT 1 FROM orders WHERE customer = 'C' ORDER BY at DESC, id DESC LIMIT 21",
            "orders_by_customer (customer=?)",
        ),
        ("SELECT 1 FROM orders WHERE state = 'placed' ORDER BY at, id LIMIT 21", "orders_by_state (state=?)"),
        (
            "SELECT 1 FROM orders AS o WHERE o.doing IS NOT NULL AND o.doing_since < 1 ORDER BY o.doing_since",
            "orders_being_done (doing_since<?)",
        ),
        ("SELECT 1 FROM orders WHERE id IN (SELECT order_id FROM unpublished ORDER BY order_id LIMIT 9)", "rowid=?"),
        ("SELECT 1 FROM orders WHERE number = 'N'", "sqlite_autoindex_orders_1 (number=?)"),
        ("SELECT 1 FROM lines WHERE order_id = 1 ORDER BY position", "PRIMARY KEY (order_id=?)"),
        ("SELECT coalesce(max(position), 0) + 1 FROM events WHERE order_id = 1", "PRIMARY KEY (order_id=?)"),
    ] {
        let plan = plan(sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
