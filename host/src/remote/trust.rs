//! Whether a certificate is one of this system's: signed by its authority, valid now, not revoked, with a strong key.
//!
//! Names of DNS do not count: a host is who its certificate says, wherever it is reached.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::names::Names;

/// Whom this host trusts.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    subjects: Vec<DistinguishedName>,
    revoked: Vec<CertRevocationList<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("the certificate is signed by no authority of this system")]
    Stranger,
    #[error("the certificate has ended")]
    Ended,
    #[error("the certificate is not valid yet")]
    NotYet,
    #[error("the certificate is revoked")]
    Revoked,
    #[error("the certificate may not be used for this side of a connection")]
    Usage,
    #[error("the certificate is that of an authority, not of a host")]
    Authority,
    #[error("the other side does not have the key of the certificate that it shows")]
    NotItsKey,
    #[error("{0}")]
    Weak(String),
    #[error("the certificate names no host")]
    Nameless,
    #[error("the certificate is that of host `{found}`, not of `{expected}`")]
    OtherHost { found: String, expected: String },
    #[error("the certificate cannot be used: {0}")]
    Other(String),
}

impl Distrust {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Stranger => "let the system's own authority sign it: `seam cert host`",
            Self::Ended => "renew it with `seam cert host NAME --replace`, and check the clocks of both machines",
            Self::NotYet => "check the clocks of both machines",
            Self::Revoked => "give the host a new certificate with `seam cert host NAME --replace`",
            Self::Usage => "make it with `seam cert host`, which allows both sides",
            Self::Authority => "give the host a certificate of its own with `seam cert host`",
            Self::NotItsKey => "name the key that belongs to the certificate; or a stranger shows a copy of it",
            Self::Weak(_) => "make it with `seam cert host`, or with an RSA key of 2048 bits or more",
            Self::Nameless => "make it with `seam cert host NAME --contexts ...`",
            Self::OtherHost { .. } => "correct the host's `address` in `[hosts]`, or give it its own certificate",
            Self::Other(_) => "make it with `seam cert host`",
        }
    }
}

impl From<webpki::Error> for Distrust {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error;
        match error {
            Error::CertExpired { .. } => Self::Ended,
            Error::CertNotValidYet { .. } => Self::NotYet,
            Error::CertRevoked => Self::Revoked,
            Error::UnknownIssuer => Self::Stranger,
            Error::CaUsedAsEndEntity => Self::Authority,
            Error::RequiredEkuNotFoundContext(_) => Self::Usage,
            other => Self::Other(other.to_string()),
        }
    }
}

/// As TLS reports it: the other side gets the alert that fits.
impl From<Distrust> for CertificateError {
    fn from(distrust: Distrust) -> Self {
        match distrust {
            Distrust::Stranger => Self::UnknownIssuer,
            Distrust::Ended => Self::Expired,
            Distrust::NotYet => Self::NotValidYet,
            Distrust::Revoked => Self::Revoked,
            other => Self::Other(OtherError(Arc::new(other))),
        }
    }
}

