//! Sealed stores: every byte of the file counts, rows of sealed tables stay, and what was changed is named.

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::ids::ContextName;
use crate::log_file::path_of;

const BOOKS: &str = "
CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL, amount INTEGER NOT NULL UNIQUE) STRICT;
CREATE TABLE line (entry INTEGER, side TEXT, amount INTEGER NOT NULL, PRIMARY KEY (entry, side)) STRICT, WITHOUT ROWID;
CREATE TABLE note (text TEXT NOT NULL) STRICT;
CREATE INDEX entry_by_text ON entry (text);
CREATE TRIGGER entry_in AFTER INSERT ON entry BEGIN
  INSERT INTO line VALUES (NEW.id, 'debit', NEW.amount), (NEW.id, 'credit', -NEW.amount);
END;
";
const PAGE: usize = 4096;

/// A data folder with the register and one sealed store, `books`.
struct Books {
    folder: TempDir,
    register: Register,
    tables: Vec<&'static str>,
    migrations: Vec<&'static str>,
}

impl Books {
    fn new(tables: &[&'static str]) -> Self {
        let folder = TempDir::new().unwrap();
        let register = Register::open(Arc::new(HostFile::open(folder.path()).unwrap())).unwrap();
        Self { folder, register, tables: tables.to_vec(), migrations: vec![BOOKS] }
    }

    fn sealed() -> Self {
        Self::new(&["entry", "line"])
    }

    fn name() -> ContextName {
        ContextName::new("books").unwrap()
    }

    fn config(&self) -> Config {
        let tables: Vec<String> = self.tables.iter().map(|table| (*table).to_owned()).collect();
        let sealed = (!tables.is_empty()).then_some(Sealed { tables, passing: false });
        Config::of(&Self::name(), &Settings { sealed, ..Settings::plain(64) }, &self.folder.path().join("stores"))
    }

    fn file(&self) -> PathBuf {
        self.config().path
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("keys/books.seal")
    }

    fn open(&self) -> Result<Arc<Database>, OpenError> {
        Database::open(self.config())
    }

    fn migrated(&self, database: &Database) -> Result<Migrated, MigrateError> {
        let all: Vec<_> = (1..).zip(&self.migrations).map(|(number, sql)| migration(number, sql)).collect();
        migrate(database, &all)
    }

    fn up(&self) -> Arc<Database> {
        let database = self.open().unwrap();
        self.migrated(&database).unwrap();
        database
    }

    /// Books entries, notes the store and closes it.
    fn book(&self, ids: std::ops::Range<i64>) {
        let database = self.up();
        ids.for_each(|id| {
            enter(&database, id).unwrap();
        });
        self.register.note(&Self::name(), &database).unwrap();
        database.close().unwrap();
    }

    /// Why a start would refuse the file, and what would help.
    fn why(&self) -> String {
        let found = self.register.compare(&Self::name(), &self.config());
        found.err().map(|error| format!("{}; {}", chain(&error), error.remedy("books"))).unwrap_or_default()
    }

    fn accept(&self) -> Result<Accepted, RegisterError> {
        self.register.accept(&Self::name(), &self.config(), |_, _| Ok(()))
    }

    fn flip(&self, at: usize, bit: u8) {
        flip(&self.file(), at, bit);
    }
}

fn flip(path: &Path, at: usize, bit: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
}

fn enter(database: &Database, id: i64) -> Result<u64, Error> {
    let text = format!("entry {id} of the books, with words enough to fill some pages of the file");
    let values = [Value::Integer(id), text.as_str().into(), Value::Integer(id * 100 + 7)];
    database.execute("INSERT INTO entry (id, text, amount) VALUES (?1, ?2, ?3)", &values, soon())
}

/// All that is booked, from the tables and from the indexes.
const ALL: &str = "SELECT * FROM (SELECT text, amount FROM entry ORDER BY id)
    UNION ALL SELECT side || entry, amount FROM line UNION ALL SELECT text, 0 FROM entry INDEXED BY entry_by_text";

fn all(database: &Database) -> Result<Vec<u8>, Error> {
    database.query(ALL, &[], soon())
}

#[test]
fn every_flipped_byte_of_the_file_is_found_at_a_start_and_when_it_is_read() {
    let books = Books::sealed();
    books.book(1..60);
    assert_eq!(books.why(), "", "the control");
    let expect = all(&books.up()).unwrap();
    let whole = std::fs::read(books.file()).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let mut named = 0;
    for _ in 0..250 {
        let (at, bit) = (random.random_range(0..whole.len()), random.random_range(0..8));
        books.flip(at, bit);
        let why = books.why();
        assert!(why.contains("books.db") && why.contains("restore"), "byte {at}, bit {bit}: {why}");
        named += usize::from(why.contains("it is of `") || why.contains(" was changed;"));
        // A host that has it open already: nothing wrong is read, and it does not serve on.
        if let Ok(database) = books.open() {
            match all(&database) {
                Err(Error::Unavailable(_)) => assert!(database.is_fenced(), "byte {at}, bit {bit}"),
                // The page is one that the question does not need.
                read => assert!(read == Ok(expect.clone()), "byte {at}, bit {bit}: {read:?}"),
            }
        }
        std::fs::write(books.file(), &whole).unwrap();
        std::fs::remove_file(path_of(&books.file())).ok();
    }
    assert!(named > 150, "tables and rows are named: {named}");
    assert_eq!(books.why(), "");
    assert!(all(&books.up()).unwrap() == expect);
}

#[test]
fn a_page_in_the_place_of_another_one_is_found() {
    let books = Books::sealed();
    books.book(1..200);
    let whole = std::fs::read(books.file()).unwrap();
    let page = |number: usize| (number - 1) * PAGE..number * PAGE;
    let pages = whole.len() / PAGE;
    let alike = (2..pages).find(|number| whole[page(*number)][0] == whole[page(number + 1)][0]).unwrap();
    let mut swapped = whole.clone();
    swapped[page(alike)].copy_from_slice(&whole[page(alike + 1)]);
    std::fs::write(books.file(), &swapped).unwrap();
    // Each byte of it was sealed, and with this key.
    assert!(books.why().contains(&format!("page {alike} does not fit its seal")), "{}", books.why());
}

#[test]
fn every_flipped_byte_of_the_log_of_a_running_host_is_found_when_it_is_read() {
    let mut random = StdRng::seed_from_u64(11);
    let books = Books::sealed();
    books.book(1..40);
    let (file, mut found) = (std::fs::read(books.file()).unwrap(), 0);
    for _ in 0..60 {
        let database = books.open().unwrap();
        // One transaction: each page is in the log once.
        let mut tx = database.begin(soon()).unwrap();
        for id in 40..80_i64 {
            let values = [Value::Integer(id), Value::Integer(id * 100)];
            tx.execute("INSERT INTO entry VALUES (?1, 'an entry in the log', ?2)", &values, soon()).unwrap();
        }
        tx.commit().unwrap();
        let expect = all(&database).unwrap();
        let log = path_of(&books.file());
        let bytes = std::fs::metadata(&log).unwrap().len() as usize;
        let at = random.random_range(0..bytes);
        // In place: the host's file stays the one that it has open.
        let whole = std::fs::read(&log).unwrap();
        let mut bad = whole.clone();
        bad[at] ^= 1 << random.random_range(0..8);
        std::fs::write(&log, &bad).unwrap();
        // Its own pages are in the memory of a connection; a copy reads all of them from the log.
        let copy = database.copy(&books.folder.path().join("copy.db"));
        match copy {
            Ok(copy) => assert!(all(&copy).unwrap() == expect, "byte {at}"),
            Err(_) => {
                found += 1;
                database.tend();
                assert!(matches!(database.trouble(), Some(Trouble::Damaged { .. })), "{:?}", database.trouble());
            }
        }
        drop(database);
        std::fs::remove_file(&log).ok();
        std::fs::write(books.file(), &file).unwrap();
    }
    assert!(found > 10, "{found}");
}

#[test]
fn rows_of_a_sealed_table_are_added_and_never_changed_however_it_is_tried() {
    let books = Books::sealed();
    books.book(1..3);
    let database = books.up();
    for sql in [
        "UPDATE entry SET amount = 1 WHERE id = 1",
        "DELETE FROM entry WHERE id = 1",
        "REPLACE INTO entry VALUES (1, 'another', 1)",
        // By another unique column.
        "INSERT OR REPLACE INTO entry VALUES (9, 'another', 107)",
        "INSERT INTO entry VALUES (1, 'another', 1) ON CONFLICT DO UPDATE SET amount = 1",
        "UPDATE line SET amount = amount + 1",
        "DELETE FROM line",
    ] {
        let result = database.execute(sql, &[], soon());
        let Err(Error::Constraint(why)) = &result else { panic!("{sql}: {result:?}") };
        assert!(why.contains("the host seals `"), "{sql}: {why}");
    }
    for sql in [
        "SELECT * FROM seam_seals",
        "DELETE FROM seam_seals",
        "INSERT INTO seam_seals VALUES (99, 'entry', '9', x'00')",
        "UPDATE seam_store SET sealed = 0",
        "SELECT seam_seal('entry', 1)",
        // A part of a query under the name of the host's trigger.
        "WITH \"seam_seal entry\" AS (SELECT seam_seal('entry', 1)) SELECT * FROM \"seam_seal entry\"",
        "WITH \"seam_seal entry\" AS (SELECT * FROM seam_seals) SELECT * FROM \"seam_seal entry\"",
        "DELETE FROM seam_sealed",
    ] {
        let result = database.query(sql, &[], soon());
        assert!(result.is_err(), "{sql}: {result:?}");
        let result = database.begin(soon()).unwrap().query(sql, &[], soon());
        assert_eq!(case(&result), "denied", "{sql}: {result:?}");
    }
    assert_eq!(case(&database.execute("UPDATE note SET text = ''", &[], soon())), "ok", "a table that is not sealed");
    enter(&database, 3).unwrap();
    let verified = database.verify_seals().unwrap();
    assert_eq!((verified.rows, verified.whole, verified.words()), (9, true, None));
}

/// Puts the table's page of an earlier copy of the file back: a page that fits its seal.
#[test]
fn pages_that_are_put_back_to_an_older_state_are_found_by_the_rows() {
    let books = Books::sealed();
    books.book(1..20);
    let before = std::fs::read(books.file()).unwrap();
    books.book(20..21);
    let mut now = std::fs::read(books.file()).unwrap();
    let text = b"entry 20 of the books";
    let holds = |page: &[u8]| page[0] == 13 && page.windows(text.len()).any(|at| at == text);
    let at = now.chunks(PAGE).position(holds).unwrap() * PAGE;
    now[at..at + PAGE].copy_from_slice(&before[at..at + PAGE]);
    std::fs::write(books.file(), now).unwrap();
    let terms = Terms { now_s: 0, deadline: soon() };
    let verified = Snapshot::of_stopped(&books.config()).map(|file| format!("{:?}", file.verify_seals(&terms)));
    let seen = verified.unwrap_or_else(|error| chain(&error));
    assert!(seen.contains("`entry` 20 is gone") || seen.contains("malformed"), "{seen}");
    let why = books.why();
    assert!(why.contains("`entry` 20 is gone") || why.contains("malformed") || why.contains("missing"), "{why}");
    assert!(why.contains("restore"), "{why}");
}

#[test]
fn a_row_that_another_program_has_changed_is_named() {
    let books = Books::sealed();
    books.book(1..60);
    let theirs = rusqlite::Connection::open(books.file()).unwrap();
    theirs
        .execute_batch(
            "DROP TRIGGER \"seam_seal entry+\"; DROP TRIGGER \"seam_seal line-\"; PRAGMA journal_mode = DELETE;
             UPDATE entry SET amount = 1 WHERE id = 17; DELETE FROM line WHERE entry = 4 AND side = 'debit'",
        )
        .unwrap();
    drop(theirs);
    let why = books.why();
    for words in ["does not fit its seal", "`entry` 17 was changed", "`line` 4, 'debit' is gone"] {
        assert!(why.contains(words), "{why}");
    }
    assert!(books.open().is_err() || all(&books.up()).is_err());
}

#[test]
fn rows_that_another_program_has_taken_out_with_their_seals_are_missed() {
    // The last ones of a table, and some before them.
    for (gone, words) in [("number > 170", " rows were sealed, and there are 170 seals"), ("number = 7", "number 6, ")]
    {
        let books = Books::sealed();
        books.book(1..60);
        let theirs = rusqlite::Connection::open(books.file()).unwrap();
        let sql = format!("PRAGMA journal_mode = DELETE; DELETE FROM seam_seals WHERE {gone}");
        theirs.execute_batch(&sql).unwrap();
        drop(theirs);
        assert!(books.why().contains(words), "{gone}: {}", books.why());
    }
}

#[test]
fn a_file_that_was_not_sealed_gets_its_seals_once_and_keeps_its_rows() {
    let mut books = Books::new(&[]);
    books.book(1..40);
    let expect = all(&books.up()).unwrap();
    books.tables = vec!["entry", "line"];
    assert_eq!((books.why(), books.key().exists()), (String::new(), false));
    let database = books.up();
    assert!(all(&database).unwrap() == expect);
    let verified = database.verify_seals().unwrap();
    assert_eq!((verified.rows, verified.words()), (39 * 3, None));
    database.close().unwrap();
    drop(database);
    assert!(books.key().exists());
    let key = std::fs::read(books.key()).unwrap();
    let file = std::fs::read(books.file()).unwrap();
    // Cut off before the key had its name: the next start goes on.
    std::fs::rename(books.key(), books.key().with_extension("seal.new")).unwrap();
    assert_eq!(books.why(), "");
    assert!(all(&books.up()).unwrap() == expect);
    assert_eq!(std::fs::read(books.key()).unwrap(), key, "and takes the same key");
    // From now on a file without seals is not the file.
    std::fs::remove_file(path_of(&books.file())).ok();
    let plain = Books::new(&[]);
    plain.book(1..40);
    std::fs::copy(plain.file(), books.file()).unwrap();
    let why = books.why();
    assert!(why.contains("is not sealed") && why.contains("seam accept"), "{why}");
    std::fs::write(books.file(), file).unwrap();
    assert_eq!(books.why(), "");
}

#[test]
fn without_its_key_a_sealed_file_is_not_taken_until_the_operator_seals_it_again() {
    let books = Books::sealed();
    books.book(1..40);
    let expect = all(&books.up()).unwrap();
    std::fs::remove_file(books.key()).unwrap();
    let why = books.why();
    assert!(why.contains("books.seal") && why.contains("is gone") && why.contains("seam accept"), "{why}");
    assert!(matches!(books.open(), Err(OpenError::NoSealKey { .. })));
    assert!(!books.key().exists(), "and no other key is made");
    assert!(books.accept().unwrap().why.is_some());
    assert_eq!(books.why(), "");
    let database = books.up();
    assert!(all(&database).unwrap() == expect);
    assert_eq!(database.verify_seals().unwrap().words(), None);
}

#[test]
fn a_migration_may_not_change_a_sealed_table() {
    let mut books = Books::sealed();
    books.book(1..4);
    for sql in [
        "ALTER TABLE entry ADD COLUMN more TEXT",
        "DROP TABLE line",
        "DROP TRIGGER \"seam_seal entry\"",
        "DROP TRIGGER \"seam_seal entry+\"",
        "ALTER TABLE line RENAME TO lines",
    ] {
        books.migrations = vec![BOOKS, sql];
        let database = books.open().unwrap();
        let error = books.migrated(&database).unwrap_err();
        assert!(matches!(error, MigrateError::Seals(SealError::Changed { .. })), "{sql}: {error:?}");
        assert!(error.remedy().contains("beside it"), "{}", error.remedy());
    }
    for sql in ["UPDATE entry SET amount = 0", "CREATE TRIGGER seam_x AFTER INSERT ON note BEGIN SELECT 1; END"] {
        books.migrations = vec![BOOKS, sql];
        let database = books.open().unwrap();
        assert!(matches!(books.migrated(&database), Err(MigrateError::Failed { .. })), "{sql}");
    }
    // A table beside it, and an index.
    books.migrations =
        vec![BOOKS, "CREATE TABLE more (entry INTEGER) STRICT; CREATE INDEX more_in ON entry (amount, id);"];
    let database = books.open().unwrap();
    books.migrated(&database).unwrap();
    assert_eq!(database.verify_seals().unwrap().rows, 9);
}

#[test]
fn what_the_manifest_seals_may_change_and_must_be_there() {
    let mut books = Books::new(&["entry"]);
    books.book(1..4);
    books.tables = vec!["line", "entry"];
    let database = books.up();
    assert_eq!(database.verify_seals().unwrap().rows, 9);
    drop(database);
    books.tables = vec!["line"];
    let database = books.up();
    assert_eq!(case(&database.execute("UPDATE entry SET text = 'x' WHERE id = 1", &[], soon())), "ok");
    assert_eq!(database.verify_seals().unwrap().rows, 6);
    drop(database);
    books.tables = vec!["entry", "lines"];
    let error = books.migrated(&books.open().unwrap()).unwrap_err();
    assert!(error.to_string().contains("no such table") && error.to_string().contains("`lines`"), "{error}");
    // No seals any more: the rows are free.
    books.tables = Vec::new();
    let database = books.up();
    assert_eq!(case(&database.execute("DELETE FROM line", &[], soon())), "ok");
    let loose = Books { migrations: vec!["CREATE TABLE entry (id)"], ..Books::new(&["entry"]) };
    let error = loose.migrated(&loose.open().unwrap()).unwrap_err();
    assert!(error.to_string().contains("not STRICT"), "{error}");
}

#[test]
fn copies_of_a_sealed_file_are_sealed_and_go_back() {
    let books = Books::sealed();
    books.book(1..40);
    let database = books.up();
    let expect = all(&database).unwrap();
    let path = books.folder.path().join("copy.db");
    let copy = database.copy(&path).unwrap();
    assert!(all(&copy).unwrap() == expect && copy.verify_seals().unwrap().words().is_none());
    drop(copy);
    let backup = books.folder.path().join("backup.db");
    moment(std::slice::from_ref(&database)).unwrap()[0].write(&backup).unwrap();
    enter(&database, 40).unwrap();
    database.restore(&backup, None).unwrap();
    assert!(all(&database).unwrap() == expect);
    assert_eq!(database.verify_seals().unwrap().words(), None);
    enter(&database, 40).unwrap();
    flip(&backup, 3 * PAGE + 100, 0);
    assert!(database.restore(&backup, None).is_err(), "a damaged copy does not go back");
    assert_eq!((database.trouble(), database.verify_seals().unwrap().rows), (None, 120));
}

/// Pages that are freed, used again, cut off and never written: none of them raises a false alarm.
#[test]
fn a_sealed_file_that_grows_and_shrinks_fits_its_seals_all_along() {
    let books = Books::sealed();
    let mut random = StdRng::seed_from_u64(3);
    let mut database = books.up();
    for round in 0..12 {
        for _ in 0..15 {
            let mut tx = database.begin(soon()).unwrap();
            let long = "x".repeat(random.random_range(1..60_000));
            tx.execute("INSERT INTO note VALUES (?1)", &[long.as_str().into()], soon()).unwrap();
            if random.random_range(0..3) == 0 {
                tx.execute("DELETE FROM note WHERE rowid % 3 = 0", &[], soon()).unwrap();
            }
            if random.random_range(0..4) == 0 { tx.rollback().unwrap() } else { tx.commit().unwrap() }
        }
        // Reads every page.
        let copy = database.copy(&books.folder.path().join("copy.db")).unwrap();
        assert_eq!((database.trouble(), copy.quick_check()), (None, Ok(())), "{round}");
        drop(copy);
        if round % 3 == 2 {
            database.close().unwrap();
            drop(database);
            assert_eq!(books.why(), "", "{round}");
            database = books.up();
        }
    }
}

/// The looks at pages and at rows have times of their own.
#[test]
fn a_file_that_takes_longer_than_a_start_has_is_taken_as_far_as_it_was_seen() {
    let books = Books::sealed();
    let database = books.up();
    let mut tx = database.begin(soon()).unwrap();
    for id in 1..12_000_i64 {
        let values = [Value::Integer(id), Value::Integer(id * 100)];
        tx.execute("INSERT INTO entry VALUES (?1, 'an entry of a large book', ?2)", &values, soon()).unwrap();
    }
    tx.commit().unwrap();
    let verified = database.verify_seals().unwrap();
    assert_eq!((verified.rows, verified.whole), (3 * 11_999, true));
    database.close().unwrap();
    drop(database);
    assert_eq!(books.why(), "");
}
