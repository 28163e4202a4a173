//! Sends calls and questions for events and totals to the hosts on which other contexts live.
//!
//! Invariant: a call ends within the time that it has. It is sent again only if the other host has certainly not
//! performed it: the request never left, or that host says so (GOAWAY, REFUSED_STREAM).

pub(crate) mod attempts;
pub(crate) mod home_table;
mod link;
mod totals;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use http::uri::Authority;
use parking_lot::RwLock;
use rustls_pki_types::ServerName;
use seam_runtime::call::Failure;
use seam_runtime::remote::{Ask, Asked, Asking, Carried, Carrier, Head};
use seam_runtime::two_phase::{Replied, Replying, Request};
use seam_store::ids::ContextName;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::home_table::HomeTable;
use self::link::{Line, Link};
use super::config::{Peer, System};
use super::credentials::Credentials;
use super::error::Error;
use super::http2::{self, Body, Unread};
use super::metrics::Metrics;
use super::refusals::Refusals;
use super::wire::{self, Answered, Rejection, Step};
use crate::limits;

/// What a client is started with.
#[derive(Clone)]
pub struct ClientConfig {
    pub system: System,
    /// The other hosts.
    pub peers: Vec<Peer>,
    /// Called when another host says where a context lives now.
    pub learned: Arc<Learned>,
}

/// Takes the context, its host, and the token of its file's owner.
pub type Learned = dyn Fn(&ContextName, &str, u64) + Send + Sync;

/// The connections of this host to all others. They end when it is dropped.
pub struct Client {
    links: Links,
    homes: Table,
    learned: Arc<Learned>,
    keepers: Vec<AbortHandle>,
}

/// By the name of the host.
type Links = Arc<HashMap<String, Arc<Link>>>;

/// The connection to a context's host, and the token under which the context lives there.
type Home = (Arc<Link>, u64);

type Table = Arc<RwLock<HomeTable<Arc<Link>>>>;

impl Drop for Client {
    fn drop(&mut self) {
        self.keepers.iter().for_each(AbortHandle::abort);
    }
}

impl Client {
    /// Connects to no host before the first call. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When the address of a host is none.
    pub fn start(config: ClientConfig, credentials: &Credentials, metrics: &Metrics) -> Result<Self, Error> {
        let (mut links, mut homes) = (HashMap::new(), HomeTable::default());
        let mut keepers = Vec::new();
        for peer in config.peers {
            let unfit = || Error::Address { host: peer.name.clone(), address: peer.address.clone() };
            let authority: Authority = peer.address.parse().map_err(|_| unfit())?;
            authority.port_u16().ok_or_else(unfit)?;
            let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
            let server = ServerName::try_from(host).map_err(|_| unfit())?;
            let link = Arc::new(Link {
                peer: peer.name,
                authority,
                server,
                system: config.system,
                credentials: credentials.clone(),
                metrics: metrics.clone(),
                refusals: Refusals::default(),
                state: link::State::default(),
            });
            keepers.push(tokio::spawn(link::keep(link.clone())).abort_handle());
            homes.extend(peer.contexts.into_iter().map(|(context, token)| (context, (link.clone(), token))));
            links.insert(link.peer.clone(), link);
        }
        let homes = Arc::new(RwLock::new(homes));
        Ok(Self { links: Arc::new(links), homes, learned: config.learned, keepers })
    }

    /// How long requests that ask for nothing take to this host and back, over a connection that is there: so many,
    /// sorted.
    ///
    /// # Errors
    /// Why the host cannot be called.
    pub async fn round_trips(&self, host: &str, count: usize) -> Result<Vec<Duration>, String> {
        let link = self.links.get(host);
        let link = link.ok_or_else(|| format!("the manifest has no other host `{host}`"))?;
        let asking = async {
            let line = link.line().await.map_err(|reason| reason.to_string())?;
            let (mut times, began) = (Vec::new(), Instant::now());
            let enough = Duration::from_millis(limits::REMOTE_ROUND_TRIPS_MS / 5);
            for _ in 0..count {
                // A long way is not asked for all of them.
                if times.len() >= limits::REMOTE_ROUND_TRIPS && began.elapsed() > enough {
                    break;
                }
                let started = Instant::now();
                link::greet(link, &line).await.map_err(|(why, _)| why)?;
                times.push(started.elapsed());
            }
            times.sort_unstable();
            Ok(times)
        };
        let in_time = tokio::time::timeout(Duration::from_millis(limits::REMOTE_ROUND_TRIPS_MS), asking).await;
        in_time.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    }

