//! What no context may do with SQL, as one table, each line on a real file: read or write what is the host's or
//! SQLite's, change the schema, end a transaction, reach another file.

use super::*;

/// Refused through `query`, through `execute` and inside a transaction, whatever SQLite would make of it.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "another file",
        &[
            "ATTACH DATABASE 'other.db' AS other",
            "ATTACH ':memory:' AS other",
            "ATTACH '' AS other",
            "ATTACH 'file:other.db?mode=ro' AS other",
            "/* a */ attach -- b\n 'other.db' as other",
            "DETACH main",
            "DETACH DATABASE temp",
            "VACUUM",
            "VACUUM main",
            "/* */ vacuum main",
            "\u{feff}VACUUM",
            "VACUUM INTO 'copy.db'",
            "VACUUM main INTO ?1",
            "SELECT load_extension('evil.so')",
            "SELECT load_extension('evil.so', 'start')",
            "SELECT readfile('/etc/passwd')",
            "SELECT writefile('out', 'x')",
            "SELECT edit('x', 'sh')",
            "SELECT * FROM fsdir('.')",
            "SELECT * FROM csv('x.csv')",
        ],
    ),
    (
        "the connection's settings",
        &[
            "PRAGMA journal_mode = DELETE",
            "PRAGMA journal_mode",
            "PRAGMA query_only = OFF",
            "PRAGMA writable_schema = ON",
            "PRAGMA writable_schema = RESET",
            "PRAGMA main.synchronous = OFF",
            "PRAGMA synchronous(0)",
            "PRAGMA foreign_keys = OFF",
            "PRAGMA defer_foreign_keys = ON",
            "PRAGMA ignore_check_constraints = ON",
            "PRAGMA recursive_triggers = ON",
            "PRAGMA trusted_schema = ON",
            "PRAGMA cell_size_check = OFF",
            "PRAGMA max_page_count = 1000000",
            "PRAGMA cache_size = -1000000",
            "PRAGMA hard_heap_limit = 1",
            "PRAGMA soft_heap_limit = 1",
            "PRAGMA temp_store_directory = '/tmp'",
            "PRAGMA data_store_directory = '/tmp'",
            "PRAGMA locking_mode = NORMAL",
            "PRAGMA mmap_size = 1000000",
            "PRAGMA secure_delete = OFF",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA wal_autocheckpoint = 1",
            "PRAGMA incremental_vacuum",
            "PRAGMA auto_vacuum = FULL",
            "PRAGMA optimize",
            "PRAGMA analysis_limit = 0",
            "PRAGMA shrink_memory",
            "PRAGMA busy_timeout = 100000",
            "PRAGMA schema_version = 7",
            "PRAGMA user_version = 7",
            "/* a */ pragma -- b\n user_version = 3",
            "\u{feff}PRAGMA \u{feff}user_version =\u{feff}3",
            "EXPLAIN PRAGMA user_version = 3",
            "PRAGMA data_version = 3",
            "PRAGMA application_id = 1",
            "PRAGMA key = 'x'",
            "PRAGMA rekey = 'x'",
            "PRAGMA database_list",
            "PRAGMA compile_options",
            "PRAGMA table_info(item)",
            "PRAGMA integrity_check",
            "PRAGMA quick_check",
            "PRAGMA foreign_key_check",
            "SELECT * FROM pragma_database_list",
            "SELECT * FROM pragma_table_info('item')",
            "SELECT * FROM main.pragma_user_version",
            "SELECT * FROM \"pragma_compile_options\"",
            "SELECT * FROM Pragma_Function_List",
            "INSERT INTO item (name) SELECT file FROM pragma_database_list",
        ],
    ),
    (
        "the transaction",
        &[
            "BEGIN",
            "BEGIN IMMEDIATE",
            "BEGIN EXCLUSIVE TRANSACTION",
            "COMMIT",
            "COMMIT TRANSACTION",
            "END",
            "ROLLBACK",
            "\u{feff}ROLLBACK",
            "ROLLBACK TRANSACTION",
            "SAVEPOINT seam",
            "SAVEPOINT other",
            "RELEASE seam",
            "RELEASE SAVEPOINT seam",
            "ROLLBACK TO seam",
            "ROLLBACK TRANSACTION TO SAVEPOINT seam",
            "INSERT OR ROLLBACK INTO item (name) VALUES ('kept')",
            "insert or/**/rollback into item (name) values ('kept')",
            "INSERT OR \u{feff}ROLLBACK INTO item (name) VALUES ('kept')",
            "INSERT OR \u{feff}ROLLBACK INTO item (name) VALUES ('kept')",
            "INSERT OR ROLLBACK \u{feff}INTO item (name) VALUES ('kept')",
            "INSERT OR -- '\n ROLLBACK INTO item (name) VALUES ('kept')",
            "INSERT OR /* ' */ ROLLBACK INTO item (name) VALUES ('kept')",
            "INSERT OR ROLLBACK INTO item (name) VALUES ('kept') RETURNING id",
            "WITH a AS (SELECT $a(') AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- ')",
            "WITH a AS (SELECT :a(\") AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- \")",
            "WITH a AS (SELECT @a([) AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- ]",
            "WITH a AS (SELECT #a(`) AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- `",
            "WITH a AS (SELECT $a::b(/*) AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- */",
            "UPDATE OR ROLLBACK item SET name = 'kept'",
            "UPDATE or/**/rollback item SET name = 'x'",
            "UPDATE OR \u{feff}ROLLBACK item SET name = 'kept' RETURNING id",
            "INSERT OR ROLLBACK INTO word (rowid, name) VALUES (1, 'kept')",
            "INSERT OR \u{feff}ROLLBACK INTO word (rowid, name) VALUES (1, 'kept')",
            "SELECT RAISE(ROLLBACK, 'x')",
            "INSERT INTO item (name) VALUES (RAISE(ROLLBACK, 'x'))",
        ],
    ),
    (
        "the host's tables",
        &[
            "SELECT * FROM seam_migrations",
            "SELECT count(*) FROM Seam_Migrations",
            "SELECT 1 FROM \"seam_migrations\"",
            "SELECT 1 FROM [seam_migrations]",
            "SELECT 1 FROM `SEAM_MIGRATIONS`",
            "SELECT 1 FROM 'seam_migrations'",
            "SELECT 1 FROM main.[seam_store] AS item",
            "SELECT \u{feff}*\u{feff}FROM \u{feff}seam_store",
            "SELECT identity FROM seam_store",
            "SELECT * FROM seam_inbox",
            "SELECT (SELECT max(number) FROM main.seam_migrations)",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM seam_store)",
            "WITH item AS (SELECT * FROM seam_store) SELECT * FROM item",
            "WITH seam_item AS (SELECT * FROM seam_store) SELECT * FROM seam_item",
            "SELECT * FROM item UNION SELECT identity, 1, 1, 1 FROM seam_store",
            "SELECT * FROM item JOIN seam_store",
            "SELECT * FROM item ORDER BY (SELECT commits FROM seam_store)",
            "VALUES ((SELECT commits FROM seam_store))",
            "EXPLAIN SELECT * FROM seam_store",
            "EXPLAIN QUERY PLAN DELETE FROM seam_store",
            "DELETE FROM seam_migrations",
            "DELETE FROM seam_store",
            "DELETE FROM item WHERE id IN (SELECT id FROM seam_store)",
            "INSERT INTO \"seam_migrations\" VALUES (9, 'a', 'b', 'c')",
            "INSERT INTO item (name) SELECT identity FROM seam_store",
            "INSERT INTO item (name) VALUES ('x') RETURNING (SELECT identity FROM seam_store)",
            "REPLACE INTO seam_store VALUES (1, 'a', 'b', 0)",
            "UPDATE seam_migrations SET number = 0",
            "UPDATE seam_store SET commits = 0",
            "UPDATE item SET name = identity FROM seam_store",
            "UPDATE seam_inbox SET at = 0",
        ],
    ),
    (
        "SQLite's tables",
        &[
            "UPDATE sqlite_schema SET sql = ''",
            "UPDATE main.sqlite_master SET sql = ''",
            "DELETE FROM sqlite_master",
            "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
            "DELETE FROM sqlite_temp_master",
            "INSERT INTO sqlite_sequence VALUES ('a', 1)",
            "UPDATE sqlite_stat1 SET stat = '1'",
            "DELETE FROM sqlite_stat4",
            "SELECT * FROM dbstat",
            "SELECT * FROM dbstat('main')",
            "SELECT * FROM sqlite_dbpage",
            "UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 1",
            "SELECT * FROM sqlite_stmt",
            "SELECT * FROM sqlite_memstat",
            "SELECT * FROM bytecode('SELECT 1')",
            "SELECT * FROM tables_used('SELECT 1')",
            "SELECT fts3_tokenizer('simple')",
            "SELECT fts3_tokenizer('simple', x'0000000000000000')",
            "DELETE FROM word_data",
            "UPDATE word_config SET v = 9",
            "INSERT INTO word_idx VALUES (1, 'a', 1)",
            "REPLACE INTO word_docsize VALUES (1, x'00')",
        ],
    ),
    (
        "the schema",
        &[
            "CREATE TABLE mine (x)",
            "CREATE TABLE mine AS SELECT 1",
            "CREATE TABLE seam_mine (x)",
            "CREATE TEMP TABLE mine (x)",
            "CREATE TABLE temp.mine (x)",
            "CREATE TEMP TABLE item AS SELECT 1",
            "CREATE VIEW mine AS SELECT 1",
            "CREATE TEMP VIEW item AS SELECT 1",
            "CREATE VIEW mine AS SELECT * FROM seam_store",
            "CREATE TRIGGER mine AFTER INSERT ON item BEGIN SELECT 1; END",
            "CREATE TEMP TRIGGER mine AFTER INSERT ON item BEGIN SELECT RAISE(ROLLBACK, 'x'); END",
            "CREATE VIRTUAL TABLE mine USING fts5 (x)",
            "CREATE VIRTUAL TABLE temp.mine USING fts5vocab (main, word, row)",
            "CREATE VIRTUAL TABLE mine USING rtree (id, a, b)",
            "CREATE INDEX mine ON item (stock)",
            "CREATE UNIQUE INDEX mine ON item (stock)",
            "DROP TABLE item",
            "DROP TABLE IF EXISTS item",
            "DROP TABLE word",
            "DROP TRIGGER item_in",
            "ALTER TABLE item RENAME TO other",
            "ALTER TABLE item ADD COLUMN x",
            "ALTER TABLE item DROP COLUMN cover",
            "ALTER TABLE item RENAME COLUMN name TO title",
            "REINDEX",
            "REINDEX item",
            "ANALYZE",
            "ANALYZE item",
            "ANALYZE sqlite_schema",
        ],
    ),
    (
        "one statement",
        &[
            "SELECT 1; SELECT 2",
            "SELECT 1;;; DELETE FROM item",
            "SELECT 1; ROLLBACK",
            "INSERT INTO item (name) VALUES ('a'); COMMIT",
            "SELECT 1\0",
            "SELECT 1\0; DELETE FROM item",
            "\0",
            "SELECT 1; \0 DELETE FROM item",
            "SELECT 1 AS a\u{a0}",
            "\u{2003}SELECT 1",
            "SELECT 1 AS a\x0b",
            "",
            ";",
            "-- nothing",
            "\u{feff}",
            "/* never closed",
            "SELECT 'never closed",
            "SELECT $a(never closed",
        ],
    ),
];

