//! Which calls may be in a bounded place at the same time, and which wait to enter it: the permits of a context
//! (`run::pool`), and its share for one callee (`bulkhead`).
//!
//! One function leaves room for the others: a call enters only while more places are free than its function has taken,
//! and waits only while more places of the queue are free than its function has taken there. So one function takes
//! half at most, two together two thirds, and so on (dynamic thresholds, by which switches share their buffers:
//! Choudhury and Hahne, 1998). A call without a function, such as a request from the edge, takes any free place.
//!
//! Invariants: no call waits that may enter; calls of one function enter in the order of their arrival; at most `most`
//! are inside, unless some came back from a wait (`places`).

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::ticket::Ticket;

/// A function of a seam, whichever version of its interface the caller imports. Two functions with the same id would
/// only share their part of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionId(u64);

impl FunctionId {
    /// `interface` is `namespace:package/interface`.
    pub fn new(interface: &str, function: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (interface, function).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The calls in one bounded place, and those that wait to enter it.
pub struct Admission {
    /// Calls that may be inside.
    most: u32,
    /// Calls that may wait.
    queue: u32,
    inside: Tally,
    waiting: Tally,
    /// No call enters; all wait.
    held: bool,
    /// Those that wait, in the order of their arrival.
    tickets: VecDeque<(Option<FunctionId>, Arc<Ticket>)>,
}

impl Admission {
    pub fn new(most: u32, queue: u32) -> Self {
        Self { most, queue, inside: Tally::default(), waiting: Tally::default(), held: false, tickets: VecDeque::new() }
    }

    /// Enters if there is room. Never waits.
    pub fn enter(&mut self, function: Option<FunctionId>) -> bool {
        let room = !self.held && self.inside.has_room(function, self.most);
        if room {
            self.inside.add(function);
        }
        room
    }

    /// Comes back after a wait elsewhere, whether or not there is room.
    pub fn come_back(&mut self, function: Option<FunctionId>) {
        self.inside.add(function);
    }

    /// Queues a call that may not enter now: the ticket is granted when it has entered. `None`: too many calls wait.
    /// With `always`, the queue is never too long.
    pub fn wait(&mut self, function: Option<FunctionId>, always: bool) -> Option<Arc<Ticket>> {
        if !always && !self.held && !self.waiting.has_room(function, self.queue) {
            return None;
        }
        let ticket = Arc::new(Ticket::default());
        self.waiting.add(function);
        self.tickets.push_back((function, ticket.clone()));
        Some(ticket)
    }

    /// Takes a call out of the queue whose time is over. `false`: it has entered after all, between the end of its
    /// time and this call.
    pub fn give_up(&mut self, ticket: &Arc<Ticket>) -> bool {
        let Some(at) = self.tickets.iter().position(|(_, other)| Arc::ptr_eq(other, ticket)) else { return false };
        if let Some((function, _)) = self.tickets.remove(at) {
            self.waiting.remove(function);
        }
        true
    }

    /// Leaves, and lets in the calls that have waited longest for it.
    pub fn leave(&mut self, function: Option<FunctionId>) {
        self.inside.remove(function);
        self.let_in();
    }

    /// From now on no call enters, until `go_on`: each waits, however many there are.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Calls enter again.
    pub fn go_on(&mut self) {
        self.held = false;
        self.let_in();
    }

    /// Ends the wait of all calls without letting them in.
    pub fn turn_away(&mut self) {
        self.waiting = Tally::default();
        self.tickets.drain(..).for_each(|(_, ticket)| ticket.grant());
    }

    fn let_in(&mut self) {
        while !self.held {
            let (inside, most) = (&self.inside, self.most);
            let first = self.tickets.iter().position(|(function, _)| inside.has_room(*function, most));
            let Some((function, ticket)) = first.and_then(|at| self.tickets.remove(at)) else { return };
            self.waiting.remove(function);
            self.inside.add(function);
            ticket.grant();
        }
    }

    /// Calls inside.
    pub fn inside(&self) -> u32 {
        self.inside.all
    }

    /// Calls that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.all
    }
}

/// How many calls there are, of each function and of all.
#[derive(Default)]
struct Tally {
    all: u32,
    /// Only functions that have calls, so there are few: a search from the first to the last is the fastest.
    by_function: Vec<(FunctionId, u32)>,
}

impl Tally {
    fn of(&self, function: FunctionId) -> u32 {
        self.by_function.iter().find(|(other, _)| *other == function).map_or(0, |(_, calls)| *calls)
    }

    /// Whether one more call of `function` leaves room for others, where at most `most` may be.
    fn has_room(&self, function: Option<FunctionId>, most: u32) -> bool {
        let free = most.saturating_sub(self.all);
        free > function.map_or(0, |function| self.of(function))
    }

    fn add(&mut self, function: Option<FunctionId>) {
        self.all += 1;
        let Some(function) = function else { return };
        match self.by_function.iter_mut().find(|(other, _)| *other == function) {
            Some((_, calls)) => *calls += 1,
            None => self.by_function.push((function, 1)),
        }
    }

