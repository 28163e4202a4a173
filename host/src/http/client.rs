//! Who sent a request, and over what: the peer of its connection, or the client that a trusted proxy names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

use super::header_fields;

#[derive(Debug, Clone)]
pub struct Client {
    pub address: IpAddr,
    /// Of the client's end of the connection; `None` for a client that a proxy names.
    port: Option<u16>,
    /// Whether the client speaks TLS, to this host or to its proxy.
    pub secure: bool,
    /// The `Forwarded` header that guests get.
    pub forwarded: HeaderValue,
}

impl Client {
    /// The peer of a connection.
    pub fn peer(peer: SocketAddr, secure: bool) -> Self {
        Self { port: Some(peer.port()), ..Self::named(peer.ip(), secure) }
    }

    /// A client that a proxy names.
    pub fn named(address: IpAddr, secure: bool) -> Self {
        let address = address.to_canonical();
        Self { address, port: None, secure, forwarded: header_fields::forwarded(address, secure) }
    }
}

/// `192.0.2.1:4711` for a peer, `192.0.2.1` for a client that a proxy names.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}
