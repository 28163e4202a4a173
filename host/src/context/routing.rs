//! The registry's routes: what share of its context's calls each variant gets, changed while requests run.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::generation::Generation;
use super::link::Problem;
use super::linked::Absent;
use super::published::Published;
use super::registry::{Error, Registry};
use super::route::{self, Bell, Routes, Shadows, Standing};
use super::stats::Metrics;
use crate::ids::ContextName;
use crate::manifest::CatchUp;
use crate::store::{Cursor, HostFile, HostFileError};

pub(super) struct Routing {
    pub routes: Routes,
    pub shadows: Arc<Shadows>,
    pub metrics: Metrics,
    /// Variants that the manifest has and that are not loaded.
    pub absent: Mutex<Vec<Absent>>,
    /// Rung when a context that has variants has learned something.
    pub learned: Arc<Bell>,
    standings: Mutex<HashMap<ContextName, Arc<Standing>>>,
    turn: Mutex<()>,
}

impl Routing {
    /// # Errors
    /// When the routes that were kept cannot be read.
    pub fn open(host: Arc<HostFile>, metrics: Metrics) -> Result<Self, HostFileError> {
        let (routes, shadows) = (Routes::open(host)?, Arc::default());
        Ok(Self {
            routes,
            shadows,
            metrics,
            absent: Mutex::default(),
            learned: Arc::default(),
            standings: Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// How far `generation` is in what its context learns from, if it has to learn anything.
    pub fn standing(&self, generation: &Generation, catch_up: Option<&CatchUp>) -> Arc<Standing> {
        let follows = generation.context().variant().and(catch_up).zip(generation.database());
        let Some((catch_up, database)) = follows else { return Arc::new(Standing::new(true)) };
        let known = || {
            // A file that cannot be read now is not known to have caught up.
            let cursor = Cursor::read(database, &route::source(catch_up)).unwrap_or_default();
            Arc::new(Standing::new(cursor.caught_up))
        };
        self.standings.lock().entry(generation.context().clone()).or_insert_with(known).clone()
    }

    /// To be held by whoever publishes: routes and generations are changed one after the other.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }
}

impl Registry {
    /// Which variants there are, and what share of the calls each gets.
    pub fn routes(&self) -> Vec<route::Status> {
        let published = self.published().load();
        let absent = self.routing().absent.lock();
        let mains = published.generations.iter().filter(|g| g.context().variant().is_none());
        let status = mains.map(|main| route::Status::of(main, &published, &absent, &self.routing().routes));
        status.filter(|status| status.variants.len() > 1).collect()
    }

    /// Changes what share of the calls each variant of `context` gets, for the requests that start from now on, and for good.
    ///
    /// # Errors
    /// When `changes` are not understood, name nobody, or name somebody who cannot answer; then nothing has changed.
    pub fn route(&self, context: &str, changes: &[String]) -> Result<route::Status, route::Refused> {
        let _turn = self.routing().turn();
        let status = |all: Vec<route::Status>| all.into_iter().find(|status| status.context == context);
        let before = self.routes();
        let before = status(before).ok_or_else(|| route::Refused::not_routed(context, &self.mains()))?;
        if changes.is_empty() {
            return Ok(before);
        }
        let names: Vec<&str> = before.variants.iter().map(|variant| variant.name.as_str()).collect();
        let shares = self.routing().routes.of(context).changed(context, &names, changes)?;
        before.allow(&shares)?;
        self.routing().routes.set(context, shares).map_err(|error| route::Refused::NotKept(error.to_string()))?;
        let now = self.published().load_full();
        let next = Published { spare: now.spare.clone(), ..Published::of(now.generations.clone(), self.routing()) };
        self.published().store(Arc::new(next));
        status(self.routes()).ok_or_else(|| route::Refused::not_routed(context, &self.mains()))
    }

    /// The variants of `context`, side by side.
    ///
    /// # Errors
    /// When there is no such context, or it has none.
    pub fn compare(&self, context: &str) -> Result<route::Comparison, route::Refused> {
        let published = self.published().load();
        let index = published.by_name.get(context).filter(|_| !context.contains('@'));
        let route = index.and_then(|index| published.routes.get(index));
        route.map(|route| route.compare()).ok_or_else(|| route::Refused::not_routed(context, &self.mains()))
    }

    /// What `context` is called among the parts: a main variant has two names. One that is not known is as it was.
    pub fn name_of(&self, context: &str) -> String {
        let published = self.published().load();
        published.generation(context).map_or_else(|_| context.to_owned(), |found| found.context().to_string())
    }

    /// Why `context`, the name of a variant, does not serve, if the manifest has it.
    pub fn not_loaded(&self, context: &str) -> Option<route::Refused> {
        let absent = self.routing().absent.lock();
        let Absent { context, why, .. } = absent.iter().find(|absent| absent.context.as_str() == context)?;
        let (context, name) = context.variant()?;
        Some(route::Refused::NotLoaded { context: context.to_owned(), name: name.to_owned(), why: why.clone() })
    }

    /// The variants that follow a history.
    pub fn followers(&self) -> Vec<route::Follower> {
        self.published().load().routes.values().flat_map(|route| route.followers().collect::<Vec<_>>()).collect()
    }

    /// Rung when there may be something for them to learn.
    pub fn learned(&self) -> &route::Bell {
        &self.routing().learned
    }

    fn mains(&self) -> Vec<String> {
        let generations = self.generations();
        generations.iter().filter(|g| g.context().variant().is_none()).map(|g| g.context().to_string()).collect()
    }

    /// Whether all that are to be called can be done without those that nobody has built.
    ///
    /// # Errors
    /// When one of them has a share of the calls.
    pub(super) fn needed(&self, absent: &[Absent]) -> Result<(), Error> {
        let missed = |absent: &&Absent| absent.problems.is_empty();
        let problem = |absent: &Absent| {
            let (context, variant) = absent.context.variant()?;
            let name = &absent.context;
            (self.routing().routes.of(context).weight(variant, "") > 0).then(|| Problem {
                context: name.clone(),
                part: "component".into(),
                message: format!("`{name}` has a share of the calls, and {}", absent.why),
                remedy: format!(
                    "run `seam build {name}`, or give its share to another: `seam route {context} VARIANT=1`"
                ),
            })
        };
        let problems: Vec<_> = absent.iter().filter(missed).filter_map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
    }

    pub(super) fn set_absent(&self, absent: Vec<Absent>) {
        *self.routing().absent.lock() = absent;
    }
}
