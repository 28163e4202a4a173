//! The backup of one file in a folder, driven step by step.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use seam_store::{Bond, Config, Migration, Rows, Term, Value, migrate};
use tempfile::TempDir;

use super::*;
use crate::backup::continuous::destination::Item;
use crate::backup::continuous::history::{HistoryError, advance, fence, fetch};
use crate::manifest::BackupTo;

struct Shop {
    folder: TempDir,
    database: Arc<Database>,
    ship: Ship,
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn count(database: &Database) -> i64 {
    let packed = database.query("SELECT count(*) FROM item", &[], soon()).unwrap();
    let mut row = Vec::new();
    assert!(Rows::new(&packed).unwrap().next_into(&mut row).unwrap());
    match row[..] {
        [Value::Integer(count)] => count,
        ref other => panic!("{other:?}"),
    }
}

fn settings(folder: &TempDir, keep: Duration) -> BackupSettings {
    BackupSettings { to: BackupTo::Folder(folder.path().join("copies")), every: Duration::from_secs(1), keep }
}

impl Shop {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(Config::plain(folder.path().join("shop.db"), 64)).unwrap();
        let table = "CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
        migrate(&database, &[Migration { number: 1, name: "item".into(), sql: table.into() }]).unwrap();
        let ship = Self::ship(&folder, &database);
        Self { folder, database, ship }
    }

    fn ship(folder: &TempDir, database: &Arc<Database>) -> Ship {
        let settings = settings(folder, Duration::from_secs(1 << 30));
        let spool = Spool::open(folder.path().join("spool")).unwrap();
        let board = Arc::new(Board::new(&prometheus::Registry::new()).unwrap());
        let database = database.clone();
        let source = Box::new(move || Some(database.clone()));
        Ship::new("shop".into(), source, (Destination::of(&settings).unwrap(), &settings), spool, board)
    }

    fn add(&self, count: u32) {
        for _ in 0..count {
            let sql = "INSERT INTO item (text) VALUES (hex(randomblob(600)))";
            self.database.execute(sql, &[], soon()).unwrap();
        }
    }

    fn status(&self) -> BackupStatus {
        self.ship.board.of("shop").unwrap()
    }

    /// Lets it run until all is stored; the time of the last state.
    fn settle(&mut self) -> u64 {
        for _ in 0..1_000 {
            self.step();
            let following = self.ship.following.as_ref();
            let quiet = following.is_some_and(|following| following.live.is_some() && following.imaging.is_none());
            if quiet && self.ship.work.is_none() && !self.ship.has_work() && !self.ship.has_work_aside() {
                assert_eq!((self.status().behind_ms, self.status().why), (0, None));
                return self.status().stored_ms.unwrap();
            }
        }
        panic!("it does not end: {:?}", self.status());
    }

    /// Looks for changes once, and lets a request run to its end.
    fn step(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            self.ship.last_look();
            self.ship.tick();
            if let Some(work) = self.ship.work.take() {
                self.ship.finished = Some(work.await);
                self.ship.last_look();
                self.ship.tick();
            }
            if let Some(work) = self.ship.work.take() {
                self.ship.finished = Some(work.await);
            }
            if let Some(work) = self.ship.work_aside.take() {
                self.ship.finished_aside = Some(work.await);
            }
        });
    }

    /// How many items the state at a time has.
    fn items_at(&self, at_ms: Option<u64>) -> Result<i64, HistoryError> {
        let scratch = TempDir::new().unwrap();
        let path = scratch.path().join("shop.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(fetch(&self.ship.to, "shop", at_ms, (&path, scratch.path())))?;
        let restored = Database::open(Config::plain(path, 64)).unwrap();
        restored.quick_check().unwrap();
        Ok(count(&restored))
    }

    fn files(&self, level: &str) -> Vec<PathBuf> {
        let folder = self.folder.path().join("copies/shop/ltx").join(level);
        let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    }
}

#[test]
fn every_state_that_was_stored_is_found_by_its_time() {
    let mut shop = Shop::new();
    shop.add(3);
    let mut states = vec![(shop.settle(), 3)];
    for round in 0..12 {
        shop.add(1 + round % 3);
        if round == 5 {
            // A later snapshot, beside deltas that go on.
            shop.ship.deltas = limits::BACKUP_DELTAS_MAX;
        }
        states.push((shop.settle(), count(&shop.database)));
    }
    assert_eq!(shop.files("9").len(), 2);
    for (at, items) in &states {
        assert_eq!(shop.items_at(Some(*at)).unwrap(), *items, "{states:?}");
    }
    assert_eq!(shop.items_at(None).unwrap(), count(&shop.database));
    assert!(matches!(shop.items_at(Some(states[0].0 - 1)), Err(HistoryError::None { .. })));
    // Nothing was written, so nothing is stored.
    let before = (shop.files("0").len(), shop.files("9").len());
    shop.step();
    assert_eq!((shop.files("0").len(), shop.files("9").len()), before);
}

