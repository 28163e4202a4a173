//! One saga on a real file, with steps in this process in the place of a context, and a clock that is moved by hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod driving;
mod failing;
mod simulation;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::call::Failure;
use seam_runtime::run::Undelivered;
use seam_store::clock::{Clock, ManualClock};
use seam_store::{
    Config, Database, Error, Saga, SagaAction, SagaChange, SagaDefinition, SagaOutcome, SagaState, SagaStep, SagaTask,
    SagaUndo, Transaction,
};

use super::{Engine, Left, Performance, Performer};
use crate::limits;

/// What a step does besides its answer.
enum Play {
    Answer(SagaOutcome),
    /// It traps: nothing is written.
    Trap,
    /// The context cannot be called.
    Away,
    /// The commit fails.
    Busy,
    /// It commits, and the host does not learn that.
    InDoubt,
    /// A deferred constraint refuses the commit.
    Constraint,
    /// Something else happens before the answer.
    Meanwhile(Box<dyn Fn(&Database)>, SagaOutcome),
}

/// Performs steps as the test says, and otherwise answers `done`. A step whose name begins with `own` writes a row.
struct Troupe {
    database: Arc<Database>,
    definition: RefCell<SagaDefinition>,
    plays: RefCell<BTreeMap<String, VecDeque<Play>>>,
    /// `step` or `step:undo`, in order.
    calls: RefCell<Vec<String>>,
    /// The tasks, in order.
    tasks: RefCell<Vec<SagaTask>>,
    is_away: Cell<bool>,
}

impl Performer for Troupe {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        if self.is_away.get() { Err(absent()) } else { Ok(self.database.clone()) }
    }

    fn definition(&self, kind: &str) -> Result<Option<SagaDefinition>, Failure> {
        Ok(Some(self.definition.borrow().clone()).filter(|definition| definition.kind == kind))
    }

    fn perform(&self, step: Performance<'_>) -> Result<SagaOutcome, Undelivered> {
        let Performance { task, trace, undo, keep, mark } = step;
        assert_eq!(trace, "trace");
        let call = format!("{}{}", task.step, if undo { ":undo" } else { "" });
        self.calls.borrow_mut().push(call.clone());
        self.tasks.borrow_mut().push(task.clone());
        let play = self.plays.borrow_mut().get_mut(&call).and_then(VecDeque::pop_front);
        let (outcome, fails) = match play {
            None => (SagaOutcome::Done, None),
            Some(Play::Answer(outcome)) => (outcome, None),
            Some(Play::Trap) => {
                let failure = Failure::Trapped { context: "shop".into(), reason: "a secret".into() };
                return Err(Undelivered::Event(0, failure));
            }
            Some(Play::Away) => return Err(Undelivered::Context(absent())),
            Some(Play::Busy) => (SagaOutcome::Done, Some(Error::Busy("the disk".into()))),
            Some(Play::InDoubt) => (SagaOutcome::Done, Some(Error::Unavailable("did it commit?".into()))),
            Some(Play::Constraint) => (SagaOutcome::Done, Some(Error::Constraint("FOREIGN KEY".into()))),
            Some(Play::Meanwhile(what, outcome)) => {
                what(&self.database);
                (outcome, None)
            }
        };
        let wrote = task.step.starts_with("own");
        if !wrote && !keep(&outcome) && fails.is_none() {
            return Ok(outcome);
        }
        let mut tx = self.database.begin(soon()).map_err(Undelivered::Store)?;
        if wrote {
            tx.execute("INSERT INTO did (what) VALUES (?1)", &[call.as_str().into()], soon()).unwrap();
        }
        mark(&mut tx, &outcome).map_err(Undelivered::Store)?;
        match fails {
            Some(error) => {
                if matches!(error, Error::Unavailable(_)) {
                    tx.commit().unwrap();
                }
                return Err(Undelivered::Store(error));
            }
            None => tx.commit().map_err(Undelivered::Store)?,
        }
        Ok(outcome)
    }

    fn pause_ms(&self, attempts: Option<u32>) -> u64 {
        attempts.map_or(60_000, |attempts| 1_000 * u64::from(attempts))
    }
}

