//! One subscription: takes events from a publisher's outbox, in order, and has them handled.
//!
//! Invariants: a subscription's cursor and what the handlers wrote commit together, so an event has its effect once,
//! however often it is delivered. An event that fails waits in the subscriber's file, and all later ones of its subject
//! behind it; others pass. Nothing is left out: what cannot be handled becomes a dead letter, which an operator sees.
//! Not here: threads and wake-ups (`mod`).

use std::collections::BTreeSet;
use std::sync::Arc;

use seam_runtime::call::Failure;
use seam_runtime::remote::{Outbox, Unread};
use seam_runtime::run::{Handled, Undelivered};
use seam_runtime::settings::Subscription;
use seam_store::{
    Database, Error, Event, Source, Transaction, WaitState, Waiting, WaitingCount, fault, limits as stored,
};

use super::handler::{Handler, Note};
use super::tally::Tally;
use crate::limits;
use crate::pause::{pause_ms, pauses_ms};

/// What a step has left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There may be more.
    Now,
    /// An event is tried again at this time, in milliseconds since 1970; `None`: nothing waits.
    Later(Option<u64>),
    /// The subscriber cannot be reached now: why. Not held against any event.
    Away(String),
}

/// A subscription and its publisher.
pub struct Subscriber<'s, H> {
    pub handler: &'s H,
    pub subscription: &'s Subscription,
    pub source: Source,
    /// The publisher's, in this host or on another one.
    pub outbox: Arc<dyn Outbox>,
    /// What is counted for operators.
    pub tally: Arc<Tally>,
}

/// Why a step ended before its end.
enum Stop {
    Away(String),
    /// The publisher's or the subscriber's file does not work now.
    Store(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Unread> for Stop {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Store(error) => Self::Store(error),
            Unread::Elsewhere(failure) => Self::Away(failure.to_string()),
        }
    }
}