#[test]
fn a_delta_that_is_missing_is_named_with_the_last_whole_state() {
    let mut shop = Shop::new();
    let mut times = vec![shop.settle()];
    for _ in 0..4 {
        shop.add(1);
        times.push(shop.settle());
    }
    let missing = shop.files("0").remove(2);
    std::fs::remove_file(&missing).unwrap();
    let Err(HistoryError::Missing { whole_ms, .. }) = shop.items_at(None) else { panic!("nothing is missing") };
    assert_eq!(whole_ms, times[2]);
    assert_eq!(shop.items_at(Some(whole_ms)).unwrap(), 2);
}

#[test]
fn what_waits_while_the_store_is_away_is_bounded_and_then_a_snapshot_is_stored() {
    let mut shop = Shop::new();
    shop.add(2);
    let before = shop.settle();
    let (copies, away) = (shop.folder.path().join("copies"), shop.folder.path().join("away"));
    std::fs::rename(&copies, &away).unwrap();
    std::fs::write(&copies, "no folder").unwrap();
    shop.ship.waiting_bytes_max = 30_000;
    for _ in 0..40 {
        shop.add(1);
        shop.step();
        assert!(shop.ship.spool.delta_bytes() < 100_000);
    }
    assert!(shop.ship.overflowed && shop.status().behind_ms > 0 && shop.status().why.is_some());
    assert!(shop.ship.following.is_none(), "the log is not kept for it");
    std::fs::remove_file(&copies).unwrap();
    std::fs::rename(&away, &copies).unwrap();
    shop.settle();
    assert_eq!((shop.items_at(None).unwrap(), shop.items_at(Some(before)).unwrap()), (42, 2));
}

#[test]
fn what_waited_when_the_host_ended_is_stored_by_the_next_start_before_its_snapshot() {
    let mut shop = Shop::new();
    shop.settle();
    shop.add(1);
    shop.ship.last_look();
    // It is taken, and its request does not end.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { shop.ship.tick() });
    let item: Item = shop.ship.spool.next().unwrap().0.clone();
    drop(runtime);
    shop.ship = Shop::ship(&shop.folder, &shop.database);
    shop.add(1);
    shop.settle();
    assert_eq!((shop.items_at(Some(item.at_ms)).unwrap(), shop.items_at(None).unwrap()), (1, 2));
}

#[test]
fn another_host_that_stores_under_the_same_name_is_noticed_and_nothing_of_it_replaced() {
    let mut shop = Shop::new();
    shop.settle();
    let next = shop.ship.last.unwrap() + 1;
    let taken = shop.folder.path().join("copies/shop/ltx/0");
    std::fs::create_dir_all(&taken).unwrap();
    let taken = taken.join(format!("{next:016x}-{next:016x}.ltx"));
    std::fs::write(&taken, "of another host").unwrap();
    shop.add(5);
    shop.settle();
    assert_eq!(std::fs::read(&taken).unwrap(), b"of another host");
    assert_eq!(shop.items_at(None).unwrap(), 5);
}

#[test]
fn what_no_state_within_the_time_needs_is_forgotten() {
    let mut shop = Shop::new();
    shop.settle();
    shop.add(3);
    let kept = shop.settle();
    shop.ship.keep = Duration::ZERO;
    shop.ship.deltas = limits::BACKUP_DELTAS_MAX;
    shop.settle();
    let last = shop.settle();
    assert_eq!((shop.files("9").len(), shop.files("0").len()), (1, 0));
    assert!(shop.items_at(Some(kept)).is_err());
    assert_eq!(shop.items_at(Some(last)).unwrap(), 3);
}

