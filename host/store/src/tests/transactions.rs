//! Transactions: turns, groups, and what is left when one ends badly.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};

use super::*;

const INSERT: &str = "INSERT INTO item (name) VALUES (?1)";

#[test]
fn a_dropped_transaction_leaves_nothing_and_the_next_begins_at_once() {
    let shop = shop();
    for _ in 0..3 {
        let mut tx = shop.begin(soon()).unwrap();
        tx.execute(INSERT, &["gone".into()], soon()).unwrap();
        drop(tx);
        assert_eq!(shop.items(), 0);
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut tx = shop.begin(soon()).unwrap();
        tx.execute(INSERT, &["gone".into()], soon()).unwrap();
        panic!("a guest's host call goes wrong");
    }));
    assert!(panicked.is_err());
    shop.add("stays").unwrap();
    assert_eq!((shop.items(), shop.statistics().rollbacks), (1, 4));
}

#[test]
fn an_error_in_a_transaction_undoes_its_statement_alone() {
    let shop = shop();
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute(INSERT, &["a".into()], soon()).unwrap();
    assert_eq!(case(&tx.execute(INSERT, &["a".into()], soon())), "constraint");
    tx.execute(INSERT, &["b".into()], soon()).unwrap();
    tx.commit().unwrap();
    assert_eq!(shop.items(), 2);
}

#[test]
fn a_deferred_foreign_key_is_the_error_of_its_own_transaction() {
    let shop = shop();
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO part VALUES (5)", &[], soon()).unwrap();
    assert_eq!(case(&tx.commit()), "constraint");
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO part VALUES (5)", &[], soon()).unwrap();
    tx.execute("INSERT INTO item (id, name) VALUES (5, 'made later')", &[], soon()).unwrap();
    tx.commit().unwrap();
    assert_eq!(shop.number("SELECT count(*) FROM part"), 1);
}

/// The count of violations is the connection's: it holds those of the whole group. So each member has to be checked
/// before the next one joins.
#[test]
fn a_deferred_foreign_key_of_one_member_leaves_the_others_of_its_group() {
    // Time stands still: a group that gets old ends before its members are in it.
    let time = Clock::manual();
    let folder = TempDir::new().unwrap();
    let database = Database::open(Config { clock: time.clock(), ..config(&folder, 64) }).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    let shop = Fixture { database, folder };
    std::thread::scope(|scope| {
        let mut first = shop.begin(soon()).unwrap();
        first.execute("INSERT INTO item (id, name) VALUES (1, 'kept')", &[], soon()).unwrap();
        let orphan = scope.spawn(|| {
            let mut tx = shop.begin(soon()).unwrap();
            tx.execute("INSERT INTO part VALUES (5)", &[], soon()).unwrap();
            tx.commit()
        });
        wait_for_waiting(&shop, 1);
        let last = scope.spawn(|| {
            let mut tx = shop.begin(soon()).unwrap();
            tx.execute("INSERT INTO part VALUES (1)", &[], soon()).unwrap();
            tx.commit()
        });
        wait_for_waiting(&shop, 2);
        first.commit().unwrap();
        assert_eq!(case(&orphan.join().unwrap()), "constraint");
        last.join().unwrap().unwrap();
    });
    let statistics = shop.statistics();
    assert_eq!((shop.items(), shop.number("SELECT sum(item) FROM part")), (1, 1));
    assert_eq!((statistics.commits, statistics.groups), (2, 1), "the three were one group");
}

fn wait_for_waiting(shop: &Fixture, count: u64) {
    let started = Instant::now();
    while shop.statistics().waiting < count {
        assert!(started.elapsed() < Duration::from_secs(20), "no {count} transactions wait");
        std::thread::yield_now();
    }
}

#[test]
fn every_connection_syncs_each_commit_and_checks_keys_and_readers_do_not_write() {
    let folder = TempDir::new().unwrap();
    // As it is opened: a migration would switch foreign keys on, whatever they were.
    let database = Database::open(config(&folder, 64)).unwrap();
    // 2 is FULL: the log is synced at each commit.
    let settings = |connection: &crate::connection::Connection| {
        ["synchronous", "foreign_keys", "query_only"]
            .map(|name| connection.host_text(&format!("PRAGMA {name}")).unwrap())
    };
    let lease = database.writer.exclusive(soon()).unwrap();
    assert_eq!(settings(lease.connection().unwrap()), ["2", "1", "0"]);
    database.writer.give_back(lease);
    assert_eq!(settings(database.reader().unwrap().connection().unwrap()), ["2", "1", "1"]);
}

