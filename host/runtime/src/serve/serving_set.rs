//! One consistent set of generations: a request takes it at its start and keeps it to its end.

use std::collections::HashMap;
use std::sync::Arc;

use seam_store::ids::ContextName;

use super::routing::Routing;
use crate::call::{Affinity, ContextIndex, Failure};
use crate::guest::dispatch::{Dispatch, DispatchTable, WatchedVersion};
use crate::pretend::PretendedCallee;
use crate::remote::RemoteCallee;
use crate::route::{Member, Route};
use crate::run::Generation;
use crate::run::metrics::CallMetrics;

#[derive(Default)]
pub(crate) struct ServingSet {
    pub generations: Vec<Arc<Generation>>,
    /// Main variants are in it a second time, as `context@variant`.
    pub by_name: HashMap<ContextName, ContextIndex>,
    /// One for each context that has variants, by its main variant.
    pub routes: HashMap<ContextIndex, Arc<Route>>,
    /// The routes whose answers lead to requests that can be counted.
    pub clickable: Vec<Arc<Route>>,
    /// Whether any context has several variants with a share.
    pub is_split: bool,
    /// Set while one of the generations is on probation.
    pub on_probation: Option<OnProbation>,
    /// The same generations, as callers see them: behind their routes.
    pub callees: DispatchTable,
}

/// A generation on probation, and the set that served before it.
#[derive(Clone)]
pub(crate) struct OnProbation {
    pub version: WatchedVersion,
    pub previous: Arc<ServingSet>,
}

/// The generation that runs a request again when the version on probation breaks it.
pub(crate) struct Fallback {
    pub generation: Arc<Generation>,
    pub callees: DispatchTable,
    pub on_probation: WatchedVersion,
}

impl ServingSet {
    pub fn new(generations: Vec<Arc<Generation>>, on_probation: Option<OnProbation>, routing: &Routing) -> Self {
        let mut by_name: HashMap<_, _> = generations.iter().map(|g| (g.context().clone(), g.index)).collect();
        let routes: HashMap<_, _> = generations.iter().filter_map(|main| route(main, &generations, routing)).collect();
        for main in routes.keys().filter_map(|main| generations.get(usize::from(*main))) {
            let entry = &main.spec().settings;
            by_name.extend(entry.name.with_variant(&entry.variant).map(|name| (name, main.index)));
        }
        let names: Arc<[ContextName]> = generations.iter().map(|generation| generation.context().clone()).collect();
        let dispatch = |generation: &Arc<Generation>| -> Arc<dyn Dispatch> {
            if let (Some(_), Some(carrier)) = (&generation.spec().settings.at, &routing.carrier) {
                let (index, context) = (generation.index, generation.context().clone());
                let (names, carrier, here) = (names.clone(), carrier.clone(), routing.here());
                return Arc::new(RemoteCallee { index, context, names, carrier, here });
            }
            let here: Arc<dyn Dispatch> = match routes.get(&generation.index) {
                Some(route) => route.clone(),
                None => generation.clone(),
            };
            pretended(generation, here, &generations, routing)
        };
        let callees = generations.iter().map(dispatch).collect();
        let clickable = routes.values().filter(|route| route.counts_clicks()).cloned().collect();
        let is_split = routes.values().any(|route| route.is_split());
        Self { generations, by_name, routes, clickable, is_split, on_probation, callees }
    }

    /// Whether a request that starts now can reach `generation`, in this set or as its fallback.
    pub fn reaches(&self, generation: &Arc<Generation>) -> bool {
        let has = |set: &Self| set.generations.iter().any(|own| Arc::ptr_eq(own, generation));
        has(self) || self.on_probation.as_ref().is_some_and(|on| has(&on.previous))
    }

    /// All generations that a request that starts now can reach, each once.
    pub fn reachable(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let previous = self.on_probation.iter().flat_map(|on| &on.previous.generations);
        let own = |generation: &Arc<Generation>| self.generations.iter().any(|own| Arc::ptr_eq(own, generation));
        self.generations.iter().chain(previous.filter(move |generation| !own(generation)))
    }