impl<H: Handler> Subscriber<'_, H> {
    /// Tries again what is due, then takes the next events.
    pub fn step(&self) -> Next {
        match self.try_step() {
            Ok(next) => next,
            Err(Stop::Away(why)) => Next::Away(why),
            Err(Stop::Store(error)) => Next::Away(error.to_string()),
        }
    }

    fn try_step(&self) -> Result<Next, Stop> {
        let inbox = self.handler.database().map_err(|failure| Stop::Away(failure.to_string()))?;
        let mut count = inbox.waiting_count(&self.source)?;
        let again = count.retry > 0 && self.retry(&inbox)?;
        if again {
            count = inbox.waiting_count(&self.source)?;
        }
        let more = self.take(&inbox, count)?;
        if again || more { Ok(Next::Now) } else { Ok(Next::Later(inbox.next_due(&self.source)?)) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.outbox.clock().wall_ms()
    }

    /// Tries the events that are due, each in a transaction of its own. Whether there may be more of them.
    fn retry(&self, inbox: &Database) -> Result<bool, Stop> {
        let longest = |tries| *pauses_ms(tries, self.subscription.pause_max).end();
        let pauses = (longest(1), longest(u32::MAX));
        let due = inbox.due(&self.source, self.now_ms(), pauses, limits::EVENT_RETRIES_PER_STEP)?;
        for waiting in &due {
            // An operator may have discarded it, or set the subscription back, while those before it were tried.
            let position = waiting.event.position;
            let now = inbox.waiting(&self.source, Some(WaitState::Retry), position, 1)?;
            if now.first().is_none_or(|now| now.event.position != position) {
                continue;
            }
            let note = &mut |tx: &mut Transaction, handled: &[Handled]| match handled {
                [Handled::Rejected(why)] => self.failed_again(tx, waiting, why),
                _ => tx.take_off(&self.source, &waiting.event).map(drop),
            };
            match self.handle(&[&waiting.event], note) {
                Ok(_) => {}
                Err(Undelivered::Event(_, failure)) => {
                    write(inbox, |tx| self.failed_again(tx, waiting, &reason(&failure)))?;
                }
                Err(undelivered) => return Err(stop(undelivered)),
            }
        }
        Ok(!due.is_empty())
    }

    /// Has events handled, and counts those that are done.
    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        let mut done = 0;
        // What is noted apart from the handlers' rows: only where a test has taken the inbox's protection away.
        let mut apart = None;
        fault::point("inbox.before-handler");
        let handled = self.handler.handle(events, &mut |tx, handled| {
            fault::point("inbox.after-handler");
            done = handled.iter().filter(|handled| matches!(handled, Handled::Done)).count();
            match fault::without("inbox-mark") {
                true => apart = Some(handled.to_vec()),
                false => note(tx, handled)?,
            }
            if fault::fails("inbox.before-commit") { Err(fault::error()) } else { Ok(()) }
        })?;
        fault::point("inbox.after-commit");
        if let Some(apart) = apart {
            let inbox = self.handler.database().map_err(Undelivered::Context)?;
            begin(&inbox)
                .and_then(|mut tx| note(&mut tx, &apart).and_then(|()| tx.commit()))
                .map_err(Undelivered::Store)?;
        }
        self.tally.delivered(done);
        Ok(handled)
    }

    /// Notes another try that failed, unless an operator has taken the event off since it was read.
    fn failed_again(&self, tx: &mut Transaction, waiting: &Waiting, reason: &str) -> Result<(), Error> {
        if tx.waits(&self.source, &waiting.event)? { self.failed(tx, waiting, reason) } else { Ok(()) }
    }

    /// Notes a try that failed.
    fn failed(&self, tx: &mut Transaction, waiting: &Waiting, reason: &str) -> Result<(), Error> {
        let tries = waiting.tries.saturating_add(1);
        let state = if tries >= self.subscription.tries { WaitState::Dead } else { WaitState::Retry };
        let due_ms = self.now_ms().saturating_add(pause_ms(tries, self.subscription.pause_max));
        let noted = tx.set_aside(&Waiting { state, tries, due_ms, reason: reason.to_owned(), ..waiting.clone() })?;
        self.tally.failed(noted == WaitState::Dead);
        if noted == WaitState::Dead {
            tracing::error!(
                target: "delivery", publisher = self.source.publisher, interface = self.source.interface,
                position = waiting.event.position, tries, "an event is a dead letter: {reason}"
            );
        }
        Ok(())
    }

    fn aside(&self, event: &Event, state: WaitState) -> Waiting {
        let (source, event) = (self.source.clone(), event.clone());
        Waiting { source, event, state, tries: 0, due_ms: 0, reason: String::new() }
    }

    /// Takes the next page, while so many events wait for another try. Whether there may be more.
    fn take(&self, inbox: &Database, count: WaitingCount) -> Result<bool, Stop> {
        if let Some(why) = full(count) {
            return Err(Stop::Away(why));
        }
        let seen = inbox.seen(&self.source)?;
        let at = seen.unwrap_or(0);
        let page = self.outbox.published(&self.source.interface, at, self.subscription.batch)?;
        // Events behind the cursor show that it belongs to this outbox.
        if seen.is_none() || page.is_empty() {
            self.check_position(seen)?;
        }
        if page.is_empty() {
            // What waits for another try is still missing.
            if !inbox.caught_up(&self.source)? && inbox.waiting_count(&self.source)?.waiting() == 0 {
                write(inbox, |tx| tx.catch_up(&self.source, at))?;
            }
            return Ok(false);
        }
        let subjects = if count.waiting() > 0 { inbox.waiting_subjects(&self.source)? } else { BTreeSet::new() };
        let is_behind = |event: &Event| event.subject.as_ref().is_some_and(|subject| subjects.contains(subject));
        let events: Vec<&Event> = page.iter().filter(|event| !is_behind(event)).collect();
        let Some(last) = page.last() else { return Ok(false) };
        if events.is_empty() {
            write(inbox, |tx| self.note(tx, at, &page, &is_behind, &[], last.position).map(drop))?;
            return Ok(true);
        }
        let deliver = |events: &[&Event], up_to_end: bool| {
            self.handle(events, &mut |tx, handled| {
                // Up to the event before the first one that was not handled.
                let to = match (events.get(handled.len()), up_to_end) {
                    (Some(next), _) => next.position - 1,
                    (None, true) => last.position,
                    (None, false) => events.last().map_or(at, |event| event.position),
                };
                self.note(tx, at, &page, &is_behind, handled, to).map(drop)
            })
        };
        match deliver(&events, true) {
            Ok(_) => Ok(true),
            Err(Undelivered::Event(bad, failure)) => {
                // Those before it are handled without it.
                let mut before = events.get(..bad).unwrap_or_default();
                while !before.is_empty() {
                    // An operator has set the cursor back meanwhile: they come again with all from there on.
                    if inbox.seen(&self.source)?.unwrap_or(0) < at {
                        return Ok(true);
                    }
                    match deliver(before, false) {
                        Ok(handled) => before = before.get(handled..).unwrap_or_default(),
                        Err(Undelivered::Event(..)) => return Ok(true),
                        Err(undelivered) => return Err(stop(undelivered)),
                    }
                }
                if let Some(bad) = events.get(bad) {
                    let (waiting, reason) = (self.aside(bad, WaitState::Retry), reason(&failure));
                    write(inbox, |tx| {
                        if !self.note(tx, at, &page, &is_behind, &[], bad.position - 1)? {
                            return Ok(());
                        }
                        self.failed(tx, &waiting, &reason)?;
                        tx.seen(&self.source, bad.position)
                    })?;
                }
                Ok(true)
            }
            Err(undelivered) => Err(stop(undelivered)),
        }
    }

    /// Notes what became of the events of `page` up to the position `to`: `handled` says it of those that do not wait
    /// behind another. `false`, with nothing noted, if an operator has set the cursor back below `at` since the page
    /// was read: then all of it comes again.
    fn note(
        &self,
        tx: &mut Transaction,
        at: u64,
        page: &[Event],
        is_behind: &dyn Fn(&Event) -> bool,
        handled: &[Handled],
        to: u64,
    ) -> Result<bool, Error> {
        let from = tx.seen_of(&self.source)?.unwrap_or(0);
        if from < at {
            return Ok(false);
        }
        let mut handled = handled.iter();
        for event in page.iter().filter(|event| event.position > from && event.position <= to) {
            if is_behind(event) {
                tx.set_aside(&self.aside(event, WaitState::Behind))?;
                continue;
            }
            match handled.next() {
                Some(Handled::Rejected(why)) => {
                    self.failed(tx, &self.aside(event, WaitState::Retry), why)?;
                }
                Some(Handled::Behind) => drop(tx.set_aside(&self.aside(event, WaitState::Behind))?),
                Some(Handled::Done) | None => {}
            }
        }
        tx.seen(&self.source, to).map(|()| true)
    }

    /// Compares the cursor with the positions that the outbox has given.
    fn check_position(&self, seen: Option<u64>) -> Result<(), Stop> {
        let kept = self.outbox.kept_then()?;
        // A new subscriber starts at the first event that is kept; what was forgotten before is not skipped in silence.
        if seen.is_none() && kept.is_cut {
            tracing::warn!(
                target: "delivery", publisher = self.source.publisher, interface = self.source.interface,
                first = kept.first, "a new subscriber starts at the first event that is still kept"
            );
        }
        match seen {
            Some(at) if kept.last > 0 && at > kept.last => Err(Stop::Away(format!(
                "it has taken events up to {at}, and the publisher has given positions up to {} only: is its file the \
                 right one?",
                kept.last
            ))),
            _ => Ok(()),
        }
    }
}

