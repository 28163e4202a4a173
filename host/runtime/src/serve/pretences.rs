//! What operators pretend of the edges of the set that serves.

use std::collections::BTreeSet;

use seam_store::ids::ContextName;

use super::publisher::{Next, Publisher};
use super::serving_set::ServingSet;
use crate::did_you_mean::nearest;
use crate::pretend::{Edge, Edges, Order, PretenceStatus};

/// Why nothing is pretended as asked. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PretendRejected {
    #[error("there is no context `{name}`")]
    NoContext { name: String, near: Option<String>, known: Vec<String> },
    #[error("`{name}` is a variant of `{context}`")]
    Variant { name: String, context: String },
    #[error("`{context}` lives on host `{host}`: its calls cross hosts as it is")]
    Elsewhere { context: String, host: String },
    #[error("there is no edge `{edges}`: no such call is made within this process")]
    NoEdge { edges: String, known: Vec<String> },
    #[error("nothing is pretended on `{edges}`")]
    NotPretended { edges: String, known: Vec<String> },
}

impl PretendRejected {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoContext { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::NoContext { known, .. } => format!("there are: {}", known.join(", ")),
            Self::Variant { context, .. } => format!("name the context: what is pretended of `{context}` is so of all"),
            Self::Elsewhere { .. } => "pretend on calls between contexts of this host".to_owned(),
            Self::NoEdge { known, .. } | Self::NotPretended { known, .. } if known.is_empty() => {
                "there are none".to_owned()
            }
            Self::NoEdge { known, .. } | Self::NotPretended { known, .. } => format!("there are: {}", known.join(", ")),
        }
    }
}

/// Does what an operator orders, for requests that start from now on; what ends, ends for running ones, too. What is
/// pretended on the edges that are meant, now or until now.
///
/// # Errors
/// When no such edge is in this process, or nothing is pretended on it that could end.
pub(super) fn order(
    publisher: &Publisher,
    order: &Order,
    seed: impl FnOnce() -> u64,
) -> Result<Vec<PretenceStatus>, PretendRejected> {
    let pretences = &publisher.routing.pretences;
    let mut done = Vec::new();
    publisher.replace(|now| {
        match order {
            Order::Pretend { edges, terms, seed: given } => {
                let meant = meant(now, edges)?;
                let seed = given.unwrap_or_else(seed);
                for edge in meant {
                    pretences.start(edge, *terms, seed, &publisher.routing.metrics);
                }
                let is_meant = |status: &PretenceStatus| edges.has(&status.caller, &status.callee);
                done = pretences.list().into_iter().filter(is_meant).collect();
            }
            Order::End { edges } => {
                let known = pretences.list().iter().map(|one| format!("{}->{}", one.caller, one.callee)).collect();
                done = pretences.end(edges);
                if done.is_empty() && !edges.is_all() {
                    return Err(PretendRejected::NotPretended { edges: edges.to_string(), known });
                }
            }
        }
        Ok(Some(Next::new(now.generations.clone(), now.on_probation.clone())))
    })?;
    Ok(done)
}

/// The edges of the set within this process that `edges` names.
fn meant(set: &ServingSet, edges: &Edges) -> Result<Vec<Edge>, PretendRejected> {
    for name in edges.caller.iter().chain(&edges.callee) {
        is_context(set, name)?;
    }
    let all = within_process(set);
    let is_meant = |edge: &&Edge| edges.has(edge.caller.as_str(), edge.callee.as_str());
    let meant: Vec<Edge> = all.iter().filter(is_meant).cloned().collect();
    if !meant.is_empty() {
        return Ok(meant);
    }
    let near = |edge: &&Edge| {
        let is = |wanted: &Option<String>, name: &ContextName| wanted.as_deref() == Some(name.as_str());
        is(&edges.caller, &edge.caller) || is(&edges.callee, &edge.callee)
    };
    Err(PretendRejected::NoEdge {
        edges: edges.to_string(),
        known: all.iter().filter(near).map(ToString::to_string).collect(),
    })
}

/// Whether a context of this name lives in this process.
fn is_context(set: &ServingSet, name: &str) -> Result<(), PretendRejected> {
    if let Some((context, _)) = name.split_once('@') {
        return Err(PretendRejected::Variant { name: name.to_owned(), context: context.to_owned() });
    }
    let Ok(generation) = set.generation(name) else {
        let mains = set.generations.iter().filter(|generation| generation.context().variant().is_none());
        let known: Vec<String> = mains.map(|generation| generation.context().to_string()).collect();
        let near = nearest(name, known.iter().map(String::as_str)).map(ToOwned::to_owned);
        return Err(PretendRejected::NoContext { name: name.to_owned(), near, known });
    };
    match generation.lives_elsewhere() {
        Some(host) => Err(PretendRejected::Elsewhere { context: name.to_owned(), host: host.to_owned() }),
        None => Ok(()),
    }
}

/// Which context calls which, of those that live here; a variant belongs to its context.
fn within_process(set: &ServingSet) -> BTreeSet<Edge> {
    let main = |name: &ContextName| match name.variant() {
        Some((context, _)) => set.generation(context).ok().map(|main| main.context().clone()),
        None => Some(name.clone()),
    };
    let here = set.generations.iter().filter(|generation| generation.lives_elsewhere().is_none());
    here.flat_map(|caller| {
        let called = caller.callees().filter_map(|index| set.generations.get(usize::from(index)));
        let called = called.filter(|callee| callee.lives_elsewhere().is_none());
        called.filter_map(move |callee| Some(Edge { caller: main(caller.context())?, callee: main(callee.context())? }))
    })
    .collect()
}