    /// The median of some `round_trips`.
    ///
    /// # Errors
    /// Why the host cannot be called.
    pub async fn round_trip(&self, host: &str) -> Result<Duration, String> {
        let times = self.round_trips(host, limits::REMOTE_ROUND_TRIPS).await?;
        times.get(times.len() / 2).copied().ok_or_else(|| "nothing was asked".to_owned())
    }

    /// Waits until the host of the context can be called.
    #[cfg(test)]
    pub(super) async fn until_up(&self, context: &ContextName) {
        if let Some((link, _)) = self.home(context) {
            link.until_up().await;
        }
    }

    /// From now on calls of `context` go to `host`, unless it has moved on from there under a later token.
    pub fn set_home(&self, context: &ContextName, host: &str, token: u64) {
        self.homes().set(context, host, token);
    }

    /// Has `host` take a step of moving a context, which changes nothing when it is taken twice.
    ///
    /// # Errors
    /// Why it is not taken, or not known to be, as a sentence for the operator.
    pub async fn step(&self, host: &str, step: &Step, body: Bytes, within: Duration) -> Result<Bytes, String> {
        let link = self.links.get(host).ok_or_else(|| format!("there is no other host `{host}`"))?;
        let taken = tokio::time::timeout(within, link.step(step, body)).await;
        taken.unwrap_or_else(|_| Err(format!("host `{host}` does not answer in time")))
    }

    fn homes(&self) -> Homes {
        Homes { links: self.links.clone(), homes: self.homes.clone(), learned: self.learned.clone() }
    }

    fn home(&self, context: &ContextName) -> Option<Home> {
        self.homes.read().get(context)
    }
}

/// Where contexts live. Shared with the calls that learn it.
struct Homes {
    links: Links,
    homes: Table,
    learned: Arc<Learned>,
}

impl Homes {
    /// Notes where the context lives. `None` when that is no news, or no host that is known.
    fn set(&self, context: &ContextName, host: &str, token: u64) -> Option<Home> {
        let link = self.links.get(host)?;
        self.homes.write().set(context, link.clone(), token).then(|| (link.clone(), token))
    }

    /// Asks the host where the context lives: the one that is known, and then those to which its hosts refer.
    async fn ask<T, F: Future<Output = Result<T, Failure>> + Send>(
        &self,
        context: &ContextName,
        mut home: Option<Home>,
        ask: impl Fn(Arc<Link>) -> F + Send + Sync,
    ) -> Result<T, Failure> {
        for _ in 0..=limits::REMOTE_RESENDS {
            let Some((link, _)) = home else { break };
            let answer = ask(link).await;
            let Err(failure) = &answer else { return answer };
            home = match self.learn(failure) {
                None => return answer,
                moved => moved,
            };
        }
        let reason = "no host says that it lives there".to_owned();
        Err(Failure::Absent { context: context.to_string(), reason })
    }

    /// Where the context lives, if its old host says that it has moved; `None` for any other failure, and if it has
    /// moved to this host itself, which the caller knows.
    fn learn(&self, failure: &Failure) -> Option<Home> {
        let Failure::Moved { context, host, token } = failure else { return None };
        let moved = ContextName::new(context).filter(|_| self.links.contains_key(host))?;
        // Another call may have learned it, or of a later move.
        let Some(home) = self.set(&moved, host, *token) else { return self.homes.read().get(&moved) };
        tracing::info!(target: "remote", context, host, token, "the context has moved: calls go there now");
        (self.learned)(&moved, host, *token);
        Some(home)
    }
}

impl Carrier for Client {
    fn carry(&self, head: Head, arguments: Bytes) -> Pin<Box<dyn Future<Output = Carried> + Send>> {
        let (home, homes) = (self.home(&head.context), self.homes());
        let until = Instant::now() + head.remaining;
        Box::pin(async move {
            let (head, arguments) = (&head, &arguments);
            let carry = |link: Arc<Link>| async move {
                link.carry(head, until.saturating_duration_since(Instant::now()), arguments.clone()).await
            };
            homes.ask(&head.context, home, carry).await
        })
    }

    fn is_down(&self, context: &ContextName) -> bool {
        self.home(context).is_none_or(|(link, _)| link.is_down())
    }

