//! Reserved, shipped and returned copies on a real SQLite file: no event loses or adds a copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use seam_sdk::native::{Store, set_clock};
use seam_sdk::store::{one, params, query};
use warehouse::MIGRATIONS;
use warehouse::archive::PastOrder;
use warehouse::fulfilment::{Error, Line, Shortage};
use warehouse::stock::{self, Cause, Level, Tally};
use warehouse::store::orders::{clear, pick_list, release, reserve, ship, take_back};
use warehouse::store::{archive, history, on_hand, put, restock, tally};

fn line(sku: &str, copies: u32) -> Line {
    Line { sku: sku.into(), copies }
}

fn shop(levels: &[(&str, u32)]) -> Store {
    let store = Store::fresh(MIGRATIONS).unwrap();
    let levels: Vec<_> = levels.iter().map(|(sku, on_hand)| Level { sku: (*sku).into(), on_hand: *on_hand }).collect();
    put(&levels, None).unwrap();
    store
}

fn level(sku: &str) -> u32 {
    on_hand(&[sku.to_owned()]).unwrap()[0]
}

fn all() -> (u64, u64, u64, u64) {
    let Tally { on_hand, reserved, shipped, received } = tally(&[]).unwrap();
    assert_eq!(on_hand + reserved + shipped, received);
    let moved: i64 = one("SELECT coalesce(sum(change), 0) FROM movements", params![]).unwrap();
    assert_eq!(moved, on_hand as i64, "the movements sum to the copies on the shelves");
    (on_hand, reserved, shipped, received)
}

#[test]
fn an_order_is_reserved_cleared_shipped_and_returned() {
    let _store = shop(&[("A", 5), ("B", 1)]);
    let lines = [line("A", 2), line("B", 1)];
    for _ in 0..2 {
        assert_eq!(reserve("O", &lines), Ok(()));
        assert_eq!(all(), (3, 3, 0, 6));
    }
    assert!(pick_list(10).unwrap().is_empty());
    for _ in 0..2 {
        assert_eq!(clear("O"), Ok(()));
        assert_eq!(pick_list(10).unwrap()[0].lines, lines);
    }
    for _ in 0..2 {
        assert_eq!(ship("O"), Ok(()));
        assert_eq!(all(), (3, 0, 3, 6));
    }
    assert!(pick_list(10).unwrap().is_empty());
    for _ in 0..2 {
        assert_eq!(take_back("k", "O", &[line("A", 1)]), Ok(()));
        assert_eq!(all(), (4, 0, 2, 6));
    }
    let other = Error::Invalid("key: it was used for something else".into());
    assert_eq!(take_back("k", "O", &[line("A", 2)]), Err(other));
    assert!(matches!(take_back("l", "O", &[line("A", 2)]), Err(Error::Refused(_))));
    assert!(matches!(take_back("l", "O", &[line("C", 1)]), Err(Error::Refused(_))));
    assert_eq!(take_back("l", "O", &[line("A", 1), line("B", 1)]), Ok(()));
    assert_eq!(all(), (6, 0, 0, 6));
    assert!(matches!(release("O"), Err(Error::Refused(_))));
}

#[test]
fn an_order_is_reserved_as_a_whole_or_not_at_all() {
    let _store = shop(&[("A", 5), ("B", 1)]);
    let short = |sku: &str, wanted, on_hand| Shortage { sku: sku.into(), wanted, on_hand };
    let outcome = reserve("O", &[line("B", 2), line("A", 5), line("NEVER", 1)]);
    assert_eq!(outcome, Err(Error::Short(vec![short("B", 2, 1), short("NEVER", 1, 0)])));
    assert_eq!(all(), (6, 0, 0, 6));
    assert_eq!(clear("O"), Err(Error::UnknownOrder("O".into())));
    assert_eq!(reserve("O", &[line("A", 5)]), Ok(()), "the first try reserved nothing");
    assert!(matches!(reserve("O", &[line("A", 4)]), Err(Error::Refused(_))));
}

#[test]
fn a_reservation_that_comes_after_its_release_is_refused() {
    let _store = shop(&[("A", 5)]);
    for _ in 0..2 {
        assert_eq!(release("O"), Ok(()));
    }
    assert!(matches!(reserve("O", &[line("A", 1)]), Err(Error::Refused(_))));
    assert_eq!(reserve("P", &[line("A", 1)]), Ok(()));
    for _ in 0..2 {
        assert_eq!(release("P"), Ok(()));
        assert_eq!(all(), (5, 0, 0, 5));
    }
    assert!(matches!(clear("P"), Err(Error::Refused(_))));
}

#[test]
fn restocks_count_once_and_the_history_shows_everything() {
    let _store = shop(&[("A", 5)]);
    set_clock(Some(100));
    for _ in 0..2 {
        assert_eq!(restock("k", line("A", 10), "from the distributor", None).unwrap().on_hand, 15);
    }
    assert!(matches!(restock("k", line("A", 11), "", None), Err(stock::Error::Invalid(_))));
    assert_eq!(restock("l", line("NEW", 1), "", None).unwrap(), Level { sku: "NEW".into(), on_hand: 1 });
    reserve("O", &[line("A", 4)]).unwrap();
    release("O").unwrap();
    put(&[Level { sku: "A".into(), on_hand: 12 }], None).unwrap();
    put(&[Level { sku: "A".into(), on_hand: 12 }], None).unwrap();
    let movements: Vec<_> = history("A", 10)
        .unwrap()
        .into_iter()
        .map(|m| m.movement)
        .map(|m| (m.cause, m.change, m.on_hand, m.reference))
        .collect();
    let row = |cause, change, on_hand, reference: &str| (cause, change, on_hand, reference.to_owned());
    assert_eq!(
        movements,
        [
            row(Cause::Counted, -3, 12, ""),
            row(Cause::Released, 4, 15, "O"),
            row(Cause::Reserved, -4, 11, "O"),
            row(Cause::Restocked, 10, 15, "from the distributor"),
            row(Cause::Counted, 5, 5, ""),
        ]
    );
    assert_eq!(history("A", 1).unwrap().len(), 1);
    all();
}

