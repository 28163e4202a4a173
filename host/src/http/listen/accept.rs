//! Accepting connections, as many at a time as are allowed.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::connection::{self, Shared};
use crate::listener::Accepting;

/// Acquires a permit first and accepts second: while there is no permit, clients wait in the kernel.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, permits: Arc<Semaphore>) {
    let mut accepting = Accepting::new(listener, "http");
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let (stream, client) = accepting.next().await;
        let shared = shared.clone();
        tokio::spawn(async move {
            connection::serve(stream, client, shared).await;
            drop(permit);
        });
    }
}
