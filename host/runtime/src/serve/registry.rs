//! All contexts of the running system, as the drivers see them.
//!
//! Invariants: a request keeps the set that it got at its start; a new set is published at once and whole.
//! Not here: whether a new generation may serve, and what happens to its store's schema if not (`deploy`).

use std::path::Path;
use std::sync::Arc;

use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Database, HostFile, Register};

use super::error::Error;
use super::live::Live;
use super::load::{self, Absent, Source};
use super::outboxes::{Outboxes, Said};
use super::prepare::{Candidate, Linked, Prepared};
use super::pretences::{self, PretendRejected};
use super::probation::Probation;
use super::publisher::{Next, Publisher};
use super::route_status::RouteStatus;
use super::routes;
use super::routing::{self, Routing};
use super::serving_set::ServingSet;
use super::stores::Stores;
use super::traffic::{self, EdgeTraffic, PathTraffic};
use crate::call::{Affinity, ContextIndex, Failure};
use crate::component::{Artifact, Component, ContextProblem, ContextSpec, Loader};
use crate::guest::attempts::Attempts;
use crate::guest::transactions::Transactions;
use crate::link;
use crate::pretend::{Order, PretenceStatus};
use crate::remote::{Carrier, Outbox};
use crate::route::{Comparison, Readiness, RouteRejected};
use crate::run::recorder::Recorder;
use crate::run::{Generation, Inherited, Metrics, start};
use crate::settings::{ContextSettings, Recording};

/// All contexts of the running system. Cheap to clone.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub publisher: Arc<Publisher>,
    loader: Loader,
    pub stores: Stores,
    metrics: Metrics,
    recording: Recording,
    clock: Clock,
    outboxes: Outboxes,
}

/// The parts that a registry is made of.
pub(super) struct Parts<'a> {
    pub loader: Loader,
    /// The folder of the contexts' files.
    pub databases: &'a Path,
    pub host: Arc<HostFile>,
    pub metrics: Metrics,
    pub recording: Recording,
    pub clock: Clock,
    /// Carries calls to contexts that live on other hosts.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// The owners that a file may name; `None`: any.
    pub owners: Option<Vec<String>>,
}

impl Registry {
    /// A registry without contexts.
    ///
    /// # Errors
    /// When the shares that the host's file keeps cannot be read.
    pub(super) fn new(parts: Parts<'_>) -> Result<Self, Error> {
        let Parts { loader, databases, host, metrics, recording, clock, carrier, owners } = parts;
        let register = Register::open(host.clone())?;
        let outboxes = Outboxes::new(carrier.clone(), clock.clone());
        let routing = Routing::open(host, metrics.clone(), carrier.clone())?;
        let publisher = Publisher::start(routing, clock.clone());
        let stores = Stores::new(databases, register, metrics.clone(), owners, carrier);
        Ok(Self(Arc::new(Inner { publisher, loader, stores, metrics, recording, clock, outboxes })))
    }

