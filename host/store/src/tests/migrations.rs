//! Schemas: forward as a whole, or not at all.

use sha2::Digest as _;

use super::*;

fn empty() -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Database::open(config(&folder, 64)).unwrap();
    Fixture { database, folder }
}

fn schema(shop: &Fixture) -> Vec<String> {
    texts_in(
        &shop.query("SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1", &[], soon()).unwrap(),
    )
}

#[test]
fn a_file_goes_forward_and_knows_where_it_is() {
    let shop = empty();
    let mut list = vec![migration(1, "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);")];
    assert_eq!(migrate(&shop, &list).unwrap(), Migrated { from: 0, to: 1 });
    list.push(migration(2, "ALTER TABLE a ADD COLUMN y TEXT; CREATE INDEX a_y ON a (y); ANALYZE a;"));
    list.push(migration(3, "UPDATE a SET y = 'z'"));
    assert_eq!(migrate(&shop, &list).unwrap(), Migrated { from: 1, to: 3 });
    assert_eq!(migrate(&shop, &list).unwrap(), Migrated { from: 3, to: 3 });
    assert_eq!(texts_in(&shop.query("SELECT y FROM a", &[], soon()).unwrap()), ["z"]);
    let config = config(&shop.folder, 64);
    let Fixture { database, folder: _kept } = shop;
    drop(database);
    let again = Database::open(config).unwrap();
    assert_eq!(migrate(&again, &list).unwrap(), Migrated { from: 3, to: 3 });
}

#[test]
fn a_statement_kept_from_before_a_migration_shows_the_columns_of_after() {
    let shop = empty();
    let mut list = vec![migration(1, "CREATE TABLE a (x TEXT) STRICT; INSERT INTO a VALUES ('x');")];
    migrate(&shop, &list).unwrap();
    let all = || texts_in(&shop.query("SELECT * FROM a", &[], soon()).unwrap());
    assert_eq!(all(), ["x"]);
    list.push(migration(2, "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'y'"));
    migrate(&shop, &list).unwrap();
    assert_eq!(all(), ["x", "y"]);
}

#[test]
fn statistics_are_taken_of_all_tables_but_those_of_the_host() {
    let shop = empty();
    let list = [
        migration(1, "CREATE TABLE a (x TEXT) STRICT; CREATE INDEX a_x ON a (x); INSERT INTO a VALUES ('x'), ('y');"),
        migration(2, "ANALYZE"),
    ];
    migrate(&shop, &list).unwrap();
    assert_eq!(texts_in(&shop.query("SELECT DISTINCT tbl FROM sqlite_stat1", &[], soon()).unwrap()), ["a"]);
}

#[test]
fn a_context_without_migrations_has_an_empty_file() {
    assert_eq!(migrate(&empty(), &[]).unwrap(), Migrated { from: 0, to: 0 });
}

#[test]
fn backwards_changed_and_gapped_histories_are_refused() {
    let shop = empty();
    let list = [migration(1, "CREATE TABLE a (x)"), migration(2, "CREATE TABLE b (x)")];
    migrate(&shop, &list).unwrap();
    let before = schema(&shop);
    let check = |list: &[Migration], expect: &str| {
        let error = migrate(&shop, list).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        assert!(!error.remedy().is_empty());
    };
    check(&list[..1], "the file is at migration 2, the component knows 1");
    check(&[], "the file is at migration 2, the component knows 0");
    check(&[migration(1, "CREATE TABLE a (y)"), list[1].clone()], "migration 1 (`step-1`) has changed");
    check(&[list[0].clone(), migration(3, "SELECT 1")], "expected 2, found 3");
    check(&[list[0].clone(), list[0].clone()], "expected 2, found 1");
    check(&[migration(0, "SELECT 1")], "expected 1, found 0");
    assert_eq!(schema(&shop), before);
    let mut renamed = list.clone();
    renamed[0].name = "a-better-name".to_owned();
    assert_eq!(migrate(&shop, &renamed).unwrap().to, 2);
}