fn absent() -> Failure {
    Failure::Absent { context: "shop".into(), reason: "swapped".into() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn later(why: &str) -> Play {
    Play::Answer(SagaOutcome::Later(why.into()))
}

fn refused(why: &str) -> Play {
    Play::Answer(SagaOutcome::Refused(why.into()))
}

fn unknown(why: &str) -> Play {
    Play::Answer(SagaOutcome::Unknown(why.into()))
}

fn waiting(until_s: Option<u64>) -> Play {
    Play::Answer(SagaOutcome::Waiting(until_s))
}

/// A step that calls another context, with 3 tries in 60 seconds; `own...` steps change the context's file only.
fn step(name: &str, undo: SagaUndo) -> SagaStep {
    let call = (!name.starts_with("own")).then(|| format!("acme:{name}/it.do"));
    SagaStep { name: name.into(), call, undo, tries: 3, patience_s: 60 }
}

/// `name` is undone by a call or by itself, `name-` needs no undo, `name!` cannot be undone.
fn definition(steps: &[&str]) -> SagaDefinition {
    let of = |name: &&str| match (name.strip_suffix('-'), name.strip_suffix('!')) {
        (Some(name), _) => step(name, SagaUndo::Nothing),
        (_, Some(name)) => step(name, SagaUndo::Never),
        _ if name.starts_with("own") => step(name, SagaUndo::Own),
        _ => step(name, SagaUndo::Call(format!("acme:{name}/it.undo"))),
    };
    SagaDefinition { kind: "sale".into(), steps: steps.iter().map(of).collect() }
}

struct World {
    engine: Engine<Troupe>,
    time: ManualClock,
    folder: tempfile::TempDir,
}

impl World {
    /// With one saga, `1`, which is due.
    fn new(steps: &[&str]) -> Self {
        let (folder, time) = (tempfile::tempdir().unwrap(), Clock::manual());
        let database = open(&folder, &time);
        let sql = "CREATE TABLE did (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;".into();
        seam_store::migrate(&database, &[seam_store::Migration { number: 1, name: "did".into(), sql }]).unwrap();
        let world = Self { engine: Engine::new(troupe(database, definition(steps))), time, folder };
        world.tx(|tx| tx.saga_start(&definition(steps), "1", "trace", world.now_ms()));
        world
    }

    /// Has `play`s come of the next calls of a step, or of `step:undo`.
    fn plays(self, call: &str, plays: impl IntoIterator<Item = Play>) -> Self {
        self.engine.performer.plays.borrow_mut().entry(call.into()).or_default().extend(plays);
        self
    }

    /// The host is stopped and started; `how` gets the file before.
    fn restart(self) -> Self {
        let Self { engine, time, folder } = self;
        let definition = engine.performer.definition.borrow().clone();
        drop(engine);
        let database = open(&folder, &time);
        Self { engine: Engine::new(troupe(database, definition)), time, folder }
    }

    fn drive(&self) -> Left {
        self.engine.drive("sale", "1")
    }

    /// Drives it until it ends or waits, with the time that it pauses; at most so many times.
    fn drive_on(&self, most: u32) -> Saga {
        for _ in 0..most {
            self.drive();
            match self.saga().due_ms {
                Some(due) => self.time.advance(Duration::from_millis(due.saturating_sub(self.now_ms()))),
                None => break,
            }
        }
        self.saga()
    }

    fn saga(&self) -> Saga {
        self.database().saga("sale", "1").unwrap().unwrap()
    }

    fn database(&self) -> &Database {
        &self.engine.performer.database
    }

    fn now_ms(&self) -> u64 {
        self.database().clock().wall_ms()
    }

    fn tx<T>(&self, run: impl FnOnce(&mut Transaction) -> Result<T, Error>) -> T {
        in_tx(self.database(), run)
    }

    /// The calls since the last look.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.engine.performer.calls.borrow_mut())
    }

    fn answers(&self) -> Vec<String> {
        let lines = self.database().saga_timeline("sale", "1").unwrap();
        lines.into_iter().map(|line| format!("{} {}", line.step, line.answer)).collect()
    }

    fn commits(&self) -> u64 {
        self.database().statistics().commits
    }
}

fn troupe(database: Arc<Database>, definition: SagaDefinition) -> Troupe {
    Troupe {
        database,
        definition: RefCell::new(definition),
        plays: RefCell::default(),
        calls: RefCell::default(),
        tasks: RefCell::default(),
        is_away: Cell::default(),
    }
}

fn open(folder: &tempfile::TempDir, time: &ManualClock) -> Arc<Database> {
    Database::open(Config { clock: time.clock(), ..Config::plain(folder.path().join("shop.db"), 64) }).unwrap()
}

fn in_tx<T>(database: &Database, run: impl FnOnce(&mut Transaction) -> Result<T, Error>) -> T {
    let mut tx = database.begin(soon()).unwrap();
    let value = run(&mut tx).unwrap();
    tx.commit().unwrap();
    value
}

fn give_up(database: &Database) -> SagaChange {
    in_tx(database, |tx| tx.saga_give_up("sale", "1", "the customer", 1))
}

fn state(saga: &Saga) -> (SagaState, &str, &str) {
    (saga.state, &saga.step, saga.why())
}

#[test]
fn steps_that_call_others_follow_each_other_with_one_commit_at_the_end() {
    let world = World::new(&["reserve", "pay", "pack-", "tell"]);
    let before = world.commits();
    assert_eq!(world.drive(), Left::Written);
    assert_eq!(world.commits() - before, 1);
    assert_eq!(world.calls(), ["reserve", "pay", "pack", "tell"]);
    assert_eq!(state(&world.saga()), (SagaState::Done, "tell", ""));
    assert_eq!(world.answers(), ["reserve done", "pay done", "pack done", "tell done"]);
    world.drive();
    assert_eq!(world.calls(), [""; 0], "it has ended");
}

#[test]
fn what_a_step_writes_commits_with_its_mark() {
    let world = World::new(&["reserve", "own-note", "pay"]).plays("pay", [later("away")]);
    let before = world.commits();
    world.drive();
    assert_eq!(world.commits() - before, 2);
    let saga = world.saga();
    assert_eq!((state(&saga), saga.reach.as_slice()), ((SagaState::Running, "pay", "away"), &["pay".to_owned()][..]));
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    assert_eq!(world.calls(), ["reserve", "own-note", "pay", "pay"], "what is in the file is not performed again");
}

#[test]
fn the_key_and_the_trace_stay_and_attempts_are_counted() {
    let world = World::new(&["reserve", "pay"])
        .plays("pay", [later("a"), Play::Trap, refused("declined")])
        .plays("reserve:undo", [later("b")]);
    world.drive_on(9);
    let tasks = world.engine.performer.tasks.borrow();
    let seen: Vec<_> = tasks.iter().map(|task| (task.key.as_str(), task.attempt, task.cause.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("sale:1:reserve", 1, ""),
            ("sale:1:pay", 1, ""),
            ("sale:1:pay", 2, ""),
            ("sale:1:pay", 3, ""),
            ("sale:1:reserve:undo", 1, "declined"),
            ("sale:1:reserve:undo", 2, "declined"),
        ]
    );
}

#[test]
fn it_waits_until_it_is_resumed_and_costs_nothing_meanwhile() {
    let world = World::new(&["pay", "ship-", "tell"]).plays("ship", [waiting(None)]);
    world.drive();
    assert_eq!((state(&world.saga()), world.saga().due_ms), ((SagaState::Waiting, "ship", ""), None));
    let world = world.restart();
    world.drive();
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(world.tx(|tx| tx.saga_resume("sale", "1", "ship", world.now_ms())), SagaChange::Done);
    let before = world.commits();
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    assert_eq!(world.calls(), ["tell"], "what it waited for counts as performed");
    assert_eq!(world.commits() - before, 1);
}

#[test]
fn a_wait_with_a_time_is_asked_again_then_and_does_not_count_as_patience() {
    let world = World::new(&["pay", "ship-", "tell"]);
    let until = world.now_ms() / 1_000 + 3_600;
    let world = world.plays("ship", [waiting(Some(until)), later("a"), waiting(Some(0))]);
    world.drive();
    assert_eq!(world.saga().due_ms, Some(1_000 * until));
    world.time.advance(Duration::from_secs(3_601));
    world.drive();
    assert_eq!(state(&world.saga()), (SagaState::Running, "ship", "a"), "an hour of waiting is not held against it");
    world.time.advance(Duration::from_secs(1));
    world.drive();
    let pause = world.saga().due_ms.unwrap() - world.now_ms();
    assert_eq!(pause, limits::PAUSE_FIRST_MS, "a time that is over does not make it ask without a pause");
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    let tasks = world.engine.performer.tasks.borrow();
    let attempts: Vec<u32> = tasks.iter().filter(|task| task.step == "ship").map(|task| task.attempt).collect();
    assert_eq!(attempts, [1, 2, 2, 2], "waited once, failed once, waited again");
}

#[test]
fn from_a_step_that_cannot_be_undone_on_it_only_goes_forward() {
    let fails = || (0..20).map(|_| later("no answer"));
    let world = World::new(&["pay", "capture!", "tell-"]).plays("capture", fails());
    world.drive();
    let saga = world.saga();
    assert!(saga.forward_only);
    assert!(matches!(give_up(world.database()), SagaChange::Refused(why) if why.contains("`capture`")));
    assert_eq!(state(&world.drive_on(3)), (SagaState::Stuck, "capture", "no answer"));
    assert_eq!(state(&world.drive_on(10)), (SagaState::Stuck, "capture", "no answer"), "it is tried on");
    assert_eq!(state(&world.drive_on(99)), (SagaState::Done, "tell", ""), "it leaves that by itself");
}

#[test]
fn before_a_step_that_cannot_be_undone_the_host_looks_whether_the_saga_was_given_up() {
    let meanwhile = Play::Meanwhile(Box::new(|file| assert_eq!(give_up(file), SagaChange::Done)), SagaOutcome::Done);
    let world = World::new(&["reserve", "pay", "capture!"]).plays("pay", [meanwhile]);
    assert_eq!(state(&world.drive_on(9)), (SagaState::Undone, "reserve", "the customer"));
    assert_eq!(world.calls(), ["reserve", "pay", "pay:undo", "reserve:undo"]);
}

#[test]
fn a_saga_is_in_flight_over_a_swap_to_a_version_with_other_later_steps() {
    let world = World::new(&["reserve", "wait-", "tell"]).plays("wait", [waiting(None)]);
    world.drive();
    *world.engine.performer.definition.borrow_mut() = definition(&["reserve", "wait-", "weigh", "own-ship", "post"]);
    world.calls();
    world.tx(|tx| tx.saga_resume("sale", "1", "wait", world.now_ms()));
    assert_eq!(state(&world.drive_on(9)), (SagaState::Done, "post", ""));
    assert_eq!(world.calls(), ["weigh", "own-ship", "post"]);
}

#[test]
fn a_saga_that_the_version_does_not_know_is_stuck_until_one_does() {
    for other in [definition(&["weigh"]), SagaDefinition { kind: "other".into(), ..definition(&["reserve"]) }] {
        let world = World::new(&["reserve"]);
        let known = world.engine.performer.definition.replace(other);
        world.drive();
        assert_eq!(world.saga().state, SagaState::Stuck);
        assert!(world.saga().reason.contains("the version that serves has no"), "{}", world.saga().reason);
        assert_eq!(world.calls(), [""; 0]);
        *world.engine.performer.definition.borrow_mut() = known;
        assert_eq!(state(&world.drive_on(9)), (SagaState::Done, "reserve", ""));
        assert_eq!(world.answers(), ["reserve done"]);
    }
}
