//! One connection: TLS, the protocol by its first bytes, and the times it may take.
//!
//! hyper's own timer for heads would also end idle connections and costs an allocation and two locks a request; `Pulse` is a few
//! relaxed stores, read by one timer a connection that wakes every few seconds.
//! Invariant: a connection that neither finishes a head in time, nor asks, nor reads, ends.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::http::listen::Phase;
use crate::http::listen::smuggle::Scan;
use crate::http::service::Edge;
use crate::http::{Limits, header_fields};
use crate::limits;

pub type Protocol = auto::Builder<TokioExecutor>;

/// How connections speak HTTP/1.1 and HTTP/2; which one, the first bytes say.
pub fn protocol(bounds: &Limits) -> Protocol {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        // hyper answers 431 when a head does not fit.
        .max_buf_size(bounds.header_bytes.max(8 * 1024))
        .max_headers(bounds.header_count)
        .half_close(false);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(bounds.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .keep_alive_interval(Some(bounds.idle_time / 3))
        .keep_alive_timeout(bounds.header_time);
    protocol
}

/// Serves one connection to its end.
pub async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    edge: Arc<Edge>,
    tls: Option<TlsAcceptor>,
    phases: watch::Receiver<Phase>,
) {
    let _open = edge.metrics.connection();
    match tls {
        None => run(stream, client, false, edge, phases).await,
        Some(tls) => match tokio::time::timeout(edge.limits.header_time, tls.accept(stream)).await {
            Ok(Ok(stream)) => run(stream, client, true, edge, phases).await,
            Ok(Err(error)) => tracing::debug!(target: "http", %client, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(target: "http", %client, "TLS handshake took too long"),
        },
    }
}

async fn run(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: SocketAddr,
    secure: bool,
    edge: Arc<Edge>,
    mut phases: watch::Receiver<Phase>,
) {
    let pulse = Arc::new(Pulse::new(client, secure));
    let io = TokioIo::new(Watched { stream, pulse: pulse.clone(), scan: Some(Scan::default()) });
    let service = service_fn(|request| crate::http::service::answer(edge.clone(), pulse.clone(), request));
    let mut connection = pin!(edge.protocol.serve_connection(io, service));
    let mut alarm = pin!(tokio::time::sleep(edge.limits.header_time));
    let mut last_words = false;
    loop {
        if *phases.borrow_and_update() >= Phase::Draining {
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            biased;
            done = connection.as_mut() => {
                if let Err(error) = done {
                    tracing::debug!(target: "http", %client, %error, "connection ended");
                }
                return;
            }
            () = alarm.as_mut() => match pulse.check(&edge.limits) {
                Verdict::Again(after) => alarm.as_mut().reset(tokio::time::Instant::now() + after),
                Verdict::Idle if !last_words => {
                    last_words = true;
                    connection.as_mut().graceful_shutdown();
                    alarm.as_mut().reset(tokio::time::Instant::now() + edge.limits.header_time);
                }
                Verdict::Idle | Verdict::SlowHead => {
                    tracing::debug!(target: "http", %client, "connection cut: its client was too slow");
                    return;
                }
            },
            changed = phases.changed() => if changed.is_err() || *phases.borrow() == Phase::Cut {
                return;
            },
        }
    }
}

/// What a connection does now, as far as its times depend on it.
pub struct Pulse {
    pub client: SocketAddr,
    pub secure: bool,
    /// What guests are told of both.
    pub forwarded: HeaderValue,
    opened: Instant,
    /// Requests taken and not answered to the last byte that we hold.
    busy: AtomicU32,
    /// Since when none is; milliseconds after `opened`.
    quiet_ms: AtomicU64,
    /// When the head that is arriving began; `NO_HEAD` when none is.
    head_ms: AtomicU64,
    /// Bytes went out since the last look.
    wrote: AtomicBool,
    http2: AtomicBool,
    /// A head with Content-Length and Transfer-Encoding came by.
    smuggled: AtomicBool,
}

const NO_HEAD: u64 = u64::MAX;

enum Verdict {
    Again(Duration),
    Idle,
    SlowHead,
}

impl Pulse {
    fn new(client: SocketAddr, secure: bool) -> Self {
        Self {
            client,
            secure,
            forwarded: header_fields::forwarded(client.ip(), secure),
            opened: Instant::now(),
            busy: AtomicU32::new(0),
            quiet_ms: AtomicU64::new(0),
            // Whoever connects is expected to ask.
            head_ms: AtomicU64::new(0),
            wrote: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            smuggled: AtomicBool::new(false),
        }
    }

    /// True from the first head on that carried both lengths; hyper ends the connection after it.
    pub fn smuggled(&self) -> bool {
        self.smuggled.load(Relaxed)
    }

    /// A request is being served until the guard drops.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        self.head_ms.store(NO_HEAD, Relaxed);
        Busy(self.clone())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    fn check(&self, limits: &Limits) -> Verdict {
        if self.wrote.swap(false, Relaxed) || self.busy.load(Relaxed) > 0 {
            return Verdict::Again(limits.header_time);
        }
        let now = self.now_ms();
        let left = |since: u64, limit: Duration| limit.saturating_sub(Duration::from_millis(now.saturating_sub(since)));
        let head = self.head_ms.load(Relaxed);
        if head != NO_HEAD && !self.http2.load(Relaxed) {
            let left = left(head, limits.header_time);
            return if left.is_zero() { Verdict::SlowHead } else { Verdict::Again(left) };
        }
        let left = left(self.quiet_ms.load(Relaxed), limits.idle_time);
        if left.is_zero() { Verdict::Idle } else { Verdict::Again(left.min(limits.header_time)) }
    }
}

pub struct Busy(Arc<Pulse>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet_ms.store(self.0.now_ms(), Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// The connection's bytes, looked at as they pass.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    /// `None` for HTTP/2, where lengths are part of the framing.
    scan: Option<Scan>,
}

impl<S> Watched<S> {
    fn saw(&mut self, bytes: &[u8]) {
        let pulse = &self.pulse;
        if pulse.busy.load(Relaxed) == 0 && pulse.head_ms.load(Relaxed) == NO_HEAD {
            pulse.head_ms.store(pulse.now_ms(), Relaxed);
        }
        let Some(scan) = &mut self.scan else { return };
        if bytes.starts_with(b"PRI * HTTP/2.0") {
            pulse.http2.store(true, Relaxed);
            self.scan = None;
        } else if scan.feed(bytes) {
            pulse.smuggled.store(true, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.saw(bytes);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pulse.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.pulse.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Pulse {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.wrote.store(true, Relaxed);
        }
        polled
    }
}
