//! What one connection is doing, as far as its timeouts depend on it.
//!
//! hyper's own timer for heads would also end idle connections, and it costs an allocation and two locks a request.
//! This costs a few relaxed stores a request; one timer a connection reads them every few seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::client::Client;
use super::limits::Limits;
use crate::limits;

pub struct ConnectionActivity {
    pub peer: Client,
    /// Whether the peer is a proxy that names the clients of its requests.
    pub peer_is_trusted: bool,
    /// Whether it came in at the address of the operators' pages.
    pub is_for_ops: bool,
    opened: Instant,
    /// Requests that were received and whose responses have not been handed to hyper in full.
    active: AtomicU32,
    /// Since when `active` is 0, in milliseconds after `opened`.
    idle_since_ms: AtomicU64,
    /// When the first byte of the head that is arriving came, in milliseconds after `opened`; `NO_HEAD` between heads.
    head_since_ms: AtomicU64,
    /// Requests among `active` whose answer is a stream of which the client has a piece, and has not asked for more.
    unread: AtomicU32,
    /// When a client last got such a piece, in milliseconds after `opened`.
    unread_since_ms: AtomicU64,
    /// Bytes that were handed to the kernel.
    wrote: AtomicU64,
    /// What the client has taken of them, as of the last check.
    taken: Mutex<Taken>,
    stalled: AtomicBool,
    http2: AtomicBool,
    /// A head with both Content-Length and Transfer-Encoding has arrived.
    smuggled: AtomicBool,
}

/// The client's progress in reading.
#[derive(Default)]
struct Taken {
    bytes: u64,
    /// When it was that many, in milliseconds after `opened`.
    since_ms: u64,
}

const NO_HEAD: u64 = u64::MAX;

/// The result of a check of a connection's timeouts.
pub enum Timeout {
    /// None has passed. The next one may pass after this time.
    NotBefore(Duration),
    /// The connection has been idle for too long.
    Idle,
    /// The client reads none of the answers that it asked for.
    Stalled,
    /// The head has been arriving for too long.
    SlowHead,
}