    fn ask(&self, ask: Ask) -> Asking {
        let (home, homes) = (self.home(&ask.publisher), self.homes());
        Box::pin(async move {
            let ask = &ask;
            homes.ask(&ask.publisher, home, |link| async move { link.ask(ask).await }).await
        })
    }

    fn settle(&self, asked: Request) -> Replying {
        let (home, homes) = (self.home(asked.asked()), self.homes());
        Box::pin(async move {
            let asked = &asked;
            homes.ask(asked.asked(), home, |link| async move { link.settle(asked).await }).await
        })
    }
}

impl Link {
    async fn carry(&self, head: &Head, within: Duration, arguments: Bytes) -> Carried {
        let started = Instant::now();
        let asked = format!("`{}.{}` of `{}`", head.interface, head.function, head.context);
        let request = || {
            let remaining = within.saturating_sub(started.elapsed());
            wire::request(&self.authority, &self.system, head, remaining, arguments.clone())
        };
        let sending = async {
            if arguments.len() > limits::SEAM_MESSAGE_BYTES_MAX {
                let (length, max) = (arguments.len(), limits::SEAM_MESSAGE_BYTES_MAX);
                return Err(Rejection::TooLarge(format!(
                    "the arguments have {length} bytes, and at most {max} may travel"
                )));
            }
            self.send(&head.context, &request).await
        };
        let sent = timeout(within, sending).await;
        let (outcome, carried) = self.came_of(&head.context, &asked, sent.ok());
        self.metrics.called(&self.peer, outcome, started.elapsed());
        carried
    }

    async fn ask(&self, ask: &Ask) -> Asked {
        let asked = format!("the events of `{}` of `{}` for `{}`", ask.interface, ask.publisher, ask.subscriber);
        let request = || wire::outbox::request(&self.authority, &self.system, ask);
        let sent = timeout(ask.remaining, self.send(&ask.publisher, &request)).await;
        let (outcome, carried) = self.came_of(&ask.publisher, &asked, sent.ok());
        self.metrics.asked(&self.peer, outcome);
        wire::outbox::reply(&ask.question, &carried?).map_err(|why| {
            let reason = format!("the answer of its host `{}` cannot be read: {why}", self.peer);
            Failure::Absent { context: ask.publisher.to_string(), reason }
        })
    }

    async fn settle(&self, asked: &Request) -> Replied {
        let context = asked.asked();
        let what = format!("transaction {} of `{}` with `{}`", asked.transaction, asked.coordinator, asked.participant);
        let request = || wire::two_phase::request(&self.authority, &self.system, asked);
        let sent = timeout(asked.remaining, self.send(context, &request)).await;
        let (outcome, carried) = self.came_of(context, &what, sent.ok());
        self.metrics.asked(&self.peer, outcome);
        wire::two_phase::reply(&carried?).map_err(|why| {
            let reason = format!("the answer of its host `{}` cannot be read: {why}", self.peer);
            Failure::Absent { context: context.to_string(), reason }
        })
    }

    /// The outcome, with its name; says in the log why what was `asked` is not accepted. `None`: the time has passed.
    fn came_of(
        &self,
        context: &ContextName,
        asked: &str,
        sent: Option<Result<Carried, Rejection>>,
    ) -> (&'static str, Carried) {
        let context = context.to_string();
        let carried = match sent {
            Some(Ok(carried)) => carried,
            Some(Err(rejection)) => {
                let who = format!("host `{}` at {}", self.peer, self.authority);
                let why = format!("it does not accept the call: {rejection}");
                self.refusals.log(&who, asked, &why, rejection.remedy());
                let reason = format!("its host `{}` does not accept the call", self.peer);
                return (rejection.name(), Err(Failure::Absent { context, reason }));
            }
            None => Err(Failure::TimedOut { context }),
        };
        (wire::answered(&carried), carried)
    }