#[test]
fn what_is_not_the_contexts_is_refused_and_changes_nothing() {
    let shop = shop();
    shop.add("kept").unwrap();
    shop.take_again(&orders(), 8).unwrap();
    let looks = || {
        let schema = "SELECT coalesce(group_concat(type || name || coalesce(sql, '')), '') FROM sqlite_schema";
        (texts_in(&shop.query(schema, &[], soon()).unwrap()), shop.items(), shop.mark().unwrap())
    };
    let before = looks();
    for (what, sql) in REFUSED.iter().flat_map(|(what, all)| all.iter().map(move |sql| (what, sql))) {
        // What this build of SQLite does not have is invalid; so is what is no single statement.
        let refused = |result: &Result<Vec<u8>, Error>| match result {
            Err(Error::Denied(_)) => true,
            Err(Error::Invalid(why)) => {
                *what == "one statement" || why.contains("no such") || why.contains("RAISE()") || why.contains("token")
            }
            _ => false,
        };
        let read = shop.query(sql, &[], soon());
        assert!(refused(&read), "{what}, query {sql:?}: {read:?}");
        let write = shop.execute(sql, &[], soon()).map(|_| Vec::new());
        assert!(refused(&write), "{what}, execute {sql:?}: {write:?}");
        let many = shop.execute_many(sql, &pack(1, &[&[1.into()]]), soon()).map(|_| Vec::new());
        assert!(refused(&many), "{what}, execute-many {sql:?}: {many:?}");
        let mut tx = shop.begin(soon()).unwrap();
        tx.execute("INSERT INTO item (name) VALUES ('beside')", &[], soon()).unwrap();
        let inside = tx.execute(sql, &[], soon()).map(|_| Vec::new());
        assert!(refused(&inside), "{what}, in a transaction {sql:?}: {inside:?}");
        let own = tx.query("SELECT count(*) FROM item", &[], soon());
        assert_eq!(own.as_deref().map(number_in), Ok(2), "{what}: {sql:?} undid its transaction");
        drop(tx);
    }
    assert_eq!(looks(), before);
    assert!(!shop.folder.path().join("copy.db").exists());
    assert_eq!(case(&shop.add("writes go on")), "ok");
}