impl ConnectionActivity {
    pub fn new(peer: SocketAddr, secure: bool, peer_is_trusted: bool, is_for_ops: bool) -> Self {
        Self {
            peer: Client::peer(peer, secure),
            peer_is_trusted,
            is_for_ops,
            opened: Instant::now(),
            active: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            // The time for the first head starts with the connection.
            head_since_ms: AtomicU64::new(0),
            unread: AtomicU32::new(0),
            unread_since_ms: AtomicU64::new(0),
            wrote: AtomicU64::new(0),
            taken: Mutex::default(),
            stalled: AtomicBool::new(false),
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
        ActiveRequest { connection: self.clone(), unread: AtomicBool::new(false) }
    }

    pub fn received_bytes(&self) {
        if self.active.load(Relaxed) == 0 && self.head_since_ms.load(Relaxed) == NO_HEAD {
            self.head_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    pub fn wrote_bytes(&self, bytes: usize) {
        self.wrote.fetch_add(bytes as u64, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    /// `queued`: how many of the bytes that were written the kernel still holds, for want of a client that reads.
    pub fn check(&self, limits: &Limits, queued: u64) -> Timeout {
        let now = self.now_ms();
        let left = |since: u64, limit: Duration| limit.saturating_sub(Duration::from_millis(now.saturating_sub(since)));
        let taken_ms = self.taken_ms(queued, now);
        let active = self.active.load(Relaxed);
        let look = limits.header_time.min(limits.idle_time);
        if active > self.unread.load(Relaxed) {
            return Timeout::NotBefore(look);
        }
        let head = self.head_since_ms.load(Relaxed);
        if active == 0 && head != NO_HEAD && !self.http2.load(Relaxed) {
            // The answer before may still be on its way.
            let left = left(head.max(taken_ms), limits.header_time);
            return if left.is_zero() { Timeout::SlowHead } else { Timeout::NotBefore(left) };
        }
        let since = if active == 0 { &self.idle_since_ms } else { &self.unread_since_ms };
        let left = left(since.load(Relaxed).max(taken_ms), limits.idle_time);
        match (left.is_zero(), active) {
            (false, _) => Timeout::NotBefore(left.min(look)),
            (true, 0) => Timeout::Idle,
            (true, _) => {
                self.stalled.store(true, Relaxed);
                Timeout::Stalled
            }
        }
    }

    /// When the client was last seen to have taken `HTTP_PROGRESS_BYTES` more than before.
    fn taken_ms(&self, queued: u64, now: u64) -> u64 {
        let bytes = self.wrote.load(Relaxed).saturating_sub(queued);
        let mut taken = self.taken.lock();
        if bytes >= taken.bytes + limits::HTTP_PROGRESS_BYTES {
            *taken = Taken { bytes, since_ms: now };
        }
        taken.since_ms
    }
}

/// A request that is being served; its connection is busy until this drops.
pub struct ActiveRequest {
    connection: Arc<ConnectionActivity>,
    /// It is one of the connection's `unread`.
    unread: AtomicBool,
}

impl ActiveRequest {
    /// The client gets a piece of a streamed answer.
    pub fn delivered(&self) {
        let connection = &self.connection;
        connection.unread_since_ms.store(connection.now_ms(), Relaxed);
        if !self.unread.swap(true, Relaxed) {
            connection.unread.fetch_add(1, Relaxed);
        }
    }

    /// The client can take the next piece.
    pub fn asked(&self) {
        if self.unread.swap(false, Relaxed) {
            self.connection.unread.fetch_sub(1, Relaxed);
        }
    }

    /// Whether the connection ends because its client does not read.
    pub fn stalled(&self) -> bool {
        self.connection.stalled.load(Relaxed)
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.connection.idle_since_ms.store(self.connection.now_ms(), Relaxed);
        self.asked();
        self.connection.active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A connection whose client has had a piece of a stream for longer than it may.
    fn unread() -> (Arc<ConnectionActivity>, ActiveRequest, Limits) {
        let connection = Arc::new(ConnectionActivity::new("192.0.2.1:1".parse().unwrap(), false, false, false));
        let request = connection.begin_request();
        let limits = Limits { idle_time: Duration::ZERO, ..Limits::default() };
        (connection, request, limits)
    }

    #[test]
    fn a_connection_stalls_when_its_client_reads_nothing_of_any_answer() {
        let (connection, request, limits) = unread();
        assert!(matches!(connection.check(&limits, 0), Timeout::NotBefore(_)), "the guest's turn");
        request.delivered();
        let second = connection.begin_request();
        assert!(matches!(connection.check(&limits, 0), Timeout::NotBefore(_)), "another answer is in work");
        drop(second);
        assert!(matches!(connection.check(&limits, 0), Timeout::Stalled));
        assert!(request.stalled());
        request.asked();
        assert!(matches!(connection.check(&limits, 0), Timeout::NotBefore(_)));
        drop(request);
        assert!(matches!(connection.check(&limits, 0), Timeout::Idle));
    }

    #[test]
    fn a_client_that_reads_slowly_is_not_stalled() {
        let (connection, request, mut limits) = unread();
        limits.idle_time = Duration::from_millis(20);
        connection.wrote_bytes(1 << 40);
        request.delivered();
        let mut queued = 1 << 40;
        let started = Instant::now();
        while started.elapsed() < limits.idle_time * 3 {
            queued -= limits::HTTP_PROGRESS_BYTES;
            assert!(matches!(connection.check(&limits, queued), Timeout::NotBefore(_)));
        }
        // From now on it takes less than counts: the pings of HTTP/2 are no progress.
        connection.wrote_bytes(100);
        while !matches!(connection.check(&limits, queued), Timeout::Stalled) {
            assert!(started.elapsed() < Duration::from_secs(10));
        }
    }
}
