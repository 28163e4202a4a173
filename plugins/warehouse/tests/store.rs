//! The warehouse's SQL on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use seam_sdk::native::Store;
use seam_sdk::store::{self, Error, params};
use warehouse::MIGRATIONS;
use warehouse::stock::Level;
use warehouse::store::{on_hand, put};

fn level(sku: &str, on_hand: u32) -> Level {
    Level { sku: sku.into(), on_hand }
}

fn asked(skus: &[&str]) -> Vec<u32> {
    on_hand(&skus.iter().map(|sku| sku.to_string()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn levels_come_in_the_order_of_the_skus_and_0_for_unknown_ones() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    put(&[level("A", 3), level("B", 0), level("C", 7)], None).unwrap();
    assert_eq!(asked(&["C", "NEVER", "A", "B", "C"]), [7, 0, 3, 0, 7]);
    assert!(asked(&[]).is_empty());
}

#[test]
fn a_stocktake_replaces_levels_and_its_repetition_has_no_effect() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    for _ in 0..2 {
        put(&[level("A", 3), level("B", 4)], None).unwrap();
    }
    put(&[level("A", 0)], None).unwrap();
    assert_eq!(asked(&["A", "B"]), [0, 4]);
}

#[test]
fn a_negative_level_refuses_its_whole_batch() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let sql = "INSERT INTO levels (sku, on_hand, reserved, shipped, received) VALUES (?1, ?2, 0, 0, ?2)";
    let outcome = store::execute_many(sql, [("A", 1), ("B", -1)]);
    assert!(matches!(outcome, Err(Error::Constraint(_))), "{outcome:?}");
    assert_eq!(store::one::<u32>("SELECT count(*) FROM levels", params![]), Ok(0));
}

#[test]
fn a_transaction_that_ends_in_an_error_changes_nothing() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let outcome: Result<(), Error> = store::transaction(|tx| {
        tx.execute("INSERT INTO levels VALUES (?1, ?2, 0, 0, ?2)", params!["A", 1])?;
        assert_eq!(tx.one::<u32>("SELECT on_hand FROM levels WHERE sku = ?1", params!["A"])?, 1);
        tx.execute("INSERT INTO levels VALUES (?1, ?2, 0, 0, ?2)", params!["A", 2])?;
        Ok(())
    });
    assert!(matches!(outcome, Err(Error::Constraint(_))), "{outcome:?}");
    assert_eq!(asked(&["A"]), [0]);
    put(&[level("A", 5)], None).unwrap();
    assert_eq!(asked(&["A"]), [5], "the store is usable afterwards");
}

#[test]
fn the_lookup_uses_the_primary_key() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    let plan: Vec<String> = store.connection(|c| {
        let sql = "EXPLAIN QUERY PLAN SELECT l.on_hand FROM json_each('[]') AS asked LEFT JOIN levels AS l ON l.sku = asked.value";
        let mut statement = c.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap()
    });
    assert!(plan.iter().any(|step| step.contains("SEARCH l USING PRIMARY KEY (sku=?)")), "{plan:?}");
}