#[test]
fn the_table_is_as_long_as_it_was() {
    assert!(REFUSED.iter().map(|(_, all)| all.len()).sum::<usize>() >= 190);
}

#[test]
fn a_word_is_no_fault_where_it_does_nothing() {
    let shop = shop();
    shop.add("kept").unwrap();
    for sql in [
        "INSERT INTO item (name) VALUES ('the rollback of prices')",
        "UPDATE item SET stock = 2 WHERE name <> 'rollback' -- no ROLLBACK here",
        "/* ROLLBACK */ UPDATE item SET stock = 3",
        "WITH rollback_log AS (SELECT 1 AS x) UPDATE item SET stock = (SELECT x FROM rollback_log)",
        "WITH vacuum AS (SELECT 1 AS x) UPDATE item SET stock = (SELECT x FROM vacuum)",
        "\u{feff}UPDATE \u{feff}item SET stock = 4;",
        "INSERT OR IGNORE INTO item (name) VALUES ('kept')",
        "INSERT OR REPLACE INTO item (id, name) VALUES (1, 'kept')",
        "INSERT INTO item (name) VALUES ('a;b'); -- an end;",
    ] {
        let result = shop.execute(sql, &[], soon());
        assert_eq!(case(&result), "ok", "{sql:?}: {result:?}");
    }
}

