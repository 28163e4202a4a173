//! The network between hosts: messages that come late, in another order, twice or never; and a host's connections to
//! the others, which are made again by the product's own rules (`remote::client::attempts`).
//!
//! Invariant: a call ends within its time, and not much later.
//! Not here: what a host does with a message (`host`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use seam_runtime::call::Failure;

use super::baton::{MS, Us, is_stopping};
use super::host::{Message, Replied};
use super::world::World;
use crate::limits;
use crate::pause::pauses_ms;
use crate::remote::client::attempts::Attempts;

/// What the network does to messages now.
#[derive(Debug, Default)]
pub struct Net {
    /// From one host to another: nothing arrives.
    pub cut: BTreeSet<(usize, usize)>,
    /// Hosts that do not reach the store of backups.
    pub no_store: BTreeSet<usize>,
    /// Of a thousand messages.
    pub lost: u32,
    pub twice: u32,
}

/// A host's connection to another one.
#[derive(Debug, Default)]
pub struct Link {
    stage: Stage,
    attempts: Attempts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Unused,
    Up {
        since: Us,
    },
    /// Calls fail at once.
    Down,
}

pub type Links = BTreeMap<usize, Link>;

fn ms(ms: u64) -> Us {
    ms * MS
}

fn absent(reason: &str) -> Failure {
    Failure::Absent { context: "-".to_owned(), reason: reason.to_owned() }
}

impl World {
    /// One way through the network: mostly short, now and then long, so that messages overtake each other.
    fn way(&self) -> Us {
        let mut chance = self.chance.lock();
        match chance.random_range(0..100) {
            0 => chance.random_range(5 * MS..200 * MS),
            1..10 => chance.random_range(2 * MS..10 * MS),
            _ => chance.random_range(150..1_500),
        }
    }

    fn loses(&self, from: usize, to: usize) -> bool {
        let (cut, lost) = {
            let net = self.net.lock();
            (net.cut.contains(&(from, to)), net.lost)
        };
        cut || (lost > 0 && self.chance.lock().random_range(0..1_000) < lost)
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let net = self.net.lock();
        !net.cut.contains(&(from, to)) && !net.cut.contains(&(to, from))
    }

    /// Sends a message; `reply` gets what comes back, if anything does.
    pub fn send(self: &Arc<Self>, (from, to): (usize, usize), message: Message, reply: Reply) {
        if is_stopping() {
            return;
        }
        let twice = message.may_come_twice() && {
            let twice = self.net.lock().twice;
            twice > 0 && self.chance.lock().random_range(0..1_000) < twice
        };
        for _ in 0..=u32::from(twice) {
            if self.loses(from, to) {
                continue;
            }
            let (world, message, reply, at) = (self.clone(), message.clone(), reply.clone(), self.now() + self.way());
            self.baton.at(at, Some(to), move || {
                // Cut off while it was on its way.
                if world.net.lock().cut.contains(&(from, to)) || !world.is_up(to) {
                    return;
                }
                let there = world.clone();
                world.baton.spawn(Some(to), move || {
                    let Some(replied) = there.receive(from, to, message) else { return };
                    if there.loses(to, from) {
                        return;
                    }
                    let at = there.now() + there.way();
                    there.baton.clone().at(at, Some(from), move || reply(replied));
                });
            });
        }
    }

    /// Asks another host, and waits for the answer for so long at most.
    ///
    /// # Errors
    /// As of a call: the host is not there, or does not answer in time.
    pub fn call(self: &Arc<Self>, (from, to): (usize, usize), message: &Message, within: Duration) -> Replied {
        let began = self.now();
        let ends = began + Us::try_from(within.as_micros()).unwrap();
        if from == to {
            return self.receive(from, to, message.clone()).unwrap_or_else(|| Err(absent("it stops")));
        }
        let replied = self.call_elsewhere((from, to), message, ends);
        let took = self.now() - began;
        let most = Us::try_from(within.as_micros()).unwrap() + 500 * MS;
        if took > most && self.baton.has_run_since(from, began) {
            self.baton.fail(format!("a call of {} ms took {} ms", within.as_millis(), took / MS));
        }
        replied
    }

