//! What one connection is doing, as far as its timeouts depend on it.
//!
//! hyper's own timer for heads would also end idle connections, and it costs an allocation and two locks a request.
//! This costs a few relaxed stores a request; one timer a connection reads them every few seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::client::Client;
use super::limits::Limits;

pub struct ConnectionActivity {
    pub peer: Client,
    /// Whether the peer is a proxy that names the clients of its requests.
    pub peer_is_trusted: bool,
    opened: Instant,
    /// Requests that were received and whose responses have not been handed to hyper in full.
    active: AtomicU32,
    /// Since when `active` is 0, in milliseconds after `opened`.
    idle_since_ms: AtomicU64,
    /// When the first byte of the head that is arriving came, in milliseconds after `opened`; `NO_HEAD` between heads.
    head_since_ms: AtomicU64,
    /// Bytes were written since the last check.
    wrote: AtomicBool,
    http2: AtomicBool,
    /// A head with both Content-Length and Transfer-Encoding has arrived.
    smuggled: AtomicBool,
}

const NO_HEAD: u64 = u64::MAX;

/// The result of a check of a connection's timeouts.
pub enum Timeout {
    /// None has passed. The next one may pass after this time.
    NotBefore(Duration),
    /// The connection has been idle for too long.
    Idle,
    /// The head has been arriving for too long.
    SlowHead,
}

impl ConnectionActivity {
    pub fn new(peer: SocketAddr, secure: bool, peer_is_trusted: bool) -> Self {
        Self {
            peer: Client::peer(peer, secure),
            peer_is_trusted,
            opened: Instant::now(),
            active: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            // The time for the first head starts with the connection.
            head_since_ms: AtomicU64::new(0),
            wrote: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            smuggled: AtomicBool::new(false),
        }
    }

    /// Whether any head so far carried both lengths; hyper closes the connection after such a head.
    pub fn smuggled(&self) -> bool {
        self.smuggled.load(Relaxed)
    }

    pub fn set_smuggled(&self) {
        self.smuggled.store(true, Relaxed);
    }

    pub fn set_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    /// A request has arrived; it is active until the guard drops.
    pub fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        self.active.fetch_add(1, Relaxed);
        self.head_since_ms.store(NO_HEAD, Relaxed);
        ActiveRequest(self.clone())
    }

    pub fn received_bytes(&self) {
        if self.active.load(Relaxed) == 0 && self.head_since_ms.load(Relaxed) == NO_HEAD {
            self.head_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    pub fn wrote_bytes(&self) {
        self.wrote.store(true, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    pub fn check(&self, limits: &Limits) -> Timeout {
        if self.wrote.swap(false, Relaxed) || self.active.load(Relaxed) > 0 {
            return Timeout::NotBefore(limits.header_time);
        }
        let now = self.now_ms();
        let left = |since: u64, limit: Duration| limit.saturating_sub(Duration::from_millis(now.saturating_sub(since)));
        let head = self.head_since_ms.load(Relaxed);
        if head != NO_HEAD && !self.http2.load(Relaxed) {
            let left = left(head, limits.header_time);
            return if left.is_zero() { Timeout::SlowHead } else { Timeout::NotBefore(left) };
        }
        let left = left(self.idle_since_ms.load(Relaxed), limits.idle_time);
        if left.is_zero() { Timeout::Idle } else { Timeout::NotBefore(left.min(limits.header_time)) }
    }
}

pub struct ActiveRequest(Arc<ConnectionActivity>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.idle_since_ms.store(self.0.now_ms(), Relaxed);
        self.0.active.fetch_sub(1, Relaxed);
    }
}
