//! What this host shows to others and whom it trusts, from files that are renewed while it runs.
//!
//! Invariant: the certificate, its key, the authorities and the revoked certificates that are in use fit each other;
//! while the files do not, those from before stay.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use seam_store::chain;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::config::Identity;
use super::error::Error;
use super::trust::{SCHEMES, Side, Trust, Verifier, is_host, provider};
use crate::certificate::{self, PemFiles, Renewal, Renewed, Source, Validity};
use crate::limits;
use crate::manifest::Tls;

/// HTTP/2 alone.
pub const ALPN: &[u8] = b"h2";

/// What is in the files at one moment.
pub struct Material {
    key: Arc<CertifiedKey>,
    pub trust: Arc<Trust>,
}

/// The files of one host, as they are now. Cheap to clone; the files are read again while one of the clones is there.
#[derive(Clone)]
pub struct Credentials {
    material: watch::Receiver<Arc<Material>>,
    _renewal: Arc<Stop>,
}

/// Ends the renewal when it is dropped.
struct Stop(AbortHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Credentials {
    /// Reads the files, and goes on reading them. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When they cannot be read, do not fit each other, or other hosts would refuse the certificate.
    pub fn load(identity: &Identity) -> Result<Self, Error> {
        let contents = Contents::read(identity)?;
        let (material, validity) = contents.material(identity, SystemTime::now())?;
        let (sender, receiver) = watch::channel(Arc::new(material));
        let files = Files { identity: identity.clone(), digest: contents.digest, sender };
        let renewing = tokio::spawn(Renewal::new(files, validity).run());
        let stop = Arc::new(Stop(renewing.abort_handle()));
        Ok(Self { material: receiver, _renewal: stop })
    }

    /// What is in the files now, and each further state of them.
    pub fn changes(&self) -> watch::Receiver<Arc<Material>> {
        let mut material = self.material.clone();
        // A clone has seen what the first one has seen: the state of the start.
        material.mark_unchanged();
        material
    }
}

impl Material {
    /// Whether both show the same certificate.
    pub fn shows_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// The certificate that it shows, followed by those between it and the authority's.
    pub fn shown(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// Signs with the key of the certificate.
    ///
    /// # Errors
    /// When the key cannot sign in a form that the other side would accept.
    pub fn sign(&self, message: &[u8]) -> Result<(SignatureScheme, Vec<u8>), rustls::Error> {
        let signer =
            self.key.key.choose_scheme(&SCHEMES).ok_or(rustls::PeerIncompatible::NoSignatureSchemesInCommon)?;
        Ok((signer.scheme(), signer.sign(message)?))
    }

    /// For a handshake with the broker, whose certificate names it as a host does.
    pub fn broker(&self, name: &str) -> Result<ClientConfig, rustls::Error> {
        let mut config = Arc::unwrap_or_clone(self.client(name)?);
        config.alpn_protocols.clear();
        Ok(config)
    }

    /// For a handshake at the host that is called. No session is resumed: each connection shows its certificate.
    pub fn server(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let verifier = Arc::new(Verifier { trust: self.trust.clone(), expected: None });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// For a handshake with the host `expected`.
    pub fn client(&self, expected: &str) -> Result<Arc<ClientConfig>, rustls::Error> {
        let verifier = Arc::new(Verifier { trust: self.trust.clone(), expected: Some(expected.to_owned()) });
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The bytes of all files.
struct Contents {
    tls: Tls,
    authority: Vec<u8>,
    revoked: Vec<u8>,
    digest: [u8; 32],
}

impl Contents {
    fn read(identity: &Identity) -> Result<Self, Error> {
        let tls = Tls { certificate: identity.certificate.clone(), key: identity.key.clone() };
        let pair = PemFiles::read(&tls)?.digest();
        let authority = read(&identity.authority, "authority")?;
        let revoked = match read(&identity.revoked, "list of revoked certificates") {
            Err(certificate::Error::File { source: rustls_pki_types::pem::Error::Io(error), .. })
                if error.kind() == io::ErrorKind::NotFound =>
            {
                Vec::new()
            }
            other => other?,
        };
        let mut digest = Sha256::new_with_prefix(pair);
        digest.update((authority.len() as u64).to_le_bytes());
        digest.update(&authority);
        digest.update(&revoked);
        Ok(Self { tls, authority, revoked, digest: digest.finalize().into() })
    }

    /// # Errors
    /// When other hosts would not accept what is in the files.
    fn material(&self, identity: &Identity, now: SystemTime) -> Result<(Material, Option<Validity>), Error> {
        let own = PemFiles::read(&self.tls)?.certificate()?;
        let authorities = pem::<CertificateDer<'static>>(&self.authority, &identity.authority, "authority")?;
        let lists = pem::<CertificateRevocationListDer<'static>>(&self.revoked, &identity.revoked, "list")?;
        let unusable = |path: &Path, why: String, remedy| Error::Unusable { path: path.to_owned(), why, remedy };
        if authorities.is_empty() || authorities.len() > limits::REMOTE_AUTHORITIES_MAX {
            let why = format!("it has {} certificates", authorities.len());
            let remedy = "name a PEM file with the certificate of the system's authority, or of two while one replaces \
                          the other";
            return Err(unusable(&identity.authority, why, remedy));
        }
        let trust = Trust::new(&authorities, &lists).map_err(|why| {
            unusable(
                &identity.authority,
                why,
                "make the authority with `seam cert authority`, and its list with \
                                                `seam cert revoke`",
            )
        })?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for side in [Side::Client, Side::Server] {
            let names = trust.verify(&own.key.cert, side, UnixTime::since_unix_epoch(since));
            let named = names.and_then(|names| is_host(&names, &identity.host));
            named.map_err(|distrust| unusable(&identity.certificate, distrust.to_string(), distrust.remedy()))?;
        }
        Ok((Material { key: own.key, trust: Arc::new(trust) }, own.validity))
    }
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, certificate::Error> {
    let io = |error| certificate::Error::File {
        what,
        path: path.to_owned(),
        source: rustls_pki_types::pem::Error::Io(error),
    };
    certificate::read(path).map_err(io)
}

fn pem<T: PemObject>(bytes: &[u8], path: &Path, what: &'static str) -> Result<Vec<T>, certificate::Error> {
    let unreadable = |source| certificate::Error::File { what, path: path.to_owned(), source };
    T::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>().map_err(unreadable)
}

/// The files, and where their contents are used.
struct Files {
    identity: Identity,
    digest: [u8; 32],
    sender: watch::Sender<Arc<Material>>,
}

impl Source for Files {
    fn renew(&mut self, now: SystemTime) -> Result<Option<Renewed>, String> {
        let contents = Contents::read(&self.identity).map_err(|error| chain(&error))?;
        if contents.digest == self.digest {
            return Ok(None);
        }
        let (material, validity) = contents.material(&self.identity, now).map_err(|error| chain(&error))?;
        self.sender.send_replace(Arc::new(material));
        self.digest = contents.digest;
        Ok(Some(Renewed { validity }))
    }

    fn file(&self) -> &Path {
        &self.identity.certificate
    }
}
