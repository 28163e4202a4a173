//! The bulkheads between a context and its callees: how many of its places may belong to calls that are in one and the
//! same callee.
//!
//! A place counts for the context in which its request is now, however many contexts lie between. So a callee that
//! answers slowly takes its share of the places of everything above it, and no more; the rest goes on with what does
//! not need that callee. Of a share, one function takes half at most (`admission`): who is signed in does not wait
//! behind those who sign up.
//!
//! Invariants: as in `admission`, for each callee; at most `queue` calls wait for one callee and twice as many for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use seam_store::clock::Clock;

use super::admission::{Admission, FunctionId};
use super::ticket::Ticket;
use crate::call::ContextIndex;

/// What a call enters, as its caller names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    pub context: ContextIndex,
    /// `None`: a call that no other context makes, such as a request from the edge.
    pub function: Option<FunctionId>,
}

impl Callee {
    pub const fn without_function(context: ContextIndex) -> Self {
        Self { context, function: None }
    }
}

/// The bulkheads of one context.
pub struct Bulkheads {
    /// Calls that may wait for one callee.
    queue: u32,
    /// For each context of the system.
    callees: Box<[Mutex<Share>]>,
    /// All calls that wait.
    waiting: AtomicU32,
    /// Read only by a call that waits.
    clock: Clock,
}

/// What one callee has of the context's places.
struct Share {
    admission: Admission,
    /// Calls that did not enter it.
    refused: u64,
    /// Those of them that `newly_refused` has returned.
    returned: u64,
}

/// A call in the queue for a callee. A call whose request ends meanwhile leaves the queue.
struct Waiting<'b> {
    bulkheads: &'b Bulkheads,
    share: &'b Mutex<Share>,
    callee: Callee,
    ticket: Arc<Ticket>,
    over: bool,
}

/// Why a call did not enter its callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotEntered {
    /// The callee has its share of the places, and as many calls as may wait for it already.
    Full,
    /// No call left the callee before the deadline.
    TimedOut,
}

/// One callee as a context sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalleeLoad {
    pub callee: ContextIndex,
    /// Places of the context whose calls are in this callee.
    pub inside: u32,
    /// Calls that wait to enter it.
    pub waiting: u32,
    /// Calls that did not enter it, since this version started.
    pub refused: u64,
}

impl Bulkheads {
    /// `most` places may be in one callee; `contexts` is how many contexts the system has. A callee beyond them has no
    /// bulkhead.
    pub fn new(most: u32, queue: u32, contexts: usize) -> Self {
        Self::with_clock(most, queue, contexts, Clock::system())
    }

    pub fn with_clock(most: u32, queue: u32, contexts: usize, clock: Clock) -> Self {
        let share = |_| Mutex::new(Share { admission: Admission::new(most, queue), refused: 0, returned: 0 });
        Self { queue, callees: (0..contexts).map(share).collect(), waiting: AtomicU32::new(0), clock }
    }

    fn share(&self, callee: Callee) -> Option<&Mutex<Share>> {
        self.callees.get(usize::from(callee.context))
    }

    /// Enters `callee` if there is room. Never waits.
    pub fn enter(&self, callee: Callee) -> bool {
        self.share(callee).is_none_or(|share| share.lock().admission.enter(callee.function))
    }

    /// Comes back into `callee` after a wait elsewhere.
    pub fn come_back(&self, callee: Callee) {
        if let Some(share) = self.share(callee) {
            share.lock().admission.come_back(callee.function);
        }
    }

    /// Enters `callee`, and waits until there is room if need be. With `always`, its queue is never too long.
    ///
    /// # Errors
    /// When the queue is full, or no room is made before `deadline`.
    pub fn wait_to_enter(&self, callee: Callee, deadline: Instant, always: bool) -> Result<(), NotEntered> {
        match self.queue_for(callee, always)? {
            None => Ok(()),
            Some(waiting) => {
                let granted = waiting.ticket.wait(&self.clock, deadline);
                waiting.end(granted)
            }
        }
    }

    /// Like `wait_to_enter`, without holding a thread.
    ///
    /// # Errors
    /// As `wait_to_enter`.
    pub async fn wait_to_enter_async(&self, callee: Callee, deadline: Instant, always: bool) -> Result<(), NotEntered> {
        match self.queue_for(callee, always)? {
            None => Ok(()),
            Some(waiting) => {
                let granted = waiting.ticket.wait_async(deadline).await;
                waiting.end(granted)
            }
        }
    }

