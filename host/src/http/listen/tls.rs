//! TLS with a certificate that others renew while the host serves.
//!
//! The two files are read again every few seconds. Contents decide, since tools replace files, links or whole folders.
//! Invariant: a handshake gets a certificate with the key that fits it. While the files do not fit each other, as
//! between the writing of the one and of the other, the certificate from before stays.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use seam_store::chain;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{self, Certificate, PemFiles, Renewal, Renewed, Source};
use crate::http::error::Error;
use crate::manifest::Tls;

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1; and what keeps its certificate up to date.
pub fn acceptor(files: &Tls) -> Result<(TlsAcceptor, Renewal<Files>), Error> {
    let contents = PemFiles::read(files)?;
    let (digest, Certificate { key, validity }) = (contents.digest(), contents.certificate()?);
    let serving = Arc::new(Serving(ArcSwap::new(key)));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| certificate::Error::Unusable { path: files.certificate.clone(), source })?
        .with_no_client_auth()
        .with_cert_resolver(serving.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let renewal = Renewal::new(Files { files: files.clone(), serving, digest }, validity);
    Ok((TlsAcceptor::from(Arc::new(config)), renewal))
}

/// The certificate that handshakes get.
#[derive(Debug)]
struct Serving(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The two files, and what handshakes get of them.
pub struct Files {
    files: Tls,
    serving: Arc<Serving>,
    /// Of the files that the serving certificate was read from.
    digest: [u8; 32],
}

impl Source for Files {
    fn renew(&mut self, now: SystemTime) -> Result<Option<Renewed>, String> {
        let contents = PemFiles::read(&self.files).map_err(|error| chain(&error))?;
        let digest = contents.digest();
        if digest == self.digest {
            return Ok(None);
        }
        let certificate = contents.certificate().map_err(|error| chain(&error))?;
        if certificate.validity.is_some_and(|validity| !validity.contains(now)) {
            return Err(format!("the certificate in `{}` is not valid now", self.files.certificate.display()));
        }
        self.serving.0.store(certificate.key);
        self.digest = digest;
        Ok(Some(Renewed { validity: certificate.validity }))
    }

    fn file(&self) -> &Path {
        &self.files.certificate
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn tls(&self) -> Tls {
            Tls { certificate: self.0.path().join("cert.pem"), key: self.0.path().join("key.pem") }
        }

        fn write(&self, certificate: &rcgen::Certificate, key: &rcgen::KeyPair) {
            std::fs::write(self.tls().certificate, certificate.pem()).unwrap();
            seam_store::private::write(&self.tls().key, key.serialize_pem().as_bytes()).unwrap();
        }
    }

    fn certificate(year: i32) -> (rcgen::Certificate, rcgen::KeyPair) {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap(), key)
    }

    fn serves(renewal: &Renewal<Files>, certificate: &rcgen::Certificate) -> bool {
        renewal.source.serving.0.load().cert.first() == Some(certificate.der())
    }

    #[test]
    fn only_a_pair_that_fits_and_is_valid_replaces_the_one_from_before() {
        let files = Folder(tempfile::tempdir().unwrap());
        let now: SystemTime = rcgen::date_time_ymd(2026, 1, 1).into();
        let ((old, old_key), (new, new_key), (ended, ended_key)) =
            (certificate(2030), certificate(2031), certificate(2025));
        files.write(&old, &old_key);
        let (_, mut renewal) = acceptor(&files.tls()).unwrap();
        renewal.look(now);
        assert!(serves(&renewal, &old) && renewal.refused.is_none());

        let logged = |renewal: &Renewal<Files>| renewal.refused.as_ref().map(|(_, logged)| *logged);
        let unfit: [&dyn Fn(); 4] = [
            &|| files.write(&new, &old_key),
            &|| files.write(&ended, &ended_key),
            &|| std::fs::write(files.tls().certificate, "half a").unwrap(),
            &|| std::fs::remove_file(files.tls().key).unwrap(),
        ];
        for write in unfit {
            write();
            renewal.look(now);
            assert!(serves(&renewal, &old) && logged(&renewal) == Some(false), "the other file may follow");
            renewal.look(now);
            assert!(serves(&renewal, &old) && logged(&renewal) == Some(true));
        }

        files.write(&new, &new_key);
        renewal.look(now);
        assert!(serves(&renewal, &new) && renewal.refused.is_none());
    }

    #[test]
    fn the_end_is_in_the_log_once_a_day_until_the_certificate_is_renewed() {
        let files = Folder(tempfile::tempdir().unwrap());
        let ((old, old_key), (new, new_key)) = (certificate(2026), certificate(2031));
        files.write(&old, &old_key);
        let (_, mut renewal) = acceptor(&files.tls()).unwrap();
        let end: SystemTime = rcgen::date_time_ymd(2026, 1, 1).into();
        let hours = |hours: u32| Duration::from_secs(3600) * hours;
        renewal.look(end - hours(24 * 20));
        assert_eq!(renewal.warned, None);
        let first = end - hours(24 * 9);
        for (now, warned) in [
            (first, first),
            (first + hours(23), first),
            (first + hours(24), first + hours(24)),
            (end + hours(1), end + hours(1)),
        ] {
            renewal.look(now);
            assert_eq!(renewal.warned, Some(warned));
        }
        files.write(&new, &new_key);
        renewal.look(end + hours(2));
        assert!(serves(&renewal, &new) && renewal.warned.is_none());
    }
}
