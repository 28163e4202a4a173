//! The process is killed, or its disk fails, at each point of publishing, timing and delivering, also while it recovers
//! from the kill before. The next one finds nothing lost, nothing twice and nothing out of order.
//!
//! Three times at each point here; `just torture` does it twenty times.

use seam_store::fault::{FALLIBLE, POINTS};
use seam_store::{Error, Migration, migrate};

use super::*;
use crate::killing::{Ended, chance, folder, inherited, kills, plan, run};

const ME: &str = "delivery::tests::killed::child_that_is_killed";
/// Numbers after which a process that is not killed ends by itself.
const NUMBERS: i64 = 120;

/// Rejects or traps on some events the first time, as long as the process lives.
struct Picky {
    inbox: Arc<Database>,
    rejected: RefCell<BTreeSet<String>>,
}

impl Handler for Picky {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        Ok(self.inbox.clone())
    }

    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        let mut tx = self.inbox.begin(soon()).map_err(Undelivered::Store)?;
        let (mut handled, mut failed) = (Vec::new(), BTreeSet::new());
        for (at, event) in events.iter().enumerate() {
            let number: i64 = event.data.parse().unwrap();
            if failed.contains(&event.subject) {
                handled.push(Handled::Behind);
            } else if number % 7 == 0 && self.rejected.borrow_mut().insert(event.data.clone()) {
                return Err(Undelivered::Event(at, Failure::TimedOut { context: "shelf".into() }));
            } else if number % 5 == 0 && self.rejected.borrow_mut().insert(event.data.clone()) {
                failed.insert(event.subject.clone());
                handled.push(Handled::Rejected("not today".into()));
            } else {
                let row = [Value::Integer(number)];
                tx.execute("INSERT INTO seen (number) VALUES (?)", &row, soon()).map_err(Undelivered::Store)?;
                handled.push(Handled::Done);
            }
        }
        note(&mut tx, &handled).map_err(Undelivered::Store)?;
        tx.commit().map_err(Undelivered::Store)?;
        Ok(handled.len())
    }
}

/// Both files of a folder, as the host opens them at its start.
struct Files {
    outbox: Arc<Database>,
    hands: Picky,
    subscription: Subscription,
    time: ManualClock,
}

