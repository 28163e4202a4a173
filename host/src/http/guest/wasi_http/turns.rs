//! Whose turn it is while a `wasi:http` request is served: the guest's, to write, or its client's, to read and to send.
//!
//! The guest's `timeout_ms` runs in its own turns only: until its head, and again from each time that the client asks
//! for more. So a slow client uses up none of the guest's time, and a stream may last. Each turn of the client is
//! bounded as well: its connection ends when it stalls, and `Upload` ends a body that is too slow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::call::{MovingDeadline, OutOfTime};
use tokio::sync::watch;

use crate::http::request_error::RequestError;

/// The turns of one request.
pub struct Turns(watch::Sender<State>);

struct State {
    turn: Turn,
    /// When this turn started, and when it is over.
    since: Instant,
    until: Instant,
    /// While the guest waits for a piece of the request's body.
    upload: Option<Wait>,
    /// How long the guest has waited for its client.
    waited: Duration,
    upload_fault: Option<UploadFault>,
    /// The guest's time for one turn, and the client's.
    guest_time: Duration,
    client_time: Duration,
    /// What the guest's own calls and statements go by; `None` until it starts.
    deadline: Option<Arc<MovingDeadline>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Guest,
    /// The client has a piece of the answer and has not asked for the next one.
    Client,
    /// The client has left, or wanted the head only. What the guest still writes is read and forgotten.
    Left,
    /// The same, but the guest wrote too much of it, and found its stream closed.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Instant,
    ends: Instant,
}

/// Why a guest did not get the whole body of a request: the client's fault, not the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadFault {
    TooLarge,
    TooSlow,
    Cut,
}

impl From<UploadFault> for RequestError {
    fn from(fault: UploadFault) -> Self {
        match fault {
            UploadFault::TooLarge => Self::BodyTooLarge,
            UploadFault::TooSlow => Self::BodyTooSlow,
            UploadFault::Cut => Self::BodyCut,
        }
    }
}

impl State {
    fn until(&self) -> Instant {
        match self.upload {
            // The guest may do other things meanwhile; so its time goes on when the upload has to have ended.
            Some(wait) if self.turn == Turn::Guest => wait.ends + self.until.saturating_duration_since(wait.since),
            _ => self.until,
        }
    }

    fn turn_to(&mut self, turn: Turn, time: Duration, now: Instant) {
        if self.turn == Turn::Client {
            self.waited += now.saturating_duration_since(self.since);
        }
        (self.turn, self.since, self.until) = (turn, now, now + time);
    }
}

impl Turns {
    /// The guest's turn, until `until`. A turn of the client lasts at most `client_time`.
    pub fn new(until: Instant, client_time: Duration) -> Self {
        let now = Instant::now();
        Self(watch::Sender::new(State {
            turn: Turn::Guest,
            since: now,
            until,
            upload: None,
            waited: Duration::ZERO,
            upload_fault: None,
            guest_time: until.saturating_duration_since(now),
            client_time,
            deadline: None,
        }))
    }

    fn change(&self, change: impl FnOnce(&mut State, Instant) -> bool) {
        self.0.send_if_modified(|state| {
            let changed = change(state, Instant::now());
            if changed && let Some(deadline) = &state.deadline {
                deadline.move_to(state.until());
            }
            changed
        });
    }

    /// The guest starts, with the time that its context gives it at most.
    pub fn start(&self, deadline: Arc<MovingDeadline>, timeout: Duration) {
        self.change(|state, _| {
            state.guest_time = state.guest_time.min(timeout);
            state.until = deadline.get();
            state.deadline = Some(deadline);
            true
        });
    }

    /// The client gets a piece of the answer, or its head.
    pub fn delivered(&self) {
        self.change(|state, now| {
            let changed = state.turn == Turn::Guest;
            if changed {
                state.turn_to(Turn::Client, state.client_time, now);
            }
            changed
        });
    }

    /// The client wants the next piece.
    pub fn asked(&self) {
        self.change(|state, now| {
            let changed = state.turn == Turn::Client;
            if changed {
                state.turn_to(Turn::Guest, state.guest_time, now);
            }
            changed
        });
    }

    /// The client has left: the guest gets no more time than for one turn.
    pub fn left(&self) {
        self.change(|state, now| {
            let time = match state.turn {
                Turn::Guest => state.until.saturating_duration_since(now),
                _ => state.guest_time,
            };
            state.turn_to(Turn::Left, time, now);
            true
        });
    }

    /// What the guest writes is not even read any more.
    pub fn closed(&self) {
        self.change(|state, _| {
            state.turn = Turn::Closed;
            true
        });
    }

