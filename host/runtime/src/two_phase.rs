//! What two hosts say to each other about a transaction over files of both: two-phase commit, whose coordinator is on
//! one of them.
//!
//! A call that is a part of such a transaction says so (`Part`). At the end the coordinator's host has each other host
//! vote, and says what was decided. A host that does not learn it asks.
//! Not here: how a file keeps a promise (`seam-store`), what the parts are (`guest::joint`).

use std::pin::Pin;
use std::time::Duration;

use seam_store::ids::ContextName;

use crate::call::Failure;

/// The transaction over several files that a call is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// 32 hex digits.
    pub transaction: String,
    /// The context that began it.
    pub coordinator: ContextName,
    /// How many calls of this context the transaction has made before. A host that knows nothing of them has lost them.
    pub before: u32,
}

/// What one host asks another one of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub transaction: String,
    pub coordinator: ContextName,
    /// A context that takes part, or may. In `Join`, the one that calls.
    pub participant: ContextName,
    pub step: Step,
    /// The time that the answer may take.
    pub remaining: Duration,
}

impl Request {
    /// The context whose host is asked.
    pub fn asked(&self) -> &ContextName {
        if self.is_of_participant() { &self.coordinator } else { &self.participant }
    }

    /// The context whose host asks.
    pub fn asker(&self) -> &ContextName {
        if self.is_of_participant() { &self.participant } else { &self.coordinator }
    }

    fn is_of_participant(&self) -> bool {
        matches!(self.step, Step::AskDecision | Step::Join { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The host is to promise that it can commit what its contexts wrote in the transaction. Says the same again.
    Vote {
        /// When the coordinator ends the transaction, in milliseconds since 1970.
        at_ms: u64,
    },
    /// It was decided so. Changes nothing when it is done.
    Commit,
    /// Likewise, or nothing was decided yet and never will be.
    RollBack,
    /// What was decided.
    AskDecision,
    /// The participant is going to call `callee`, a context of a third host: the coordinator's host counts the call,
    /// and has that host vote, too.
    Join { callee: ContextName },
    /// Whether the file of the participant waits for the decision, or an operator's choice for it.
    AskPromise,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `Vote`: the contexts of the host that have written something, each with its promise.
    Promised(Vec<ContextName>),
    /// To `Commit` and `RollBack`.
    Done,
    /// To `AskDecision`.
    Committed,
    RolledBack,
    Undecided,
    /// To `AskPromise`.
    Waits(bool),
    /// To `Join`: how many calls of the callee the transaction has made before.
    Joined(u32),
}

pub type Replied = Result<Reply, Failure>;

pub type Replying = Pin<Box<dyn Future<Output = Replied> + Send>>;

/// Has the host of `Request::asked` do a step.
pub type Settle = dyn Fn(Request) -> Replying + Send + Sync;
