//! One connection of another host: its handshake, who it is, and its end.
//!
//! Invariant: a connection ends when the other side does not answer a PING, has no call for long, or has a certificate
//! that is not accepted any more.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use h2::server::{Builder, Connection};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer;
use super::shared::{Connected, Phase, Shared};
use crate::limits;
use crate::remote::credentials::{ALPN, Material};
use crate::remote::handshake::{self, Reason};
use crate::remote::http2;
use crate::remote::names::Names;
use crate::remote::trust::Side;

/// Serves one connection to its end.
pub async fn serve(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>) {
    let material = shared.credentials.changes();
    let shown = material.borrow().clone();
    let shaking = shake_hands(stream, shown.clone());
    let (why, remedy) = match timeout(Duration::from_millis(limits::REMOTE_HANDSHAKE_MS), shaking).await {
        Ok(Ok((requests, chain, names))) => {
            let is_known = shared.hosts.contains(&names.host);
            let connected = Connected { address, names, is_known, calls: 0.into(), running: 0.into() };
            let connected = (Arc::new(connected), chain);
            return run(requests, connected, shared, (material, shown)).await;
        }
        Ok(Err(reason)) => reason,
        Err(_) => ("its handshake takes too long".to_owned(), "check the network and the load of that host"),
    };
    shared.refusals.log(&address.to_string(), "a connection", &why, remedy);
}

type Requests = Connection<TlsStream<TcpStream>, Bytes>;

type Shaken = (Requests, Vec<CertificateDer<'static>>, Names);

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
    let requests = protocol().handshake(stream).await.map_err(|error| handshake::explain(&error))?;
    Ok((requests, chain, names))
}

fn verified(material: &Material, chain: &[CertificateDer<'_>]) -> Result<Names, Reason> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let verified = material.trust.verify(chain, Side::Client, UnixTime::since_unix_epoch(now));
    verified.map_err(|distrust| (distrust.to_string(), distrust.remedy()))
}

/// The settings of HTTP/2.
fn protocol() -> Builder {
    let mut protocol = Builder::new();
    protocol
        .max_concurrent_streams(limits::REMOTE_STREAMS)
        // Callers may give up many calls at once, when they run out of time together.
        .max_pending_accept_reset_streams(limits::REMOTE_STREAMS as usize)
        .max_header_list_size(limits::REMOTE_HEAD_BYTES)
        .initial_window_size(limits::REMOTE_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::REMOTE_WINDOW_BYTES);
    protocol
}

async fn run(
    mut requests: Requests,
    (connected, chain): (Arc<Connected>, Vec<CertificateDer<'static>>),
    shared: Arc<Shared>,
    (mut material, shown): (watch::Receiver<Arc<Material>>, Arc<Material>),
) {
    let mut phases = shared.phases.clone();
    let mut silent = pin!(http2::until_silent(requests.ping_pong()));
    let mut looks = tokio::time::interval(Duration::from_secs(limits::REMOTE_VERIFY_S));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle = Idle::default();
    // Not tasks of their own: what they send leaves when the connection is polled next, in this task.
    let mut answering = FuturesUnordered::new();
    let ended = |reason: &str| tracing::debug!(target: "remote", who = connected.who(), reason, "connection ended");
    loop {
        match *phases.borrow_and_update() {
            Phase::Serving => {}
            Phase::Draining => requests.graceful_shutdown(),
            Phase::Closing => return,
        }
        tokio::select! {
            biased;
            accepted = requests.accept() => match accepted {
                Some(Ok((request, stream))) => {
                    answering.push(answer::serve(shared.clone(), connected.clone(), request, stream));
                    continue;
                }
                Some(Err(error)) => return ended(&handshake::explain(&error).0),
                None => return,
            },
            Some(()) = answering.next(), if !answering.is_empty() => continue,
            () = &mut silent => return ended("the other host does not answer a PING"),
            changed = phases.changed() => if changed.is_err() {
                return;
            },
            Ok(()) = material.changed() => {}
            _ = looks.tick() => if idle.look(&connected) {
                requests.graceful_shutdown();
            },
        }
        // What is verified is what is in the files now: an authority may be gone, a certificate revoked or at its end.
        let now = material.borrow_and_update().clone();
        if let Err((why, remedy)) = verified(&now, &chain) {
            shared.refusals.log(&connected.who(), "to keep a connection", &why, remedy);
            return;
        }
        if !now.shows_same(&shown) {
            // The other host connects again, and sees the renewed certificate.
            requests.graceful_shutdown();
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
