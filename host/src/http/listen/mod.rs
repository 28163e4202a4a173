//! Listening, and stopping in three steps: no new connections, no new requests, no requests at all.

mod accept;
mod connection;
mod smuggle;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::serve::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::connection::{Phase, Shared};
use self::tls::Files;
use super::config::{Config, Mount};
use super::error::Error;
use super::guest::Contexts;
use super::own::feeds::Outboxes;
use super::service::Service;
use crate::certificate::Renewal;
use crate::manifest::Ops;
use crate::{limits, listener};

/// A server whose addresses are bound: clients can connect from now on, and get responses while `run` runs.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    /// Where operators ask, if that is an address of its own.
    ops: Option<TcpListener>,
    tls: Option<(TlsAcceptor, Renewal<Files>)>,
    service: Arc<Service>,
}

/// Changes the mounts of a server while it runs.
#[derive(Clone)]
pub struct Mounts(Arc<Service>);

impl Mounts {
    /// Replaces the mounts. Running requests keep theirs.
    ///
    /// # Errors
    /// When a folder of static files cannot be opened; then nothing has changed.
    pub fn set(&self, mounts: &[Mount]) -> Result<(), Error> {
        self.0.set_mounts(mounts)
    }
}

impl Server {
    /// Binds all addresses, reads the certificate and opens the folders of assets. Must run inside a tokio runtime.
    pub fn bind(config: Config, contexts: Registry, metrics: &prometheus::Registry) -> Result<Self, Error> {
        let registry = contexts.clone();
        let outboxes: Outboxes =
            Arc::new(move |context| registry.live(context.as_str()).ok()?.generation().database().cloned());
        Self::bind_contexts(config, Contexts::Registry(contexts), &outboxes, metrics)
    }

    pub(super) fn bind_contexts(
        config: Config,
        contexts: Contexts,
        outboxes: &Outboxes,
        metrics: &prometheus::Registry,
    ) -> Result<Self, Error> {
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listen = |address: &SocketAddr| {
            listener::listen(*address).map_err(|source| Error::Listen { address: *address, source })
        };
        let listeners = config.listen.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
        let local = |(listener, wanted): (&TcpListener, &SocketAddr)| {
            listener.local_addr().map_err(|source| Error::Listen { address: *wanted, source })
        };
        let addresses = listeners.iter().zip(&config.listen).map(local).collect::<Result<Vec<_>, _>>()?;
        let ops = match &config.ops {
            Ops::Address(address) => Some(listen(address)?),
            Ops::Off | Ops::Loopback | Ops::Public => None,
        };
        let service = Arc::new(Service::new(config, contexts, outboxes, metrics)?);
        Ok(Self { listeners, addresses, ops, tls, service })
    }

    /// The bound addresses in the order of `Config::listen`, with real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The bound address of the operators' pages, if they have one of their own.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    pub fn mounts(&self) -> Mounts {
        Mounts(self.service.clone())
    }

    /// Serves until `shutdown` is ready. Then stops accepting and lets running requests finish for
    /// `Limits::drain_time`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (phase, phases) = watch::channel(Phase::Serving);
        let drain_time = self.service.limits.drain_time;
        let limit = self.service.limits.connections.min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(limit));
        let (tls, renewal) = self.tls.unzip();
        let shared = Arc::new(Shared::new(self.service.clone(), tls, phases.clone()));
        let mut acceptors = JoinSet::new();
        if let Some(renewal) = renewal {
            acceptors.spawn(renewal.run());
        }
        if let Some(listener) = self.ops {
            // Permits of their own: operators look when customers have taken all the others.
            let permits = Arc::new(Semaphore::new(limits::OPS_CONNECTIONS));
            acceptors.spawn(accept::accept(listener, Arc::new(Shared::for_ops(self.service, phases)), permits));
        }
        for listener in self.listeners {
            acceptors.spawn(accept::accept(listener, shared.clone(), permits.clone()));
        }
        shutdown.await;
        shared.service.drain();
        // The listeners close with their tasks: from now on the kernel refuses new clients instead of letting them
        // wait. The connections drain only after that, so a client that sees one close can rely on it.
        acceptors.shutdown().await;
        phase.send_replace(Phase::Draining);
        let all = u32::try_from(limit).unwrap_or(u32::MAX);
        if tokio::time::timeout(drain_time, permits.acquire_many(all)).await.is_err() {
            let left = limit.saturating_sub(permits.available_permits());
            tracing::warn!(
                target: "http", connections = left,
                "closing connections whose requests did not finish within the drain time"
            );
            phase.send_replace(Phase::Closing);
            let _ = tokio::time::timeout(Duration::from_secs(1), permits.acquire_many(all)).await;
        }
    }
}
