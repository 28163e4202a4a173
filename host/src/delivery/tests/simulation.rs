//! Deliveries by chance: a seed chooses what is published, which wake-up comes first, how time passes, which events are
//! poisoned, where the host crashes, and what operators do meanwhile. After each step, what the handlers have written
//! is compared with a model that knows only what the documentation promises. With every other seed, the publishers live
//! on another host, which cannot be reached at times.
//!
//! `just simulate` runs ten thousand seeds, and `just simulate 1 SEED` one of them again.

mod elsewhere;
mod hands;
mod model;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use elsewhere::{CUT_OFF, Elsewhere};
use hands::{Crash, Deed, FOR_EVER, Hands, Temper};
use model::{Counts, Known, Stage};
use seam_runtime::remote::Outbox;

/// Seeds in the suite; the long form has ten thousand.
const SEEDS: u64 = 300;
const STEPS: usize = 60;
const TRIES: u32 = 3;
/// Two publishers whose events one context takes.
const PUBLISHERS: [&str; 2] = ["shop", "desk"];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

#[test]
fn whatever_happens_each_event_has_its_effect_once_and_in_its_order() {
    let seeds = number("SEAM_SIMULATE_SEEDS").unwrap_or(SEEDS);
    let first = number("SEAM_SIMULATE_SEED").unwrap_or(0);
    let (next, all) = (AtomicU64::new(first), Mutex::new(Counts::default()));
    std::thread::scope(|scope| {
        let run = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return;
                }
                match simulate(seed, seeds == 1) {
                    Ok(counts) => all.lock().add(&counts),
                    Err(why) => panic!("seed {seed}: {why}\nagain: just simulate 1 {seed}"),
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)));
    });
    let counts = all.into_inner();
    println!("{seeds} seeds from {first}: {counts:?}");
    // A simulation in which nothing happens finds nothing.
    if seeds >= 100 {
        let Counts { effects, dead, crashes, replays, discarded, retried } = counts;
        let least = [effects, dead, crashes, replays, discarded, retried].into_iter().min();
        assert!(least >= Some(seeds / 20), "{counts:?}");
    }
}

/// The control: with the mark of what was taken apart from what the handlers wrote, the model must object.
#[test]
fn without_the_inboxs_mark_in_the_handlers_commit_the_simulation_finds_an_effect_that_came_twice() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "delivery::tests::simulation::whatever_happens_each_event_has_its_effect_once_and_in_its_order",
    ]);
    again.env("SEAM_WITHOUT", "inbox-mark").env("SEAM_SIMULATE_SEEDS", "50").env_remove("SEAM_SIMULATE_SEED");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("has its effect twice") && said.contains("just simulate 1"),
        "{said}"
    );
}

struct World {
    folder: tempfile::TempDir,
    time: ManualClock,
    outboxes: Vec<Arc<Database>>,
    hands: Hands,
    subscription: Subscription,
    known: BTreeMap<String, Known>,
    /// Rows of `seen` that were looked at.
    looked_at: i64,
    published: u32,
    counts: Counts,
    /// Prints what happens: for one seed that is looked at.
    tells: bool,
}

/// No deadline: the time that passes is the simulation's.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10_000_000)
}

fn source(publisher: usize) -> Source {
    Source { publisher: PUBLISHERS[publisher].into(), interface: INTERFACE.into() }
}

fn open(folder: &std::path::Path, name: &str, time: &ManualClock) -> Arc<Database> {
    Database::open(Config { clock: time.clock(), ..Config::plain(folder.join(format!("{name}.db")), 64) }).unwrap()
}

fn simulate(seed: u64, tells: bool) -> Result<Counts, String> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut world = World::new(&mut chance, seed % 2 == 1, tells);
    for step in 0..STEPS {
        world.step(&mut chance).and_then(|()| world.look()).map_err(|why| format!("step {step}: {why}"))?;
    }
    world.rest()?;
    Ok(world.counts)
}

impl World {
    fn new(chance: &mut StdRng, is_apart: bool, tells: bool) -> Self {
        // In memory where that is a folder: what is simulated are crashes of the host, not of the disk.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let time = Clock::manual();
        let inbox = open(folder.path(), "shelf", &time);
        let sql = "CREATE TABLE seen (id INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;".into();
        seam_store::migrate(&inbox, &[seam_store::Migration { number: 1, name: "seen".into(), sql }]).unwrap();
        let outboxes: Vec<_> = PUBLISHERS.iter().map(|name| open(folder.path(), name, &time)).collect();
        let elsewhere = is_apart.then(|| Elsewhere::new(&outboxes, &time));
        let batch = *[1, 2, 5, 100].choose(chance).unwrap();
        let pause_max = Duration::from_secs(60);
        Self {
            time,
            outboxes,
            hands: Hands {
                inbox: Some(inbox),
                away: Cell::new(false),
                tempers: RefCell::default(),
                crash: Cell::new(None),
                meanwhile: RefCell::default(),
                on_the_way: RefCell::default(),
                elsewhere,
            },
            subscription: Subscription { interface: INTERFACE.into(), batch, tries: TRIES, pause_max },
            known: BTreeMap::new(),
            looked_at: 0,
            published: 0,
            counts: Counts::default(),
            tells,
            folder,
        }
    }