/// A copy of the newest state, as a standby has it, and the number of its last transaction.
fn copied(shop: &Shop, scratch: &TempDir) -> (PathBuf, u64) {
    let path = scratch.path().join("copy.db");
    let fetching = fetch(&shop.ship.to, "shop", None, (&path, scratch.path()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let last = runtime.block_on(fetching).unwrap().last;
    (path, last)
}

#[test]
fn what_a_host_would_store_that_has_lost_its_lease_is_not_stored() {
    let mut shop = Shop::new();
    let term = Arc::new(Term::default());
    shop.database.bind(&Bond { term: Some(term.clone()), copies: None });
    term.extend(Instant::now(), Duration::from_secs(60));
    shop.ship.leased = true;
    shop.add(3);
    shop.settle();
    let scratch = TempDir::new().unwrap();
    let (copy, last) = copied(&shop, &scratch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fences = |last| runtime.block_on(fence(&shop.ship.to, "shop", last, (&copy, scratch.path()))).unwrap();
    // The owner's last commit is on its way when the standby fences the backup.
    assert!(fences(last) && !fences(last), "the next number is there once");
    shop.add(1);
    term.end();
    shop.step();
    assert_eq!((shop.ship.spool.next().is_some(), shop.items_at(None).unwrap()), (true, 3));
    // Even if it had a term: the number is taken, by other bytes.
    term.extend(Instant::now(), Duration::from_secs(60));
    let (item, path) = shop.ship.spool.next().unwrap();
    let put = runtime.block_on(shop.ship.to.put("shop", item, &path)).unwrap();
    assert_eq!(put, Put::Taken);
    assert_eq!(shop.items_at(None).unwrap(), 3, "what is there is what the standby has");
}

#[test]
fn a_copy_is_brought_on_delta_by_delta() {
    let mut shop = Shop::new();
    shop.add(3);
    shop.settle();
    let scratch = TempDir::new().unwrap();
    let (copy, mut last) = copied(&shop, &scratch);
    for _ in 0..4 {
        shop.add(2);
        shop.settle();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let advance = |last| runtime.block_on(advance(&shop.ship.to, "shop", last, (&copy, scratch.path()))).unwrap();
    while advance(last).is_some() {
        last += 1;
    }
    assert_eq!(count(&Database::open(Config::plain(copy.clone(), 64)).unwrap()), 11);
}

#[test]
fn a_commit_that_waits_is_answered_when_the_store_of_backups_has_it() {
    let mut shop = Shop::new();
    let copies = Arc::new(Copies::new(|| {}));
    shop.database.bind(&Bond { term: None, copies: Some(copies.clone()) });
    shop.ship.copies = Some(copies.clone());
    shop.settle();
    for round in 1..4 {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let database = shop.database.clone();
                std::thread::spawn(move || database.execute("INSERT INTO item (text) VALUES ('x')", &[], soon()))
            })
            .collect();
        // A commit is seen before its writer waits.
        let until = soon();
        while !copies.are_behind() || count(&shop.database) < 3 * round {
            assert!(std::time::Instant::now() < until, "all are written, and wait");
            std::thread::yield_now();
        }
        assert!(writers.iter().any(|writer| !writer.is_finished()));
        while writers.iter().any(|writer| !writer.is_finished()) {
            shop.step();
        }
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
        assert_eq!(shop.items_at(None).unwrap(), 3 * round, "all that was answered is stored");
    }
}

#[test]
fn a_commit_does_not_wait_for_a_later_snapshot_that_is_on_its_way() {
    let mut shop = Shop::new();
    let copies = Arc::new(Copies::new(|| {}));
    shop.settle();
    shop.add(3);
    shop.ship.deltas = limits::BACKUP_DELTAS_MAX;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        while shop.ship.spool.aside().is_none() {
            shop.ship.last_look();
            shop.ship.tick();
            if let Some(work) = shop.ship.work.take() {
                shop.ship.finished = Some(work.await);
            }
        }
    });
    shop.ship.work_aside.take().unwrap().abort();
    shop.ship.work_aside = Some(runtime.spawn(std::future::pending()));
    shop.database.bind(&Bond { term: None, copies: Some(copies.clone()) });
    shop.ship.copies = Some(copies.clone());
    let database = shop.database.clone();
    let writer = std::thread::spawn(move || database.execute("INSERT INTO item (text) VALUES ('x')", &[], soon()));
    let until = soon();
    while !writer.is_finished() {
        assert!(Instant::now() < until, "it is stored, and answered");
        runtime.block_on(async {
            shop.ship.last_look();
            shop.ship.tick();
            if let Some(work) = shop.ship.work.take() {
                shop.ship.finished = Some(work.await);
            }
        });
    }
    writer.join().unwrap().unwrap();
    assert_eq!(shop.items_at(None).unwrap(), 4);
    shop.ship.work_aside = None;
    shop.settle();
    assert_eq!((shop.files("9").len(), shop.items_at(None).unwrap()), (2, 4));
}
