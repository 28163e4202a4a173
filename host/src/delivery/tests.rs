//! Deliveries between two real files, with a handler in this process in the place of a context.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod killed;
mod operating;
mod simulation;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::call::Failure;
use seam_runtime::run::stretches::{self, Handlers};
use seam_runtime::run::{Handled, Undelivered};
use seam_runtime::settings::Subscription;
use seam_store::clock::{Clock, ManualClock};
use seam_store::{Config, Database, Event, NewEvent, Source, Transaction, Value, WaitState};

use super::{Handler, Next, Note, Subscriber, Tally};

const INTERFACE: &str = "acme:shop/events";

type Meanwhile = Box<dyn FnOnce(&Database)>;

/// Writes each event's data into the table `seen`, unless it is to fail.
struct Shelf {
    database: Arc<Database>,
    /// Data that is rejected.
    rejects: RefCell<BTreeSet<String>>,
    /// Data at which the handler traps.
    traps: RefCell<BTreeSet<String>>,
    away: RefCell<Option<String>>,
    /// How many events the deliveries had.
    batches: RefCell<Vec<usize>>,
    /// Whether the commit is cut off, as by a crash before it.
    crashes: RefCell<bool>,
    /// What an operator does while the next events are on their way.
    meanwhile: RefCell<Option<Meanwhile>>,
}

impl Handler for Shelf {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        match &*self.away.borrow() {
            Some(why) => Err(Failure::Absent { context: "shelf".into(), reason: why.clone() }),
            None => Ok(self.database.clone()),
        }
    }

    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        self.batches.borrow_mut().push(events.len());
        if let Some(meanwhile) = self.meanwhile.borrow_mut().take() {
            meanwhile(&self.database);
        }
        let mut tx = self.database.begin(soon()).map_err(Undelivered::Store)?;
        let fate = |event: &Event| match () {
            () if self.traps.borrow().contains(&event.data) => Fate::Traps,
            () if self.rejects.borrow().contains(&event.data) => Fate::Rejects,
            () => Fate::Fine,
        };
        let handled = Rows { tx: &mut tx, events, fate: &fate, now: Instant::now() }.handle()?;
        note(&mut tx, &handled).map_err(Undelivered::Store)?;
        if *self.crashes.borrow() {
            return Err(Undelivered::Context(Failure::TimedOut { context: "shelf".into() }));
        }
        tx.commit().map_err(Undelivered::Store)?;
        Ok(handled.len())
    }
}

/// What a handler does with an event, after it has written its row.
enum Fate {
    Fine,
    Rejects,
    Traps,
}

/// Handlers that write each event's data into the table `seen`: by the stretch, as the context's own do.
struct Rows<'r> {
    tx: &'r mut Transaction,
    events: &'r [&'r Event],
    fate: &'r dyn Fn(&Event) -> Fate,
    now: Instant,
}

impl Rows<'_> {
    fn handle(&mut self) -> Result<Vec<Handled>, Undelivered> {
        let subjects: Vec<_> = self.events.iter().map(|event| event.subject.as_deref()).collect();
        stretches::handle(self, &subjects)
    }
}

