//! What the contexts of this host have counted of their calls of each other.

use serde::{Deserialize, Serialize};

use super::serving_set::ServingSet;
use crate::call::ContextIndex;
use crate::run::Generation;
use crate::run::recorder::PathCounts;

/// The calls of one function by one context, since the version of the caller that serves has started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeTraffic {
    pub caller: String,
    pub callee: String,
    /// Without its version.
    pub interface: String,
    pub function: String,
    /// For how long its calls were counted, in seconds.
    pub over_s: f64,
    pub calls: u64,
    /// Calls whose bytes were counted, and the bytes of all of these together, as they would travel between hosts.
    pub sampled: u64,
    pub request_bytes: u64,
    pub answer_bytes: u64,
}

impl EdgeTraffic {
    /// As `MadeTraffic::function`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.interface, self.function)
    }
}

/// What the recorded calls of one function of a context, or the requests for its pages of one kind, have led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathTraffic {
    pub context: String,
    /// `acme:stock/levels.count`, or `GET /albums/*`.
    pub name: String,
    /// Recorded calls that were answered.
    pub samples: u64,
    /// The time that they took together, in microseconds.
    pub took_us: u64,
    pub made: Vec<MadeTraffic>,
}

impl PathTraffic {
    /// Whether it is a page and no function.
    pub fn is_page(&self) -> bool {
        self.name.contains(' ')
    }
}

/// The calls of one function that all samples of a path made together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeTraffic {
    pub callee: String,
    /// `acme:stock/levels.count`
    pub function: String,
    pub calls: u64,
}

/// The name of a context; a variant counts for its context.
fn name(set: &ServingSet, index: ContextIndex) -> Option<String> {
    set.generations.get(usize::from(index)).map(|generation| context(generation).to_owned())
}

fn context(generation: &Generation) -> &str {
    generation.context().variant().map_or(generation.context().as_str(), |(context, _)| context)
}

/// Of each function that a context of this host imports from another context.
pub(super) fn edges(set: &ServingSet) -> Vec<EdgeTraffic> {
    let here = set.generations.iter().filter(|generation| generation.lives_elsewhere().is_none());
    here.flat_map(|caller| {
        caller.imported().iter().filter_map(move |function| {
            let counts = function.traffic.counts();
            Some(EdgeTraffic {
                caller: context(caller).to_owned(),
                callee: name(set, function.callee.context)?,
                interface: function.interface.path.clone(),
                function: function.name.clone(),
                over_s: caller.serves_since().elapsed().as_secs_f64(),
                calls: counts.calls,
                sampled: counts.sampled,
                request_bytes: counts.request_bytes,
                answer_bytes: counts.answer_bytes,
            })
        })
    })
    .collect()
}

/// Of each function and each kind of page of which calls were recorded.
pub(super) fn paths(set: &ServingSet) -> Vec<PathTraffic> {
    let here = set.generations.iter().filter(|generation| generation.lives_elsewhere().is_none());
    here.flat_map(|generation| {
        let path = |(path, counts): (String, PathCounts)| {
            let made = counts.made.into_iter().filter_map(|((callee, function), calls)| {
                Some(MadeTraffic { callee: name(set, callee)?, function, calls })
            });
            PathTraffic {
                context: context(generation).to_owned(),
                name: path,
                samples: counts.samples,
                took_us: counts.took_us,
                made: made.collect(),
            }
        };
        generation.recorder.paths().into_iter().map(path).collect::<Vec<_>>()
    })
    .collect()
}
