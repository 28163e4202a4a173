//! Giving the tokio worker away before a thread waits or works for long.
//!
//! Guests and SQLite run inline on the worker that took the request: a hop to another thread costs three times a statement.
//! Whoever is about to wait (for the writer, an fsync, a free instance), or notices that it has run for longer than a tick, goes
//! through here, and the runtime lets another thread carry on with the connections.

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::limits;

/// Runs `f`, which may wait. On a worker of a multi-threaded runtime the other tasks move to another thread first.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(f),
        _ => f(),
    }
}

/// Waits for `future` on this thread, inside or outside a runtime; the other tasks move on first.
pub fn block_on<F: Future>(future: F) -> F::Output {
    blocking(|| match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => runtime.block_on(future),
        _ => futures::executor::block_on(future),
    })
}

/// For a thread that finds itself in the middle of long work it cannot wrap in `blocking`: steps aside for as long as another
/// thread needs to take the runtime's place over, and carries on outside it.
pub fn step_aside() {
    blocking(|| std::thread::sleep(Duration::from_micros(limits::HANDOFF_US)));
}
