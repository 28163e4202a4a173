//! One loaded version of a context, and every call into it.

mod dispatch;
mod failures;
mod invariants;
mod requests;
mod running;
mod sagas;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Database, Migration};

use super::blueprint::{Blueprint, Export, Serves};
use super::call_stats::{CallCounts, CallStats};
use super::instance::Instance;
use super::metrics::CallMetrics;
use super::pool::{NotAdmitted, Pool};
use super::recorder::Recorder;
use super::trap::TrapReport;
use crate::call::{Call, ContextIndex, Failure, RefusalReason};
use crate::component::{Component, ContextProblem, ContextSpec, InterfaceName};
use crate::guest::attempts::Attempts;
use crate::guest::bulkhead::{Bulkheads, CalleeLoad};
use crate::guest::dispatch::{Dispatch, DispatchTable, Function};
use crate::guest::migrations::MigrationRecord;
use crate::guest::places::Place as _;
use crate::guest::transactions::Transactions;
use crate::link::{Wired, Wiring};
use crate::settings::{BROKER, Recording};

pub use invariants::INVARIANT_PART;

/// One loaded version of a context. Dropped when its last call has ended.
pub struct Generation {
    pub(crate) index: ContextIndex,
    /// The number of this version among the versions of its context since the host started: 1, 2, 3, ...
    pub number: u64,
    pub(crate) blueprint: Blueprint,
    spec: ContextSpec,
    wiring: Wiring,
    imported: Vec<Arc<Function>>,
    since: Instant,
    /// Unique in this process; `Function::resolved` caches by it.
    id: u64,
    /// Every function in `exports`, by its name.
    by_name: HashMap<String, Vec<usize>>,
    pool: Arc<Pool<Box<Instance>>>,
    pub metrics: Arc<CallMetrics>,
    /// Counts of this version alone; `metrics` belong to the context.
    pub(crate) call_stats: CallStats,
    /// As in `Inherited`.
    calls_before: CallCounts,
    /// The schema to which another version has migrated the file since this one started; 0: none.
    tolerated_schema: AtomicU32,
    /// Why no call reaches it: its store or its start failed. Another version may take its place.
    out_of_service: OnceLock<ContextProblem>,
    /// Where its context lives since it has left this host.
    new_home: OnceLock<NewHome>,
    /// Belongs to the context: each version hands it on to the next.
    pub recorder: Arc<Recorder>,
    last_trap: Mutex<Option<TrapReport>>,
}

/// Where a context lives that has left this host.
#[derive(Clone)]
pub(crate) struct NewHome {
    pub host: String,
    /// Of its file's owner.
    pub token: u64,
    pub callee: Arc<dyn Dispatch>,
}

/// What a version takes over from the one before it.
pub(crate) struct Inherited {
    pub metrics: Arc<CallMetrics>,
    pub recorder: Arc<Recorder>,
    pub attempts: Arc<Attempts>,
    pub transactions: Arc<Transactions>,
    /// The calls of all versions before it since the host started.
    pub calls_before: CallCounts,
    /// Whether the host performs the sagas in its file.
    pub sagas_run: bool,
}

impl Inherited {
    /// For a version that runs alone: its calls are on no page of metrics, none is recorded, and no saga performed.
    pub fn unobserved() -> Self {
        let recorder = Recorder::new(&Recording { per_s: 0, secrets: Vec::new() });
        let attempts = Arc::new(Attempts::new(Clock::system()));
        let metrics = Arc::new(CallMetrics::unregistered());
        let (transactions, calls_before) = (Arc::default(), CallCounts::default());
        Self { metrics, recorder, attempts, transactions, calls_before, sagas_run: false }
    }
}