#[test]
fn a_migration_with_other_line_ends_or_a_mark_is_the_one_that_the_file_ran() {
    let sql = "CREATE TABLE a (x TEXT);\nINSERT INTO a VALUES ('two\nlines');\n";
    let windows = sql.replace('\n', "\r\n");
    let texts = [sql.to_owned(), windows.clone(), format!("\u{feff}{sql}"), format!("\u{feff}{windows}")];
    for first in &texts {
        let shop = empty();
        for text in [first].into_iter().chain(&texts) {
            assert_eq!(migrate(&shop, &[migration(1, text)]).unwrap().to, 1, "{text:?} after {first:?}");
        }
        assert_eq!(texts_in(&shop.query("SELECT x FROM a", &[], soon()).unwrap()), ["two\nlines"]);
        // An earlier host took the checksum of the text as it came.
        for then in &texts {
            let checksum = sha2::Sha256::digest(then.as_bytes()).to_vec();
            let lease = shop.writer.exclusive(soon()).unwrap();
            let update = "UPDATE seam_migrations SET checksum = ?1";
            lease.connection().unwrap().sqlite().execute(update, [checksum]).unwrap();
            shop.writer.give_back(lease);
            for text in &texts {
                assert!(migrate(&shop, &[migration(1, text)]).is_ok(), "{text:?} after {then:?}");
            }
            let changed = migrate(&shop, &[migration(1, &sql.replace("two", "2"))]);
            assert!(matches!(changed, Err(MigrateError::Changed { .. })), "{changed:?}");
        }
    }
}

#[test]
fn a_failure_half_way_names_its_line_and_leaves_the_file_as_it_was() {
    let shop = empty();
    let first = migration(1, "CREATE TABLE a (x INTEGER PRIMARY KEY, y) STRICT".replace(", y", ", y TEXT").as_str());
    migrate(&shop, std::slice::from_ref(&first)).unwrap();
    shop.execute("INSERT INTO a VALUES (1, 'kept')", &[], soon()).unwrap();
    let before = (schema(&shop), texts_in(&shop.query("SELECT * FROM a", &[], soon()).unwrap()));
    let fine = migration(2, "CREATE TABLE b (x); UPDATE a SET y = 'changed'; DROP TABLE b; CREATE TABLE c (x);");
    for (sql, line, what) in [
        ("CREATE TABLE d (x);\n\nCREATE TABLE d (y);", 3, "already exists"),
        ("\n-- a comment\nINSERT INTO a\n VALUES (1, 'twice')", 3, "UNIQUE"),
        ("CREATE TABLE d (x);\nSELECT x\nFROM nowhere;", 2, "no such table"),
        ("CREATE TABLE d (\n  x,\n  y z w (\n)", 2, ""),
        ("SELECT ?1", 1, "parameters"),
        ("\n\nPRAGMA user_version = 7", 3, "PRAGMA"),
        ("ATTACH 'x' AS y", 1, "ATTACH"),
        ("VACUUM", 1, "VACUUM"),
        ("COMMIT", 1, "transactions"),
        ("ROLLBACK", 1, "transactions"),
        ("INSERT OR \u{feff}ROLLBACK INTO a VALUES (1, 'x')", 1, "ends the transaction"),
        ("SELECT 1;\nUPDATE OR ROLLBACK a SET x = 1", 2, "ends the transaction"),
        ("SELECT '\0", 1, "zero byte"),
        ("CREATE TEMP TABLE d (x)", 1, "temporary"),
        ("CREATE TABLE seam_d (x)", 1, "the host"),
        ("DROP TABLE seam_migrations", 1, "the host"),
        ("CREATE TRIGGER t AFTER INSERT ON seam_migrations BEGIN SELECT 1; END", 1, "the host"),
        ("CREATE INDEX i ON seam_migrations (name)", 1, "the host"),
        ("ALTER TABLE seam_migrations RENAME TO mine", 1, "the host"),
        ("CREATE TABLE d AS SELECT * FROM seam_migrations", 1, "the host"),
        ("CREATE VIRTUAL TABLE d USING dbstat", 1, "virtual tables"),
        ("UPDATE sqlite_schema SET sql = ''", 1, ""),
    ] {
        let error = migrate(&shop, &[first.clone(), fine.clone(), migration(3, sql)]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("migration 3 (`step-3`)") && text.contains(what), "{sql}: {text}");
        assert!(line == 2 && text.contains("line ") || text.contains(&format!("line {line}:")), "{sql}: {text}");
        let after = (schema(&shop), texts_in(&shop.query("SELECT * FROM a", &[], soon()).unwrap()));
        assert_eq!(after, before, "{sql}");
    }
    let renames = migration(3, "ALTER TABLE c RENAME TO seam_c");
    assert!(matches!(migrate(&shop, &[first.clone(), fine.clone(), renames]), Err(MigrateError::HostName { .. })));
    assert_eq!(schema(&shop), before.0);
    shop.execute("INSERT INTO a VALUES (2, 'writes go on')", &[], soon()).unwrap();
    assert_eq!(migrate(&shop, &[first, fine]).unwrap(), Migrated { from: 1, to: 2 });
}