/// Why a subscription takes no further events, if so many are set aside already.
fn full(count: WaitingCount) -> Option<String> {
    let (waiting_max, dead_max) = (stored::EVENT_WAITING_MAX, stored::EVENT_DEAD_MAX);
    if count.dead >= u64::from(dead_max) {
        return Some(format!(
            "it has {dead_max} dead letters, and no more are kept; it takes further events once some are retried or \
             discarded: `seam events list SUBSCRIBER --dead` shows them"
        ));
    }
    (count.waiting() >= u64::from(waiting_max)).then(|| {
        format!("{waiting_max} of its events wait for another try; it takes further ones when some of them are done")
    })
}

fn begin(inbox: &Database) -> Result<Transaction, Error> {
    inbox.begin(inbox.clock().now() + std::time::Duration::from_millis(limits::EVENT_CALL_MS))
}

fn write(inbox: &Database, write: impl Fn(&mut Transaction) -> Result<(), Error>) -> Result<(), Stop> {
    let mut tx = begin(inbox)?;
    write(&mut tx)?;
    fault::point("inbox.set-aside");
    Ok(tx.commit()?)
}

fn stop(undelivered: Undelivered) -> Stop {
    match undelivered {
        Undelivered::Event(_, failure) | Undelivered::Context(failure) => Stop::Away(failure.to_string()),
        Undelivered::Store(error) => Stop::Store(error),
    }
}

fn reason(failure: &Failure) -> String {
    failure.to_string()
}
