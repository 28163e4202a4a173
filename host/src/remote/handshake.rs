//! What a handshake that failed says about the other side, in words for the log.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, PeerIncompatible};
use rustls_pki_types::CertificateDer;

use super::trust::Distrust;

/// Why, and what to do about it.
pub type Reason = (String, &'static str);

const MAKE: &str = "make its certificate with `seam cert host`";
const SPEAK: &str = "only hosts of the system connect here: TLS 1.3 with HTTP/2 (ALPN `h2`) and a certificate";

/// Of an error in the handshake, or soon after it: TLS 1.3 reports a refused client after the handshake.
pub fn explain(error: &(dyn StdError + 'static)) -> Reason {
    let first: Option<&(dyn StdError + 'static)> = Some(error);
    let mut causes = std::iter::successors(first, |error| (*error).source());
    match causes.find_map(tls_error) {
        Some(error) => explain_tls(error),
        None => (seam_store::chain(error), "check the address, the network, and whether the other host runs"),
    }
}

/// The error of TLS inside of one of input and output, which does not name it as its source.
fn tls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(error);
    }
    error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()
}

fn explain_tls(error: &rustls::Error) -> Reason {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(error) => {
            let distrust = Distrust::of(error);
            (distrust.to_string(), distrust.remedy())
        }
        rustls::Error::NoCertificatesPresented => ("it shows no certificate".to_owned(), MAKE),
        rustls::Error::NoApplicationProtocol => ("it does not offer HTTP/2".to_owned(), SPEAK),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // TLS 1.1 and before have none.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => ("it does not offer TLS 1.3".to_owned(), SPEAK),
        rustls::Error::PeerIncompatible(why) => (format!("its TLS does not fit: {why:?}"), SPEAK),
        rustls::Error::InvalidMessage(_) => ("what it sends is not TLS".to_owned(), SPEAK),
        rustls::Error::AlertReceived(alert) => {
            let why = match alert {
                Alert::CertificateExpired => "it says that this host's certificate is not valid now",
                Alert::CertificateRevoked => "it says that this host's certificate is revoked",
                Alert::UnknownCA => "it does not trust the authority of this host's certificate",
                Alert::CertificateRequired => "it asks for a certificate of this host",
                Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
                    "it does not accept this host's certificate"
                }
                Alert::NoApplicationProtocol => "it does not speak HTTP/2",
                Alert::ProtocolVersion => "it does not speak TLS 1.3",
                other => return (format!("it ends the handshake: {other:?}"), "the log of the other host says why"),
            };
            (why.to_owned(), "the log of the other host says why; both need certificates of the same authority")
        }
        other => (other.to_string(), MAKE),
    }
}

/// The certificates that the other side has shown.
pub fn shown(certificates: Option<&[CertificateDer<'_>]>) -> Vec<CertificateDer<'static>> {
    certificates.unwrap_or_default().iter().map(|certificate| certificate.clone().into_owned()).collect()
}
