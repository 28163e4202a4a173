//! Accepting connections, as many at a time as are allowed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection::{self, Shared};
use crate::limits;

/// Acquires a permit first and accepts second: while there is no permit, clients wait in the kernel.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, permits: Arc<Semaphore>) {
    let mut errors = AcceptErrors::default();
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let (stream, client) = next(&listener, &mut errors).await;
        // Responses are written whole: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            connection::serve(stream, client, shared).await;
            drop(permit);
        });
    }
}

async fn next(listener: &TcpListener, errors: &mut AcceptErrors) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                errors.log(&error);
                tokio::time::sleep(Duration::from_millis(limits::HTTP_ACCEPT_BACKOFF_MS)).await;
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
#[derive(Default)]
struct AcceptErrors {
    last: Option<Instant>,
    suppressed: u32,
}

impl AcceptErrors {
    fn log(&mut self, error: &io::Error) {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            self.suppressed += 1;
            return;
        }
        tracing::error!(target: "http", %error, suppressed = self.suppressed, "cannot accept connections, will retry");
        (self.last, self.suppressed) = (Some(Instant::now()), 0);
    }
}
