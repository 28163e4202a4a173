//! The thread that looks at each total when its time has come.
//!
//! Invariant: the next look comes its whole interval after the last one has ended; looks that were due while the host
//! was down or busy are not made up for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seam_runtime::route::Notify;

use super::reconciler::Reconciler;
use super::world::World;
use crate::limits;

/// When this is dropped, the thread ends after its current look, and the drop does not wait for that.
pub struct Driver {
    stop: Arc<AtomicBool>,
    woken: Arc<Notify>,
}

impl Driver {
    pub fn start<W: World>(reconciler: Arc<Reconciler<W>>) -> Self {
        let (stop, woken) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new(reconciler.clock.clone())));
        let (thread_stop, thread_woken) = (stop.clone(), woken.clone());
        // Guests run on this thread.
        let thread =
            std::thread::Builder::new().name("seam-reconcile".into()).stack_size(limits::THREAD_STACK_KB << 10);
        if let Err(error) = thread.spawn(move || run(&reconciler, &thread_stop, &thread_woken)) {
            tracing::error!(target: "reconcile", %error, "cannot start the thread that compares contexts");
        }
        Self { stop, woken }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.woken.notify();
    }
}

fn run<W: World>(reconciler: &Reconciler<W>, stop: &AtomicBool, woken: &Notify) {
    reconciler.start();
    let first = reconciler.clock.now() + Duration::from_secs(limits::RECONCILE_FIRST_S);
    let mut due: Vec<Instant> = reconciler.rules.iter().map(|_| first).collect();
    while !stop.load(Ordering::Relaxed) {
        let Some(next) = due.iter().min() else { return };
        woken.wait(next.saturating_duration_since(reconciler.clock.now()));
        for (due, rule) in due.iter_mut().zip(&reconciler.rules) {
            if *due <= reconciler.clock.now() && !stop.load(Ordering::Relaxed) {
                reconciler.look(rule);
                *due = reconciler.clock.now() + rule.every;
            }
        }
    }
}
