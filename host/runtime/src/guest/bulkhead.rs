//! The bulkheads between a context and its callees: how many of its places may belong to calls that are in one and the
//! same callee.
//!
//! A place counts for the context in which its request is now, however many contexts lie between. So a callee that
//! answers slowly takes its share of the places of everything above it, and no more; the rest goes on with what does
//! not need that callee.
//!
//! Invariants: calls enter a callee in the order of their arrival; at most `most` are in it, unless some came back from
//! a wait (`places`); calls wait for a callee only while at least `most` are in it; at most `queue` wait for one callee
//! and twice as many for all. Where no call waits, entering and leaving cost one atomic operation each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use seam_store::clock::Clock;

use super::ticket::Ticket;
use crate::call::ContextIndex;

/// The bulkheads of one context.
pub struct Bulkheads {
    /// Places that may be in one callee.
    most: u32,
    /// Calls that may wait for one callee.
    queue: u32,
    /// For each context of the system: the places in it (lower half), and the calls that wait for it (upper half).
    callees: Box<[AtomicU64]>,
    /// For each context: the calls that did not enter it, and those of them that `newly_refused` has returned.
    refused: Box<[(AtomicU64, AtomicU64)]>,
    /// All calls that wait, in the order of their arrival. The upper halves change only under this lock.
    waiting: Mutex<VecDeque<(ContextIndex, Arc<Ticket>)>>,
    /// Read only by a call that waits.
    clock: Clock,
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

const ONE_WAITING: u64 = 1 << 32;

fn inside(word: u64) -> u32 {
    word as u32
}

fn waiting(word: u64) -> u32 {
    (word >> 32) as u32
}

impl Bulkheads {
    /// `contexts` is how many contexts the system has. A callee beyond them has no bulkhead.
    pub fn new(most: u32, queue: u32, contexts: usize) -> Self {
        Self::with_clock(most, queue, contexts, Clock::system())
    }

    pub fn with_clock(most: u32, queue: u32, contexts: usize, clock: Clock) -> Self {
        let (callees, refused) = (0..contexts).map(|_| Default::default()).unzip::<_, _, Vec<_>, Vec<_>>();
        Self { most, queue, callees: callees.into(), refused: refused.into(), waiting: Mutex::default(), clock }
    }

    fn is_free(&self, word: u64) -> bool {
        waiting(word) == 0 && inside(word) < self.most
    }

    /// Enters `callee` if it is free. Never waits.
    pub fn enter(&self, callee: ContextIndex) -> bool {
        let Some(word) = self.callees.get(usize::from(callee)) else { return true };
        word.fetch_update(Relaxed, Relaxed, |now| self.is_free(now).then_some(now + 1)).is_ok()
    }

    /// Comes back into `callee` after a wait elsewhere.
    pub fn come_back(&self, callee: ContextIndex) {
        if let Some(word) = self.callees.get(usize::from(callee)) {
            word.fetch_add(1, Relaxed);
        }
    }

    /// Enters `callee`, and waits until it is free if need be. With `always`, its queue is never too long.
    ///
    /// # Errors
    /// When the queue is full, or no call leaves the callee before `deadline`.
    pub fn wait_to_enter(&self, callee: ContextIndex, deadline: Instant, always: bool) -> Result<(), NotEntered> {
        let Some(word) = self.callees.get(usize::from(callee)) else { return Ok(()) };
        let mut queue = self.waiting.lock();
        let room =
            always || waiting(word.load(Relaxed)) < self.queue && queue.len() < (self.queue as usize).saturating_mul(2);
        let next = |now| match (self.is_free(now), room) {
            (true, _) => Some(now + 1),
            (false, true) => Some(now + ONE_WAITING),
            (false, false) => None,
        };
        match word.fetch_update(Relaxed, Relaxed, next) {
            Ok(before) if self.is_free(before) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(self.refuse(callee, NotEntered::Full)),
        }
        let ticket = Arc::new(Ticket::default());
        queue.push_back((callee, ticket.clone()));
        drop(queue);
        if ticket.wait(&self.clock, deadline) {
            return Ok(());
        }
        let mut queue = self.waiting.lock();
        // The callee may have become free between the timeout and this lock; then this call has entered it after all.
        match queue.iter().position(|(_, other)| Arc::ptr_eq(other, &ticket)) {
            Some(at) => {
                queue.remove(at);
                word.fetch_sub(ONE_WAITING, Relaxed);
                Err(self.refuse(callee, NotEntered::TimedOut))
            }
            None => Ok(()),
        }
    }

    #[cold]
    fn refuse(&self, callee: ContextIndex, why: NotEntered) -> NotEntered {
        if let Some((refused, _)) = self.refused.get(usize::from(callee)) {
            refused.fetch_add(1, Relaxed);
        }
        why
    }

    /// Leaves `callee`: to the first call that waits for it, if there is one.
    pub fn leave(&self, callee: ContextIndex) {
        let Some(word) = self.callees.get(usize::from(callee)) else { return };
        let unwanted = |now| (waiting(now) == 0 || inside(now) > self.most) && inside(now) > 0;
        let unwanted = |now| unwanted(now).then(|| now - 1);
        if word.fetch_update(Relaxed, Relaxed, unwanted).is_ok() {
            return;
        }
        let mut queue = self.waiting.lock();
        if word.fetch_update(Relaxed, Relaxed, unwanted).is_ok() {
            return;
        }
        let first = queue.iter().position(|(other, _)| *other == callee).and_then(|at| queue.remove(at));
        if let Some((_, ticket)) = first {
            word.fetch_sub(ONE_WAITING, Relaxed);
            ticket.grant();
        }
    }

    /// The callees that calls did not enter since this was asked last, each with the number of these calls.
    pub fn newly_refused(&self) -> Vec<(ContextIndex, u64)> {
        let new = |(callee, (refused, returned)): (ContextIndex, &(AtomicU64, AtomicU64))| {
            let now = refused.load(Relaxed);
            (callee, now - returned.swap(now, Relaxed))
        };
        (0..).zip(&self.refused).map(new).filter(|(_, calls)| *calls > 0).collect()
    }

    /// The callees that have calls of this context, or did not get some.
    pub fn loads(&self) -> Vec<CalleeLoad> {
        let all = self.callees.iter().zip(&self.refused).zip(0..);
        let load = |((word, (refused, _)), callee): ((&AtomicU64, &(AtomicU64, AtomicU64)), ContextIndex)| {
            let (word, refused) = (word.load(Relaxed), refused.load(Relaxed));
            CalleeLoad { callee, inside: inside(word), waiting: waiting(word), refused }
        };
        all.map(load).filter(|load| load.inside > 0 || load.waiting > 0 || load.refused > 0).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    const CALLEE: ContextIndex = 1;

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
        assert!(bulkheads.enter(2), "another callee");
        assert!(bulkheads.enter(3), "a callee that the system does not have");
        assert_eq!(load(&bulkheads), (2, 0, 1));
        assert_eq!((bulkheads.newly_refused(), bulkheads.newly_refused()), (vec![(CALLEE, 1)], vec![]));
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
        let most = AtomicU64::new(0);
        let now = AtomicU64::new(0);
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
