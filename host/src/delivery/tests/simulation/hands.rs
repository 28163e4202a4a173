//! The subscriber of the simulation: a handler with tempers, crashes, and operators who act while it works.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::super::*;
use super::elsewhere::Elsewhere;
use super::soon;

/// What the handler does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    Fine,
    /// Fails so often, then works.
    Rejects(u32),
    Traps(u32),
}

pub const FOR_EVER: u32 = u32::MAX;

/// Where the host ends during a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    BeforeCommit,
    /// It is durable, and the host ends before it hears of it.
    AfterCommit,
}

/// What an operator does.
#[derive(Debug, Clone)]
pub enum Deed {
    Replay(Source, u64),
    Discard(Source, Event),
    Retry(Source, Option<u64>),
}

impl Deed {
    /// Says of an event that was on its way at that time, and was done, whether the operator's deed met it.
    fn perform(&self, inbox: &Database) -> Box<dyn Fn(&Event) -> bool> {
        match self.clone() {
            Self::Replay(source, from) => {
                let sets_back = inbox.seen(&source).unwrap().is_some_and(|at| at >= from);
                inbox.take_again(&source, from).unwrap();
                let publisher = format!("{}/", source.publisher);
                Box::new(move |done| sets_back && done.position >= from && done.data.starts_with(&publisher))
            }
            Self::Discard(source, event) => {
                inbox.discard(&source, &event).unwrap();
                Box::new(move |done| done.data == event.data)
            }
            Self::Retry(source, position) => {
                inbox.try_again(&source, position).unwrap();
                Box::new(|_| false)
            }
        }
    }
}

/// The subscriber's context.
pub struct Hands {
    /// `None` only while the host is down.
    pub inbox: Option<Arc<Database>>,
    pub away: Cell<bool>,
    pub tempers: RefCell<BTreeMap<String, Temper>>,
    pub crash: Cell<Option<Crash>>,
    /// What an operator does when the next delivery is on its way, and which of its events were done all the same.
    pub meanwhile: RefCell<Option<Deed>>,
    pub on_the_way: RefCell<Vec<String>>,
    /// The other host, if the publishers live there.
    pub elsewhere: Option<Elsewhere>,
}

impl Hands {
    pub fn inbox(&self) -> &Arc<Database> {
        self.inbox.as_ref().unwrap()
    }

    /// As an operator does it: the publishers' host learns first how far a subscription is set back.
    pub fn perform(&self, deed: &Deed) -> Box<dyn Fn(&Event) -> bool> {
        if let (Some(elsewhere), Deed::Replay(source, from)) = (&self.elsewhere, deed) {
            elsewhere.hold(source, self.inbox().seen(source).unwrap().unwrap_or(0).min(from - 1));
        }
        deed.perform(self.inbox())
    }

    /// Whether this event fails now.
    fn fails(&self, data: &str) -> Option<Temper> {
        let mut tempers = self.tempers.borrow_mut();
        let temper = tempers.get_mut(data).unwrap();
        let now = *temper;
        match temper {
            Temper::Fine | Temper::Rejects(0) | Temper::Traps(0) => return None,
            Temper::Rejects(FOR_EVER) | Temper::Traps(FOR_EVER) => {}
            Temper::Rejects(left) | Temper::Traps(left) => *left -= 1,
        }
        Some(now)
    }
}

fn crashed() -> Undelivered {
    Undelivered::Store(seam_store::Error::Unavailable("the host has crashed".into()))
}

impl Handler for Hands {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        match self.away.get() {
            true => Err(Failure::Absent { context: "shelf".into(), reason: "away".into() }),
            false => Ok(self.inbox().clone()),
        }
    }

    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        let deed = self.meanwhile.borrow_mut().take();
        let meets = deed.map(|deed| self.perform(&deed));
        let mut tx = self.inbox().begin(soon()).map_err(Undelivered::Store)?;
        let fate = |event: &Event| match self.fails(&event.data) {
            None => Fate::Fine,
            Some(Temper::Traps(_)) => Fate::Traps,
            Some(_) => Fate::Rejects,
        };
        let handled = Rows { tx: &mut tx, events, fate: &fate, now: Instant::now() }.handle()?;
        note(&mut tx, &handled).map_err(Undelivered::Store)?;
        if self.crash.get() == Some(Crash::BeforeCommit) {
            return Err(crashed());
        }
        tx.commit().map_err(Undelivered::Store)?;
        if let Some(meets) = meets {
            let done = events.iter().zip(&handled).filter(|(_, handled)| **handled == Handled::Done);
            let met = done.map(|(event, _)| event).filter(|event| meets(event));
            *self.on_the_way.borrow_mut() = met.map(|event| event.data.clone()).collect();
        }
        if self.crash.get() == Some(Crash::AfterCommit) { Err(crashed()) } else { Ok(handled.len()) }
    }
}
