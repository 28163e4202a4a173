//! Answers the calls of other hosts, and their questions for events and totals.
//!
//! It stops in three steps: no new connections, no new calls, no calls at all.

mod answer;
mod connection;
mod receive;
mod shared;
mod sheet;
mod step;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::remote::Answers;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::shared::{Phase, Shared};
use super::config::{Allow, Moves, System};
use super::credentials::Credentials;
use super::error::Error;
use super::metrics::Metrics;
use super::refusals::Refusals;
use super::totals::Totals;
use crate::limits;
use crate::listener::{self, Accepting};

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub address: SocketAddr,
    pub system: System,
    /// The names of the other hosts of the system: no further one is answered.
    pub hosts: Vec<String>,
    /// How long running calls have to finish once the server stops.
    pub drain_time: Duration,
}

impl ServerConfig {
    pub fn new(address: SocketAddr, system: System, hosts: Vec<String>) -> Self {
        Self { address, system, hosts, drain_time: Duration::from_millis(limits::REMOTE_DRAIN_MS) }
    }
}

/// A server whose address is bound: other hosts can connect from now on, and are answered while `run` runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    drain_time: Duration,
    phase: watch::Sender<Phase>,
    shared: Shared,
}

impl Server {
    /// Binds the address. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn bind(
        config: ServerConfig,
        credentials: Credentials,
        answers: Arc<dyn Answers>,
        allow: Arc<dyn Allow>,
        moves: Arc<dyn Moves>,
        totals: Arc<dyn Totals>,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: config.address, source };
        let listener = listener::listen(config.address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (phase, phases) = watch::channel(Phase::Serving);
        let shared = Shared {
            system: config.system,
            hosts: config.hosts,
            credentials,
            answers,
            allow,
            moves,
            totals,
            metrics,
            refusals: Refusals::default(),
            calls: Arc::new(Semaphore::new(limits::REMOTE_CALLS)),
            arguments: Arc::new(Semaphore::new(limits::REMOTE_ARGUMENTS_KB as usize)),
            asks: Arc::new(Semaphore::new(limits::REMOTE_ASKS)),
            phases,
        };
        Ok(Self { listener, address, drain_time: config.drain_time, phase, shared })
    }

    /// The bound address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is ready, and then lets running calls finish for `ServerConfig::drain_time`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let phase = self.phase;
        let permits = Arc::new(Semaphore::new(limits::REMOTE_CONNECTIONS));
        let accepting = tokio::spawn(accept(self.listener, Arc::new(self.shared), permits.clone()));
        shutdown.await;
        // The listener closes with its task: other hosts are refused at once instead of waiting.
        accepting.abort();
        let _ = accepting.await;
        phase.send_replace(Phase::Draining);
        let all = u32::try_from(limits::REMOTE_CONNECTIONS).unwrap_or(u32::MAX);
        if tokio::time::timeout(self.drain_time, permits.acquire_many(all)).await.is_err() {
            let left = limits::REMOTE_CONNECTIONS.saturating_sub(permits.available_permits());
            tracing::warn!(
                target: "remote", connections = left,
                "closing connections of other hosts whose calls did not finish within the drain time"
            );
            phase.send_replace(Phase::Closing);
            let _ = tokio::time::timeout(Duration::from_secs(1), permits.acquire_many(all)).await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, permits: Arc<Semaphore>) {
    let mut accepting = Accepting::new(listener, "remote");
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let (stream, peer) = accepting.next().await;
        let shared = shared.clone();
        tokio::spawn(async move {
            connection::serve(stream, peer, shared).await;
            drop(permit);
        });
    }
}
