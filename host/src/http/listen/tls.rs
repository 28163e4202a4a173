//! TLS from a certificate chain and a key in PEM files, which are read once at the start.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::http::error::Error;
use crate::manifest::Tls;

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
pub fn acceptor(files: &Tls) -> Result<TlsAcceptor, Error> {
    let unreadable = |what, path: &std::path::Path| {
        let path = path.to_owned();
        move |source| Error::TlsFile { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable("certificate", &files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable("key", &files.key))?;
    let unusable = |source| Error::TlsCertificate { path: files.certificate.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
