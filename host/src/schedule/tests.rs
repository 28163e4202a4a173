//! Schedules by a clock that the test moves, with real files.

#![expect(clippy::unwrap_used, reason = "tests")]

mod killed;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use seam_store::clock::ManualClock;
use seam_store::{Config, Migration, Transaction, Value};

use super::*;
use crate::cron::Cron;
use crate::manifest::{DueTimes, Missed};

/// Ends the scheduler when the test does, however it does.
struct End<'a>(&'a AtomicBool, &'a Notify);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.notify();
    }
}

#[test]
fn each_call_comes_its_interval_after_the_last_one_ended() {
    let time = Clock::manual();
    let (stop, woken, calls) = (AtomicBool::new(false), Notify::new(time.clock()), Mutex::new(Vec::new()));
    let seconds = Duration::from_secs;
    let waits_after = |expected: &[usize]| {
        let began = Instant::now();
        while *calls.lock().unwrap() != expected || time.waiting() != 1 {
            let made = calls.lock().unwrap().len();
            assert!(began.elapsed() < seconds(20), "{made} calls, expected {expected:?}");
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let clock = time.clock();
        let (stop, woken, calls, time) = (&stop, &woken, &calls, &time);
        let scheduler = scope.spawn(move || {
            run(&clock, stop, woken, &[seconds(30), seconds(70)], |at| {
                calls.lock().unwrap().push(at);
                // A call that takes 10 seconds.
                time.advance(seconds(10));
            });
        });
        let end = End(stop, woken);
        waits_after(&[]);
        time.advance(seconds(30) - Duration::from_nanos(1));
        waits_after(&[]);
        time.advance(Duration::from_nanos(1));
        // It ended at 40, so the next one is due at 70, as is the other.
        waits_after(&[0]);
        time.advance(seconds(29));
        waits_after(&[0]);
        time.advance(seconds(1));
        waits_after(&[0, 0, 1]);
        drop(end);
        scheduler.join().unwrap();
    });
}

/// A function that adds a row to the table `ticks`, as a context would.
struct Ticks {
    database: RefCell<Arc<Database>>,
    /// What comes of the next runs; those after them succeed.
    outcomes: RefCell<VecDeque<Outcome>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fails,
    /// The host ends before the commit.
    CrashesBefore,
    /// It ends after the commit, and no one gets its answer.
    CrashesAfter,
}

impl Ticks {
    fn tick(&self, tx: &mut Transaction) {
        tx.execute("INSERT INTO ticks (id) VALUES (NULL)", &[], soon()).unwrap();
    }
}

impl Runner for Ticks {
    fn database(&self) -> Result<Arc<Database>, String> {
        Ok(self.database.borrow().clone())
    }

    fn run(&self, mark: Mark<'_>) -> Result<(), String> {
        let outcome = self.outcomes.borrow_mut().pop_front();
        let mut tx = self.database.borrow().begin(soon()).unwrap();
        self.tick(&mut tx);
        if outcome == Some(Outcome::Fails) || outcome == Some(Outcome::CrashesBefore) {
            return Err("no".into());
        }
        mark(&mut tx).map_err(|error| error.to_string())?;
        tx.commit().unwrap();
        if outcome == Some(Outcome::CrashesAfter) { Err("no answer".into()) } else { Ok(()) }
    }