    /// Sends a request for a context until the other host has taken it, or has certainly not and will not.
    async fn send(
        &self,
        context: &ContextName,
        request: &(dyn Fn() -> Result<http::Request<Bytes>, String> + Send + Sync),
    ) -> Result<Carried, Rejection> {
        let absent = |reason: String| Ok(Err(Failure::Absent { context: context.to_string(), reason }));
        for resends in 0..=limits::REMOTE_RESENDS {
            let line = match self.line().await {
                Ok(line) => line,
                Err(reason) => return absent(reason.to_string()),
            };
            if !line.names.has(context) {
                let host = &self.peer;
                return Err(Rejection::Forbidden(format!(
                    "the certificate of host `{host}` does not name `{context}`"
                )));
            }
            match exchange(&line, request().map_err(Rejection::Unreadable)?).await {
                Ok((answered, body)) => return answered.carried(context.as_str(), &self.peer, body),
                Err(Lost::Unsent) if resends < limits::REMOTE_RESENDS => self.retire(&line),
                Err(Lost::Unsent | Lost::Unknown) => {
                    return absent(format!("the connection to its host `{}` was lost", self.peer));
                }
                Err(Lost::TooLarge) => {
                    return Err(Rejection::TooLarge("the results are too large".to_owned()));
                }
            }
        }
        absent(format!("its host `{}` takes no calls now", self.peer))
    }
}

impl Link {
    async fn step(&self, step: &Step, body: Bytes) -> Result<Bytes, String> {
        let peer = &self.peer;
        for _ in 0..=limits::REMOTE_RESENDS {
            let line = self.line().await.map_err(|reason| reason.to_string())?;
            if !line.names.has(&step.context) {
                return Err(format!(
                    "the certificate of host `{peer}` does not name `{}`: `seam cert host {peer} --contexts ... --replace`",
                    step.context
                ));
            }
            let request = wire::step_request(&self.authority, &self.system, step, body.clone())?;
            match exchange(&line, request).await {
                Ok((answered, body)) => {
                    let carried = answered.carried(step.context.as_str(), peer, body);
                    return match carried.map_err(|rejection| format!("host `{peer}` refuses: {rejection}"))? {
                        Ok(answer) => Ok(answer),
                        Err(Failure::Absent { reason, .. }) => Err(format!("host `{peer}`: {reason}")),
                        Err(failure) => Err(format!("host `{peer}`: {failure}")),
                    };
                }
                Err(Lost::Unsent) => self.retire(&line),
                Err(Lost::Unknown) => return Err(format!("the connection to host `{peer}` was lost")),
                Err(Lost::TooLarge) => return Err(format!("the answer of host `{peer}` is too large")),
            }
        }
        Err(format!("host `{peer}` takes no requests now"))
    }
}

/// Why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The other host has certainly not performed it.
    Unsent,
    /// It may have.
    Unknown,
    TooLarge,
}

/// Sends a request over a connection, and reads its response to the end.
async fn exchange(line: &Line, request: http::Request<Bytes>) -> Result<(Answered, Bytes), Lost> {
    let (answered, body) = begin(line, request).await.map_err(|(_, lost)| lost)?;
    collected(answered, body).await
}

async fn collected(answered: Answered, body: Body) -> Result<(Answered, Bytes), Lost> {
    match body.collect(answered.body_bytes_max()).await {
        Ok(body) => Ok((answered, body)),
        Err(Unread::TooLarge { .. }) => Err(Lost::TooLarge),
        Err(Unread::Cut(_)) => Err(Lost::Unknown),
    }
}

/// Sends a request over a connection, and reads the head of its response. Dropping the future, or the body, gives the
/// request up, and the other host hears of it.
async fn begin(line: &Line, request: http::Request<Bytes>) -> Result<(Answered, Body), (h2::Error, Lost)> {
    let unsent = |error| (error, Lost::Unsent);
    let mut requests = line.requests.clone().ready().await.map_err(unsent)?;
    let (mut parts, body) = request.into_parts();
    http2::state_length(&mut parts.headers, &body);
    let request = http::Request::from_parts(parts, ());
    let (response, stream) = requests.send_request(request, body.is_empty()).map_err(unsent)?;
    // In the same turn: both leave in one packet.
    let sent = http2::send_body(stream, body);
    let response = response.await.map_err(|error| {
        let lost = if is_unprocessed(&error) { Lost::Unsent } else { Lost::Unknown };
        (error, lost)
    })?;
    drop(sent);
    let (parts, body) = response.into_parts();
    Ok((Answered::read(&parts), Body::new(body, &parts.headers)))
}

/// Whether the other side says that it has not looked at the request (RFC 9113, 8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    let stops = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    error.is_remote() && (refused || stops)
}

/// The longest pause between two tries to reach a host.
fn pause_max() -> Duration {
    Duration::from_millis(limits::REMOTE_PAUSE_MS_MAX)
}
