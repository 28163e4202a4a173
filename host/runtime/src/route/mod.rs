//! A context that has variants, as its callers see it: the route sends each call to one variant.
//!
//! The route takes the variant that the request asks for, or else chooses by weight, always the same variant for the
//! same visitor.
//! Invariant: the choice depends only on the request and the set that it started with, so all calls of one request into
//! a context reach the same variant.
//! Not here: which variant may have a weight (`Registry::route`), what a variant is (`manifest`).

mod compare;
mod overlap;
mod readiness;
mod shadow;
mod shares;
mod stored_shares;

use std::sync::Arc;
use std::time::Instant;

pub use compare::{Beside, Compared, Comparison};
pub use readiness::{Notify, Readiness};
pub(crate) use shadow::Shadows;
pub use shares::{RouteRejected, Shares};
pub use stored_shares::StoredShares;

use self::shadow::Shadow;
use crate::call::{Affinity, Call, Failure, spread};
use crate::guest::dispatch::{Answering, Dispatch, DispatchTable, Exchange, Function};
use crate::run::Generation;
use crate::run::metrics::VariantMetrics;

/// The variants of one context that are loaded, with their weights.
pub(crate) struct Route {
    main: Member,
    others: Box<[Member]>,
    total: u32,
    shadow: Option<Shadow>,
    /// The `name=value` in the query of a request that came from an answer of this context.
    click: Option<String>,
    /// Different for each context, so that a visitor among the first of one context is not among the first of every
    /// context.
    salt: u64,
}

pub(crate) struct Member {
    pub generation: Arc<Generation>,
    pub weight: u32,
    pub metrics: VariantMetrics,
    pub readiness: Arc<Readiness>,
}

impl Route {
    /// `main` answers when no other variant can. The variant named `shadow` is called beside the variant that answers.
    pub fn new(main: Member, others: Vec<Member>, shadow: Option<&str>, queue: &Arc<Shadows>) -> Self {
        let total = others.iter().fold(main.weight, |sum, other| sum.saturating_add(other.weight));
        let salt = Affinity::by(main.generation.context().as_str().as_bytes()).key;
        let is_shadow = |member: &&Member| Some(member.generation.spec().settings.variant.as_str()) == shadow;
        let shadow = std::iter::once(&main).chain(&others).find(is_shadow).map(|member| Shadow {
            generation: member.generation.clone(),
            counts: member.metrics.shadow.clone(),
            readiness: member.readiness.clone(),
            queue: queue.clone(),
        });
        let click = main.generation.spec().settings.clicks.clone();
        Self { main, others: others.into(), total, shadow, click, salt }
    }

    /// The main variant first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// The variant that answers a request with this `affinity`.
    pub fn pick(&self, affinity: &Affinity) -> &Member {
        if affinity.forces()
            && let Some(forced) = self.members().find(|member| affinity.is_forced(member.generation.index))
        {
            return forced;
        }
        // Scales the key to a point below `total` and keeps the order: when a border moves, only the visitors between
        // its old and its new place change their variant.
        let point = (u128::from(spread(affinity.key ^ self.salt)) * u128::from(self.total)) >> 64;
        let mut border = 0;
        for member in self.members() {
            border += u128::from(member.weight);
            if point < border {
                // Until it has caught up, the main variant answers for it.
                return if member.readiness.is_ready() { member } else { &self.main };
            }
        }
        &self.main
    }

    /// Counts a call that `chosen` has answered, and has the shadow called beside it.
    #[expect(clippy::too_many_arguments, reason = "all that a call is made of")]
    fn answered(
        &self,
        chosen: &Member,
        started: Instant,
        outcome: &Result<(), Failure>,
        call: &Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &dyn Exchange,
    ) {
        chosen.metrics.calls.record(started.elapsed(), outcome.as_ref().err());
        if let Some(shadow) = &self.shadow
            && outcome.is_ok()
            && shadow.generation.index != chosen.generation.index
            && shadow.readiness.is_ready()
        {
            shadow.follow(call, callees, function, exchange);
        }
    }

    /// Whether several variants have a share, so that it matters which visitor a request comes from.
    pub fn is_split(&self) -> bool {
        self.members().filter(|member| member.weight > 0).count() > 1
    }

    pub fn counts_clicks(&self) -> bool {
        self.click.is_some()
    }

    /// Counts a click when `query` says that the request came from an answer; the click belongs to the variant that a
    /// request with this `affinity` gets.
    pub fn count_click(&self, query: &str, affinity: &Affinity) {
        if self.click.as_deref().is_some_and(|click| query.split('&').any(|pair| pair == click)) {
            self.pick(affinity).metrics.clicks.inc();
        }
    }
}

impl Dispatch for Route {
    fn store_fails(&self) -> bool {
        std::iter::once(&self.main).chain(&self.others).any(|member| member.generation.store_fails())
    }

    fn waits(&self, call: &Call) -> bool {
        self.pick(&call.affinity).generation.waits(call)
    }

    fn call(
        &self,
        call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let chosen = self.pick(&call.affinity);
        let started = Instant::now();
        let outcome = chosen.generation.call(call, callees, function, exchange);
        self.answered(chosen, started, &outcome, &call, callees, function, exchange);
        outcome
    }

    fn call_async<'a>(
        &'a self,
        call: Call,
        callees: &'a DispatchTable,
        function: &'a Function,
        exchange: &'a mut dyn Exchange,
    ) -> Answering<'a> {
        Box::pin(async move {
            let chosen = self.pick(&call.affinity);
            let started = Instant::now();
            let outcome = chosen.generation.call_async(call, callees, function, exchange).await;
            self.answered(chosen, started, &outcome, &call, callees, function, exchange);
            outcome
        })
    }
}
