//! Permits and idle instances of one generation: which calls may run now, which wait, and which instances can be used
//! again.
//!
//! Invariants: at most `concurrency` calls run; at most `queue` calls wait, in the order of their arrival; an instance
//! serves one call at a time and comes back only after a call that succeeded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use seam_store::blocking;
use seam_store::clock::Clock;

/// `I` is the kind of instance.
pub struct Pool<I> {
    state: Mutex<State<I>>,
    concurrency: u32,
    queue: u32,
    /// Read only by a call that waits.
    clock: Clock,
}

struct State<I> {
    running: u32,
    /// Calls that wait for a permit, first come, first served. A released permit goes to the first of them, never to a
    /// race.
    waiting: VecDeque<Arc<Ticket>>,
    /// Last used on top: the warmest memory is used again first, and the rest can be dropped.
    idle: Vec<I>,
    /// The lowest number of idle instances since the last trim: calls did not need that many.
    idle_low: usize,
    /// The generation was replaced: instances are not kept any more.
    retired: bool,
}

#[derive(Default)]
struct Ticket {
    /// Set, under the pool's lock, by the call that passes its permit on to this one.
    granted: Mutex<bool>,
    notify: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// All permits are taken and the queue is full.
    Full,
    /// No permit was released before the deadline.
    TimedOut,
}

/// The right to run one call; released when it is dropped.
pub struct Permit<'a, I> {
    pool: &'a Pool<I>,
}

impl<I> Pool<I> {
    /// A pool whose deadlines are the system's clock's, as those of calls are.
    pub fn new(concurrency: u32, queue: u32) -> Self {
        Self::with_clock(concurrency, queue, Clock::system())
    }

    pub fn with_clock(concurrency: u32, queue: u32, clock: Clock) -> Self {
        let state = State { running: 0, waiting: VecDeque::new(), idle: Vec::new(), idle_low: 0, retired: false };
        Self { state: Mutex::new(state), concurrency, queue, clock }
    }

    /// A permit, and an idle instance if there is one. Waits when all permits are taken.
    ///
    /// # Errors
    /// When the queue is full, or no permit is released before `deadline`.
    pub fn acquire(&self, deadline: Instant) -> Result<(Permit<'_, I>, Option<I>), NotAdmitted> {
        let mut state = self.state.lock();
        if state.running < self.concurrency {
            state.running += 1;
            return Ok((Permit { pool: self }, state.pop_idle()));
        }
        if state.waiting.len() >= self.queue as usize {
            return Err(NotAdmitted::Full);
        }
        let ticket = Arc::new(Ticket::default());
        state.waiting.push_back(ticket.clone());
        drop(state);
        let in_time = blocking::block_in_place(|| {
            let mut granted = ticket.granted.lock();
            while !*granted {
                if self.clock.wait_until(&ticket.notify, &mut granted, deadline) {
                    break;
                }
            }
            *granted
        });
        let mut state = self.state.lock();
        if !in_time {
            // The permit may have been granted between the timeout and this lock; then this call has it after all.
            if let Some(at) = state.waiting.iter().position(|other| Arc::ptr_eq(other, &ticket)) {
                state.waiting.remove(at);
                return Err(NotAdmitted::TimedOut);
            }
        }
        Ok((Permit { pool: self }, state.pop_idle()))
    }

    /// Takes back an instance whose call succeeded.
    pub fn put_back(&self, instance: I) {
        let mut state = self.state.lock();
        if !state.retired {
            state.idle.push(instance);
        }
    }

    /// Drops the idle instances, and from now on every instance that comes back. Calls get permits as before.
    pub fn retire(&self) {
        let mut state = self.state.lock();
        state.retired = true;
        let dropped = std::mem::take(&mut state.idle);
        drop(state);
        drop(dropped);
    }

    #[cfg(test)]
    pub fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    /// Drops the idle instances that no call needed since the last trim, except one.
    pub fn trim(&self) {
        let mut state = self.state.lock();
        let spare = state.idle_low.min(state.idle.len());
        // The bottom of the stack was used longest ago.
        let dropped: Vec<I> = state.idle.drain(..spare.saturating_sub(1)).collect();
        state.idle_low = state.idle.len();
        drop(state);
        drop(dropped);
    }

    /// Calls running now, calls waiting, idle instances.
    pub fn occupancy(&self) -> (u32, usize, usize) {
        let state = self.state.lock();
        (state.running, state.waiting.len(), state.idle.len())
    }
}

