//! Single statements: values, their errors, snapshots.

use super::connection::Role;
use super::*;

#[test]
fn values_come_back_as_they_were_sent() {
    let shop = shop();
    let sent = [Value::Null, Value::Integer(i64::MAX), Value::Real(0.1), "naïve ♥\0".into(), Value::Blob(&[0, 1, 255])];
    let packed = shop.query("SELECT ?1, ?2, ?3, ?4, ?5, '', x''", &sent, soon()).unwrap();
    let mut row = Vec::new();
    assert!(Rows::new(&packed).unwrap().next_into(&mut row).unwrap());
    assert_eq!(row[..5], sent);
    assert_eq!(row[5..], ["".into(), Value::Blob(&[])]);
}

#[test]
fn a_cached_statement_is_not_prepared_again_for_other_parameters() {
    let shop = shop();
    let connection = open::open(&config(&shop.folder, 64), Role::Reader).unwrap();
    // The planner would like to know the limit of the inner SELECT.
    let sql = "SELECT near.id, (SELECT name FROM item WHERE id = ?1)
               FROM (SELECT id FROM item WHERE name > ?1 ORDER BY stock, id LIMIT ?2) AS near
               CROSS JOIN item AS i ON i.id = near.id";
    for turn in 1..=5 {
        connection.query(sql, &["a".into(), Value::Integer(turn)], soon()).unwrap();
    }
    let statement = connection.sqlite().prepare_cached(sql).unwrap();
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    assert_eq!(statement.get_status(rusqlite::StatementStatus::Run), 5);
}