    /// `context`, or one of its variants (`context@variant`), as a request that starts now sees it.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live(&self, context: &str) -> Result<Live, Failure> {
        Live::named(&self.0.publisher.serving(), context)
    }

    /// `context` as a request that starts now sees it, in the variant that `affinity` chooses, unless `forced` names
    /// one. `forced` has pairs `(context, variant)`; unknown variants are ignored. The `query` may say which answer the
    /// request came from.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn live_for<'a>(
        &self,
        context: &str,
        mut affinity: Affinity,
        forced: impl Iterator<Item = (&'a str, &'a str)>,
        query: Option<&str>,
    ) -> Result<Live, Failure> {
        let set = self.0.publisher.serving();
        for (context, variant) in forced {
            if let Some(index) = set.by_name.get(&*format!("{context}@{variant}")) {
                affinity.force(*index);
            }
        }
        if let Some(query) = query {
            set.clickable.iter().for_each(|route| route.count_click(query, &affinity));
        }
        Live::routed(&set, context, affinity)
    }

    /// Whether any context has several variants with a share, so that it matters which visitor a request comes from.
    pub fn is_split(&self) -> bool {
        self.0.publisher.serving().is_split
    }

    /// The set that serves now.
    pub(super) fn serving(&self) -> Arc<ServingSet> {
        self.0.publisher.serving().clone()
    }

    /// The generations that serve now, of the contexts that live on this host, in the manifest's order.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        let set = self.0.publisher.serving();
        set.generations.iter().filter(|generation| generation.lives_elsewhere().is_none()).cloned().collect()
    }

    /// As `generations`, with the contexts that live on other hosts, by `ContextIndex`.
    pub fn all_generations(&self) -> Vec<Arc<Generation>> {
        self.0.publisher.serving().generations.clone()
    }

    /// The host on which `context`, or this variant, lives, if it is another one.
    pub fn lives_elsewhere(&self, context: &str) -> Option<String> {
        let set = self.0.publisher.serving();
        set.generation(context).ok()?.lives_elsewhere().map(ToOwned::to_owned)
    }

    /// The contexts that no call reaches.
    pub fn out_of_service(&self) -> Vec<ContextName> {
        let out = self.generations().into_iter().filter(|generation| generation.out_of_service().is_some());
        out.map(|generation| generation.context().clone()).collect()
    }

    /// The specs of the generations that serve now, to be changed and passed to `prepare`.
    pub fn specs(&self) -> Vec<ContextSpec> {
        self.0.publisher.serving().generations.iter().map(|generation| generation.spec_now()).collect()
    }

    /// Reads a component's file once; those bytes are hashed, and compiled unless the cache has them.
    ///
    /// # Errors
    /// When the file cannot be read, is not a component, or does not compile within its bounds.
    pub fn load(&self, file: &Path) -> Result<Component, Error> {
        Ok(self.0.loader.load(file)?)
    }

    /// Compiles an artifact, unless the cache has it.
    ///
    /// # Errors
    /// When it does not compile within its bounds.
    pub fn compile(&self, artifact: &Artifact) -> Result<Component, Error> {
        Ok(self.0.loader.load_artifact(artifact)?)
    }

    /// Loads the components that the entries of a manifest name, without variants that are not built.
    ///
    /// # Errors
    /// Every component that cannot be read or compiled.
    pub fn load_all(&self, contexts: &[ContextSettings]) -> Result<Vec<ContextSpec>, Error> {
        let there: Vec<_> = load::present(contexts, &Source::of).0.into_iter().cloned().collect();
        load::load(&self.0.loader, &there, &Source::of)
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        self.0.loader.engine()
    }

    /// Wires `specs` into one system, and starts an instance of each context that differs from the generation that
    /// serves now. Nothing changes until the result is published.
    ///
    /// # Errors
    /// Everything that keeps `specs` from being one system, or one of them from starting.
    pub fn prepare(&self, specs: Vec<ContextSpec>) -> Result<Prepared, Error> {
        self.prepare_without(self.link(specs)?, &[], None)
    }

    /// Wires `specs` into one system: the slow part of `prepare`.
    ///
    /// # Errors
    /// Everything that keeps `specs` from being one system.
    pub fn link(&self, specs: Vec<ContextSpec>) -> Result<Linked, Error> {
        let base = self.serving();
        let wired = link::wire(self.engine(), specs).map_err(Error::Problems)?;
        Ok(Linked { base, wired })
    }

    /// As `prepare`, with the contexts that have one of the problems `out_of_service`. Nothing of those is started, nor
    /// of the contexts that live on other hosts.
    pub(super) fn prepare_without(
        &self,
        Linked { base, wired }: Linked,
        out_of_service: &[ContextProblem],
        lent: Option<(&ContextName, &Arc<Database>)>,
    ) -> Result<Prepared, Error> {
        let Inner { stores, metrics, recording, clock, .. } = &*self.0;
        let (mut next, mut candidates, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (at, wired) in wired.into_iter().enumerate() {
            let Ok(index) = ContextIndex::try_from(at) else { continue };
            let same = base.generations.get(at).filter(|g| g.is_made_of(&wired.spec, &wired.wiring));
            if let Some(same) = same {
                next.push(same.clone());
                continue;
            }
            let name = &wired.spec.settings.name;
            let before = base.generation(name.as_str()).ok();
            let number = before.map_or(1, |generation| generation.number + 1);
            let inherited = Inherited {
                metrics: Arc::new(metrics.of(name)),
                recorder: before.map_or_else(|| Recorder::new(recording), |g| g.recorder.clone()),
                attempts: before
                    .map_or_else(|| Arc::new(Attempts::new(clock.clone())), |g| g.blueprint.grants.attempts.clone()),
                transactions: stores.transactions().clone(),
                calls_before: before.map(|g| g.call_stats.counts().and(&g.calls_before())).unwrap_or_default(),
                sagas_run: true,
            };
            let out_of_service = out_of_service.iter().find(|problem| problem.context == *name);
            if out_of_service.is_some() || wired.spec.settings.at.is_some() {
                match start::generation(index, number, wired, None, inherited) {
                    Ok(generation) => {
                        out_of_service.into_iter().for_each(|why| generation.take_out_of_service(why.clone()));
                        next.push(Arc::new(generation));
                    }
                    Err(problem) => problems.push(problem),
                }
                continue;
            }
            let opened = match lent.filter(|(context, _)| *context == name) {
                Some((_, database)) => Ok(Some(database.clone())),
                None => stores.open(&wired.spec.settings, before),
            };
            let started = opened
                .and_then(|database| start::generation(index, number, wired, database, inherited))
                .and_then(|generation| Ok((generation.probe()?, Arc::new(generation))));
            match started {
                Ok((migrations, generation)) => {
                    next.push(generation.clone());
                    candidates.push(Candidate { generation, migrations });
                }
                Err(problem) => problems.push(problem),
            }
        }
        // Before anything is written to a file that has promised to commit.
        stores.resolve();
        if problems.is_empty() { Ok(Prepared { base, next, candidates }) } else { Err(Error::Problems(problems)) }
    }

    /// Publishes a prepared set: new requests get it, running requests keep theirs, and replaced generations drain.
    ///
    /// # Errors
    /// `Error::Overtaken` when another set was published since this one was prepared.
    pub fn publish(&self, prepared: Prepared) -> Result<(), Error> {
        let Prepared { base, next, .. } = prepared;
        let publish = self.0.publisher.replace(|now| match now.is_made_of(&base.generations) {
            true => Ok(Some(Next::new(next, None))),
            false => Err(Error::Overtaken),
        });
        publish.map(|_| ())
    }

    /// Publishes a prepared set with the new generation of `context` on probation: the generation that it replaces is
    /// kept for the requests that the new one breaks.
    ///
    /// # Errors
    /// As `publish`.
    pub fn publish_on_probation(&self, prepared: Prepared, context: &str) -> Result<Probation, Error> {
        let Prepared { base, next, .. } = prepared;
        Probation::start(self.0.publisher.clone(), &base, next, context)
    }

    /// Publishes the version before again, in the place of the version on probation. `tolerated_schema` is the schema
    /// that the file has now, when the version before does not know it.
    ///
    /// # Errors
    /// When another set was published meanwhile, and the version before does not fit into it.
    pub fn undo(&self, probation: Probation, tolerated_schema: Option<u32>) -> Result<(), Error> {
        let before = probation.before().clone();
        before.set_tolerated_schema(tolerated_schema);
        if probation.restore_previous() {
            return Ok(());
        }
        // The version before is linked into the set that serves now.
        let mut specs = self.specs();
        if let Some(spec) = specs.iter_mut().find(|spec| spec.settings.name == *before.context()) {
            *spec = before.spec_now();
        }
        let prepared = self.prepare(specs)?;
        prepared.migrate(None)?;
        self.publish(prepared)
    }

    /// Which variants there are, and what share of the calls each gets.
    pub fn routes(&self) -> Vec<RouteStatus> {
        routes::all(&self.0.publisher)
    }

    /// Changes what share of the calls each variant of `context` gets, permanently and for requests that start from now
    /// on.
    ///
    /// # Errors
    /// When `changes` cannot be read, name no variant, or name a variant that cannot answer; then nothing has changed.
    pub fn route(&self, context: &str, changes: &[String]) -> Result<RouteStatus, RouteRejected> {
        routes::change(&self.0.publisher, context, changes)
    }

    /// The variants of `context`, side by side.
    ///
    /// # Errors
    /// When there is no such context, or it has no variants.
    pub fn compare(&self, context: &str) -> Result<Comparison, RouteRejected> {
        routes::compare(&self.0.publisher, context)
    }

    /// Pretends that calls cross hosts, or ends it: for requests that start from now on, until the host ends. `seed` is
    /// asked where the order has none. What is pretended on the edges that are meant, now or until now.
    ///
    /// # Errors
    /// When no such edge is in this process, or nothing is pretended on it that could end.
    pub fn pretend(&self, order: &Order, seed: impl FnOnce() -> u64) -> Result<Vec<PretenceStatus>, PretendRejected> {
        pretences::order(&self.0.publisher, order, seed)
    }

    /// How often each context of this host has called each function that it imports, and with how many bytes.
    pub fn traffic(&self) -> Vec<EdgeTraffic> {
        traffic::edges(&self.0.publisher.serving())
    }

    /// What the recorded calls and requests of each context have led to.
    pub fn paths(&self) -> Vec<PathTraffic> {
        traffic::paths(&self.0.publisher.serving())
    }

    /// What is pretended now, by caller and callee.
    pub fn pretences(&self) -> Vec<PretenceStatus> {
        self.0.publisher.routing.pretences.list()
    }

    /// The name under which `context` is in `specs`: a main variant has two names. An unknown name is returned as it
    /// is.
    pub fn name_of(&self, context: &str) -> String {
        let set = self.0.publisher.serving();
        set.generation(context).map_or_else(|_| context.to_owned(), |found| found.context().to_string())
    }

    /// Why `context`, the name of a variant in the manifest, does not serve.
    pub fn not_loaded(&self, context: &str) -> Option<RouteRejected> {
        let absent = self.0.publisher.routing.absent.lock();
        let Absent { context, why, .. } = absent.iter().find(|absent| absent.context.as_str() == context)?;
        let (context, name) = context.variant()?;
        Some(RouteRejected::NotLoaded { context: context.to_owned(), name: name.to_owned(), why: why.clone() })
    }

    /// How far a variant has caught up; `None` for anything else.
    pub fn readiness(&self, variant: &str) -> Option<Arc<Readiness>> {
        self.0.publisher.routing.readiness_of(variant)
    }

    /// The contexts to which events are delivered, variants included.
    pub fn subscribers(&self) -> Vec<ContextName> {
        let all = self.generations().into_iter().filter(|generation| !generation.spec().settings.subscribes.is_empty());
        all.map(|generation| generation.context().clone()).collect()
    }

    /// The contexts whose events of this interface `subscriber` takes, variants included, on whichever host they live.
    /// Those are left out that live here and have no file now.
    pub fn outboxes(&self, subscriber: &ContextName, interface: &str) -> Vec<(ContextName, Arc<dyn Outbox>)> {
        let generations = self.all_generations();
        let all = routing::publishers(&generations, interface);
        let outbox = |generation: &Arc<Generation>| -> Option<(ContextName, Arc<dyn Outbox>)> {
            let name = generation.context().clone();
            let outbox: Arc<dyn Outbox> = match generation.lives_elsewhere() {
                Some(_) => self.outbox_elsewhere(subscriber, &name, interface)?,
                None => generation.database()?.clone(),
            };
            Some((name, outbox))
        };
        all.filter_map(outbox).collect()
    }

    /// The outbox of a publisher that lives on another host, as `subscriber` reads it. `None` without connections.
    pub fn outbox_elsewhere(
        &self,
        subscriber: &ContextName,
        publisher: &ContextName,
        interface: &str,
    ) -> Option<Arc<dyn Outbox>> {
        Some(self.0.outboxes.elsewhere(subscriber, publisher, interface)?)
    }

    /// What subscribers on other hosts have said of how far they have the events of `publisher`.
    pub fn said_of(&self, publisher: &str) -> Vec<Said> {
        self.0.outboxes.said_of(publisher)
    }

    pub(super) fn outboxes_said(&self) -> &Outboxes {
        &self.0.outboxes
    }

    /// The contexts of this host that publish this interface, variants included, with their files.
    pub fn publishers(&self, interface: &str) -> Vec<(ContextName, Arc<Database>)> {
        let generations = self.generations();
        let all = routing::publishers(&generations, interface);
        all.filter_map(|generation| Some((generation.context().clone(), generation.database()?.clone()))).collect()
    }

    /// The clock that this system runs by. Deadlines of calls are the system's clock's.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn check_shares(&self, absent: &[Absent]) -> Result<(), Error> {
        routes::check_shares(&self.0.publisher, absent)
    }

    pub(super) fn set_absent(&self, absent: Vec<Absent>) {
        *self.0.publisher.routing.absent.lock() = absent;
    }

    /// Whether a request that begins now can reach `generation`.
    #[cfg(test)]
    pub(super) fn reaches(&self, generation: &Arc<Generation>) -> bool {
        self.0.publisher.serving().reaches(generation)
    }

    /// Replaced generations that `check_draining` has not forgotten yet.
    #[cfg(test)]
    pub(super) fn known_to_drain(&self) -> usize {
        self.0.publisher.drain.known()
    }

    /// Looks whether each store is there and works, and notes how far it is, and counts the calls that bulkheads have
    /// refused. Call it every `limits::STORE_NOTE_MS`. May wait for a disk.
    pub fn tend_stores(&self) {
        self.count_refusals();
        self.0.stores.tend();
    }

    /// Adds to the metrics what the bulkheads have refused.
    fn count_refusals(&self) {
        let generations = self.all_generations();
        for caller in &generations {
            for (callee, calls) in caller.newly_refused() {
                if let Some(callee) = generations.get(usize::from(callee)) {
                    self.0.metrics.callee_refused(caller.context(), callee.context(), calls);
                }
            }
        }
    }

    /// The transactions over several files.
    pub fn transactions(&self) -> &Arc<Transactions> {
        self.0.stores.transactions()
    }

    /// Ends the doubt about files that have promised to commit, as far as it is known whether they are to.
    pub fn resolve_doubts(&self) {
        self.0.stores.resolve();
    }

    /// The files that are open, each with its context or variant.
    pub fn stores(&self) -> Vec<(ContextName, Arc<Database>)> {
        self.0.stores.opened()
    }

    /// Closes the stores: from now on they answer `unavailable`. For the end of the host.
    pub fn close_stores(&self) {
        self.0.stores.close();
    }

    /// Drops idle instances that were not needed lately. Call it every `limits::TRIM_INTERVAL_S`.
    pub fn trim(&self) {
        self.0.publisher.serving().generations.iter().for_each(|g| g.trim());
    }

    /// The generations that were replaced and still have calls: their context and number.
    pub fn draining(&self) -> Vec<(ContextName, u64)> {
        self.0.publisher.drain.list()
    }

    /// Forgets replaced generations that are gone, and cuts off the calls of those that take too long. Call it every
    /// `limits::DRAIN_CHECK_MS`.
    pub fn check_draining(&self) {
        self.0.publisher.drain.check();
    }
}
