//! Permits and idle instances of one generation: which calls may run now, which wait, and which instances can be used
//! again.
//!
//! Invariants: a call is admitted only while fewer than `concurrency` calls run, and while its function leaves room for
//! the others (`guest::admission`); at most `queue` calls wait, those of one function in the order of their arrival; an
//! instance serves one call at a time and comes back only after a call that succeeded.
//! A call that waits for the disk or for a callee is away (`guest::places`). It comes back without waiting, so more than
//! `concurrency` calls may run for a while: by as many as were away at the same time.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use seam_store::clock::Clock;

use crate::guest::admission::{Admission, FunctionId};
use crate::guest::bulkhead::Bulkheads;
use crate::guest::places::{Place, Wait};
use crate::guest::ticket::Ticket;

/// `I` is the kind of instance.
pub struct Pool<I> {
    state: Mutex<State<I>>,
    /// Calls that may be away for the first write of their request, and as many for a saga.
    away_most: u32,
    /// One function may take all permits: there is no other for which it could leave room.
    one_function: bool,
    bulkheads: Bulkheads,
    /// Read only by a call that waits.
    clock: Clock,
}

struct State<I> {
    /// Permits in use, without those of calls that are away, and the calls that wait for one.
    permits: Admission,
    /// Calls that have given their permits away while they wait for the disk, and will take them back.
    away: u32,
    /// The same for calls that wait for a callee. `bulkheads` bounds their number, so that they do not count against
    /// those that wait for the disk.
    away_for_callee: u32,
    /// The same for calls that wait for a saga, of which as many may be away as for the disk.
    away_for_saga: u32,
    /// Last used on top: the warmest memory is used again first, and the rest can be dropped.
    idle: Vec<I>,
    /// The lowest number of idle instances since the last trim: calls did not need that many.
    idle_low: usize,
    /// The generation was replaced: instances are not kept any more.
    retired: bool,
    /// The context lives elsewhere now: no call runs here any more.
    moved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// All permits are taken and the queue is full.
    Full,
    /// No permit was released before the deadline.
    TimedOut,
    /// The context lives elsewhere now. No call that waited has run.
    Moved,
}

type Entered<'a, I> = (Permit<'a, I>, Option<I>);

/// A call in the queue. One whose request ends meanwhile leaves the queue.
struct Waiting<'a, I> {
    pool: &'a Pool<I>,
    function: Option<FunctionId>,
    ticket: Arc<Ticket>,
    over: bool,
}

/// The right to run one call; released when it is dropped.
pub struct Permit<'a, I> {
    pool: &'a Pool<I>,
    function: Option<FunctionId>,
}

impl<I> Pool<I> {
    /// A pool whose deadlines are the system's clock's, as those of calls are.
    pub fn new(concurrency: u32, queue: u32, bulkheads: Bulkheads) -> Self {
        Self::with_clock(concurrency, queue, bulkheads, Clock::system())
    }

    pub fn with_clock(concurrency: u32, queue: u32, bulkheads: Bulkheads, clock: Clock) -> Self {
        let state = State {
            permits: Admission::new(concurrency, queue),
            away: 0,
            away_for_callee: 0,
            away_for_saga: 0,
            idle: Vec::new(),
            idle_low: 0,
            retired: false,
            moved: false,
        };
        // As many as may wait for a permit, but at least as many as may run.
        let away_most = queue.max(concurrency);
        Self { state: Mutex::new(state), away_most, one_function: false, bulkheads, clock }
    }

    /// A pool of a context that others can ask for one function alone.
    pub fn of_one_function(self, one_function: bool) -> Self {
        Self { one_function, ..self }
    }

    fn counted(&self, function: Option<FunctionId>) -> Option<FunctionId> {
        function.filter(|_| !self.one_function)
    }

