//! One call of another host, or question for events or a total: whether it is allowed, its arguments, its answer.
//!
//! Invariant: the work ends early once its caller has gone away, however that shows: `cancelled` is true from then on.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, request};
use seam_runtime::call::Failure;
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::remote::{Ask, Carried, Head};
use seam_runtime::two_phase::Request as Asked;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::receive::{Running, receive};
use super::shared::{Connected, Phase, Shared};
use super::sheet::{self, Sheet};
use super::step;
use crate::remote::admit::admit;
use crate::remote::http2::{self, Body};
use crate::remote::wire::{self, Rejection, Wanted};

/// An answer, as its connection sends it.
enum Answer {
    AtOnce(Response<Bytes>),
    /// What comes piece by piece.
    Sheet(Sheet),
}

/// Has one request answered by a task of its own, which works while the connection reads on. The future that it returns
/// sends the answer: poll it with the connection, so that an answer leaves in one packet. When it is dropped, or the
/// caller goes away, the work ends early.
pub fn serve(
    shared: Arc<Shared>,
    connected: Arc<Connected>,
    request: Request<RecvStream>,
    mut stream: SendResponse<Bytes>,
) -> impl Future<Output = ()> + Send {
    let gone = Gone::default();
    let (tell, answer) = oneshot::channel();
    let (who, cancelled) = (connected.clone(), gone.0.clone());
    tokio::spawn(async move {
        // Its caller may have gone away.
        drop(tell.send(respond(&shared, &connected, request, cancelled).await));
    });
    async move {
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
        };
        drop(gone);
        let sent = match answer {
            Ok(Answer::AtOnce(response)) => {
                let (mut parts, body) = response.into_parts();
                http2::state_length(&mut parts.headers, &body);
                let sent = stream.send_response(Response::from_parts(parts, ()), body.is_empty());
                sent.and_then(|stream| http2::send_body(stream, body)).map(drop)
            }
            Ok(Answer::Sheet(sheet)) => {
                let head = wire::carried(Ok(Bytes::new())).map(drop);
                stream.send_response(head, false).map(|stream| drop(tokio::spawn(sheet.send(stream))))
            }
            Err(_) => {
                tracing::error!(target: "remote", who = who.who(), "answering a request failed in the host");
                return stream.send_reset(Reason::INTERNAL_ERROR);
            }
        };
        if let Err(error) = sent {
            tracing::debug!(target: "remote", who = who.who(), %error, "an answer was not sent");
        }
    }
}

/// Answers a greeting, a call or a question. `cancelled` is given once the other host has gone away.
async fn respond(
    shared: &Arc<Shared>,
    connected: &Arc<Connected>,
    request: Request<RecvStream>,
    cancelled: Arc<CutOff>,
) -> Answer {
    let at_once = Answer::AtOnce;
    let (parts, body) = request.into_parts();
    let body = Body::new(body, &parts.headers);
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
            let context = ask.publisher.to_string();
            let carried = tokio::select! {
                carried = events(shared, connected, ask) => carried,
                () = cancelled.wait() => Err(gone_away(context)),
            };
            shared.metrics.answered_ask(&connected.names.host, wire::answered(&carried));
            return at_once(wire::carried(carried));
        }
        Ok(Wanted::Total(ask)) => {
            let context = ask.context.to_string();
            let opened = tokio::select! {
                opened = sheet::open(shared, connected, ask) => opened,
                () = cancelled.wait() => Err(gone_away(context)),
            };
            let (carried, sheet) = match opened {
                Ok(sheet) => (Ok(Bytes::new()), Some(sheet)),
                Err(failure) => (Err(failure), None),
            };
            shared.metrics.answered_ask(&connected.names.host, wire::answered(&carried));
            return sheet.map_or_else(|| at_once(wire::carried(carried)), Answer::Sheet);
        }
        Ok(Wanted::Call(head)) => match call(shared, connected, (head, body), cancelled).await {
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

/// For the figures: no caller hears of it.
fn gone_away(context: String) -> Failure {
    Failure::Absent { context, reason: "its asker went away".to_owned() }
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
    (mut head, body): (Head, Body),
    cancelled: Arc<CutOff>,
) -> Result<Carried, Rejection> {
    let started = Instant::now();
    let context = head.context.to_string();
    connected.calls.fetch_add(1, Relaxed);
    // Both stay until the work has ended, also when the caller is gone before.
    let Ok(_place) = shared.calls.clone().try_acquire_owned() else {
        return Ok(Err(Failure::Overloaded { context }));
    };
    let (arguments, _room) = match timeout(head.remaining, receive(shared, body)).await {
        Ok(received) => received?,
        Err(_) => return Ok(Err(Failure::TimedOut { context })),
    };
    head.remaining = head.remaining.saturating_sub(started.elapsed());
    let _running = Running::new(connected.clone());
    let answer = AssertUnwindSafe(shared.answers.clone().answer(head, arguments, cancelled));
    Ok(answer.catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(target: "remote", context, "answering a call of another host failed in the host");
        Err(Failure::Absent { context, reason: "its host failed".to_owned() })
    }))
}

/// Says that the caller has gone away, when it is dropped.
#[derive(Default)]
struct Gone(Arc<CutOff>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.give();
    }
}