impl Files {
    fn open(folder: &std::path::Path) -> Self {
        let time = Clock::manual();
        let open = |name: &str, table: &str| {
            let config = Config { clock: time.clock(), ..Config::plain(folder.join(name), 64) };
            let database = Database::open(config).unwrap();
            let sql = format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT;
                 CREATE TABLE ballast (id INTEGER PRIMARY KEY, data BLOB) STRICT;"
            );
            migrate(&database, &[Migration { number: 1, name: "tables".into(), sql }]).unwrap();
            database
        };
        let (outbox, inbox) = (open("shop.db", "told"), open("shelf.db", "seen"));
        let hands = Picky { inbox, rejected: RefCell::default() };
        let pause_max = Duration::from_secs(60);
        let subscription = Subscription { interface: INTERFACE.into(), batch: 4, tries: 1_000, pause_max };
        Self { outbox, hands, subscription, time }
    }

    fn numbers(database: &Database, table: &str) -> Vec<i64> {
        let packed = database.query(&format!("SELECT number FROM {table} ORDER BY id"), &[], soon()).unwrap();
        let mut rows = seam_store::Rows::new(&packed).unwrap();
        let (mut all, mut row) = (Vec::new(), Vec::new());
        while rows.next_into(&mut row).unwrap() {
            match row.as_slice() {
                [Value::Integer(number)] => all.push(*number),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// Notes a number and publishes it, or sets a timer for it, in one transaction.
    fn tell(&self, number: i64) -> Result<(), Error> {
        let (subject, data, now_ms) = ((number % 3).to_string(), number.to_string(), self.time.wall_ms());
        let event = NewEvent {
            interface: "acme:shop/events@0.1.0",
            function: "sold",
            // One by its time: it may pass others, so it has a subject of its own.
            subject: if number % 4 == 0 { None } else { Some(&subject) },
            time_ms: now_ms,
            trace: "",
            data: &data,
        };
        let mut tx = self.outbox.begin(soon())?;
        tx.execute("INSERT INTO told (number) VALUES (?)", &[Value::Integer(number)], soon())?;
        if number % 4 == 0 {
            tx.publish_at(&event, now_ms)?
        } else {
            tx.publish(&event)?
        }
        tx.commit()
    }

    /// The same after failures, whose outcome may be unknown: the number decides.
    fn tell_once(&self, number: i64) {
        for _ in 0..5 {
            match self.tell(number) {
                Ok(()) => return,
                Err(Error::Unavailable(_)) => self.outbox.tend(),
                Err(error) => panic!("{error:?}"),
            }
            if Self::numbers(&self.outbox, "told").contains(&number) {
                return;
            }
        }
        panic!("{number} cannot be published");
    }

    /// Publishes what is due. Whether more is due later.
    fn fire(&self) -> bool {
        let is_due = |next: Option<u64>| next.is_some_and(|due_ms| due_ms <= self.time.wall_ms());
        while is_due(self.outbox.next_timer().unwrap()) {
            if self.outbox.fire_timers(self.time.wall_ms(), soon()).is_err() {
                self.outbox.tend();
            }
        }
        self.outbox.next_timer().unwrap().is_some()
    }

    /// Delivers until nothing is to be done now. Whether something waits for another try.
    fn deliver(&self) -> bool {
        let subscriber = Subscriber {
            handler: &self.hands,
            subscription: &self.subscription,
            source: source(),
            outbox: self.outbox.clone(),
            tally: Arc::default(),
        };
        let mut away = Vec::new();
        while away.len() < 20 {
            match subscriber.step() {
                Next::Now => {}
                Next::Later(due) => return due.is_some(),
                // A disk that failed.
                Next::Away(why) => {
                    away.push(why);
                    self.outbox.tend();
                    self.hands.inbox.tend();
                }
            }
        }
        panic!("the subscriber stays away: {away:?}");
    }

    fn rest(&self) {
        // The clock starts at the present, and the process before may have been hours ahead.
        while self.fire() | self.deliver() {
            self.time.advance(Duration::from_secs(80));
        }
    }

    /// Grows the logs, so that they are copied back from time to time.
    fn ballast(&self, number: i64) {
        let data = vec![u8::try_from(number % 251).unwrap(); 300_000];
        let sql = "INSERT INTO ballast (id, data) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data";
        for file in [&self.outbox, &self.hands.inbox] {
            if file.execute(sql, &[Value::Blob(&data)], soon()).is_err() {
                file.tend();
            }
        }
    }
}

fn source() -> Source {
    Source { publisher: "shop".into(), interface: INTERFACE.into() }
}

#[test]
fn child_that_is_killed() {
    let Some(folder) = inherited() else { return };
    let files = Files::open(&folder);
    let first = Files::numbers(&files.outbox, "told").last().map_or(1, |last| last + 1);
    for number in first..first + NUMBERS {
        files.tell_once(number);
        println!("acknowledged {number}");
        if number % 4 == 0 {
            files.fire();
        }
        if number % 3 == 0 {
            files.deliver();
            files.time.advance(Duration::from_secs(80));
        }
        if number % 6 == 0 {
            let seen = files.hands.inbox.seen(&source()).unwrap().unwrap_or(0);
            if files.outbox.forget_published(seen, files.time.wall_ms() + 1).is_err() {
                files.outbox.tend();
            }
        }
        files.ballast(number);
    }
}

/// What is wrong after the end of a process, once everything has been delivered.
fn wrong(folder: &std::path::Path, ended: &Ended) -> Option<String> {
    let files = Files::open(folder);
    files.rest();
    let (told, seen) = (Files::numbers(&files.outbox, "told"), Files::numbers(&files.hands.inbox, "seen"));
    let lost =
        ended.numbers("acknowledged").into_iter().find(|number| !told.contains(&i64::try_from(*number).unwrap()));
    if let Some(lost) = lost {
        return Some(format!("{lost} was acknowledged, and is lost"));
    }
    let sorted = |mut numbers: Vec<i64>| {
        numbers.sort_unstable();
        numbers
    };
    if sorted(told.clone()) != (1..=told.len() as i64).collect::<Vec<_>>() {
        return Some(format!("a number is missing or twice: {told:?}"));
    }
    let twice = sorted(seen.clone()).windows(2).find(|two| two[0] == two[1]).map(|two| two[0]);
    if let Some(twice) = twice {
        return Some(format!("{twice} has its effect twice"));
    }
    if sorted(seen.clone()) != sorted(told) {
        return Some(format!("of {} events, {} have their effect", files.outbox.kept().unwrap().last, seen.len()));
    }
    for subject in 0..3 {
        let of_it = seen.iter().filter(|number| *number % 4 != 0 && *number % 3 == subject);
        if !of_it.is_sorted() {
            return Some(format!("the events of {subject} are out of order: {seen:?}"));
        }
    }
    None
}

/// The points that a process like this one passes.
fn points() -> impl Iterator<Item = &'static str> {
    let parts = ["open.", "commit.", "checkpoint.", "outbox.", "inbox.", "timers."];
    POINTS.iter().copied().filter(move |point| parts.iter().any(|part| point.starts_with(part)))
}

#[test]
fn killed_at_any_point_it_loses_nothing_and_does_nothing_twice() {
    let mut acknowledged = 0;
    for point in points() {
        let (folder, mut chance) = (folder(), chance(point));
        for round in 0..kills() {
            let at_start = point.starts_with("open.");
            if at_start {
                // A crash before leaves logs to recover from.
                let ended = run(ME, folder.path(), &[("SEAM_FAULT", &plan("commit.after", &mut chance, 40))]);
                assert!(ended.killed, "{}", ended.said);
                acknowledged += ended.numbers("acknowledged").len();
            }
            let plan = plan(point, &mut chance, if at_start { 2 } else { 8 });
            let ended = run(ME, folder.path(), &[("SEAM_FAULT", &plan)]);
            assert!(ended.killed, "`{plan}` did not kill it: {}", ended.said);
            acknowledged += ended.numbers("acknowledged").len();
            assert_eq!(wrong(folder.path(), &ended), None, "{plan}, round {round}");
        }
    }
    assert!(acknowledged > 20, "{acknowledged} acknowledged");
}

#[test]
fn a_disk_that_fails_at_any_point_leaves_an_outcome_that_the_number_decides() {
    let ours: Vec<_> = points().filter(|point| FALLIBLE.contains(point)).collect();
    assert_eq!(ours.len(), 4);
    for point in ours {
        let (folder, mut chance) = (folder(), chance(point));
        for round in 0..kills() {
            let plan = plan(point, &mut chance, 20).replace("kill", "error");
            let ended = run(ME, folder.path(), &[("SEAM_FAULT", &plan)]);
            assert!(ended.success, "{plan}: {}", ended.said);
            assert!(ended.numbers("acknowledged").len() >= NUMBERS as usize, "{plan}");
            assert_eq!(wrong(folder.path(), &ended), None, "{plan}, round {round}");
        }
    }
}

/// The control.
#[test]
fn without_the_inboxs_mark_in_the_handlers_commit_a_kill_leaves_effects_that_come_twice() {
    let variables = [("SEAM_FAULT", "inbox.after-commit:kill:3"), ("SEAM_WITHOUT", "inbox-mark")];
    let folder = folder();
    let ended = run(ME, folder.path(), &variables);
    assert!(ended.killed, "{}", ended.said);
    let wrong = wrong(folder.path(), &ended);
    assert!(wrong.as_ref().is_some_and(|wrong| wrong.contains("has its effect twice")), "{wrong:?}");
}