    /// A permit for a call of `function`, and an idle instance if there is one. Waits when there is no room.
    ///
    /// # Errors
    /// When the queue is full, or no permit is released before `deadline`.
    pub fn acquire(&self, function: Option<FunctionId>, deadline: Instant) -> Result<Entered<'_, I>, NotAdmitted> {
        match self.queue_for(function)? {
            Ok(entered) => Ok(entered),
            Err(waiting) => {
                let granted = waiting.ticket.wait(&self.clock, deadline);
                waiting.end(granted)
            }
        }
    }

    /// Like `acquire`, by the system's clock and without holding a thread.
    ///
    /// # Errors
    /// As `acquire`.
    pub async fn acquire_async(
        &self,
        function: Option<FunctionId>,
        deadline: Instant,
    ) -> Result<Entered<'_, I>, NotAdmitted> {
        match self.queue_for(function)? {
            Ok(entered) => Ok(entered),
            Err(waiting) => {
                let granted = waiting.ticket.wait_async(deadline).await;
                waiting.end(granted)
            }
        }
    }

    /// A permit if there is room, or a place in the queue.
    fn queue_for(&self, function: Option<FunctionId>) -> Result<Result<Entered<'_, I>, Waiting<'_, I>>, NotAdmitted> {
        let mut state = self.state.lock();
        if state.moved {
            return Err(NotAdmitted::Moved);
        }
        let counted = self.counted(function);
        if state.permits.enter(counted) {
            return Ok(Ok((Permit { pool: self, function }, state.pop_idle())));
        }
        let ticket = state.permits.wait(counted, false).ok_or(NotAdmitted::Full)?;
        Ok(Err(Waiting { pool: self, function, ticket, over: false }))
    }

    /// From now on no call gets a permit, until `go_on`: each waits until its deadline. Calls that have one go on.
    pub fn hold(&self) {
        self.state.lock().permits.hold();
    }

    /// Calls get permits again.
    pub fn go_on(&self) {
        self.state.lock().permits.go_on();
    }

    /// Ends the wait of all calls, and each later one, with `NotAdmitted::Moved`. For a pool that is held, and in which
    /// no call runs any more.
    pub fn move_away(&self) {
        let mut state = self.state.lock();
        state.moved = true;
        state.permits.turn_away();
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
        (
            state.permits.inside() + state.away + state.away_for_callee + state.away_for_saga,
            state.permits.waiting() as usize,
            state.idle.len(),
        )
    }
}

impl<'a, I> Waiting<'a, I> {
    fn end(mut self, granted: bool) -> Result<Entered<'a, I>, NotAdmitted> {
        self.over = true;
        let mut state = self.pool.state.lock();
        if state.moved {
            return Err(NotAdmitted::Moved);
        }
        if !granted && state.permits.give_up(&self.ticket) {
            return Err(NotAdmitted::TimedOut);
        }
        Ok((Permit { pool: self.pool, function: self.function }, state.pop_idle()))
    }
}

impl<I> Drop for Waiting<'_, I> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.pool.state.lock();
        if !state.moved && !state.permits.give_up(&self.ticket) {
            drop(state);
            self.pool.release(self.function);
        }
    }
}

impl<I> State<I> {
    fn away(&mut self, wait: Wait) -> &mut u32 {
        match wait {
            Wait::FirstWrite | Wait::Disk => &mut self.away,
            Wait::Callee => &mut self.away_for_callee,
            Wait::Saga => &mut self.away_for_saga,
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
        self.pool.release(self.function);
    }
}

impl<I> Pool<I> {
    /// Releases a permit that a call of `function` had: to the first call that waits and leaves room for others.
    pub fn release(&self, function: Option<FunctionId>) {
        self.state.lock().permits.leave(self.counted(function));
    }
}

impl<I: Send> Place for Pool<I> {
    fn give_away(&self, wait: Wait, function: Option<FunctionId>) -> bool {
        let mut state = self.state.lock();
        let is_bounded = matches!(wait, Wait::FirstWrite | Wait::Saga);
        let allowed = !is_bounded || *state.away(wait) < self.away_most;
        if allowed {
            *state.away(wait) += 1;
            state.permits.leave(self.counted(function));
        }
        allowed
    }

    fn take_back(&self, wait: Wait, function: Option<FunctionId>) {
        let mut state = self.state.lock();
        *state.away(wait) -= 1;
        state.permits.come_back(self.counted(function));
    }

    fn bulkheads(&self) -> &Bulkheads {
        &self.bulkheads
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
