//! Files that are followed: base and changes are what was committed, whatever the host does to the file meanwhile.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::ids::ContextName;

const ITEMS: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cover BLOB) STRICT;
    CREATE INDEX item_by_name ON item (name);";

/// How a store keeps its pages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Sealed,
    #[cfg(feature = "sqlcipher")]
    Encrypted,
}

const KINDS: &[Kind] = &[
    Kind::Plain,
    Kind::Sealed,
    #[cfg(feature = "sqlcipher")]
    Kind::Encrypted,
];

fn config_of(kind: Kind, folder: &Path) -> Config {
    let stores = folder.join("stores");
    let name = ContextName::new("shop").unwrap();
    let sealed = Sealed { tables: vec!["item_log".to_owned()], passing: false };
    match kind {
        Kind::Plain => Config::of(&name, &Settings::plain(64), &stores),
        Kind::Sealed => Config::of(&name, &Settings { sealed: Some(sealed), ..Settings::plain(64) }, &stores),
        #[cfg(feature = "sqlcipher")]
        Kind::Encrypted => {
            let keys = folder.join("keys");
            private::folder(&keys).unwrap();
            let key = keys.join("shop.key");
            std::fs::write(&key, "a long secret").unwrap();
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            Config::of(&name, &Settings { encryption: Encryption::On, ..Settings::plain(64) }, &stores)
        }
    }
}

fn followed(kind: Kind) -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Database::open(config_of(kind, folder.path())).unwrap();
    let log = "CREATE TABLE item_log (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
    migrate(&database, &[migration(1, ITEMS), migration(2, log)]).unwrap();
    Fixture { database, folder }
}

fn put(database: &Database, id: i64, bytes: usize) {
    let sql = "INSERT INTO item VALUES (?1, ?2, zeroblob(?3)) ON CONFLICT (id) DO UPDATE SET name = name || 'x', cover = \
               excluded.cover";
    let name = format!("item {id}");
    database.execute(sql, &[id.into(), name.as_str().into(), (bytes as i64).into()], soon()).unwrap();
}

/// Runs SQL of the host while no transaction is open.
fn as_host(database: &Database, sql: &str) {
    let lease = database.writer.exclusive(soon()).unwrap();
    lease.connection().unwrap().run_as_host(sql).unwrap();
    lease.connection().unwrap().log_frames().unwrap();
    database.writer.give_back(lease);
}

/// What a follower has handed out, as a file.
struct Replica {
    follower: Follower,
    bytes: Vec<u8>,
    whole: bool,
}

impl Replica {
    fn new(database: &Arc<Database>) -> Self {
        Self { follower: database.follow().unwrap(), bytes: Vec::new(), whole: false }
    }

    /// The next pages of the base; whether there are more.
    fn read_base(&mut self, count: u32) -> bool {
        let page = self.follower.page_bytes();
        let first = self.bytes.len() as u32 / page + 1;
        if first > self.follower.base_pages() {
            return false;
        }
        let count = count.min(self.follower.base_pages() + 1 - first);
        assert_eq!(self.follower.read_base(first, count, &mut self.bytes).unwrap(), count);
        true
    }

    fn read_all_of_base(&mut self) {
        while self.read_base(7) {}
    }

    /// Takes what there is; whether there was anything.
    fn take(&mut self) -> bool {
        let Some(changes) = self.follower.changes().unwrap() else {
            self.whole = true;
            return false;
        };
        let page = self.follower.page_bytes() as usize;
        self.bytes.resize(changes.file_pages as usize * page, 0);
        for (number, image) in &changes.pages {
            let at = (*number as usize - 1) * page;
            self.bytes[at..at + page].copy_from_slice(image);
        }
        self.whole = changes.whole;
        true
    }

    fn take_all(&mut self) {
        while self.take() {}
        assert!(self.whole);
    }

    /// Opens it as the same context's file, in a folder with the same keys.
    fn open(&self, of: &Fixture, kind: Kind, folder: &TempDir) -> Arc<Database> {
        let keys = of.folder.path().join("keys");
        if keys.exists() {
            private::folder(&folder.path().join("keys")).unwrap();
            for entry in std::fs::read_dir(keys).unwrap() {
                let entry = entry.unwrap();
                private::copy(&entry.path(), &folder.path().join("keys").join(entry.file_name())).unwrap();
            }
        }
        let config = config_of(kind, folder.path());
        private::folder(config.path.parent().unwrap()).unwrap();
        std::fs::write(&config.path, &self.bytes).unwrap();
        Database::open(config).unwrap()
    }

