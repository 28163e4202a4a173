//! What travels with a call from the edge to the last context, and the ways it can come to nothing.

use std::time::Instant;

use crate::limits;
use seam_store::ids::Trace;

/// Which context, by its position in the manifest.
pub type ContextIndex = u16;

/// Handed down unchanged from caller to callee, but for the chain, which grows by the callee.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The whole request must be answered by then; a callee gets what the caller has left.
    pub deadline: Instant,
    pub trace: Trace,
    /// Which variant of a context answers, where it has several.
    pub affinity: Affinity,
    chain: [ContextIndex; limits::CALL_DEPTH_MAX],
    depth: u8,
}

/// How one request is steered between variants, all its calls alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// The same for all requests of a visitor, and spread evenly over all numbers: between variants with weights, it decides.
    pub key: u64,
    /// Variants that answer whatever their weights are; `NO_VARIANT` in places that are not used.
    forced: [ContextIndex; limits::FORCED_VARIANTS_MAX],
    /// Whether this is a copy of a call that was answered: it changes nothing but its own store.
    pub shadow: bool,
}

const NO_VARIANT: ContextIndex = ContextIndex::MAX;

impl Affinity {
    /// By what `text` identifies.
    pub fn by(text: &[u8]) -> Self {
        // FNV-1a: the same on every host and after every restart, so that a visitor stays where he is.
        let hash = text
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Self { key: spread(hash), forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// By the trace: requests of one trace alike, different ones anyhow.
    pub fn by_trace(trace: Trace) -> Self {
        let key = spread(trace.trace_id as u64 ^ (trace.trace_id >> 64) as u64);
        Self { key, forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// Has this variant answer for its context. Beyond `FORCED_VARIANTS_MAX` nothing happens.
    pub fn force(&mut self, variant: ContextIndex) {
        if let Some(free) = self.forced.iter_mut().find(|forced| **forced == NO_VARIANT) {
            *free = variant;
        }
    }

    /// Whether any variant is to answer whatever the weights are.
    pub fn forces(&self) -> bool {
        self.forced.first().is_some_and(|first| *first != NO_VARIANT)
    }

    pub fn is_forced(&self, variant: ContextIndex) -> bool {
        self.forced.contains(&variant)
    }
}

/// Every bit of the result depends on every bit of `x` (the finalizer of splitmix64).
pub fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Call {
    /// A call that enters the host from outside.
    pub fn start(deadline: Instant, trace: Trace) -> Self {
        let affinity = Affinity::by_trace(trace);
        Self { deadline, trace, affinity, chain: [0; limits::CALL_DEPTH_MAX], depth: 0 }
    }

    /// The contexts that this call is running through, outermost first.
    pub fn chain(&self) -> &[ContextIndex] {
        self.chain.get(..usize::from(self.depth)).unwrap_or(&[])
    }

    /// The call as `callee` gets it, or why it must not be made.
    pub fn enter(mut self, callee: ContextIndex) -> Result<Self, RefusalReason> {
        if self.chain().contains(&callee) {
            return Err(RefusalReason::Reentry);
        }
        let slot = self.chain.get_mut(usize::from(self.depth)).ok_or(RefusalReason::TooDeep)?;
        *slot = callee;
        self.depth += 1;
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    #[error("the call would re-enter a context that is already part of its chain")]
    Reentry,
    #[error("the call chain is deeper than {}", limits::CALL_DEPTH_MAX)]
    TooDeep,
    #[error("a shadow calls nobody")]
    Shadow,
    #[error("its caller has a transaction open, and whoever wants to write waits for that one")]
    TransactionOpen,
}

/// The guest ran into the end of its call's time.
#[derive(Debug, thiserror::Error)]
#[error("the call ran out of time")]
pub struct OutOfTime;

/// Why a call into a context produced no answer of that context. A guest's own typed error is not here: that is an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The guest's bug: it trapped, or broke a limit of the sandbox. Its instance is gone.
    #[error("`{context}` trapped: {reason}")]
    Trapped { context: String, reason: String },
    /// The call's deadline passed.
    #[error("`{context}` did not answer in time")]
    TimedOut { context: String },
    /// As many calls as allowed are running and waiting.
    #[error("`{context}` is overloaded")]
    Overloaded { context: String },
    /// Nobody provides it now.
    #[error("`{context}` is not available: {reason}")]
    Absent { context: String, reason: String },
    /// The call would close a circle or is too deep.
    #[error("`{context}` was not called: {reason}")]
    Refused { context: String, reason: RefusalReason },
}

impl Failure {
    /// What the calling context is told in its `unavailable(string)`: who and what, not the callee's insides.
    pub fn for_caller(&self) -> String {
        match self {
            Self::Trapped { context, .. } => format!("`{context}` failed"),
            other => other.to_string(),
        }
    }
}
