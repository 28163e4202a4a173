//! Owners and fencing tokens: a file that was handed over takes no commit of its old host.

use super::*;
use crate::connection::Role;
use crate::open::open;

fn owner(host: &str, token: u64) -> Owner {
    Owner { host: host.to_owned(), token }
}

fn unavailable(result: Result<u64, Error>) -> String {
    match result {
        Err(Error::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_gets_an_owner_once() {
    let shop = shop();
    assert_eq!(shop.owner().unwrap(), None);
    assert_eq!(shop.claim("books", soon()).unwrap(), owner("books", 1));
    assert_eq!(shop.claim("records", soon()).unwrap(), owner("books", 1), "another host takes nothing away");
    shop.add("goes on").unwrap();
}

#[test]
fn a_file_that_was_handed_over_takes_no_statement_and_has_its_new_owner() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    shop.add("before").unwrap();
    let commits = shop.mark().unwrap().unwrap().commits;
    let held = shop.hold(soon()).unwrap();
    let waits = std::thread::spawn({
        let database = shop.database.clone();
        move || database.execute("INSERT INTO item (name, stock) VALUES ('after', 1)", &[], soon())
    });
    while shop.writer.waiting() == 0 {
        std::thread::yield_now();
    }
    held.hand_over(&owner("records", 2)).unwrap();
    assert!(unavailable(waits.join().unwrap()).contains("host `records`"));
    assert!(unavailable(shop.add("later")).contains("host `records`"));
    assert!(matches!(shop.query("SELECT 1", &[], soon()), Err(Error::Unavailable(_))));
    let config = shop.database.config().clone();
    let Fixture { database, folder: _folder } = shop;
    drop(database);
    let again = Database::open(config).unwrap();
    assert_eq!(again.owner().unwrap(), Some(owner("records", 2)));
    assert_eq!(again.mark().unwrap().unwrap().commits, commits + 1, "the last commit counts");
    assert_eq!(number_in(&again.query("SELECT count(*) FROM item", &[], soon()).unwrap()), 1);
}

#[test]
fn a_writer_that_is_only_held_goes_on() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    drop(shop.hold(soon()).unwrap());
    shop.add("after").unwrap();
}

/// What another process would do to the file that the host has open, if it could.
#[test]
fn each_commit_looks_at_the_token() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    shop.add("before").unwrap();
    let other = open(shop.database.config(), Role::Writer).unwrap();
    let set = |token: u64| other.run_as_host(&format!("UPDATE seam_owner SET token = {token}")).unwrap();
    set(2);
    assert!(unavailable(shop.add("during")).contains("token is 2, and this host has 1"));
    assert!(unavailable(shop.add("and again, on another connection")).contains("token is 2"));
    set(1);
    shop.add("after").unwrap();
    assert_eq!(shop.items(), 2);
}

#[test]
fn a_copy_belongs_to_the_host_that_takes_it_over() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    shop.add("before").unwrap();
    let path = shop.folder.path().join("copy").join("shop.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(shop.copy(&path).unwrap());
    let config = shop.database.config_at(&path);
    take_over(&config, &owner("records", 2)).unwrap();
    let copy = Database::open(config).unwrap();
    assert_eq!(copy.owner().unwrap(), Some(owner("records", 2)));
    assert_eq!(copy.mark().unwrap().unwrap().commits, shop.mark().unwrap().unwrap().commits + 1);
    copy.execute("INSERT INTO item (name, stock) VALUES ('there', 1)", &[], soon()).unwrap();
    assert_eq!(shop.claim("books", soon()).unwrap(), owner("books", 1), "the file itself is as it was");
}

#[test]
fn a_file_is_written_during_its_term_alone_and_read_always() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    let term = Arc::new(Term::default());
    shop.bind(&Bond { term: Some(term.clone()), copies: None });
    assert!(unavailable(shop.add("too early")).contains("could not renew its lease"));
    assert!(shop.hold(soon()).is_err(), "nor is it handed over");
    term.extend(Instant::now(), Duration::from_secs(60));
    shop.add("in time").unwrap();
    // The term ends while a transaction runs.
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO item (name, stock) VALUES ('late', 1)", &[], soon()).unwrap();
    term.end();
    assert!(matches!(tx.commit(), Err(Error::Unavailable(_))));
    let count = || number_in(&shop.query("SELECT count(*) FROM item", &[], soon()).unwrap());
    assert_eq!(count(), 1);
    assert_eq!(shop.trouble(), None, "it is no trouble of the disk");
    term.extend(Instant::now(), Duration::from_secs(60));
    shop.add("again").unwrap();
    assert_eq!(count(), 2);
}

#[test]
fn a_commit_waits_until_it_is_copied_together_with_others() {
    let shop = shop();
    let (wanted, wants) = std::sync::mpsc::channel();
    let copies = Arc::new(Copies::new(move || wanted.send(()).unwrap()));
    shop.bind(&Bond { term: None, copies: Some(copies.clone()) });
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|n| {
                scope.spawn({
                    let shop = &shop;
                    move || shop.add(&format!("n{n}"))
                })
            })
            .collect();
        wants.recv().unwrap();
        assert!(copies.are_behind() && !writers.iter().all(|writer| writer.is_finished()));
        while number_in(&shop.query("SELECT count(*) FROM item", &[], soon()).unwrap()) < 3 {
            std::thread::yield_now();
        }
        while writers.iter().any(|writer| !writer.is_finished()) {
            copies.copied(copies.committed());
            std::thread::yield_now();
        }
        writers.into_iter().for_each(|writer| {
            writer.join().unwrap().unwrap();
        });
    });
    assert!(!copies.are_behind() && copies.committed() <= 3);
    // Nothing is behind, so what changed nothing waits for nothing.
    let tx = shop.begin(soon()).unwrap();
    tx.commit().unwrap();
}

#[test]
fn a_transaction_that_reads_a_commit_before_its_copy_waits_for_the_copy_too() {
    let shop = shop();
    let copies = Arc::new(Copies::new(|| {}).waiting_by(|copies, count| copies.has(count)));
    shop.bind(&Bond { term: None, copies: Some(copies.clone()) });
    assert!(unavailable(shop.add("a")).contains("store of backups"));
    let read = || {
        let mut tx = shop.begin(soon()).unwrap();
        tx.query("SELECT name FROM item", &[], soon()).unwrap();
        tx.commit()
    };
    assert!(matches!(read(), Err(Error::Unavailable(_))), "it may still be lost");
    copies.copied(copies.committed());
    read().unwrap();
}

#[test]
fn a_copy_that_is_taken_over_gives_no_position_that_its_last_owner_may_have_given() {
    let shop = shop();
    shop.claim("books", soon()).unwrap();
    let event = NewEvent { interface: "acme:shop/events@0.1.0", function: "sold", data: "1", ..NewEvent::default() };
    shop.publish(&event, soon()).unwrap();
    let path = shop.folder.path().join("copy").join("shop.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(shop.copy(&path).unwrap());
    // Delivered, and lost with the host.
    shop.publish(&event, soon()).unwrap();
    let config = shop.database.config_at(&path);
    for _ in 0..2 {
        take_over_copy(&config, &owner("records", 2)).unwrap();
    }
    let copy = Database::open(config).unwrap();
    let before = copy.kept().unwrap().last;
    assert!(before > shop.kept().unwrap().last, "{before}");
    copy.publish(&event, soon()).unwrap();
    let events = copy.published(None, 0, 10).unwrap();
    assert!(events.len() == 2 && events[1].position > before, "{events:?}");
}
