//! Why a host cannot listen to other hosts, or call them. Once it does, nothing that another host does ends it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::certificate;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen for other hosts on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the address `{address}` of host `{host}` is not `host:port`")]
    Address { host: String, address: String },
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    #[error("cannot use the certificates in `{}`: {why}", path.display())]
    Unusable { path: PathBuf, why: String, remedy: &'static str },
    #[error("cannot register the metrics of remote calls")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// What to do about it, for the `hint:` line; may be empty.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "stop the program that listens there, or give the host another `bind` in `[hosts]`",
            Self::Address { .. } => "write an address such as `books.example:7443`",
            Self::Certificate(_) => {
                "make it: `seam cert authority` once for the system, then `seam cert host NAME`; only the host's user may \
                 read its key"
            }
            Self::Unusable { remedy, .. } => remedy,
            Self::Metrics(_) => "",
        }
    }
}
