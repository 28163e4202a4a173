//! Permits and idle instances of one generation: which calls may run now, which wait, and which instances can be used
//! again.
//!
//! Invariants: a call is admitted only while fewer than `concurrency` calls run; at most `queue` calls wait, in the order
//! of their arrival; an instance serves one call at a time and comes back only after a call that succeeded.
//! A call that waits for the disk or for a callee is away (`guest::places`). It comes back without waiting, so more than
//! `concurrency` calls may run for a while: by as many as were away at the same time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use seam_store::clock::Clock;

use crate::guest::bulkhead::Bulkheads;
use crate::guest::places::{Place, Wait};
use crate::guest::ticket::Ticket;

/// `I` is the kind of instance.
pub struct Pool<I> {
    state: Mutex<State<I>>,
    concurrency: u32,
    queue: u32,
    bulkheads: Bulkheads,
    /// Read only by a call that waits.
    clock: Clock,
}

struct State<I> {
    /// Permits in use, without those of calls that are away.
    running: u32,
    /// Calls that have given their permits away while they wait for the disk, and will take them back.
    away: u32,
    /// The same for calls that wait for a callee. `bulkheads` bounds their number, so that they do not count against
    /// those that wait for the disk.
    away_for_callee: u32,
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
    pub fn new(concurrency: u32, queue: u32, bulkheads: Bulkheads) -> Self {
        Self::with_clock(concurrency, queue, bulkheads, Clock::system())
    }

    pub fn with_clock(concurrency: u32, queue: u32, bulkheads: Bulkheads, clock: Clock) -> Self {
        let state = State {
            running: 0,
            away: 0,
            away_for_callee: 0,
            waiting: VecDeque::new(),
            idle: Vec::new(),
            idle_low: 0,
            retired: false,
        };
        Self { state: Mutex::new(state), concurrency, queue, bulkheads, clock }
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
        let in_time = ticket.wait(&self.clock, deadline);
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

    /// Calls running now or away, calls waiting, idle instances.
    pub fn occupancy(&self) -> (u32, usize, usize) {
        let state = self.state.lock();
        (state.running + state.away + state.away_for_callee, state.waiting.len(), state.idle.len())
    }
}

impl<I> State<I> {
    fn away(&mut self, wait: Wait) -> &mut u32 {
        match wait {
            Wait::FirstWrite | Wait::Disk => &mut self.away,
            Wait::Callee => &mut self.away_for_callee,
        }
    }

    /// Passes a free permit on to the first call that waits.
    fn admit_next(&mut self, concurrency: u32) {
        if self.running < concurrency
            && let Some(next) = self.waiting.pop_front()
        {
            self.running += 1;
            next.grant();
        }
    }

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
        state.running -= 1;
        state.admit_next(self.concurrency);
    }
}

impl<I: Send> Place for Pool<I> {
    /// As many calls as may wait for a permit may be away for the disk, but at least as many as may run.
    fn give_away(&self, wait: Wait) -> bool {
        let mut state = self.state.lock();
        let allowed = wait != Wait::FirstWrite || state.away < self.queue.max(self.concurrency);
        if allowed {
            *state.away(wait) += 1;
            state.running -= 1;
            state.admit_next(self.concurrency);
        }
        allowed
    }

    fn take_back(&self, wait: Wait) {
        let mut state = self.state.lock();
        *state.away(wait) -= 1;
        state.running += 1;
    }

    fn bulkheads(&self) -> &Bulkheads {
        &self.bulkheads
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