#[test]
fn a_count_and_a_restock_keep_who_did_it_and_orders_name_no_operator() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    put(&[Level { sku: "A".into(), on_hand: 3 }], Some("C-8")).unwrap();
    restock("k", line("A", 2), "", Some("C-9")).unwrap();
    restock("k", line("A", 2), "", Some("C-8")).unwrap();
    restock("l", line("A", 2), "", None).unwrap();
    reserve("O-1", &[line("A", 1)]).unwrap();
    let by: Vec<_> = history("A", 10).unwrap().into_iter().map(|one| (one.movement.cause, one.by)).collect();
    let expect = [(Cause::Reserved, ""), (Cause::Restocked, ""), (Cause::Restocked, "C-9"), (Cause::Counted, "C-8")];
    assert_eq!(by, expect.map(|(cause, by)| (cause, by.to_owned())));
}

#[test]
fn movements_from_before_the_migration_name_no_operator() {
    let (before, after) = MIGRATIONS.split_at(2);
    let store = Store::fresh(before).unwrap();
    let old = "INSERT INTO movements (sku, at, cause, change, on_hand, reference) VALUES ('A', 1, 1, 5, 5, 'found')";
    store.connection(|c| c.execute_batch(old).unwrap());
    store.connection(|c| after.iter().for_each(|migration| c.execute_batch(migration.sql).unwrap()));
    let history = history("A", 10).unwrap();
    assert_eq!((history.len(), history[0].by.as_str(), history[0].movement.reference.as_str()), (1, "", "found"));
}

#[test]
fn past_orders_are_received_and_take_their_old_steps() {
    let _store = shop(&[("A", 5)]);
    let order = |number: &str, shipped, released, returned: &[Line]| PastOrder {
        order: number.into(),
        at: 10,
        lines: vec![line("A", 2), line("B", 1)],
        shipped,
        released,
        returned: returned.to_vec(),
        returned_at: 30,
    };
    let orders = vec![
        order("P-1", Some(20), None, &[line("A", 1)]),
        order("P-2", None, None, &[]),
        order("P-3", None, Some(15), &[]),
    ];
    assert_eq!(archive::put(orders.clone()).unwrap(), 3);
    assert_eq!(archive::put(orders).unwrap(), 0);
    assert_eq!((level("A"), level("B")), (8, 1));
    assert_eq!(all(), (9, 3, 2, 14));
    assert_eq!(pick_list(10).unwrap()[0].order, "P-2");
    assert_eq!(ship("P-2"), Ok(()));
    assert!(matches!(take_back("k", "P-1", &[line("A", 2)]), Err(Error::Refused(_))));
    assert_eq!(take_back("k", "P-1", &[line("A", 1)]), Ok(()));
    all();
}

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Checks that a step was done or refused, and did not fail.
fn answered(outcome: Result<(), Error>) {
    assert!(!matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
}

#[test]
fn random_steps_in_any_order_neither_lose_nor_add_copies() {
    for seed in 1..=5 {
        let _store = shop(&[("A", 20), ("B", 10), ("C", 3)]);
        let mut dice = Dice(seed);
        for turn in 0..600 {
            let order = format!("O-{}", dice.below(25));
            let mut lines = BTreeMap::new();
            for _ in 0..=dice.below(3) {
                lines.insert(["A", "B", "C"][dice.below(3) as usize], 1 + dice.below(4) as u32);
            }
            let lines: Vec<_> = lines.into_iter().map(|(sku, copies)| line(sku, copies)).collect();
            match dice.below(8) {
                0..3 => answered(reserve(&order, &lines)),
                3 => answered(clear(&order)),
                4 => answered(ship(&order)),
                5 => answered(release(&order)),
                6 => answered(take_back(&format!("k-{}", dice.below(40)), &order, &lines)),
                _ => drop(restock(&format!("r-{turn}"), lines[0].clone(), "", None).unwrap()),
            }
            all();
        }
        let shipped: (u64, u64) =
            one("SELECT (SELECT sum(shipped) FROM levels), (SELECT sum(copies - returned) FROM lines JOIN orders USING (number) WHERE stage = 2)", params![])
                .unwrap();
        assert_eq!(shipped.0, shipped.1);
        assert!(shipped.0 > 0, "the random steps include a shipment");
    }
}

#[test]
fn levels_from_before_the_orders_are_kept() {
    let path = std::env::temp_dir().join(format!("seam-levels-{}.sqlite", std::process::id()));
    {
        let _store = Store::open(&path, &MIGRATIONS[..1]).unwrap();
        seam_sdk::store::execute("INSERT INTO levels VALUES ('A', 7)", params![]).unwrap();
    }
    {
        let _store = Store::open(&path, MIGRATIONS).unwrap();
        assert_eq!(query::<u32>("SELECT received FROM levels", params![]).unwrap(), [7]);
        assert_eq!(level("A"), 7);
    }
    std::fs::remove_file(path).unwrap();
}
