//! TLS with a certificate that others renew while the host serves.
//!
//! The two files are read again every few seconds. Contents decide, since tools replace files, links or whole folders.
//! Invariant: a handshake gets a certificate with the key that fits it. While the files do not fit each other, as
//! between the writing of the one and of the other, the certificate from before stays.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::http::certificate::{Certificate, PemFiles, Validity};
use crate::http::error::Error;
use crate::limits;
use crate::manifest::Tls;

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1; and what keeps its certificate up to date.
pub fn acceptor(files: &Tls) -> Result<(TlsAcceptor, Renewal), Error> {
    let contents = PemFiles::read(files)?;
    let (digest, Certificate { key, validity }) = (contents.digest(), contents.certificate()?);
    let serving = Arc::new(Serving(ArcSwap::new(key)));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::TlsCertificate { path: files.certificate.clone(), source })?
        .with_no_client_auth()
        .with_cert_resolver(serving.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let renewal = Renewal { files: files.clone(), serving, digest, validity, refused: None, warned: None };
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

/// Takes up a renewed certificate.
pub struct Renewal {
    files: Tls,
    serving: Arc<Serving>,
    /// Of the files that the serving certificate was read from.
    digest: [u8; 32],
    validity: Option<Validity>,
    /// Why the files cannot be used, and whether that is in the log.
    refused: Option<(String, bool)>,
    /// When the log last warned of the certificate's end.
    warned: Option<SystemTime>,
}

impl Renewal {
    /// Looks at the files again and again, until it is dropped.
    pub async fn run(mut self) {
        loop {
            // Files may lie on a disk that is slow.
            let looked = tokio::task::spawn_blocking(move || {
                self.look(SystemTime::now());
                self
            });
            let Ok(next) = looked.await else { return };
            self = next;
            tokio::time::sleep(Duration::from_secs(limits::CERTIFICATE_POLL_S)).await;
        }
    }

    fn look(&mut self, now: SystemTime) {
        match self.renewed(now) {
            Ok(None) => self.refused = None,
            Ok(Some((digest, certificate))) => {
                self.serving.0.store(certificate.key);
                (self.digest, self.validity) = (digest, certificate.validity);
                (self.refused, self.warned) = (None, None);
                tracing::info!(
                    target: "http", file = %self.files.certificate.display(),
                    "new connections get the renewed TLS certificate"
                );
            }
            Err(why) => self.refuse(why),
        }
        self.warn_of_end(now);
    }

    /// The certificate in the files, if it is another than the one that serves.
    fn renewed(&self, now: SystemTime) -> Result<Option<([u8; 32], Certificate)>, String> {
        let contents = PemFiles::read(&self.files).map_err(|error| chain(&error))?;
        let digest = contents.digest();
        if digest == self.digest {
            return Ok(None);
        }
        let certificate = contents.certificate().map_err(|error| chain(&error))?;
        if certificate.validity.is_some_and(|validity| !validity.contains(now)) {
            return Err(format!("the certificate in `{}` is not valid now", self.files.certificate.display()));
        }
        Ok(Some((digest, certificate)))
    }

    /// Logs, once, what is still wrong at a second look: at the first one, the second file may not be written yet.
    fn refuse(&mut self, why: String) {
        match &mut self.refused {
            Some((before, logged)) if *before == why => {
                if !std::mem::replace(logged, true) {
                    tracing::error!(
                        target: "http", reason = why.as_str(),
                        hint = "write the certificate and the key that belongs to it; the host looks again by itself",
                        "cannot use the renewed TLS certificate; the one from before goes on"
                    );
                }
            }
            refused => *refused = Some((why, false)),
        }
    }

    /// Logs, once a day, that the certificate ends soon.
    fn warn_of_end(&mut self, now: SystemTime) {
        let Some(warning) = self.validity.and_then(|validity| validity.warning(now)) else { return };
        let day = Duration::from_secs(86_400);
        if self.warned.is_none_or(|warned| now.duration_since(warned).is_ok_and(|since| since >= day)) {
            self.warned = Some(now);
            tracing::warn!(
                target: "http", file = %self.files.certificate.display(),
                hint = "renew it; the host takes up the new one by itself", "{warning}"
            );
        }
    }
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
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

    fn serves(renewal: &Renewal, certificate: &rcgen::Certificate) -> bool {
        renewal.serving.0.load().cert.first() == Some(certificate.der())
    }

    #[test]
    fn only_a_pair_that_fits_and_is_valid_replaces_the_one_from_before() {
        let files = Files(tempfile::tempdir().unwrap());
        let now: SystemTime = rcgen::date_time_ymd(2026, 1, 1).into();
        let ((old, old_key), (new, new_key), (ended, ended_key)) =
            (certificate(2030), certificate(2031), certificate(2025));
        files.write(&old, &old_key);
        let (_, mut renewal) = acceptor(&files.tls()).unwrap();
        renewal.look(now);
        assert!(serves(&renewal, &old) && renewal.refused.is_none());

        let logged = |renewal: &Renewal| renewal.refused.as_ref().map(|(_, logged)| *logged);
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
        let files = Files(tempfile::tempdir().unwrap());
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
