//! Simulated time: processes that take turns. Each is a thread, so that it may run code that blocks; one of all runs at
//! a time, until it waits for a moment of the simulated time.
//!
//! Invariants: what happens depends on nothing but the order of the turns, which the times give, and for equal times
//! the order in which they were asked for. A process of a host that is frozen gets no turn.
//! Not here: what hosts do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use seam_store::clock::ManualClock;
use sha2::{Digest, Sha256};

/// Microseconds since the simulation started.
pub type Us = u64;

pub const MS: Us = 1_000;
pub const S: Us = 1_000 * MS;

/// Whose turn it is; of one process.
enum Turn {
    Scheduler,
    Process,
    /// The process ends where it waits.
    Stop,
    Ended,
}

type Job = Box<dyn FnOnce() + Send>;

pub struct Process {
    turn: Mutex<Turn>,
    moved: Condvar,
    job: Mutex<Option<Job>>,
    host: Mutex<Option<usize>>,
    /// Counts its waits, so that a late wake-up of an earlier wait is none of a later one.
    ticket: AtomicU64,
    stopping: AtomicBool,
}

enum What {
    Wake(Arc<Process>, u64),
    Act(Option<usize>, Job),
}

/// A host's clock, and how fast it runs.
pub struct HostClock {
    pub clock: ManualClock,
    /// In millionths of the true speed.
    pub speed_ppm: u64,
    told_us: Mutex<u64>,
}

impl HostClock {
    pub fn new(clock: ManualClock, speed_ppm: u64) -> Self {
        Self { clock, speed_ppm, told_us: Mutex::new(0) }
    }

    fn tell(&self, now: Us) {
        let mut told = self.told_us.lock();
        let own = now * self.speed_ppm / 1_000_000;
        self.clock.advance(Duration::from_micros(own - *told));
        *told = own;
    }
}

#[derive(Default)]
struct State {
    now: Us,
    asked: u64,
    queue: BTreeMap<(Us, u64), What>,
    frozen: BTreeMap<usize, Us>,
    /// Those that have a job, in the order in which they began.
    live: Vec<Arc<Process>>,
    idle: Vec<Arc<Process>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    failure: Option<String>,
    trace: Sha256,
    events: u64,
}

pub struct Baton {
    state: Mutex<State>,
    clocks: Vec<HostClock>,
    /// Prints what happens.
    tells: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
}

/// With what a process unwinds whose host has crashed.
struct Stopped;

fn current() -> Option<Arc<Process>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Whether this process ends: its host has crashed.
pub fn is_stopping() -> bool {
    current().is_some_and(|process| process.stopping.load(Relaxed))
}

impl Baton {
    pub fn new(clocks: Vec<HostClock>, tells: bool) -> Arc<Self> {
        let baton = Arc::new(Self { state: Mutex::default(), clocks, tells });
        for clock in &baton.clocks {
            let this: Weak<Self> = Arc::downgrade(&baton);
            clock.clock.pause_by(move |pause| {
                let Some(baton) = this.upgrade() else { resume_unwind(Box::new(Stopped)) };
                baton.sleep(Us::try_from(pause.as_micros()).unwrap());
            });
        }
        baton
    }

    pub fn now(&self) -> Us {
        self.state.lock().now
    }

    pub fn clock(&self, host: usize) -> &ManualClock {
        &self.clocks[host].clock
    }

    /// A line of what happens, which is a part of the trace.
    pub fn tell(&self, line: &str) {
        let mut state = self.state.lock();
        let line = format!("{:>9.3} {line}", state.now as f64 / 1e3);
        state.trace.update(line.as_bytes());
        state.trace.update(b"\n");
        if self.tells {
            println!("{line}");
        }
    }

    /// The digest of all that has happened, and how many turns there were.
    pub fn trace(&self) -> (String, u64) {
        let state = self.state.lock();
        (hex::encode(&state.trace.clone().finalize()[..8]), state.events)
    }

