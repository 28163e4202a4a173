//! Encrypted stores: keys that the host makes, files from before, and pages that were changed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::ids::ContextName;

const PLAIN: &[u8] = b"SQLite format 3";
const SECRET: &str = "what the books say";
const BOOKS: &str = "CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";

/// A data folder with the register and one store, `books`.
struct Books {
    folder: TempDir,
    register: Register,
    tables: &'static [&'static str],
}

impl Books {
    fn new(tables: &'static [&'static str]) -> Self {
        let folder = TempDir::new().unwrap();
        let register = Register::open(Arc::new(HostFile::open(folder.path()).unwrap())).unwrap();
        Self { folder, register, tables }
    }

    fn name() -> ContextName {
        ContextName::new("books").unwrap()
    }

    fn config(&self, encrypted: bool) -> Config {
        let tables: Vec<String> = self.tables.iter().map(|table| (*table).to_owned()).collect();
        let sealed = (!tables.is_empty()).then_some(Sealed { tables, passing: false });
        let settings = Settings { encrypted, sealed, ..Settings::plain(64) };
        Config::of(&Self::name(), &settings, &self.folder.path().join("stores"))
    }

    fn file(&self) -> PathBuf {
        self.config(false).path
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("keys/books.key")
    }

    /// As a start does it: compared, opened, migrated, and noted.
    fn up(&self, encrypted: bool) -> Arc<Database> {
        let config = self.config(encrypted);
        self.register.compare(&Self::name(), &config).unwrap();
        let database = Database::open(config).unwrap();
        migrate(&database, &[migration(1, BOOKS)]).unwrap();
        self.register.note(&Self::name(), &database).unwrap();
        database
    }

    fn enter(&self, encrypted: bool) {
        let database = self.up(encrypted);
        database.execute("INSERT INTO entry (text) VALUES (?1)", &[SECRET.into()], soon()).unwrap();
        self.register.note(&Self::name(), &database).unwrap();
        database.close().unwrap();
    }

    fn entries(&self) -> i64 {
        let database = self.up(true);
        let count = number_in(&database.query("SELECT count(*) FROM entry", &[], soon()).unwrap());
        database.close().unwrap();
        count
    }

    fn is_clear(&self) -> bool {
        let bytes = std::fs::read(self.file()).unwrap();
        bytes.starts_with(PLAIN) || bytes.windows(SECRET.len()).any(|words| words == SECRET.as_bytes())
    }

    /// Why a start would refuse the file, and what would help.
    fn why(&self) -> String {
        let found = self.register.compare(&Self::name(), &self.config(true));
        found.err().map(|error| format!("{}; {}", chain(&error), error.remedy("books"))).unwrap_or_default()
    }
}

