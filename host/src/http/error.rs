//! Why a server cannot start. Once it runs, nothing that a client does ends it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls_pki_types::pem;
use seam_store::ids::ContextName;

use crate::certificate;

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
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    #[error("cannot open the assets folder `{}` of context `{context}`", path.display())]
    Assets {
        context: ContextName,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the token `{name}` of the feed of `{context}`: {why}")]
    FeedToken { context: ContextName, name: String, why: String },
    #[error("cannot register the metrics of the HTTP server")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// What to do about it, for the `hint:` line; may be empty.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Listen { .. } => {
                "stop the program that listens there, or give another address in `[host]`: `listen` or `ops`, or with \
                 `--listen`"
            }
            Self::Certificate(certificate::Error::File { source: pem::Error::Io(error), .. })
                if error.kind() == ErrorKind::PermissionDenied =>
            {
                "let the host read it, by its user or its group, and no other user"
            }
            Self::Certificate(_) => {
                "name a certificate and the key that belongs to it, both as PEM, in `tls` of `[host]`"
            }
            Self::FeedToken { .. } => {
                "write the token into its file, one line, and let the host read it, by its user or its group, and no \
                 other user"
            }
            _ => "",
        }
    }
}
