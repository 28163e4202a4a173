//! People who buy while hosts fail: each sends the same form again until it has an answer, as a person does who reads
//! that nothing was changed, or whose browser got no answer.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parking_lot::{Condvar, Mutex};

use crate::page::{Form, Page};
use crate::person::Person;
use crate::shopping::{card, order_number};

/// Between two tries, and between two orders.
const PAUSE: Duration = Duration::from_millis(40);
/// Answers that are neither an order nor "try again", as far as they are kept.
const ODD_MAX: usize = 8;
/// How long an order may take to be placed, and another to be on its way.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What people do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Buying,
    /// What was sent gets its answer, and nothing new is sent.
    Settling,
    Over,
}

/// All buyers of one shop.
#[derive(Default)]
pub struct Buyers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Forms that were sent and have no answer yet.
    open: usize,
    seen: Seen,
}

/// What the buyers saw.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// The orders that they were given, and whether the page said that it is placed.
    pub answered: BTreeMap<String, bool>,
    /// Tries that brought no order, and pages on the way to the till that did not come.
    pub failed: usize,
    pub slowest: Duration,
    /// Answers that no buyer should get.
    pub odd: Vec<String>,
}

impl Buyers {
    /// Buys copies of `album`, one in each order, until all is over; at each try, at the next of `fronts`.
    pub fn buy(&self, mut person: Person, album: &str, fronts: &[String], number: usize) {
        let mut turn = number;
        let mut open: Option<Form> = None;
        loop {
            let phase = self.state.lock().phase;
            if phase == Phase::Over {
                return;
            }
            if let Some(front) = fronts.get(turn % fronts.len().max(1)) {
                person = person.at_origin(front);
            }
            turn += 1;
            match (&open, phase) {
                (None, Phase::Buying) => match till(&mut person, album) {
                    Ok(form) => {
                        // Not one more after the buyers were asked to settle.
                        let mut state = self.state.lock();
                        if state.phase == Phase::Buying {
                            state.open += 1;
                            open = Some(form);
                            self.changed.notify_all();
                            continue;
                        }
                    }
                    Err(_) => self.state.lock().seen.failed += 1,
                },
                (None, _) => {}
                (Some(form), _) => {
                    let started = Instant::now();
                    let page = person.submit(form);
                    if self.answered(page, started.elapsed()) {
                        open = None;
                    }
                    self.changed.notify_all();
                }
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// Whether the answer is an order.
    fn answered(&self, page: Result<Page>, took: Duration) -> bool {
        let mut state = self.state.lock();
        state.seen.slowest = state.seen.slowest.max(took);
        let (status, number, placed, words) = match &page {
            Ok(page) => (page.status, order_number(page).ok(), page.says("Your order is placed"), page.words()),
            Err(error) => (503, None, false, format!("{error:#}")),
        };
        // A shop that answers within its time does not let a browser wait until that gives up.
        let is_odd = (status != 503 && number.is_none()) || words.contains("timeout");
        if is_odd && state.seen.odd.len() < ODD_MAX {
            state.seen.odd.push(format!("{status} after {took:?}: {words}"));
        }
        match number {
            Some(number) => {
                *state.seen.answered.entry(number).or_default() |= placed;
                state.open = state.open.saturating_sub(1);
                true
            }
            None => {
                state.seen.failed += 1;
                false
            }
        }
    }

    /// What they have seen so far.
    pub fn seen(&self) -> Seen {
        self.state.lock().seen.clone()
    }

    /// Waits until more orders than `than` are answered and another one is on its way. How many are, of both.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn at_an_order(&self, than: usize) -> Result<(usize, usize)> {
        let until = Instant::now() + TIMEOUT;
        let mut state = self.state.lock();
        while state.seen.answered.len() <= than || state.open == 0 {
            let late = self.changed.wait_until(&mut state, until).timed_out();
            let answered = state.seen.answered.len();
            ensure!(!late, "{answered} orders are answered, and not more than {than}: {:?}", state.seen.odd);
        }
        Ok((state.seen.answered.len(), state.open))
    }

    /// Has them wait for their answers and send nothing new.
    pub fn settle(&self) {
        self.state.lock().phase = Phase::Settling;
    }

    /// How many have no answer yet.
    pub fn open(&self) -> usize {
        self.state.lock().open
    }

    /// Lets them buy again.
    pub fn go_on(&self) {
        self.state.lock().phase = Phase::Buying;
    }

    /// They buy no more.
    pub fn end(&self) {
        self.state.lock().phase = Phase::Over;
        self.changed.notify_all();
    }
}

/// The filled form of an order of one copy.
fn till(person: &mut Person, album: &str) -> Result<Form> {
    person.put_into_cart(album, 1)?;
    person.till(card::APPROVED)
}
