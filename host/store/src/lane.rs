//! The lane of one file's long reads: they take turns on half of the processors, so that the requests of other contexts
//! find the other half.
//!
//! Invariants: at most `turns` reads are in the lane at a time. They enter in the order of their arrival; one that
//! makes way for those that wait goes behind them.
//! Not here: which reads are long, and when they make way (`confine`).

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::oneshot::Oneshot;

pub(super) struct Lane {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: VecDeque<Arc<Oneshot<()>>>,
}

/// A read's turn in the lane, until it is dropped.
pub(super) struct Turn(Arc<Lane>);

impl Lane {
    /// With turns on half of this machine's processors.
    pub fn new(clock: Clock) -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_turns((processors / 2).max(1), clock)
    }

    pub(crate) fn with_turns(turns: usize, clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::new(State { free: turns, waiting: VecDeque::new() }) })
    }

    pub fn is_waited_for(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Blocks this thread until a turn is free; `None` if none was before `deadline`.
    pub fn enter(self: &Arc<Self>, deadline: Instant) -> Option<Turn> {
        let called = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(Turn(self.clone()));
            }
            let called = Arc::new(Oneshot::new());
            state.waiting.push_back(called.clone());
            called
        };
        if called.receive_until(deadline, &self.clock).is_some() {
            return Some(Turn(self.clone()));
        }
        let mut state = self.state.lock();
        let waited = state.waiting.len();
        state.waiting.retain(|other| !Arc::ptr_eq(other, &called));
        let came_late = state.waiting.len() == waited;
        drop(state);
        if came_late {
            // The turn came just now: on to the next one.
            drop(Turn(self.clone()));
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        match state.waiting.pop_front() {
            Some(next) => next.send(()),
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn reads_enter_in_the_order_of_their_arrival_and_no_more_than_there_are_turns() {
        let time = Clock::manual();
        let lane = Lane::with_turns(1, time.clock());
        let first = lane.enter(time.now()).unwrap();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (lane, order, time) = (&lane, &order, &time);
                scope.spawn(move || {
                    let turn = lane.enter(time.now() + SOON).unwrap();
                    order.lock().push(number);
                    drop(turn);
                });
                while lane.state.lock().waiting.len() <= number {
                    std::thread::yield_now();
                }
            }
            assert!(order.lock().is_empty() && lane.is_waited_for());
            drop(first);
        });
        assert_eq!(*order.lock(), [0, 1, 2]);
        assert!(!lane.is_waited_for());
    }

    #[test]
    fn who_waited_too_long_takes_no_turn_from_others() {
        let time = Clock::manual();
        let lane = Lane::with_turns(1, time.clock());
        let first = lane.enter(time.now()).unwrap();
        assert!(lane.enter(time.now()).is_none());
        drop(first);
        let second = lane.enter(time.now()).unwrap();
        assert!(lane.enter(time.now()).is_none(), "the turn was given twice");
        drop(second);
    }
}