#[test]
fn a_transaction_that_waits_past_its_deadline_gets_an_error_and_leaves_the_queue() {
    let shop = shop();
    let tx = shop.begin(soon()).unwrap();
    let started = Instant::now();
    let result = shop.begin(in_ms(50));
    assert_eq!(case(&result), "busy");
    assert!(started.elapsed() >= Duration::from_millis(50) && started.elapsed() < Duration::from_secs(2));
    assert_eq!((shop.statistics().waiting, shop.statistics().refused), (0, 1));
    tx.commit().unwrap();
    shop.add("a").unwrap();
}

#[test]
fn a_transaction_holds_the_writer_no_longer_than_its_bound_and_a_group_that_is_old_commits() {
    let time = Clock::manual();
    let folder = TempDir::new().unwrap();
    let database = Database::open(Config { clock: time.clock(), ..config(&folder, 64) }).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    let deadline = time.now() + Duration::from_secs(3600);
    let mut tx = database.begin(deadline).unwrap();
    tx.execute(INSERT, &["in time".into()], deadline).unwrap();
    time.advance(Duration::from_millis(crate::limits::STORE_TRANSACTION_MS_MAX));
    assert_eq!(case(&tx.execute(INSERT, &["late".into()], deadline)), "interrupted");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let _tx = database.begin(deadline).unwrap();
            number_in(&database.query("SELECT count(*) FROM item", &[], deadline).unwrap())
        });
        while time.waiting() < 1 {
            std::thread::yield_now();
        }
        tx.commit().unwrap();
        assert_eq!(waits.join().unwrap(), 1, "the commit did not wait for the next transaction");
    });
    let waits_in_vain = std::thread::scope(|scope| {
        let _holds = database.begin(deadline).unwrap();
        let waits = scope.spawn(|| case(&database.begin(deadline)));
        while time.waiting() < 1 {
            std::thread::yield_now();
        }
        time.advance(Duration::from_secs(3600));
        waits.join().unwrap()
    });
    assert_eq!(waits_in_vain, "busy");
}

#[test]
fn a_long_write_holds_up_the_writes_of_its_file_and_no_read() {
    let shop = shop();
    shop.add("one").unwrap();
    let endless = "INSERT INTO part WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 1 FROM n";
    let end = in_ms(1_000);
    let (start, started) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            let mut tx = shop.begin(end).unwrap();
            start.send(()).unwrap();
            case(&tx.execute(endless, &[], end))
        });
        started.recv().unwrap();
        assert_eq!((shop.items(), Instant::now() < end), (1, true));
        shop.add("two").unwrap();
        assert!(Instant::now() >= end);
        assert_eq!(long.join().unwrap(), "interrupted");
    });
}

#[test]
fn the_queue_is_bounded_and_says_so_at_once() {
    let shop = shop();
    let tx = shop.begin(soon()).unwrap();
    let most = crate::limits::STORE_WRITE_QUEUE_MAX;
    std::thread::scope(|scope| {
        for i in 0..most {
            let shop = &shop;
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, move || shop.add(&format!("n{i}")).unwrap())
                .unwrap();
        }
        while shop.statistics().waiting < most as u64 {
            std::thread::yield_now();
        }
        assert_eq!(case(&shop.begin(soon())), "busy");
        tx.commit().unwrap();
    });
    assert_eq!(shop.items(), most as i64);
}

