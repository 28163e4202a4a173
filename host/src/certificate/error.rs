//! Why a certificate cannot be used.

use std::path::PathBuf;

use rustls_pki_types::pem;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the TLS {what} `{}`", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("cannot use the TLS certificate `{}`", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
}
