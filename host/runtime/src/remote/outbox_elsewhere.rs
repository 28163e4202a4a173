//! The outbox of a context that lives on another host, as one of its subscribers reads it.
//!
//! Invariants: each question for events says how far the subscriber durably is. While nothing is to be read, one
//! question waits at the other host for the next event, and no other is asked; its answer is kept for the subscriber,
//! which is woken. After a question that failed, those of the subscriber fail in the same way for a while, unasked.
//! Not here: who takes the events, and how they get their effect once (the crate `seam`, `delivery`).

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Bounds, Event, Kept, Kind, Listener, Span, blocking};
use tokio::task::AbortHandle;

use super::Carrier;
use super::outbox::{Ask, Asked, Asking, Outbox, Page, Question, Reply, Unread};
use crate::call::Failure;
use crate::limits;

pub struct OutboxElsewhere {
    asker: Asker,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

/// Who asks, and whom.
#[derive(Clone)]
struct Asker {
    subscriber: ContextName,
    publisher: ContextName,
    carrier: Arc<dyn Carrier>,
}

#[derive(Default)]
struct State {
    /// The events after a position, which the subscriber has not taken yet.
    ready: Option<(u64, Vec<Event>)>,
    watch: Option<Watch>,
    watches: u64,
    /// As the last answer says.
    kept: Kept,
    /// Questions in a row that failed.
    failures: u32,
    /// The last failure, and until when nothing is asked.
    failed: Option<(Failure, Instant)>,
    listener: Option<Weak<Listener>>,
}

/// A question that waits at the other host, for the first event after a position.
struct Watch {
    id: u64,
    after: u64,
    task: Option<AbortHandle>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl State {
    /// Whether nothing was published after this position, as far as is known.
    fn is_at_end(&self, after: u64) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.after == after)
    }

    /// For the task of the watch, which ends by itself.
    fn end_watch(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            watch.task = None;
        }
    }
}

impl Asker {
    fn asking(&self, interface: &str, question: Question) -> Asking {
        let wait = if let Question::Page { wait, .. } = &question { *wait } else { Duration::ZERO };
        self.carrier.ask(Ask {
            subscriber: self.subscriber.clone(),
            publisher: self.publisher.clone(),
            interface: interface.to_owned(),
            question,
            remaining: wait + Duration::from_millis(limits::OUTBOX_ASK_MS),
        })
    }

    fn strange(&self) -> Failure {
        let reason = "its host gives the answer to another question".to_owned();
        Failure::Absent { context: self.publisher.to_string(), reason }
    }
}

impl OutboxElsewhere {
    pub fn new(subscriber: ContextName, publisher: ContextName, carrier: Arc<dyn Carrier>, clock: Clock) -> Self {
        Self { asker: Asker { subscriber, publisher, carrier }, clock, state: Arc::default() }
    }

    /// Asks, and waits for the answer; after a failure, not for a while.
    fn ask(&self, interface: &str, question: Question) -> Result<Reply, Unread> {
        let now = self.clock.now();
        if let Some((failure, until)) = &self.state.lock().failed
            && now < *until
        {
            return Err(Unread::Elsewhere(failure.clone()));
        }
        self.ask_now(interface, question)
    }

    fn ask_now(&self, interface: &str, question: Question) -> Result<Reply, Unread> {
        let asked = blocking::block_on(self.asker.asking(interface, question));
        let mut state = self.state.lock();
        match asked {
            Ok(reply) => {
                (state.failures, state.failed) = (0, None);
                Ok(reply)
            }
            Err(failure) => {
                let (first, longest) = (limits::OUTBOX_PAUSE_MS, limits::OUTBOX_PAUSE_MS_MAX);
                let pause = first.saturating_mul(1 << state.failures.min(16)).min(longest);
                state.failures = state.failures.saturating_add(1);
                state.failed = Some((failure.clone(), self.clock.now() + Duration::from_millis(pause)));
                Err(Unread::Elsewhere(failure))
            }
        }
    }

    fn page(&self, interface: &str, after: u64, most: u32, taken: Option<u64>) -> Result<Page, Unread> {
        match self.ask(interface, Question::Page { after, most, wait: Duration::ZERO, taken })? {
            Reply::Page(page) => Ok(page),
            _ => Err(Unread::Elsewhere(self.asker.strange())),
        }
    }

