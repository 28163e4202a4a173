//! The operator's lists on a real SQLite file: orders that are found, orders that wait, recipients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use orders::archive::PastOrder;
use orders::desk::{Range, Search};
use orders::domain::search;
use orders::neighbours::{Neighbours, PlacedOrder, events};
use orders::store::{archive, desk};
use orders::wit::{Address, Event, PlacedLine, State};
use seam_sdk::native::Store;
use seam_sdk::store::{execute, params};

/// An order placed at `at` for a recipient of this name.
fn past_order(number: &str, customer: &str, name: &str, at: u64, state: State) -> PastOrder {
    let address = Address {
        name: name.into(),
        street: "1 High Street".into(),
        extra: String::new(),
        city: "Leeds".into(),
        postcode: "LS1 1AA".into(),
        country: "GB".into(),
    };
    PastOrder {
        number: number.into(),
        customer: customer.into(),
        state,
        lines: vec![PlacedLine { sku: "A".into(), copies: 1, price: 1000, returned: 0 }],
        shipping: 395,
        currency: "GBP".into(),
        address,
        at,
        history: vec![Event { at, state, note: String::new() }],
    }
}

/// No context listens.
struct Alone;

impl Neighbours for Alone {
    fn order_placed(&self, _: &PlacedOrder) -> Result<(), events::Error> {
        Ok(())
    }
}

fn store() -> Store {
    let store = Store::fresh(orders::MIGRATIONS).unwrap();
    let all = [
        past_order("D-000001", "C-1", "Ann Lee", 100, State::Shipped),
        past_order("D-000002", "C-2", "Hildur Gu\u{f0}nad\u{f3}ttir", 200, State::Placed),
        past_order("D-000003", "C-1", "Annika O'Leary", 300, State::ReturnRequested),
        past_order("D-000004", "C-3", "J\u{f3}n \u{de}\u{f3}r Birgisson", 400, State::Placed),
    ];
    archive::put(&all, &Alone).unwrap();
    store
}

const NOTHING: Search =
    Search { number: None, state: None, customer: None, recipient: None, since: None, before: None };
const ALL: Range = Range { skip: 0, count: 1000 };

fn found(wanted: Search, range: Range) -> (Vec<String>, bool) {
    let page = desk::find(&search::search(wanted).unwrap(), search::range(range).unwrap()).unwrap();
    (page.orders.into_iter().map(|order| order.number).collect(), page.more)
}

#[test]
fn an_order_is_found_by_each_field_and_by_all_of_them() {
    let _store = store();
    let text = |text: &str| Some(String::from(text));
    let named = |name: &str| Search { recipient: text(name), ..NOTHING };
    for (wanted, expect) in [
        (NOTHING, "D-000004 D-000003 D-000002 D-000001"),
        (Search { number: text("d-000002"), ..NOTHING }, "D-000002"),
        (Search { number: text("000002"), ..NOTHING }, ""),
        (Search { customer: text("C-1"), ..NOTHING }, "D-000003 D-000001"),
        (Search { customer: text("C-1"), state: Some(State::Shipped), ..NOTHING }, "D-000001"),
        (Search { state: Some(State::Placed), ..NOTHING }, "D-000004 D-000002"),
        (Search { state: Some(State::Placed), before: Some(400), ..NOTHING }, "D-000002"),
        (Search { since: Some(200), before: Some(400), ..NOTHING }, "D-000003 D-000002"),
        (named("lee"), "D-000001"),
        (named("le ann"), "D-000003 D-000001"),
        (named("GUDNADOTTIR"), ""),
        (named("gu\u{f0}nadottir"), "D-000002"),
        (named("jon"), "D-000004"),
        (Search { since: Some(300), ..named("ann") }, "D-000003"),
        (Search { state: Some(State::Shipped), ..named("ann") }, "D-000001"),
        (named("stranger"), ""),
    ] {
        let shown = format!("{wanted:?}");
        assert_eq!(found(wanted, ALL).0.join(" "), expect, "{shown}");
    }
    execute("UPDATE orders SET name = 'Bo Ek' WHERE number = 'D-000001'", params![]).unwrap();
    assert_eq!(found(named("lee"), ALL).0, Vec::<String>::new(), "the name has changed");
    assert_eq!(found(named("ek"), ALL).0, ["D-000001"]);
}

#[test]
fn the_shops_own_numbers_are_found_by_their_digits() {
    let _store = store();
    execute("UPDATE orders SET number = 'MC-100004' WHERE number = 'D-000004'", params![]).unwrap();
    for number in ["MC-100004", "mc-100004", "100004"] {
        assert_eq!(found(Search { number: Some(number.into()), ..NOTHING }, ALL).0, ["MC-100004"], "{number}");
    }
}

