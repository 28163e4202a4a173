//! SQL that tries to leave its bounds.

use super::*;

#[test]
fn the_hosts_own_statements_are_not_in_the_cache_for_contexts() {
    let shop = shop();
    shop.add("kept").unwrap();
    let mut tx = shop.begin(soon()).unwrap();
    for word in ["SAVEPOINT seam", "RELEASE seam", "COMMIT", "BEGIN IMMEDIATE"] {
        assert_eq!(case(&tx.execute(word, &[], soon())), "denied", "{word}");
    }
    tx.commit().unwrap();
    assert_eq!(shop.query("SELECT name FROM sqlite_schema LIMIT 1", &[], soon()).map(|_| ()), Ok(()));
}

#[test]
fn shadow_tables_cannot_be_written() {
    let shop = shop();
    let result = shop.execute("DELETE FROM word_data", &[], soon());
    assert_eq!(case(&result), "denied", "{result:?}");
}

#[test]
fn work_is_bounded_in_time_memory_and_size() {
    let shop = shop();
    for i in 0..200 {
        shop.add(&format!("n{i}")).unwrap();
    }
    for sql in [
        "SELECT count(*) FROM item a, item b, item c, item d",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
        "SELECT a.name FROM item a, item b, item c, item d ORDER BY random()",
        "WITH RECURSIVE n(i) AS (SELECT zeroblob(1000) UNION ALL SELECT zeroblob(1000) FROM n)
         SELECT * FROM n ORDER BY random()",
    ] {
        let started = Instant::now();
        let result = shop.query_without_end(sql, in_ms(300));
        assert!(matches!(case(&result), "interrupted" | "too-large"), "{sql}: {result:?}");
        assert!(started.elapsed() < Duration::from_secs(2), "{sql}: {:?}", started.elapsed());
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let wide = format!("SELECT {}1", "1,".repeat(5_000));
    let union = format!("{}SELECT 1", "SELECT 1 UNION ALL ".repeat(500));
    let like = format!("SELECT 'a' LIKE '{}'", "%a".repeat(5_000));
    for (sql, what) in [(deep, "depth"), (wide, "columns"), (union, "compound"), (like, "pattern")] {
        let result = shop.query(&sql, &[], soon());
        assert!(matches!(case(&result), "invalid" | "too-large"), "{what}: {result:?}");
    }
    assert_eq!(shop.items(), 200);
}

#[test]
fn functions_that_take_time_in_the_square_of_their_input_stay_short() {
    let shop = shop();
    for call in [
        "instr(zeroblob(1000000), CAST(zeroblob(500000) || x'01' AS BLOB))",
        "instr(printf('%.*c', 1000000, 'a'), printf('%.*c', 500000, 'a') || 'b')",
        "replace(printf('%.*c', 1000000, 'a'), printf('%.*c', 500000, 'a') || 'b', '')",
        "trim(printf('%.*c', 1000000, 'a'), printf('%.*c', 500000, 'b') || 'a')",
        "printf('%.*c', 1000000, 'a') LIKE '%' || printf('%.*c', 120, 'a') || 'b'",
    ] {
        let started = Instant::now();
        let sql =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count({call}) FROM n");
        let result = shop.query_without_end(&sql, in_ms(200));
        assert_eq!(case(&result), "interrupted", "{call}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?} {:?}", started.elapsed(), call);
    }
}
