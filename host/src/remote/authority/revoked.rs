//! The list of revoked certificates of an authority.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{AUTHORITY, Error, REVOKED, block, certificates, issuer, newest, parse, put, read, share_with_hosts};
use crate::limits;

/// What has been revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// In hexadecimal digits.
    pub serial: String,
    /// Whether it was on the list before.
    pub was_revoked: bool,
    /// The files that were written: the authority's list, and those of the hosts below its folder.
    pub written: Vec<PathBuf>,
}

/// Adds the first certificate of a file to the list of the authority in `folder`, and gives it to the hosts below.
///
/// # Errors
/// When that authority has not signed it, or a file cannot be read or written.
pub fn revoke(folder: &Path, certificate: &Path) -> Result<Revoked, Error> {
    let first = certificates(certificate)?.into_iter().next();
    let invalid = |why: &str| Error::Invalid { path: certificate.to_owned(), why: why.to_owned() };
    let first = first.ok_or_else(|| invalid("has no certificate"))?;
    let authority = newest(folder)?;
    let (_, authority) = parse(&authority, &folder.join(AUTHORITY))?;
    let (_, parsed) = parse(&first, certificate)?;
    if parsed.is_ca() {
        return Err(invalid("is an authority: make another one with `seam cert authority --replace`"));
    }
    if parsed.verify_signature(Some(authority.public_key())).is_err() {
        return Err(Error::Foreign { authority: folder.to_owned(), certificate: certificate.to_owned() });
    }
    let path = folder.join(REVOKED);
    let lists = match path.is_file() {
        true => lists(&path)?,
        false => Vec::new(),
    };
    let now = OffsetDateTime::from(SystemTime::now());
    let entry = |serial: &[u8], revocation_time| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time,
        reason_code: None,
        invalidity_date: None,
    };
    let mut number = BigUint::from(0_u8);
    let (mut entries, mut others) = (Vec::new(), Vec::new());
    for list in &lists {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(list) else { continue };
        if parsed.verify_signature(authority.public_key()).is_err() {
            others.push(list);
            continue;
        }
        number = number.max(parsed.crl_number().cloned().unwrap_or_default());
        for revoked in parsed.iter_revoked_certificates() {
            entries.push(entry(revoked.raw_serial(), revoked.revocation_date.to_datetime()));
        }
    }
    let serial = parsed.raw_serial().to_vec();
    let was_revoked = entries.iter().any(|entry| entry.serial_number.to_bytes() == serial);
    let mut written = Vec::new();
    if !was_revoked {
        entries.push(entry(&serial, now));
        let list = CertificateRevocationListParams {
            this_update: now - Duration::seconds(limits::CERTIFICATE_EARLY_S),
            next_update: now + Duration::days(i64::from(limits::AUTHORITY_DAYS)),
            crl_number: SerialNumber::from_slice(&(number + 1_u8).to_bytes_be()),
            issuing_distribution_point: None,
            revoked_certs: entries,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let own = list.signed_by(&issuer(folder)?)?.pem()?;
        let others = others.iter().map(|list| block("X509 CRL", list));
        let all: String = std::iter::once(own).chain(others).collect();
        put(&path, all.as_bytes())?;
        written.push(path);
    }
    written.extend(share_with_hosts(folder)?);
    Ok(Revoked { serial: hex::encode(serial), was_revoked, written })
}

fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let all = CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    all.map_err(|error| Error::Invalid { path: path.to_owned(), why: format!("is not PEM: {error}") })
}