#[test]
fn transactions_get_the_writer_in_the_order_in_which_they_asked() {
    let shop = shop();
    let first = shop.begin(soon()).unwrap();
    let (order, orders) = mpsc::channel();
    std::thread::scope(|scope| {
        for i in 0..8_u64 {
            let (shop, order) = (&shop, order.clone());
            scope.spawn(move || {
                let tx = shop.begin(soon()).unwrap();
                order.send(i).unwrap();
                tx.commit().unwrap();
            });
            while shop.statistics().waiting <= i {
                std::thread::yield_now();
            }
        }
        drop(order);
        first.commit().unwrap();
    });
    assert_eq!(orders.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

type Work<'a> = Box<dyn FnOnce(Transaction) -> Result<(), Error> + Send + 'a>;

/// Lets `n` transactions wait behind one, so that they form a group, and returns what each of `work` came to.
fn as_a_group<T: Send>(shop: &Fixture, work: Vec<Box<dyn FnOnce(Transaction) -> T + Send + '_>>) -> Vec<T> {
    let gate = shop.begin(soon()).unwrap();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (i, work) in work.into_iter().enumerate() {
            threads.push(scope.spawn(move || work(shop.begin(soon()).unwrap())));
            while shop.statistics().waiting <= i as u64 {
                std::thread::yield_now();
            }
        }
        drop(gate);
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn insert(name: &'static str) -> Work<'static> {
    Box::new(move |mut tx| {
        tx.execute(INSERT, &[name.into()], soon())?;
        tx.commit()
    })
}

#[test]
fn transactions_that_wait_together_share_one_commit() {
    let shop = shop();
    let before = shop.statistics();
    let done = as_a_group(&shop, vec![insert("a"), insert("b"), insert("c"), insert("d")]);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let after = shop.statistics();
    assert_eq!(after.commits - before.commits, 4);
    assert!(after.groups - before.groups < 4, "{after:?}");
    assert_eq!(shop.items(), 4);
}

#[test]
fn a_group_has_at_most_so_many_members() {
    let time = Clock::manual();
    let folder = TempDir::new().unwrap();
    // Time stands still, so no group ends because it is old.
    let database = Database::open(Config { clock: time.clock(), ..config(&folder, 64) }).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    let shop = Fixture { database, folder };
    let before = shop.statistics().groups;
    let one_more = crate::limits::STORE_GROUP_MAX + 1;
    let done = as_a_group(&shop, (0..one_more).map(|i| insert(&*format!("n{i}").leak())).collect());
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!((shop.statistics().groups - before, shop.items()), (2, one_more as i64));
}

#[test]
fn a_member_that_rolls_back_undoes_no_other() {
    let shop = shop();
    let gives_up: Work<'static> = Box::new(|mut tx| {
        tx.execute(INSERT, &["never".into()], soon())?;
        tx.rollback()
    });
    let owes: Work<'static> = Box::new(|mut tx| {
        tx.execute("INSERT INTO part VALUES (99)", &[], soon())?;
        tx.commit()
    });
    let done = as_a_group(&shop, vec![insert("a"), gives_up, insert("b"), owes, insert("c")]);
    assert_eq!(done.iter().map(case).collect::<Vec<_>>(), ["ok", "ok", "ok", "constraint", "ok"]);
    assert_eq!(shop.items(), 3);
    assert_eq!(shop.number("SELECT count(*) FROM item WHERE name = 'never'"), 0);
}

/// It has read what the others wrote before their commit. What its caller reads next must agree with that.
#[test]
fn a_member_that_rolls_back_returns_when_all_can_read_what_it_read() {
    let shop = shop();
    let mut work: Vec<Work<'_>> = Vec::new();
    for i in 0..20 {
        work.push(insert(&*format!("n{i}").leak()));
        let shop = &shop;
        work.push(Box::new(move |mut tx| {
            let read = number_in(&tx.query("SELECT count(*) FROM item", &[], soon())?);
            tx.rollback()?;
            assert!(shop.items() >= read, "it read {read} rows, and now there are {}", shop.items());
            Ok(())
        }));
    }
    let before = shop.statistics().groups;
    let done = as_a_group(&shop, work);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert!(shop.statistics().groups - before < 20, "none of them shared a commit");
}

#[test]
fn a_member_that_rolls_back_hears_that_what_it_read_was_undone() {
    let time = Clock::manual();
    let folder = TempDir::new().unwrap();
    // Time stands still, so no group ends because it is old.
    let database = Database::open(Config { clock: time.clock(), ..config(&folder, 64) }).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    let shop = Fixture { database, folder };
    let twin: Work<'static> = Box::new(|mut tx| {
        let taken = tx.execute("INSERT INTO item (name) SELECT name FROM item", &[], soon());
        assert_eq!(case(&taken), "constraint");
        tx.rollback()
    });
    let fails: Work<'static> = Box::new(|mut tx| {
        tx.lose_connection();
        tx.rollback()
    });
    let done = as_a_group(&shop, vec![insert("a"), twin, fails]);
    assert_eq!(done.iter().map(case).collect::<Vec<_>>(), ["busy", "busy", "ok"]);
    assert_eq!(shop.items(), 0);
}

