//! What a build of SQLite costs: the measurement behind `decisions/0016-the-host-encrypts.md`.
//!
//! `file_bench WORK [FOLDER]` runs one work once, on a new file on the disk that FOLDER is on, and prints its
//! nanoseconds for one operation, of 20 blocks the median and the least; `file_bench all` runs all of them; `key=KEY`
//! as a third word encrypts the file.
//! To compare two builds, run them by turns: a median of one run says little on a busy machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_packed::Packer;
use seam_store::{Config, Database, KeySource, Migration, migrate, private};

const BLOCKS: i64 = 20;
const ROWS: i64 = 20_000;
const SCHEMA: &str = "
CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price INTEGER NOT NULL) STRICT;
CREATE TABLE entry (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE INDEX entry_by_item ON entry (item);
CREATE VIRTUAL TABLE words USING fts5 (title, tokenize = 'unicode61');
INSERT INTO item WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
    SELECT i, 'the ' || (i % 97) || ' songs of ' || (i % 1009) || ' nights and ' || i || ' days', i FROM n;
INSERT INTO words (rowid, title) SELECT id, title FROM item;";

/// Name, operations, and what one of them is.
type Work = (&'static str, i64, fn(&Arc<Database>, i64));

const WORKS: [Work; 6] = [
    ("point-read", 40_000, |shop, i| {
        shop.query("SELECT title, price FROM item WHERE id = ?1", &[spread(i).into()], soon()).unwrap();
    }),
    ("100-rows", 3_000, |shop, i| {
        let sql = "SELECT id, title, price FROM item WHERE id > ?1 ORDER BY id LIMIT 100";
        shop.query(sql, &[(spread(i) % (ROWS - 100)).into()], soon()).unwrap();
    }),
    ("search", 2_000, |shop, i| {
        let sql = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rank LIMIT 20";
        let word = (spread(i) % 1009).to_string();
        shop.query(sql, &[word.as_str().into()], soon()).unwrap();
    }),
    ("autocommit", 300, |shop, i| {
        shop.execute("UPDATE item SET price = price + 1 WHERE id = ?1", &[spread(i).into()], soon()).unwrap();
    }),
    // 16 callers side by side, 40 transactions each.
    ("group-commit", 640, |shop, i| transaction(shop, i)),
    // One transaction with 1,000 rows.
    ("bulk-insert", 60, |shop, i| {
        let mut rows = Packer::new(2, 64 * 1024);
        for n in 0..1_000 {
            rows.integer(spread(i * 1_000 + n));
            rows.text(b"a note of some length, as they are").unwrap();
        }
        shop.execute_many("INSERT INTO entry (item, note) VALUES (?1, ?2)", &rows.finish(), soon()).unwrap();
    }),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = words.first().map_or("all", String::as_str);
    let base = words.get(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = base.join(format!("file-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = words.get(2).and_then(|word| word.strip_prefix("key=")).map(|key| {
        let path = folder.join("bench.key");
        private::write(&path, key.as_bytes()).unwrap();
        KeySource::File(path)
    });
    let opened = Instant::now();
    let database = Database::open(Config { key, ..Config::plain(folder.join("bench.db"), 1024) }).unwrap();
    migrate(&database, &[Migration { number: 1, name: "shop".into(), sql: SCHEMA.into() }]).unwrap();
    println!("{:<14} {:>12.0} {:>12.0}", "open", opened.elapsed().as_nanos() as f64, 0.0);
    for (name, times, run) in WORKS {
        if asked != "all" && asked != name {
            continue;
        }
        // In blocks: the least of them is what the work costs when nothing else runs on this processor.
        let mut blocks: Vec<f64> = (0..BLOCKS)
            .map(|block| {
                let (first, each) = (block * times / BLOCKS, times / BLOCKS);
                let started = Instant::now();
                if name == "group-commit" {
                    std::thread::scope(|scope| {
                        for caller in 0..16 {
                            let database = &database;
                            scope.spawn(move || {
                                (0..each / 16).for_each(|i| run(database, first + caller * 1_000 + i));
                            });
                        }
                    });
                } else {
                    (first..first + each).for_each(|i| run(&database, i));
                }
                started.elapsed().as_nanos() as f64 / each as f64
            })
            .collect();
        blocks.sort_by(f64::total_cmp);
        println!("{name:<14} {:>12.0} {:>12.0}", blocks[blocks.len() / 2], blocks[0]);
    }
    drop(database);
    std::fs::remove_dir_all(folder).unwrap();
}

fn transaction(shop: &Arc<Database>, i: i64) {
    let (item, deadline) = (spread(i), soon());
    let mut tx = shop.begin(deadline).unwrap();
    tx.query("SELECT price FROM item WHERE id = ?1", &[item.into()], deadline).unwrap();
    tx.execute("UPDATE item SET price = price - 1 WHERE id = ?1", &[item.into()], deadline).unwrap();
    tx.execute("INSERT INTO entry (item, note) VALUES (?1, 'sold')", &[item.into()], deadline).unwrap();
    tx.commit().unwrap();
}

/// The i-th of the items, in an order that is no order.
fn spread(i: i64) -> i64 {
    (i * 7_919) % ROWS + 1
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}