#[test]
fn no_constraint_and_no_trigger_of_the_schema_may_end_a_transaction() {
    for (sql, table) in [
        ("CREATE TABLE d (x UNIQUE ON CONFLICT ROLLBACK)", "d"),
        ("CREATE TABLE d (x NOT NULL ON CONFLICT \u{feff}ROLLBACK)", "d"),
        ("CREATE TABLE d (x INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)", "d"),
        ("CREATE TABLE d (x, y, PRIMARY KEY (x, y) ON CONFLICT ROLLBACK) WITHOUT ROWID", "d"),
        ("CREATE TABLE d (x, y AS (x + 1) UNIQUE ON CONFLICT ROLLBACK)", "d"),
        ("CREATE TRIGGER t AFTER UPDATE OF y ON a BEGIN SELECT RAISE (ROLLBACK, 'x'); END", "a"),
        ("CREATE TRIGGER t BEFORE DELETE ON a WHEN 0 BEGIN SELECT RAISE/**/(\u{feff}ROLLBACK, 'x'); END", "a"),
        ("CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT OR ROLLBACK INTO b VALUES (1); END", "a"),
        ("CREATE TRIGGER \"$a(')\" AFTER INSERT ON a BEGIN UPDATE OR \u{feff}ROLLBACK b SET z = 1; END -- '", "a"),
        (
            "CREATE VIEW v AS SELECT x FROM a; CREATE TRIGGER t INSTEAD OF UPDATE ON v BEGIN
          INSERT OR ROLLBACK INTO b VALUES (1); END",
            "v",
        ),
        (
            "CREATE TRIGGER t AFTER DELETE ON b BEGIN SELECT RAISE (ROLLBACK, 'x'); END;
          CREATE TRIGGER u AFTER INSERT ON a BEGIN DELETE FROM b; END",
            "b",
        ),
    ] {
        let shop = empty();
        let first = migration(1, "CREATE TABLE a (x PRIMARY KEY, y); CREATE TABLE b (z UNIQUE);");
        migrate(&shop, std::slice::from_ref(&first)).unwrap();
        let before = schema(&shop);
        let error = migrate(&shop, &[first, migration(2, sql)]).unwrap_err();
        let named = matches!(&error, MigrateError::EndsTransactions { name } if name == table || name == "a");
        assert!(named, "{sql}: {error}");
        assert_eq!(schema(&shop), before, "{sql}");
    }
    let fine =
        "CREATE TABLE a (x UNIQUE ON CONFLICT ABORT, y NOT NULL ON CONFLICT FAIL, \"rollback\" DEFAULT 'ROLLBACK');
                CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT RAISE (ABORT, 'no ROLLBACK'); END;
                CREATE VIEW v AS SELECT x FROM a; CREATE VIEW broken AS SELECT x FROM nowhere;";
    assert_eq!(migrate(&empty(), &[migration(1, fine)]).unwrap().to, 1);
}

