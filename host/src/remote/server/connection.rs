//! One connection of another host: its handshake, who it is, and its end.
//!
//! Invariant: a connection ends when the other side does not answer a PING, has no call for long, or shows a certificate
//! that is not accepted any more.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::{CertificateDer, UnixTime};
use seam_runtime::remote::Answers;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer;
use crate::limits;
use crate::remote::config::{Allow, System};
use crate::remote::credentials::{ALPN, Credentials, Material};
use crate::remote::handshake::{self, Reason};
use crate::remote::metrics::Metrics;
use crate::remote::names::Names;
use crate::remote::refusals::Refusals;
use crate::remote::trust::Side;

/// How far a server has come in stopping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    Serving,
    /// Running calls finish; each connection closes after its last one.
    Draining,
    /// The remaining connections close at once.
    Closing,
}

/// What the connections of a server share.
pub struct Shared {
    pub system: System,
    pub hosts: Vec<String>,
    pub credentials: Credentials,
    pub answers: Arc<dyn Answers>,
    pub allow: Arc<dyn Allow>,
    pub metrics: Metrics,
    pub refusals: Refusals,
    /// A permit for each call that runs.
    pub calls: Arc<Semaphore>,
    /// A permit for each KiB of arguments that arrives or is used.
    pub arguments: Arc<Semaphore>,
}

/// The other side of one connection.
pub struct Connected {
    pub address: SocketAddr,
    pub names: Names,
    /// Whether it is a host of this system.
    pub is_known: bool,
    /// Calls so far.
    pub calls: AtomicU64,
    /// Calls that run.
    pub running: AtomicU64,
}

impl Connected {
    /// As log lines name it.
    pub fn who(&self) -> String {
        format!("host `{}` at {}", self.names.host, self.address)
    }
}

/// Serves one connection to its end.
pub async fn serve(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>, phases: watch::Receiver<Phase>) {
    let material = shared.credentials.changes();
    let shaking = shake_hands(stream, material.borrow().clone());
    let (why, remedy) = match timeout(Duration::from_millis(limits::REMOTE_HANDSHAKE_MS), shaking).await {
        Ok(Ok((stream, chain, names))) => {
            let is_known = shared.hosts.contains(&names.host);
            let connected = Connected { address, names, is_known, calls: 0.into(), running: 0.into() };
            return run(stream, chain, Arc::new(connected), shared, material, phases).await;
        }
        Ok(Err(reason)) => reason,
        Err(_) => ("its handshake takes too long".to_owned(), "check the network and the load of that host"),
    };
    shared.refusals.log(&address.to_string(), "a connection", &why, remedy);
}

type Shaken = (TlsStream<TcpStream>, Vec<CertificateDer<'static>>, Names);

async fn shake_hands(stream: TcpStream, material: Arc<Material>) -> Result<Shaken, Reason> {
    let config = material.server().map_err(|error| handshake::explain(&error))?;
    let stream = TlsAcceptor::from(config).accept(stream).await.map_err(|error| handshake::explain(&error))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(ALPN) {
        return Err(handshake::explain(&rustls::Error::NoApplicationProtocol));
    }
    let chain = handshake::shown(session.peer_certificates());
    // Again, for the names: the handshake has verified the same certificate.
    let names = verified(&material, &chain)?;
    Ok((stream, chain, names))
}

fn verified(material: &Material, chain: &[CertificateDer<'_>]) -> Result<Names, Reason> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let verified = material.trust.verify(chain, Side::Client, UnixTime::since_unix_epoch(now));
    verified.map_err(|distrust| (distrust.to_string(), distrust.remedy()))
}

/// The settings of HTTP/2.
fn protocol() -> http2::Builder<TokioExecutor> {
    let mut protocol = http2::Builder::new(TokioExecutor::new());
    let streams = limits::REMOTE_STREAMS as usize;
    protocol
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::REMOTE_STREAMS)
        // Callers may give up many calls at once, when they run out of time together.
        .max_pending_accept_reset_streams(streams)
        .max_header_list_size(limits::REMOTE_HEAD_BYTES)
        .initial_stream_window_size(limits::REMOTE_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::REMOTE_WINDOW_BYTES)
        .keep_alive_interval(Duration::from_millis(limits::REMOTE_PING_MS))
        .keep_alive_timeout(Duration::from_millis(limits::REMOTE_PONG_MS));
    protocol
}

async fn run(
    stream: TlsStream<TcpStream>,
    chain: Vec<CertificateDer<'static>>,
    connected: Arc<Connected>,
    shared: Arc<Shared>,
    mut material: watch::Receiver<Arc<Material>>,
    mut phases: watch::Receiver<Phase>,
) {
    let service = service_fn(|request| {
        let (shared, connected) = (shared.clone(), connected.clone());
        async move { Ok::<_, Infallible>(answer::respond(&shared, &connected, request).await) }
    });
    let mut connection = pin!(protocol().serve_connection(TokioIo::new(stream), service));
    let mut looks = tokio::time::interval(Duration::from_secs(limits::REMOTE_VERIFY_S));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle = Idle::default();
    loop {
        if *phases.borrow_and_update() >= Phase::Draining {
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            biased;
            done = connection.as_mut() => {
                if let Err(error) = done {
                    let reason = handshake::explain(&error).0;
                    tracing::debug!(target: "remote", who = connected.who(), reason, "connection ended");
                }
                return;
            }
            changed = phases.changed() => if changed.is_err() || *phases.borrow() == Phase::Closing {
                return;
            },
            Ok(()) = material.changed() => {}
            _ = looks.tick() => if idle.look(&connected) {
                connection.as_mut().graceful_shutdown();
            },
        }
        // What is verified is what is in the files now: an authority may be gone, a certificate revoked or at its end.
        let verified = verified(&material.borrow_and_update().clone(), &chain);
        if let Err((why, remedy)) = verified {
            shared.refusals.log(&connected.who(), "to keep a connection", &why, remedy);
            return;
        }
    }
}

/// For how many looks a connection had no call.
#[derive(Default)]
struct Idle {
    calls: u64,
    looks: u64,
}

impl Idle {
    /// Whether it had none for so long that it ends.
    fn look(&mut self, connected: &Connected) -> bool {
        let calls = connected.calls.load(Relaxed);
        if calls != self.calls || connected.running.load(Relaxed) > 0 {
            *self = Self { calls, looks: 0 };
        }
        self.looks += 1;
        self.looks > limits::REMOTE_IDLE_S / limits::REMOTE_VERIFY_S
    }
}
