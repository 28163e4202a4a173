//! Listening, accepting, and stopping: first no more connections, then no more requests, then none at all.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::route::Source;
use super::service::Edge;
use super::{Config, Error, connection, tls};
use crate::context::serve::Registry;
use crate::limits;

/// How far a server has come on its way to its end. Connections watch it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    Serving,
    /// Requests that have begun are finished, each connection closes after its last.
    Draining,
    /// What is left is dropped.
    Cut,
}

/// A server whose addresses are bound: clients can connect from now on, and are answered once it runs.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    tls: Option<TlsAcceptor>,
    edge: Arc<Edge>,
}

/// What a server has mounted.
#[derive(Clone)]
pub struct Mounts(Arc<Edge>);

impl Mounts {
    /// From now on requests go by these. Those that run keep theirs.
    ///
    /// # Errors
    /// When a folder of static files cannot be opened; then nothing has changed.
    pub fn set(&self, mounts: &[super::Mount]) -> Result<(), Error> {
        self.0.mount(mounts)
    }
}

impl Server {
    /// Binds all addresses, reads the certificate and opens the assets' folders. Needs a tokio runtime around it.
    pub fn bind(config: Config, contexts: Registry, metrics: &prometheus::Registry) -> Result<Self, Error> {
        Self::bind_source(config, Source::Registry(contexts), metrics)
    }

    pub(super) fn bind_source(config: Config, source: Source, metrics: &prometheus::Registry) -> Result<Self, Error> {
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listen =
            |address: &SocketAddr| listen(*address).map_err(|source| Error::Listen { address: *address, source });
        let listeners = config.listen.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
        let local = |(listener, wanted): (&TcpListener, &SocketAddr)| {
            listener.local_addr().map_err(|source| Error::Listen { address: *wanted, source })
        };
        let addresses = listeners.iter().zip(&config.listen).map(local).collect::<Result<Vec<_>, _>>()?;
        let edge = Arc::new(Edge::new(config, source, metrics)?);
        Ok(Self { listeners, addresses, tls, edge })
    }

    /// The bound addresses in the order of `Config::listen`, with real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// To mount other contexts while it serves.
    pub fn mounts(&self) -> Mounts {
        Mounts(self.edge.clone())
    }

    /// Serves until `shutdown` is ready, then stops accepting and gives what runs `Limits::drain_time` to finish.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (phase, phases) = watch::channel(Phase::Serving);
        let limit = self.edge.limits.connections.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(limit));
        let mut acceptors = JoinSet::new();
        for listener in self.listeners {
            acceptors.spawn(accept(listener, self.edge.clone(), self.tls.clone(), places.clone(), phases.clone()));
        }
        shutdown.await;
        self.edge.drain();
        // The listeners close with their tasks: clients that come now are refused by the kernel, not left waiting. Only then do the
        // connections learn of it: whoever sees one close can rely on that.
        acceptors.shutdown().await;
        phase.send_replace(Phase::Draining);
        let all = u32::try_from(limit).unwrap_or(u32::MAX);
        if tokio::time::timeout(self.edge.limits.drain_time, places.acquire_many(all)).await.is_err() {
            let left = limit.saturating_sub(places.available_permits());
            tracing::warn!(target: "http", connections = left, "cut what had not finished within the drain time");
            phase.send_replace(Phase::Cut);
            let _ = tokio::time::timeout(Duration::from_secs(1), places.acquire_many(all)).await;
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::HTTP_BACKLOG)
}

/// Takes a place first and a connection second: when all places are taken, clients wait in the kernel.
async fn accept(
    listener: TcpListener,
    edge: Arc<Edge>,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    phases: watch::Receiver<Phase>,
) {
    let mut complaints = Complaints::default();
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, client) = next(&listener, &mut complaints).await;
        // Answers are written whole: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let (edge, tls, phases) = (edge.clone(), tls.clone(), phases.clone());
        tokio::spawn(async move {
            connection::serve(stream, client, edge, tls, phases).await;
            drop(place);
        });
    }
}

async fn next(listener: &TcpListener, complaints: &mut Complaints) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if of_the_client(&error) => {}
            Err(error) => {
                complaints.about(&error);
                tokio::time::sleep(Duration::from_millis(limits::HTTP_ACCEPT_BACKOFF_MS)).await;
            }
        }
    }
}

/// The connection that was to be accepted is already gone; the next one is fine. All else (EMFILE, ENFILE, ENOMEM) is ours.
fn of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says that accepting fails once a second at most: it may fail twenty times in it.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u32,
}

impl Complaints {
    fn about(&mut self, error: &io::Error) {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            self.unsaid += 1;
            return;
        }
        tracing::error!(target: "http", %error, repeated = self.unsaid, "cannot accept connections, trying on");
        (self.last, self.unsaid) = (Some(Instant::now()), 0);
    }
}
