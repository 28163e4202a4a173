//! The authority of a system and the certificates of its hosts, as PEM files in folders: for development, and for small
//! systems.
//!
//! The folder of an authority has `authority.pem`, its key, and `revoked.pem` once a certificate is revoked. The folder
//! of a host has what `Identity::in_folder` reads. Invariants: keys are readable by their owner alone, and no file is
//! overwritten unless the operator says so. Each file is replaced as a whole, so a host never reads half of one.

mod revoked;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use seam_store::ids::ContextName;
use seam_store::private;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use self::revoked::{Revoked, revoke};
use crate::certificate;
use crate::limits;
use crate::remote::names;

/// The file of an authority's certificates, the newest first.
pub const AUTHORITY: &str = "authority.pem";
pub const AUTHORITY_KEY: &str = "authority-key.pem";
pub const CERTIFICATE: &str = "certificate.pem";
pub const KEY: &str = "key.pem";
pub const REVOKED: &str = "revoked.pem";
/// Of the broker.
const CONFIGURATION: &str = "broker.conf";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` is there already", .0.display())]
    Exists(PathBuf),
    #[error("there is no authority in `{}`", .0.display())]
    NoAuthority(PathBuf),
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` {why}", path.display())]
    Invalid { path: PathBuf, why: String },
    #[error("`{name}` is not the name of {what}")]
    Name { name: String, what: &'static str },
    #[error("a certificate is valid for 1 to {} days, not for {days}", limits::CERTIFICATE_DAYS_MAX)]
    Days { days: u32 },
    #[error("the authority in `{}` has not signed `{}`", authority.display(), certificate.display())]
    Foreign { authority: PathBuf, certificate: PathBuf },
    #[error("the certificate cannot be made")]
    Make(#[from] rcgen::Error),
}

impl Error {
    /// What to do about it; may be empty.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Exists(_) => "add `--replace` to make another one",
            Self::NoAuthority(_) => "make one with `seam cert authority`, or name its folder with `--folder`",
            Self::Read { .. } | Self::Write { .. } => "correct the permissions, or name another folder",
            Self::Invalid { .. } => "name a PEM file that `seam cert` has made",
            Self::Name { what: "a host" | "a context", .. } => {
                "write a name such as `books`: lower-case letters, digits, single hyphens"
            }
            Self::Name { .. } => "write a name such as `books.example`, or an address such as `10.0.0.5`",
            Self::Days { .. } => "give another number of `--days`",
            Self::Foreign { .. } => "name the folder of the authority that has signed it with `--folder`",
            Self::Make(_) => "",
        }
    }
}

/// Makes an authority in `folder`; the files that it wrote.
///
/// With `replace`, a new one comes before those that are there, which stay trusted until `forget`.
///
/// # Errors
/// When there is one already and `replace` is false; when a file cannot be written.
pub fn make_authority(folder: &Path, days: u32, replace: bool) -> Result<Vec<PathBuf>, Error> {
    let (certificate, key) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
    for path in [&certificate, &key] {
        absent(path, replace)?;
    }
    let before = match certificates(&certificate) {
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let pair = KeyPair::generate()?;
    let mut parameters = parameters(Vec::new(), days)?;
    // Names of authorities differ: a list of revoked certificates is looked up by its authority's name.
    let random = hex::encode(rand::random::<[u8; 4]>());
    named(&mut parameters, &format!("Seam authority {random}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let own = parameters.self_signed(&pair)?;
    let older = before.iter().take(limits::REMOTE_AUTHORITIES_MAX - 1).map(|certificate| pem(certificate));
    let all: String = std::iter::once(own.pem()).chain(older).collect();
    make_folder(folder)?;
    put(&key, pair.serialize_pem().as_bytes())?;
    put(&certificate, all.as_bytes())?;
    Ok(vec![certificate, key])
}

/// Leaves only the newest authority in the file: the certificates of those before are not accepted any more.
/// The file that it wrote.
///
/// # Errors
/// When there is none, or the file cannot be written.
pub fn forget(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(AUTHORITY);
    let newest = newest(folder)?;
    put(&path, pem(&newest).as_bytes())?;
    Ok(path)
}

/// What a host's certificate is made of.
#[derive(Debug, Clone, Default)]
pub struct Host {
    pub name: String,
    /// The contexts that may live there.
    pub contexts: Vec<String>,
    /// Names of DNS and addresses, for other programs: hosts do not look at them.
    pub names: Vec<String>,
    pub days: u32,
}

/// Makes the certificate of a host, signed by the authority in the folder `authority`, in `folder`; the files that it
/// wrote.
///
/// # Errors
/// When there is no authority, a name is none, or there is a certificate already and `replace` is false.
pub fn make_host(authority: &Path, folder: &Path, host: &Host, replace: bool) -> Result<Vec<PathBuf>, Error> {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let mut names = vec![uri(names::HOST, &host.name, "a host")?];
    for context in &host.contexts {
        names.push(uri(names::CONTEXT, context, "a context")?);
    }
    for path in [&certificate, &key] {
        absent(path, replace)?;
    }
    let issuer = issuer(authority)?;
    let pair = KeyPair::generate()?;
    let mut parameters = parameters(host.names.clone(), host.days)?;
    named(&mut parameters, &host.name);
    parameters.subject_alt_names.extend(names);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    let own = parameters.signed_by(&pair, &issuer)?;
    make_folder(folder)?;
    put(&key, pair.serialize_pem().as_bytes())?;
    put(&certificate, own.pem().as_bytes())?;
    let mut written = vec![certificate, key];
    written.extend(share(authority, folder)?);
    Ok(written)
}

/// Writes the configuration of the broker beside its certificate; the file.
///
/// # Errors
/// When it cannot be written.
pub fn write_configuration(folder: &Path, text: &str) -> Result<PathBuf, Error> {
    let path = folder.join(CONFIGURATION);
    put(&path, text.as_bytes())?;
    Ok(path)
}

/// Copies what hosts read of an authority to the folder of a host; the files that it wrote.
fn share(authority: &Path, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for name in [AUTHORITY, REVOKED] {
        let (from, to) = (authority.join(name), folder.join(name));
        if authority == folder || !from.is_file() {
            continue;
        }
        put(&to, &read(&from)?)?;
        written.push(to);
    }
    Ok(written)
}

/// The folders of hosts below the folder of an authority.
fn host_folders(authority: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(authority).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join(AUTHORITY).is_file()).collect();
    folders.sort();
    folders
}

/// Gives the folders of hosts below that of their authority what it has now; the files that it wrote.
///
/// # Errors
/// When one cannot be written.
pub fn share_with_hosts(authority: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for folder in host_folders(authority) {
        written.extend(share(authority, &folder)?);
    }
    Ok(written)
}

fn parameters(names: Vec<String>, days: u32) -> Result<CertificateParams, Error> {
    if !(1..=limits::CERTIFICATE_DAYS_MAX).contains(&days) {
        return Err(Error::Days { days });
    }
    for name in &names {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'*');
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Error::Name { name: name.clone(), what: "a machine" });
        }
    }
    let mut parameters = CertificateParams::new(names)?;
    let now = OffsetDateTime::from(SystemTime::now());
    parameters.not_before = now - Duration::seconds(limits::CERTIFICATE_EARLY_S);
    parameters.not_after = now + Duration::days(i64::from(days));
    let mut serial: [u8; 16] = rand::random();
    // A positive number without zeros at its start has one form only, here and in a list of revoked ones.
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(parameters)
}

