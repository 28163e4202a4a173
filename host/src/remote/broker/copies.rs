//! Answers the calls that the broker gives to the copies of this host.
//!
//! Invariant: a copy that leaves answers every call that the broker has given to it. It leaves in three steps: it says
//! after how many more messages it goes; what is missing of them it sends itself; then it finishes what runs. The
//! library's own way of leaving (`Subscriber::drain`) forgets messages that are on their way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{HeaderMap as Headers, Message, Subject, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::Response;
use parking_lot::Mutex;
use seam_runtime::call::Failure;
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::remote::{Answers, Carried, Head};
use seam_store::ids::ContextName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::BrokerConfig;
use super::connection::{Connection, Line, Stage};
use super::envelope::{self, Opened, Unopened};
use super::seal::{Seals, Seen, Unseen};
use crate::limits;
use crate::remote::admit::admit;
use crate::remote::config::Allow;
use crate::remote::metrics::Metrics;
use crate::remote::refusals::Refusals;
use crate::remote::wire::{self, Rejection, Wanted};

/// Says whether a context can take calls now.
pub type Ready = dyn Fn(&ContextName) -> bool + Send + Sync;

/// The copies of this host, before they take calls.
pub struct Copies {
    config: BrokerConfig,
    connection: Connection,
    seals: Arc<Seals>,
    metrics: Metrics,
    drain_time: Duration,
}

/// What the calls of all copies share.
struct Shared {
    config: BrokerConfig,
    seals: Arc<Seals>,
    metrics: Metrics,
    refusals: Refusals,
    answers: Arc<dyn Answers>,
    allow: Arc<dyn Allow>,
    seen: Seen,
    /// A permit for each call that runs.
    calls: Arc<Semaphore>,
    /// A permit for each KiB of their arguments.
    arguments: Arc<Semaphore>,
    /// The calls that run, by their numbers.
    running: Mutex<HashMap<u128, Arc<CutOff>>>,
}

impl Copies {
    pub(super) fn new(config: BrokerConfig, connection: Connection, seals: Arc<Seals>, metrics: Metrics) -> Self {
        Self { config, connection, seals, metrics, drain_time: Duration::from_millis(limits::REMOTE_DRAIN_MS) }
    }

    /// Answers the calls of `contexts`, of each once it is `ready`, until `shutdown` is ready; then it leaves, and
    /// lets running calls finish.
    pub async fn run(
        self,
        contexts: Vec<ContextName>,
        (answers, allow): (Arc<dyn Answers>, Arc<dyn Allow>),
        ready: Arc<Ready>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let shared = Arc::new(Shared {
            config: self.config,
            seals: self.seals,
            metrics: self.metrics,
            refusals: Refusals::default(),
            answers,
            allow,
            seen: Seen::default(),
            calls: Arc::new(Semaphore::new(limits::REMOTE_CALLS)),
            arguments: Arc::new(Semaphore::new(limits::REMOTE_ARGUMENTS_KB as usize)),
            running: Mutex::default(),
        });
        let (leave, leaves) = watch::channel(false);
        let tend = |context| {
            tokio::spawn(tend(shared.clone(), self.connection.clone(), context, leaves.clone(), ready.clone()))
        };
        let tending: Vec<_> = contexts.into_iter().map(tend).collect();
        shutdown.await;
        leave.send_replace(true);
        for tending in tending {
            tending.await.ok();
        }
        let all = u32::try_from(limits::REMOTE_CALLS).unwrap_or(u32::MAX);
        if timeout(self.drain_time, shared.calls.acquire_many(all)).await.is_err() {
            let calls = limits::REMOTE_CALLS.saturating_sub(shared.calls.available_permits());
            tracing::warn!(target: "remote", calls, "calls through the broker did not finish within the drain time");
            shared.running.lock().values().for_each(|cancelled| cancelled.give());
        }
        // The answers are on their way.
        if let Ok(line) = self.connection.line().await {
            timeout(Duration::from_millis(limits::REMOTE_CONNECT_MS), line.client.flush()).await.ok();
        }
    }
}

/// A copy's messages on one connection.
struct Joined {
    calls: Subscriber,
    cancels: Subscriber,
}

/// Lets one context take calls, on each connection that there is, until it is to leave.
async fn tend(
    shared: Arc<Shared>,
    connection: Connection,
    context: ContextName,
    mut leave: watch::Receiver<bool>,
    ready: Arc<Ready>,
) {
    while !ready(&context) {
        tokio::select! {
            () = sleep(Duration::from_millis(limits::BROKER_READY_MS)) => {}
            () = left(&mut leave) => return,
        }
    }
    let mut stages = connection.stages();
    let mut serving: Option<(watch::Sender<bool>, tokio::task::JoinHandle<()>)> = None;
    loop {
        let stage = stages.borrow_and_update().clone();
        if let Stage::Up(line) = stage {
            match join(&line, &context).await {
                Ok(joined) => {
                    tracing::info!(target: "remote", %context, "this host's copy takes calls from the broker");
                    let (leave, leaves) = watch::channel(false);
                    let task = tokio::spawn(serve(shared.clone(), line, context.clone(), joined, leaves));
                    if let Some((before, _)) = serving.replace((leave, task)) {
                        before.send_replace(true);
                    }
                }
                Err(error) => {
                    let hint = "see the log of the broker; this host connects again if the connection is lost";
                    tracing::warn!(target: "remote", %context, hint, "this host's copy takes no calls: {error}");
                }
            }
        }
        tokio::select! {
            changed = stages.changed() => if changed.is_err() { return },
            () = left(&mut leave) => break,
        }
    }
    if let Some((leave, task)) = serving {
        leave.send_replace(true);
        task.await.ok();
        tracing::info!(target: "remote", %context, "this host's copy takes no more calls from the broker");
    }
}

