//! Transactions over several files: promises, decisions, and what a crash between them leaves.

use super::*;

/// The file that decides, beside that of `shop`.
fn coordinator(of: &Fixture) -> Arc<Database> {
    let database = Database::open(Config::plain(of.folder.path().join("contexts").join("orders.db"), 64)).unwrap();
    migrate(&database, &[migration(1, "CREATE TABLE placed (number INTEGER PRIMARY KEY) STRICT")]).unwrap();
    database
}

fn vote() -> Vote {
    Vote::new("4e1f", "orders", 7)
}

fn decision() -> Decision {
    Decision { transaction: "4e1f".into(), at_ms: 8, participants: vec!["shop".into()] }
}

/// A branch that has written one item.
fn branch(shop: &Fixture, name: &str) -> Transaction {
    let mut branch = shop.begin_branch(soon()).unwrap();
    branch.execute("INSERT INTO item (name, stock) VALUES (?1, ?2)", &[name.into(), 3.into()], soon()).unwrap();
    branch
}

/// The file as the host has it after a crash.
fn started_again(shop: Fixture) -> Fixture {
    let Fixture { database, folder } = shop;
    drop(database);
    Fixture { database: Database::open(config(&folder, 64)).unwrap(), folder }
}

fn promise(shop: &Fixture) -> std::path::PathBuf {
    promise_of(shop.path())
}

#[test]
fn a_branch_is_seen_once_it_has_committed_and_keeps_the_writer_until_then() {
    let shop = shop();
    let orders = coordinator(&shop);
    let mut own = orders.begin_alone(soon()).unwrap();
    own.execute("INSERT INTO placed VALUES (1)", &[], soon()).unwrap();
    let branch = branch(&shop, "sold");
    assert!(branch.has_written());
    let voted = branch.vote(&vote()).unwrap();
    assert_eq!((shop.items(), case(&shop.execute("DELETE FROM item", &[], in_ms(20)))), (0, "busy"));
    assert_eq!(own.decide(Some(&decision()), &[]), Decided::Committed);
    assert_eq!((shop.items(), orders.decisions().unwrap()), (0, vec![decision()]));
    voted.commit().unwrap();
    assert_eq!((shop.items(), shop.doubt()), (1, None));
    shop.add("the next one").unwrap();
    // The next decision forgets the first one.
    let next = Decision { transaction: "4e20".into(), ..decision() };
    let own = orders.begin_alone(soon()).unwrap();
    assert_eq!(own.decide(Some(&next), &["4e1f".into()]), Decided::Committed);
    assert_eq!((orders.decisions().unwrap(), orders.has_decided("4e1f").unwrap()), (vec![next], false));
    let shop = started_again(shop);
    assert_eq!((shop.items(), shop.doubt()), (2, None));
}

#[test]
fn a_promise_that_is_taken_back_leaves_nothing() {
    let shop = shop();
    branch(&shop, "undone").vote(&vote()).unwrap().roll_back();
    assert_eq!((shop.items(), shop.doubt()), (0, None));
    shop.add("the next one").unwrap();
    let shop = started_again(shop);
    assert_eq!((shop.items(), shop.doubt()), (1, None));
}

#[test]
fn after_a_crash_the_file_is_in_doubt_until_the_decision_is_known() {
    for committed in [true, false] {
        let shop = shop();
        drop(branch(&shop, "promised").vote(&vote()).unwrap());
        assert_eq!(case(&shop.add("also without a crash")), "unavailable");
        let shop = started_again(shop);
        let doubt = shop.doubt().unwrap();
        let expect = (Some("4e1f"), Some("orders"), 7);
        assert_eq!((doubt.transaction.as_deref(), doubt.coordinator.as_deref(), doubt.since_ms), expect);
        assert_eq!(shop.trouble().unwrap().kind(), "in-doubt");
        assert_eq!((case(&shop.add("before")), shop.items()), ("unavailable", 0), "reads go on");
        let refused = shop.begin_branch(soon()).map(drop);
        assert_eq!(case(&refused), "unavailable");
        assert!(
            moment(std::slice::from_ref(&shop.database)).is_err(),
            "a backup without the promise would not be whole"
        );
        shop.resolve(committed).unwrap();
        assert_eq!((shop.items(), shop.doubt()), (i64::from(committed), None));
        shop.resolve(committed).unwrap();
        shop.add("after").unwrap();
        let shop = started_again(shop);
        assert_eq!((shop.items(), shop.doubt()), (i64::from(committed) + 1, None), "committed: {committed}");
    }
}

