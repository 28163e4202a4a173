//! SQL that tries to leave its bounds.

use super::*;

/// Every one must fail as denied, through `query`, through `execute`, and inside a transaction.
const OUTSIDE: &[&str] = &[
    "ATTACH DATABASE 'other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "VACUUM",
    "/* */ vacuum main",
    "VACUUM INTO 'copy.db'",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA main.synchronous = OFF",
    "PRAGMA table_info(item)",
    "/* a */ pragma -- b\n user_version = 3",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT seam",
    "RELEASE seam",
    "ROLLBACK TO seam",
    "SELECT * FROM seam_migrations",
    "SELECT count(*) FROM Seam_Migrations",
    "SELECT (SELECT max(number) FROM main.seam_migrations)",
    "DELETE FROM seam_migrations",
    "INSERT INTO \"seam_migrations\" VALUES (9, 'a', 'b', 'c')",
    "UPDATE seam_migrations SET number = 0",
    "UPDATE sqlite_schema SET sql = ''",
    "DELETE FROM sqlite_master",
    "INSERT INTO sqlite_sequence VALUES ('a', 1)",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_table_info('item')",
    "SELECT * FROM dbstat",
    "SELECT load_extension('evil.so')",
    "SELECT fts3_tokenizer('simple')",
    "CREATE TABLE mine (x)",
    "CREATE TABLE seam_mine (x)",
    "CREATE TEMP TABLE mine (x)",
    "CREATE TEMP TABLE item AS SELECT 1",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE TRIGGER mine AFTER INSERT ON item BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE mine USING fts5 (x)",
    "CREATE INDEX mine ON item (stock)",
    "DROP TABLE item",
    "ALTER TABLE item RENAME TO other",
    "ALTER TABLE item ADD COLUMN x",
    "REINDEX",
    "ANALYZE",
];

#[test]
fn what_is_not_the_contexts_is_denied() {
    let shop = shop();
    shop.add("kept").unwrap();
    for sql in OUTSIDE {
        let read = shop.query(sql, &[], soon());
        // `sqlite_sequence`, `dbstat` and others need not exist in a given build: then nothing is there to deny.
        let absent = |e: &Result<_, Error>| matches!(e, Err(Error::Invalid(why)) if why.contains("no such"));
        assert!(case(&read) == "denied" || absent(&read), "query {sql}: {read:?}");
        let write = shop.execute(sql, &[], soon()).map(|_| Vec::new());
        assert!(case(&write) == "denied" || absent(&write), "execute {sql}: {write:?}");
        let mut tx = shop.begin(soon()).unwrap();
        tx.execute("INSERT INTO item (name) VALUES ('beside')", &[], soon()).unwrap();
        let inside = tx.execute(sql, &[], soon()).map(|_| Vec::new());
        assert!(case(&inside) == "denied" || absent(&inside), "in a transaction {sql}: {inside:?}");
        tx.rollback();
    }
    assert_eq!(shop.items(), 1);
    assert_eq!(shop.query("SELECT name FROM sqlite_schema LIMIT 1", &[], soon()).map(|_| ()), Ok(()));
    // The host's own statements are not in the cache for contexts.
    let mut tx = shop.begin(soon()).unwrap();
    for word in ["SAVEPOINT seam", "RELEASE seam", "COMMIT", "BEGIN IMMEDIATE"] {
        assert_eq!(case(&tx.execute(word, &[], soon())), "denied", "{word}");
    }
    tx.commit().unwrap();
}

#[test]
fn rollback_inside_sql_is_denied_wherever_it_would_act() {
    let shop = shop();
    shop.add("kept").unwrap();
    for sql in ["INSERT OR ROLLBACK INTO item (name) VALUES ('kept')", "UPDATE or/**/rollback item SET name = 'x'"] {
        assert_eq!(case(&shop.execute(sql, &[], soon())), "denied", "{sql}");
    }
    let named = "INSERT INTO item (name) VALUES ('the rollback of prices')";
    assert_eq!(case(&shop.execute(named, &[], soon())), "ok");
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
