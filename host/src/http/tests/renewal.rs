//! A certificate that is renewed while the server runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Site, TIMEOUT, one};
use crate::manifest::Tls;

const ASK: &[u8] = b"GET /shop/x HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Writes a new certificate for `name` and its key; the certificate.
pub(super) fn renew(files: &Tls, name: &str) -> CertificateDer<'static> {
    let own = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    seam_store::private::write(&files.key, own.signing_key.serialize_pem().as_bytes()).unwrap();
    std::fs::write(&files.certificate, own.cert.pem()).unwrap();
    CertificateDer::from_pem_file(&files.certificate).unwrap()
}

pub(super) async fn connect(
    site: &Site,
    name: &'static str,
    trusted: &[&CertificateDer<'static>],
) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    trusted.iter().for_each(|root| roots.add((*root).clone()).unwrap());
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from(name).unwrap(), site.connect().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_get_the_renewed_certificate_and_old_ones_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let files = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let old = renew(&files, "localhost");
    let site = Site::with(|config| config.tls = Some(files.clone()));
    let mut before = connect(&site, "localhost", &[&old]).await;
    before.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut before).await.status, 200);

    let new = renew(&files, "localhost");
    let started = Instant::now();
    loop {
        let mut stream = connect(&site, "localhost", &[&old, &new]).await;
        let serves = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        stream.write_all(ASK).await.unwrap();
        assert_eq!(one(&mut stream).await.status, 200, "no request is lost");
        if serves == new {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "the renewed certificate is not taken up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    before.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut before).await.status, 200);
}