    /// The replica holds what the file holds, and SQLite finds no fault in it.
    fn is(&self, of: &Fixture, kind: Kind) {
        let folder = TempDir::new().unwrap();
        let replica = self.open(of, kind, &folder);
        replica.quick_check().unwrap();
        assert_eq!(of.differences(&replica).unwrap(), [], "{kind:?}");
        assert_eq!(replica.differences(of).unwrap(), [], "{kind:?}");
        assert!(replica.verify_seals().unwrap().words().is_none());
    }
}

fn log_bytes(database: &Database) -> u64 {
    database.statistics().wal_bytes
}

#[test]
fn base_and_changes_are_the_file_byte_for_byte() {
    for &kind in KINDS {
        let shop = followed(kind);
        (0..40).for_each(|id| put(&shop, id, 9_000));
        as_host(&shop, "PRAGMA wal_checkpoint(TRUNCATE)");
        let mut replica = Replica::new(&shop);
        (0..20).for_each(|id| put(&shop, id, 100));
        replica.read_all_of_base();
        shop.execute("INSERT INTO item_log VALUES (1, 'kept')", &[], soon()).unwrap();
        replica.take_all();
        replica.is(&shop, kind);
        put(&shop, 100, 50_000);
        shop.close().unwrap();
        replica.take_all();
        assert!(std::fs::read(shop.path()).unwrap() == replica.bytes, "{kind:?}");
    }
}

#[test]
fn a_file_that_is_written_copied_back_and_shrunk_meanwhile_is_followed() {
    for &kind in KINDS {
        let shop = followed(kind);
        let mut random = StdRng::seed_from_u64(7);
        let small = shop.folder.path().join("stores/small.db");
        drop(shop.copy(&small).unwrap());
        (0..200).for_each(|id| put(&shop, id, 3_000));
        as_host(&shop, "PRAGMA wal_checkpoint(TRUNCATE)");
        let mut replica = Replica::new(&shop);
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (database, ends) = (shop.database.clone(), &ends);
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(writer);
                    while !ends.load(Ordering::Relaxed) {
                        put(&database, random.random_range(0..400), random.random_range(10..12_000));
                    }
                });
            }
            for step in 0..60 {
                match random.random_range(0..6) {
                    0 => copy_back(&shop, "PASSIVE"),
                    1 => copy_back(&shop, "TRUNCATE"),
                    2 => {
                        shop.execute("DELETE FROM item WHERE id > 300", &[], soon()).unwrap();
                    }
                    3 if step % 4 == 0 => shop.restore(&small, None).unwrap(),
                    4 => {
                        replica.read_base(30);
                    }
                    // A change is no base: only once the base is there, changes are applied.
                    _ if step > 40 => {
                        replica.read_all_of_base();
                        replica.take();
                    }
                    _ => {}
                }
            }
            ends.store(true, Ordering::Relaxed);
        });
        replica.read_all_of_base();
        replica.take_all();
        replica.is(&shop, kind);
        let before = log_bytes(&shop);
        copy_back(&shop, "TRUNCATE");
        assert!(before > 0 && log_bytes(&shop) == 0, "the log is not kept for it");
    }
}

/// A checkpoint as the writer makes one.
fn copy_back(database: &Database, mode: &str) {
    let lease = database.writer.exclusive(soon()).unwrap();
    let connection = lease.connection().unwrap();
    if database.writer.may_copy_back(connection, crate::tails::Lag::Wait) {
        connection.run_as_host(&format!("PRAGMA wal_checkpoint({mode})")).unwrap();
    }
    database.writer.give_back(lease);
}

#[test]
fn a_state_of_before_a_migration_and_a_kept_promise_are_followed() {
    for &kind in KINDS {
        let shop = followed(kind);
        put(&shop, 1, 10);
        let point = shop.folder.path().join("stores/point.db");
        drop(shop.copy(&point).unwrap());
        let mut replica = Replica::new(&shop);
        replica.read_all_of_base();
        (2..30).for_each(|id| put(&shop, id, 5_000));
        replica.take_all();
        replica.is(&shop, kind);
        shop.restore(&point, None).unwrap();
        replica.take_all();
        replica.is(&shop, kind);
        assert_eq!(shop.items(), 1);
        let mut branch = shop.begin_branch(soon()).unwrap();
        branch.execute("INSERT INTO item VALUES (77, 'promised', NULL)", &[], soon()).unwrap();
        let voted = branch.vote(&Vote::new("4e1f", "orders", 7)).unwrap();
        assert!(!replica.take(), "a promise is no commit");
        voted.commit().unwrap();
        replica.take_all();
        replica.is(&shop, kind);
    }
}

