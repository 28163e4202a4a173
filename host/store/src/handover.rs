//! A place where one thread waits until another puts something: the writer's turn, the outcome of a group's commit.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Used once: one `put`, one `take`.
pub(super) struct Handover<T> {
    value: Mutex<Option<T>>,
    ready: Condvar,
}

impl<T> Handover<T> {
    pub fn new() -> Self {
        Self { value: Mutex::new(None), ready: Condvar::new() }
    }

    pub fn put(&self, value: T) {
        *self.value.lock() = Some(value);
        self.ready.notify_one();
    }

    pub fn take(&self) -> T {
        let mut value = self.value.lock();
        loop {
            match value.take() {
                Some(value) => return value,
                None => self.ready.wait(&mut value),
            }
        }
    }

    /// `None` when nothing was there at `deadline`.
    pub fn take_until(&self, deadline: Instant) -> Option<T> {
        let mut value = self.value.lock();
        while value.is_none() {
            if self.ready.wait_until(&mut value, deadline).timed_out() {
                break;
            }
        }
        value.take()
    }
}
