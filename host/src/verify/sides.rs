//! Which contexts declare a total, and on which hosts they live.
//!
//! What a context of another host declares is read from its component, which each host has for its types. A version
//! that was deployed there alone may declare something else: then that host says so when it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Database, Invariant, InvariantKind};

use super::seen::{Declared, declared_by};

/// Where a context lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    Here,
    Host(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub context: ContextName,
    pub at: At,
}

/// The contexts that declare one total, in the order of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    pub all: Vec<Side>,
    /// The first context of this host of which it is not known what it declares.
    pub unknown: Option<ContextName>,
}

impl Sides {
    pub fn of(registry: &Registry, total: &str) -> Self {
        let mut sides = Self::default();
        for generation in registry.all_generations() {
            let settings = &generation.spec().settings;
            if settings.store.is_none() {
                continue;
            }
            let (context, declared) = (settings.name.clone(), declared_by(&generation));
            let at = generation.lives_elsewhere().map_or(At::Here, |host| At::Host(host.to_owned()));
            if declares(&declared, total) {
                sides.all.push(Side { context, at });
            } else if at == At::Here && declared.is_err() && sides.unknown.is_none() {
                sides.unknown = Some(context);
            }
        }
        sides
    }

    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|side| side.context.to_string()).collect()
    }

    /// The first that lives here.
    pub fn here(&self) -> Option<&ContextName> {
        self.all.iter().find(|side| side.at == At::Here).map(|side| &side.context)
    }

    /// Those that live on other hosts.
    pub fn elsewhere(&self) -> impl Iterator<Item = &ContextName> {
        self.all.iter().filter(|side| side.at != At::Here).map(|side| &side.context)
    }

    /// How many live on each other host.
    pub fn on_other_hosts(&self) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for side in &self.all {
            if let At::Host(host) = &side.at {
                *hosts.entry(host.as_str()).or_default() += 1;
            }
        }
        hosts
    }

    /// Whether some live on other hosts.
    pub fn are_apart(&self) -> bool {
        self.all.iter().any(|side| side.at != At::Here)
    }
}

/// The other host that compares the total: the one of the context that mends, else of the first that declares it.
/// `None`: this host does.
pub fn compared_by(registry: &Registry, total: &str, mends: Option<&ContextName>) -> Option<String> {
    if let Some(mends) = mends {
        return registry.lives_elsewhere(mends.as_str());
    }
    let sides = Sides::of(registry, total);
    // It may declare it. Too many warnings are better than none.
    if sides.unknown.is_some() {
        return None;
    }
    match sides.all.first() {
        Some(Side { at: At::Here, .. }) => None,
        Some(Side { at: At::Host(host), .. }) => Some(host.clone()),
        // One host says that no context declares it.
        None => registry.all_generations().first().and_then(|one| one.lives_elsewhere().map(ToOwned::to_owned)),
    }
}

/// The file of the context that decides which host compares, if that is this one: of the context that mends, else of
/// the first that declares the total. `None` also if it has no open file.
pub fn deciding_file(registry: &Registry, total: &str, mends: Option<&ContextName>) -> Option<Arc<Database>> {
    let sides = Sides::of(registry, total);
    let decides = mends.or_else(|| sides.all.first().map(|side| &side.context))?;
    let generations = registry.all_generations();
    let generation = generations.iter().find(|one| one.context() == decides)?;
    generation.database().filter(|_| generation.lives_elsewhere().is_none()).cloned()
}

/// Whether `context` declares the total, by the component that this host has.
pub fn is_declared_by(registry: &Registry, total: &str, context: &ContextName) -> bool {
    let generations = registry.all_generations();
    let generation = generations.iter().find(|one| one.context() == context);
    generation.is_some_and(|generation| declares(&declared_by(generation), total))
}

pub(super) fn declares(declared: &Declared, total: &str) -> bool {
    declared.iter().flatten().any(|one| is_total(one) && one.name == total)
}

pub(super) fn is_total(one: &Invariant) -> bool {
    one.kind == InvariantKind::Total
}
