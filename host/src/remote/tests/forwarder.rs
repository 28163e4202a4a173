//! A network between two hosts that can freeze and be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Passes,
    /// Accepts connections, and carries no byte.
    Frozen,
    /// Closes connections.
    Cut,
}

pub struct Forwarder {
    pub address: SocketAddr,
    network: watch::Sender<Network>,
    connections: Arc<AtomicUsize>,
}

impl Forwarder {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, state) = watch::channel(Network::Passes);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let (near, far) = (near.into_split(), far.into_split());
                tokio::spawn(forward(near.0, far.1, state.clone()));
                tokio::spawn(forward(far.0, near.1, state.clone()));
            }
        });
        Self { address, network, connections }
    }

    pub fn freeze(&self) {
        self.network.send_replace(Network::Frozen);
    }

    pub fn thaw(&self) {
        self.network.send_replace(Network::Passes);
    }

    pub fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut network: watch::Receiver<Network>,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let state = *network.borrow_and_update();
        tokio::select! {
            read = from.read(&mut bytes), if state == Network::Passes => match read {
                Ok(length @ 1..) => if to.write_all(&bytes[..length]).await.is_err() { return },
                _ => return,
            },
            changed = network.changed() => if changed.is_err() { return },
            () = std::future::ready(()), if state == Network::Cut => return,
        }
    }
}
