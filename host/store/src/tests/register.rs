//! What the host remembers of a store, against what lies in its place.

use std::path::PathBuf;

use super::*;
use crate::ids::ContextName;
use crate::log_file::path_of;

/// A host's file and the store of `shop`, which is noted with some commits.
struct Known {
    folder: TempDir,
    register: Register,
    name: ContextName,
}

impl Known {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let host = HostFile::open(folder.path()).unwrap();
        let register = Register::open(Arc::new(host)).unwrap();
        let known = Self { folder, register, name: ContextName::new("shop").unwrap() };
        known.run(&["a", "b"]);
        known
    }

    fn config(&self) -> Config {
        config(&self.folder, 64)
    }

    fn file(&self) -> PathBuf {
        self.config().path
    }

    fn open(&self) -> Arc<Database> {
        let database = Database::open(self.config()).unwrap();
        migrate(&database, &[migration(1, SCHEMA)]).unwrap();
        database
    }

    /// Adds items, notes the store and closes it.
    fn run(&self, names: &[&str]) {
        let database = self.open();
        names.iter().for_each(|name| add(&database, name));
        self.register.note(&self.name, &database).unwrap();
    }

    /// What a host that is killed leaves: the file and its log as they are while it runs.
    fn killed(&self, names: &[&str]) {
        let database = self.open();
        names.iter().for_each(|name| add(&database, name));
        self.register.note(&self.name, &database).unwrap();
        let (file, log) = (std::fs::read(self.file()).unwrap(), std::fs::read(path_of(&self.file())).unwrap());
        drop(database);
        std::fs::write(self.file(), file).unwrap();
        std::fs::write(path_of(&self.file()), log).unwrap();
    }

    /// The words of the misfit.
    fn why(&self) -> String {
        let found = self.register.compare(&self.name, &self.config());
        found.err().map(|error| format!("{error}; {}", error.remedy("shop"))).unwrap_or_default()
    }

    fn accept(&self) -> Result<Accepted, RegisterError> {
        self.register.accept(&self.name, &self.config(), |_, _| Ok(()))
    }

    fn items(&self) -> i64 {
        number_in(&self.open().query("SELECT count(*) FROM item", &[], soon()).unwrap())
    }
}

fn add(database: &Database, name: &str) {
    database.execute("INSERT INTO item (name, stock) VALUES (?1, 1)", &[name.into()], soon()).unwrap();
}

#[test]
fn a_file_that_was_closed_or_killed_fits_and_keeps_its_commits() {
    let known = Known::new();
    assert_eq!(known.why(), "");
    known.killed(&["c", "d"]);
    assert!(std::fs::metadata(path_of(&known.file())).unwrap().len() > 0);
    assert_eq!((known.why(), known.items()), (String::new(), 4));
    assert_eq!(std::fs::metadata(path_of(&known.file())).map_or(0, |m| m.len()), 0, "a clean end leaves no log");
}

#[test]
fn looking_at_a_file_changes_neither_it_nor_its_log() {
    let known = Known::new();
    known.killed(&["c"]);
    let bytes = || (std::fs::read(known.file()).unwrap(), std::fs::read(path_of(&known.file())).unwrap());
    let before = bytes();
    assert_eq!((known.why(), schema_at(&known.config()).unwrap()), (String::new(), 1));
    assert!(before == bytes());
}

