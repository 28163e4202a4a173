//! Logs of statements: what is counted, what is one transaction, what is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Cursor;

use rusqlite::Connection;

use super::*;

fn usage(log: &str) -> Usage {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch(
        "CREATE TABLE stock(sku TEXT, count INT); CREATE TABLE orders(id INTEGER PRIMARY KEY); CREATE TABLE seen(x);",
    )
    .unwrap();
    let schema = Schema::read(&file).unwrap();
    let mut blank = Blank::of(&schema).unwrap();
    read(Cursor::new(log), &schema, &mut blank, |_| {}).unwrap()
}

fn transactions(usage: &Usage) -> Vec<String> {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("+");
    let show = |t: &Transaction| format!("{} {} {}/{}", list(&t.callers), list(&t.writes), t.count, t.rolled_back);
    usage.transactions.iter().map(show).collect()
}

#[test]
fn equal_statements_are_counted_by_caller() {
    let usage = usage(
        r#"{"sql": "SELECT count FROM stock WHERE sku = 'a'", "caller": "pages"}
{"sql": "select count from stock where sku = 'b'", "caller": "pages", "count": 4}
{"sql": "SELECT count FROM stock WHERE sku = ? /*caller='desk'*/", "connection": 1}

{"sql": "SELECT count FROM stock WHERE sku = ?", "time": "field that is not known"}"#,
    );
    let [only] = &usage.statements[..] else { panic!("{:?}", usage.statements) };
    let callers: Vec<_> = only.callers.iter().map(|(caller, count)| (caller.as_str(), *count)).collect();
    assert_eq!(callers, [("?", 1), ("desk", 1), ("pages", 5)]);
    assert!(!serde_json::to_string(&usage).unwrap().contains('\''), "no values");
}

#[test]
fn what_one_connection_writes_between_begin_and_commit_is_one_transaction() {
    let line = |connection: u32, sql: &str| {
        format!("{{\"sql\": \"{sql}\", \"connection\": {connection}, \"caller\": \"c{connection}\"}}\n")
    };
    let (order, stock, read) = ("INSERT INTO orders VALUES (1)", "UPDATE stock SET count = 0", "SELECT * FROM seen");
    let log = [
        line(1, "BEGIN IMMEDIATE"),
        line(1, order),
        line(2, "BEGIN"),
        line(2, read),
        line(2, stock),
        line(1, "SAVEPOINT a"),
        line(1, stock),
        line(1, "RELEASE a"),
        line(1, "COMMIT"),
        line(2, "ROLLBACK TO b"),
        line(2, "ROLLBACK"),
        line(3, order),
        line(4, "SAVEPOINT x"),
        line(4, "SAVEPOINT y"),
        line(4, "RELEASE y"),
        line(4, stock),
        line(4, "RELEASE x"),
        line(4, order),
        line(5, "BEGIN"),
        line(5, read),
        line(5, "END"),
        line(6, "BEGIN"),
    ];
    let usage = usage(&log.concat());
    assert_eq!(transactions(&usage), ["c1 orders+stock 1/0", "c2 stock 1/1", "c4 stock 1/0"]);
    assert!(usage.transactions[1].reads.contains("seen"));
    assert_eq!(usage.left_out.unfinished, 1);
}

#[test]
fn what_is_not_understood_is_counted_and_the_first_is_shown() {
    let long = format!("{{\"sql\": \"{}\"}}\n", "x".repeat(limits::LINE_BYTES_MAX));
    let usage = usage(&format!(
        "{{\"sql\": \"SELECT * FROM seen\"}}\nnot json\n\u{0}\u{1}\n{{\"sql\": 3}}\n{{\"caller\": \"x\"}}\n{long}\
         {{\"sql\": \"SELECT * FROM other\"}}\n{{\"sql\": \"SELEC\"}}\n{{\"sql\": \"SELEC\"}}\n{{\"sql\": \"SELECT x FROM seen\"}}"
    ));
    assert_eq!((usage.lines, usage.left_out.lines, usage.statements.len()), (10, 5, 2));
    assert_eq!(usage.left_out.first, Some((2, "it is no JSON (column 2)".to_owned())));
    let why: Vec<_> = usage.left_out.statements.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(why, [("no such table: other", 1), ("syntax error", 2)]);
}