    fn call_elsewhere(self: &Arc<Self>, (from, to): (usize, usize), message: &Message, ends: Us) -> Replied {
        let Some(running) = self.running(from) else { return Err(absent("this host stops")) };
        let stage = running.links.lock().entry(to).or_default().stage;
        match stage {
            Stage::Down => return Err(absent("its host cannot be reached")),
            Stage::Unused => {
                if !self.connect((from, to), ends) {
                    self.try_again((from, to));
                    return Err(absent("its host cannot be reached"));
                }
            }
            Stage::Up { .. } => {}
        }
        // A silent host is noticed by its PINGs.
        let silent = self.now() + ms(limits::REMOTE_PING_MS + limits::REMOTE_PONG_MS);
        let slot = self.baton.slot();
        let filled = slot.clone();
        self.send((from, to), message.clone(), Arc::new(move |replied| filled.fill(replied)));
        let until = ends.min(silent);
        if let Some(replied) = slot.wait(until) {
            return replied;
        }
        if self.is_up(to) && self.reaches(from, to) && !self.baton.is_frozen(to) {
            let context = message.context();
            // Lost, or slow: the connection lives.
            return Err(Failure::TimedOut { context });
        }
        self.ended((from, to));
        Err(absent("the connection to its host was lost"))
    }

    /// Makes a connection, if the other host answers.
    fn connect(self: &Arc<Self>, (from, to): (usize, usize), ends: Us) -> bool {
        let way = self.way();
        let refused = !self.is_up(to) && self.reaches(from, to);
        self.baton.sleep(2 * way);
        let answers = self.is_up(to) && self.reaches(from, to) && !self.baton.is_frozen(to);
        if !answers && !refused {
            let gives_up = self.now() + ms(limits::REMOTE_CONNECT_MS);
            self.baton.sleep(gives_up.min(ends.max(self.now())) - self.now());
        }
        let Some(running) = self.running(from) else { return false };
        let mut links = running.links.lock();
        let link = links.entry(to).or_default();
        match answers {
            true => {
                link.attempts.connected();
                link.stage = Stage::Up { since: self.now() };
            }
            false => {
                link.attempts.failed();
                link.stage = Stage::Down;
            }
        }
        answers
    }

    /// The connection is lost.
    fn ended(self: &Arc<Self>, (from, to): (usize, usize)) {
        let Some(running) = self.running(from) else { return };
        let again = {
            let mut links = running.links.lock();
            let link = links.entry(to).or_default();
            let Stage::Up { since } = link.stage else { return };
            link.attempts.ended(Duration::from_micros(self.now() - since), false);
            link.stage = if link.attempts.go_on() { Stage::Unused } else { Stage::Down };
            link.stage == Stage::Down
        };
        if again {
            self.try_again((from, to));
        }
    }

    /// Tries to connect after a pause, again and again.
    fn try_again(self: &Arc<Self>, (from, to): (usize, usize)) {
        let Some(running) = self.running(from) else { return };
        let tries = {
            let mut links = running.links.lock();
            links.entry(to).or_default().attempts.tries()
        };
        let pauses = pauses_ms(tries, Duration::from_millis(limits::REMOTE_PAUSE_MS_MAX));
        let (pause, world) = (self.chance.lock().random_range(pauses), self.clone());
        self.baton.spawn(Some(from), move || {
            world.baton.sleep(ms(pause));
            if !world.connect((from, to), Us::MAX) {
                world.try_again((from, to));
            }
        });
    }
}

/// Gets what comes back; may be called twice.
pub type Reply = Arc<dyn Fn(Replied) + Send + Sync>;