#[test]
fn a_missing_an_older_another_and_a_foreign_file_are_named_and_accepted_only_by_the_operator() {
    let known = Known::new();
    let old = std::fs::read(known.file()).unwrap();
    known.run(&["c", "d"]);
    std::fs::write(known.file(), &old).unwrap();
    assert!(known.why().contains("is older than the host has seen it"), "{}", known.why());
    assert!(known.accept().unwrap().why.is_some());
    assert_eq!((known.why(), known.items()), (String::new(), 2));

    std::fs::write(known.file(), &old).unwrap();
    assert!(known.why().contains("is another file"), "an accepted file has another identity: {}", known.why());
    known.accept().unwrap();

    let foreign = Known::new();
    let other = known.file().with_file_name("other.db");
    let database = Database::open(Config::plain(other.clone(), 64)).unwrap();
    drop(database);
    std::fs::copy(&other, known.file()).unwrap();
    assert!(known.why().contains("belongs to the context `other`"), "{}", known.why());
    std::fs::copy(foreign.file(), known.file()).unwrap();
    assert!(known.why().contains("is another file"), "{}", known.why());

    std::fs::remove_file(known.file()).unwrap();
    assert!(known.why().contains("is gone") && known.why().contains("seam accept shop"), "{}", known.why());
    known.accept().unwrap();
    assert_eq!((known.why(), known.items()), (String::new(), 0));
}

#[test]
fn an_older_file_beside_a_newer_log_is_refused_and_the_log_is_kept() {
    let known = Known::new();
    let old = std::fs::read(known.file()).unwrap();
    known.run(&["c", "d", "e", "f"]);
    known.killed(&["g", "h"]);
    std::fs::write(known.file(), old).unwrap();
    let log = std::fs::read(path_of(&known.file())).unwrap();
    assert!(known.why().contains("do not belong together"), "{}", known.why());
    assert!(log == std::fs::read(path_of(&known.file())).unwrap());
    let accepted = known.accept().unwrap();
    assert!(log == std::fs::read(accepted.log.unwrap()).unwrap());
    assert_eq!((known.why(), known.items()), (String::new(), 2));
}

#[test]
fn a_log_beside_no_file_is_not_deleted() {
    let known = Known::new();
    known.killed(&["c"]);
    std::fs::write(known.file(), "").unwrap();
    assert!(known.why().contains("do not belong together"), "{}", known.why());
    assert!(std::fs::metadata(path_of(&known.file())).unwrap().len() > 0);
}

#[test]
fn a_flipped_bit_in_the_log_and_a_file_cut_short_are_noticed() {
    let known = Known::new();
    known.killed(&["c", "d", "e"]);
    let (file, log) = (std::fs::read(known.file()).unwrap(), std::fs::read(path_of(&known.file())).unwrap());
    let mut flipped = log.clone();
    flipped[100] ^= 1;
    std::fs::write(path_of(&known.file()), &flipped).unwrap();
    assert!(known.why().contains("is damaged") || known.why().contains("older"), "{}", known.why());
    std::fs::write(path_of(&known.file()), &log).unwrap();
    assert_eq!(known.why(), "", "the control");
    std::fs::remove_file(path_of(&known.file())).unwrap();
    std::fs::write(known.file(), &file[..file.len() - 4096]).unwrap();
    assert!(known.why().contains("cut short") || known.why().contains("damaged"), "{}", known.why());
}

#[test]
fn a_restored_file_stays_itself_and_its_count_goes_on() {
    let known = Known::new();
    let database = known.open();
    let point = known.folder.path().join("point.db");
    drop(database.copy(&point).unwrap());
    add(&database, "c");
    let before = database.mark().unwrap().unwrap();
    database.restore(&point, None).unwrap();
    let after = database.mark().unwrap().unwrap();
    assert_eq!((&after.identity, after.commits), (&before.identity, before.commits + 1));
    known.register.note(&known.name, &database).unwrap();
    drop(database);
    assert_eq!((known.why(), known.items()), (String::new(), 2));
}

#[test]
fn a_file_that_went_back_to_an_older_schema_fits_before_that_is_noted() {
    let known = Known::new();
    let database = known.open();
    let point = known.folder.path().join("point.db");
    drop(database.copy(&point).unwrap());
    let next = migration(2, "CREATE TABLE later (n INTEGER) STRICT");
    migrate(&database, &[migration(1, SCHEMA), next]).unwrap();
    known.register.note(&known.name, &database).unwrap();
    database.restore(&point, None).unwrap();
    drop(database);
    assert_eq!((known.why(), schema_at(&known.config()).unwrap()), (String::new(), 1));
    // The control: a copy from before is older.
    std::fs::copy(&point, known.file()).unwrap();
    assert!(known.why().contains("is older than the host has seen it"), "{}", known.why());
}