#[test]
fn the_first_start_makes_a_key_for_this_user_alone() {
    let books = Books::new(&[]);
    books.enter(true);
    assert!(!books.is_clear());
    let key = std::fs::read_to_string(books.key()).unwrap();
    assert!(key.starts_with("x'") && key.trim_end().len() == 67, "32 bytes in hex");
    assert_eq!(std::fs::metadata(books.key()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(books.entries(), 1);
    assert_eq!(std::fs::read_to_string(books.key()).unwrap(), key, "and no other start makes another");
}

#[test]
fn a_file_in_the_clear_is_encrypted_at_its_next_start() {
    for tables in [&[][..], &["entry"]] {
        let books = Books::new(tables);
        books.enter(false);
        books.enter(false);
        assert!(books.is_clear());
        assert_eq!(books.entries(), 2, "{tables:?}");
        assert!(!books.is_clear());
        assert_eq!(books.why(), "");
        let database = books.up(true);
        assert_eq!(database.verify_seals().unwrap().words(), None);
        assert_eq!(database.quick_check(), Ok(()));
    }
}

#[test]
fn a_start_that_was_cut_off_while_it_encrypted_goes_on() {
    let encrypted = Books::new(&["entry"]);
    encrypted.enter(false);
    encrypted.enter(true);
    // Before the key got its name.
    std::fs::rename(encrypted.key(), encrypted.key().with_extension("key.new")).unwrap();
    assert_eq!(encrypted.entries(), 2);
    assert!(encrypted.key().is_file());
    // Before the file was encrypted: the key that waits is the one that it gets.
    let clear = Books::new(&["entry"]);
    clear.enter(false);
    let waiting = format!("x'{}'\n", "5a".repeat(32));
    private::folder(clear.key().parent().unwrap()).unwrap();
    private::write(&clear.key().with_extension("key.new"), waiting.as_bytes()).unwrap();
    assert_eq!(clear.entries(), 1);
    assert_eq!(std::fs::read_to_string(clear.key()).unwrap(), waiting);
    // While the key was written: it has encrypted nothing.
    let cut = Books::new(&["entry"]);
    cut.enter(false);
    private::folder(cut.key().parent().unwrap()).unwrap();
    private::write(&cut.key().with_extension("key.new"), b"x'5a5a").unwrap();
    assert_eq!(cut.entries(), 1);
    assert_eq!(std::fs::read(cut.key()).unwrap().len(), 68);
}

#[test]
fn no_start_makes_a_key_for_a_file_that_is_encrypted_already() {
    let books = Books::new(&[]);
    books.enter(true);
    let key = std::fs::read(books.key()).unwrap();
    std::fs::remove_file(books.key()).unwrap();
    let why = books.why();
    assert!(why.contains("books.key") && why.contains("put the key back"), "{why}");
    assert!(matches!(Database::open(books.config(true)), Err(OpenError::Key(_))));
    assert!(!books.key().exists(), "none is made");
    private::write(&books.key(), &key).unwrap();
    assert_eq!(books.entries(), 1);
}

#[test]
fn a_file_in_the_clear_that_has_a_key_is_taken_by_the_operator_alone() {
    let books = Books::new(&["entry"]);
    books.enter(false);
    let clear = std::fs::read(books.file()).unwrap();
    books.enter(true);
    std::fs::write(books.file(), &clear).unwrap();
    let why = books.why();
    assert!(why.contains("is in the clear") && why.contains("seam accept books"), "{why}");
    assert_eq!(std::fs::read(books.file()).unwrap(), clear, "and it is left as it is");
    books.register.accept(&Books::name(), &books.config(true), |_, _| Ok(())).unwrap();
    assert_eq!(books.entries(), 1);
    assert!(!books.is_clear());
}

#[test]
fn an_encrypted_file_without_the_key_of_its_seals_is_not_taken_until_the_operator_seals_it_again() {
    let books = Books::new(&["entry"]);
    books.enter(true);
    let (seal, aside) = (books.key().with_extension("seal"), books.folder.path().join("aside"));
    std::fs::rename(&seal, &aside).unwrap();
    let why = books.why();
    assert!(why.contains("put the key back as") && why.contains("books.seal") && why.contains("seam accept"), "{why}");
    assert!(matches!(Database::open(books.config(true)), Err(OpenError::NoSealKey { .. })));
    // Nor is one made for a file that cannot be read.
    let key = std::fs::read(books.key()).unwrap();
    std::fs::write(books.key(), "another key").unwrap();
    assert!(matches!(Database::open(books.config(true)), Err(OpenError::NotADatabase { .. })));
    std::fs::write(books.key(), key).unwrap();
    assert!(!seal.exists(), "none is made");
    std::fs::rename(&aside, &seal).unwrap();
    assert_eq!((books.why(), books.entries()), (String::new(), 1));
    std::fs::remove_file(&seal).unwrap();
    books.register.accept(&Books::name(), &books.config(true), |_, _| Ok(())).unwrap();
    assert_eq!((books.why(), books.entries()), (String::new(), 1));
    assert!(books.up(true).verify_seals().unwrap().words().is_none() && seal.is_file());
}

#[test]
fn a_restore_point_from_before_is_put_back_encrypted() {
    let books = Books::new(&["entry"]);
    books.enter(false);
    let point = books.folder.path().join("point.db");
    let database = books.up(false);
    drop(database.copy(&point).unwrap());
    database.close().unwrap();
    books.enter(true);
    let database = books.up(true);
    database.restore(&point, None).unwrap();
    assert_eq!(number_in(&database.query("SELECT count(*) FROM entry", &[], soon()).unwrap()), 1);
    database.close().unwrap();
    assert!(!books.is_clear() && !std::fs::read(&point).unwrap().starts_with(PLAIN));
}

/// SQLCipher hands a page that does not fit on as zeros, and lets only the next one fail: here, the end of a long text.
#[test]
fn nothing_of_a_changed_page_is_served_or_copied() {
    let books = Books::new(&[]);
    let long = "z".repeat(20_000);
    let database = books.up(true);
    database.execute("INSERT INTO entry VALUES (1, ?1)", &[long.as_str().into()], soon()).unwrap();
    database.close().unwrap();
    let whole = std::fs::read(books.file()).unwrap();
    let read = |database: &Database| database.query("SELECT text FROM entry WHERE id = 1", &[], soon());
    let mut noticed = 0;
    for page in 1..whole.len() / 4096 {
        let database = Database::open(books.config(true)).unwrap();
        // In place: the file stays the one that is open.
        let mut changed = whole.clone();
        changed[page * 4096 + 2_000] ^= 1;
        std::fs::write(books.file(), &changed).unwrap();
        let copy = database.copy(&books.folder.path().join("copy.db")).map(drop);
        let served = read(&database);
        if let Ok(served) = &served {
            assert_eq!(texts_in(served), std::slice::from_ref(&long), "page {page}");
        }
        assert!(copy.is_err(), "page {page} is copied");
        noticed += usize::from(served.is_err() && database.is_fenced());
        drop(database);
        std::fs::write(books.file(), &whole).unwrap();
    }
    assert!(noticed >= 5, "the text alone has five pages, and {noticed} were noticed");
    assert_eq!(texts_in(&read(&Database::open(books.config(true)).unwrap()).unwrap()), [long], "the control");
}
