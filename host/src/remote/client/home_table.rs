//! Where contexts live, as far as this host knows: what it has learned outweighs an earlier move.
//!
//! Invariant: the token of a context never falls.

use std::collections::HashMap;

use seam_store::ids::ContextName;

/// By the context: how its host is reached, and the token under which it lives there.
#[derive(Debug, Clone)]
pub struct HomeTable<L>(HashMap<ContextName, (L, u64)>);

impl<L> Default for HomeTable<L> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<L: Clone> HomeTable<L> {
    /// Notes contexts of which nothing is known yet.
    pub fn extend(&mut self, homes: impl Iterator<Item = (ContextName, (L, u64))>) {
        self.0.extend(homes);
    }

    /// A variant lives where its context does.
    pub fn get(&self, context: &ContextName) -> Option<(L, u64)> {
        self.0.get(context.variant().map_or(context.as_str(), |(context, _)| context)).cloned()
    }

    /// Notes where the context lives. `false` when that is no news.
    pub fn set(&mut self, context: &ContextName, link: L, token: u64) -> bool {
        if self.get(context).is_some_and(|(_, known)| known >= token) {
            return false;
        }
        self.0.insert(context.clone(), (link, token));
        true
    }
}
