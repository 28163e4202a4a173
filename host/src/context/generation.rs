//! One loaded version of a context, and every call into it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::Trap;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ComponentExportIndex, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use super::component::Component;
use super::instance::Instance;
use super::link::{Problem, Wiring};
use super::linked::Part;
use super::pool::{self, Pool};
use super::recorder::{Noted, Recorder};
use super::stats::Stats;
use super::tally::Tally;
use super::{Serves, lean, start};
use crate::call::{Call, ContextIndex, Failure, OutOfTime};
use crate::ids::ContextName;
use crate::seam::dispatch::{Dispatch, Exchange, Function, Set};
use crate::seam::migrations::MigrationRecord;
use crate::seam::{Guest, logging, memory, wasi, wasi_http};
use crate::store::{Database, Migration};
use crate::{handoff, limits};

/// All that one context's instances are made from and are allowed.
pub(super) struct Blueprint {
    pub context: ContextName,
    pub pre: InstancePre<Guest>,
    /// Every function of every seam that it exports.
    pub exports: Vec<Export>,
    pub lean: Option<ComponentExportIndex>,
    pub migrations: Option<ComponentExportIndex>,
    pub health: Option<ComponentExportIndex>,
    /// Linked against asynchronous host functions: it serves `wasi:http` and nothing else.
    pub asynchronous: bool,
    /// Linked against host functions that wait on the calling thread: WASI's streams and polls.
    pub waits: bool,
    pub grants: Grants,
}

/// What the manifest allows, in the form that instances use it.
pub(super) struct Grants {
    pub database: Option<Arc<Database>>,
    pub config: Arc<WasiConfigVariables>,
    /// Names and versions of the shared files in it.
    pub shared: BTreeMap<String, String>,
    pub outgoing: wasi_http::Outgoing,
    pub memory: memory::Shared,
    pub instance_memory_mb: u64,
    pub log_budget: Arc<logging::Budget>,
    pub timeout: Duration,
    /// What its clock and its random numbers are.
    pub world: wasi::World,
    /// Whether whatever its instances still do is to end at once.
    pub cut_off: Arc<AtomicBool>,
}

pub struct Export {
    /// `namespace:package/interface`
    pub interface: String,
    pub function: String,
    pub signature: ComponentFunc,
    pub(super) index: ComponentExportIndex,
}

/// One loaded version of a context. Dropped when its last call has ended.
pub struct Generation {
    pub(super) index: ContextIndex,
    /// Which version of its context it is, since the host started: 1, 2, 3, ...
    pub number: u64,
    pub(super) plan: Blueprint,
    part: Part,
    wiring: Wiring,
    /// Unlike any other in this process: what `Function::resolved` remembers it by.
    id: u64,
    by_name: HashMap<(String, String), usize>,
    pool: Pool<Box<Instance>>,
    pub stats: Arc<Stats>,
    /// Its own, where `stats` are the context's.
    pub(super) tally: Tally,
    /// The schema to which others have brought its file since it started; 0: none.
    ahead: AtomicU32,
    /// While it is on probation: what a request that could be run again waits for it; 0: as long as any.
    pub(super) patience_us: AtomicU64,
    /// The context's, handed on from version to version.
    pub recorder: Arc<Recorder>,
}

impl Generation {
    pub(super) fn new(
        index: ContextIndex,
        number: u64,
        part: Part,
        wiring: Wiring,
        plan: Blueprint,
        stats: Arc<Stats>,
        recorder: Arc<Recorder>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let by_name = plan
            .exports
            .iter()
            .enumerate()
            .map(|(at, export)| ((export.interface.clone(), export.function.clone()), at))
            .collect();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let pool = Pool::new(part.entry.limits.concurrency, part.entry.limits.queue);
        let (tally, ahead, patience_us) = (Tally::default(), AtomicU32::new(0), AtomicU64::new(0));
        Self { index, number, plan, part, wiring, id, by_name, pool, stats, tally, ahead, patience_us, recorder }
    }

