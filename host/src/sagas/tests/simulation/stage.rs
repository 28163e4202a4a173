//! The steps of simulated sagas, and what happens around them.

use super::*;

/// Performs steps in this process, and fails as the seed says.
pub struct Stage {
    rng: RefCell<Rng>,
    without: Without,
    database: RefCell<Arc<Database>>,
    definitions: Vec<SagaDefinition>,
    neighbours: RefCell<Neighbours>,
    pub has_faults: Cell<bool>,
    /// Whether the host may know less than what has happened.
    is_imprecise: Cell<bool>,
    /// The ids of sagas that were given up from outside.
    given_up: RefCell<BTreeSet<String>>,
    /// Steps that an operator let pass, as `id/step`.
    skipped: RefCell<BTreeSet<String>>,
    /// Steps that were called, as `id/step`.
    called: RefCell<BTreeSet<String>>,
    history: RefCell<Vec<String>>,
    /// What is seen to be wrong on the way.
    wrong: RefCell<Option<String>>,
}

/// Kinds of sagas of one simulation.
const KINDS: usize = 3;

impl Stage {
    pub fn new(seed: u64, without: Without, database: Arc<Database>) -> Self {
        let sql = "CREATE TABLE own (key TEXT PRIMARY KEY, effects INTEGER NOT NULL) STRICT;".into();
        seam_store::migrate(&database, &[seam_store::Migration { number: 1, name: "own".into(), sql }]).unwrap();
        let neighbours = Neighbours::new(without == Without::Keys);
        let mut stage = Self {
            rng: RefCell::new(Rng::new(seed)),
            without,
            database: RefCell::new(database),
            definitions: Vec::new(),
            neighbours: RefCell::new(neighbours),
            has_faults: Cell::new(true),
            is_imprecise: Cell::default(),
            given_up: RefCell::default(),
            skipped: RefCell::default(),
            called: RefCell::default(),
            history: RefCell::default(),
            wrong: RefCell::default(),
        };
        stage.definitions = (0..KINDS).map(|number| stage.some_definition(number)).collect();
        stage
    }

    /// A number from `least` up to, without, `beyond`.
    pub fn below(&self, least: u64, beyond: u64) -> u64 {
        least + self.rng.borrow_mut().next() % (beyond - least)
    }

    /// Whether a fault with this chance happens now.
    fn fault(&self, percent: u64) -> bool {
        self.has_faults.get() && self.below(0, 100) < percent
    }

    fn note(&self, what: String) {
        self.history.borrow_mut().push(what);
    }

    pub fn history(&self) -> Vec<String> {
        self.history.borrow().clone()
    }

    /// What is wrong, and what led to it.
    pub fn wrong(&self, what: &str) -> String {
        format!("{what}\n{:#?}\n{}", self.definitions, self.history().join("\n"))
    }

    fn is_wrong(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }

    pub fn database(&self) -> Arc<Database> {
        self.database.borrow().clone()
    }

    pub fn now_ms(&self) -> u64 {
        self.database().clock().wall_ms()
    }

    fn crash_point(&self, at: &str) {
        if self.has_faults.get() && self.below(0, 1_000) < 8 {
            self.note(format!("-- crash {at}"));
            resume_unwind(Box::new(Crash) as Box<dyn Any + Send>);
        }
    }

    /// Two to seven steps; from one of them on, perhaps, none can be undone.
    fn some_definition(&self, number: usize) -> SagaDefinition {
        let (count, never) = (self.below(2, 8), self.below(0, 12));
        let step = |at: u64| {
            let (name, undo) = match (at >= never, self.below(0, 10)) {
                (true, 0..5) => ("call", SagaUndo::Never),
                (true, 5..7) => ("own", SagaUndo::Never),
                (_, 7) => ("wait", SagaUndo::Nothing),
                (true, _) | (false, 8) => ("call", SagaUndo::Nothing),
                (false, 5 | 6) => ("own", SagaUndo::Own),
                (false, _) => ("call", SagaUndo::Call("undo".into())),
            };
            let call = (name == "call").then(|| "do".to_owned());
            let (tries, patience_s) = (self.below(1, 5) as u32, self.below(1, 120) as u32);
            SagaStep { name: format!("{name}-{at}"), call, undo, tries, patience_s }
        };
        SagaDefinition { kind: format!("kind-{number}"), steps: (0..count).map(step).collect() }
    }

