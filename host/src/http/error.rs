//! Why a server cannot start. Once it runs, nothing that a client does ends it.

use std::net::SocketAddr;
use std::path::PathBuf;

use seam_store::ids::ContextName;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("no listen address is configured")]
    NoAddress,
    #[error("cannot read the TLS {what} `{}`", path.display())]
    TlsFile {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("cannot use the TLS certificate `{}`", path.display())]
    TlsCertificate {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("cannot open the assets folder `{}` of context `{context}`", path.display())]
    Assets {
        context: ContextName,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot register the metrics of the HTTP server")]
    Metrics(#[from] prometheus::Error),
}
