//! Calls within this process that behave as if they crossed hosts, so that a team knows how a context copes before it
//! moves: they take time, some are lost, some are performed twice, and their values pass through the codec.
//!
//! Invariants: nothing is pretended unless an operator or a test has said so since the host started; an edge on which
//! nothing is pretended is called as without this module.
//! Not here: which set of callees serves (`serve`).

mod callee;
mod draws;
mod edges;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use prometheus::IntCounter;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

pub(crate) use callee::PretendedCallee;
pub use draws::{Draws, Fate, Lost};
pub use edges::Edges;
pub use terms::{Order, Share, Terms, Unreadable, parse};

pub use crate::remote::crossing::{arrive, sendable};
use crate::run::metrics::{Metrics, Pretended};

/// What is pretended now, by caller and callee.
#[derive(Default)]
pub(crate) struct Pretences(Mutex<BTreeMap<Edge, Arc<Pretence>>>);

/// One context that calls another, without their variants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub caller: ContextName,
    pub callee: ContextName,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.caller, self.callee)
    }
}

/// What is pretended on one edge, from its start to its end.
pub(crate) struct Pretence {
    edge: Edge,
    terms: Terms,
    seed: u64,
    draws: Draws,
    /// Calls that start from then on are calls within this process again, whatever set they have.
    ended: AtomicBool,
    counts: [Count; Pretended::ALL.len()],
}

/// Since the start of the pretence, and for `/metrics`.
struct Count {
    since_start: AtomicU64,
    metric: IntCounter,
}

/// What is pretended on an edge, and what came of it since it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PretenceStatus {
    pub caller: String,
    pub callee: String,
    pub terms: Terms,
    /// With which the same calls in the same order meet the same again.
    pub seed: u64,
    pub calls: u64,
    pub lost_requests: u64,
    pub lost_answers: u64,
    pub repeated: u64,
    /// Calls whose arguments or answers could not be sent to another host.
    pub unsendable: u64,
}

impl Pretence {
    fn new(edge: Edge, terms: Terms, seed: u64, metrics: &Metrics) -> Self {
        let draws = Draws::new(terms, seed, &edge.to_string());
        let counts = Pretended::ALL.map(|what| Count {
            since_start: AtomicU64::new(0),
            metric: metrics.pretended(&edge.caller, &edge.callee, what),
        });
        Self { edge, terms, seed, draws, ended: AtomicBool::new(false), counts }
    }

    fn count(&self, what: Pretended) {
        if let Some(count) = self.counts.get(what as usize) {
            count.since_start.fetch_add(1, Relaxed);
            count.metric.inc();
        }
    }

    fn status(&self) -> PretenceStatus {
        let count = |what: Pretended| self.counts.get(what as usize).map_or(0, |count| count.since_start.load(Relaxed));
        PretenceStatus {
            caller: self.edge.caller.to_string(),
            callee: self.edge.callee.to_string(),
            terms: self.terms,
            seed: self.seed,
            calls: count(Pretended::Call),
            lost_requests: count(Pretended::LostRequest),
            lost_answers: count(Pretended::LostAnswer),
            repeated: count(Pretended::Repeated),
            unsendable: count(Pretended::Unsendable),
        }
    }
}

impl Pretences {
    /// Pretends on `edge` from the next set of callees on, in the place of what was pretended there.
    pub fn start(&self, edge: Edge, terms: Terms, seed: u64, metrics: &Metrics) {
        tracing::warn!(
            target: "pretend", caller = %edge.caller, callee = %edge.callee, seed,
            "calls of `{}` to `{}` are pretended to cross hosts: {terms}; `seam pretend off` ends it",
            edge.caller, edge.callee
        );
        let pretence = Pretence::new(edge.clone(), terms, seed, metrics);
        if let Some(before) = self.0.lock().insert(edge, Arc::new(pretence)) {
            before.ended.store(true, Relaxed);
        }
    }

    /// Ends what is pretended on these edges, also for requests that run. What came of it.
    pub fn end(&self, edges: &Edges) -> Vec<PretenceStatus> {
        let meant = |edge: &Edge| edges.has(edge.caller.as_str(), edge.callee.as_str());
        let mut all = self.0.lock();
        let ended: Vec<_> = all.extract_if(.., |edge, _| meant(edge)).map(|(_, pretence)| pretence).collect();
        for pretence in &ended {
            pretence.ended.store(true, Relaxed);
            let Edge { caller, callee } = &pretence.edge;
            tracing::warn!(target: "pretend", %caller, %callee, "calls of `{caller}` to `{callee}` are as they were");
        }
        ended.iter().map(|pretence| pretence.status()).collect()
    }

    /// By caller, then by callee.
    pub fn list(&self) -> Vec<PretenceStatus> {
        self.0.lock().values().map(|pretence| pretence.status()).collect()
    }

    /// What is pretended on the calls of `callee`, by their caller.
    pub fn of(&self, callee: &ContextName) -> BTreeMap<ContextName, Arc<Pretence>> {
        let all = self.0.lock();
        let of_callee = all.iter().filter(|(edge, _)| edge.callee == *callee);
        of_callee.map(|(edge, pretence)| (edge.caller.clone(), pretence.clone())).collect()
    }
}