    fn tell(&self, what: &dyn std::fmt::Debug) {
        if self.tells {
            println!("{what:?}");
        }
    }

    fn step(&mut self, chance: &mut StdRng) -> Result<(), String> {
        match chance.random_range(0..100) {
            0..25 => self.publish(chance),
            25..75 => return self.wake(chance),
            // Pauses before another try take 375 ms at least and 75 s at most: their chance has no part in a seed.
            75..80 => self.time.advance(Duration::from_millis(chance.random_range(0..300))),
            80..88 => self.time.advance(Duration::from_secs(chance.random_range(80..4_000))),
            88..91 => match &self.hands.elsewhere {
                Some(elsewhere) if chance.random_bool(0.7) => self.tell(&("cut off", elsewhere.cut_or_mend())),
                _ => {
                    self.hands.away.set(!self.hands.away.get());
                    self.tell(&("away", self.hands.away.get()));
                }
            },
            91..94 => self.crash(),
            94..96 => self.forget(),
            _ => {
                if let Some(deed) = self.deed(chance) {
                    drop(self.hands.perform(&deed));
                    self.expect(&deed);
                }
            }
        }
        Ok(())
    }

    /// Some events in one transaction, which may end without a commit, or with one that is not heard of.
    fn publish(&mut self, chance: &mut StdRng) {
        let publisher = chance.random_range(0..PUBLISHERS.len());
        let outbox = self.outboxes[publisher].clone();
        let before = outbox.kept().unwrap().last;
        let mut tx = outbox.begin(soon()).unwrap();
        let mut written = Vec::new();
        for _ in 0..chance.random_range(1..4) {
            self.published += 1;
            let subject = Some(["a", "b", "c"].choose(chance).unwrap().to_string()).filter(|_| chance.random_bool(0.8));
            let temper = match chance.random_range(0..20) {
                0..13 => Temper::Fine,
                13..15 => Temper::Rejects(chance.random_range(1..5)),
                15..17 => Temper::Traps(chance.random_range(1..5)),
                17 => Temper::Rejects(FOR_EVER),
                18 => Temper::Traps(FOR_EVER),
                _ => Temper::Rejects(TRIES),
            };
            let data = format!("{}/{}/{}", PUBLISHERS[publisher], subject.as_deref().unwrap_or("-"), self.published);
            let event = NewEvent {
                interface: "acme:shop/events@0.1.0",
                function: "sold",
                subject: subject.as_deref(),
                time_ms: self.time.wall_ms(),
                trace: "",
                data: &data,
            };
            tx.publish(&event).unwrap();
            written.push((data, subject, temper));
        }
        self.tell(&("publishes", &written));
        let (commits, crashes) = (chance.random_bool(0.8), chance.random_bool(0.1));
        if commits {
            tx.commit().unwrap();
            let events = outbox.published(None, before, 100).unwrap();
            let positions: BTreeMap<_, _> = events.iter().map(|event| (event.data.clone(), event.position)).collect();
            for (data, subject, temper) in written {
                let (position, stage) = (positions[&data], Stage::Owed);
                self.hands.tempers.borrow_mut().insert(data.clone(), temper);
                self.known.insert(data, Known { publisher, position, subject, stage, was_dead: false });
            }
        } else {
            drop(tx);
        }
        drop(outbox);
        if crashes {
            self.crash();
        }
    }

