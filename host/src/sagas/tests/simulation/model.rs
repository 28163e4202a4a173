//! What surrounds the sagas of a simulation: chance, and neighbours with a memory.

use std::collections::{BTreeMap, BTreeSet};

/// SplitMix64: the same numbers for a seed on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The contexts that steps call. They do what has a key once, and nothing that was undone before.
#[derive(Default)]
pub struct Neighbours {
    has_no_keys: bool,
    done: BTreeSet<String>,
    undone: BTreeSet<String>,
    /// By key: how often it has an effect now.
    effects: BTreeMap<String, u32>,
}

impl Neighbours {
    pub fn new(has_no_keys: bool) -> Self {
        Self { has_no_keys, ..Self::default() }
    }

    pub fn has_done(&self, key: &str) -> bool {
        self.done.contains(key)
    }

    pub fn was_undone(&self, key: &str) -> bool {
        self.undone.contains(key)
    }

    pub fn effects(&self, key: &str) -> u32 {
        self.effects.get(key).copied().unwrap_or_default()
    }

    pub fn perform(&mut self, key: &str) {
        if self.done.insert(key.to_owned()) || self.has_no_keys {
            *self.effects.entry(key.to_owned()).or_default() += 1;
        }
    }

    /// Undoes what was done with this key; it will not be done later either.
    pub fn undo(&mut self, key: &str) {
        self.undone.insert(key.to_owned());
        if let Some(effects) = self.effects.get_mut(key) {
            *effects = effects.saturating_sub(1);
        }
    }
}
