//! Surveys of real files, in use and at rest, whole and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

struct Fixture {
    folder: TempDir,
    program: Connection,
}

impl Fixture {
    fn new(sql: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let program = Connection::open(folder.path().join("app.db")).unwrap();
        program.execute_batch(sql).unwrap();
        Self { folder, program }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    fn survey(&self) -> Survey {
        survey(&self.path(), None, 1, |_| {}).unwrap()
    }

    /// Every file in the folder with its bytes.
    fn files(&self) -> BTreeSet<(PathBuf, Vec<u8>)> {
        let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
        fs::read_dir(self.folder.path()).unwrap().map(|entry| read(entry.unwrap().path())).collect()
    }
}

const SHOP: &str = "
    CREATE TABLE albums(id INTEGER PRIMARY KEY, title TEXT);
    CREATE TABLE orders(
        id INTEGER PRIMARY KEY, album_id INT, billing_address_id INT, gift_address_id INT, sku TEXT, parent INT);
    CREATE TABLE addresses(id INTEGER PRIMARY KEY, email TEXT);
    INSERT INTO albums(title) VALUES ('a'), ('b'), ('c');
    INSERT INTO addresses(email) VALUES ('x@y');
    INSERT INTO orders(album_id, billing_address_id, gift_address_id)
        VALUES (1, 1, 7), (2, 1, 8), (3, 1, 9), (1, 1, 9), (1, 1, NULL);";

fn shown(references: &[Reference]) -> Vec<String> {
    let show = |reference: &Reference| {
        let witnesses: Vec<_> = reference.witnesses.iter().map(|witness| format!("{witness:?}")).collect();
        let orphans = reference.rows.map_or(0, |rows| rows.orphans);
        let kind = if reference.declared.is_some() { "declared" } else { "guess" };
        format!(
            "{}.{} -> {}.{}: {kind} {} {orphans}",
            reference.child,
            reference.columns.join("+"),
            reference.parent,
            reference.parent_columns.join("+"),
            witnesses.join("+"),
        )
    };
    references.iter().map(show).collect()
}

#[test]
fn a_reference_that_is_not_declared_has_its_name_and_its_values_as_witnesses() {
    let survey = Fixture::new(SHOP).survey();
    let expected = [
        "orders.album_id -> albums.id: guess Name+Values 0",
        "orders.billing_address_id -> addresses.id: guess Name+Values 0",
        "orders.gift_address_id -> addresses.id: guess Name 4",
    ];
    assert_eq!(shown(&survey.references), expected);
}

#[test]
fn a_prefix_that_all_columns_share_is_no_part_of_a_name() {
    let fixture = Fixture::new(
        "CREATE TABLE page(page_id INTEGER PRIMARY KEY, page_title TEXT, page_len INT);
         CREATE TABLE revision(rev_id INTEGER PRIMARY KEY, rev_page INT, rev_page_title TEXT, rev_len INT);",
    );
    assert_eq!(shown(&fixture.survey().references), ["revision.rev_page -> page.page_id: guess Name 0"]);
}

#[test]
fn orphans_of_declared_keys_are_counted() {
    let fixture = Fixture::new(
        "CREATE TABLE p(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE TABLE c(x, y, FOREIGN KEY (x, y) REFERENCES p);
         PRAGMA foreign_keys = off;
         INSERT INTO p VALUES (1, 1), (1, 2);
         INSERT INTO c VALUES (1, 1), (1, 2), (2, 1), (NULL, 5);",
    );
    let survey = fixture.survey();
    assert_eq!(shown(&survey.references), ["c.x+y -> p.a+b: declared  1"]);
    assert_eq!(survey.references[0].rows.unwrap().looked_at, 3);
}

/// In each journal mode, while a program has the file open and after it: nothing is written, no file appears.
#[test]
fn a_survey_leaves_no_trace() {
    for journal in ["delete", "wal"] {
        let fixture = Fixture::new(&format!("PRAGMA journal_mode = {journal}; {SHOP}"));
        let before = fixture.files();
        assert_eq!(fixture.survey().sizes["orders"].rows, Count::Exact(5), "{journal}, in use");
        assert_eq!(fixture.files().len(), before.len(), "{journal}, in use");

        let Fixture { folder, program } = fixture;
        program.close().unwrap();
        let path = folder.path().join("app.db");
        let fixture = Fixture { folder, program: Connection::open_in_memory().unwrap() };
        let before = fixture.files();
        assert_eq!(before.len(), 1, "{journal}");
        survey(&path, None, 1, |_| {}).unwrap();
        assert_eq!(fixture.files(), before, "{journal}, alone");
    }
}

#[test]
fn a_program_that_starts_meanwhile_is_noticed() {
    let fixture = Fixture::new(&format!("PRAGMA journal_mode = wal; {SHOP}"));
    let Fixture { folder, program } = fixture;
    program.close().unwrap();
    let path = folder.path().join("app.db");
    let mut program = None;
    let changed = survey(&path, None, 1, |step| {
        if step.done == 1 {
            let started = Connection::open(&path).unwrap();
            started.execute_batch("INSERT INTO albums(title) VALUES ('d')").unwrap();
            program = Some(started);
        }
    });
    assert!(matches!(changed, Err(Error::File(OpenError::Changed { .. }))), "{changed:?}");
}

#[test]
fn a_writer_goes_on_during_a_survey_and_afterwards() {
    let fixture = Fixture::new(&format!("PRAGMA journal_mode = wal; {SHOP}"));
    survey(&fixture.path(), None, 1, |_| {
        fixture.program.execute_batch("INSERT INTO albums(title) VALUES ('d')").unwrap()
    })
    .unwrap();
}

#[test]
fn what_is_no_database_is_refused_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let fixture = Fixture::new(SHOP);
    let whole = fs::read(fixture.path()).unwrap();
    let (mut torn, half) = (whole.clone(), &whole[..whole.len() / 2 + 100]);
    torn[100..400].fill(0xff);
    for (path, expected) in [
        (folder.path().join("none.db"), "there is no such file"),
        (folder.path().to_owned(), "is not a file"),
        (at("empty.db", b""), "is empty"),
        (at("text.db", b"CREATE TABLE t(a);"), "is not an SQLite database"),
        (at("secret.db", &[0x5a; 4096]), "is not an SQLite database"),
        (at("torn.db", &torn), "is damaged"),
        (at("half.db", half), "is damaged"),
    ] {
        let error = survey(&path, None, 1, |_| {}).unwrap_err();
        assert!(error.to_string().contains(expected), "{}: {error}", path.display());
        assert!(!error.remedy().is_empty());
    }
}