impl<I> State<I> {
    fn pop_idle(&mut self) -> Option<I> {
        let instance = self.idle.pop();
        self.idle_low = self.idle_low.min(self.idle.len());
        instance
    }
}

impl<I> Permit<'_, I> {
    /// Keeps the permit taken until `Pool::release`: for a call that goes on in another task.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl<I> Drop for Permit<'_, I> {
    fn drop(&mut self) {
        self.pool.release();
    }
}

impl<I> Pool<I> {
    /// Releases a permit: to the first call that waits, if there is one.
    pub fn release(&self) {
        let mut state = self.state.lock();
        match state.waiting.pop_front() {
            Some(next) => {
                *next.granted.lock() = true;
                next.notify.notify_one();
            }
            None => state.running -= 1,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn no_more_calls_run_than_allowed_and_the_others_wait() {
        let pool = Pool::<u32>::new(2, 8);
        let (running, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _permit = pool.acquire(soon()).map_err(|e| format!("{e:?}")).unwrap();
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(pool.occupancy(), (0, 0, 0));
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_a_call_that_times_out_leaves_the_queue() {
        let pool = Pool::<u32>::new(1, 0);
        let held = pool.acquire(soon()).map_err(|e| format!("{e:?}")).unwrap();
        assert_eq!(pool.acquire(soon()).err(), Some(NotAdmitted::Full));
        drop(held);
        let pool = Pool::<u32>::new(1, 1);
        let held = pool.acquire(soon()).map_err(|e| format!("{e:?}")).unwrap();
        assert_eq!(pool.acquire(Instant::now()).err(), Some(NotAdmitted::TimedOut));
        drop(held);
        assert!(pool.acquire(soon()).is_ok(), "the call that timed out holds no permit");
    }

    #[test]
    fn a_call_waits_exactly_until_its_deadline_and_only_when_all_permits_are_taken() {
        let time = Clock::manual();
        let (pool, hour, moment) =
            (Pool::<u32>::with_clock(1, 1, time.clock()), Duration::from_secs(3600), Duration::from_nanos(1));
        let long_ago = time.now();
        time.advance(hour);
        let held = pool.acquire(long_ago).map_err(|e| format!("{e:?}")).unwrap();
        assert_eq!(pool.acquire(time.now()).err(), Some(NotAdmitted::TimedOut));
        let waits = |deadline: Instant, then: &dyn Fn()| {
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| {
                    pool.acquire(deadline).map(|_permit| time.now()).map_err(|refused| (refused, time.now()))
                });
                while time.waiting() == 0 {
                    std::thread::yield_now();
                }
                then();
                waits.join().unwrap()
            })
        };
        let deadline = time.now() + hour;
        let refused = waits(deadline, &|| {
            time.advance(hour - moment);
            assert_eq!((time.waiting(), pool.occupancy().1), (1, 1), "a moment before the deadline it still waits");
            time.advance(moment);
        });
        assert_eq!(refused, Err((NotAdmitted::TimedOut, deadline)));
        assert_eq!(pool.occupancy(), (1, 0, 0));
        let held = std::cell::Cell::new(Some(held));
        let admitted = waits(time.now() + hour, &|| {
            time.advance(hour - moment);
            drop(held.take());
        });
        assert_eq!((admitted, pool.occupancy()), (Ok(time.now()), (0, 0, 0)));
    }

    #[test]
    fn a_retired_pool_keeps_no_instance_and_lets_calls_end() {
        let pool = Pool::new(2, 2);
        let (permit, _) = pool.acquire(soon()).map_err(|e| format!("{e:?}")).unwrap();
        pool.put_back(1);
        pool.retire();
        assert_eq!(pool.occupancy(), (1, 0, 0));
        pool.put_back(2);
        drop(permit);
        assert_eq!(pool.occupancy(), (0, 0, 0));
        assert!(pool.acquire(soon()).is_ok(), "a request that started before may still call");
    }

    #[test]
    fn trimming_drops_what_was_not_needed_and_keeps_the_warmest() {
        let pool = Pool::new(4, 4);
        for i in 0..4 {
            pool.put_back(i);
        }
        pool.trim();
        assert_eq!(pool.occupancy().2, 4, "the first trim does not know yet what was needed");
        let (_permit, warmest) = pool.acquire(soon()).map_err(|e| format!("{e:?}")).unwrap();
        assert_eq!(warmest, Some(3));
        pool.put_back(3);
        pool.trim();
        assert_eq!(pool.occupancy().2, 2);
    }
}