    /// The simulation has failed; the first reason counts.
    pub fn fail(&self, why: String) {
        self.state.lock().failure.get_or_insert(why);
    }

    fn put(&self, at: Us, what: What) {
        let mut state = self.state.lock();
        state.asked += 1;
        let key = (at.max(state.now), state.asked);
        state.queue.insert(key, what);
    }

    /// Has `act` run at this time, while no process runs, on this host if it is not frozen then.
    pub fn at(&self, at: Us, host: Option<usize>, act: impl FnOnce() + Send + 'static) {
        self.put(at, What::Act(host, Box::new(act)));
    }

    /// Starts a process, of a host or of the world.
    pub fn spawn(self: &Arc<Self>, host: Option<usize>, job: impl FnOnce() + Send + 'static) {
        let idle = self.state.lock().idle.pop();
        let process = idle.unwrap_or_else(|| self.thread());
        *process.job.lock() = Some(Box::new(job));
        *process.host.lock() = host;
        *process.turn.lock() = Turn::Scheduler;
        process.stopping.store(false, Relaxed);
        let ticket = process.ticket.fetch_add(1, Relaxed) + 1;
        let now = {
            let mut state = self.state.lock();
            state.live.push(process.clone());
            state.now
        };
        self.put(now, What::Wake(process, ticket));
    }

