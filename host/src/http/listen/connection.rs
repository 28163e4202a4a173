//! One connection: TLS, the protocol that its first bytes show, and its timeouts.
//!
//! Invariant: a connection ends when its client neither completes a head in time, nor sends a request, nor reads.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::smuggle::Scan;
use crate::http::connection_activity::{ConnectionActivity, Timeout};
use crate::http::limits::Limits;
use crate::http::service::Service;
use crate::limits;

type Protocol = auto::Builder<TokioExecutor>;

/// How far a server has come in stopping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    Serving,
    /// Running requests finish; each connection closes after its last one.
    Draining,
    /// The remaining connections close at once.
    Closing,
}

/// What the connections of a server share.
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    protocol: Protocol,
    tls: Option<TlsAcceptor>,
    /// Whether these connections came in at the address of the operators' pages.
    is_for_ops: bool,
    phases: watch::Receiver<Phase>,
}

impl Shared {
    pub(super) fn new(service: Arc<Service>, tls: Option<TlsAcceptor>, phases: watch::Receiver<Phase>) -> Self {
        Self { protocol: protocol(&service.limits), service, tls, is_for_ops: false, phases }
    }

    /// For the connections to the address of the operators' pages.
    pub(super) fn for_ops(service: Arc<Service>, phases: watch::Receiver<Phase>) -> Self {
        Self { is_for_ops: true, ..Self::new(service, None, phases) }
    }
}

/// The settings of HTTP/1.1 and HTTP/2. The first bytes of a connection decide between them.
fn protocol(bounds: &Limits) -> Protocol {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        // hyper responds with 431 to a head that does not fit.
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
pub(super) async fn serve(stream: TcpStream, client: SocketAddr, shared: Arc<Shared>) {
    let _open = shared.service.metrics.connection();
    let socket = stream.as_raw_fd();
    let Some(tls) = &shared.tls else { return run(stream, socket, client, false, &shared).await };
    match tokio::time::timeout(shared.service.limits.header_time, tls.accept(stream)).await {
        Ok(Ok(stream)) => run(stream, socket, client, true, &shared).await,
        Ok(Err(error)) => tracing::debug!(target: "http", %client, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(target: "http", %client, "TLS handshake timed out"),
    }
}

async fn run(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    socket: RawFd,
    client: SocketAddr,
    secure: bool,
    shared: &Shared,
) {
    let limits = &shared.service.limits;
    let mut phases = shared.phases.clone();
    let trusted = shared.service.proxies.is_trusted(client.ip());
    let activity = Arc::new(ConnectionActivity::new(client, secure, trusted, shared.is_for_ops));
    let io = TokioIo::new(ObservedIo { stream, activity: activity.clone(), scan: Some(Scan::default()), preface: 0 });
    let service = service_fn(|request| {
        let (service, activity) = (shared.service.clone(), activity.clone());
        async move { Ok::<_, Infallible>(service.respond(activity, request).await) }
    });
    let mut connection = pin!(shared.protocol.serve_connection(io, service));
    let mut alarm = pin!(tokio::time::sleep(limits.header_time.min(limits.idle_time)));
    let mut closing = false;
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
            () = alarm.as_mut() => match activity.check(limits, queued(socket)) {
                Timeout::NotBefore(after) => alarm.as_mut().reset(tokio::time::Instant::now() + after),
                Timeout::Idle if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    alarm.as_mut().reset(tokio::time::Instant::now() + limits.header_time);
                }
                Timeout::Idle | Timeout::Stalled | Timeout::SlowHead => {
                    tracing::debug!(target: "http", %client, "closed the connection: its client was too slow");
                    return;
                }
            },
            changed = phases.changed() => if changed.is_err() || *phases.borrow() == Phase::Closing {
                return;
            },
        }
    }
}

/// How many bytes the kernel holds that the client has not confirmed. `socket` is open: its connection is not dropped
/// before `run` returns.
#[cfg(target_os = "linux")]
fn queued(socket: RawFd) -> u64 {
    /// `SIOCOUTQ` of linux/sockios.h.
    const OUT_QUEUE: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: the descriptor is open, see above; this request writes one `int`.
    let queued = unsafe {
        let socket = BorrowedFd::borrow_raw(socket);
        rustix::ioctl::ioctl(socket, rustix::ioctl::Getter::<OUT_QUEUE, i32>::new())
    };
    queued.ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn queued(_: RawFd) -> u64 {
    0
}

/// The bytes of a connection, observed as they pass.
struct ObservedIo<S> {
    stream: S,
    activity: Arc<ConnectionActivity>,
    /// `None` for HTTP/2, where lengths are part of the framing.
    scan: Option<Scan>,
    /// How many bytes of `PREFACE` the connection has started with so far; TCP may deliver them one by one.
    preface: usize,
}

/// What an HTTP/2 connection begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// In `ObservedIo::preface`: the connection has started with something else.
const NO_PREFACE: usize = usize::MAX;

impl<S> ObservedIo<S> {
    fn received(&mut self, bytes: &[u8]) {
        self.activity.received_bytes();
        let Some(scan) = &mut self.scan else { return };
        if let Some(left) = PREFACE.get(self.preface..) {
            let shared = left.len().min(bytes.len());
            self.preface = if left.get(..shared) == bytes.get(..shared) { self.preface + shared } else { NO_PREFACE };
            if self.preface == PREFACE.len() {
                self.activity.set_http2();
                self.scan = None;
                return;
            }
        }
        if scan.feed(bytes) {
            self.activity.set_smuggled();
        }
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.activity.wrote_bytes(*bytes);
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.received(bytes);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(polled)
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
