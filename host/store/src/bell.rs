//! Tells threads that a file has new events, or sagas that have changed. A ring is a hint that may be lost: those who
//! listen also look by time.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// What is called after a commit that added events, or changed sagas. Must not block.
pub type Listener = dyn Fn() + Send + Sync;

#[derive(Default)]
pub(super) struct Bell(Mutex<Vec<Weak<Listener>>>);

impl Bell {
    /// Has `listener` called until its last owner drops it.
    pub fn listen(&self, listener: &Arc<Listener>) {
        let mut listeners = self.0.lock();
        listeners.retain(|other| other.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    pub fn ring(&self) {
        // Not under the lock: a listener may drop another.
        let listeners: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        listeners.iter().for_each(|listener| listener());
    }
}
