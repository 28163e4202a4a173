//! Giving the tokio worker away before a thread waits or works for long.
//!
//! Guests and SQLite run inline on the worker that took the request: a hop to another thread costs three times a statement.
//! Whoever is about to wait (for the writer, an fsync, a free instance), or notices that it has run for longer than a tick, goes
//! through here, and the runtime lets another thread carry on with the connections.

use std::cell::Cell;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::limits;

thread_local! {
    /// This thread's tasks have moved to another one: there is nothing left to hand over.
    static HANDED_OVER: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which may wait. On a worker of a multi-threaded runtime the other tasks move to another thread first.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    if HANDED_OVER.get() {
        return f();
    }
    match Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| handed_over(true, f)),
        _ => f(),
    }
}

/// Waits for `future` on this thread, inside or outside a runtime; the other tasks move on first.
pub fn block_on<F: Future>(future: F) -> F::Output {
    blocking(|| match Handle::try_current() {
        // Inside, this thread is the runtime's again.
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            handed_over(false, || runtime.block_on(future))
        }
        _ => futures::executor::block_on(future),
    })
}

/// For a thread that finds itself in the middle of long work it cannot wrap in `blocking`: steps aside for as long as another
/// thread needs to take the runtime's place over, and carries on outside it.
pub fn step_aside() {
    if !HANDED_OVER.get() {
        blocking(|| std::thread::sleep(Duration::from_micros(limits::HANDOFF_US)));
    }
}

fn handed_over<T>(now: bool, f: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            HANDED_OVER.set(self.0);
        }
    }
    let _before = Before(HANDED_OVER.replace(now));
    f()
}
