//! Sockets that listen, and the connections that they accept: for the edge and for other hosts.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::limits;

/// Binds an address. Must run inside a tokio runtime.
///
/// # Errors
/// When the address is taken, or is none of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it, a restart would have to wait for the TIME_WAIT of old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::HTTP_BACKLOG)
}

/// The connections of one listener.
pub struct Accepting {
    listener: TcpListener,
    errors: AcceptErrors,
}

impl Accepting {
    /// `what` connects here, for the log.
    pub fn new(listener: TcpListener, what: &'static str) -> Self {
        Self { listener, errors: AcceptErrors { what, last: None, suppressed: 0 } }
    }

    /// The next connection. What fails is logged and tried again.
    pub async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Responses are written whole: waiting to fill a packet would only delay them.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(error) if concerns_one_client(&error) => {}
                Err(error) => {
                    self.errors.log(&error);
                    tokio::time::sleep(Duration::from_millis(limits::HTTP_ACCEPT_BACKOFF_MS)).await;
                }
            }
        }
    }
}

/// Whether only the connection to be accepted is gone. All other errors (EMFILE, ENFILE, ENOMEM) concern this process.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Logs at most one error a second: accepting may fail twenty times in it.
struct AcceptErrors {
    what: &'static str,
    last: Option<Instant>,
    suppressed: u32,
}

impl AcceptErrors {
    fn log(&mut self, error: &io::Error) {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            self.suppressed += 1;
            return;
        }
        tracing::error!(
            target: "http", of = self.what, %error, suppressed = self.suppressed,
            "cannot accept connections, will retry"
        );
        (self.last, self.suppressed) = (Some(Instant::now()), 0);
    }
}