/// Returns once the copy is to leave.
async fn left(leave: &mut watch::Receiver<bool>) {
    let _ = leave.wait_for(|leave| *leave).await;
}

async fn join(line: &Line, context: &ContextName) -> Result<Joined, String> {
    let name = context.as_str();
    let cancels = line.client.subscribe(envelope::cancel(name)).await.map_err(|error| error.to_string())?;
    let calls = line.client.queue_subscribe(envelope::calls(name), name.to_owned()).await;
    let calls = calls.map_err(|error| error.to_string())?;
    line.client.flush().await.map_err(|error| error.to_string())?;
    Ok(Joined { calls, cancels })
}

/// Takes what comes on one connection, until it is lost or the copy has left.
async fn serve(
    shared: Arc<Shared>,
    line: Arc<Line>,
    context: ContextName,
    Joined { mut calls, mut cancels }: Joined,
    mut leave: watch::Receiver<bool>,
) {
    let mut taken: u64 = 0;
    let mut leaving: Option<Instant> = None;
    let mut fill = interval(Duration::from_millis(limits::BROKER_FILL_MS));
    fill.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = calls.next() => {
                let Some(message) = message else { return };
                taken += 1;
                take(&shared, &line, &context, message).await;
            }
            Some(message) = cancels.next() => {
                let number = std::str::from_utf8(&message.payload).ok();
                let number = number.and_then(|number| u128::from_str_radix(number, 16).ok());
                let running = number.and_then(|number| shared.running.lock().get(&number).cloned());
                running.into_iter().for_each(|cancelled| cancelled.give());
            }
            () = line.lost() => return,
            () = left(&mut leave), if leaving.is_none() => {
                leaving = Some(Instant::now());
                // What waits here counts, too.
                for _ in 0..limits::BROKER_WAITING {
                    let Some(Some(message)) = calls.next().now_or_never() else { break };
                    taken += 1;
                    take(&shared, &line, &context, message).await;
                }
                if calls.unsubscribe_after(taken + limits::BROKER_LAST).await.is_err() {
                    return;
                }
            }
            _ = fill.tick(), if leaving.is_some() => {
                let late = Duration::from_millis(limits::BROKER_LEAVE_MS);
                if leaving.is_some_and(|since| since.elapsed() > late) {
                    const HINT: &str = "let the broker allow this host to publish `seam.v1.call.CONTEXT.leave`";
                    tracing::warn!(target: "remote", %context, hint = HINT, "a copy leaves without its last messages");
                    return;
                }
                for _ in 0..limits::BROKER_FILL {
                    line.client.publish(envelope::leave(context.as_str()), Bytes::new()).await.ok();
                }
            }
        }
    }
}

/// Starts to answer a call; at once if there is no place for it.
async fn take(shared: &Arc<Shared>, line: &Arc<Line>, context: &ContextName, message: Message) {
    // What fills up the last messages of another copy.
    let Some(reply) = message.reply.clone() else { return };
    let kib = u32::try_from(message.payload.len() >> 10).unwrap_or(u32::MAX) + 1;
    let permits = shared
        .calls
        .clone()
        .try_acquire_owned()
        .and_then(|call| shared.arguments.clone().try_acquire_many_owned(kib).map(|arguments| (call, arguments)));
    match permits {
        Ok(permits) => {
            let (shared, line) = (shared.clone(), line.clone());
            tokio::spawn(async move {
                let number = number(&message);
                let response = respond(&shared, message, permits.1).await;
                send(&shared, &line, reply, number, response).await;
                drop(permits.0);
            });
        }
        Err(_) => {
            let carried = Err(Failure::Overloaded { context: context.to_string() });
            send(shared, line, reply, number(&message), wire::carried(carried)).await;
        }
    }
}

/// The number of a call, as the message says.
fn number(message: &Message) -> u128 {
    let number = message.headers.as_ref().and_then(|headers| headers.get(envelope::field::CALL));
    number.and_then(|number| u128::from_str_radix(number.as_str(), 16).ok()).unwrap_or_default()
}

