//! Calls between contexts that live on different hosts, and the events that cross hosts: what travels, and who carries
//! it.
//!
//! A host has one `Carrier` for all other hosts, and answers their calls through `Answers`. Neither knows WebAssembly:
//! arguments and results are bytes in the form that `codec` defines.
//! Not here: connections and who may use them (the crate `seam`, `remote`).

mod callee;
pub(crate) mod crossing;
mod outbox;
mod outbox_elsewhere;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seam_store::ids::{ContextName, Trace};

use crate::call::Failure;
use crate::guest::cut_off::CutOff;
use crate::interface_name::InterfaceName;
use crate::two_phase;

pub(crate) use callee::{Here, RemoteCallee};
pub use outbox::{Ask, Asked, Asking, Outbox, Page, Question, Reply, Unread};
pub use outbox_elsewhere::OutboxElsewhere;

/// What travels with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The context that is called, without a variant.
    pub context: ContextName,
    /// As its caller imports it.
    pub interface: InterfaceName,
    pub function: String,
    /// The SHA-256 of the function's type as its caller knows it: `codec::digest`.
    pub signature: [u8; 32],
    /// The time that the callee has. Clocks of two hosts differ, so no point in time travels.
    pub remaining: Duration,
    pub trace: Trace,
    /// The contexts that the call runs through, outermost first; the last one calls.
    pub chain: Vec<ContextName>,
    /// `Affinity::key`: chooses between weighted variants.
    pub visitor: u64,
    /// Variants that answer regardless of weights: `context@variant`.
    pub forced: Vec<ContextName>,
    /// `Call::bulk`.
    pub bulk: bool,
    /// The transaction over several files that the call is a part of.
    pub part: Option<two_phase::Part>,
}

/// The results of a call, or why there are none.
pub type Carried = Result<Bytes, Failure>;

pub type Carrying = Pin<Box<dyn Future<Output = Carried> + Send>>;

/// Carries calls to the hosts on which other contexts live.
pub trait Carrier: Send + Sync {
    /// Has the call answered where its context lives, within `head.remaining`. Dropping the future cancels the call
    /// there.
    fn carry(&self, head: Head, arguments: Bytes) -> Carrying;

    /// Whether the host of this context cannot be reached now.
    fn is_down(&self, context: &ContextName) -> bool;

    /// Has a question about an outbox answered where its context lives, within `ask.remaining`.
    fn ask(&self, ask: Ask) -> Asking {
        unanswered(&ask)
    }

    /// Has the host of `request.asked()` do this step of a transaction, within `request.remaining`.
    fn settle(&self, request: two_phase::Request) -> two_phase::Replying {
        unsettled(&request)
    }
}

fn unsettled(request: &two_phase::Request) -> two_phase::Replying {
    let (context, reason) =
        (request.asked().to_string(), "its host takes part in no transactions of others".to_owned());
    Box::pin(std::future::ready(Err(Failure::Absent { context, reason })))
}

fn unanswered(ask: &Ask) -> Asking {
    let (context, reason) = (ask.publisher.to_string(), "its host gives no events to others".to_owned());
    Box::pin(std::future::ready(Err(Failure::Absent { context, reason })))
}

/// Answers the calls and questions of other hosts.
pub trait Answers: Send + Sync {
    /// Performs the call, on a worker of the runtime. It ends early once `cancel` is given: the caller has gone away.
    /// Do not drop the future before its end: what the call has committed could not be told from what it has not.
    fn answer(self: Arc<Self>, head: Head, arguments: Bytes, cancel: Arc<CutOff>) -> Carrying;

    /// Answers a question about an outbox of this host. The future may be dropped.
    fn ask(self: Arc<Self>, ask: Ask) -> Asking {
        unanswered(&ask)
    }

    /// Does a step of a transaction over files of this host and of others. Do not drop the future before its end.
    fn settle(self: Arc<Self>, request: two_phase::Request) -> two_phase::Replying {
        unsettled(&request)
    }
}
