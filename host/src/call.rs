//! What travels with a call from the edge to the last context, and the ways it can come to nothing.

use std::time::Instant;

use crate::ids::Trace;
use crate::limits;

/// Which context, by its position in the manifest.
pub type ContextIndex = u16;

/// Handed down unchanged from caller to callee, but for the chain, which grows by the callee.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The whole request must be answered by then; a callee gets what the caller has left.
    pub deadline: Instant,
    pub trace: Trace,
    chain: [ContextIndex; limits::CALL_DEPTH_MAX],
    depth: u8,
}

impl Call {
    /// A call that enters the host from outside.
    pub fn start(deadline: Instant, trace: Trace) -> Self {
        Self { deadline, trace, chain: [0; limits::CALL_DEPTH_MAX], depth: 0 }
    }

    /// The contexts that this call is running through, outermost first.
    pub fn chain(&self) -> &[ContextIndex] {
        self.chain.get(..usize::from(self.depth)).unwrap_or(&[])
    }

    /// The call as `callee` gets it, or why it must not be made.
    pub fn enter(mut self, callee: ContextIndex) -> Result<Self, Refused> {
        if self.chain().contains(&callee) {
            return Err(Refused::Reentry);
        }
        let slot = self.chain.get_mut(usize::from(self.depth)).ok_or(Refused::TooDeep)?;
        *slot = callee;
        self.depth += 1;
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the call would re-enter a context that is already part of its chain")]
    Reentry,
    #[error("the call chain is deeper than {}", limits::CALL_DEPTH_MAX)]
    TooDeep,
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
    #[error("`{context}` was not called: {refused}")]
    Refused { context: String, refused: Refused },
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
