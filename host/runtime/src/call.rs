//! The data that a call carries from the edge to the last context, and the ways in which a call can fail.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use seam_store::ids::Trace;

use crate::limits;

/// A context, by its position in the manifest.
pub type ContextIndex = u16;

/// Passed unchanged from caller to callee, except for the chain, to which each callee is added.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The whole request must be answered by then; a callee gets the time that its caller has left.
    pub deadline: Instant,
    pub trace: Trace,
    /// Decides which variant answers where a context has several.
    pub affinity: Affinity,
    /// Whether it loads many rows, as a seed does: it stands in no statistics, where it would hide the users' calls.
    pub bulk: bool,
    chain: [ContextIndex; limits::CALL_DEPTH_MAX],
    depth: u8,
}

/// How the host chooses between variants; the same for all calls of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// The same for all requests of a visitor, and evenly distributed over all numbers. It chooses between weighted
    /// variants.
    pub key: u64,
    /// Variants that answer regardless of weights; unused entries are `NO_VARIANT`.
    forced: [ContextIndex; limits::FORCED_VARIANTS_MAX],
    /// Whether this is a copy of a call that was already answered: it changes only the shadow's own store.
    pub shadow: bool,
}

const NO_VARIANT: ContextIndex = ContextIndex::MAX;

impl Affinity {
    /// An affinity whose key depends on `text` alone.
    pub fn by(text: &[u8]) -> Self {
        // FNV-1a: the same on every host and after every restart, so that a visitor keeps the same variant.
        let hash = text
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Self { key: spread(hash), forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// The affinity of a call that comes from another host, which chose the key.
    pub fn of_key(key: u64) -> Self {
        Self { key, forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// The affinity of a request that belongs to no visitor. Nothing in the request chooses it.
    pub fn random() -> Self {
        Self { key: rand::random(), forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// An affinity whose key depends on the trace alone.
    pub fn by_trace(trace: Trace) -> Self {
        let key = spread(trace.trace_id as u64 ^ (trace.trace_id >> 64) as u64);
        Self { key, forced: [NO_VARIANT; limits::FORCED_VARIANTS_MAX], shadow: false }
    }

    /// Makes this variant answer for its context. Does nothing once `FORCED_VARIANTS_MAX` variants are forced.
    pub fn force(&mut self, variant: ContextIndex) {
        if let Some(free) = self.forced.iter_mut().find(|forced| **forced == NO_VARIANT) {
            *free = variant;
        }
    }

    /// Whether any variant answers regardless of weights.
    pub fn forces(&self) -> bool {
        self.forced.first().is_some_and(|first| *first != NO_VARIANT)
    }

    /// The variants that answer regardless of weights.
    pub fn forced(&self) -> impl Iterator<Item = ContextIndex> + '_ {
        self.forced.iter().copied().filter(|forced| *forced != NO_VARIANT)
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
        Self { deadline, trace, affinity, bulk: false, chain: [0; limits::CALL_DEPTH_MAX], depth: 0 }
    }

    /// The contexts that this call is running through, outermost first.
    pub fn chain(&self) -> &[ContextIndex] {
        self.chain.get(..usize::from(self.depth)).unwrap_or(&[])
    }

    /// When a callee that is called `now` has to answer. The caller keeps some time, to answer even when the callee
    /// does not.
    pub fn callee_deadline(&self, now: Instant) -> Instant {
        let left = self.deadline.saturating_duration_since(now);
        now + left * (100 - limits::CALL_RESERVE_PERCENT) / 100
    }

    /// The call as `callee` gets it, or the reason why the caller must not make it.
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

/// The deadline of a call that runs on while its client reads or sends: a guest gets back the time in which it waits
/// for the client.
#[derive(Debug)]
pub struct MovingDeadline {
    first: Instant,
    /// How much later than `first` the call ends, in microseconds.
    later_us: AtomicU64,
}

impl MovingDeadline {
    pub fn new(first: Instant) -> Self {
        Self { first, later_us: AtomicU64::new(0) }
    }

    pub fn get(&self) -> Instant {
        self.first + Duration::from_micros(self.later_us.load(Relaxed))
    }

    /// Moves the deadline to `until`, but not to before the first one.
    pub fn move_to(&self, until: Instant) {
        let later = until.saturating_duration_since(self.first);
        self.later_us.store(u64::try_from(later.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    #[error("the call would re-enter a context that is already part of its chain")]
    Reentry,
    #[error("the call chain is deeper than {}", limits::CALL_DEPTH_MAX)]
    TooDeep,
    #[error("a shadow may not call another context")]
    Shadow,
    #[error("the caller has an open transaction, which would block other writers")]
    TransactionOpen,
    #[error("the caller is in a transaction over several files, and the context may not take part in it")]
    NotAPart,
}

/// The call reached its deadline while the guest ran.
#[derive(Debug, thiserror::Error)]
#[error("the call ran out of time")]
pub struct OutOfTime;

/// Why a call into a context produced no answer. A typed error from the guest is an answer, not a failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A bug in the guest: it trapped, or exceeded a limit of the sandbox. The host dropped its instance.
    #[error("`{context}` trapped: {reason}")]
    Trapped { context: String, reason: String },
    /// The call's deadline passed.
    #[error("`{context}` did not answer in time")]
    TimedOut { context: String },
    /// The allowed numbers of running and of waiting calls are reached.
    #[error("`{context}` is overloaded")]
    Overloaded { context: String },
    /// No version of the context can answer now.
    #[error("`{context}` is not available: {reason}")]
    Absent { context: String, reason: String },
    /// The host did not make the call: it would close a cycle, or another rule forbids it.
    #[error("`{context}` was not called: {reason}")]
    Refused { context: String, reason: RefusalReason },
    /// The context has moved to another host, which owns it under this token. Nothing was performed.
    #[error("`{context}` lives on host `{host}` now")]
    Moved { context: String, host: String, token: u64 },
}

impl Failure {
    /// The text of the caller's `unavailable(string)`: which context and why, without internals of the callee.
    pub fn for_caller(&self) -> String {
        match self {
            Self::Trapped { context, .. } => format!("`{context}` failed"),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Linking refuses a circle of imports, too, so no guest can show that a call by itself does.
    #[test]
    fn a_call_enters_no_context_twice_and_no_deeper_than_its_limit() {
        let start = Call::start(Instant::now(), Trace::start());
        let mut call = start;
        for context in 0..limits::CALL_DEPTH_MAX as ContextIndex {
            call = call.enter(context).unwrap();
            for entered in 0..=context {
                assert_eq!(call.enter(entered).err(), Some(RefusalReason::Reentry), "{entered} in {:?}", call.chain());
            }
        }
        assert_eq!(call.chain(), (0..limits::CALL_DEPTH_MAX as ContextIndex).collect::<Vec<_>>());
        assert_eq!(call.enter(ContextIndex::MAX).err(), Some(RefusalReason::TooDeep));
        assert!(start.enter(0).is_ok(), "a call that its caller made before is another call");
    }
}