    fn remove(&mut self, function: Option<FunctionId>) {
        self.all = self.all.saturating_sub(1);
        let at = function.and_then(|function| self.by_function.iter().position(|(other, _)| *other == function));
        let Some((at, (_, calls))) = at.and_then(|at| Some((at, self.by_function.get_mut(at)?))) else { return };
        *calls -= 1;
        if *calls == 0 {
            self.by_function.swap_remove(at);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn function(name: &str) -> Option<FunctionId> {
        Some(FunctionId::new("t:bank/bank", name))
    }

    /// How many calls of `name` enter until one may not.
    fn enter_all(admission: &mut Admission, name: &str) -> u32 {
        (0..).take_while(|_| admission.enter(function(name))).count() as u32
    }

    #[test]
    fn one_function_takes_half_and_each_further_one_leaves_room_for_the_next() {
        for (most, expect) in [(1, 1), (2, 1), (3, 2), (4, 2), (8, 4), (16, 8)] {
            assert_eq!(enter_all(&mut Admission::new(most, 0), "sign-up"), expect, "of {most}");
        }
        let mut admission = Admission::new(16, 0);
        let entered = ["sign-up", "sign-in", "prove", "who"].map(|name| enter_all(&mut admission, name));
        assert_eq!((entered, admission.inside()), ([8, 4, 2, 1], 15));
    }

    #[test]
    fn functions_that_flood_together_share_alike_and_leave_as_much_free() {
        let mut admission = Admission::new(16, 0);
        let names = ["sign-up", "sign-in", "prove"];
        for name in names.iter().cycle().take(48) {
            admission.enter(function(name));
        }
        assert_eq!((admission.inside(), enter_all(&mut admission, "who")), (12, 2));
    }

    #[test]
    fn a_call_without_a_function_takes_any_free_place() {
        let mut admission = Admission::new(4, 0);
        assert_eq!(enter_all(&mut admission, "sign-up"), 2);
        assert!(admission.enter(None) && admission.enter(None) && !admission.enter(None));
        assert!(!admission.enter(function("who")));
    }

    #[test]
    fn a_place_goes_to_the_call_that_waits_longest_among_those_that_leave_room() {
        let mut admission = Admission::new(2, 8);
        assert!(admission.enter(function("sign-up")) && admission.enter(function("who")));
        let signs_up = admission.wait(function("sign-up"), false).unwrap();
        let asks = admission.wait(function("who"), false).unwrap();
        admission.leave(function("who"));
        assert!(!admission.give_up(&asks) && admission.give_up(&signs_up), "a sign-up is inside");
        assert_eq!((admission.inside(), admission.waiting()), (2, 0));
    }

    #[test]
    fn one_call_that_leaves_may_let_two_in() {
        let mut admission = Admission::new(3, 8);
        let (signs_up, asks) = (function("sign-up"), function("who"));
        assert_eq!([signs_up, asks, signs_up, asks].map(|one| admission.enter(one)), [true, true, false, false]);
        let waits = [asks, signs_up].map(|one| admission.wait(one, false).unwrap());
        admission.leave(signs_up);
        assert_eq!(waits.map(|ticket| admission.give_up(&ticket)), [false, false], "one has none inside any more");
        assert_eq!((admission.inside(), admission.waiting()), (3, 0));
    }

    #[test]
    fn while_it_is_held_none_enters_and_all_may_wait() {
        let mut admission = Admission::new(2, 1);
        assert!(admission.enter(None));
        admission.hold();
        let waits = [(); 3].map(|()| (admission.enter(None), admission.wait(None, false).unwrap()).1);
        admission.leave(None);
        assert_eq!((admission.inside(), admission.waiting()), (0, 3));
        admission.go_on();
        assert_eq!((admission.inside(), admission.waiting()), (2, 1));
        assert_eq!(waits.map(|ticket| admission.give_up(&ticket)), [false, false, true], "the first ones are inside");
    }

    #[test]
    fn calls_that_are_turned_away_have_not_entered() {
        let mut admission = Admission::new(2, 8);
        admission.hold();
        let waits = [(); 2].map(|()| admission.wait(function("sign-up"), false).unwrap());
        admission.turn_away();
        assert_eq!((admission.inside(), admission.waiting()), (0, 0));
        let now = std::time::Instant::now();
        let clock = seam_store::clock::Clock::system();
        assert_eq!(waits.map(|ticket| ticket.wait(&clock, now)), [true, true], "they do not wait any more");
    }

    #[test]
    fn one_function_takes_half_of_the_queue_unless_its_calls_must_wait() {
        let mut admission = Admission::new(1, 4);
        assert!(admission.enter(None));
        let waits = |admission: &mut Admission, name, always| admission.wait(function(name), always).is_some();
        let half = [(); 3].map(|()| waits(&mut admission, "sign-up", false));
        assert_eq!(half, [true, true, false]);
        assert!(waits(&mut admission, "who", false), "there is room for another");
        assert!(waits(&mut admission, "sign-up", true));
        assert_eq!(admission.waiting(), 4);
    }
}