impl Generation {
    pub(crate) fn new(
        index: ContextIndex,
        number: u64,
        Wired { spec, wiring, contexts, imported, .. }: Wired,
        blueprint: Blueprint,
        inherited: Inherited,
    ) -> Self {
        let Inherited { metrics, recorder, calls_before, .. } = inherited;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, export) in blueprint.exports.iter().enumerate() {
            by_name.entry(export.function.clone()).or_default().push(at);
        }
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let limits = &spec.settings.limits;
        let bulkheads = Bulkheads::new(limits.per_callee(), limits.queue, contexts);
        let serves_http = blueprint.http_handler.is_some() || blueprint.serves_wasi_http;
        let one_function = blueprint.exports.len() == 1 && !serves_http;
        let pool = Pool::new(limits.concurrency, limits.queue, bulkheads).of_one_function(one_function);
        let (call_stats, tolerated_schema) = (CallStats::default(), AtomicU32::new(0));
        Self {
            index,
            number,
            blueprint,
            spec,
            wiring,
            imported,
            since: Instant::now(),
            id,
            by_name,
            pool: Arc::new(pool),
            metrics,
            call_stats,
            calls_before,
            tolerated_schema,
            out_of_service: OnceLock::new(),
            new_home: OnceLock::new(),
            recorder,
            last_trap: Mutex::default(),
        }
    }

    /// Starts one instance, to see whether it starts, and reads its sagas and its migrations, before any call can reach
    /// this version.
    ///
    /// # Errors
    /// What failed, as a sentence about the component.
    pub(crate) fn probe(&self) -> Result<Vec<Migration>, ContextProblem> {
        let problem = |what: &str, e: &wasmtime::Error| {
            let remedy = "see the log; then rebuild the component".to_owned();
            ContextProblem::of(&self.spec.settings.name, format!("{what}: {}", self.reason(e)), remedy)
        };
        let mut instance = Instance::start(&self.blueprint).map_err(|e| problem("does not start", &e))?;
        self.read_sagas(&mut instance)?;
        let Some(index) = &self.blueprint.migrations else { return Ok(Vec::new()) };
        instance.store.set_epoch_deadline(1);
        instance
            .call(index, ())
            .map(|(migrations,): (Vec<MigrationRecord>,)| migrations.into_iter().map(Migration::from).collect())
            .map_err(|e| problem("does not list its migrations", &e))
    }

    /// From now on no call reaches this version; callers get `unavailable`.
    pub(crate) fn take_out_of_service(&self, problem: ContextProblem) {
        self.out_of_service.set(problem).ok();
    }

    /// Why no call reaches this version, and the ways out.
    pub fn out_of_service(&self) -> Option<ContextProblem> {
        let gone = || self.store_trouble().filter(|_| self.is_fenced());
        self.out_of_service.get().cloned().or_else(gone)
    }

    /// Why its store does not work, through no fault of its own, and what helps. Calls still reach it, unless it is out
    /// of service.
    pub fn store_trouble(&self) -> Option<ContextProblem> {
        let trouble = self.database()?.trouble()?;
        let name = self.context();
        Some(ContextProblem::of(name, format!("has no working store: {trouble}"), trouble.remedy()))
    }

    /// The other host on which its context lives. Here it is known by its types alone: nothing of it runs, it has no
    /// file, and no call reaches it.
    pub fn lives_elsewhere(&self) -> Option<&str> {
        self.spec.settings.at.as_deref()
    }

    /// What a caller gets while no call reaches it.
    #[cold]
    pub fn absence(&self) -> Failure {
        let settings = &self.spec.settings;
        let reason = match &settings.at {
            Some(host) if settings.token > 0 => return self.moved(host, settings.token),
            Some(host) if host == BROKER => "it has copies on other hosts, and none on this one".to_owned(),
            Some(host) => format!("it lives on host `{host}`, not on this one"),
            None => "it is out of service; `seam contexts` shows why".to_owned(),
        };
        Failure::Absent { context: self.blueprint.context.to_string(), reason }
    }

    fn moved(&self, host: &str, token: u64) -> Failure {
        Failure::Moved { context: self.blueprint.context.to_string(), host: host.to_owned(), token }
    }

    /// From now on no call enters: each waits. Calls that run go on.
    pub(crate) fn hold(&self) {
        self.pool.hold();
    }

    /// Calls enter again.
    pub(crate) fn go_on(&self) {
        self.pool.go_on();
    }

    /// Sends the calls that wait, and all later ones, to the new home of the context. No call runs here any more.
    pub(crate) fn move_to(&self, home: NewHome) {
        self.new_home.set(home).ok();
        self.pool.move_away();
    }

    fn is_fenced(&self) -> bool {
        self.database().is_some_and(|database| database.is_fenced())
    }

    /// Unique in this process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Notes that another version has migrated the file to a schema that this version does not know.
    pub fn set_tolerated_schema(&self, schema: Option<u32>) {
        self.tolerated_schema.store(schema.unwrap_or(0), Ordering::Relaxed);
    }

    /// The spec of a generation that does the same as this one on the file as it is now.
    pub(crate) fn spec_now(&self) -> ContextSpec {
        let tolerated_schema = Some(self.tolerated_schema.load(Ordering::Relaxed))
            .filter(|schema| *schema > 0)
            .or(self.spec.tolerated_schema);
        ContextSpec { tolerated_schema, ..self.spec.clone() }
    }

    /// The spec that this generation was made of.
    pub fn spec(&self) -> &ContextSpec {
        &self.spec
    }

    pub fn component(&self) -> &Component {
        &self.spec.component
    }

    /// Whether a generation made of `spec` and `wiring` would be the same as this one.
    pub(crate) fn is_made_of(&self, spec: &ContextSpec, wiring: &Wiring) -> bool {
        self.spec.component.hash == spec.component.hash && self.spec.settings == spec.settings && self.wiring == *wiring
    }

    /// The contexts that it may call, some of them more than once.
    pub(crate) fn callees(&self) -> impl Iterator<Item = ContextIndex> + '_ {
        self.wiring.values().map(|provider| provider.callee)
    }

    /// The functions of other contexts that it imports.
    pub(crate) fn imported(&self) -> &[Arc<Function>] {
        &self.imported
    }

    /// When it was made.
    pub(crate) fn serves_since(&self) -> Instant {
        self.since
    }

    pub fn context(&self) -> &ContextName {
        &self.blueprint.context
    }

    pub fn serves(&self) -> Serves {
        match (&self.blueprint.http_handler, self.blueprint.serves_wasi_http) {
            (Some(_), _) => Serves::BufferedHttp,
            (None, true) => Serves::WasiHttp,
            (None, false) => Serves::Nothing,
        }
    }

    pub fn exports(&self) -> &[Export] {
        &self.blueprint.exports
    }

    /// Names and versions of the shared files that the manifest grants it.
    pub fn shared(&self) -> &BTreeMap<String, String> {
        &self.blueprint.grants.shared
    }

    pub fn database(&self) -> Option<&Arc<Database>> {
        self.blueprint.grants.database.as_ref()
    }

    /// Bytes of linear memory that its instances hold.
    pub fn memory_bytes(&self) -> u64 {
        self.blueprint.grants.memory.used()
    }

    /// Calls running now, calls waiting, idle instances.
    pub fn occupancy(&self) -> (u32, usize, usize) {
        self.pool.occupancy()
    }

    /// For how long it has served.
    pub fn serves_for(&self) -> Duration {
        self.since.elapsed()
    }

    /// The calls of this version until now.
    pub fn call_counts(&self) -> CallCounts {
        self.call_stats.counts()
    }

    /// As `Bulkheads::newly_refused`.
    pub(crate) fn newly_refused(&self) -> Vec<(ContextIndex, u64)> {
        self.pool.bulkheads().newly_refused()
    }

    /// The callees that have calls of this version, or did not get some.
    pub fn callee_loads(&self) -> Vec<CalleeLoad> {
        self.pool.bulkheads().loads()
    }

    pub(crate) fn trim(&self) {
        self.pool.trim();
    }

    /// Drops the idle instances, and from now on every instance that comes back: another version has replaced this one.
    pub(crate) fn retire(&self) {
        self.pool.retire();
    }

    #[cfg(test)]
    pub(crate) fn is_retired(&self) -> bool {
        self.pool.is_retired()
    }

    #[cfg(test)]
    pub(crate) fn is_cut_off(&self) -> bool {
        self.blueprint.grants.cut_off.is_given()
    }

    /// Ends the calls that its instances still run.
    pub fn cut_off(&self) {
        self.blueprint.grants.cut_off.give();
    }

    /// The calls of all versions before this one, since the host started.
    pub(crate) fn calls_before(&self) -> CallCounts {
        self.calls_before
    }

    pub(crate) fn count(&self, callees: &DispatchTable, took: Duration, failure: Option<&Failure>) {
        self.metrics.record(took, failure);
        self.call_stats.record(took, failure.filter(|_| !callees.store_fails()));
    }

    /// Counts an answer as broken: it was an error page. A version is judged by this count; in the metrics the page is
    /// an answer.
    pub(crate) fn count_broken(&self) {
        self.call_stats.count_broken();
    }

    /// What it wrote would not be undone with the transaction that the caller is in.
    #[cold]
    fn not_a_part(&self, call: &Call) -> Failure {
        let (context, reason) = (self.blueprint.context.to_string(), RefusalReason::NotAPart);
        tracing::warn!(
            context, trace = %call.trace,
            "a call was refused: the caller is in a transaction over several files, and its `two_phase` in the manifest \
             does not name this context"
        );
        Failure::Refused { context, reason }
    }

    /// The call as this context gets it: one step deeper in the chain, and with no more time than the context's
    /// timeout.
    pub(crate) fn admit(&self, call: Call, now: Instant) -> Result<Call, Failure> {
        if self.out_of_service.get().is_some() || self.is_fenced() || self.lives_elsewhere().is_some() {
            return Err(self.absence());
        }
        let mut call = call
            .enter(self.index)
            .map_err(|reason| Failure::Refused { context: self.blueprint.context.to_string(), reason })?;
        call.deadline = call.deadline.min(now + self.blueprint.grants.timeout);
        match now < call.deadline {
            true => Ok(call),
            false => Err(Failure::TimedOut { context: self.blueprint.context.to_string() }),
        }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool<Box<Instance>>> {
        &self.pool
    }

    pub(crate) fn not_admitted(&self, refused: NotAdmitted) -> Failure {
        let context = self.blueprint.context.to_string();
        match refused {
            NotAdmitted::Full => Failure::Overloaded { context },
            NotAdmitted::TimedOut => Failure::TimedOut { context },
            NotAdmitted::Moved => match self.new_home.get() {
                Some(home) => self.moved(&home.host, home.token),
                None => self.absence(),
            },
        }
    }

    /// Ends a call that succeeded and keeps the instance for the next call.
    pub(crate) fn end(&self, call: &Call, mut instance: Box<Instance>) {
        if instance.end() {
            tracing::error!(
                context = %self.blueprint.context, trace = %call.trace,
                "a call returned with its transaction open; the transaction was rolled back"
            );
        }
        self.pool.put_back(instance);
    }

    /// The exported function that answers a call of `interface.function`, by `InterfaceName::choose`.
    pub fn export(&self, interface: &InterfaceName, function: &str) -> Option<&Export> {
        self.find(interface, function).map(|(_, export)| export)
    }

    fn find(&self, interface: &InterfaceName, function: &str) -> Option<(usize, &Export)> {
        let named = self.by_name.get(function)?.iter();
        interface.choose(named.filter_map(|at| Some((*at, self.blueprint.exports.get(*at)?))), |(_, e)| &e.interface)
    }
}