    /// The host ends and starts again, with whatever its files hold.
    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.tell(&"crashes");
        self.outboxes.clear();
        self.hands.elsewhere = self.hands.elsewhere.take().map(|_| Elsewhere::default());
        let (folder, time) = (self.folder.path(), &self.time);
        self.hands.inbox = None;
        self.hands.inbox = Some(open(folder, "shelf", time));
        self.outboxes = PUBLISHERS.iter().map(|name| open(folder, name, time)).collect();
        self.hands.elsewhere = self.hands.elsewhere.take().map(|_| Elsewhere::new(&self.outboxes, time));
    }

    /// One wake-up of one subscription, with what may meet it.
    fn wake(&mut self, chance: &mut StdRng) -> Result<(), String> {
        let publisher = chance.random_range(0..PUBLISHERS.len());
        let crash = match chance.random_range(0..12) {
            0 => Some(Crash::BeforeCommit),
            1 => Some(Crash::AfterCommit),
            _ => None,
        };
        self.hands.crash.set(crash);
        let deed = if chance.random_bool(0.08) { self.deed(chance) } else { None };
        *self.hands.meanwhile.borrow_mut() = deed.clone();
        let next = self.deliver(publisher);
        self.tell(&("wakes", PUBLISHERS[publisher], crash, &next));
        self.hands.crash.set(None);
        let met = self.hands.meanwhile.borrow_mut().take().is_none();
        if let Some(deed) = deed.filter(|_| met) {
            self.expect(&deed);
        }
        match next {
            Next::Away(_) if crash.is_some() => self.crash(),
            Next::Away(_) if self.hands.away.get() => {}
            Next::Away(why) if self.hands.elsewhere.is_some() && why.contains(CUT_OFF) => {}
            Next::Away(why) => return Err(format!("the subscriber is away for no reason: {why}")),
            Next::Now | Next::Later(_) => {}
        }
        Ok(())
    }

    fn deliver(&self, publisher: usize) -> Next {
        let subscriber = Subscriber {
            handler: &self.hands,
            subscription: &self.subscription,
            source: source(publisher),
            outbox: self.outbox(publisher),
            tally: Arc::default(),
        };
        subscriber.step()
    }

    /// As the subscriber reads it.
    fn outbox(&self, publisher: usize) -> Arc<dyn Outbox> {
        match &self.hands.elsewhere {
            Some(elsewhere) => elsewhere.outbox(publisher),
            None => self.outboxes[publisher].clone(),
        }
    }

    /// What an operator may do now, if anything.
    fn deed(&mut self, chance: &mut StdRng) -> Option<Deed> {
        let publisher = chance.random_range(0..PUBLISHERS.len());
        let from = source(publisher);
        let waiting = self.hands.inbox().waiting(&from, None, 0, 1_000).unwrap();
        match chance.random_range(0..4) {
            0 if self.outbox(publisher).kept(INTERFACE).is_ok() => {
                // Never below what is kept, as operators can not.
                let first = self.outboxes[publisher].kept().unwrap().first;
                let of_it = |known: &&Known| known.publisher == publisher && known.position >= first;
                let positions: Vec<u64> = self.known.values().filter(of_it).map(|known| known.position).collect();
                positions.choose(chance).map(|position| Deed::Replay(from, *position))
            }
            1 => waiting.choose(chance).map(|waiting| Deed::Discard(from, waiting.event.clone())),
            2 => waiting.choose(chance).map(|waiting| Deed::Retry(from, Some(waiting.event.position))),
            _ => Some(Deed::Retry(from, None)),
        }
    }

    /// What the model makes of a deed.
    fn expect(&mut self, deed: &Deed) {
        self.tell(deed);
        let counts = &mut self.counts;
        let mut of = |source: &Source, each: &mut dyn FnMut(&mut Known)| {
            let publisher = PUBLISHERS.iter().position(|name| *name == source.publisher).unwrap();
            self.known.values_mut().filter(|known| known.publisher == publisher).for_each(each);
        };
        match deed {
            Deed::Replay(source, from) => {
                counts.replays += 1;
                of(source, &mut |known| {
                    if known.position >= *from {
                        (known.stage, known.was_dead) = (Stage::Owed, false);
                    }
                });
            }
            Deed::Discard(source, event) => {
                counts.discarded += 1;
                of(source, &mut |known| {
                    if known.position == event.position {
                        known.stage = Stage::Discarded;
                    }
                });
            }
            Deed::Retry(source, position) => of(source, &mut |known| {
                if known.stage == Stage::Dead && position.is_none_or(|position| known.position == position) {
                    counts.retried += 1;
                    known.stage = Stage::Owed;
                }
            }),
        }
    }

    /// Forgets what the subscriber has.
    fn forget(&self) {
        for (publisher, outbox) in self.outboxes.iter().enumerate() {
            let seen = match &self.hands.elsewhere {
                Some(elsewhere) => elsewhere.said(publisher),
                None => self.hands.inbox().seen(&source(publisher)).unwrap().unwrap_or(0),
            };
            outbox.forget_published(seen, self.time.wall_ms()).unwrap();
        }
    }

    /// Compares what the handlers have written since the last look, and the dead letters, with the model.
    fn look(&mut self) -> Result<(), String> {
        // First: what was given up in this step lets those behind it pass.
        let mut dead = BTreeMap::new();
        for publisher in 0..PUBLISHERS.len() {
            let letters = self.hands.inbox().waiting(&source(publisher), Some(WaitState::Dead), 0, 1_000).unwrap();
            dead.extend(letters.into_iter().map(|letter| (letter.event.data.clone(), letter)));
        }
        for (data, known) in &mut self.known {
            match (known.stage, dead.get(data)) {
                (Stage::Owed, Some(letter)) => {
                    if letter.tries != TRIES || letter.reason.is_empty() {
                        return Err(format!("{data} is given up after {} tries: {:?}", letter.tries, letter.reason));
                    }
                    if self.hands.tempers.borrow()[data] == Temper::Fine {
                        return Err(format!("{data} is a dead letter, and nothing is wrong with it"));
                    }
                    self.counts.dead += 1;
                    if self.tells {
                        println!("dead: {data}");
                    }
                    (known.stage, known.was_dead) = (Stage::Dead, true);
                }
                (Stage::Dead, None) => return Err(format!("the dead letter {data} is gone")),
                (Stage::Done | Stage::Discarded, Some(_)) => {
                    return Err(format!("{data} is a dead letter, and was done or discarded"));
                }
                _ => {}
            }
        }
        let mut on_the_way = std::mem::take(&mut *self.hands.on_the_way.borrow_mut());
        for data in self.new_rows() {
            self.tell(&("effect", &data));
            self.counts.effects += 1;
            let Some(known) = self.known.get(&data) else { return Err(format!("{data} was never published")) };
            if let Some(at) = on_the_way.iter().position(|other| *other == data) {
                // It was on its way: it is delivered again all the same, or was done although it is given up.
                on_the_way.remove(at);
                continue;
            }
            if known.stage != Stage::Owed {
                return Err(format!("{data} has its effect twice, or although it is given up: {known:?}"));
            }
            let is_before = |other: &&Known| {
                other.publisher == known.publisher
                    && other.subject == known.subject
                    && other.position < known.position
                    && other.stage == Stage::Owed
                    && !other.was_dead
            };
            if known.subject.is_some()
                && let Some(before) = self.known.values().find(is_before)
            {
                return Err(format!("{data} passes an earlier one of its subject: {before:?}"));
            }
            self.known.get_mut(&data).unwrap().stage = Stage::Done;
        }
        Ok(())
    }

    fn new_rows(&mut self) -> Vec<String> {
        let after = [Value::Integer(self.looked_at)];
        let sql = "SELECT id, data FROM seen WHERE id > ? ORDER BY id";
        let packed = self.hands.inbox().query(sql, &after, soon()).unwrap();
        let mut rows = seam_store::Rows::new(&packed).unwrap();
        let (mut all, mut row) = (Vec::new(), Vec::new());
        while rows.next_into(&mut row).unwrap() {
            match row.as_slice() {
                [Value::Integer(id), Value::Text(data)] => {
                    self.looked_at = *id;
                    all.push(data.to_string());
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// Nothing goes wrong any more: everything comes to its end.
    fn rest(&mut self) -> Result<(), String> {
        self.hands.away.set(false);
        self.hands.elsewhere.iter().for_each(|elsewhere| elsewhere.mend());
        // Longer than a host that could not be reached stays unasked.
        self.time.advance(Duration::from_secs(80));
        // Each event behind a poisoned one may have to wait for its tries, one after the other.
        for _ in 0..(self.known.len() + 1) * TRIES as usize {
            let mut waits = false;
            for publisher in 0..PUBLISHERS.len() {
                loop {
                    match self.deliver(publisher) {
                        Next::Now => self.look()?,
                        Next::Later(due) => break waits |= due.is_some(),
                        Next::Away(why) => return Err(format!("at rest, the subscriber is away: {why}")),
                    }
                }
            }
            self.look()?;
            if !waits {
                break;
            }
            self.time.advance(Duration::from_secs(80));
        }
        if let Some((data, known)) = self.known.iter().find(|(_, known)| known.stage == Stage::Owed) {
            return Err(format!("{data} never has its effect: {known:?}"));
        }
        for publisher in 0..PUBLISHERS.len() {
            let (source, inbox) = (source(publisher), self.hands.inbox());
            let count = inbox.waiting_count(&source).unwrap();
            let dead = |known: &&Known| known.publisher == publisher && known.stage == Stage::Dead;
            if count.waiting() > 0 || count.dead != self.known.values().filter(dead).count() as u64 {
                return Err(format!("at rest, {count:?} wait"));
            }
            if !inbox.caught_up(&source).unwrap() {
                return Err("at rest, it has not caught up".into());
            }
        }
        Ok(())
    }
}