/// SQLite rolls everything back when a writing statement is interrupted, the group's earlier members included.
#[test]
fn a_member_that_is_interrupted_makes_the_others_try_again_and_nothing_is_half_done() {
    let shop = shop();
    let runs_out: Work<'static> = Box::new(|mut tx| {
        let endless = "INSERT INTO item (stock, name)
                       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 1, i FROM n";
        let first = tx.execute(endless, &[], in_ms(20));
        assert_eq!(case(&first), "interrupted");
        assert_eq!(case(&tx.execute(INSERT, &["after".into()], soon())), "interrupted", "it has ended");
        tx.commit()
    });
    let done = as_a_group(&shop, vec![insert("a"), runs_out, insert("b")]);
    let cases: Vec<_> = done.iter().map(case).collect();
    assert!(matches!(cases[..], ["busy" | "ok", "interrupted", "ok"]), "{done:?}");
    assert_eq!(shop.items(), if cases[0] == "ok" { 2 } else { 1 }, "what was answered is what is there");
    shop.add("next").unwrap();
}

#[test]
fn a_statement_of_its_own_is_run_again_when_others_undo_it() {
    let shop = shop();
    let gate = shop.begin(soon()).unwrap();
    std::thread::scope(|scope| {
        let single = scope.spawn(|| shop.add("single"));
        while shop.statistics().waiting < 1 {
            std::thread::yield_now();
        }
        let breaks = scope.spawn(|| {
            let endless = "INSERT INTO item (name)
                           WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
            shop.execute(endless, &[], in_ms(2_000))
        });
        while shop.statistics().waiting < 2 {
            std::thread::yield_now();
        }
        drop(gate);
        assert_eq!(single.join().unwrap(), Ok(1));
        assert_eq!(case(&breaks.join().unwrap()), "interrupted");
    });
    assert_eq!(shop.items(), 1);
}

#[test]
fn under_load_every_answer_is_true() {
    let shop = shop();
    let (threads, each) = (16, 40);
    let (kept, barrier) = (AtomicUsize::new(0), Barrier::new(threads));
    std::thread::scope(|scope| {
        for t in 0..threads {
            let (shop, kept, barrier) = (&shop, &kept, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..each {
                    let name = format!("{t}-{i}");
                    match (t + i) % 4 {
                        0 => {
                            let mut tx = shop.begin(soon()).unwrap();
                            tx.execute(INSERT, &[name.as_str().into()], soon()).unwrap();
                            drop(tx);
                        }
                        1 => {
                            let mut tx = shop.begin(soon()).unwrap();
                            tx.execute(INSERT, &[name.as_str().into()], soon()).unwrap();
                            tx.execute("UPDATE item SET stock = 1 WHERE name = ?1", &[name.as_str().into()], soon())
                                .unwrap();
                            tx.commit().unwrap();
                            kept.fetch_add(1, Relaxed);
                        }
                        2 => drop(shop.begin(in_ms(0))),
                        _ => {
                            shop.add(&name).unwrap();
                            kept.fetch_add(1, Relaxed);
                            let found =
                                shop.query("SELECT 1 FROM item WHERE name = ?1", &[name.as_str().into()], soon());
                            assert_eq!(number_in(&found.unwrap()), 1, "a reader sees what was acknowledged");
                        }
                    }
                }
            });
        }
    });
    assert_eq!(shop.items(), kept.load(Relaxed) as i64);
    let statistics = shop.statistics();
    assert_eq!(statistics.waiting, 0);
    assert!(statistics.groups < statistics.commits, "{statistics:?}");
}

#[test]
fn on_a_runtime_with_one_worker_no_task_starves() {
    let shop = Arc::new(shop());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for i in 0..40 {
            let shop = shop.clone();
            tasks.push(tokio::spawn(async move { shop.add(&format!("n{i}")).unwrap() }));
        }
        let long = {
            let shop = shop.clone();
            tokio::spawn(async move {
                let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
                shop.query(endless, &[], in_ms(400)).map(|_| ())
            })
        };
        for task in tasks {
            task.await.unwrap();
        }
        let ticked = tokio::time::timeout(Duration::from_secs(5), tokio::spawn(async {})).await;
        assert!(ticked.is_ok());
        assert_eq!(case(&long.await.unwrap()), "interrupted");
    });
    assert_eq!(shop.items(), 40);
}