    /// Has a question wait for the first event after a position.
    fn watch(&self, state: &mut State, interface: &str, after: u64, most: u32) {
        state.watches += 1;
        let id = state.watches;
        let watching = Watching {
            id,
            after,
            most,
            interface: interface.to_owned(),
            asker: self.asker.clone(),
            state: Arc::downgrade(&self.state),
        };
        // It finds the watch there: the state is locked.
        let task = blocking::spawn(watching.run());
        state.watch = task.map(|task| Watch { id, after, task: Some(task) });
    }
}

struct Watching {
    id: u64,
    after: u64,
    most: u32,
    interface: String,
    asker: Asker,
    state: Weak<Mutex<State>>,
}

impl Watching {
    /// Asks until there is an event, or until there is no answer: then the subscriber itself asks again.
    async fn run(self) {
        let (after, most, wait) = (self.after, self.most, Duration::from_millis(limits::OUTBOX_WAIT_MS));
        loop {
            let asked = Instant::now();
            let page = Question::Page { after, most, wait, taken: Some(after) };
            let reply = self.asker.asking(&self.interface, page).await;
            if !self.goes_on(reply) {
                return;
            }
            // A host that does not wait is not asked all the time.
            tokio::time::sleep(wait.saturating_sub(asked.elapsed()).min(wait / 30)).await;
        }
    }

    /// Takes the answer. Whether the question is asked again.
    fn goes_on(&self, reply: Asked) -> bool {
        let Some(state) = self.state.upgrade() else { return false };
        let mut state = state.lock();
        if state.watch.as_ref().is_none_or(|watch| watch.id != self.id) {
            return false;
        }
        // Without it, no delivery runs any more.
        let listener = state.listener.as_ref().and_then(Weak::upgrade);
        if let (Ok(Reply::Page(page)), Some(listener)) = (reply, listener) {
            state.kept = page.kept;
            if page.events.is_empty() {
                return true;
            }
            state.ready = Some((self.after, page.events));
            state.end_watch();
            drop(state);
            listener();
        } else {
            state.end_watch();
        }
        false
    }
}

impl Outbox for OutboxElsewhere {
    fn published(&self, interface: &str, after: u64, most: u32) -> Result<Vec<Event>, Unread> {
        let mut state = self.state.lock();
        match state.ready.take() {
            Some((at, events)) if at == after => return Ok(events),
            _ if state.is_at_end(after) => return Ok(Vec::new()),
            _ => state.watch = None,
        }
        drop(state);
        let page = self.page(interface, after, most, Some(after))?;
        let mut state = self.state.lock();
        state.kept = page.kept;
        // A subscriber that is not to be woken asks each time.
        if page.events.is_empty() && state.listener.as_ref().is_some_and(|listener| listener.strong_count() > 0) {
            self.watch(&mut state, interface, after, most);
        }
        Ok(page.events)
    }

    fn published_at(&self, interface: &str, position: u64) -> Result<Option<Event>, Unread> {
        let Some(after) = position.checked_sub(1) else { return Ok(None) };
        let events = self.page(interface, after, 1, None)?.events;
        Ok(events.into_iter().next().filter(|event| event.position == position))
    }

    fn kept(&self, interface: &str) -> Result<Kept, Unread> {
        Ok(self.page(interface, u64::MAX >> 1, 1, None)?.kept)
    }

    fn kept_then(&self) -> Result<Kept, Unread> {
        Ok(self.state.lock().kept)
    }

    fn hold(&self, interface: &str, at: u64) -> Result<Kept, Unread> {
        Ok(self.page(interface, at, 1, Some(at))?.kept)
    }

    fn span(&self, interface: &str, after: u64, up_to: u64, most: u32) -> Result<Span, Unread> {
        if up_to == u64::MAX && self.state.lock().is_at_end(after) {
            return Ok(Span::default());
        }
        match self.ask(interface, Question::Span { after, up_to, most })? {
            Reply::Span(span) => Ok(span),
            _ => Err(Unread::Elsewhere(self.asker.strange())),
        }
    }

    fn kinds(&self, interface: &str, after: u64) -> Result<Vec<Kind>, Unread> {
        match self.ask(interface, Question::Kinds { after })? {
            Reply::Kinds(kinds) => Ok(kinds),
            _ => Err(Unread::Elsewhere(self.asker.strange())),
        }
    }

    fn bounds(&self, interface: &str, at: u64) -> Result<Bounds, Unread> {
        // An operator asks, and once: the pause is for deliveries, which ask again and again.
        match self.ask_now(interface, Question::Bounds { at })? {
            Reply::Bounds(bounds) => Ok(bounds),
            _ => Err(Unread::Elsewhere(self.asker.strange())),
        }
    }

    fn listen(&self, listener: &Arc<Listener>) {
        self.state.lock().listener = Some(Arc::downgrade(listener));
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