    fn thread(self: &Arc<Self>) -> Arc<Process> {
        let process = Arc::new(Process {
            turn: Mutex::new(Turn::Ended),
            moved: Condvar::new(),
            job: Mutex::default(),
            host: Mutex::default(),
            ticket: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let (own, baton) = (process.clone(), Arc::downgrade(self));
        let thread = std::thread::Builder::new().name("simulated".to_owned()).spawn(move || {
            CURRENT.set(Some(own.clone()));
            crate::pause::STEADY.set(true);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _entered = runtime.enter();
            loop {
                own.wait_for_turn();
                let Some(job) = own.job.lock().take() else { return };
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    if !own.stopping.load(Relaxed) {
                        job();
                    }
                }));
                if let Err(why) = ended
                    && !why.is::<Stopped>()
                    && let Some(baton) = baton.upgrade()
                {
                    let text = why.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
                    baton.fail(format!("a process panicked: {}", text.unwrap_or_default()));
                }
                own.turn(Turn::Ended);
            }
        });
        self.state.lock().threads.push(thread.unwrap());
        process
    }

    /// Waits for so long, or until it is woken.
    fn wait(&self, until: Us, ticket: u64) {
        let process = current().unwrap();
        if process.stopping.load(Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
        self.put(until, What::Wake(process.clone(), ticket));
        process.turn(Turn::Scheduler);
        process.wait_for_turn();
        process.ticket.fetch_add(1, Relaxed);
        if process.stopping.load(Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
    }

    /// Lets time pass for this process.
    pub fn sleep(&self, time: Us) {
        let process = current().unwrap_or_else(|| panic!("what is no process waits"));
        self.wait(self.now() + time, process.ticket.load(Relaxed));
    }

    /// A place for one value, for which this process waits.
    pub fn slot<T>(self: &Arc<Self>) -> Arc<Slot<T>> {
        let process = current().unwrap();
        let ticket = process.ticket.load(Relaxed);
        Arc::new(Slot { baton: self.clone(), process, ticket, value: Mutex::new(None) })
    }

    /// The host gets no turn before this time.
    pub fn freeze(&self, host: usize, until: Us) {
        self.state.lock().frozen.insert(host, until);
    }

    /// The host gets turns again.
    pub fn thaw(&self, host: usize) {
        let mut state = self.state.lock();
        let now = state.now;
        state.frozen.entry(host).and_modify(|until| *until = now.min(*until));
    }

    /// Whether the host has had its turns since then.
    pub fn has_run_since(&self, host: usize, then: Us) -> bool {
        self.state.lock().frozen.get(&host).is_none_or(|until| *until < then)
    }

    pub fn is_frozen(&self, host: usize) -> bool {
        let state = self.state.lock();
        state.frozen.get(&host).is_some_and(|until| *until > state.now)
    }

    /// Ends all processes of a host where they wait. Not to be called by one of them.
    pub fn stop(&self, host: usize) {
        self.stop_all(|process| *process.host.lock() == Some(host));
    }

    fn stop_all(&self, which: impl Fn(&Process) -> bool) {
        let all: Vec<_> = self.state.lock().live.iter().filter(|process| which(process)).cloned().collect();
        for process in all {
            process.stopping.store(true, Relaxed);
            self.hand_to(&process, Turn::Stop);
        }
    }

    fn hand_to(&self, process: &Arc<Process>, turn: Turn) {
        process.turn(turn);
        let mut now = process.turn.lock();
        while !matches!(*now, Turn::Scheduler | Turn::Ended) {
            process.moved.wait(&mut now);
        }
        if matches!(*now, Turn::Ended) {
            drop(now);
            process.ticket.fetch_add(1, Relaxed);
            let mut state = self.state.lock();
            state.live.retain(|other| !Arc::ptr_eq(other, process));
            state.idle.push(process.clone());
        }
    }

    /// Gives turns until this time.
    ///
    /// # Errors
    /// Why the simulation has failed.
    pub fn run(&self, until: Us) -> Result<(), String> {
        loop {
            let what = {
                let mut state = self.state.lock();
                if let Some(why) = state.failure.take() {
                    return Err(format!("{:.3} s: {why}", state.now as f64 / 1e6));
                }
                match state.queue.first_key_value() {
                    Some(((at, _), _)) if *at <= until => {
                        let ((at, _), what) = state.queue.pop_first().unwrap();
                        state.now = at;
                        what
                    }
                    _ => {
                        state.now = until;
                        return Ok(());
                    }
                }
            };
            let host = match &what {
                What::Wake(process, ticket) if process.ticket.load(Relaxed) == *ticket => *process.host.lock(),
                What::Wake(..) => continue,
                What::Act(host, _) => *host,
            };
            if let Some(host) = host {
                let (now, frozen) = {
                    let state = self.state.lock();
                    (state.now, state.frozen.get(&host).copied().unwrap_or(0))
                };
                if frozen > now {
                    self.put(frozen, what);
                    continue;
                }
                self.clocks[host].tell(now);
            }
            self.state.lock().events += 1;
            match what {
                What::Wake(process, _) => self.hand_to(&process, Turn::Process),
                What::Act(_, act) => act(),
            }
        }
    }

    /// Ends all processes and their threads.
    pub fn end(&self) {
        self.stop_all(|_| true);
        let (threads, idle) = {
            let mut state = self.state.lock();
            state.queue.clear();
            (std::mem::take(&mut state.threads), std::mem::take(&mut state.idle))
        };
        for process in idle {
            process.turn(Turn::Stop);
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

impl Process {
    fn turn(&self, turn: Turn) {
        *self.turn.lock() = turn;
        self.moved.notify_all();
    }

    fn wait_for_turn(&self) {
        let mut turn = self.turn.lock();
        while !matches!(*turn, Turn::Process | Turn::Stop) {
            self.moved.wait(&mut turn);
        }
    }
}

/// A value that one process waits for.
pub struct Slot<T> {
    baton: Arc<Baton>,
    process: Arc<Process>,
    ticket: u64,
    value: Mutex<Option<T>>,
}

impl<T: Send + 'static> Slot<T> {
    /// The first value counts.
    pub fn fill(&self, value: T) {
        let mut place = self.value.lock();
        if place.is_none() {
            *place = Some(value);
            drop(place);
            self.baton.put(self.baton.now(), What::Wake(self.process.clone(), self.ticket));
        }
    }

    /// `None` when there is none by this time.
    pub fn wait(&self, until: Us) -> Option<T> {
        assert_eq!(self.ticket, self.process.ticket.load(Relaxed), "it waited for something else meanwhile");
        if self.value.lock().is_none() {
            self.baton.wait(until, self.ticket);
        }
        self.value.lock().take()
    }
}
