//! What is in a file of certificates, for people and for scripts.

use std::path::Path;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::authority::Error;
use super::names::{CONTEXT, HOST};
use crate::certificate;

/// A certificate, or a list of revoked ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Described {
    Certificate {
        /// The host that it names, if it is one of a host.
        host: Option<String>,
        contexts: Vec<String>,
        /// Names of DNS and addresses.
        names: Vec<String>,
        is_authority: bool,
        subject: String,
        issuer: String,
        serial: String,
        key: String,
        from: String,
        until: String,
        /// `valid`, `not valid yet` or `ended`.
        state: &'static str,
    },
    Revoked {
        issuer: String,
        from: String,
        serials: Vec<String>,
    },
}

impl Described {
    /// All that a PEM file has.
    ///
    /// # Errors
    /// When it cannot be read, or has neither certificates nor lists.
    pub fn read(path: &Path, now: SystemTime) -> Result<Vec<Self>, Error> {
        let invalid = |why: String| Error::Invalid { path: path.to_owned(), why };
        let bytes = certificate::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let mut all = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error| invalid(format!("is not PEM: {error}")))?;
            let parsed = X509Certificate::from_der(&certificate);
            let (_, parsed) = parsed.map_err(|error| invalid(format!("is not X.509: {error}")))?;
            all.push(described(&parsed, now));
        }
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            let list = list.map_err(|error| invalid(format!("is not PEM: {error}")))?;
            let parsed = CertificateRevocationList::from_der(&list);
            let (_, parsed) = parsed.map_err(|error| invalid(format!("is no list of X.509: {error}")))?;
            all.push(Self::Revoked {
                issuer: parsed.issuer().to_string(),
                from: date(&parsed.last_update()),
                serials: parsed.iter_revoked_certificates().map(|revoked| hex::encode(revoked.raw_serial())).collect(),
            });
        }
        if all.is_empty() {
            return Err(invalid("has neither a certificate nor a list of revoked ones".to_owned()));
        }
        Ok(all)
    }
}

fn described(certificate: &X509Certificate<'_>, now: SystemTime) -> Described {
    let (mut host, mut contexts, mut names) = (None, Vec::new(), Vec::new());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) if uri.starts_with(HOST) => host = uri.strip_prefix(HOST).map(str::to_owned),
            GeneralName::URI(uri) => contexts.extend(uri.strip_prefix(CONTEXT).map(str::to_owned)),
            GeneralName::DNSName(name) => names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => names.push(address(bytes)),
            _ => {}
        }
    }
    let validity = certificate.validity();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(seconds).unwrap_or(i64::MAX);
    let state = match (validity.not_before.timestamp(), validity.not_after.timestamp()) {
        (from, _) if now < from => "not valid yet",
        (_, until) if now > until => "ended",
        _ => "valid",
    };
    let public = certificate.public_key();
    let key = match public.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("elliptic curve, {} bits", point.key_size()),
        _ => format!("algorithm {}", public.algorithm.algorithm),
    };
    Described::Certificate {
        host,
        contexts,
        names,
        is_authority: certificate.is_ca(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: hex::encode(certificate.raw_serial()),
        key,
        from: date(&validity.not_before),
        until: date(&validity.not_after),
        state,
    }
}

fn date(time: &ASN1Time) -> String {
    let ms = u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1_000);
    crate::times::rfc3339(ms)
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(four).to_string();
    }
    <[u8; 16]>::try_from(bytes).map_or_else(|_| hex::encode(bytes), |all| std::net::Ipv6Addr::from(all).to_string())
}
