//! One thread waits for one value of another: the right to write, or how a group's commit ended.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;

/// Used once: one `send`, one `receive`.
pub(super) struct Oneshot<T> {
    value: Mutex<Option<T>>,
    sent: Condvar,
}

impl<T> Oneshot<T> {
    pub fn new() -> Self {
        Self { value: Mutex::new(None), sent: Condvar::new() }
    }

    pub fn send(&self, value: T) {
        *self.value.lock() = Some(value);
        self.sent.notify_one();
    }

    pub fn receive(&self) -> T {
        let mut value = self.value.lock();
        loop {
            match value.take() {
                Some(value) => return value,
                None => self.sent.wait(&mut value),
            }
        }
    }

    /// `None` when nothing was sent before `deadline`.
    pub fn receive_until(&self, deadline: Instant, clock: &Clock) -> Option<T> {
        let mut value = self.value.lock();
        while value.is_none() {
            if clock.wait_until(&self.sent, &mut value, deadline) {
                break;
            }
        }
        value.take()
    }
}
