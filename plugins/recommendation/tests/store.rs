//! The recommendation context's SQL on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use recommendation::MIGRATIONS;
use recommendation::domain::{Question, check_purchases};
use recommendation::engine::{Purchase, Suggestion};
use recommendation::store::{answer, learn};
use seam_sdk::native::Store;
use seam_sdk::store::{execute, one, params, query};

fn purchase(id: &str, skus: &[&str]) -> Purchase {
    let skus = skus.iter().map(|sku| sku.to_string()).collect();
    Purchase { id: id.into(), customer: "C-1".into(), skus, at: 0 }
}

fn learned(purchases: &[Purchase]) -> u32 {
    learn(check_purchases(purchases.to_vec()).unwrap()).unwrap()
}

fn suggested(seeds: &[&str], count: u32) -> Vec<Suggestion> {
    answer(&Question::new(seeds.iter().map(|sku| sku.to_string()).collect(), count).unwrap()).unwrap()
}

fn names(suggestions: &[Suggestion]) -> Vec<&str> {
    suggestions.iter().map(|s| s.sku.as_str()).collect()
}

fn orders() -> Vec<Purchase> {
    vec![
        purchase("1", &["A", "B"]),
        purchase("2", &["A", "B", "HIT"]),
        purchase("3", &["A", "C", "HIT"]),
        purchase("4", &["A", "C", "HIT"]),
        purchase("5", &["HIT"]),
        purchase("6", &["HIT", "D"]),
        purchase("7", &["HIT", "D"]),
        purchase("8", &["HIT"]),
    ]
}

#[test]
fn suggestions_were_bought_together_and_without_albums_they_are_popular() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    assert_eq!(suggested(&["A"], 4), [], "without purchases there are no suggestions");
    assert_eq!(learned(&orders()), 8);
    // B and C: 2 / sqrt(4 * 2); HIT: 3 / sqrt(4 * 7); D was never bought together with A.
    let beside = suggested(&["A"], 4);
    assert_eq!(names(&beside), ["B", "C", "HIT"]);
    assert!((beside[0].score - 0.5f64.sqrt()).abs() < 1e-12);
    assert!(beside.is_sorted_by(|a, b| a.score >= b.score));
    assert_eq!(suggested(&["UNKNOWN"], 2), []);
    // Twice with C and with D, once with B.
    assert_eq!(names(&suggested(&["HIT"], 4)), ["A", "C", "D", "B"]);
    assert_eq!(names(&suggested(&[], 3)), ["HIT", "A", "B"]);
    assert_eq!(names(&suggested(&["B", "C"], 2)), ["A", "HIT"]);
}

#[test]
fn a_purchase_seen_twice_counts_once() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    assert_eq!(learned(&orders()), 8);
    let before = suggested(&["A"], 5);
    assert_eq!(learned(&orders()), 0);
    assert_eq!(learned(&[purchase("1", &["X", "Y"]), purchase("9", &["D", "E"])]), 1);
    assert_eq!(one::<u32>("SELECT count(*) FROM items WHERE sku IN ('X', 'Y')", params![]), Ok(0));
    assert_eq!(suggested(&["A"], 5)[..3], before[..3]);
    assert_eq!(learned(&[]), 0);
}

#[test]
fn a_batch_is_learned_as_a_whole_or_not_at_all() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    execute(
        "CREATE TRIGGER no BEFORE INSERT ON pairs WHEN NEW.sku = 'BAD' BEGIN SELECT RAISE(ABORT, 'no'); END",
        params![],
    )
    .unwrap();
    assert!(learn(vec![purchase("1", &["A", "B"]), purchase("2", &["BAD", "C"])]).is_err());
    for table in ["learned", "items", "pairs"] {
        assert_eq!(one::<u32>(&format!("SELECT count(*) FROM {table}"), params![]), Ok(0), "{table}");
    }
}

/// Counting batch by batch, in any order, gives the same counts as counting all purchases at once.
#[test]
fn counts_do_not_depend_on_batches_or_their_order() {
    let mut state = 11u64;
    let mut below = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let mut purchases: Vec<_> = (0..300)
        .map(|i| {
            let skus: Vec<_> = (0..1 + below(6)).map(|_| format!("S{}", below(30))).collect();
            Purchase { id: format!("order-{i}"), customer: "C-1".into(), skus, at: 0 }
        })
        .collect();
    type Row = (String, String, i64);
    let counted = || -> Vec<Row> {
        query(
            "SELECT sku, other, together FROM pairs UNION ALL SELECT sku, '', purchases FROM items ORDER BY 1, 2",
            params![],
        )
        .unwrap()
    };
    let at_once = {
        let _store = Store::fresh(MIGRATIONS).unwrap();
        learned(&purchases);
        counted()
    };
    assert!(at_once.len() > 300);
    for i in (1..purchases.len()).rev() {
        purchases.swap(i, below(i + 1));
    }
    let _store = Store::fresh(MIGRATIONS).unwrap();
    for batch in purchases.chunks(37) {
        learned(batch);
        learned(batch);
    }
    assert_eq!(counted(), at_once);
}

#[test]
fn every_query_uses_an_index() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    let plan = |sql: &str| -> String {
        store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
        })
    };
    let near = plan("SELECT other, together FROM pairs WHERE sku = 'A' ORDER BY together DESC, other LIMIT 24");
    assert_eq!(near, "SEARCH pairs USING COVERING INDEX pairs_by_count (sku=?)");
    let popular = plan("SELECT sku, purchases FROM items ORDER BY purchases DESC, sku LIMIT 6");
    assert_eq!(popular, "SCAN items USING COVERING INDEX items_by_popularity");
}