#[test]
fn a_statement_that_is_kept_is_looked_at_again_after_a_migration() {
    let shop = empty();
    let first = migration(1, "CREATE TABLE a (x); CREATE TABLE b (x UNIQUE)");
    migrate(&shop, std::slice::from_ref(&first)).unwrap();
    let insert = || shop.execute("INSERT INTO a VALUES (1)", &[], soon());
    assert_eq!(case(&insert()), "ok");
    // As a file that an earlier host has migrated may be.
    let lease = shop.writer.exclusive(soon()).unwrap();
    let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT RAISE (ROLLBACK, 'all'); END";
    lease.connection().unwrap().run_as_host(trigger).unwrap();
    lease.connection().unwrap().distrust_statements();
    shop.writer.give_back(lease);
    assert_eq!(case(&insert()), "denied");
    assert!(matches!(
        migrate(&shop, &[first.clone(), migration(2, "SELECT 1")]),
        Err(MigrateError::EndsTransactions { .. })
    ));
    migrate(&shop, &[first, migration(2, "DROP TRIGGER t")]).unwrap();
    assert_eq!(case(&insert()), "ok");
}

/// Has the file take events up to `position`.
fn take(shop: &Fixture, position: u64) {
    let mut tx = shop.begin(soon()).unwrap();
    tx.seen(&orders(), position).unwrap();
    tx.commit().unwrap();
}

#[test]
fn every_kind_of_change_runs_beside_all_tables_of_the_host() {
    let shop = empty();
    let mut list = vec![migration(
        1,
        "CREATE TABLE a (x INTEGER PRIMARY KEY AUTOINCREMENT, y TEXT, z); CREATE TABLE b (a REFERENCES a (x));
         INSERT INTO a (y) VALUES ('y'); INSERT INTO b VALUES (1);",
    )];
    migrate(&shop, &list).unwrap();
    take(&shop, 7);
    for sql in [
        "ANALYZE",
        "ANALYZE main",
        "ANALYZE a",
        "REINDEX",
        "REINDEX nocase",
        "REINDEX binary",
        "ALTER TABLE a ADD COLUMN w TEXT NOT NULL DEFAULT 'w' CHECK (w <> '')",
        "ALTER TABLE a RENAME COLUMN y TO name",
        "ALTER TABLE a DROP COLUMN z",
        "ALTER TABLE a RENAME TO c",
        "CREATE TABLE c2 (x INTEGER PRIMARY KEY, name TEXT, w TEXT) STRICT; INSERT INTO c2 SELECT x, name, w FROM c;
         DROP TABLE c; ALTER TABLE c2 RENAME TO c",
        "CREATE INDEX c_name ON c (name); CREATE UNIQUE INDEX c_w ON c (w) WHERE name IS NULL; DROP INDEX c_w",
        "CREATE VIEW v AS SELECT * FROM c JOIN b ON b.a = c.x; DROP VIEW v",
        "CREATE TABLE seams (x); CREATE TABLE \"seam\" (x); DROP TABLE seams",
        "CREATE VIRTUAL TABLE word USING fts5 (name, content='c', content_rowid='x', tokenize='ascii');
         INSERT INTO word (word) VALUES ('rebuild'); CREATE VIRTUAL TABLE words USING fts5vocab (word, row)",
        "CREATE TRIGGER c_in AFTER INSERT ON c BEGIN INSERT INTO word (rowid, name) VALUES (new.x, new.name); END",
        "ALTER TABLE word RENAME TO term; DROP TABLE words; DROP TABLE term; DROP TRIGGER c_in",
    ] {
        let number = list.len() as u32 + 1;
        list.push(migration(number, sql));
        let migrated = migrate(&shop, &list);
        assert!(migrated.is_ok(), "{sql}: {}", migrated.unwrap_err());
    }
    assert_eq!(shop.seen(&orders()).unwrap(), Some(7));
}