#[test]
fn what_only_the_program_has_is_found_and_does_not_hinder() {
    let fixture = Fixture::new("CREATE TABLE t(id INTEGER PRIMARY KEY, n TEXT, s TEXT)");
    let program = &fixture.program;
    let flags = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    for function in ["slug", "stamp", "old"] {
        program.create_scalar_function(function, -1, flags, |_| Ok(1)).unwrap();
    }
    program.create_collation("unicode", |one, other| one.cmp(other)).unwrap();
    program
        .execute_batch(
            "CREATE INDEX by_slug ON t(slug(n));
             CREATE TABLE u(n TEXT COLLATE unicode UNIQUE, g AS (slug(n)), CHECK (stamp(n) > 0));
             CREATE TRIGGER on_update AFTER UPDATE OF s ON t BEGIN UPDATE t SET n = stamp(s) WHERE id = new.id; END;
             CREATE VIEW lost AS SELECT old(x) FROM gone;
             INSERT INTO t(n) VALUES ('b'), ('a');
             INSERT INTO u(n) VALUES ('b'), ('a');",
        )
        .unwrap();
    let survey = fixture.survey();
    let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(&survey.program.functions), ["slug", "stamp"]);
    assert_eq!(names(&survey.program.collations), ["unicode"]);
    assert_eq!(survey.broken.keys().collect::<Vec<_>>(), ["lost"]);
    assert_eq!((survey.sizes["t"].rows, survey.sizes["u"].rows), (Count::Exact(2), Count::Exact(2)));
    let functions =
        |of: &[&str]| Difficulty::FunctionOfProgram { functions: of.iter().map(|f| (*f).to_owned()).collect() };
    assert!(survey.difficulties["t"].contains(&functions(&["slug", "stamp"])), "{:?}", survey.difficulties["t"]);
    assert!(survey.difficulties["u"].contains(&functions(&["slug", "stamp"])), "{:?}", survey.difficulties["u"]);
}

#[test]
fn difficulties_are_named() {
    let fixture = Fixture::new(
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, b REFERENCES b, up REFERENCES a);
         CREATE TABLE b(code TEXT PRIMARY KEY, c REFERENCES c, payload JSON, photo BLOB, deleted_at INT);
         CREATE TABLE c(x, y, a REFERENCES a, gone REFERENCES absent, bad REFERENCES b(photo), PRIMARY KEY (x, y));
         CREATE TABLE d(x) ;
         CREATE TABLE e(k PRIMARY KEY, g AS (k)) WITHOUT ROWID;
         CREATE TRIGGER t AFTER INSERT ON d BEGIN DELETE FROM e; END;
         CREATE VIRTUAL TABLE f USING fts5(x);",
    );
    let survey = fixture.survey();
    let all: Vec<_> = survey
        .difficulties
        .iter()
        .flat_map(|(table, found)| found.iter().map(move |d| format!("{table}: {d}")))
        .collect();
    let expected = [
        "a: refers to itself by `up`",
        "a: is in a circle of references: `a`, `b`, `c`",
        "a: its counter of ids must move along",
        "b: its key `code` is not the rowid, which is a second, hidden key that a copy may change",
        "b: is in a circle of references: `a`, `b`, `c`",
        "b: `c` refers to columns of `c` that are not there or not unique",
        "b: keeps JSON in `payload`: it may hold ids",
        "b: keeps bytes in `photo`",
        "b: `deleted_at` marks deleted rows, which stay",
        "c: its key has several columns: `x`, `y`",
        "c: is in a circle of references: `a`, `b`, `c`",
        "c: `gone` refers to `absent`, which is not there",
        "c: `bad` refers to columns of `b` that are not there or not unique",
        "d: no primary key: only its rowid tells its rows apart, and a copy may change that",
        "d: triggers run when it changes: `t`",
        "e: has no rowid",
        "e: computes columns: `g`",
        "f: is a virtual table of `fts5`, which keeps its rows in `f_config`, `f_content`, `f_data`, `f_docsize`, `f_idx`",
    ];
    assert_eq!(all, expected);
}
