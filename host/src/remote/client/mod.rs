//! Sends calls and questions for events to the hosts on which other contexts live.
//!
//! Invariant: a call ends within the time that it has. It is sent again only if the other host has certainly not
//! performed it: the request never left, or that host says so (GOAWAY, REFUSED_STREAM).

mod link;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use http::Request;
use http::uri::Authority;
use http_body_util::Full;
use rustls_pki_types::ServerName;
use seam_runtime::call::Failure;
use seam_runtime::remote::{Ask, Asked, Asking, Carried, Carrier, Head};
use seam_store::ids::ContextName;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::link::{Line, Link};
use super::config::{Peer, System};
use super::credentials::Credentials;
use super::error::Error;
use super::metrics::Metrics;
use super::refusals::Refusals;
use super::wire::{self, Answered, Rejection};
use crate::limits;

/// What a client is started with.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub system: System,
    /// The other hosts.
    pub peers: Vec<Peer>,
}

/// The connections of this host to all others. They end when it is dropped.
pub struct Client {
    links: HashMap<ContextName, Arc<Link>>,
    keepers: Vec<AbortHandle>,
}

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
        let mut links = HashMap::new();
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
            links.extend(peer.contexts.into_iter().map(|context| (context, link.clone())));
        }
        Ok(Self { links, keepers })
    }

    /// Waits until the host of the context can be called.
    #[cfg(test)]
    pub(super) async fn until_up(&self, context: &ContextName) {
        if let Some(link) = self.link(context) {
            link.until_up().await;
        }
    }

    /// A variant lives where its context does.
    fn link(&self, context: &ContextName) -> Option<&Arc<Link>> {
        let name = context.variant().map_or(context.as_str(), |(context, _)| context);
        self.links.get(name)
    }
}

impl Carrier for Client {
    fn carry(&self, head: Head, arguments: Bytes) -> Pin<Box<dyn Future<Output = Carried> + Send>> {
        let link = self.link(&head.context).cloned();
        Box::pin(async move {
            let context = head.context.to_string();
            match link {
                Some(link) => link.carry(head, arguments).await,
                None => Err(Failure::Absent { context, reason: "it lives on no other host".to_owned() }),
            }
        })
    }

    fn is_down(&self, context: &ContextName) -> bool {
        self.link(context).is_none_or(|link| link.is_down())
    }

    fn ask(&self, ask: Ask) -> Asking {
        let link = self.link(&ask.publisher).cloned();
        Box::pin(async move {
            let context = ask.publisher.to_string();
            match link {
                Some(link) => link.ask(ask).await,
                None => Err(Failure::Absent { context, reason: "it lives on no other host".to_owned() }),
            }
        })
    }
}

impl Link {
    async fn carry(&self, head: Head, arguments: Bytes) -> Carried {
        let started = Instant::now();
        let asked = format!("`{}.{}` of `{}`", head.interface, head.function, head.context);
        let request = || {
            let remaining = head.remaining.saturating_sub(started.elapsed());
            wire::request(&self.authority, &self.system, &head, remaining, arguments.clone())
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
        let sent = timeout(head.remaining, sending).await;
        let (outcome, carried) = self.came_of(&head.context, &asked, sent.ok());
        self.metrics.called(&self.peer, outcome, started.elapsed());
        carried
    }

    async fn ask(&self, ask: Ask) -> Asked {
        let asked = format!("the events of `{}` of `{}` for `{}`", ask.interface, ask.publisher, ask.subscriber);
        let request = || wire::outbox::request(&self.authority, &self.system, &ask);
        let sent = timeout(ask.remaining, self.send(&ask.publisher, &request)).await;
        let (outcome, carried) = self.came_of(&ask.publisher, &asked, sent.ok());
        self.metrics.asked(&self.peer, outcome);
        wire::outbox::reply(&ask.question, &carried?).map_err(|why| {
            let reason = format!("the answer of its host `{}` cannot be read: {why}", self.peer);
            Failure::Absent { context: ask.publisher.to_string(), reason }
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
        request: &(dyn Fn() -> Result<Request<Full<Bytes>>, String> + Send + Sync),
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
async fn exchange(line: &Line, request: Request<Full<Bytes>>) -> Result<(Answered, Bytes), Lost> {
    let response = line.requests.clone().try_send_request(request).await.map_err(|error| {
        match error.message().is_some() || is_unprocessed(error.error()) {
            true => Lost::Unsent,
            false => Lost::Unknown,
        }
    })?;
    let (parts, body) = response.into_parts();
    let answered = Answered::read(&parts);
    match wire::collect(body, answered.body_bytes_max()).await {
        Ok(body) => Ok((answered, body)),
        Err(wire::Unread::TooLarge { .. }) => Err(Lost::TooLarge),
        Err(wire::Unread::Cut(_)) => Err(Lost::Unknown),
    }
}

/// Whether the other side says that it has not looked at the request (RFC 9113, 8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let error: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let of_http2 = causes.find_map(|error| error.downcast_ref::<h2::Error>());
    of_http2.is_some_and(|error| {
        let refused = error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        let stops = error.is_remote() && error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
        refused || stops
    })
}

/// The longest pause between two tries to reach a host.
fn pause_max() -> Duration {
    Duration::from_millis(limits::REMOTE_PAUSE_MS_MAX)
}
