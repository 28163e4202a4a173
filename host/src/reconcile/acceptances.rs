//! What is accepted of one total, in the book of this host and in the file that goes along when another host looks.
//!
//! Invariant: what one of the two says with the amounts of now holds; after a look, the file says what the book says.

use std::collections::{BTreeMap, BTreeSet};

use seam_store::Acceptance;

use super::record::{Amount, Disagreement};

/// What the file says, by key.
pub struct Acceptances(BTreeMap<String, Acceptance>);

impl Acceptances {
    pub fn new(kept: Vec<Acceptance>) -> Self {
        Self(kept.into_iter().map(|one| (one.key.clone(), one)).collect())
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Has `one`, which has these amounts now, be accepted if the file says so of them.
    pub fn apply(&self, one: &mut Disagreement, amounts: &[Amount]) {
        let Some(kept) = self.0.get(&one.key) else { return };
        if serde_json::to_string(amounts).is_ok_and(|now| now == kept.amounts) {
            one.accepted(&kept.by, &kept.why);
        }
    }

    /// What the file has to note after a look that found `found`, of which those `changing` are not known: what is
    /// accepted from now on, and the keys of what is no longer.
    pub fn changes(
        mut self,
        found: &[Disagreement],
        changing: &BTreeSet<String>,
        now_ms: u64,
    ) -> (Vec<Acceptance>, Vec<String>) {
        let mut new = Vec::new();
        for accepted in found.iter().filter_map(|one| one.acceptance(now_ms)) {
            let known = self.0.remove(&accepted.key);
            if known.is_none_or(|known| known.amounts != accepted.amounts) {
                new.push(accepted);
            }
        }
        (new, self.0.into_keys().filter(|key| !changing.contains(key)).collect())
    }
}