    pub fn is_on_probation(&self, generation: &Generation) -> bool {
        self.on_probation.as_ref().is_some_and(|on| on.version.id == generation.id())
    }

    /// The generation of `context` that answers a request with this `affinity`, and the route's metrics of it.
    ///
    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn pick(
        &self,
        context: &str,
        affinity: &Affinity,
    ) -> Result<(&Arc<Generation>, Option<&Arc<CallMetrics>>), Failure> {
        let main = self.generation(context)?;
        let picked = self.routes.get(&main.index).map(|route| route.pick(affinity));
        Ok(picked.map_or((main, None), |picked| (&picked.generation, Some(&picked.metrics.calls))))
    }

    /// The fallback of a request for `context` while a version is on probation.
    pub fn fallback(&self, context: &str, affinity: Option<&Affinity>) -> Option<Box<Fallback>> {
        let OnProbation { version, previous } = self.on_probation.as_ref()?;
        let picked = match affinity {
            Some(affinity) => previous.pick(context, affinity).map(|(generation, _)| generation),
            None => previous.generation(context),
        };
        let (on_probation, callees) = (*version, previous.callees.clone());
        Some(Box::new(Fallback { generation: picked.ok()?.clone(), callees, on_probation }))
    }

    /// # Errors
    /// `Failure::Absent` when there is no such context.
    pub fn generation(&self, name: &str) -> Result<&Arc<Generation>, Failure> {
        let index = self.by_name.get(name).map(|index| usize::from(*index));
        let absent = || Failure::Absent { context: name.to_owned(), reason: "there is no such context".into() };
        index.and_then(|index| self.generations.get(index)).ok_or_else(absent)
    }

    pub fn is_made_of(&self, generations: &[Arc<Generation>]) -> bool {
        let same = self.generations.iter().zip(generations).all(|(one, other)| Arc::ptr_eq(one, other));
        same && self.generations.len() == generations.len()
    }
}

/// `callee`, which is `inner`, or a callee that is pretended to live on another host for some of its callers.
fn pretended(
    callee: &Generation,
    inner: Arc<dyn Dispatch>,
    generations: &[Arc<Generation>],
    routing: &Routing,
) -> Arc<dyn Dispatch> {
    let pretences = routing.pretences.of(callee.context());
    if pretences.is_empty() {
        return inner;
    }
    let of_caller = |caller: &Arc<Generation>| {
        let context = caller.context().variant().map_or(caller.context().as_str(), |(context, _)| context);
        pretences.get(context).filter(|_| caller.lives_elsewhere().is_none()).cloned()
    };
    let (index, context) = (callee.index, callee.context().clone());
    Arc::new(PretendedCallee { index, context, inner, by_caller: generations.iter().map(of_caller).collect() })
}

/// The route of the context whose main variant is `main`, when it has other variants.
fn route(
    main: &Arc<Generation>,
    generations: &[Arc<Generation>],
    routing: &Routing,
) -> Option<(ContextIndex, Arc<Route>)> {
    let context = main.context().as_str();
    let is_variant = |g: &&Arc<Generation>| g.context().variant().is_some_and(|(of, _)| of == context);
    let others: Vec<_> = generations.iter().filter(is_variant).collect();
    if others.is_empty() {
        return None;
    }
    let (shares, entry) = (routing.shares.of(context), &main.spec().settings);
    let member = |generation: &Arc<Generation>| {
        let variant = &generation.spec().settings.variant;
        Member {
            generation: generation.clone(),
            weight: shares.weight(variant, &entry.variant),
            metrics: routing.metrics.of_variant(context, variant),
            readiness: routing.readiness(generation, generations),
        }
    };
    let others = others.into_iter().map(member).collect();
    let route = Route::new(member(main), others, shares.shadow(), &routing.shadows);
    Some((main.index, Arc::new(route)))
}
