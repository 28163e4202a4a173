//! The HTTP edge: what arrives on the listen addresses becomes calls into contexts, and their answers become responses.
//!
//! Invariants: everything a client can make grow is bounded (`Limits`); work that was accepted is finished even when the client
//! hangs up; a client learns a status, a sentence and a trace id of a failure and never its reason.
//! Not here: which version of a context serves (`context`), what a page says (the contexts).
//!
//! A connection's way: `server` accepts, `connection` keeps its times, `service` screens, routes and answers through `lean`, `wasi`,
//! `assets` or `ops`; `finish` turns an answer into what this client may get of it.

mod body;
mod guest;
mod header_fields;
mod listen;
mod observe;
mod own;
mod response;
mod service;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use guest::affinity::Steering;
pub use listen::{Mounts, Server};
pub use own::dev::Board;

use crate::ids::ContextName;
use crate::limits;
use crate::manifest::{Manifest, Tls};

/// What a server listens on, what it serves and how much of everything it allows.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port 0 takes a free one; `Server::addresses` tells which.
    pub listen: Vec<SocketAddr>,
    /// With it, all addresses speak TLS (HTTP/2 or HTTP/1.1 by ALPN).
    pub tls: Option<Tls>,
    pub mounts: Vec<Mount>,
    /// Answer `/healthz`, `/readyz` and `/metrics`, before any mount.
    pub ops: bool,
    pub steering: Steering,
    /// What open pages are told while somebody works on the system; `None`, and they are left as they are.
    pub dev: Option<Board>,
    pub limits: Limits,
}

/// A context at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `/` or `/shop`: no slash at the end but for the root.
    pub path: String,
    pub context: ContextName,
    /// The folder behind `/assets/` below the path.
    pub assets: Option<PathBuf>,
    /// How long a request may take once its body is here.
    pub timeout: Duration,
}

/// Bounds of one server; the reasons stand in `crate::limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections, all addresses together. Beyond it, clients wait in the kernel's backlog.
    pub connections: usize,
    /// A request's head, from its first byte (for the first one: from the connection) to its last.
    pub header_time: Duration,
    pub header_bytes: usize,
    pub header_count: usize,
    pub body_bytes: usize,
    /// From the head to the last byte of the body.
    pub body_time: Duration,
    pub response_bytes: usize,
    /// A connection without a request, or whose client has stopped reading.
    pub idle_time: Duration,
    /// What requests get to finish once the server is told to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS,
            header_time: Duration::from_millis(limits::HTTP_HEADER_MS),
            header_bytes: limits::HTTP_HEADER_BYTES,
            header_count: limits::HTTP_HEADERS,
            body_bytes: limits::HTTP_BODY_BYTES,
            body_time: Duration::from_millis(limits::HTTP_BODY_MS),
            response_bytes: limits::HTTP_RESPONSE_BYTES,
            idle_time: Duration::from_millis(limits::HTTP_IDLE_MS),
            drain_time: Duration::from_millis(limits::HTTP_DRAIN_MS),
        }
    }
}

impl Config {
    /// What the manifest says.
    pub fn from_manifest(manifest: &Manifest) -> Self {
        Self {
            listen: manifest.host.listen.clone(),
            tls: manifest.host.tls.clone(),
            mounts: mounts(manifest),
            ops: manifest.host.ops,
            steering: Steering { keys: manifest.http.routing_key.clone(), force: manifest.http.force_variants },
            dev: None,
            limits: Limits {
                connections: manifest.http.connections,
                header_time: manifest.http.header_time,
                header_bytes: manifest.http.header_bytes,
                header_count: manifest.http.header_count,
                body_bytes: manifest.http.body_bytes,
                body_time: manifest.http.body_time,
                idle_time: manifest.http.idle_time,
                drain_time: manifest.http.drain_time,
                ..Limits::default()
            },
        }
    }
}

/// What a manifest mounts where.
pub fn mounts(manifest: &Manifest) -> Vec<Mount> {
    let mount = |mount: &crate::manifest::Mount| {
        let context = manifest.contexts.iter().find(|context| context.name == mount.context);
        Mount {
            path: mount.path.clone(),
            context: mount.context.clone(),
            assets: context.and_then(|context| context.assets.clone()),
            timeout: mount.timeout,
        }
    };
    manifest.mounts.iter().map(mount).collect()
}

/// Why a server could not start. Once it runs, nothing a client does ends it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("no listen address")]
    NoAddress,
    #[error("cannot read the TLS {what} `{}`", path.display())]
    TlsFile {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("the TLS certificate `{}` cannot be used", path.display())]
    TlsCertificate {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the assets folder `{}` of `{context}` cannot be opened", path.display())]
    Assets {
        context: ContextName,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the metrics of the HTTP server cannot be registered")]
    Metrics(#[from] prometheus::Error),
}