    /// Starts some sagas; one that is not committed has never started.
    pub fn start_sagas(&self) -> Vec<Name> {
        let mut started = Vec::new();
        for id in 0..self.below(2, 6) {
            let definition = &self.definitions[self.below(0, KINDS as u64) as usize];
            let (id, database) = (id.to_string(), self.database());
            let mut tx = database.begin(soon()).unwrap();
            assert!(tx.saga_start(definition, &id, "trace", self.now_ms()).unwrap());
            if self.below(0, 10) == 0 {
                continue;
            }
            tx.commit().unwrap();
            assert!(!in_tx(&database, |tx| tx.saga_start(definition, &id, "trace", self.now_ms())));
            started.push((definition.kind.clone(), id));
        }
        let all = self.database().sagas(&seam_store::SagaFilter::default(), 0, 100).unwrap();
        assert_eq!(all.len(), started.len());
        started
    }

    /// The host starts again after a crash.
    pub fn restart(&self, open: impl FnOnce() -> Arc<Database>) {
        self.is_imprecise.set(true);
        // The file is closed before it is opened.
        let closed = std::mem::replace(&mut *self.database.borrow_mut(), open());
        drop(closed);
        if self.without == Without::Reach {
            let database = self.database();
            for mut saga in database.sagas(&seam_store::SagaFilter::default(), 0, 100).unwrap() {
                saga.in_doubt = false;
                in_tx(&database, |tx| tx.saga_save(&saga, &[]));
            }
        }
    }

    /// Some of what happens around sagas, and those that are due.
    pub fn round(&self, engine: &Engine<&Self>, ids: &[Name]) {
        for (kind, id) in ids {
            match self.below(0, 100) {
                0..4 => self.give_up(kind, id),
                4..8 => self.resume(kind, id),
                8..16 => self.act(kind, id, SagaAction::Retry),
                16 => self.act(kind, id, SagaAction::Undo),
                17 => self.act(kind, id, SagaAction::Skip),
                _ => {}
            }
            if self.below(0, 4) > 0 {
                let left = engine.drive(kind, id);
                self.note(format!("{kind} {id}: {left:?}"));
            }
        }
    }

    fn give_up(&self, kind: &str, id: &str) {
        let change = in_tx(&self.database(), |tx| tx.saga_give_up(kind, id, "the customer", self.now_ms()));
        self.note(format!("{kind} {id}: give up: {change:?}"));
        if change == SagaChange::Done {
            self.given_up.borrow_mut().insert(id.to_owned());
        }
    }

    fn resume(&self, kind: &str, id: &str) {
        let saga = self.database().saga(kind, id).unwrap().unwrap();
        let change = in_tx(&self.database(), |tx| tx.saga_resume(kind, id, &saga.step, self.now_ms()));
        self.note(format!("{kind} {id}: resume: {change:?}"));
    }

    fn act(&self, kind: &str, id: &str, action: SagaAction) {
        let saga = self.database().saga(kind, id).unwrap().unwrap();
        let change = in_tx(&self.database(), |tx| tx.saga_act((kind, id), action, ("ann", ""), self.now_ms()));
        self.note(format!("{kind} {id}: {action:?} at {}: {change:?}", saga.step));
        match (change, action) {
            (SagaChange::Done, SagaAction::Undo) => drop(self.given_up.borrow_mut().insert(id.to_owned())),
            (SagaChange::Done, SagaAction::Skip) => {
                self.skipped.borrow_mut().insert(format!("{id}/{}", saga.step));
            }
            _ => {}
        }
    }