async fn send(shared: &Shared, line: &Line, to: Subject, number: u128, response: Response<Bytes>) {
    let sealed = envelope::response(response, number, &shared.seals);
    let Ok((headers, body)) = sealed.inspect_err(|error| {
        tracing::error!(target: "remote", error, "cannot sign the answer to a call through the broker");
    }) else {
        return;
    };
    let length = body.len();
    let sent = line.client.publish_with_headers(to.clone(), headers, body).await;
    if sent.is_err_and(|error| error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded) {
        let max = line.client.max_payload();
        let why =
            format!("the results have {length} bytes, and the broker takes {max} at most (`max_payload`), with fields");
        let rejected = wire::rejected(&Rejection::TooLarge(why));
        if let Ok((headers, body)) = envelope::response(rejected, number, &shared.seals) {
            line.client.publish_with_headers(to, headers, body).await.ok();
        }
    }
}

async fn respond(shared: &Arc<Shared>, message: Message, room: OwnedSemaphorePermit) -> Response<Bytes> {
    let none = Headers::new();
    let headers = message.headers.as_ref().unwrap_or(&none);
    let opened = envelope::open_request(&message.subject, headers, &message.payload, &shared.seals);
    let broker = || format!("the broker at {}", shared.config.address);
    let (who, known, rejection, remedy) = match opened {
        Ok(opened) => {
            let host = opened.names.host.clone();
            let known = shared.config.hosts.contains(&host).then(|| host.clone());
            match admitted(shared, opened) {
                Ok(Wanted::Call(head)) => {
                    let carried = call(shared, head, number(&message), message.payload, room).await;
                    shared.metrics.answered(&host, wire::answered(&carried));
                    return wire::carried(carried);
                }
                Ok(_) => return wire::rejected(&Rejection::Unreadable("it is not a call".to_owned())),
                Err(Refused::Busy) => {
                    let context = message.subject.split('.').nth(3).unwrap_or_default().to_owned();
                    return wire::carried(Err(Failure::Overloaded { context }));
                }
                Err(Refused::Rejected(rejection, remedy)) => {
                    (format!("host `{host}` through {}", broker()), known, rejection, remedy)
                }
            }
        }
        Err(Unopened::Rejected(rejection)) => {
            let remedy = rejection.remedy();
            (broker(), None, rejection, remedy)
        }
        Err(Unopened::Distrusted(distrust)) => {
            let remedy = distrust.remedy();
            (broker(), None, Rejection::Forbidden(distrust.to_string()), remedy)
        }
    };
    const SUBJECT_SHOWN: usize = 300;
    let subject = message.subject.as_str();
    let asked = format!("`{}`", subject.get(..SUBJECT_SHOWN).unwrap_or(subject).escape_debug());
    shared.refusals.log(&who, &asked, &rejection.to_string(), remedy);
    if let Some(host) = known {
        shared.metrics.answered(&host, rejection.name());
    }
    wire::rejected(&rejection)
}

enum Refused {
    Rejected(Rejection, &'static str),
    /// This host remembers no more calls.
    Busy,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        let remedy = rejection.remedy();
        Self::Rejected(rejection, remedy)
    }
}

/// What is asked for, if its host may ask for it and has not asked before.
fn admitted(shared: &Shared, opened: Opened) -> Result<Wanted, Refused> {
    const CLOCKS: &str = "set the clocks of both hosts by NTP, and see what keeps the broker's messages waiting";
    let seen = shared.seen.note(opened.number, opened.sent_ms, envelope::now_ms(), Instant::now());
    let forbidden = |why: String, remedy| Refused::Rejected(Rejection::Forbidden(why), remedy);
    seen.map_err(|unseen| match unseen {
        Unseen::Full => Refused::Busy,
        Unseen::Again => forbidden("this call came before".to_owned(), "something sends it twice: look at the broker"),
        Unseen::TooOld(ms) => forbidden(format!("it was sent {ms} ms ago, by the clock of its host"), CLOCKS),
        Unseen::TooNew(ms) => forbidden(format!("the clock of its host is {ms} ms ahead of this one"), CLOCKS),
    })?;
    let is_known = shared.config.hosts.contains(&opened.names.host);
    if !is_known {
        admit(&opened.names, is_known, &*shared.allow, &Wanted::Greeting)?;
    }
    let wanted = wire::read(&opened.parts, &shared.config.system)?;
    admit(&opened.names, is_known, &*shared.allow, &wanted)?;
    Ok(wanted)
}

/// Performs the call. It ends early once its caller has given it up.
async fn call(
    shared: &Arc<Shared>,
    head: Head,
    number: u128,
    arguments: Bytes,
    _room: OwnedSemaphorePermit,
) -> Carried {
    let context = head.context.to_string();
    let cancelled: Arc<CutOff> = Arc::default();
    shared.running.lock().insert(number, cancelled.clone());
    let answers = shared.answers.clone();
    // A task of its own: what fails in it fails alone.
    let answered = tokio::spawn(async move { answers.answer(head, arguments, cancelled).await });
    let carried = answered.await;
    shared.running.lock().remove(&number);
    carried.unwrap_or_else(|error| {
        tracing::error!(target: "remote", context, %error, "answering a call through the broker failed in the host");
        Err(Failure::Absent { context, reason: "its host failed".to_owned() })
    })
}
