//! A context that has variants, as its callers see it: each call goes to one of them.
//!
//! By weight, a visitor always to the same one, or to the one that the request asks for. Invariant: who is chosen depends on nothing but the
//! request and the set that it began with, so all its calls of a context reach the same variant.
//! Not here: who may be given weight (`Registry::route`), what a variant is (`manifest`).

mod file;
mod shares;
mod status;

use std::sync::Arc;

pub(super) use file::Routes;
pub use file::Unusable;
pub use shares::{Refused, Shares};
pub use status::{State, Status, Variant, at_rest};

use super::generation::Generation;
use crate::call::{Call, Failure, Steer, spread};
use crate::seam::dispatch::{Dispatch, Exchange, Function, Set};

/// The variants of one context that are loaded, with their weights.
pub(super) struct Route {
    main: Member,
    others: Box<[Member]>,
    total: u32,
    /// So that a visitor who is among the first of one context need not be among the first of all.
    salt: u64,
}

pub(super) struct Member {
    pub generation: Arc<Generation>,
    pub weight: u32,
}

impl Route {
    /// `main` serves when nobody else does.
    pub fn new(main: Member, others: Vec<Member>) -> Self {
        let total = others.iter().fold(main.weight, |sum, other| sum.saturating_add(other.weight));
        let salt = Steer::by(main.generation.context().as_str().as_bytes()).key;
        Self { main, others: others.into(), total, salt }
    }

    /// The main variant first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// Who answers a request that is steered like this.
    pub fn pick(&self, steer: &Steer) -> &Arc<Generation> {
        if steer.forces()
            && let Some(forced) = self.members().find(|member| steer.is_forced(member.generation.index))
        {
            return &forced.generation;
        }
        // From all numbers to those below `total`, in order: whoever is before a border that moves stays where he is.
        let point = (u128::from(spread(steer.key ^ self.salt)) * u128::from(self.total)) >> 64;
        let mut border = 0;
        for member in self.members() {
            border += u128::from(member.weight);
            if point < border {
                return &member.generation;
            }
        }
        &self.main.generation
    }
}

impl Dispatch for Route {
    fn call(&self, call: Call, set: &Set, function: &Function, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        let chosen: &dyn Dispatch = &**self.pick(&call.steer);
        chosen.call(call, set, function, exchange)
    }
}
