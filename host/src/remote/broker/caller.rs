//! Sends calls to contexts that have copies.
//!
//! Invariant: a call ends within the time that it has. It is sent again only if a copy says that it had no place.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use async_nats::{Message, Request, RequestErrorKind};
use bytes::Bytes;
use http::uri::Authority;
use seam_runtime::call::Failure;
use seam_runtime::remote::{Carried, Carrier, Head};
use seam_store::ids::ContextName;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::connection::{Connection, Line};
use super::envelope::{self, Unopened};
use super::seal::Seals;
use super::{BrokerConfig, Copies};
use crate::limits;
use crate::remote::credentials::Credentials;
use crate::remote::metrics::Metrics;
use crate::remote::refusals::Refusals;
use crate::remote::wire::{self, Answered, Rejection};

/// The broker, as this host calls the copies behind it. The connection ends when it and all `Copies` are dropped.
pub struct Broker {
    sender: Arc<Sender>,
    keeper: AbortHandle,
}

/// What each call needs.
struct Sender {
    config: BrokerConfig,
    connection: Connection,
    seals: Arc<Seals>,
    metrics: Metrics,
    refusals: Refusals,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Broker {
    /// Starts to connect. Must run inside a tokio runtime.
    pub fn start(config: BrokerConfig, credentials: &Credentials, metrics: &Metrics) -> Self {
        let (connection, keeping) = Connection::start(config.clone(), credentials.clone(), metrics.clone());
        let keeper = tokio::spawn(keeping).abort_handle();
        let (seals, refusals) = (Arc::new(Seals::new(credentials)), Refusals::default());
        let sender = Sender { config, connection, seals, metrics: metrics.clone(), refusals };
        Self { sender: Arc::new(sender), keeper }
    }

    /// What answers calls for the copies of this host, over the same connection.
    pub fn copies(&self) -> Copies {
        let Sender { config, connection, seals, metrics, .. } = &*self.sender;
        Copies::new(config.clone(), connection.clone(), seals.clone(), metrics.clone())
    }

    /// Whether the calls of `context` go through the broker.
    pub fn carries(&self, context: &ContextName) -> bool {
        let main = context.variant().map_or(context.as_str(), |(main, _)| main);
        self.sender.config.contexts.iter().any(|one| one.as_str() == main)
    }

    /// The connection that there is.
    #[cfg(test)]
    pub fn line(&self) -> Arc<Line> {
        match &*self.sender.connection.stages().borrow() {
            super::connection::Stage::Up(line) => line.clone(),
            _ => unreachable!("there is no connection"),
        }
    }

    #[cfg(test)]
    pub async fn until_up(&self) {
        while self.sender.connection.line().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Carrier for Broker {
    fn carry(&self, head: Head, arguments: Bytes) -> Pin<Box<dyn Future<Output = Carried> + Send>> {
        let sender = self.sender.clone();
        Box::pin(async move { sender.carry(&head, arguments).await })
    }

    fn is_down(&self, _: &ContextName) -> bool {
        self.sender.connection.is_down()
    }
}

/// Why a message has no answer that counts.
enum Lost {
    /// No copy takes messages.
    NoCopy,
    TooLarge(String),
    Connection(String),
    /// The answer is not one of a host that may have a copy.
    Distrusted(String, &'static str),
    /// It cannot be sent.
    Unfit(String),
}

impl Sender {
    async fn carry(&self, head: &Head, arguments: Bytes) -> Carried {
        let started = Instant::now();
        let sent = timeout(head.remaining, self.send(head, arguments, started)).await;
        let context = head.context.to_string();
        let (outcome, carried) = match sent {
            Ok(Ok(carried)) => (wire::answered(&carried), carried),
            Ok(Err(rejection)) => {
                let asked = format!("`{}.{}` of `{}`", head.interface, head.function, head.context);
                let why = format!("it is not accepted: {rejection}");
                self.refusals.log(&format!("the broker at {}", self.config.address), &asked, &why, rejection.remedy());
                let reason = "its copies do not accept the call".to_owned();
                (rejection.name(), Err(Failure::Absent { context, reason }))
            }
            Err(_) => {
                let carried = Err(Failure::TimedOut { context });
                (wire::answered(&carried), carried)
            }
        };
        self.metrics.called(&self.config.name, outcome, started.elapsed());
        carried
    }

    /// Sends the call until a copy has taken it.
    async fn send(&self, head: &Head, arguments: Bytes, started: Instant) -> Result<Carried, Rejection> {
        let context = || head.context.to_string();
        let absent = |reason: String| Ok(Err(Failure::Absent { context: context(), reason }));
        for resends in 0..=limits::REMOTE_RESENDS {
            let line = match self.connection.line().await {
                Ok(line) => line,
                Err(reason) => return absent(reason.to_string()),
            };
            let carried = match self.ask(&line, head, arguments.clone(), started).await {
                Ok((answered, host, body)) => answered.carried(&context(), &host, body)?,
                Err(Lost::NoCopy) => return absent("no host runs a copy of it now".to_owned()),
                Err(Lost::TooLarge(why)) => return Err(Rejection::TooLarge(why)),
                Err(Lost::Connection(reason)) => return absent(reason),
                Err(Lost::Unfit(why)) => return Err(Rejection::Unreadable(why)),
                Err(Lost::Distrusted(why, remedy)) => {
                    let asked = format!("an answer of `{}`", head.context);
                    self.refusals.log(&format!("the broker at {}", self.config.address), &asked, &why, remedy);
                    return absent("what answers is no copy of it".to_owned());
                }
            };
            // Another copy may have a place.
            let again = matches!(&carried, Err(Failure::Overloaded { context: of }) if *of == context());
            if !again || resends == limits::REMOTE_RESENDS {
                return Ok(carried);
            }
        }
        absent("no copy of it has a place".to_owned())
    }

    /// The answer of one copy, and the name of its host.
    async fn ask(
        &self,
        line: &Arc<Line>,
        head: &Head,
        arguments: Bytes,
        started: Instant,
    ) -> Result<(Answered, String, Bytes), Lost> {
        let number: u128 = rand::random();
        let remaining = head.remaining.saturating_sub(started.elapsed());
        let authority = Authority::from_static("broker");
        let request = wire::request(&authority, &self.config.system, head, remaining, Bytes::new());
        let (parts, _) = request.map_err(Lost::Unfit)?.into_parts();
        let sealed = envelope::request(&parts, &arguments, number, envelope::now_ms(), &self.seals);
        let sealed = sealed.map_err(Lost::Unfit)?;
        let length = arguments.len();
        let request = Request::new().headers(sealed.headers).payload(arguments).timeout(None);
        let mut given_up = GivenUp { line: Some(line.clone()), context: head.context.clone(), number };
        let answer = tokio::select! {
            answer = line.client.send_request(sealed.subject, request) => answer,
            () = line.lost() => {
                given_up.line = None;
                return Err(Lost::Connection("the connection to the broker was lost".to_owned()));
            }
        };
        given_up.line = None;
        let message = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Lost::NoCopy,
            RequestErrorKind::MaxPayloadExceeded => {
                let max = line.client.max_payload();
                Lost::TooLarge(format!(
                    "the arguments have {length} bytes, and the broker takes {max} at most (`max_payload`), with the \
                     fields of a call"
                ))
            }
            _ => Lost::Connection(format!("the broker does not take the call: {error}")),
        })?;
        self.opened(&message, &head.context, number).map(|(answered, host)| (answered, host, message.payload))
    }

    fn opened(&self, message: &Message, context: &ContextName, number: u128) -> Result<(Answered, String), Lost> {
        let none = async_nats::HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        let (parts, names) = envelope::open_response(headers, &message.payload, number, &self.seals).map_err(
            |unopened| match unopened {
                Unopened::Rejected(rejection) => Lost::Distrusted(rejection.to_string(), rejection.remedy()),
                Unopened::Distrusted(distrust) => Lost::Distrusted(distrust.to_string(), distrust.remedy()),
            },
        )?;
        let host = names.host.clone();
        if !self.config.hosts.contains(&host) {
            let why = format!("there is no host `{host}` in this system");
            return Err(Lost::Distrusted(why, "start all hosts with the same `seam.toml`"));
        }
        if !names.has(context) {
            let why = format!("the certificate of host `{host}` does not name `{context}`");
            return Err(Lost::Distrusted(why, "`seam cert host NAME --contexts ... --replace`"));
        }
        Ok((Answered::read(&parts), host))
    }
}

/// Says that the call was given up, if it is dropped before there is an answer.
struct GivenUp {
    line: Option<Arc<Line>>,
    context: ContextName,
    number: u128,
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        let (subject, number) = (envelope::cancel(self.context.as_str()), format!("{:032x}", self.number));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { line.client.publish(subject, number.into()).await.ok() });
        }
    }
}
