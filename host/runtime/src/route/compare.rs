//! Compares the variants of a context side by side: `seam compare`.

use serde::{Deserialize, Serialize};

use super::{Member, Route};
use crate::run::metrics::VariantMetrics;

/// The variants of one context, since the host started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub context: String,
    /// The main one first.
    pub variants: Vec<Compared>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    pub name: String,
    pub weight: u32,
    pub shadow: bool,
    /// Calls that the route gave it, and calls that it followed as a shadow.
    pub calls: u64,
    pub errors: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Requests that came from one of its answers; `None`: the manifest does not say how to recognise one.
    pub clicks: Option<u64>,
    /// How its answers as a shadow compare with the live answers; `None`: it has not followed any call.
    pub beside: Option<Beside>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Answers that could be compared.
    pub compared: u64,
    pub equal: u64,
    /// The mean overlap of the lists in both answers, from 0 to 1; `None`: there were no lists.
    pub overlap: Option<f64>,
    pub failed: u64,
    /// Calls that it did not get, because it is too slow to follow all calls.
    pub dropped: u64,
}

impl Route {
    pub fn compare(&self) -> Comparison {
        let compared = |member: &Member| {
            let VariantMetrics { calls, clicks, shadow } = &member.metrics;
            let (equal, different) = (shadow.equal.get(), shadow.different.get());
            let lists = shadow.lists.get();
            let beside = Beside {
                compared: equal + different,
                equal,
                overlap: (lists > 0).then(|| shadow.overlap.get() / lists as f64),
                failed: shadow.failed.get(),
                dropped: shadow.dropped.get(),
            };
            let followed = beside.compared + beside.failed + beside.dropped > 0;
            Compared {
                name: member.generation.spec().settings.variant.clone(),
                weight: member.weight,
                shadow: self.shadow.as_ref().is_some_and(|s| s.generation.index == member.generation.index),
                calls: calls.calls(),
                errors: calls.errors(),
                p50_us: calls.quantile_us(0.5),
                p99_us: calls.quantile_us(0.99),
                clicks: self.click.is_some().then(|| clicks.get()),
                beside: followed.then_some(beside),
            }
        };
        let context = self.main.generation.context().to_string();
        Comparison { context, variants: self.members().map(compared).collect() }
    }
}
