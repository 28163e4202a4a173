//! The sagas of one context that threads have in hand.
//!
//! Invariant: a saga is in one hand at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::{Database, Error};

use super::engine::{Engine, Left};
use super::performer::Performer;
use crate::limits;

/// The kind and the id of a saga.
pub type Name = (String, String);

pub struct Desk<P> {
    context: String,
    engine: Engine<P>,
    clock: Clock,
    /// Whether sagas of the file may have changed since it was looked at.
    changed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_hand: BTreeSet<Name>,
    /// Sagas at which a thread panicked, and until when they are left alone: others must have their turn.
    paused: BTreeMap<Name, Instant>,
    /// When it is looked at again although nothing has changed.
    look_at: Option<Instant>,
    /// Until when the context is left alone, and why.
    away: Option<(Instant, String)>,
}

impl<P: Performer> Desk<P> {
    pub fn new(context: String, performer: P, clock: Clock) -> Self {
        let (changed, state) = (AtomicBool::new(true), Mutex::default());
        Self { context, engine: Engine::new(performer), clock, changed, state }
    }

    /// Sagas of the file may have changed.
    pub fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Takes sagas that are due, as many as may be in hand, and returns how long there is nothing more to take, unless
    /// something changes.
    pub fn take(&self, database: &Database, mut hand_out: impl FnMut(Name)) -> Duration {
        let (look, now) = (Duration::from_millis(limits::SAGA_LOOK_MS), self.clock.now());
        let mut state = self.state.lock();
        if let Some((until, _)) = &state.away
            && *until > now
        {
            return *until - now;
        }
        let has_changed = self.changed.swap(false, Ordering::AcqRel);
        if let Some(at) = state.look_at.filter(|at| *at > now && !has_changed) {
            return at - now;
        }
        state.paused.retain(|_, until| *until > now);
        let found = self.due(database, &state);
        let wait = match &found {
            Ok((_, next_ms)) => next_ms.map_or(look, |next| Duration::from_millis(next).min(look)),
            // The file is looked at again; a store that does not work says so itself.
            Err(_) => look,
        };
        for name in found.map(|(due, _)| due).unwrap_or_default() {
            state.in_hand.insert(name.clone());
            hand_out(name);
        }
        state.look_at = Some(now + wait);
        wait
    }

    /// Those that are due and may be taken, and in how many milliseconds the next one is due.
    fn due(&self, database: &Database, state: &State) -> Result<(Vec<Name>, Option<u64>), Error> {
        let now_ms = self.clock.wall_ms();
        let Some(next_ms) = database.next_saga_due()? else { return Ok((Vec::new(), None)) };
        if next_ms > now_ms {
            return Ok((Vec::new(), Some(next_ms - now_ms)));
        }
        let (in_hand, paused) = (&state.in_hand, &state.paused);
        let room = limits::SAGA_WORKERS_PER_CONTEXT.saturating_sub(in_hand.len());
        // In the file, those in hand are due as well.
        let page = u32::try_from(room + in_hand.len() + paused.len()).unwrap_or(u32::MAX);
        let due = database.sagas_due(now_ms, page)?.into_iter().map(|saga| (saga.kind, saga.id));
        // A thread that is done with one looks for the next one.
        let is_free = |name: &Name| !in_hand.contains(name) && !paused.contains_key(name);
        Ok((due.filter(is_free).take(room).collect(), None))
    }

    /// Performs a saga that is in hand, and lays it down.
    pub fn perform(&self, name: &Name) {
        // Also when this thread unwinds.
        let _in_hand = InHand { desk: self, name };
        let left = self.engine.drive(&name.0, &name.1);
        self.note(left);
    }

    /// Notes whether the context can be used, and says so if that is news.
    fn note(&self, left: Left) {
        let mut state = self.state.lock();
        let why = match left {
            Left::Written => None,
            Left::Away(why) => Some(why),
        };
        let (context, was) = (&self.context, state.away.take().map(|(_, why)| why));
        match (&was, &why) {
            (Some(_), None) => tracing::info!(target: "sagas", context, "sagas go on"),
            (was, Some(why)) if was.as_ref() != Some(why) => {
                tracing::warn!(target: "sagas", context, "sagas wait, and go on once it works: {why}");
            }
            _ => {}
        }
        let until = self.clock.now() + Duration::from_millis(limits::SAGA_LOOK_MS);
        state.away = why.map(|why| (until, why));
    }
}

struct InHand<'d, P: Performer> {
    desk: &'d Desk<P>,
    name: &'d Name,
}

impl<P: Performer> Drop for InHand<'_, P> {
    fn drop(&mut self) {
        let mut state = self.desk.state.lock();
        state.in_hand.remove(self.name);
        if std::thread::panicking() {
            let (kind, id) = self.name;
            tracing::error!(target: "sagas", context = self.desk.context, kind, id, "performing a saga panicked");
            let until = self.desk.clock.now() + Duration::from_millis(limits::SAGA_LOOK_MS);
            state.paused.insert(self.name.clone(), until);
        }
        drop(state);
        self.desk.note_change();
    }
}
