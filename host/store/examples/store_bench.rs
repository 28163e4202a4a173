//! Checked-out connection or writer thread: the measurement behind `decisions/0003-checked-out-writer.md`.
//!
//! `cargo run --release --example store_bench -p seam-store [FOLDER]` prints medians of both, interleaved, on the disk
//! that FOLDER is on.
//! A transaction is what a guest sends: begin, three statements one by one, commit. Both group commits; both use
//! `synchronous=FULL`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use seam_store::{Config, Database, Migration, migrate};

const SCHEMA: &str = "CREATE TABLE stock (sku INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
INSERT INTO stock WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i, 1000000 FROM n;
CREATE TABLE entry (id INTEGER PRIMARY KEY, sku INTEGER NOT NULL, amount INTEGER NOT NULL) STRICT;";
const TAKE: &str = "UPDATE stock SET amount = amount - 1 WHERE sku = ?1";
const NOTE: &str = "INSERT INTO entry (sku, amount) VALUES (?1, -1)";
const LOOK: &str = "SELECT amount FROM stock WHERE sku = ?1";
const ROUNDS: usize = 5;

fn main() {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = base.join(format!("store-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let database = Database::open(Config::plain(folder.join("out.db"), 1024)).unwrap();
    migrate(&database, &[Migration { number: 1, name: "stock".into(), sql: SCHEMA.into() }]).unwrap();
    let thread = WriterThread::start(&folder.join("thread.db"));

    println!("{:>8} {:>24} {:>24}", "callers", "checked-out connection", "writer thread");
    for callers in [1, 4, 16, 64] {
        let (mut out, mut hop) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            out.push(commits_per_s(callers, |sku| checked_out(&database, sku)));
            hop.push(commits_per_s(callers, |sku| thread.transaction(sku)));
        }
        println!("{callers:>8} {:>22.0}/s {:>22.0}/s", median(&mut out), median(&mut hop));
    }

    println!("\nmicroseconds for one transaction without its fsync (rolled back), one caller");
    let (mut out, mut hop) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        out.push(micros(2_000, |sku| {
            let deadline = soon();
            let mut tx = database.begin(deadline).unwrap();
            statements(&mut tx, sku, deadline);
            tx.rollback().unwrap();
        }));
        hop.push(micros(2_000, |sku| thread.undone(sku)));
    }
    println!("{:>8} {:>22.1}us {:>22.1}us", 1, median(&mut out), median(&mut hop));

    println!("\nmicroseconds for one read of one row");
    let mut read = (0..ROUNDS)
        .map(|_| micros(20_000, |sku| drop(database.query(LOOK, &[sku.into()], soon()).unwrap())))
        .collect::<Vec<_>>();
    println!("{:>8} {:>22.2}us", 1, median(&mut read));
    println!("\n{:?}", database.statistics());
    drop((database, thread));
    std::fs::remove_dir_all(folder).unwrap();
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn micros(times: usize, mut run: impl FnMut(i64)) -> f64 {
    let started = Instant::now();
    for i in 0..times {
        run(i as i64 % 1000 + 1);
    }
    started.elapsed().as_secs_f64() * 1e6 / times as f64
}

fn commits_per_s(callers: usize, run: impl Fn(i64) + Sync) -> f64 {
    let each = (400 / callers).max(20);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let run = &run;
            scope.spawn(move || (0..each).for_each(|i| run(((caller * 37 + i) % 1000 + 1) as i64)));
        }
    });
    (callers * each) as f64 / started.elapsed().as_secs_f64()
}

fn checked_out(database: &Arc<Database>, sku: i64) {
    let deadline = soon();
    let mut tx = database.begin(deadline).unwrap();
    statements(&mut tx, sku, deadline);
    tx.commit().unwrap();
}

fn statements(tx: &mut seam_store::Transaction, sku: i64, deadline: Instant) {
    tx.query(LOOK, &[sku.into()], deadline).unwrap();
    tx.execute(TAKE, &[sku.into()], deadline).unwrap();
    tx.execute(NOTE, &[sku.into()], deadline).unwrap();
}

/// The alternative: one thread has the connection, and every statement of a transaction is a message to it and back.
struct WriterThread {
    calls: Sender<Call>,
}

/// A transaction's own line to the thread, for as long as it lasts.
type Call = Receiver<(Step, SyncSender<i64>)>;

enum Step {
    Query(&'static str, i64),
    Execute(&'static str, i64),
    Commit,
    Rollback,
}

impl WriterThread {
    fn start(path: &Path) -> Self {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA mmap_size = 0",
        )
        .unwrap();
        conn.execute_batch(SCHEMA).unwrap();
        let (calls, queue) = channel::<Call>();
        std::thread::spawn(move || {
            let mut next = queue.recv().ok();
            while let Some(first) = next.take() {
                conn.execute_batch("BEGIN IMMEDIATE").unwrap();
                let (mut waiting, mut call) = (Vec::new(), Some(first));
                let began = Instant::now();
                while let Some(this) = call.take() {
                    serve(&conn, this, &mut waiting);
                    if waiting.len() < 64 && began.elapsed() < Duration::from_millis(5) {
                        call = queue.try_recv().ok();
                    }
                }
                conn.execute_batch("COMMIT").unwrap();
                waiting.drain(..).for_each(|done: SyncSender<i64>| done.send(0).unwrap());
                next = queue.recv().ok();
            }
        });
        Self { calls }
    }

    fn transaction(&self, sku: i64) {
        self.run(sku, Step::Commit);
    }

    fn undone(&self, sku: i64) {
        self.run(sku, Step::Rollback);
    }

    fn run(&self, sku: i64, end: Step) {
        let (steps, line) = channel();
        self.calls.send(line).unwrap();
        for step in [Step::Query(LOOK, sku), Step::Execute(TAKE, sku), Step::Execute(NOTE, sku), end] {
            let (done, answer) = sync_channel(1);
            steps.send((step, done)).unwrap();
            answer.recv().unwrap();
        }
    }
}

fn serve(conn: &Connection, call: Call, waiting: &mut Vec<SyncSender<i64>>) {
    conn.execute_batch("SAVEPOINT seam").unwrap();
    while let Ok((step, done)) = call.recv() {
        match step {
            Step::Query(sql, sku) => {
                let amount = conn.prepare_cached(sql).unwrap().query_row([sku], |row| row.get(0)).unwrap();
                done.send(amount).unwrap();
            }
            Step::Execute(sql, sku) => {
                conn.prepare_cached(sql).unwrap().execute([sku]).unwrap();
                done.send(0).unwrap();
            }
            Step::Commit => {
                conn.execute_batch("RELEASE seam").unwrap();
                waiting.push(done);
                return;
            }
            Step::Rollback => {
                conn.execute_batch("ROLLBACK TO seam; RELEASE seam").unwrap();
                done.send(0).unwrap();
                return;
            }
        }
    }
}
