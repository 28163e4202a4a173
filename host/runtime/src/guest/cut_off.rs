//! The signal that ends the calls of a replaced version whose drain time is over.
//!
//! A guest that computes looks at it with each epoch tick; one that waits in the host is woken up by it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub struct CutOff {
    given: AtomicBool,
    waiting: Notify,
}

impl CutOff {
    /// Ends the calls; for good.
    pub fn give(&self) {
        self.given.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    pub fn is_given(&self) -> bool {
        self.given.load(Ordering::SeqCst)
    }

    /// Returns once it is given.
    pub async fn wait(&self) {
        // Before the look at the flag: `give` wakes up only what waits already.
        let woken = self.waiting.notified();
        if !self.is_given() {
            woken.await;
        }
    }
}