#[test]
fn a_range_goes_on_where_the_one_before_ended() {
    let _store = store();
    let part = |skip, count| found(NOTHING, Range { skip, count });
    assert_eq!(part(0, 3), (vec!["D-000004".into(), "D-000003".into(), "D-000002".into()], true));
    assert_eq!(part(3, 3), (vec!["D-000001".into()], false));
    assert!(!part(0, 4).1);
}

#[test]
fn what_is_held_up_waits_first_then_returns_then_parcels() {
    let _store = store();
    let waiting = |now| {
        let page = desk::waiting(search::range(ALL).unwrap(), now).unwrap();
        page.orders.into_iter().map(|order| order.number).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(waiting(1000), "D-000003 D-000002 D-000004");
    execute("UPDATE orders SET doing = 'ship', doing_since = 1000 WHERE number = 'D-000004'", params![]).unwrap();
    assert_eq!(waiting(1060), "D-000003 D-000002 D-000004", "a shipment may take a minute");
    assert_eq!(waiting(1061), "D-000004 D-000003 D-000002", "and is listed once");
    let page = desk::waiting(search::range(Range { skip: 1, count: 1 }).unwrap(), 1061).unwrap();
    assert_eq!((page.orders[0].number.as_str(), page.more), ("D-000003", true));
}

#[test]
fn recipients_come_in_the_order_asked_without_unknown_ones() {
    let _store = store();
    let asked = ["D-000003", "D-9", "D-000001"].map(String::from);
    let names: Vec<_> =
        desk::recipients(&asked).unwrap().into_iter().map(|one| (one.order, one.address.name)).collect();
    assert_eq!(names, [("D-000003".into(), "Annika O'Leary".into()), ("D-000001".into(), "Ann Lee".into())]);
    assert!(search::numbers(&vec![String::from("D-1"); 201]).is_err());
}

#[test]
fn the_names_of_orders_placed_before_the_migration_are_found() {
    let (before, after) = orders::MIGRATIONS.split_at(1);
    let store = Store::fresh(before).unwrap();
    archive::put(&[past_order("D-000001", "C-1", "Ann Lee", 100, State::Shipped)], &Alone).unwrap();
    store.connection(|c| after.iter().for_each(|migration| c.execute_batch(migration.sql).unwrap()));
    assert_eq!(found(Search { recipient: Some("lee".into()), ..NOTHING }, ALL).0, ["D-000001"]);
}

#[test]
fn events_from_before_the_migration_have_no_author() {
    let (before, after) = orders::MIGRATIONS.split_at(2);
    let store = Store::fresh(before).unwrap();
    let old = "INSERT INTO orders (id, number, customer, state, copies, shipping, total, currency, name, street, extra,
                 city, postcode, country, at, doing, doing_since)
               VALUES (1, 'MC-1', 'C-1', 'placed', 1, 0, 1, 'GBP', '', '', '', '', '', 'GB', 5, 'ship', 100);
               INSERT INTO events VALUES (1, 1, 5, 'placed', '')";
    store.connection(|c| c.execute_batch(old).unwrap());
    store.connection(|c| after.iter().for_each(|migration| c.execute_batch(migration.sql).unwrap()));
    let authors = desk::authors("MC-1").unwrap();
    assert_eq!(authors.iter().map(|one| (one.by.as_str(), one.ended_by.as_str())).collect::<Vec<_>>(), [("", "")]);
    assert_eq!(desk::authors("MC-2").unwrap(), []);
    let held_up = desk::held_up(10, 161).unwrap();
    assert_eq!(held_up.iter().map(|one| (one.order.number.as_str(), one.since)).collect::<Vec<_>>(), [("MC-1", 100)]);
}

#[test]
fn every_list_has_its_index() {
    let store = store();
    let plan = |sql: &str| -> String {
        store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        })
    };
    for (condition, index) in [
        ("?1 IS NULL", "orders_by_time"),
        ("?1 IS NULL AND o.at >= ?6 AND o.at < ?7", "orders_by_time (at>? AND at<?)"),
        ("?1 IS NULL AND o.state = ?5 AND o.at >= ?6", "orders_by_state (state=? AND at>?)"),
        ("?1 IS NULL AND o.customer = ?4", "orders_by_customer (customer=?)"),
    ] {
        let sql = format!("SELECT o.number FROM orders AS o WHERE {condition} ORDER BY o.at DESC, o.id DESC LIMIT 21");
        let plan = plan(&sql.replace('?', "NULL + "));
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
    let named = plan(
        "SELECT o.number FROM recipients AS r CROSS JOIN orders AS o ON o.id = r.rowid
         WHERE r.recipients MATCH '\"ann\"*' AND o.at >= 1 ORDER BY r.rowid DESC LIMIT 21",
    );
    assert!(named.contains("USING INTEGER PRIMARY KEY") && !named.contains("TEMP B-TREE"), "{named}");
}