impl Handlers for Rows<'_> {
    type Error = Undelivered;

    fn start(&mut self) -> Result<(), Undelivered> {
        self.tx.savepoint("event").map_err(Undelivered::Store)
    }

    fn handle(&mut self, at: usize) -> Result<Result<(), String>, Undelivered> {
        let event = self.events[at];
        let row = [Value::Text(event.data.as_str().into())];
        let deadline = Instant::now() + Duration::from_secs(10_000_000);
        self.tx.execute("INSERT INTO seen (data) VALUES (?)", &row, deadline).map_err(Undelivered::Store)?;
        match (self.fate)(event) {
            Fate::Fine => Ok(Ok(())),
            Fate::Rejects => Ok(Err("no room".into())),
            Fate::Traps => Err(Undelivered::Event(at, Failure::TimedOut { context: "shelf".into() })),
        }
    }

    fn end(&mut self, keep: bool) -> Result<(), Undelivered> {
        if keep { self.tx.release("event") } else { self.tx.roll_back_to("event") }.map_err(Undelivered::Store)
    }

    /// A seed gives the same history on every machine.
    fn now(&self) -> Instant {
        self.now
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A publisher, a subscriber, and time that stands still.
struct World {
    outbox: Arc<Database>,
    shelf: Shelf,
    subscription: Subscription,
    time: ManualClock,
    tally: Arc<Tally>,
    folder: tempfile::TempDir,
}

impl World {
    fn new(batch: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = Clock::manual();
        let open = |name: &str| {
            let config = Config { clock: time.clock(), ..Config::plain(folder.path().join(name), 64) };
            Database::open(config).unwrap()
        };
        let (outbox, database) = (open("shop.db"), open("shelf.db"));
        let table = seam_store::Migration {
            number: 1,
            name: "seen".into(),
            sql: "CREATE TABLE seen (id INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;".into(),
        };
        seam_store::migrate(&database, &[table]).unwrap();
        let shelf = Shelf {
            database,
            rejects: RefCell::default(),
            traps: RefCell::default(),
            away: RefCell::default(),
            batches: RefCell::default(),
            crashes: RefCell::default(),
            meanwhile: RefCell::default(),
        };
        let subscription =
            Subscription { interface: INTERFACE.into(), batch, tries: 3, pause_max: Duration::from_secs(60) };
        Self { outbox, shelf, subscription, time, tally: Arc::default(), folder }
    }

    /// Publishes `subject/number` for each.
    fn publish(&self, events: &[&str]) {
        for data in events {
            let subject = data.split_once('/').map(|(subject, _)| subject);
            let event = NewEvent {
                interface: "acme:shop/events@0.1.0",
                function: "sold",
                subject,
                time_ms: 1_000,
                trace: "",
                data,
            };
            self.outbox.publish(&event, soon()).unwrap();
        }
    }

    fn source(&self) -> Source {
        Source { publisher: "shop".into(), interface: INTERFACE.into() }
    }

    fn step(&self) -> Next {
        let subscriber = Subscriber {
            handler: &self.shelf,
            subscription: &self.subscription,
            source: self.source(),
            outbox: self.outbox.clone(),
            tally: self.tally.clone(),
        };
        subscriber.step()
    }

    /// Steps until nothing is to be done now.
    fn run(&self) -> Next {
        for _ in 0..1_000 {
            match self.step() {
                Next::Now => {}
                next => return next,
            }
        }
        panic!("there is always more to do");
    }

    /// What the handlers have written, in order.
    fn seen(&self) -> Vec<String> {
        let rows = self.shelf.database.query("SELECT data FROM seen ORDER BY id", &[], soon()).unwrap();
        let mut rows = seam_store::Rows::new(&rows).unwrap();
        let (mut all, mut row) = (Vec::new(), Vec::new());
        while rows.next_into(&mut row).unwrap() {
            match row.first() {
                Some(Value::Text(text)) => all.push(text.to_string()),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn waiting(&self) -> Vec<(String, WaitState, u32)> {
        let all = self.shelf.database.waiting(&self.source(), None, 0, 100).unwrap();
        all.into_iter().map(|waiting| (waiting.event.data, waiting.state, waiting.tries)).collect()
    }

    fn minutes(&self, minutes: u64) {
        self.time.advance(Duration::from_secs(60 * minutes));
    }
}

#[test]
fn events_arrive_in_order_and_once_in_batches_or_one_by_one() {
    for batch in [1, 3, 100] {
        let world = World::new(batch);
        let all: Vec<String> = (0..10).map(|number| format!("a/{number}")).collect();
        world.publish(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(world.run(), Next::Later(None));
        assert_eq!(world.seen(), all);
        assert_eq!(world.run(), Next::Later(None), "nothing comes twice");
        assert_eq!(world.seen(), all);
        assert_eq!(world.shelf.batches.borrow().first(), Some(&(batch.min(10) as usize)));
    }
}

#[test]
fn an_event_whose_commit_was_cut_off_comes_again_and_has_its_effect_once() {
    let world = World::new(10);
    world.publish(&["a/1", "a/2"]);
    *world.shelf.crashes.borrow_mut() = true;
    assert!(matches!(world.step(), Next::Away(_)));
    assert_eq!(world.seen(), Vec::<String>::new());
    *world.shelf.crashes.borrow_mut() = false;
    world.run();
    assert_eq!(world.seen(), ["a/1", "a/2"]);
}

#[test]
fn a_rejected_event_waits_with_those_of_its_subject_while_others_pass() {
    for batch in [1, 100] {
        let world = World::new(batch);
        world.shelf.rejects.borrow_mut().insert("a/1".into());
        world.publish(&["a/1", "b/1", "a/2", "b/2"]);
        assert!(matches!(world.run(), Next::Later(Some(_))));
        assert_eq!(world.seen(), ["b/1", "b/2"], "batch {batch}");
        let waits = [("a/1".to_owned(), WaitState::Retry, 1), ("a/2".to_owned(), WaitState::Behind, 0)];
        assert_eq!(world.waiting(), waits);
        // Later ones of the subject wait as well.
        world.publish(&["a/3", "c/1"]);
        world.run();
        assert_eq!(world.seen(), ["b/1", "b/2", "c/1"]);
        world.shelf.rejects.borrow_mut().clear();
        world.minutes(5);
        world.run();
        assert_eq!(world.seen(), ["b/1", "b/2", "c/1", "a/1", "a/2", "a/3"], "in their order");
        assert_eq!(world.waiting(), []);
    }
}

#[test]
fn after_its_last_try_an_event_is_a_dead_letter_and_those_behind_it_go_on() {
    let world = World::new(1);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1", "a/2"]);
    for _ in 0..3 {
        world.run();
        world.minutes(5);
    }
    world.run();
    assert_eq!(world.seen(), ["a/2"]);
    assert_eq!(world.waiting(), [("a/1".to_owned(), WaitState::Dead, 3)]);
    let count = world.shelf.database.waiting_count(&world.source()).unwrap();
    assert_eq!((count.retry, count.behind, count.dead), (0, 0, 1));
    let dead = world.shelf.database.waiting(&world.source(), Some(WaitState::Dead), 0, 10).unwrap();
    assert_eq!(dead.first().map(|dead| dead.reason.as_str()), Some("no room"));
    world.minutes(60);
    assert_eq!(world.run(), Next::Later(None), "it is not tried again by itself");
}

#[test]
fn an_event_that_traps_does_not_undo_those_before_it_or_stop_those_after_it() {
    for bad in ["a/1", "b/1", "c/1"] {
        let world = World::new(100);
        world.shelf.traps.borrow_mut().insert(bad.to_owned());
        world.publish(&["a/1", "b/1", "c/1"]);
        world.run();
        let others: Vec<&str> = ["a/1", "b/1", "c/1"].into_iter().filter(|data| *data != bad).collect();
        assert_eq!(world.seen(), others);
        assert_eq!(world.waiting(), [(bad.to_owned(), WaitState::Retry, 1)]);
        world.shelf.traps.borrow_mut().clear();
        world.minutes(5);
        world.run();
        assert_eq!(world.seen().len(), 3);
        assert_eq!(world.waiting(), []);
    }
}

#[test]
fn events_without_a_subject_wait_alone() {
    let world = World::new(100);
    world.shelf.rejects.borrow_mut().insert("1".into());
    world.publish(&["1", "2", "3"]);
    world.run();
    assert_eq!(world.seen(), ["2", "3"]);
    world.shelf.rejects.borrow_mut().clear();
    world.minutes(5);
    world.run();
    assert_eq!(world.seen(), ["2", "3", "1"]);
}

#[test]
fn what_is_due_of_another_subscription_keeps_this_one_from_no_rest() {
    let world = World::new(1);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1"]);
    world.run();
    // It is due at once, and its publisher is gone from the manifest: no step ever takes it.
    let mut gone = world.shelf.database.waiting(&world.source(), None, 0, 1).unwrap().remove(0);
    gone.source.publisher = "gone".into();
    gone.due_ms = 0;
    let mut tx = world.shelf.database.begin(soon()).unwrap();
    tx.set_aside(&gone).unwrap();
    tx.take_off(&world.source(), &gone.event).unwrap();
    tx.commit().unwrap();
    assert_eq!(world.run(), Next::Later(None));
}

#[test]
fn what_happens_while_the_subscriber_is_away_counts_against_no_event() {
    let world = World::new(10);
    world.publish(&["a/1"]);
    *world.shelf.away.borrow_mut() = Some("out of service".into());
    for _ in 0..50 {
        assert!(matches!(world.step(), Next::Away(why) if why.contains("out of service")));
        world.minutes(60);
    }
    *world.shelf.away.borrow_mut() = None;
    world.run();
    assert_eq!(world.seen(), ["a/1"]);
}

#[test]
fn after_a_restore_or_the_loss_of_the_publishers_file_no_later_event_is_skipped() {
    for restored in [true, false] {
        let world = World::new(10);
        world.publish(&["a/1"]);
        let (path, backup) = (world.folder.path().join("older.db"), world.folder.path().join("shop.db"));
        if restored {
            world.outbox.close().unwrap();
            std::fs::copy(&backup, &path).unwrap();
        }
        let open = |path| Database::open(Config { clock: world.time.clock(), ..Config::plain(path, 64) }).unwrap();
        let now = World { outbox: open(backup), ..world };
        now.publish(&["a/2", "a/3", "a/4"]);
        now.run();
        // The file from before `a/2`, or none: without a jump, the next events would have positions that are done.
        if restored {
            let name = seam_store::ids::ContextName::new("older").unwrap();
            seam_store::Register::adopt(&name, &Config::plain(path.clone(), 64)).unwrap();
        }
        let open = |path| Database::open(Config { clock: now.time.clock(), ..Config::plain(path, 64) }).unwrap();
        // Positions are made of milliseconds.
        let before = std::time::SystemTime::now();
        while before.elapsed().unwrap() < Duration::from_millis(2) {}
        let after = World { outbox: open(path), ..now };
        after.publish(&["b/1"]);
        after.run();
        assert_eq!(after.seen(), ["a/1", "a/2", "a/3", "a/4", "b/1"], "restored: {restored}");
    }
}

#[test]
fn events_are_forgotten_only_from_the_start_and_never_the_last() {
    let world = World::new(10);
    world.publish(&["a/1", "a/2", "a/3"]);
    assert_eq!(World::new(10).outbox.forget_published(u64::MAX, u64::MAX >> 1).unwrap(), 0, "nothing was published");
    let kept = world.outbox.kept().unwrap();
    assert_eq!((kept.last - kept.first, kept.is_cut), (2, false));
    let later = 10_000_000_000_000;
    assert_eq!(world.outbox.forget_published(kept.first + 1, 500).unwrap(), 0, "they are too young");
    assert_eq!(world.outbox.forget_published(kept.first + 1, later).unwrap(), 3, "two, and the mark of the start");
    assert_eq!(world.outbox.forget_published(kept.last + 9, later).unwrap(), 0, "the last one stays");
    let now = world.outbox.kept().unwrap();
    assert_eq!((now.first, now.last, now.is_cut), (kept.last, kept.last, true));
    world.publish(&["a/4"]);
    assert_eq!(world.outbox.kept().unwrap().last, kept.last + 1);
}

#[test]
fn a_subscriber_has_caught_up_once_it_had_everything_and_nothing_waits() {
    let world = World::new(2);
    let caught_up = || world.shelf.database.caught_up(&world.source()).unwrap();
    world.publish(&["a/1", "b/1", "c/1"]);
    world.shelf.rejects.borrow_mut().insert("b/1".into());
    world.step();
    assert!(!caught_up(), "c/1 is missing");
    world.run();
    assert!(!caught_up(), "b/1 waits for another try");
    world.shelf.rejects.borrow_mut().clear();
    world.time.advance(Duration::from_secs(60));
    world.run();
    assert!(caught_up());
    world.publish(&["d/1"]);
    assert!(caught_up(), "once is enough");

    let nothing_published = World::new(2);
    nothing_published.run();
    assert!(nothing_published.shelf.database.caught_up(&nothing_published.source()).unwrap());
}
