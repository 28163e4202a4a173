//! Work that blocks, on a worker of the async runtime.
//!
//! Guests and SQLite run inline on the worker that took the request: a hop to another thread costs three times a
//! statement. Code that is about to wait (for the writer, an fsync, a free instance), or that has run for longer than a
//! tick, goes through here: the runtime gives the worker's other tasks to another thread.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::AbortHandle;

use crate::limits;

thread_local! {
    /// This thread is no worker at present: its tasks have moved to another thread.
    static DETACHED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which may block. On a worker of a multi-threaded runtime the other tasks move to another thread first.
pub fn block_in_place<T>(f: impl FnOnce() -> T) -> T {
    if DETACHED.get() {
        return f();
    }
    match Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| with_detached(true, f)),
        _ => f(),
    }
}

/// Waits for `future` on this thread, inside or outside a runtime. A worker's other tasks move to another thread first.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_in_place(|| match Handle::try_current() {
        // Inside `block_on`, this thread is the runtime's again.
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            with_detached(false, || runtime.block_on(future))
        }
        // This thread belongs to no runtime, or to one that it would hold up: another one keeps the time.
        _ => {
            let _entered = timekeeper().map(Handle::enter);
            futures::executor::block_on(future)
        }
    })
}

/// Starts `future` beside this thread, on a runtime that outlives it. `None` if the system cannot start that.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    Some(timekeeper()?.spawn(future).abort_handle())
}

/// A runtime for threads that have none: what waits there by time, or for a connection, needs one. `None` if the system
/// cannot start it.
fn timekeeper() -> Option<&'static Handle> {
    static TIMEKEEPER: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || Builder::new_multi_thread().worker_threads(1).thread_name("seam-time").enable_all().build().ok();
    TIMEKEEPER.get_or_init(start).as_ref().map(Runtime::handle)
}

/// For long work that cannot be wrapped in `block_in_place`: pauses until another thread has taken this worker's tasks.
/// The work then goes on outside the runtime.
pub fn yield_worker() {
    if !DETACHED.get() {
        block_in_place(|| std::thread::sleep(Duration::from_micros(limits::WORKER_HANDOVER_US)));
    }
}

fn with_detached<T>(detached: bool, f: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            DETACHED.set(self.0);
        }
    }
    let _restore = Restore(DETACHED.replace(detached));
    f()
}