#[test]
fn a_transaction_that_was_rolled_back_after_its_pages_were_logged_is_not_handed_out() {
    let shop = followed(Kind::Plain);
    put(&shop, 1, 10);
    let mut replica = Replica::new(&shop);
    replica.read_all_of_base();
    replica.take_all();
    let mut open = shop.begin(soon()).unwrap();
    open.execute("INSERT INTO item VALUES (2, 'never', zeroblob(100000))", &[], soon()).unwrap();
    drop(open);
    assert!(!replica.take());
    put(&shop, 3, 10);
    replica.take_all();
    replica.is(&shop, Kind::Plain);
}

#[test]
fn the_log_of_a_follower_that_asks_for_nothing_is_copied_back_until_it_has_too_much() {
    let shop = followed(Kind::Plain);
    let mut replica = Replica::new(&shop);
    replica.read_all_of_base();
    // The same pages again and again: the follower keeps their last images.
    for _ in 0..40 {
        put(&shop, 1, 1_000_000);
    }
    assert!(shop.statistics().checkpoints > 0 && log_bytes(&shop) < 20 << 20, "{}", log_bytes(&shop));
    // Other pages each time: more than it may keep.
    for id in 2..40 {
        put(&shop, id, 1_000_000);
    }
    let kept = log_bytes(&shop);
    copy_back(&shop, "TRUNCATE");
    assert_eq!(log_bytes(&shop), kept, "what it has not taken stays");
    replica.take_all();
    replica.is(&shop, Kind::Plain);
    copy_back(&shop, "TRUNCATE");
    assert_eq!(log_bytes(&shop), 0);
}

#[test]
fn a_follower_that_lags_too_far_is_let_go_and_says_so() {
    let shop = followed(Kind::Plain);
    let mut lagging = shop.follow().unwrap();
    for id in 2..40 {
        put(&shop, id, 1_000_000);
    }
    let lease = shop.writer.exclusive(soon()).unwrap();
    assert!(shop.writer.may_copy_back(lease.connection().unwrap(), crate::tails::Lag::LetGo));
    shop.writer.give_back(lease);
    // What it has taken is still a state of the file.
    assert!(lagging.changes().unwrap().is_some());
    let error = lagging.changes().unwrap_err();
    assert!(error.to_string().contains("lagged too far behind"), "{error}");
    assert!(matches!(lagging.read_base(1, 1, &mut Vec::new()), Err(FollowError::LetGo { .. })));
    let mut replica = Replica::new(&shop);
    replica.read_all_of_base();
    replica.take_all();
    replica.is(&shop, Kind::Plain);
}

#[test]
fn a_follower_of_a_file_that_was_opened_again_after_a_failure_is_let_go() {
    let shop = followed(Kind::Plain);
    let mut follower = shop.follow().unwrap();
    let mut lease = shop.writer.exclusive(soon()).unwrap();
    lease.lose_connection();
    shop.writer.give_back(lease);
    put(&shop, 1, 10);
    assert!(matches!(follower.changes(), Err(FollowError::LetGo { .. })));
}

#[test]
fn two_followers_see_the_same_and_one_that_goes_away_holds_nothing() {
    let shop = followed(Kind::Plain);
    let mut first = Replica::new(&shop);
    first.read_all_of_base();
    put(&shop, 1, 100_000);
    let mut second = Replica::new(&shop);
    second.read_all_of_base();
    put(&shop, 2, 100_000);
    copy_back(&shop, "TRUNCATE");
    put(&shop, 3, 10);
    first.take_all();
    first.is(&shop, Kind::Plain);
    drop(first);
    second.take_all();
    second.is(&shop, Kind::Plain);
    drop(second);
    assert!(!shop.writer.tails.are_any());
}

#[test]
fn a_log_that_was_changed_on_the_disk_is_not_handed_out() {
    use std::os::unix::fs::FileExt as _;
    let shop = followed(Kind::Plain);
    let mut follower = shop.follow().unwrap();
    put(&shop, 1, 10);
    let log: PathBuf = crate::log_file::path_of(shop.path());
    let file = std::fs::File::options().write(true).open(log).unwrap();
    file.write_all_at(b"changed", 32 + 24 + 100).unwrap();
    let error = follower.changes().unwrap_err();
    assert!(error.to_string().contains("frame 1 of the log"), "{error}");
}