#[test]
fn only_the_virtual_tables_that_are_offered_can_be_made() {
    for module in
        ["rtree (id, a, b)", "rtree_i32 (id, a, b)", "geopoly (a)", "fts3 (x)", "fts4 (x)", "dbstat", "unknown"]
    {
        let sql = format!("CREATE VIRTUAL TABLE v USING {module}");
        let text = migrate(&empty(), &[migration(1, &sql)]).unwrap_err().to_string();
        let name = module.split(' ').next().unwrap();
        assert!(text.contains(&format!("`{name}`")) && text.contains("fts5, fts5vocab"), "{sql}: {text}");
    }
    for name in ["seam_v", "SEAM_v", "[seam_v]"] {
        let sql = format!("CREATE VIRTUAL TABLE {name} USING fts5 (x)");
        let text = migrate(&empty(), &[migration(1, &sql)]).unwrap_err().to_string();
        assert!(text.contains("the host"), "{sql}: {text}");
    }
}

#[test]
fn a_file_that_has_taken_events_can_be_migrated() {
    let shop = empty();
    // A context may have a store before it has migrations.
    take(&shop, 6);
    let mut list = vec![migration(1, "CREATE TABLE a (x)")];
    migrate(&shop, &list).unwrap();
    take(&shop, 7);
    list.push(migration(2, "CREATE TABLE b (x)"));
    assert_eq!(migrate(&shop, &list).unwrap(), Migrated { from: 1, to: 2 });
    // As a deploy tries it, and as a restore point comes back.
    let copy = shop.copy(&shop.folder.path().join("copy.db")).unwrap();
    let later = [list.clone(), vec![migration(3, "ALTER TABLE a RENAME TO c; REINDEX; ANALYZE")]].concat();
    assert_eq!(migrate(&copy, &later).unwrap(), Migrated { from: 2, to: 3 });
    assert_eq!(copy.seen(&orders()).unwrap(), Some(7));
    list.push(migration(3, "ALTER TABLE b RENAME TO seam_b"));
    assert!(matches!(migrate(&shop, &list), Err(MigrateError::HostName { name }) if name == "seam_b"));
}

#[test]
fn a_table_that_others_refer_to_can_be_rebuilt_but_not_orphaned() {
    let shop = empty();
    let first = migration(
        1,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x); CREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE);
         INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1);",
    );
    let rebuild = migration(
        2,
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, x TEXT) STRICT; INSERT INTO a2 SELECT * FROM a; DROP TABLE a;
         ALTER TABLE a2 RENAME TO a;",
    );
    migrate(&shop, &[first.clone(), rebuild.clone()]).unwrap();
    assert_eq!(shop.number("SELECT count(*) FROM b"), 1, "dropping the old table cascaded nowhere");
    let orphan = migration(3, "DELETE FROM a");
    let error = migrate(&shop, &[first, rebuild, orphan]).unwrap_err();
    assert!(matches!(&error, MigrateError::ForeignKeys { table } if table == "b"), "{error}");
    assert_eq!(shop.number("SELECT count(*) FROM a"), 1);
    let result = shop.execute("INSERT INTO b VALUES (9)", &[], soon());
    assert_eq!(case(&result), "constraint", "foreign keys hold again");
}

#[test]
fn cached_statements_follow_the_new_schema() {
    let shop = empty();
    let first = migration(1, "CREATE TABLE a (x)");
    migrate(&shop, std::slice::from_ref(&first)).unwrap();
    shop.execute("INSERT INTO a VALUES (1)", &[], soon()).unwrap();
    assert_eq!(shop.number("SELECT count(*) FROM a"), 1);
    let second =
        migration(2, "DROP TABLE a; CREATE TABLE a (x UNIQUE, y DEFAULT 5); INSERT INTO a (x) VALUES (7), (8)");
    migrate(&shop, &[first, second]).unwrap();
    assert_eq!(shop.number("SELECT count(*) FROM a"), 2);
    assert_eq!(case(&shop.execute("INSERT INTO a VALUES (1)", &[], soon())), "invalid");
    assert_eq!(shop.number("SELECT sum(y) FROM a"), 10);
}