    /// Starts one instance to see that it starts, and asks it for its migrations, before anything can call it.
    ///
    /// # Errors
    /// What went wrong, as a sentence about the component.
    pub(super) fn probe(&self) -> Result<Vec<Migration>, Problem> {
        let refused = |what: &str, e: &wasmtime::Error| {
            let remedy = "see the log; then rebuild the component".to_owned();
            start::problem(&self.part.entry, format!("{what}: {}", self.reason(e)), remedy)
        };
        let started = if self.plan.asynchronous {
            handoff::block_on(Instance::start_async(&self.plan))
        } else {
            Instance::start(&self.plan)
        };
        let mut instance = started.map_err(|e| refused("does not start", &e))?;
        let Some(index) = &self.plan.migrations else { return Ok(Vec::new()) };
        instance.store.set_epoch_deadline(1);
        instance
            .instance
            .get_typed_func::<(), (Vec<MigrationRecord>,)>(&mut instance.store, index)
            .and_then(|all| all.call(&mut instance.store, ()))
            .map(|(migrations,)| migrations.into_iter().map(Migration::from).collect())
            .map_err(|e| refused("does not tell its migrations", &e))
    }

    /// What it calls itself, unlike any other in this process.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Its file has been brought to a schema that it does not know.
    pub fn set_ahead(&self, schema: Option<u32>) {
        self.ahead.store(schema.unwrap_or(0), Ordering::Relaxed);
    }

    /// What one is made of that does the same on the file as it is now.
    pub(super) fn part_now(&self) -> Part {
        let ahead = Some(self.ahead.load(Ordering::Relaxed)).filter(|schema| *schema > 0).or(self.part.ahead);
        Part { ahead, ..self.part.clone() }
    }

    /// What it was made of.
    pub fn part(&self) -> &Part {
        &self.part
    }

    pub fn component(&self) -> &Component {
        &self.part.component
    }

    /// Whether a generation made of these would be no other than this one.
    pub(super) fn is_made_of(&self, part: &Part, wiring: &Wiring) -> bool {
        self.part.component.hash == part.component.hash && self.part.entry == part.entry && self.wiring == *wiring
    }

    pub fn context(&self) -> &ContextName {
        &self.plan.context
    }

    pub fn serves(&self) -> Serves {
        match (&self.plan.lean, self.plan.asynchronous) {
            (Some(_), _) => Serves::Lean,
            (None, true) => Serves::WasiHttp,
            (None, false) => Serves::Nothing,
        }
    }

    pub fn exports(&self) -> &[Export] {
        &self.plan.exports
    }

    /// Names and versions of the shared files that it was given.
    pub fn shared(&self) -> &BTreeMap<String, String> {
        &self.plan.grants.shared
    }

    pub fn database(&self) -> Option<&Arc<Database>> {
        self.plan.grants.database.as_ref()
    }

    /// Bytes of linear memory that its instances hold.
    pub fn memory_bytes(&self) -> u64 {
        self.plan.grants.memory.used()
    }

    /// Calls running now, calls waiting, idle instances.
    pub fn occupancy(&self) -> (u32, usize, usize) {
        self.pool.occupancy()
    }

    pub(super) fn trim(&self) {
        self.pool.trim();
    }

    /// It was replaced: what is idle goes now, and every instance that comes back.
    pub(super) fn retire(&self) {
        self.pool.retire();
    }

    /// Ends whatever its instances still do.
    pub(super) fn cut_off(&self) {
        self.plan.grants.cut_off.store(true, Ordering::Relaxed);
    }