/// The promise is cleared without a sync, so a power cut may bring it back.
#[test]
fn a_promise_that_is_kept_is_not_kept_again() {
    let shop = shop();
    let voted = branch(&shop, "once").vote(&vote()).unwrap();
    let files: Vec<_> = ["", "-wal"].map(|end| promise(&shop).with_extension(format!("db{end}"))).into();
    let copies: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    voted.commit().unwrap();
    let Fixture { database, folder } = shop;
    drop(database);
    files.iter().zip(&copies).for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
    let shop = Fixture { database: Database::open(config(&folder, 64)).unwrap(), folder };
    assert_eq!((shop.items(), shop.doubt()), (1, None));
    shop.add("the next one").unwrap();
}

#[test]
fn what_is_written_again_is_what_was_written() {
    let write = |tx: &mut Transaction| {
        let event = NewEvent {
            interface: "acme:shop/events@0.1.0",
            function: "sold",
            time_ms: 5,
            data: "[1]",
            ..NewEvent::default()
        };
        tx.execute(
            "INSERT INTO item (name, cover) VALUES (?1, ?2)",
            &["Gräfin ♥".into(), Value::Blob(&[0, 255])],
            soon(),
        )
        .unwrap();
        tx.query("INSERT INTO item (name) VALUES ('b') RETURNING id", &[], soon()).unwrap();
        tx.execute_many(
            "INSERT INTO item (name, stock) VALUES (?1, ?2)",
            &pack(2, &[&["c".into(), 1.into()], &["d".into(), 2.into()]]),
            soon(),
        )
        .unwrap();
        tx.savepoint("guest").unwrap();
        tx.execute("DELETE FROM item", &[], soon()).unwrap();
        tx.publish(&event).unwrap();
        tx.roll_back_to("guest").unwrap();
        // As a whole: the first row has room, the second has not.
        let rows = pack(1, &[&["e".into()], &["b".into()]]);
        assert_eq!(case(&tx.execute_many("INSERT INTO item (name) VALUES (?1)", &rows, soon())), "constraint");
        tx.execute("INSERT INTO part VALUES (1)", &[], soon()).unwrap();
        tx.query("SELECT count(*) FROM item", &[], soon()).unwrap();
        tx.execute("UPDATE item SET stock = stock + 0.0 + 1 WHERE stock > ?1", &[Value::Real(0.5)], soon()).unwrap();
        tx.publish(&event).unwrap();
        tx.publish_at(&NewEvent { subject: Some("late"), ..event }, 9_000).unwrap();
    };
    let all = |shop: &Fixture| {
        let rows = |sql: &str| shop.query(sql, &[], soon()).unwrap();
        let published = shop.published(None, 0, 10).unwrap().into_iter().map(|event| (event.function, event.data));
        let items = rows("SELECT * FROM item ORDER BY id");
        let found = rows("SELECT rowid FROM word WHERE word MATCH 'd'");
        (items, found, rows("SELECT * FROM part"), published.collect::<Vec<_>>(), shop.next_timer().unwrap())
    };
    let plain = shop();
    let mut tx = plain.begin_branch(soon()).unwrap();
    write(&mut tx);
    tx.commit().unwrap();
    let promised = shop();
    let mut tx = promised.begin_branch(soon()).unwrap();
    write(&mut tx);
    drop(tx.vote(&vote()).unwrap());
    let promised = started_again(promised);
    assert_eq!(promised.items(), 0);
    promised.resolve(true).unwrap();
    assert_eq!(all(&promised), all(&plain));
    assert_eq!(all(&promised).3.len(), 1, "what was rolled back is not published");
}