    /// Enters `callee` if there is room, or its queue.
    fn queue_for(&self, callee: Callee, always: bool) -> Result<Option<Waiting<'_>>, NotEntered> {
        let Some(share) = self.share(callee) else { return Ok(None) };
        let mut now = share.lock();
        if now.admission.enter(callee.function) {
            return Ok(None);
        }
        let room = always || self.waiting.load(Relaxed) < self.queue.saturating_mul(2);
        let ticket: Option<Arc<Ticket>> = room.then(|| now.admission.wait(callee.function, always)).flatten();
        let Some(ticket) = ticket else {
            now.refused += 1;
            return Err(NotEntered::Full);
        };
        self.waiting.fetch_add(1, Relaxed);
        Ok(Some(Waiting { bulkheads: self, share, callee, ticket, over: false }))
    }

    /// Leaves `callee`: to the first call that waits for it and leaves room for others.
    pub fn leave(&self, callee: Callee) {
        if let Some(share) = self.share(callee) {
            share.lock().admission.leave(callee.function);
        }
    }

    /// The callees that calls did not enter since this was asked last, each with the number of these calls.
    pub fn newly_refused(&self) -> Vec<(ContextIndex, u64)> {
        let new = |(callee, share): (ContextIndex, &Mutex<Share>)| {
            let Share { refused, returned, .. } = &mut *share.lock();
            (callee, *refused - std::mem::replace(returned, *refused))
        };
        (0..).zip(&self.callees).map(new).filter(|(_, calls)| *calls > 0).collect()
    }

    /// The callees that have calls of this context, or did not get some.
    pub fn loads(&self) -> Vec<CalleeLoad> {
        let load = |(callee, share): (ContextIndex, &Mutex<Share>)| {
            let Share { admission, refused, .. } = &*share.lock();
            CalleeLoad { callee, inside: admission.inside(), waiting: admission.waiting(), refused: *refused }
        };
        let all = (0..).zip(&self.callees).map(load);
        all.filter(|load| load.inside > 0 || load.waiting > 0 || load.refused > 0).collect()
    }
}