fn named(parameters: &mut CertificateParams, name: &str) {
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
}

fn uri(prefix: &str, name: &str, what: &'static str) -> Result<SanType, Error> {
    let unfit = || Error::Name { name: name.to_owned(), what };
    let name = ContextName::new(name).ok_or_else(unfit)?;
    Ok(SanType::URI(Ia5String::try_from(format!("{prefix}{name}"))?))
}

/// The newest authority of a folder.
fn newest(folder: &Path) -> Result<CertificateDer<'static>, Error> {
    let path = folder.join(AUTHORITY);
    if !path.is_file() {
        return Err(Error::NoAuthority(folder.to_owned()));
    }
    let first = certificates(&path)?.into_iter().next();
    first.ok_or_else(|| Error::Invalid { path, why: "has no certificate".to_owned() })
}

/// The newest authority of a folder, to sign with.
fn issuer(folder: &Path) -> Result<Issuer<'static, KeyPair>, Error> {
    let certificate = newest(folder)?;
    let path = folder.join(AUTHORITY_KEY);
    if !path.is_file() {
        return Err(Error::NoAuthority(folder.to_owned()));
    }
    let key = private::read_secret(&path, limits::CERTIFICATE_BYTES_MAX);
    let key = key.map_err(|error| Error::Read { path: path.clone(), source: error.into() })?;
    let key = String::from_utf8_lossy(&key);
    let pair =
        KeyPair::from_pem(&key).map_err(|error| Error::Invalid { path: path.clone(), why: error.to_string() })?;
    let (_, parsed) = parse(&certificate, &folder.join(AUTHORITY))?;
    if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
        return Err(Error::Invalid { path, why: "is not the key of the newest authority".to_owned() });
    }
    Ok(Issuer::from_ca_cert_der(&certificate, pair)?)
}

fn parse<'c>(certificate: &'c [u8], path: &Path) -> Result<(&'c [u8], X509Certificate<'c>), Error> {
    let invalid = |error| Error::Invalid { path: path.to_owned(), why: format!("is not X.509: {error}") };
    X509Certificate::from_der(certificate).map_err(invalid)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    all.map_err(|error| Error::Invalid { path: path.to_owned(), why: format!("is not PEM: {error}") })
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    block("CERTIFICATE", certificate)
}

/// A block of PEM (RFC 7468).
fn block(label: &str, contents: &[u8]) -> String {
    let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
    ::pem::encode_config(&::pem::Pem::new(label, contents), config)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    certificate::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn absent(path: &Path, replace: bool) -> Result<(), Error> {
    // A link to nothing counts as well.
    match path.symlink_metadata() {
        Ok(_) if !replace => Err(Error::Exists(path.to_owned())),
        _ => Ok(()),
    }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    private::folder(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Replaces the file as a whole.
fn put(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let fresh = path.with_extension("pem.new");
    let written = private::write(&fresh, contents).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|source| Error::Write { path: path.to_owned(), source })
}
