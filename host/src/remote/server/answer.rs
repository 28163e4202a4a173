//! One call of another host, or question for events or a total: whether it is allowed, its arguments, its answer.
//!
//! Invariant: the work ends early once its caller has gone away, however that shows: `cancelled` is true from then on.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use seam_runtime::call::Failure;
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::remote::{Ask, Carried, Head};
use seam_runtime::two_phase::Request as Asked;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::receive::{Running, receive};
use super::shared::{Connected, Phase, Shared};
use super::sheet::{self, Sheet};
use super::step;

use crate::remote::admit::admit;
use crate::remote::wire::{self, Rejection, Wanted};

/// What is known at once, or comes piece by piece.
type Answer = Either<Full<Bytes>, Sheet>;

/// Answers a greeting, a call or a question.
pub async fn respond(shared: &Arc<Shared>, connected: &Arc<Connected>, request: Request<Incoming>) -> Response<Answer> {
    let at_once = |response: Response<Full<Bytes>>| response.map(Either::Left);
    let (parts, body) = request.into_parts();
    let rejection = match admitted(shared, connected, &parts) {
        Ok(Wanted::Greeting) => return at_once(wire::greeted()),
        Ok(Wanted::Step(asked)) => match step::take(shared, connected, asked, body).await {
            Ok(carried) => return at_once(wire::carried(carried)),
            Err(rejection) => rejection,
        },
        Ok(Wanted::Transaction(asked)) => {
            let carried = settle(shared, connected, asked).await;
            shared.metrics.answered_ask(&connected.names.host, wire::answered(&carried));
            return at_once(wire::carried(carried));
        }
        Ok(Wanted::Events(ask)) => {
            let carried = events(shared, connected, ask).await;
            shared.metrics.answered_ask(&connected.names.host, wire::answered(&carried));
            return at_once(wire::carried(carried));
        }
        Ok(Wanted::Total(ask)) => {
            let (carried, sheet) = match sheet::open(shared, connected, ask).await {
                Ok(sheet) => (Ok(Bytes::new()), Some(sheet)),
                Err(failure) => (Err(failure), None),
            };
            shared.metrics.answered_ask(&connected.names.host, wire::answered(&carried));
            return wire::carried(carried).map(|reason| sheet.map_or(Either::Left(reason), Either::Right));
        }
        Ok(Wanted::Call(head)) => match call(shared, connected, head, body).await {
            Ok(carried) => {
                shared.metrics.answered(&connected.names.host, wire::answered(&carried));
                return at_once(wire::carried(carried));
            }
            Err(rejection) => rejection,
        },
        Err(rejection) => rejection,
    };
    const PATH_SHOWN: usize = 300;
    let path = parts.uri.path();
    let asked = format!("`{} {}`", parts.method, path.get(..PATH_SHOWN).unwrap_or(path));
    shared.refusals.log(&connected.who(), &asked, &rejection.to_string(), rejection.remedy());
    if connected.is_known {
        shared.metrics.answered(&connected.names.host, rejection.name());
    }
    at_once(wire::rejected(&rejection))
}

/// What is asked for, if the other host may ask for it.
fn admitted(shared: &Shared, connected: &Connected, parts: &request::Parts) -> Result<Wanted, Rejection> {
    let (names, is_known) = (&connected.names, connected.is_known);
    if !is_known {
        admit(names, is_known, &*shared.allow, &Wanted::Greeting)?;
    }
    let wanted = wire::read(parts, &shared.system)?;
    admit(names, is_known, &*shared.allow, &wanted)?;
    Ok(wanted)
}

/// Does a step of a transaction, to its end: in a task of its own.
async fn settle(shared: &Arc<Shared>, connected: &Arc<Connected>, asked: Asked) -> Carried {
    connected.calls.fetch_add(1, Relaxed);
    let running = Running::new(connected.clone());
    let context = asked.asked().to_string();
    let Ok(place) = shared.asks.clone().try_acquire_owned() else { return Err(Failure::Overloaded { context }) };
    let answers = shared.answers.clone();
    let settled = tokio::spawn(async move {
        let settled = answers.settle(asked).await;
        drop((running, place));
        settled
    });
    let settled = settled.await.unwrap_or_else(|error| {
        tracing::error!(target: "remote", context, %error, "a step of a transaction failed in the host");
        Err(Failure::Absent { context, reason: "its host failed".to_owned() })
    });
    settled.map(|reply| wire::two_phase::body(&reply))
}

/// Answers a question for events; it may wait for one. Nothing is left behind when its asker goes away.
async fn events(shared: &Arc<Shared>, connected: &Arc<Connected>, ask: Ask) -> Carried {
    connected.calls.fetch_add(1, Relaxed);
    let _running = Running::new(connected.clone());
    let context = ask.publisher.to_string();
    let Ok(_place) = shared.asks.try_acquire() else { return Err(Failure::Overloaded { context }) };
    let mut phases = shared.phases.clone();
    let answer = timeout(ask.remaining, shared.answers.clone().ask(ask));
    tokio::select! {
        asked = answer => match asked {
            Ok(asked) => asked.map(|reply| wire::outbox::body(&reply)),
            Err(_) => Err(Failure::TimedOut { context }),
        },
        _ = phases.wait_for(|phase| *phase >= Phase::Draining) => {
            Err(Failure::Absent { context, reason: "its host stops".to_owned() })
        }
    }
}

/// # Errors
/// When the arguments do not arrive in full.
async fn call(
    shared: &Arc<Shared>,
    connected: &Arc<Connected>,
    mut head: Head,
    body: Incoming,
) -> Result<Carried, Rejection> {
    let started = Instant::now();
    let context = head.context.to_string();
    connected.calls.fetch_add(1, Relaxed);
    let Ok(place) = shared.calls.clone().try_acquire_owned() else {
        return Ok(Err(Failure::Overloaded { context }));
    };
    let (arguments, room) = match timeout(head.remaining, receive(shared, body)).await {
        Ok(received) => received?,
        Err(_) => return Ok(Err(Failure::TimedOut { context })),
    };
    head.remaining = head.remaining.saturating_sub(started.elapsed());
    let work = Work { head, arguments, cancelled: Arc::default(), _permits: (place, room) };
    let gone = Gone(work.cancelled.clone());
    let running = Running::new(connected.clone());
    let shared = shared.clone();
    // A task of its own: this one must be free to notice that the caller goes away. It starts on this worker.
    let answered = tokio::spawn(async move {
        // All of it: its permits stay until the work has ended, also when the caller is gone before.
        let work = work;
        let answer = shared.answers.clone().answer(work.head, work.arguments, work.cancelled);
        let carried = answer.await;
        drop(running);
        carried
    });
    let carried = answered.await;
    drop(gone);
    Ok(carried.unwrap_or_else(|error| {
        tracing::error!(target: "remote", context, %error, "answering a call of another host failed in the host");
        Err(Failure::Absent { context, reason: "its host failed".to_owned() })
    }))
}

/// A call that is being performed.
struct Work {
    head: Head,
    arguments: Bytes,
    cancelled: Arc<CutOff>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Says that the caller has gone away, when it is dropped.
struct Gone(Arc<CutOff>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.give();
    }
}