impl Distrust {
    /// What `From<Distrust>` has made an error of.
    pub fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::Stranger,
            CertificateError::Expired => Self::Ended,
            CertificateError::NotValidYet => Self::NotYet,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadSignature => Self::NotItsKey,
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Self>() {
                Some(distrust) => distrust.clone(),
                None => Self::Other(other.to_string()),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

impl Trust {
    /// # Errors
    /// Which of the certificates or lists cannot be used, and why.
    pub fn new(
        authorities: &[CertificateDer<'static>],
        lists: &[CertificateRevocationListDer<'static>],
    ) -> Result<Self, String> {
        let mut anchors = Vec::with_capacity(authorities.len());
        for (number, authority) in (1..).zip(authorities) {
            strength(authority).map_err(|why| format!("authority {number}: {why}"))?;
            let anchor = webpki::anchor_from_trusted_cert(authority);
            anchors.push(anchor.map_err(|error| format!("authority {number}: {error}"))?.to_owned());
        }
        let mut revoked = Vec::with_capacity(lists.len());
        for (number, list) in (1..).zip(lists) {
            let list = OwnedCertRevocationList::from_der(list);
            revoked.push(list.map_err(|error| format!("list {number} of revoked certificates: {error}"))?.into());
        }
        let subjects = anchors.iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect();
        Ok(Self { anchors, subjects, revoked, algorithms: ring::default_provider().signature_verification_algorithms })
    }

    /// Whose certificate it is, if it is one of this system's that may be used as `side` at `now`.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, chain: &[CertificateDer<'_>], side: Side, now: UnixTime) -> Result<Names, Distrust> {
        let (own, between) = chain.split_first().ok_or(Distrust::Nameless)?;
        let certificate = EndEntityCert::try_from(own)?;
        strength(own)?;
        let revoked: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        // A list that is older than it promises still says who is revoked: calls do not stop for want of a new one.
        let revocation = RevocationOptionsBuilder::new(&revoked).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        let usage = match side {
            Side::Client => KeyUsage::client_auth(),
            Side::Server => KeyUsage::server_auth(),
        };
        let algorithms = self.algorithms.all;
        certificate.verify_for_usage(algorithms, &self.anchors, between, now, usage, revocation, None)?;
        Names::of(own).ok_or(Distrust::Nameless)
    }
}

/// The forms of signatures under what goes through a broker.
pub const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];

impl Trust {
    /// That `message` was signed with the key of this certificate. Whether the certificate is trusted is another
    /// question.
    ///
    /// # Errors
    /// When it was not.
    pub fn signed(
        &self,
        certificate: &CertificateDer<'_>,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Distrust> {
        let certificate = EndEntityCert::try_from(certificate)?;
        let mapping = if SCHEMES.contains(&scheme) { self.algorithms.mapping } else { &[] };
        let mut algorithms = mapping.iter().filter(|(of, _)| *of == scheme).flat_map(|(_, algorithms)| *algorithms);
        match algorithms.any(|algorithm| certificate.verify_signature(*algorithm, message, signature).is_ok()) {
            true => Ok(()),
            false => Err(Distrust::NotItsKey),
        }
    }
}

/// Which side of a connection shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Whether the key is one that cannot be guessed: what `ring` verifies, said before it fails without a reason.
fn strength(certificate: &CertificateDer<'_>) -> Result<(), Distrust> {
    const RSA_BITS_MIN: usize = 2048;
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| Distrust::Other(format!("it is not X.509: {error}")))?;
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS_MIN => {
            Err(Distrust::Weak(format!("the certificate's RSA key has {} bits of at least 2048", key.key_size())))
        }
        Ok(PublicKey::DSA(_)) => Err(Distrust::Weak("the certificate's key is of a kind that is too weak: DSA".into())),
        _ => Ok(()),
    }
}

/// Verifies the certificate of one side in a handshake.
pub struct Verifier {
    pub trust: Arc<Trust>,
    /// The host that is called, if this verifies the certificate of a server.
    pub expected: Option<String>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// That the certificate is of the host that was meant.
///
/// # Errors
/// When it is not.
pub fn is_host(names: &Names, expected: &str) -> Result<(), Distrust> {
    if names.host == expected {
        return Ok(());
    }
    Err(Distrust::OtherHost { found: names.host.clone(), expected: expected.to_owned() })
}

impl Verifier {
    fn verify(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        side: Side,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(own).chain(between).cloned().collect();
        let verified = self.trust.verify(&chain, side, now);
        let verified = verified.and_then(|names| match &self.expected {
            Some(expected) => is_host(&names, expected),
            None => Ok(()),
        });
        verified.map_err(|distrust| rustls::Error::InvalidCertificate(distrust.into()))
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.trust.algorithms)
    }
}

/// TLS 1.2 is not spoken.
fn no_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::PeerIncompatible::Tls12NotOffered.into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(own, between, Side::Server, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.trust.subjects
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(own, between, Side::Client, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// The default provider of this process is not relied on: libraries may set another one.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
