//! Publishing: an event of the guest goes to the outbox of its context, or to its timers.

use seam_store::{Error, NewEvent};
use wasmtime::StoreContextMut;

use crate::guest::Guest;
use crate::guest::dispatch::DispatchTable;

/// Adds an event to the outbox of the guest's context, or to its timers if it is due later: as a part of the open
/// transaction, or as one of its own. The time and the trace of `event` are set here; `due_ms` is in milliseconds since
/// 1970.
///
/// # Errors
/// The outer one traps: the guest is only starting. The inner one says why nothing is published.
pub fn publish(
    cx: &mut StoreContextMut<'_, Guest>,
    event: NewEvent<'_>,
    due_ms: Option<u64>,
) -> wasmtime::Result<Result<(), Error>> {
    let guest = cx.data_mut();
    let Some(call) = guest.call() else {
        wasmtime::bail!("`{}.{}` was called during the start of the component", event.interface, event.function);
    };
    if call.affinity.shadow {
        // What a shadow does stays with it.
        return Ok(Ok(()));
    }
    let Some(session) = guest.store.as_mut() else {
        return Ok(Err(Error::Denied("the manifest grants this context no store".to_owned())));
    };
    let trace = call.trace.to_string();
    let time_ms = session.database.clock().wall_ms();
    let event = NewEvent { trace: &trace, time_ms, ..event };
    let published = session.publish(&event, due_ms, call.deadline);
    if session.wrote()
        && let Some(retry) = guest.callees.as_ref().and_then(DispatchTable::retry_state)
    {
        retry.had_effect();
    }
    Ok(published)
}
