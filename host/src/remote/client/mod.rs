//! Sends calls to the hosts on which other contexts live.
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
use seam_runtime::remote::{Carried, Carrier, Head};
use seam_store::ids::ContextName;
use tokio::task::AbortHandle;

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
    /// Also to hosts on which no context lives.
    hosts: Vec<Arc<Link>>,
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
        let (mut links, mut hosts) = (HashMap::new(), Vec::new());
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
            hosts.push(link.clone());
            links.extend(peer.contexts.into_iter().map(|context| (context, link.clone())));
        }
        Ok(Self { links, hosts, keepers })
    }

    /// How long a request that asks for nothing takes to this host and back, over a connection that is there: the
    /// median of some.
    ///
    /// # Errors
    /// Why the host cannot be called.
    pub async fn round_trip(&self, host: &str) -> Result<Duration, String> {
        let link = self.hosts.iter().find(|link| link.peer == *host);
        let link = link.ok_or_else(|| format!("the manifest has no other host `{host}`"))?;
        let asking = async {
            let line = link.line().await.map_err(|reason| reason.to_string())?;
            let mut times = Vec::new();
            for _ in 0..limits::REMOTE_ROUND_TRIPS {
                let started = Instant::now();
                link::greet(link, &line).await.map_err(|(why, _)| why)?;
                times.push(started.elapsed());
            }
            times.sort_unstable();
            times.get(times.len() / 2).copied().ok_or_else(|| "nothing was asked".to_owned())
        };
        let in_time = tokio::time::timeout(Duration::from_millis(limits::REMOTE_ROUND_TRIPS_MS), asking).await;
        in_time.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
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
}

impl Link {
    async fn carry(&self, head: Head, arguments: Bytes) -> Carried {
        let started = Instant::now();
        let context = head.context.to_string();
        let carried = tokio::time::timeout(head.remaining, self.send(&head, arguments, started)).await;
        let (outcome, carried) = match carried {
            Ok(Ok(carried)) => (wire::answered(&carried), carried),
            Ok(Err(rejection)) => {
                let asked = format!("`{}.{}` of `{context}`", head.interface, head.function);
                let who = format!("host `{}` at {}", self.peer, self.authority);
                let why = format!("it does not accept the call: {rejection}");
                self.refusals.log(&who, &asked, &why, rejection.remedy());
                let reason = format!("its host `{}` does not accept the call", self.peer);
                (rejection.name(), Err(Failure::Absent { context, reason }))
            }
            Err(_) => {
                let carried = Err(Failure::TimedOut { context });
                (wire::answered(&carried), carried)
            }
        };
        self.metrics.called(&self.peer, outcome, started.elapsed());
        carried
    }

    /// Sends the call until the other host has taken it, or has certainly not and will not.
    async fn send(&self, head: &Head, arguments: Bytes, started: Instant) -> Result<Carried, Rejection> {
        let context = || head.context.to_string();
        let absent = |reason: String| Ok(Err(Failure::Absent { context: context(), reason }));
        if arguments.len() > limits::SEAM_MESSAGE_BYTES_MAX {
            let (length, max) = (arguments.len(), limits::SEAM_MESSAGE_BYTES_MAX);
            return Err(Rejection::TooLarge(format!(
                "the arguments have {length} bytes, and at most {max} may travel"
            )));
        }
        for resends in 0..=limits::REMOTE_RESENDS {
            let line = match self.line().await {
                Ok(line) => line,
                Err(reason) => return absent(reason.to_string()),
            };
            if !line.names.has(&head.context) {
                let (host, context) = (&self.peer, &head.context);
                return Err(Rejection::Forbidden(format!(
                    "the certificate of host `{host}` does not name `{context}`"
                )));
            }
            let remaining = head.remaining.saturating_sub(started.elapsed());
            let request = wire::request(&self.authority, &self.system, head, remaining, arguments.clone());
            let request = request.map_err(Rejection::Unreadable)?;
            match exchange(&line, request).await {
                Ok((answered, body)) => return answered.carried(&context(), &self.peer, body),
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
