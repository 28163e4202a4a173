//! A ticket for a queue: a call waits with it until another call passes on what it waits for.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use seam_store::blocking;
use seam_store::clock::Clock;
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// Kept by the queue and by the call that waits.
#[derive(Default)]
pub struct Ticket {
    /// Set under the queue's lock.
    granted: Mutex<bool>,
    notify: Condvar,
    /// For a call that holds no thread while it waits.
    notify_task: Notify,
}

impl Ticket {
    /// Passes on to this ticket's call what it waits for.
    pub fn grant(&self) {
        *self.granted.lock() = true;
        self.notify.notify_one();
        self.notify_task.notify_one();
    }

    /// Blocks this thread until the ticket is granted; `false` when `deadline` passes before. The ticket may be granted
    /// between that moment and the caller's look at its queue.
    pub fn wait(&self, clock: &Clock, deadline: Instant) -> bool {
        blocking::block_in_place(|| {
            let mut granted = self.granted.lock();
            while !*granted {
                if clock.wait_until(&self.notify, &mut granted, deadline) {
                    break;
                }
            }
            *granted
        })
    }

    /// Like `wait`, by the system's clock and without holding a thread.
    pub async fn wait_async(&self, deadline: Instant) -> bool {
        // A notification that came before is kept.
        timeout_at(deadline.into(), self.notify_task.notified()).await.is_ok() || *self.granted.lock()
    }
}