#[test]
fn other_members_of_a_group_keep_their_rows() {
    let shop = shop();
    shop.add("kept").unwrap();
    // One transaction holds the writer while another waits, so that both share a commit.
    for (sql, params) in [
        ("INSERT OR \u{feff}ROLLBACK INTO item (name) VALUES ('kept')", &[][..]),
        (
            "WITH a AS (SELECT $a(') AS x) INSERT OR ROLLBACK INTO item (name) SELECT 'kept' FROM a -- ')",
            &[Value::Null],
        ),
    ] {
        let mut first = shop.begin(soon()).unwrap();
        first.execute("INSERT INTO item (name) VALUES ('a member')", &[], soon()).unwrap();
        let other = shop.database.clone();
        let second = std::thread::spawn(move || {
            let mut second = other.begin(soon()).unwrap();
            let result = second.execute(sql, params, soon());
            second.rollback().unwrap();
            result
        });
        while shop.statistics().waiting == 0 {
            std::thread::yield_now();
        }
        assert_eq!(first.commit(), Ok(()), "{sql:?}");
        let result = second.join().unwrap();
        assert!(result.is_err(), "{sql:?}: {result:?}");
        assert_eq!(shop.execute("DELETE FROM item WHERE name = 'a member'", &[], soon()), Ok(1), "{sql:?}");
    }
}

#[test]
fn many_statements_in_one_text_do_not_use_up_the_stack() {
    let shop = shop();
    for text in ["SELECT 1;".repeat(14_000), ";".repeat(130_000), "SELECT ';';".repeat(11_000)] {
        let result = shop.query(&text, &[], soon());
        assert_eq!(case(&result), "invalid", "{result:?}");
        let result = shop.execute(&text, &[], soon());
        assert_eq!(case(&result), "invalid", "{result:?}");
        // Whether it fits or not: it is read without using up the stack.
        shop.accepts(&text).ok();
    }
}

/// SQLite's own lists, so that an update of SQLite that brings a table, a module or a pragma is seen here.
#[test]
fn of_the_tables_that_sqlite_has_by_itself_only_two_can_be_read() {
    let shop = shop();
    let reader = shop.reader().unwrap();
    let sqlite = reader.connection().unwrap().sqlite();
    let list = |sql: &str| -> Vec<String> {
        sqlite.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let modules = list("SELECT name FROM pragma_module_list");
    let pragmas = list("SELECT name FROM pragma_pragma_list");
    drop(reader);
    assert!(modules.len() > 5 && pragmas.len() > 50, "{modules:?} {pragmas:?}");
    for module in modules {
        let read = shop.query(&format!("SELECT * FROM \"{module}\""), &[], soon());
        let offered = ["json_each", "json_tree"].contains(&module.as_str());
        // A module that is no table by itself: `fts5` and others.
        let none =
            matches!(&read, Err(Error::Invalid(why)) if why.contains("no such table") || why.contains("constructor"));
        assert_eq!(case(&read) == "ok", offered, "{module}: {read:?}");
        assert!(offered || none || case(&read) == "denied", "{module}: {read:?}");
    }
    for pragma in pragmas {
        for sql in [format!("PRAGMA {pragma}"), format!("PRAGMA {pragma} = 1"), format!("PRAGMA main.{pragma}(1)")] {
            let offered = ["PRAGMA data_version"].contains(&sql.as_str());
            let result = shop.query(&sql, &[], soon());
            assert!(case(&result) == if offered { "ok" } else { "denied" }, "{sql}: {result:?}");
        }
    }
}