impl Waiting<'_> {
    fn end(mut self, granted: bool) -> Result<(), NotEntered> {
        self.over = true;
        if granted {
            return Ok(());
        }
        let mut now = self.share.lock();
        if !now.admission.give_up(&self.ticket) {
            return Ok(());
        }
        now.refused += 1;
        Err(NotEntered::TimedOut)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bulkheads.waiting.fetch_sub(1, Relaxed);
        if !self.over {
            let mut now = self.share.lock();
            if !now.admission.give_up(&self.ticket) {
                now.admission.leave(self.callee.function);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    const CALLEE: Callee = Callee::without_function(1);

    fn function(name: &str) -> Callee {
        Callee { function: Some(FunctionId::new("t:bank/bank", name)), ..CALLEE }
    }

    fn load(bulkheads: &Bulkheads) -> (u32, u32, u64) {
        bulkheads.loads().first().map_or((0, 0, 0), |load| (load.inside, load.waiting, load.refused))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// Waits until so many calls wait, and fails instead of hanging.
    fn until_waiting(bulkheads: &Bulkheads, calls: u32) {
        let began = Instant::now();
        while load(bulkheads).1 != calls {
            assert!(began.elapsed() < Duration::from_secs(20), "not in time: {:?}", load(bulkheads));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_callee_has_its_share_and_no_more_and_another_callee_has_its_own() {
        let bulkheads = Bulkheads::new(2, 0, 3);
        assert!(bulkheads.enter(CALLEE) && bulkheads.enter(CALLEE) && !bulkheads.enter(CALLEE));
        assert_eq!(bulkheads.wait_to_enter(CALLEE, soon(), false), Err(NotEntered::Full), "nothing may wait");
        for (context, what) in [(2, "another callee"), (3, "a callee that the system does not have")] {
            assert!(bulkheads.enter(Callee::without_function(context)), "{what}");
        }
        assert_eq!(load(&bulkheads), (2, 0, 1));
        assert_eq!((bulkheads.newly_refused(), bulkheads.newly_refused()), (vec![(1, 1)], vec![]));
        bulkheads.leave(CALLEE);
        assert!(bulkheads.enter(CALLEE));
    }

    #[test]
    fn calls_enter_in_the_order_of_their_arrival_and_none_overtakes_them() {
        let bulkheads = Bulkheads::new(1, 8, 2);
        assert!(bulkheads.enter(CALLEE));
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for at in 0..3 {
                let (bulkheads, order) = (&bulkheads, &order);
                scope.spawn(move || {
                    bulkheads.wait_to_enter(CALLEE, soon(), false).unwrap();
                    order.lock().push(at);
                    bulkheads.leave(CALLEE);
                });
                until_waiting(bulkheads, at + 1);
            }
            assert!(!bulkheads.enter(CALLEE), "three came first");
            bulkheads.leave(CALLEE);
        });
        assert_eq!(order.into_inner(), [0, 1, 2]);
        assert_eq!(load(&bulkheads), (0, 0, 0));
    }

    #[test]
    fn one_function_leaves_room_for_another_and_none_waits_behind_it() {
        let bulkheads = Bulkheads::new(4, 2, 2);
        let (signs_up, asks) = (function("sign-up"), function("who"));
        assert!(bulkheads.enter(signs_up) && bulkheads.enter(signs_up));
        assert!(!bulkheads.enter(signs_up), "it has half of the share");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| bulkheads.wait_to_enter(signs_up, soon(), false));
            until_waiting(&bulkheads, 1);
            assert_eq!(bulkheads.wait_to_enter(signs_up, soon(), false), Err(NotEntered::Full), "and of the queue");
            assert!(bulkheads.enter(asks), "another function");
            bulkheads.leave(asks);
            assert_eq!(load(&bulkheads), (2, 1, 1), "the place stays free for others");
            bulkheads.leave(signs_up);
            assert_eq!(waits.join().unwrap(), Ok(()));
        });
        assert_eq!(load(&bulkheads), (2, 0, 1));
    }

    #[test]
    fn a_call_waits_until_its_deadline_and_then_leaves_the_queue() {
        let time = Clock::manual();
        let bulkheads = Bulkheads::with_clock(1, 1, 2, time.clock());
        assert!(bulkheads.enter(CALLEE));
        let deadline = time.now() + Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| bulkheads.wait_to_enter(CALLEE, deadline, false));
            until_waiting(&bulkheads, 1);
            assert_eq!(bulkheads.wait_to_enter(CALLEE, deadline, false), Err(NotEntered::Full), "one may wait");
            while time.waiting() == 0 {
                std::thread::yield_now();
            }
            time.advance(Duration::from_secs(3600));
            assert_eq!(waits.join().unwrap(), Err(NotEntered::TimedOut));
        });
        assert_eq!(load(&bulkheads), (1, 0, 2));
        bulkheads.leave(CALLEE);
        assert_eq!(load(&bulkheads), (0, 0, 2));
    }

    #[test]
    fn what_came_back_beyond_the_share_lets_none_in_when_it_leaves() {
        let bulkheads = Bulkheads::new(1, 1, 2);
        assert!(bulkheads.enter(CALLEE));
        bulkheads.come_back(CALLEE);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| bulkheads.wait_to_enter(CALLEE, soon(), false));
            until_waiting(&bulkheads, 1);
            bulkheads.leave(CALLEE);
            assert_eq!(load(&bulkheads), (1, 1, 0), "one is in it, and that is the bound");
            bulkheads.leave(CALLEE);
            assert_eq!(waits.join().unwrap(), Ok(()));
        });
        assert_eq!(load(&bulkheads), (1, 0, 0));
    }

    #[test]
    fn no_call_is_lost_when_many_come_and_go_at_once() {
        let bulkheads = Bulkheads::new(2, 8, 2);
        let (most, now) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if !bulkheads.enter(CALLEE) {
                            bulkheads.wait_to_enter(CALLEE, soon(), false).unwrap();
                        }
                        most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
                        std::thread::yield_now();
                        now.fetch_sub(1, Relaxed);
                        bulkheads.leave(CALLEE);
                    }
                });
            }
        });
        assert_eq!((most.into_inner(), load(&bulkheads)), (2, (0, 0, 0)));
    }
}