    /// Without faults: has each saga go on. Whether all have ended.
    pub fn settle(&self, engine: &Engine<&Self>, ids: &[Name]) -> bool {
        for (kind, id) in ids {
            engine.drive(kind, id);
            let saga = self.database().saga(kind, id).unwrap().unwrap();
            match saga.state {
                SagaState::Waiting => self.resume(kind, id),
                SagaState::Stuck if saga.due_ms.is_none() => self.act(kind, id, SagaAction::Retry),
                _ => {}
            }
        }
        let ended = |(kind, id): &Name| self.database().saga(kind, id).unwrap().unwrap().state.has_ended();
        ids.iter().all(ended)
    }

    /// What each saga has left behind.
    pub fn check(&self, ids: &[Name]) -> Result<(), String> {
        if let Some(wrong) = &*self.wrong.borrow() {
            return Err(self.wrong(wrong));
        }
        for (kind, id) in ids {
            let saga = self.database().saga(kind, id).unwrap().unwrap();
            let (is_done, is_given_up) = (saga.state == SagaState::Done, self.given_up.borrow().contains(id));
            if is_done && is_given_up {
                return Err(self.wrong(&format!("{kind} {id} was given up, and is done")));
            }
            let definition = self.definitions.iter().find(|definition| definition.kind == *kind).unwrap();
            for step in definition.steps.iter().filter(|step| !step.name.starts_with("wait")) {
                let effects = self.effects(&SagaTask::key(kind, id, &step.name, false), &step.name);
                let was_skipped = self.skipped.borrow().contains(&format!("{id}/{}", step.name));
                let is_right = match (is_done, &step.undo) {
                    _ if was_skipped => effects <= 1,
                    (true, _) => effects == 1,
                    (false, SagaUndo::Nothing) => effects <= 1,
                    (false, _) => effects == 0,
                };
                if !is_right {
                    let state = saga.state.name();
                    return Err(
                        self.wrong(&format!("{kind} {id} is {state}, and `{}` has {effects} effects", step.name))
                    );
                }
            }
        }
        Ok(())
    }

    fn effects(&self, key: &str, step: &str) -> u32 {
        if !step.starts_with("own") {
            return self.neighbours.borrow().effects(key);
        }
        let sql = "SELECT coalesce(sum(effects), 0) FROM own WHERE key = ?1";
        let packed = self.database().query(sql, &[key.into()], soon()).unwrap();
        let (mut rows, mut row) = (seam_store::Rows::new(&packed).unwrap(), Vec::new());
        assert!(rows.next_into(&mut row).unwrap());
        match row[..] {
            [seam_store::Value::Integer(effects)] => u32::try_from(effects).unwrap(),
            ref other => panic!("not one number: {other:?}"),
        }
    }

    /// What the step does outside of the file, and what it answers.
    fn answer(&self, task: &SagaTask, undo: bool) -> Result<SagaOutcome, Undelivered> {
        let trap = || {
            let failure = Failure::TimedOut { context: "shop".into() };
            Err(Undelivered::Event(0, failure))
        };
        let key = SagaTask::key(&task.kind, &task.id, &task.step, false);
        let is_call = task.step.starts_with("call");
        match () {
            () if self.fault(4) => return Err(Undelivered::Context(absent())),
            () if self.fault(5) => return trap(),
            () if self.fault(8) => return Ok(SagaOutcome::Later("before".into())),
            () if self.fault(2) => return Ok(SagaOutcome::Unknown("before".into())),
            // What was done with this key is not refused later.
            () if !self.neighbours.borrow().has_done(&key) && self.fault(4) => {
                return Ok(SagaOutcome::Refused("no".into()));
            }
            () if task.step.starts_with("wait") && self.fault(60) => {
                let until = self.now_ms() / 1_000 + self.below(0, 60);
                return Ok(SagaOutcome::Waiting((self.below(0, 2) == 0).then_some(until)));
            }
            () => {}
        }
        if is_call && undo && self.without != Without::Undo {
            self.neighbours.borrow_mut().undo(&key);
        }
        if is_call && !undo {
            if self.neighbours.borrow().was_undone(&key) {
                self.is_wrong(format!("{key} is performed after it was undone"));
            }
            self.neighbours.borrow_mut().perform(&key);
        }
        self.crash_point("after an effect");
        match () {
            () if !is_call => Ok(SagaOutcome::Done),
            () if self.fault(6) => Ok(SagaOutcome::Later("after".into())),
            () if self.fault(4) => trap(),
            () if self.fault(3) => Ok(SagaOutcome::Unknown("after".into())),
            () => Ok(SagaOutcome::Done),
        }
    }
}