    pub(super) fn handle(&self, call: Call, set: &Set, request: lean::Request) -> Result<lean::Response, Failure> {
        let started = Instant::now();
        let copy = self.recorder.takes(started).then(|| request.clone());
        let mut noted = Noted::default();
        let outcome = self.run(call, set, started, |instance| {
            let handler = instance.lean.as_ref().ok_or_else(|| wasmtime::format_err!("it exports no http-handler"))?;
            if copy.is_none() {
                return handler.call(&mut instance.store, (request,)).map(|(response,)| response);
            }
            let handler = *handler;
            instance.noting(&mut noted, |store, _| handler.call(store, (request,)).map(|(response,)| response))
        });
        if outcome.as_ref().is_ok_and(|response| response.status >= 500) {
            self.broke();
            set.marks().into_iter().for_each(|marks| marks.broke(self.id));
        }
        if let Some(request) = copy {
            self.recorder.keep_request(request, &outcome, noted, started.elapsed());
        }
        outcome
    }

    /// One call on an instance of its own, from the check of the chain to the count of its outcome; `started` is now.
    fn run<T>(
        &self,
        call: Call,
        set: &Set,
        started: Instant,
        work: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let call = if set.marks().is_some() { self.impatient(call, started) } else { call };
        let mut from = started;
        let outcome = self.run_uncounted(call, set, &mut from, work);
        let (ended, failure) = (Instant::now(), outcome.as_ref().err());
        self.stats.record(ended - started, failure);
        self.tally.record(ended - from, failure);
        if let (Err(Failure::Trapped { .. } | Failure::TimedOut { .. }), Some(marks)) = (&outcome, set.marks()) {
            marks.broke(self.id);
        }
        outcome
    }

    pub(super) fn count(&self, took: Duration, failure: Option<&Failure>) {
        self.stats.record(took, failure);
        self.tally.record(took, failure);
    }

    /// A page that it answered says that something is wrong with it. So a version is judged; its metrics count answers.
    pub(super) fn broke(&self) {
        self.tally.broke();
    }

    /// The call with less time, while this is on probation.
    fn impatient(&self, mut call: Call, now: Instant) -> Call {
        let us = self.patience_us.load(Ordering::Relaxed);
        if us > 0 {
            call.deadline = call.deadline.min(now + Duration::from_micros(us));
        }
        call
    }

    /// `from` is when its time began to count; starting an instance is not the version's.
    fn run_uncounted<T>(
        &self,
        call: Call,
        set: &Set,
        from: &mut Instant,
        work: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let call = self.admit(call, *from)?;
        let (_place, idle) = self.pool.enter(call.deadline).map_err(|refused| self.not_entered(refused))?;
        let mut instance = match idle {
            Some(instance) => instance,
            None => {
                let started = self.on_its_thread(|| Instance::start(&self.plan));
                *from = Instant::now();
                started.map_err(|error| self.failure(&call, &error, "start"))?
            }
        };
        instance.begin(call, set.clone());
        match self.on_its_thread(|| work(&mut instance)) {
            Ok(value) => {
                self.end(&call, instance);
                Ok(value)
            }
            // The instance is dropped, and with it whatever transaction it has open.
            Err(error) => Err(self.failure_of(&call, &error, &instance)),
        }
    }