#[test]
fn errors_have_the_case_that_a_program_can_act_on() {
    let shop = shop();
    shop.add("kept").unwrap();
    let huge = "x".repeat(limits_value() + 1);
    let long = format!("SELECT 1 -- {}", "x".repeat(200_000));
    let write: &[(&str, &[Value<'_>], &str)] = &[
        ("INSERT INTO item (name) VALUES ('kept')", &[], "constraint"),
        ("INSERT INTO item (name, stock) VALUES ('less', -1)", &[], "constraint"),
        ("INSERT INTO item (name) VALUES (NULL)", &[], "constraint"),
        ("INSERT INTO item (id, name) VALUES ('text', 'a')", &[], "constraint"),
        ("INSERT INTO part VALUES (77)", &[], "constraint"),
        ("INSERT INTO item (name) VALUES (?1)", &[huge.as_str().into()], "too-large"),
        ("INSERT INTO item (name) VALUES (zeroblob(2000000))", &[], "too-large"),
        ("INSERT INTO item (name) VALUES (?1)", &[], "invalid"),
        ("INSERT INTO item (name) VALUES ('a')", &[1.into()], "invalid"),
        ("INSERT INTO nothing VALUES (1)", &[], "invalid"),
        ("INSERT INTO item (name) VALUES ('a'); DELETE FROM item", &[], "invalid"),
        ("SELECT 1", &[], "invalid"),
        ("", &[], "invalid"),
        ("-- nothing", &[], "invalid"),
        ("SELEKT", &[], "invalid"),
    ];
    for (sql, params, expect) in write {
        let result = shop.execute(sql, params, soon());
        assert_eq!(case(&result), *expect, "{sql}: {result:?}");
    }
    let read: &[(&str, &str)] = &[
        (&long, "too-large"),
        ("SELECT zeroblob(1000000) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9))", "too-large"),
        ("SELECT \"misspelt\" FROM item", "invalid"),
        ("SELECT 1; SELECT 2", "invalid"),
        ("SELECT 1;", "ok"),
        ("SELECT 1; -- and no more", "ok"),
        ("", "invalid"),
        ("SELECT ?1", "invalid"),
        ("SELECT json('{')", "invalid"),
    ];
    for (sql, expect) in read {
        let result = shop.query(sql, &[], soon());
        assert_eq!(case(&result), *expect, "{sql}: {result:?}");
    }
    assert_eq!(shop.items(), 1);
}

fn limits_value() -> usize {
    crate::limits::STORE_VALUE_BYTES_MAX as usize
}

#[test]
fn a_statement_ends_at_its_deadline_and_at_its_bound_on_work() {
    let shop = shop();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let started = Instant::now();
    let result = shop.query_without_end(endless, in_ms(50));
    assert_eq!(case(&result), "interrupted", "{result:?}");
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    let result = shop.query_without_end(endless, Instant::now() + Duration::from_secs(600));
    assert!(matches!(&result, Err(Error::Interrupted(why)) if why.contains("steps")), "{result:?}");
    let past = shop.query("SELECT count(*) FROM item", &[], Instant::now() - Duration::from_secs(1));
    assert!(matches!(case(&past), "ok" | "interrupted"), "a short statement may finish: {past:?}");
    assert_eq!(shop.items(), 0, "the connection goes on");
}

#[test]
fn many_rows_are_one_transaction() {
    let shop = shop();
    let sql = "INSERT INTO item (id, name, stock) VALUES (?1, ?2, ?3)";
    let good = pack(3, &[&[1.into(), "a".into(), 5.into()], &[2.into(), "b".into(), Value::Null]]);
    assert_eq!(shop.execute_many(sql, &good, soon()), Ok(2));
    let second_fails = pack(3, &[&[3.into(), "c".into(), 5.into()], &[4.into(), "a".into(), 5.into()]]);
    assert_eq!(case(&shop.execute_many(sql, &second_fails, soon())), "constraint");
    assert_eq!(case(&shop.execute_many(sql, &pack(2, &[&[9.into(), "z".into()]]), soon())), "invalid");
    let fresh = pack(3, &[&[7.into(), "x".into(), 5.into()], &[8.into(), "y".into(), 5.into()]]);
    assert_eq!(case(&shop.execute_many(sql, &fresh[..fresh.len() - 1], soon())), "invalid");
    assert_eq!(shop.items(), 2);
    let late = shop.execute_many(sql, &fresh, Instant::now() - Duration::from_secs(1));
    assert_eq!((case(&late), shop.items()), ("interrupted", 2));
}

/// No row is long, but SQLite counts the steps of all of them.
#[test]
fn many_rows_end_soon_after_their_deadline() {
    let shop = shop();
    let rows: Vec<[Value<'_>; 2]> = (0..30_000).map(|i| [i.into(), Value::Text(format!("n{i}").into())]).collect();
    let rows: Vec<&[Value<'_>]> = rows.iter().map(|row| &row[..]).collect();
    let (sql, packed) = ("INSERT INTO item (id, name) VALUES (?1, ?2)", pack(2, &rows));
    let timed = |deadline: Instant| {
        let began = Instant::now();
        let result = shop.execute_many(sql, &packed, deadline);
        (case(&result), began.elapsed())
    };
    let (cut, soon_over) = timed(in_ms(2));
    let (whole, long) = timed(Instant::now() + Duration::from_secs(600));
    assert_eq!((cut, whole), ("interrupted", "ok"));
    assert!(soon_over < long / 2, "{soon_over:?}, and {long:?} for all rows");
}

#[test]
fn returning_works_through_query_and_commits() {
    let shop = shop();
    let sql = "INSERT INTO item (name) VALUES ('a') RETURNING id";
    assert_eq!(number_in(&shop.query(sql, &[], soon()).unwrap()), 1);
    assert_eq!(shop.items(), 1);
    assert_eq!(shop.execute("DELETE FROM item RETURNING id", &[], soon()), Ok(1));
    assert_eq!(shop.items(), 0);
}

#[test]
fn full_text_search_works_inside_the_confinement() {
    let shop = shop();
    for name in ["blue train", "kind of blue", "giant steps"] {
        shop.add(name).unwrap();
    }
    let found =
        shop.query("SELECT name FROM word WHERE word MATCH ?1 ORDER BY rank", &["blue".into()], soon()).unwrap();
    assert_eq!(texts_in(&found).len(), 2);
    // A second reader must notice that the index changed.
    shop.add("blue in green").unwrap();
    let count = "SELECT count(*) FROM word WHERE word MATCH 'blue'";
    assert_eq!(shop.number(count), 3);
    shop.execute("INSERT INTO word (word) VALUES ('optimize')", &[], soon()).unwrap();
    assert_eq!(case(&shop.query("SELECT * FROM word WHERE word MATCH '\"'", &[], soon())), "invalid");
}

#[test]
fn readers_see_the_last_commit_and_nothing_of_an_open_transaction() {
    let shop = shop();
    shop.add("a").unwrap();
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO item (name) VALUES ('b')", &[], soon()).unwrap();
    assert_eq!(number_in(&tx.query("SELECT count(*) FROM item", &[], soon()).unwrap()), 2);
    assert_eq!(shop.items(), 1, "readers do not wait for the writer, nor see its work");
    tx.commit().unwrap();
    assert_eq!(shop.items(), 2);
}

#[test]
fn one_statement_sees_one_snapshot_while_others_commit() {
    let shop = shop();
    let rows: Vec<Vec<Value<'_>>> =
        (0..500).map(|i| vec![Value::Integer(i), Value::Text(format!("n{i}").into())]).collect();
    let rows: Vec<&[Value<'_>]> = rows.iter().map(Vec::as_slice).collect();
    shop.execute_many("INSERT INTO item (id, name, stock) VALUES (?1, ?2, 1)", &pack(2, &rows), soon()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Every commit keeps the sum at 500.
            for i in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let sql = "UPDATE item SET stock = CASE id WHEN ?1 THEN stock - 1 ELSE stock + 1 END
                           WHERE id IN (?1, ?2) AND (SELECT stock FROM item WHERE id = ?1) > 0";
                shop.execute(sql, &[(i % 500).into(), ((i * 7 + 1) % 500).into()], soon()).unwrap();
            }
        });
        for _ in 0..200 {
            let sum = shop.number("SELECT (SELECT sum(stock) FROM item) * 1000 + (SELECT sum(stock) FROM item)");
            assert!(sum % 1001 == 0, "two parts of one statement disagree: {sum}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn more_readers_than_connections_wait_for_their_turn() {
    let shop = shop();
    shop.add("a").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..crate::limits::STORE_READERS_MAX * 3 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(shop.items(), 1);
                }
            });
        }
    });
    let statistics = shop.statistics();
    assert!(statistics.readers <= crate::limits::STORE_READERS_MAX as u64);
    assert!(statistics.reads >= 1200 && statistics.file_bytes > 0, "{statistics:?}");
}

#[test]
fn when_all_readers_are_taken_the_next_waits_until_its_deadline() {
    let shop = shop();
    let mut taken: Vec<_> = (0..crate::limits::STORE_READERS_MAX).map(|_| shop.reader().unwrap()).collect();
    let refused = shop.query("SELECT 1", &[], in_ms(20));
    assert!(matches!(&refused, Err(Error::Busy(why)) if why.contains("readers are busy")), "{refused:?}");
    taken.pop();
    assert_eq!(number_in(&shop.query("SELECT 1", &[], soon()).unwrap()), 1);
}