#[test]
fn what_could_be_something_else_when_it_is_written_again_is_denied() {
    let shop = shop();
    migrate(
        &shop,
        &[
            migration(1, SCHEMA),
            migration(
                2,
                "CREATE TABLE noted (at TEXT DEFAULT CURRENT_TIMESTAMP, n INTEGER) STRICT;
                          CREATE TABLE dice (n INTEGER) STRICT;
                          CREATE TRIGGER throw AFTER INSERT ON dice BEGIN UPDATE dice SET n = random(); END",
            ),
        ],
    )
    .unwrap();
    let mut branch = shop.begin_branch(soon()).unwrap();
    for sql in [
        "INSERT INTO item (id, name) VALUES (random(), 'a')",
        "INSERT INTO item (name) VALUES (datetime('now'))",
        "INSERT INTO item (name) VALUES (CURRENT_TIMESTAMP)",
        "INSERT INTO item (name, stock) VALUES ('a', unixepoch())",
        "INSERT INTO part VALUES (last_insert_rowid())",
        "INSERT INTO noted (n) VALUES (1)",
        "INSERT INTO dice (n) VALUES (1)",
    ] {
        let denied = branch.execute(sql, &[], soon());
        assert!(matches!(&denied, Err(Error::Denied(why)) if why.contains("another value")), "{sql}: {denied:?}");
    }
    assert!(!branch.has_written());
    assert_eq!(case(&branch.seen(&orders(), 1)), "denied", "what the host cannot write again");
    branch.query("SELECT random(), datetime('now')", &[], soon()).unwrap();
    branch.execute("INSERT INTO noted (at, n) VALUES ('then', 1)", &[], soon()).unwrap();
    drop(branch);
    shop.begin(soon()).unwrap().execute("INSERT INTO item (id, name) VALUES (random(), 'a')", &[], soon()).unwrap();
}

#[test]
fn a_branch_that_cannot_commit_does_not_promise_to() {
    let shop = shop();
    let mut branch = shop.begin_branch(soon()).unwrap();
    branch.execute("INSERT INTO part VALUES (5)", &[], soon()).unwrap();
    assert!(matches!(branch.vote(&vote()).map(drop), Err(Error::Constraint(_))));
    let mut branch = shop.begin_branch(soon()).unwrap();
    let large = vec![7; limits::TWO_PHASE_STEP_BYTES_MAX + 1];
    let sql = "INSERT INTO item (name, cover) VALUES ('a', ?1)";
    assert_eq!(case(&branch.execute(sql, &[Value::Blob(&large)], soon())), "too-large");
    drop(branch);
    std::fs::create_dir(promise(&shop)).unwrap();
    let no_promise = self::branch(&shop, "a").vote(&vote()).map(drop);
    assert!(matches!(&no_promise, Err(Error::Unavailable(why)) if why.contains("prepared.db")), "{no_promise:?}");
    assert_eq!((shop.items(), shop.doubt()), (0, None));
    shop.add("the writer is free").unwrap();
}

#[test]
fn a_file_that_was_put_back_is_not_written_to() {
    let shop = shop();
    let voted = branch(&shop, "promised").vote(&vote()).unwrap();
    drop(voted);
    let Fixture { database, folder } = shop;
    drop(database);
    // As a restored file, it has another identity.
    let adopted = Register::adopt(&ids::ContextName::new("shop").unwrap(), &config(&folder, 64)).map(drop);
    adopted.unwrap();
    let shop = Fixture { database: Database::open(config(&folder, 64)).unwrap(), folder };
    assert_eq!(case(&shop.resolve(true)), "unavailable");
    let doubt = shop.doubt().unwrap();
    assert!(doubt.why.contains("put back"), "{}", doubt.why);
    assert_eq!((case(&shop.add("before")), shop.items()), ("unavailable", 0));
}

