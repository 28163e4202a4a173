//! What the parts of a server share: its state, and who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use seam_runtime::remote::Answers;
use tokio::sync::{Semaphore, watch};

use crate::remote::config::{Allow, Moves, System};
use crate::remote::credentials::Credentials;
use crate::remote::metrics::Metrics;
use crate::remote::names::Names;
use crate::remote::refusals::Refusals;
use crate::remote::totals::Totals;

/// What the connections of a server share.
pub struct Shared {
    pub system: System,
    pub hosts: Vec<String>,
    pub credentials: Credentials,
    pub answers: Arc<dyn Answers>,
    pub allow: Arc<dyn Allow>,
    pub moves: Arc<dyn Moves>,
    pub totals: Arc<dyn Totals>,
    pub metrics: Metrics,
    pub refusals: Refusals,
    /// A permit for each call that runs.
    pub calls: Arc<Semaphore>,
    /// A permit for each KiB of arguments that arrives or is used.
    pub arguments: Arc<Semaphore>,
    /// A permit for each question for events.
    pub asks: Arc<Semaphore>,
    /// How far the server has come in stopping.
    pub phases: watch::Receiver<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    Serving,
    /// Running calls finish; each connection closes after its last one.
    Draining,
    /// The remaining connections close at once.
    Closing,
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