pub type Name = (String, String);

impl Performer for &Stage {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        if self.fault(2) { Err(absent()) } else { Ok(Stage::database(self)) }
    }

    fn definition(&self, kind: &str) -> Result<Option<SagaDefinition>, Failure> {
        self.crash_point("between steps");
        match self.fault(2) {
            true => Err(absent()),
            false => Ok(self.definitions.iter().find(|definition| definition.kind == kind).cloned()),
        }
    }

    fn perform(&self, step: Performance<'_>) -> Result<SagaOutcome, Undelivered> {
        let Performance { task, undo, keep, mark, .. } = step;
        let call = format!("{}/{}", task.id, task.step);
        self.note(format!("{} {call} {} try {}", task.kind, if undo { "undo" } else { "do" }, task.attempt));
        self.crash_point("before a step");
        let is_precise = !self.is_imprecise.get() && !self.given_up.borrow().contains(&task.id);
        if undo && is_precise && !self.called.borrow().contains(&call) {
            self.is_wrong(format!("{call} is undone, and was never performed"));
        }
        if !undo {
            self.called.borrow_mut().insert(call.clone());
        }
        if self.fault(3) {
            self.give_up(&task.kind, &task.id);
        }
        let outcome = self.answer(task, undo)?;
        self.note(format!("  {call}: {}", outcome.text()));
        let wrote = task.step.starts_with("own") && outcome == SagaOutcome::Done;
        if !wrote && !keep(&outcome) {
            return Ok(outcome);
        }
        let database = Stage::database(self);
        let mut tx = database.begin(soon()).map_err(Undelivered::Store)?;
        if wrote && !(undo && self.without == Without::Undo) {
            let sql = match undo {
                true => "UPDATE own SET effects = max(effects - 1, 0) WHERE key = ?1",
                false => "INSERT INTO own VALUES (?1, 1) ON CONFLICT DO UPDATE SET effects = effects + 1",
            };
            let key = SagaTask::key(&task.kind, &task.id, &task.step, false);
            tx.execute(sql, &[key.as_str().into()], soon()).map_err(Undelivered::Store)?;
        }
        let given_up = self.fault(2) && {
            let change = tx.saga_give_up(&task.kind, &task.id, "a step", self.now_ms()).unwrap();
            change == SagaChange::Done
        };
        mark(&mut tx, &outcome).map_err(Undelivered::Store)?;
        self.crash_point("before a commit");
        if self.fault(3) {
            return Err(Undelivered::Store(Error::Busy("the commit fails".into())));
        }
        tx.commit().map_err(Undelivered::Store)?;
        if given_up {
            self.note(format!("  {call} gave it up"));
            self.given_up.borrow_mut().insert(task.id.clone());
        }
        self.crash_point("after a commit");
        if self.fault(2) {
            self.is_imprecise.set(true);
            return Err(Undelivered::Store(Error::Unavailable("did it commit?".into())));
        }
        Ok(outcome)
    }

    fn pause_ms(&self, attempts: Option<u32>) -> u64 {
        self.crash_point("before a write");
        let (least, most) = crate::pause::pauses_ms(attempts.unwrap_or(99), Duration::from_secs(60)).into_inner();
        self.below(least, most + 1)
    }
}
