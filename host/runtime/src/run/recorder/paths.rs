//! Which calls of other contexts the calls of a context lead to, on average: counted of those that are recorded.
//!
//! Invariant: bounded, whatever clients ask for. No value of a call is kept.

use std::collections::BTreeMap;

use super::{CallData, RecordedCall};
use crate::call::ContextIndex;
use crate::limits;

/// What the recorded calls of one function, or the requests for pages of one kind, led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathCounts {
    /// Recorded calls that were answered.
    pub samples: u64,
    /// The time that they took together, in microseconds.
    pub took_us: u64,
    /// How many calls they made, by callee and function, without the version of the interface:
    /// `acme:stock/levels.count`.
    pub made: BTreeMap<(ContextIndex, String), u64>,
}

/// By the name of the function, or of the page: `GET /albums/*`.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<String, PathCounts>);

impl Paths {
    /// Counts a call, if it was answered and all that it led to is known.
    pub fn add(&mut self, call: &RecordedCall) {
        let Some(name) = name(&call.data).filter(|_| call.outgoing_complete) else { return };
        if self.0.len() >= limits::RECORD_PATHS_MAX && !self.0.contains_key(&name) {
            return;
        }
        let counts = self.0.entry(name).or_default();
        counts.samples += 1;
        counts.took_us = counts.took_us.saturating_add(u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX));
        for made in &call.outgoing {
            *counts.made.entry((made.callee, format!("{}.{}", made.interface.path, made.function))).or_default() += 1;
        }
    }

    pub fn counts(&self) -> BTreeMap<String, PathCounts> {
        self.0.clone()
    }
}

/// `None` for a call that was not answered, and for a page that is not there.
fn name(data: &CallData) -> Option<String> {
    match data {
        CallData::Function { interface, function, outcome, .. } => {
            outcome.is_ok().then(|| format!("{}.{function}", interface.path))
        }
        CallData::Request { request, outcome } => {
            outcome.as_ref().ok().filter(|response| response.status < 400)?;
            let path = request.path.trim_start_matches('/');
            let (first, rest) = path.split_once('/').unwrap_or((path, ""));
            let first: String = first.chars().take(limits::RECORD_PATH_CHARS_MAX).collect();
            let rest = if rest.is_empty() { "" } else { "/*" };
            Some(format!("{} /{first}{rest}", request.method))
        }
    }
}
