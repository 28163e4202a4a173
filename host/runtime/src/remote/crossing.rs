//! What a caller's host does with a call before it leaves, and with the answer that comes back.
//!
//! The rules for entering a callee are those of a callee in this process: the chain and the time that is left.

use std::sync::Arc;
use std::time::Instant;

use seam_store::ids::ContextName;

use crate::call::{Call, ContextIndex, Failure, RefusalReason};
use crate::guest::cut_off::CutOff;
use crate::guest::dispatch::{DispatchTable, Exchange, Function};

/// A call that may leave the host.
pub(crate) struct Departure {
    pub now: Instant,
    /// Until when an answer is waited for.
    pub deadline: Instant,
    /// As `codec` writes them.
    pub arguments: Vec<u8>,
}

/// # Errors
/// When a rule forbids the call, no time is left, or the arguments cannot be sent.
pub(crate) fn depart(
    (index, callee): (ContextIndex, &ContextName),
    call: &Call,
    callees: &DispatchTable,
    function: &Function,
    exchange: &dyn Exchange,
) -> Result<Departure, Failure> {
    let context = || callee.to_string();
    if callees.joint().is_some_and(|joint| !joint.lets_in(callee)) {
        return Err(Failure::Refused { context: context(), reason: RefusalReason::NotAPart });
    }
    // Its own host enters it into the chain; here it is only seen whether it may be entered.
    call.enter(index).map_err(|reason| Failure::Refused { context: context(), reason })?;
    let now = Instant::now();
    let deadline = call.callee_deadline(now);
    if deadline <= now {
        return Err(Failure::TimedOut { context: context() });
    }
    // Whether the other host commits something is not known here.
    callees.retry_state().into_iter().for_each(|state| state.had_effect());
    let arguments = sendable(callee, function, exchange)?;
    Ok(Departure { now, deadline, arguments })
}

/// Has the transaction over several files that the call is a part of fail, unless its callee has certainly left nothing
/// in it.
pub fn lost(context: &ContextName, callees: &DispatchTable, failure: &Failure) {
    let Some(joint) = callees.joint() else { return };
    match failure {
        Failure::Trapped { .. } | Failure::Overloaded { .. } | Failure::Refused { .. } | Failure::Moved { .. } => {}
        Failure::TimedOut { .. } | Failure::Absent { .. } => joint.fail(context, &failure.to_string()),
    }
}

/// The arguments of a call, as `codec` writes them.
///
/// # Errors
/// When they cannot be sent to another host.
pub fn sendable(context: &ContextName, function: &Function, exchange: &dyn Exchange) -> Result<Vec<u8>, Failure> {
    let mut arguments = Vec::new();
    exchange.encode(function, &mut arguments).map_err(|error| {
        let reason = format!("the call of `{}.{}` cannot be sent: {error:#}", function.interface, function.name);
        Failure::Absent { context: context.to_string(), reason }
    })?;
    Ok(arguments)
}

/// Sets the results of the call from the bytes of the answer.
///
/// # Errors
/// When they are not the results of this function.
pub fn arrive(
    context: &ContextName,
    results: &[u8],
    function: &Function,
    exchange: &mut dyn Exchange,
) -> Result<(), Failure> {
    exchange.decode(function, results).map_err(|error| {
        let (interface, name) = (&function.interface, &function.name);
        let reason = format!("its answer to `{interface}.{name}` is not one that this host can read: {error:#}");
        Failure::Absent { context: context.to_string(), reason }
    })
}

/// Returns once the client of the request has gone away; never if nothing says so.
pub(crate) async fn cancelled(cancel: Option<&Arc<CutOff>>) {
    match cancel {
        Some(cancel) => cancel.wait().await,
        None => std::future::pending().await,
    }
}
