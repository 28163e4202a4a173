//! The connection to one other host: made when a call needs it, and made again when it is lost.
//!
//! Invariant: while the host cannot be reached, calls fail at once; a task tries again, with growing pauses. A
//! connection serves calls only after the other host has greeted: it accepts this host's certificate, and fits it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::uri::Authority;
use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::attempts::Attempts;
use super::{begin, pause_max};
use crate::limits;
use crate::pause::pause_ms;
use crate::remote::config::System;
use crate::remote::credentials::{ALPN, Credentials, Material};
use crate::remote::handshake::{self, Reason};
use crate::remote::http2;
use crate::remote::metrics::Metrics;
use crate::remote::names::Names;
use crate::remote::refusals::Refusals;
use crate::remote::trust::{Side, is_host};
use crate::remote::wire;

/// Another host, and the connection to it.
pub struct Link {
    pub peer: String,
    pub authority: Authority,
    pub server: ServerName<'static>,
    pub system: System,
    pub credentials: Credentials,
    pub metrics: Metrics,
    pub refusals: Refusals,
    pub state: State,
}

pub struct State {
    stage: watch::Sender<Stage>,
    /// A call needs a connection, and there is none.
    wanted: Notify,
    /// A connection takes no more calls.
    retired: Notify,
    /// When a call last asked for the connection.
    asked: Mutex<Option<Instant>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            stage: watch::channel(Stage::Unused).0,
            wanted: Notify::new(),
            retired: Notify::new(),
            asked: Mutex::new(None),
        }
    }
}

/// `Unused -> Connecting -> Up | Down`, `Up -> Connecting | Unused`, `Down -> Up`.
#[derive(Clone)]
enum Stage {
    /// There is no connection, and no call that needs one.
    Unused,
    /// Calls wait for the connection.
    Connecting,
    Up(Arc<Line>),
    /// Calls fail at once, for this reason.
    Down(Arc<str>),
}

/// A connection that takes calls.
pub struct Line {
    pub requests: SendRequest<Bytes>,
    /// What the other host's certificate names.
    pub names: Names,
    chain: Vec<CertificateDer<'static>>,
}

impl Link {
    /// The connection, once it is there.
    ///
    /// # Errors
    /// For the caller, when the host cannot be reached.
    pub async fn line(&self) -> Result<Arc<Line>, Arc<str>> {
        *self.state.asked.lock() = Some(Instant::now());
        if let Stage::Up(line) = &*self.state.stage.borrow() {
            return Ok(line.clone());
        }
        let mut stages = self.state.stage.subscribe();
        loop {
            match &*stages.borrow_and_update() {
                Stage::Up(line) => return Ok(line.clone()),
                Stage::Down(reason) => return Err(reason.clone()),
                Stage::Unused => self.state.wanted.notify_one(),
                Stage::Connecting => {}
            }
            if stages.changed().await.is_err() {
                return Err("this host stops".into());
            }
        }
    }

    #[cfg(test)]
    pub async fn until_up(&self) {
        let mut stages = self.state.stage.subscribe();
        let _ = stages.wait_for(|stage| matches!(stage, Stage::Up(_))).await;
    }

    pub fn is_down(&self) -> bool {
        matches!(&*self.state.stage.borrow(), Stage::Down(_))
    }

    /// The connection takes no more calls: the next one needs another connection.
    pub fn retire(&self, line: &Arc<Line>) {
        let retired = self.state.stage.send_if_modified(|stage| {
            let is_this = matches!(stage, Stage::Up(up) if Arc::ptr_eq(up, line));
            if is_this {
                *stage = Stage::Connecting;
            }
            is_this
        });
        if retired {
            self.state.retired.notify_one();
        }
    }

    fn set(&self, stage: Stage) {
        // A connection that no call needs is no host that cannot be reached.
        self.metrics.set_up(&self.peer, !matches!(stage, Stage::Down(_)));
        self.state.stage.send_replace(stage);
    }

    fn down(&self) {
        self.set(Stage::Down(format!("its host `{}` cannot be reached", self.peer).into()));
    }

    /// Whether calls have asked for the connection lately: it is made again before the next one does.
    fn is_used(&self) -> bool {
        let idle = Duration::from_secs(limits::REMOTE_IDLE_S / 2);
        self.state.asked.lock().is_some_and(|asked| asked.elapsed() < idle)
    }

    fn who(&self) -> String {
        format!("host `{}` at {}", self.peer, self.authority)
    }
}

/// Keeps the connection, for ever.
pub async fn keep(link: Arc<Link>) {
    let mut attempts = Attempts::default();
    let mut logged = String::new();
    loop {
        if attempts.go_on() {
            if !link.is_used() {
                link.set(Stage::Unused);
                link.state.wanted.notified().await;
            }
            link.set(Stage::Connecting);
        }
        let material = link.credentials.changes();
        let now = material.borrow().clone();
        match connect(&link, &now).await {
            Ok((line, connection)) => {
                let since = Instant::now();
                if attempts.connected() {
                    tracing::info!(target: "remote", who = link.who(), "the other host can be called again");
                }
                logged.clear();
                link.set(Stage::Up(line.clone()));
                let end = hold(&link, &line, connection, material).await;
                attempts.ended(since.elapsed(), end == End::Renewed);
                if end == End::Silent {
                    attempts.fell_silent();
                    link.down();
                    continue;
                }
                if attempts.go_on() {
                    continue;
                }
            }
            Err((why, remedy)) => {
                attempts.failed();
                if logged != why {
                    tracing::warn!(
                        target: "remote", who = link.who(), why, hint = remedy,
                        "cannot call the other host; calls to its contexts fail until it answers"
                    );
                    logged = why;
                }
            }
        }
        link.down();
        sleep(Duration::from_millis(pause_ms(attempts.tries(), pause_max()))).await;
    }
}