/// Another program changes a file of the closed store; then the host starts again, and is to commit what was promised.
fn resolved_after(change: impl FnOnce(&Fixture) -> (std::path::PathBuf, &'static str)) -> (Fixture, String) {
    let shop = shop();
    drop(branch(&shop, "promised").vote(&vote()).unwrap());
    let (file, sql) = change(&shop);
    let Fixture { database, folder } = shop;
    drop(database);
    assert_eq!(rusqlite::Connection::open(file).unwrap().execute(sql, []).unwrap(), 1);
    let shop = Fixture { database: Database::open(config(&folder, 64)).unwrap(), folder };
    assert_eq!(case(&shop.resolve(true)), "unavailable");
    let why = shop.doubt().unwrap().why;
    (shop, why)
}

#[test]
fn a_promise_is_kept_only_from_the_state_in_which_it_was_given() {
    let change = "UPDATE seam_store SET commits = commits + 1";
    let (shop, why) = resolved_after(|shop| (shop.path().to_owned(), change));
    assert!(why.contains("written by another host"), "{why}");
    assert_eq!((case(&shop.add("before")), shop.items()), ("unavailable", 0));
}

#[test]
fn a_step_that_does_something_else_than_it_did_is_noticed() {
    let (shop, why) = resolved_after(|shop| (promise(shop), "UPDATE seam_redo SET result = result + 1"));
    assert!(why.contains("does something else now: `INSERT INTO item"), "{why}");
    assert_eq!((case(&shop.add("before")), shop.items()), ("unavailable", 0));
}

#[test]
fn what_an_operator_chose_is_compared_with_what_was_decided() {
    for (chosen, decided) in [(false, false), (false, true), (true, true), (true, false)] {
        let shop = shop();
        drop(branch(&shop, "promised").vote(&vote()).unwrap());
        assert_eq!(case(&shop.force("4e20", chosen)), "invalid", "another transaction");
        let shop = started_again(shop);
        shop.force("4e1f", chosen).unwrap();
        assert_eq!((shop.items(), shop.doubt()), (i64::from(chosen), None));
        let shop = started_again(shop);
        assert_eq!((shop.items(), shop.doubt()), (i64::from(chosen), None));
        let forced = shop.forced().unwrap();
        assert_eq!((forced.len(), forced[0].committed, forced[0].damaged), (1, chosen, false));
        assert_eq!(forced[0].statements, ["INSERT INTO item (name, stock) VALUES (?1, ?2)"]);
        assert_eq!(shop.settle_forced("4e1f", Some(decided)).unwrap(), chosen != decided);
        let left = shop.forced().unwrap();
        assert_eq!(
            left.iter().map(|forced| forced.damaged).collect::<Vec<_>>(),
            vec![true; usize::from(chosen != decided)]
        );
        shop.settle_forced("4e1f", None).unwrap();
        assert!(shop.forced().unwrap().is_empty());
    }
}

#[test]
fn a_promise_that_cannot_be_read_leaves_the_file_in_doubt_until_it_is_set_aside() {
    let shop = shop();
    shop.add("before").unwrap();
    drop(branch(&shop, "promised").vote(&vote()).unwrap());
    let (path, Fixture { database, folder }) = (promise(&shop), shop);
    drop(database);
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let shop = Fixture { database: Database::open(config(&folder, 64)).unwrap(), folder };
    let doubt = shop.doubt().unwrap();
    assert!(doubt.transaction.is_none() && doubt.why.contains("prepared.db"), "{}", doubt.why);
    assert_eq!((case(&shop.add("meanwhile")), shop.items()), ("unavailable", 1));
    assert!(case(&shop.resolve(true)) != "ok");
    let aside = shop.set_promise_aside().unwrap();
    assert!(aside.exists() && !path.exists());
    shop.add("after").unwrap();
}

#[test]
fn the_promise_is_for_this_user_alone_and_of_the_files_own_kind() {
    use std::os::unix::fs::PermissionsExt as _;
    let shop = shop();
    let voted = branch(&shop, "promised").vote(&vote()).unwrap();
    let mode = std::fs::metadata(promise(&shop)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    voted.roll_back();
}