    fn run_alone(&self) -> Result<(), String> {
        let outcome = self.outcomes.borrow_mut().pop_front();
        let mut tx = self.database.borrow().begin(soon()).unwrap();
        self.tick(&mut tx);
        if outcome == Some(Outcome::Fails) {
            return Err("no".into());
        }
        tx.commit().unwrap();
        if outcome == Some(Outcome::CrashesAfter) { Err("no answer".into()) } else { Ok(()) }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

/// One schedule on a real file. The time stands still at the start of a day.
struct World {
    time: ManualClock,
    runner: Ticks,
    due: DueTimes,
    folder: PathBuf,
    /// Gone with the world.
    _own: Option<tempfile::TempDir>,
}

const NAME: &str = "desk.tick";
/// The start of 2026-01-01, a Thursday.
const START: u64 = 1_767_225_600;

impl World {
    fn new(line: &str, missed: Missed) -> Self {
        let own = tempfile::tempdir().unwrap();
        let world = Self::open(own.path(), line, missed);
        Self { _own: Some(own), ..world }
    }

    fn open(folder: &Path, line: &str, missed: Missed) -> Self {
        let time = Clock::manual();
        time.set_wall(UNIX_EPOCH + Duration::from_secs(START));
        let database = open(folder, &time);
        let table = Migration {
            number: 1,
            name: "ticks".into(),
            sql: "CREATE TABLE ticks (id INTEGER PRIMARY KEY) STRICT;".into(),
        };
        seam_store::migrate(&database, &[table]).unwrap();
        let due = DueTimes { cron: Cron::parse(line, chrono_tz::Tz::UTC).unwrap(), missed, transaction: true };
        let runner = Ticks { database: RefCell::new(database), outcomes: RefCell::default() };
        Self { time, runner, due, folder: folder.to_owned(), _own: None }
    }

    fn step(&self) -> Found {
        DueSchedule { name: NAME, due: &self.due, runner: &self.runner }.step().0
    }

    /// Steps until nothing is due; when the schedule is due next, in seconds after the start.
    fn run(&self) -> u64 {
        for _ in 0..10_000 {
            match self.step() {
                Found::Waits(next_ms) => return next_ms.unwrap() / 1_000 - START,
                Found::Away(why) => unreachable!("{why}"),
                Found::Done { .. } | Found::Failed(_) => {}
            }
        }
        unreachable!("it is due again and again")
    }

    /// Sets the time of day, in seconds after the start.
    fn at(&self, second: u64) {
        self.time.set_wall(UNIX_EPOCH + Duration::from_secs(START + second));
    }

    /// The host stops and starts again.
    fn restart(&self) {
        let database = self.runner.database.borrow().clone();
        database.close().unwrap();
        drop(database);
        *self.runner.database.borrow_mut() = open(&self.folder, &self.time);
    }

    fn ticks(&self) -> u64 {
        let rows = self.runner.database.borrow().query("SELECT count(*) FROM ticks", &[], soon()).unwrap();
        let mut row = Vec::new();
        seam_store::Rows::new(&rows).unwrap().next_into(&mut row).unwrap();
        match row.first() {
            Some(Value::Integer(count)) => u64::try_from(*count).unwrap(),
            other => unreachable!("{other:?}"),
        }
    }
}

fn open(folder: &Path, time: &ManualClock) -> Arc<Database> {
    Database::open(Config { clock: time.clock(), ..Config::plain(folder.join("desk.db"), 64) }).unwrap()
}

const HOUR: u64 = 3_600;

#[test]
fn a_new_schedule_waits_for_its_first_due_time_and_each_has_one_run() {
    let world = World::new("0 * * * *", Missed::Once);
    assert_eq!(world.run(), HOUR, "the due time at which it is new is past");
    for hour in 1..5 {
        world.at(hour * HOUR - 1);
        world.run();
        assert_eq!(world.ticks(), hour - 1);
        world.at(hour * HOUR);
        assert_eq!(world.run(), (hour + 1) * HOUR);
        assert_eq!(world.ticks(), hour);
        world.run();
        world.restart();
        world.run();
        assert_eq!(world.ticks(), hour, "also after a restart");
    }
}

#[test]
fn due_times_that_were_missed_run_as_the_policy_says() {
    for (missed, late_s, expect) in
        [(Missed::Once, 600, 1), (Missed::Each, 600, 5), (Missed::Skip, 600, 0), (Missed::Skip, 30, 1)]
    {
        let world = World::new("0 * * * *", missed);
        world.run();
        world.at(5 * HOUR + late_s);
        world.restart();
        assert_eq!(world.run(), 6 * HOUR);
        assert_eq!(world.ticks(), expect, "{missed:?}");
    }
}

#[test]
fn a_run_that_was_cut_off_has_its_effect_once() {
    for outcome in [Outcome::Fails, Outcome::CrashesBefore, Outcome::CrashesAfter] {
        for missed in [Missed::Once, Missed::Each, Missed::Skip] {
            let world = World::new("0 * * * *", missed);
            world.run();
            world.at(HOUR);
            world.runner.outcomes.borrow_mut().extend([outcome, outcome]);
            assert!(matches!(world.step(), Found::Failed(_)));
            world.restart();
            world.run();
            assert_eq!(world.ticks(), 1);
        }
    }
}

#[test]
fn after_a_jump_of_the_clock_no_due_time_comes_twice_and_none_is_lost() {
    for missed in [Missed::Once, Missed::Each] {
        let world = World::new("0 * * * *", missed);
        world.run();
        world.at(3 * HOUR);
        world.run();
        let before = world.ticks();
        assert_eq!(before, if missed == Missed::Each { 3 } else { 1 });
        // Back by two hours, and on again.
        world.at(HOUR);
        assert_eq!(world.run(), 4 * HOUR);
        world.at(3 * HOUR + 59 * 60);
        assert_eq!(world.run(), 4 * HOUR);
        assert_eq!(world.ticks(), before);
        world.at(4 * HOUR);
        world.run();
        assert_eq!(world.ticks(), before + 1);
    }
}

#[test]
fn a_clock_that_was_far_ahead_keeps_a_schedule_waiting_for_no_longer_than_a_day() {
    let world = World::new("0 * * * *", Missed::Once);
    world.run();
    world.at(20_000 * HOUR);
    world.run();
    assert_eq!(world.ticks(), 1);
    // Put right: it goes on from now.
    world.at(10 * HOUR);
    assert_eq!(world.run(), 11 * HOUR);
    assert_eq!(world.ticks(), 1);
    world.at(11 * HOUR);
    world.run();
    assert_eq!(world.ticks(), 2);
}

#[test]
fn without_a_transaction_a_run_is_made_until_it_is_noted() {
    let world = World::new("0 * * * *", Missed::Once);
    let world = World { due: DueTimes { transaction: false, ..world.due.clone() }, ..world };
    world.run();
    world.at(HOUR);
    world.runner.outcomes.borrow_mut().extend([Outcome::Fails, Outcome::CrashesAfter]);
    world.run();
    assert_eq!(world.ticks(), 2, "the run whose end is not known is made again; the one that failed left nothing");
    world.run();
    assert_eq!(world.ticks(), 2);
}

/// A world whose schedule has an interval, and the seconds after the start at which it is due next.
fn every(world: &World, seconds: u64, transaction: bool) -> Option<u64> {
    let interval = Interval { every: Duration::from_secs(seconds), transaction };
    let schedule = IntervalSchedule { name: NAME, interval, runner: &world.runner };
    for _ in 0..10 {
        match schedule.step().0 {
            Found::Waits(next_ms) => return next_ms.map(|ms| ms / 1_000 - START),
            Found::Done { .. } => {}
            Found::Failed(_) => return None,
            Found::Away(why) => unreachable!("{why}"),
        }
    }
    unreachable!("it is due again and again")
}

#[test]
fn an_interval_goes_on_over_restarts_and_is_due_once() {
    for transaction in [false, true] {
        let world = World::new("0 * * * *", Missed::Once);
        let step = || every(&world, HOUR, transaction);
        assert_eq!(step(), Some(HOUR), "a new one waits for its whole interval");
        // A host that never runs for an hour makes the call all the same.
        for quarter in 1..4 {
            world.at(quarter * HOUR / 4);
            world.restart();
            assert_eq!((step(), world.ticks()), (Some(HOUR), 0));
        }
        world.at(HOUR);
        world.restart();
        assert_eq!((step(), world.ticks()), (Some(2 * HOUR), 1));
        world.restart();
        assert_eq!((step(), world.ticks()), (Some(2 * HOUR), 1), "no restart makes it come twice");
        // Down for three intervals: one call, and the next one an interval after it.
        world.at(5 * HOUR);
        world.restart();
        assert_eq!((step(), world.ticks()), (Some(6 * HOUR), 2));
    }
}

#[test]
fn an_interval_whose_run_failed_or_was_cut_off_is_due_until_it_is_noted() {
    for (transaction, ticks) in [(true, 2), (false, 3)] {
        let world = World::new("0 * * * *", Missed::Once);
        every(&world, HOUR, transaction);
        for hour in 1..3 {
            world.at(hour * HOUR);
            world.runner.outcomes.borrow_mut().extend([if hour == 1 { Outcome::Fails } else { Outcome::CrashesAfter }]);
            assert_eq!(every(&world, HOUR, transaction), None);
            world.restart();
            every(&world, HOUR, transaction);
        }
        assert_eq!(world.ticks(), ticks, "in its transaction a run that was cut off has its effect once");
    }
}

#[test]
fn a_clock_that_is_put_back_delays_an_interval_by_one_of_its_length() {
    let world = World::new("0 * * * *", Missed::Once);
    every(&world, 30, false);
    world.at(10_000 * HOUR);
    every(&world, 30, false);
    assert_eq!(world.ticks(), 1);
    world.at(HOUR);
    assert_eq!(every(&world, 30, false), Some(HOUR + 30));
    world.at(HOUR + 30);
    assert_eq!((every(&world, 30, false), world.ticks()), (Some(HOUR + 60), 2));
}

#[test]
fn a_failed_run_is_made_again_after_pauses_that_grow_to_the_longest() {
    assert_eq!(pause(1), Duration::from_millis(500));
    assert_eq!(pause(3), Duration::from_secs(2));
    assert_eq!(pause(u32::MAX), Duration::from_millis(limits::SCHEDULE_PAUSE_MS_MAX));
    let interval = Interval { every: Duration::from_secs(1), transaction: false };
    assert_eq!(pause(3).min(longest(&When::Every(interval))), Duration::from_secs(1), "or after its interval");
}