    /// The guest waits for the request's body, which has to go on until `ends`.
    pub fn upload_waits(&self, ends: Instant) {
        self.change(|state, now| {
            let changed = state.upload.is_none();
            state.upload.get_or_insert(Wait { since: now, ends });
            changed
        });
    }

    /// The guest got what it waited for.
    pub fn upload_resumes(&self) {
        self.change(|state, now| {
            let Some(wait) = state.upload.take() else { return false };
            let waited = now.saturating_duration_since(wait.since);
            if state.turn == Turn::Guest {
                state.until += waited;
                state.waited += waited;
            }
            true
        });
    }

    /// The guest does not get the rest of the body.
    pub fn upload_failed(&self, fault: UploadFault) {
        self.change(|state, _| {
            state.upload_fault.get_or_insert(fault);
            true
        });
    }

    /// Ready when the upload has failed.
    pub async fn upload_fault(&self) -> UploadFault {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(fault) = changes.borrow_and_update().upload_fault {
                return fault;
            }
            // Does not fail, as `self` is the sender.
            let _ = changes.changed().await;
        }
    }

    /// Whether the guest did not get the whole body of the request.
    pub fn lacks_upload(&self) -> bool {
        self.0.borrow().upload_fault.is_some()
    }

    /// Ready when a turn has lasted too long.
    pub async fn over(&self) -> OutOfTime {
        let mut changes = self.0.subscribe();
        loop {
            let until = changes.borrow_and_update().until();
            if Instant::now() >= until {
                return OutOfTime;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// How long the guest has waited for its client.
    pub fn waited(&self) -> Duration {
        let state = self.0.borrow();
        let more = if state.turn == Turn::Client { state.since.elapsed() } else { Duration::ZERO };
        state.waited + more
    }

    /// Whether `error`, with which the guest ended, came from what its client did or did not do.
    pub fn excuse(&self, error: &wasmtime::Error) -> bool {
        let state = self.0.borrow();
        state.upload_fault.is_some()
            || match state.turn {
                Turn::Guest => false,
                Turn::Client | Turn::Left => error.is::<OutOfTime>(),
                Turn::Closed => true,
            }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GUEST: Duration = Duration::from_secs(5);
    const CLIENT: Duration = Duration::from_secs(600);

    fn turns() -> (Turns, Arc<MovingDeadline>) {
        let until = Instant::now() + GUEST;
        let (turns, deadline) = (Turns::new(until, CLIENT), Arc::new(MovingDeadline::new(until)));
        turns.start(deadline.clone(), GUEST);
        (turns, deadline)
    }

    fn late() -> wasmtime::Error {
        OutOfTime.into()
    }

    #[test]
    fn the_guest_has_its_time_again_whenever_the_client_asks_for_more() {
        let (turns, deadline) = turns();
        let first = deadline.get();
        turns.delivered();
        assert!(deadline.get() > first + CLIENT / 2, "the client's turn is longer than the guest's");
        assert!(turns.excuse(&late()));
        turns.asked();
        let second = deadline.get();
        assert!(second > first && second <= Instant::now() + GUEST);
        assert!(!turns.excuse(&late()), "its own turn");
        turns.asked();
        assert_eq!(deadline.get(), second, "asking twice gives no more time");
    }

    #[test]
    fn a_client_that_left_gives_no_more_time() {
        let (turns, deadline) = turns();
        turns.delivered();
        turns.left();
        let last = deadline.get();
        assert!(last <= Instant::now() + GUEST);
        turns.delivered();
        turns.asked();
        assert_eq!(deadline.get(), last);
        assert!(turns.excuse(&late()) && !turns.excuse(&wasmtime::format_err!("a trap")));
        turns.closed();
        assert!(turns.excuse(&wasmtime::format_err!("a trap")));
    }

    #[test]
    fn waiting_for_an_upload_is_given_back_and_bounded() {
        let (turns, deadline) = turns();
        let first = deadline.get();
        let ends = Instant::now() + Duration::from_secs(20);
        turns.upload_waits(ends);
        let bound = deadline.get();
        assert!(bound > ends && bound <= ends + GUEST);
        turns.upload_waits(ends + GUEST);
        assert_eq!(deadline.get(), bound, "the wait has started already");
        turns.upload_resumes();
        assert!(deadline.get() >= first && deadline.get() < first + GUEST);
        assert!(!turns.excuse(&late()));
        turns.upload_failed(UploadFault::TooSlow);
        turns.upload_failed(UploadFault::Cut);
        assert!(turns.excuse(&wasmtime::format_err!("a trap")));
        assert_eq!(turns.0.borrow().upload_fault, Some(UploadFault::TooSlow), "the first one counts");
    }
}