    /// Runs guest code: on this worker, or, when the guest may wait in the host, on a thread that the runtime does without.
    fn on_its_thread<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.plan.waits { handoff::blocking(work) } else { work() }
    }

    /// The call as this context gets it: one deeper in the chain, and with no more time than it may take.
    pub(super) fn admit(&self, call: Call, now: Instant) -> Result<Call, Failure> {
        let mut call = call
            .enter(self.index)
            .map_err(|refused| Failure::Refused { context: self.plan.context.to_string(), refused })?;
        call.deadline = call.deadline.min(now + self.plan.grants.timeout);
        match now < call.deadline {
            true => Ok(call),
            false => Err(Failure::TimedOut { context: self.plan.context.to_string() }),
        }
    }

    pub(super) fn pool(&self) -> &Pool<Box<Instance>> {
        &self.pool
    }

    pub(super) fn not_entered(&self, refused: pool::Refused) -> Failure {
        let context = self.plan.context.to_string();
        match refused {
            pool::Refused::Full => Failure::Overloaded { context },
            pool::Refused::TimedOut => Failure::TimedOut { context },
        }
    }

    /// Ends a call that went well and keeps the instance for the next one.
    pub(super) fn end(&self, call: &Call, mut instance: Box<Instance>) {
        if instance.end() {
            tracing::error!(
                context = %self.plan.context, trace = %call.trace,
                "a call returned with its transaction open; the transaction was rolled back"
            );
        }
        self.pool.give_back(instance);
    }

    fn failure_of(&self, call: &Call, error: &wasmtime::Error, instance: &Instance) -> Failure {
        match &instance.store.data().memory.refused {
            Some(limit) if !error.is::<OutOfTime>() => {
                self.failure(call, &wasmtime::format_err!("{} after it ran into {limit}", self.reason(error)), "call")
            }
            _ => self.failure(call, error, "call"),
        }
    }

    /// The outcome of a call that broke off, told once to the log; callers and clients are told less.
    pub(super) fn failure(&self, call: &Call, error: &wasmtime::Error, during: &'static str) -> Failure {
        let context = self.plan.context.to_string();
        let timed_out = error.is::<OutOfTime>();
        let no_room = error.is::<wasmtime::PoolConcurrencyLimitError>();
        let reason = self.reason(error);
        tracing::error!(context, trace = %call.trace, during, "{}", if timed_out { "timed out" } else { &reason });
        match (timed_out, no_room) {
            (true, _) => Failure::TimedOut { context },
            (_, true) => Failure::Overloaded { context },
            _ => Failure::Trapped { context, reason },
        }
    }

    fn reason(&self, error: &wasmtime::Error) -> String {
        if error.is::<OutOfTime>() {
            return "it ran out of time".into();
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => format!("{error:#}"),
        }
    }

    /// Where `function` stands in `exports`, looked up once for each version of this context.
    fn resolve(&self, function: &Function) -> Option<usize> {
        let place = function.resolved.get(self.id as usize % function.resolved.len())?;
        let known = place.load(Ordering::Relaxed);
        if known >> 16 == self.id {
            return Some((known & 0xffff) as usize);
        }
        let at = *self.by_name.get(&(function.interface.clone(), function.name.clone()))?;
        let fits = same_signature(&function.signature, &self.plan.exports.get(at)?.signature);
        let slot = fits.then_some(at)?;
        place.store(self.id << 16 | slot as u64 & 0xffff, Ordering::Relaxed);
        Some(slot)
    }
}

impl Dispatch for Generation {
    fn call(&self, mut call: Call, set: &Set, function: &Function, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        let Some(at) = self.resolve(function) else {
            let reason = format!("its running version has no `{}.{}` of that type", function.interface, function.name);
            return Err(Failure::Absent { context: self.plan.context.to_string(), reason });
        };
        // Whoever calls wants to answer even when this callee does not.
        let now = Instant::now();
        let left = call.deadline.saturating_duration_since(now);
        call.deadline = now + left * (100 - limits::CALL_RESERVE_PERCENT) / 100;
        let taken = self.recorder.takes(now);
        let mut noted = Noted::default();
        let outcome = self.run(call, set, now, |instance| {
            let missing = || wasmtime::format_err!("no such function");
            if !taken {
                return exchange.invoke(instance.functions.get(at).ok_or_else(missing)?, &mut instance.store);
            }
            instance
                .noting(&mut noted, |store, functions| exchange.invoke(functions.get(at).ok_or_else(missing)?, store))
        });
        if taken {
            self.recorder.keep_call(function, exchange, &outcome, noted, now.elapsed());
        }
        outcome
    }
}

/// Whether values can be passed as they are. Parameter names do not matter.
pub fn same_signature(a: &ComponentFunc, b: &ComponentFunc) -> bool {
    a.params().map(|(_, ty)| ty).eq(b.params().map(|(_, ty)| ty))
        && a.results().eq(b.results())
        && a.async_() == b.async_()
}
