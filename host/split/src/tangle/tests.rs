//! What a cut would tear, and by whose statements.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Cursor;

use rusqlite::Connection;

use super::*;
use crate::blank::Blank;
use crate::references::references;
use crate::statement::log::read;

const SHOP: &str = "
    CREATE TABLE tracks(id INTEGER PRIMARY KEY, title TEXT, stock INT, price INT);
    CREATE TABLE customers(id INTEGER PRIMARY KEY, address TEXT);
    CREATE TABLE invoices(id INTEGER PRIMARY KEY, customer_id REFERENCES customers, country TEXT);
    CREATE TABLE lines(id INTEGER PRIMARY KEY, invoice_id REFERENCES invoices, track_id REFERENCES tracks);
    CREATE TABLE parcels(id INTEGER PRIMARY KEY, country TEXT);
    CREATE TABLE countries(code TEXT PRIMARY KEY);
    CREATE VIEW sold AS SELECT title FROM lines JOIN tracks ON tracks.id = lines.track_id;
    CREATE TRIGGER on_line AFTER INSERT ON lines BEGIN UPDATE tracks SET stock = stock - 1 WHERE id = new.track_id; END;";

fn found(log: &[(&str, &str)]) -> Vec<Tangle> {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch(SHOP).unwrap();
    let schema = Schema::read(&file).unwrap();
    let lines: String =
        log.iter().map(|(caller, sql)| format!("{{\"caller\": \"{caller}\", \"sql\": \"{sql}\"}}\n")).collect();
    let usage = read(Cursor::new(lines), &schema, &mut Blank::of(&schema).unwrap(), |_| {}).unwrap();
    assert_eq!(usage.left_out, Default::default());
    let contexts = [
        ("tracks", "catalog"),
        ("customers", "customer"),
        ("invoices", "finance"),
        ("lines", "finance"),
        ("parcels", "warehouse"),
    ];
    let assignment = contexts.iter().map(|(table, context)| ((*table).to_owned(), (*context).to_owned())).collect();
    tangles(&schema, &references(&schema), Some(&usage), &assignment, &["countries".to_owned()])
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn keys_and_logic_across_contexts_need_no_log() {
    let all = found(&[]);
    let logic = all.iter().filter_map(|tangle| match tangle {
        Tangle::LogicAcross { name, contexts, .. } => Some((name.as_str(), contexts.clone())),
        _ => None,
    });
    let logic: Vec<_> = logic.collect();
    let both = set(&["catalog", "finance"]);
    assert_eq!(logic, [("on_line", both.clone()), ("sold", both)]);
    let keys: Vec<_> = all
        .iter()
        .filter_map(|tangle| match tangle {
            Tangle::KeyAcross { child, parent, .. } => Some((child.as_str(), parent.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(keys, [("invoices", "customers"), ("lines", "tracks")]);
}

#[test]
fn a_table_whose_columns_have_different_writers_becomes_two() {
    let all = found(&[
        ("stock.count", "UPDATE parcels SET country = 'x'"),
        ("stock.count", "UPDATE parcels SET country = 'y' WHERE id = 1"),
        ("stock.count", "UPDATE tracks SET stock = 3"),
        ("shop.name", "UPDATE tracks SET title = 'x'"),
    ]);
    let columns = BTreeMap::from([("catalog".to_owned(), set(&["title"])), ("warehouse".to_owned(), set(&["stock"]))]);
    assert!(all.contains(&Tangle::SharedTable { table: "tracks".to_owned(), columns }), "{all:?}");
}

#[test]
fn columns_that_two_contexts_write_are_a_context_without_a_name() {
    let all = found(&[
        ("billing", "UPDATE invoices SET country = 'x'"),
        ("billing", "UPDATE customers SET address = 'x'"),
        ("billing", "UPDATE invoices SET country = 'x' WHERE id = 2"),
        ("mail", "UPDATE parcels SET country = 'x'"),
        ("mail", "UPDATE parcels SET country = 'x' WHERE id = 1"),
        ("mail", "UPDATE customers SET address = 'x' WHERE id = 1"),
    ]);
    let expected = Tangle::SharedData {
        table: "customers".to_owned(),
        columns: set(&["address"]),
        writers: set(&["finance", "warehouse"]),
    };
    assert!(all.contains(&expected), "{all:?}");
}

#[test]
fn joins_and_transactions_across_contexts_come_with_their_callers() {
    let all = found(&[
        ("sales.best", "SELECT title, count(*) FROM lines JOIN tracks ON tracks.id = track_id GROUP BY 1"),
        ("sales.place", "BEGIN"),
        ("sales.place", "INSERT INTO invoices(customer_id) VALUES (1)"),
        ("sales.place", "UPDATE parcels SET country = 'x'"),
        ("sales.place", "COMMIT"),
    ]);
    let is_first = matches!(&all[0], Tangle::TransactionAcross { callers, contexts, .. }
        if *callers == set(&["sales.place"]) && *contexts == set(&["finance", "warehouse"]));
    assert!(is_first, "{all:?}");
    let join = |tangle: &Tangle| {
        matches!(tangle, Tangle::JoinAcross { callers, contexts, .. }
        if *callers == set(&["sales.best"]) && *contexts == set(&["catalog", "finance"]))
    };
    assert!(all.iter().any(join), "{all:?}");
}

#[test]
fn static_data_is_another_thing_than_shared_data() {
    let all = found(&[
        ("billing", "UPDATE invoices SET country = 'x'"),
        ("mail", "UPDATE parcels SET country = 'x'"),
        ("billing", "SELECT code FROM countries"),
        ("mail", "SELECT code FROM countries"),
    ]);
    let expected = Tangle::StaticData { table: "countries".to_owned(), readers: set(&["finance", "warehouse"]) };
    assert!(all.contains(&expected), "{all:?}");
}
