//! One consistent set of generations, as a request takes it at its start and keeps it to its end.

use std::collections::HashMap;
use std::sync::Arc;

use super::generation::Generation;
use super::probation::Spare;
use super::route::{Feed, Lessons, Member, Route};
use super::routing::Routing;
use super::stats::Stats;
use crate::call::{ContextIndex, Failure, Steer};
use crate::ids::ContextName;
use crate::seam::dispatch::{Dispatch, Set};

#[derive(Default)]
pub(super) struct Published {
    pub generations: Vec<Arc<Generation>>,
    /// Also of the main variants, as `context@variant`.
    pub by_name: HashMap<ContextName, ContextIndex>,
    /// Of each context that has variants.
    pub routes: HashMap<ContextIndex, Arc<Route>>,
    /// Those whose answers are asked for again.
    pub clickable: Vec<Arc<Route>>,
    /// What served before, while one of the generations is on probation, and how that one calls itself.
    pub spare: Option<(Arc<Published>, u64)>,
    /// The same generations, as callers see them: behind their routes.
    pub set: Set,
}

impl Published {
    pub fn of(generations: Vec<Arc<Generation>>, routing: &Routing) -> Self {
        let mut by_name: HashMap<_, _> = generations.iter().map(|g| (g.context().clone(), g.index)).collect();
        let routes: HashMap<_, _> =
            generations.iter().filter_map(|main| Self::route(main, &generations, routing)).collect();
        for main in routes.keys().filter_map(|main| generations.get(usize::from(*main))) {
            let entry = &main.part().entry;
            by_name.extend(entry.name.with_variant(&entry.variant).map(|name| (name, main.index)));
        }
        let dispatch = |generation: &Arc<Generation>| match routes.get(&generation.index) {
            Some(route) => route.clone() as Arc<dyn Dispatch>,
            None => generation.clone(),
        };
        let set = generations.iter().map(dispatch).collect();
        let clickable = routes.values().filter(|route| route.counts_clicks()).cloned().collect();
        Self { generations, by_name, routes, clickable, spare: None, set }
    }

    pub fn has(&self, generation: &Arc<Generation>) -> bool {
        self.generations.iter().any(|own| Arc::ptr_eq(own, generation))
    }

    /// Who answers for `context` when a request is steered by `steer`, and what its route counts of it.
    pub fn picked(&self, context: &str, steer: &Steer) -> Result<(&Arc<Generation>, Option<&Arc<Stats>>), Failure> {
        let main = self.generation(context)?;
        let chosen = self.routes.get(&main.index).map(|route| route.pick(steer));
        Ok(chosen.map_or((main, None), |chosen| (&chosen.generation, Some(&chosen.answers.stats))))
    }

    /// What a request falls back on while a version is on probation.
    pub fn spare(&self, context: &str, steer: Option<&Steer>) -> Option<Box<Spare>> {
        let (previous, on) = self.spare.as_ref()?;
        let generation = match steer {
            Some(steer) => previous.picked(context, steer).map(|(generation, _)| generation),
            None => previous.generation(context),
        };
        Some(Box::new(Spare { generation: generation.ok()?.clone(), set: previous.set.clone(), on: *on }))
    }

    /// The route of `main`, if there are variants of it.
    fn route(
        main: &Arc<Generation>,
        generations: &[Arc<Generation>],
        routing: &Routing,
    ) -> Option<(ContextIndex, Arc<Route>)> {
        let context = main.context().as_str();
        let of_it = |g: &&Arc<Generation>| g.context().variant().is_some_and(|(of, _)| of == context);
        let others: Vec<_> = generations.iter().filter(of_it).collect();
        if others.is_empty() {
            return None;
        }
        let (shares, entry) = (routing.routes.of(context), &main.part().entry);
        let lessons = entry.catch_up.as_ref().and_then(|catch_up| {
            let from = generations.iter().find(|generation| generation.context() == &catch_up.from)?;
            let feed = Feed::new(catch_up, &from.component().exports, &main.component().exports).ok()?;
            Some(Lessons { feed: Arc::new(feed), bell: routing.learned.clone() })
        });
        let member = |generation: &Arc<Generation>| {
            let variant = &generation.part().entry.variant;
            Member {
                generation: generation.clone(),
                weight: shares.weight(variant, &entry.variant),
                answers: routing.metrics.of_variant(context, variant),
                standing: routing.standing(generation, entry.catch_up.as_ref()),
            }
        };
        let others = others.into_iter().map(member).collect();
        let route = Route::new(member(main), others, shares.shadow(), &routing.shadows, lessons);
        Some((main.index, Arc::new(route)))
    }

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
