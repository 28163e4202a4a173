//! A context that has variants, as its callers see it: each call goes to one of them.
//!
//! By weight, a visitor always to the same one, or to the one that the request asks for. Invariant: who is chosen depends on nothing but the
//! request and the set that it began with, so all its calls of a context reach the same variant.
//! Not here: who may be given weight (`Registry::route`), what a variant is (`manifest`).

mod compare;
mod feed;
mod kept;
mod overlap;
mod shadow;
mod shares;
mod standing;
mod status;

use std::sync::Arc;
use std::time::Instant;

pub use compare::{Beside, Compared, Comparison};
pub use feed::Feed;
pub(super) use kept::Routes;
pub(super) use shadow::Shadows;
pub use shares::{Refused, Shares};
pub use standing::{Bell, Standing};
pub use status::{State, Status, Variant, at_rest};

use self::shadow::Shadow;
use super::generation::Generation;
use super::stats::Answers;
use crate::call::{Call, Failure, Steer, spread};
use crate::ids::ContextName;
use crate::manifest::CatchUp;
use crate::seam::dispatch::{Dispatch, Exchange, Function, Set};
use crate::store::Database;

/// The variants of one context that are loaded, with their weights.
pub(super) struct Route {
    main: Member,
    others: Box<[Member]>,
    total: u32,
    shadow: Option<Shadow>,
    /// `name=value` in the query of a request that came from one of the answers.
    click: Option<String>,
    lessons: Option<Lessons>,
    /// So that a visitor who is among the first of one context need not be among the first of all.
    salt: u64,
}

pub(super) struct Member {
    pub generation: Arc<Generation>,
    pub weight: u32,
    pub answers: Answers,
    pub standing: Arc<Standing>,
}

/// The function by which a context learns: it is the main variant's, and the others follow the history.
pub(super) struct Lessons {
    pub feed: Arc<Feed>,
    pub bell: Arc<Bell>,
}

/// A variant that follows a history.
pub struct Follower {
    pub variant: ContextName,
    pub database: Arc<Database>,
    pub standing: Arc<Standing>,
    /// The context that keeps the history.
    pub from: ContextName,
    /// What the cursor is kept under.
    pub source: String,
    pub feed: Arc<Feed>,
}

impl Route {
    /// `main` serves when nobody else does; the one called `shadow` is called beside whoever does.
    pub fn new(
        main: Member,
        others: Vec<Member>,
        shadow: Option<&str>,
        queue: &Arc<Shadows>,
        lessons: Option<Lessons>,
    ) -> Self {
        let total = others.iter().fold(main.weight, |sum, other| sum.saturating_add(other.weight));
        let salt = Steer::by(main.generation.context().as_str().as_bytes()).key;
        let is_shadow = |member: &&Member| Some(member.generation.part().entry.variant.as_str()) == shadow;
        let shadow = std::iter::once(&main).chain(&others).find(is_shadow).map(|member| Shadow {
            generation: member.generation.clone(),
            counts: member.answers.shadowed.clone(),
            standing: member.standing.clone(),
            queue: queue.clone(),
        });
        let click = main.generation.part().entry.clicks.clone();
        Self { main, others: others.into(), total, shadow, click, lessons, salt }
    }

    /// The main variant first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// Who answers a request that is steered like this.
    pub fn pick(&self, steer: &Steer) -> &Member {
        if steer.forces()
            && let Some(forced) = self.members().find(|member| steer.is_forced(member.generation.index))
        {
            return forced;
        }
        // From all numbers to those below `total`, in order: whoever is before a border that moves stays where he is.
        let point = (u128::from(spread(steer.key ^ self.salt)) * u128::from(self.total)) >> 64;
        let mut border = 0;
        for member in self.members() {
            border += u128::from(member.weight);
            if point < border {
                // Until it knows what the others know, the main one answers for it.
                return if member.standing.serves() { member } else { &self.main };
            }
        }
        &self.main
    }

    pub fn counts_clicks(&self) -> bool {
        self.click.is_some()
    }

    /// The variants that follow a history, as far as they are loaded.
    pub fn followers(&self) -> impl Iterator<Item = Follower> {
        let follow = self.main.generation.part().entry.catch_up.as_ref().zip(self.lessons.as_ref());
        follow.into_iter().flat_map(move |(catch_up, lessons)| {
            self.others.iter().filter_map(move |member| {
                Some(Follower {
                    variant: member.generation.context().clone(),
                    database: member.generation.database()?.clone(),
                    standing: member.standing.clone(),
                    from: catch_up.from.clone(),
                    source: source(catch_up),
                    feed: lessons.feed.clone(),
                })
            })
        })
    }

    /// Counts a request whose query says that it came from an answer that a request steered like this had got.
    pub fn clicked(&self, query: &str, steer: &Steer) {
        if self.click.as_deref().is_some_and(|click| query.split('&').any(|pair| pair == click)) {
            self.pick(steer).answers.clicks.inc();
        }
    }
}

/// What the cursor in a history is kept under.
pub(super) fn source(catch_up: &CatchUp) -> String {
    format!("{}/{}", catch_up.from, catch_up.call)
}

impl Dispatch for Route {
    fn call(&self, call: Call, set: &Set, function: &Function, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        if let Some(lessons) = &self.lessons
            && lessons.feed.into.1 == function.name
            && lessons.feed.into.0 == function.interface
        {
            let learned = self.main.generation.call(call, set, function, exchange);
            lessons.bell.ring();
            return learned;
        }
        let chosen = self.pick(&call.steer);
        let started = Instant::now();
        let outcome = chosen.generation.call(call, set, function, exchange);
        chosen.answers.stats.record(started.elapsed(), outcome.as_ref().err());
        if let Some(shadow) = &self.shadow
            && outcome.is_ok()
            && shadow.generation.index != chosen.generation.index
            && shadow.standing.serves()
        {
            shadow.follow(&call, set, function, exchange);
        }
        outcome
    }
}