/// Why the next connection is made.
#[derive(PartialEq, Eq)]
enum End {
    /// This one was lost, or the other host let it go.
    Lost,
    /// The other host did not answer on it in time.
    Silent,
    /// It does not show what is in the files now.
    Renewed,
}

/// Waits until the connection ends or takes no more calls. Running calls finish on it.
async fn hold(
    link: &Link,
    line: &Arc<Line>,
    mut connection: Connection,
    mut material: watch::Receiver<Arc<Material>>,
) -> End {
    let mut looks = tokio::time::interval(Duration::from_secs(limits::REMOTE_VERIFY_S));
    loop {
        let renewed = tokio::select! {
            ended = &mut connection => {
                let (why, end) = match ended {
                    Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => (error.to_string(), End::Silent),
                    Ok(Err(error)) => (handshake::explain(&error).0, End::Lost),
                    _ => ("the other host closed it".to_owned(), End::Lost),
                };
                tracing::info!(target: "remote", who = link.who(), why, "the connection to the other host has ended");
                return end;
            }
            () = link.state.retired.notified() => {
                if matches!(&*link.state.stage.borrow(), Stage::Up(up) if Arc::ptr_eq(up, line)) {
                    continue;
                }
                return End::Lost;
            }
            Ok(()) = material.changed() => true,
            _ = looks.tick() => false,
        };
        if let Err((why, remedy)) = verified(link, &material.borrow_and_update().clone(), &line.chain) {
            link.refusals.log(&link.who(), "to keep a connection", &why, remedy);
            connection.abort();
            return End::Lost;
        }
        // The next connection shows the renewed certificate.
        if renewed {
            return End::Renewed;
        }
    }
}

type Connection = JoinHandle<io::Result<()>>;

/// # Errors
/// For the log: why the host cannot be called, and what to do.
async fn connect(link: &Link, material: &Material) -> Result<(Arc<Line>, Connection), Reason> {
    let connecting = async {
        let (stream, names, chain) = secure(link, material).await?;
        let opened = protocol().handshake(stream).await;
        let (requests, mut connection) = opened.map_err(|error| handshake::explain(&error))?;
        let silent = http2::until_silent(connection.ping_pong());
        let connection = tokio::spawn(async move {
            tokio::select! {
                biased;
                ended = connection => ended.map_err(io::Error::other),
                () = silent => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer a PING")),
            }
        });
        let line = Arc::new(Line { requests, names, chain });
        greet(link, &line).await?;
        Ok((line, connection))
    };
    let in_time = timeout(Duration::from_millis(limits::REMOTE_CONNECT_MS), connecting).await;
    in_time.unwrap_or_else(|_| {
        Err(("it does not answer in time".to_owned(), "check the network, and whether the other host runs or hangs"))
    })
}

type Secured = (TlsStream<TcpStream>, Names, Vec<CertificateDer<'static>>);

/// A TLS connection to the host that is meant, which accepts this host's certificate.
async fn secure(link: &Link, material: &Material) -> Result<Secured, Reason> {
    let reached = TcpStream::connect(link.authority.as_str()).await;
    let stream = reached.map_err(|error| handshake::explain(&error))?;
    // Calls are written whole: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let config = material.client(&link.peer).map_err(|error| handshake::explain(&error))?;
    let connecting = TlsConnector::from(config).connect(link.server.clone(), stream);
    let mut stream = connecting.await.map_err(|error| handshake::explain(&error))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(ALPN) {
        return Err(handshake::explain(&rustls::Error::NoApplicationProtocol));
    }
    let chain = handshake::shown(session.peer_certificates());
    // Again, for the names: the handshake has verified the same certificate.
    let names = verified(link, material, &chain)?;
    // In TLS 1.3, a client learns only with the first bytes that its certificate is not accepted.
    match stream.fill_buf().await {
        Ok([]) => Err(("it closes the connection".to_owned(), "the log of the other host says why")),
        Ok(_) => Ok((stream, names, chain)),
        Err(error) => Err(handshake::explain(&error)),
    }
}

fn verified(link: &Link, material: &Material, chain: &[CertificateDer<'_>]) -> Result<Names, Reason> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let names = material.trust.verify(chain, Side::Server, UnixTime::since_unix_epoch(now));
    let names = names.and_then(|names| is_host(&names, &link.peer).map(|()| names));
    names.map_err(|distrust| (distrust.to_string(), distrust.remedy()))
}

/// Asks whether both hosts fit each other.
pub(super) async fn greet(link: &Link, line: &Line) -> Result<(), Reason> {
    const SAY: &str = "the log of the other host says more";
    let response = begin(line, wire::greeting(&link.authority, &link.system)).await;
    let (answered, body) = response.map_err(|(error, _)| handshake::explain(&error))?;
    let body = body.collect(answered.body_bytes_max()).await;
    let body = body.map_err(|error| (seam_store::chain(&error), SAY))?;
    match answered.carried(&link.peer, &link.peer, body) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(failure)) => Err((failure.to_string(), SAY)),
        Err(rejection) => Err((format!("it does not fit this host: {rejection}"), rejection.remedy())),
    }
}

/// The settings of HTTP/2.
fn protocol() -> Builder {
    let mut protocol = Builder::new();
    protocol
        .enable_push(false)
        .initial_window_size(limits::REMOTE_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::REMOTE_WINDOW_BYTES)
        .max_header_list_size(limits::REMOTE_HEAD_BYTES)
        // Answers may be on their way to many calls that were given up.
        .max_concurrent_reset_streams(limits::REMOTE_STREAMS as usize);
    protocol
}
