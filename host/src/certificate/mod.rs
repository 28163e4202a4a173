//! A TLS certificate with its key, from two PEM files that fit each other, and how long it is valid.
//!
//! The edge and the connections between hosts share it. Not here: who trusts which certificate.

mod error;
mod renewal;

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use seam_store::private;
use sha2::{Digest, Sha256};

pub use self::error::Error;
pub use self::renewal::{Renewal, Renewed, Source};
use crate::limits;
use crate::manifest::Tls;

/// What stands in the two files.
pub struct PemFiles<'f> {
    files: &'f Tls,
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// A chain of certificates, and the key of the first one.
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// `None` if its dates cannot be read.
    pub validity: Option<Validity>,
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: SystemTime,
    until: SystemTime,
}

impl<'f> PemFiles<'f> {
    /// # Errors
    /// When a file cannot be read, or is too large for what it should be; when other users could read the key.
    pub fn read(files: &'f Tls) -> Result<Self, Error> {
        let failed =
            |what, path: &Path, source| Error::File { what, path: path.to_owned(), source: pem::Error::Io(source) };
        let chain = read(&files.certificate);
        let chain = chain.map_err(|source| failed("certificate", &files.certificate, source))?;
        let key = private::read_secret(&files.key, limits::CERTIFICATE_BYTES_MAX);
        let key = key.map_err(|error| failed("key", &files.key, error.into()))?;
        Ok(Self { files, chain, key })
    }

    /// The same for the same contents, and for no others.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update((self.chain.len() as u64).to_le_bytes());
        digest.update(&self.chain);
        digest.update(&self.key);
        digest.finalize().into()
    }

    /// # Errors
    /// When they hold no certificate or no key, or the key of another certificate.
    pub fn certificate(&self) -> Result<Certificate, Error> {
        let unreadable = |what, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { what, path, source }
        };
        let chain = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable("certificate", &self.files.certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(unreadable("key", &self.files.key))?;
        let validity = chain.first().and_then(|first| Validity::of(first));
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|source| Error::Unusable { path: self.files.certificate.clone(), source })?;
        Ok(Certificate { key: Arc::new(key), validity })
    }
}

impl Certificate {
    /// # Errors
    /// When the files cannot be read or do not fit each other.
    pub fn load(files: &Tls) -> Result<Self, Error> {
        PemFiles::read(files)?.certificate()
    }
}

impl Validity {
    /// Of a certificate in DER (RFC 5280, 4.1): `SEQUENCE { SEQUENCE { [0] version OPTIONAL, serial, algorithm, issuer,
    /// SEQUENCE { from, until }, .. }, .. }`.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (signed, _) = element(certificate, SEQUENCE)?;
        let after_version = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
        let (_, rest) = element(after_version, INTEGER)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (dates, _) = element(rest, SEQUENCE)?;
        let (from, rest) = date(dates)?;
        let (until, _) = date(rest)?;
        Some(Self { from, until })
    }

    /// The last moment at which it is valid.
    pub fn until(&self) -> SystemTime {
        self.until
    }

    pub fn contains(&self, now: SystemTime) -> bool {
        self.from <= now && now <= self.until
    }

    /// What an operator should know about its end; `None` while that is far.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        const DAY: Duration = Duration::from_secs(86_400);
        match self.until.duration_since(now) {
            Ok(left) if left > DAY * limits::CERTIFICATE_WARNING_DAYS => None,
            Ok(left) if left < DAY => Some("the TLS certificate ends within a day".into()),
            Ok(left) => Some(format!("the TLS certificate ends in {} days", left.as_secs() / DAY.as_secs())),
            Err(_) => Some("the TLS certificate has ended, and clients refuse it".into()),
        }
    }
}

/// The contents of a file of certificates, which may be public.
///
/// # Errors
/// When it cannot be read, or has more than `CERTIFICATE_BYTES_MAX`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    private::open(path)?.take(limits::CERTIFICATE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limits::CERTIFICATE_BYTES_MAX {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The contents of the DER element that `bytes` start with, if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            (length.iter().try_fold(0_usize, |sum, byte| Some(sum.checked_mul(256)? + usize::from(*byte)))?, rest)
        }
    };
    let split = rest.split_at_checked(length)?;
    (*found == tag).then_some(split)
}

/// `YYMMDDHHMMSSZ` as UTCTime, `YYYYMMDDHHMMSSZ` as GeneralizedTime, and what follows it.
fn date(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (digits, century, rest) = match element(bytes, UTC_TIME) {
        Some((digits, rest)) => (digits, None, rest),
        None => element(bytes, GENERALIZED_TIME).and_then(|(digits, rest)| {
            let (century, digits) = digits.split_at_checked(2)?;
            Some((digits, Some(century), rest))
        })?,
    };
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u8>().ok();
    let mut pairs = digits.strip_suffix(b"Z")?.chunks_exact(2).map(number);
    let mut next = || pairs.next().flatten();
    let (year, month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let century = match century {
        Some(century) => number(century)?,
        // Two digits stand for the years 1950 to 2049.
        None if year < 50 => 20,
        None => 19,
    };
    let year = i32::from(century) * 100 + i32::from(year);
    let day = time::Date::from_calendar_date(year, time::Month::try_from(month).ok()?, day).ok()?;
    Some((day.with_hms(hour, minute, second).ok()?.assume_utc().into(), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(year: i32, month: u8, day: u8) -> time::OffsetDateTime {
        let month = time::Month::try_from(month).unwrap();
        time::Date::from_calendar_date(year, month, day).unwrap().midnight().assume_utc()
    }

    #[test]
    fn a_key_that_every_user_may_read_is_refused_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let files = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, own.cert.pem()).unwrap();
        std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
        for (mode, fine) in [(0o600, true), (0o640, true), (0o644, false), (0o666, false)] {
            std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = Certificate::load(&files).err().map(|error| seam_store::chain(&error));
            assert_eq!(refused.is_none(), fine, "{mode:o}: {refused:?}");
            let command = format!("`chmod o= {}`", files.key.display());
            assert!(refused.is_none_or(|refused| refused.contains(&command)));
        }
    }

    #[test]
    fn the_dates_of_a_certificate_are_read() {
        for (from, until) in
            [((2025, 1, 31), (2026, 2, 1)), ((1999, 12, 31), (2049, 12, 31)), ((2050, 1, 1), (2999, 3, 4))]
        {
            let (from, until) = (at(from.0, from.1, from.2), at(until.0, until.1, until.2));
            let mut parameters = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
            (parameters.not_before, parameters.not_after) = (from, until);
            let own = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let expect = Validity { from: from.into(), until: until.into() };
            assert_eq!(Validity::of(own.der()), Some(expect));
            for end in 0..own.der().len().min(200) {
                assert_eq!(Validity::of(&own.der()[..end]), None, "a piece");
            }
        }
        assert_eq!(Validity::of(&[0x30, 0xff]), None);
        assert_eq!(Validity::of(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), None);
    }

    #[test]
    fn the_end_of_a_certificate_is_warned_about_days_before() {
        let day = Duration::from_secs(86_400);
        let until = SystemTime::UNIX_EPOCH + day * 1_000;
        let validity = Validity { from: SystemTime::UNIX_EPOCH, until };
        assert_eq!(validity.warning(until - day * 15), None);
        for (now, expect) in
            [(until - day * 9, "ends in 9 days"), (until - day / 2, "ends within a day"), (until + day, "has ended")]
        {
            assert!(validity.warning(now).unwrap().contains(expect), "{expect}");
        }
        assert!(validity.contains(until) && !validity.contains(until + day));
    }
}