#[test]
fn a_transaction_that_only_reads_is_no_commit() {
    let shop = shop();
    let commits = || shop.mark().unwrap().unwrap().commits;
    let before = commits();
    let mut tx = shop.begin(soon()).unwrap();
    tx.query("SELECT 1", &[], soon()).unwrap();
    tx.commit().unwrap();
    assert_eq!(commits(), before);
    shop.add("a").unwrap();
    assert_eq!(commits(), before + 1);
}

#[test]
fn only_a_file_that_the_host_expects_fits_and_it_brings_its_context_and_identity_with_it() {
    let known = Known::new();
    let staged = known.file().with_file_name(".restore-shop.db");
    std::fs::copy(known.file(), &staged).unwrap();
    let config = Config::plain(staged.clone(), 64);
    let adopted = Register::adopt(&known.name, &config).unwrap();
    assert!(!path_of(&staged).exists());
    assert_eq!(known.why(), "", "the control: it is not expected yet");
    let failed = known.register.expect([&adopted].into_iter(), |_| Err(rusqlite::Error::InvalidQuery));
    assert!(failed.is_err());
    assert_eq!(known.why(), "", "nothing is expected when the transaction fails");
    known.register.expect([&adopted].into_iter(), |_| Ok(())).unwrap();
    assert!(known.why().contains("is another file"), "{}", known.why());
    std::fs::remove_file(known.file()).unwrap();
    assert!(known.why().contains("is gone"), "a start between the two takes it for a new context: {}", known.why());
    std::fs::rename(staged, known.file()).unwrap();
    assert_eq!((known.why(), known.items()), (String::new(), 2));
}

#[test]
fn a_file_that_fits_is_not_accepted_again() {
    let known = Known::new();
    let identity = |known: &Known| known.open().mark().unwrap().unwrap().identity;
    let before = identity(&known);
    assert_eq!(known.accept().unwrap(), Accepted { why: None, log: None });
    assert_eq!(identity(&known), before);
}

#[test]
fn a_file_in_quarantine_stays_there_over_restarts_until_it_is_found_whole() {
    let known = Known::new();
    known.register.quarantine(&known.name, "page 3 is malformed").unwrap();
    let again = known.why();
    assert!(
        again.contains("damaged while it was in use: page 3 is malformed") && again.contains("seam accept"),
        "{again}"
    );
    assert_eq!(known.accept().unwrap().why.map(|why| why.contains("page 3")), Some(true));
    assert_eq!((known.why(), known.items()), (String::new(), 2), "it was whole");

    known.register.quarantine(&known.name, "page 3 is malformed").unwrap();
    let whole = std::fs::read(known.file()).unwrap();
    let mut damaged = whole.clone();
    for page in damaged.chunks_mut(4096).skip(1) {
        page[0] = 0x77;
    }
    std::fs::write(known.file(), damaged).unwrap();
    assert!(known.accept().is_err(), "what is damaged is not taken");
    std::fs::write(known.file(), whole).unwrap();
    assert!(known.why().contains("page 3"), "and stays in quarantine");
    let adopted = Register::adopt(&known.name, &known.config()).unwrap();
    known.register.expect([&adopted].into_iter(), |_| Ok(())).unwrap();
    assert_eq!(known.why(), "", "a restore ends it");
}

#[test]
fn the_pages_of_a_file_that_comes_from_another_host_are_looked_at_only_after_it_serves() {
    let known = Known::new();
    let mut damaged = std::fs::read(known.file()).unwrap();
    damaged.chunks_mut(4096).last().unwrap()[0] = 0x77;
    std::fs::write(known.file(), damaged).unwrap();
    let damage = known.why();
    assert!(damage.contains("damaged"), "{damage}");
    known.register.forget(&known.name).unwrap();
    assert_eq!([known.why(), known.why()], ["", ""], "while calls wait");
    known.register.has_come(&known.name);
    assert_eq!(known.why(), damage);
}
