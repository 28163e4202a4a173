//! Certificates and identities that are wrong: each is refused, by the side that must refuse it, with a line that says
//! why.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use http::uri::Authority;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair,
    PublicKeyData, SanType, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use seam_runtime::call::Failure;
use seam_runtime::remote::{Carrier, Head};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::lines::Lines;
use super::{Books, Pki, SYSTEM, client, context, head, in_time};
use crate::remote::authority;
use crate::remote::trust::provider;
use crate::remote::wire;

/// A certificate and the key that belongs to it, or does not.
type Shown = (Vec<CertificateDer<'static>>, KeyPair);

/// The authority of `pki`, to sign what it should not.
fn issuer(pki: &Pki) -> Issuer<'static, KeyPair> {
    let key = KeyPair::from_pem(&std::fs::read_to_string(pki.file(authority::AUTHORITY_KEY)).unwrap()).unwrap();
    Issuer::from_ca_cert_pem(&std::fs::read_to_string(pki.file(authority::AUTHORITY)).unwrap(), key).unwrap()
}

/// What a good certificate of this host and context has.
fn parameters(host: &str, context: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let uri = |text: String| SanType::URI(Ia5String::try_from(text).unwrap());
    parameters.subject_alt_names = vec![uri(format!("seam://host/{host}")), uri(format!("seam://context/{context}"))];
    parameters.extended_key_usages = vec![Usage::ClientAuth, Usage::ServerAuth];
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    parameters
}

fn signed(issuer: &Issuer<'static, KeyPair>, parameters: &CertificateParams) -> Shown {
    let key = KeyPair::generate().unwrap();
    (vec![parameters.signed_by(&key, issuer).unwrap().der().clone()], key)
}

fn changed(pki: &Pki, host: &str, context: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
    let mut parameters = parameters(host, context);
    change(&mut parameters);
    signed(&issuer(pki), &parameters)
}

/// An RSA key of 1024 bits, which no library here makes: `SubjectPublicKeyInfo` of RFC 3279 with an odd modulus.
fn weak(pki: &Pki, host: &str, context: &str) -> Shown {
    let mut der = hex::decode("30819f300d06092a864886f70d010101050003818d0030818902818100").unwrap();
    der.extend([0xc1; 128]);
    der.extend(hex::decode("0203010001").unwrap());
    let weak = SubjectPublicKeyInfo::from_der(&der).unwrap();
    assert_eq!(weak.subject_public_key_info(), der);
    let certificate = parameters(host, context).signed_by(&weak, &issuer(pki)).unwrap();
    (vec![certificate.der().clone()], KeyPair::generate().unwrap())
}

fn of_files(identity: &crate::remote::Identity) -> Shown {
    let chain = CertificateDer::pem_file_iter(&identity.certificate).unwrap().map(Result::unwrap).collect();
    (chain, KeyPair::from_pem(&std::fs::read_to_string(&identity.key).unwrap()).unwrap())
}

fn self_signed(host: &str, context: &str) -> Shown {
    let key = KeyPair::generate().unwrap();
    (vec![parameters(host, context).self_signed(&key).unwrap().der().clone()], key)
}

/// A certificate of another authority, which claims the same names.
fn of_another_authority(host: &str, context: &str) -> Shown {
    let other = Pki::new();
    changed(&other, host, context, |_| {})
}

fn an_authority(pki: &Pki, host: &str, context: &str) -> Shown {
    changed(pki, host, context, |parameters| parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))
}

/// Signed by a host's certificate, as if that were an authority.
fn signed_by_a_host(pki: &Pki, host: &str, context: &str) -> Shown {
    let key = KeyPair::generate().unwrap();
    let between = CertifiedIssuer::signed_by(parameters("books", "finance"), key, &issuer(pki)).unwrap();
    let (mut chain, key) = {
        let key = KeyPair::generate().unwrap();
        (vec![parameters(host, context).signed_by(&key, &between).unwrap().der().clone()], key)
    };
    chain.push(between.der().clone());
    (chain, key)
}

fn certified((chain, key): Shown) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(chain, key))
}

/// Accepts every server: the other side must refuse.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// How a stranger connects.
pub(super) struct Stranger {
    shown: Option<Shown>,
    version: &'static SupportedProtocolVersion,
    alpn: &'static [&'static [u8]],
}

impl Stranger {
    /// What host `shop` of this system would do, to send what it would not.
    pub(super) fn shop(pki: &Pki) -> Self {
        Self::shows(of_files(&pki.shop()))
    }

    fn shows(shown: Shown) -> Self {
        Self { shown: Some(shown), version: &version::TLS13, alpn: &[b"h2"] }
    }

    /// Connects and calls; whether that was answered.
    async fn calls(self, address: SocketAddr, head: &Head) -> bool {
        let Some(mut requests) = self.connects(address).await else { return false };
        let authority = Authority::from_static("books:1");
        let request = wire::request(&authority, &SYSTEM, head, head.remaining, Bytes::new()).unwrap();
        requests
            .send_request(request.map(|body| Full::new(body).boxed()))
            .await
            .is_ok_and(|response| response.status().is_success())
    }

    /// Connects, if it is let in.
    pub(super) async fn connects(self, address: SocketAddr) -> Option<Requests> {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible));
        let mut config = match self.shown {
            Some(shown) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(shown)))),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("books").unwrap();
        let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return None };
        stream.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
        let (io, executor) = (TokioIo::new(stream), TokioExecutor::new());
        let (requests, connection) = hyper::client::conn::http2::handshake(executor, io).await.ok()?;
        tokio::spawn(connection);
        Some(requests)
    }
}

/// A connection for requests of any form.
pub(super) type Requests = SendRequest<BoxBody<Bytes, Infallible>>;

/// The first message of TLS 1.1: no extension, one cipher suite.
const TLS_1_1: &str = "160302002d010000290302000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0000\
                       02002f0100";

#[tokio::test]
async fn a_host_refuses_each_caller_that_is_not_who_it_should_be() {
    let pki = Pki::new();
    let revoked = pki.host("shop", &["orders"]);
    authority::revoke(pki.folder(), &revoked.certificate).unwrap();
    let books = Books::start(&pki.books()).await;
    let good = || changed(&pki, "shop", "orders", |_| {});
    let shows = Stranger::shows;
    assert!(shows(good()).calls(books.address, &head("echo")).await, "a good one is answered");

    let rsa = weak(&pki, "shop", "orders");
    let cases: Vec<(&str, Stranger, &str)> = vec![
        ("none", Stranger { shown: None, ..shows(good()) }, "it shows no certificate"),
        ("another authority", shows(of_another_authority("shop", "orders")), "signed by no authority"),
        ("self-signed", shows(self_signed("shop", "orders")), "signed by no authority"),
        ("a host as an authority", shows(signed_by_a_host(&pki, "shop", "orders")), "the certificate cannot be used"),
        (
            "ended",
            shows(changed(&pki, "shop", "orders", |p| p.not_after = date_time_ymd(2021, 1, 1))),
            "the certificate has ended",
        ),
        (
            "not valid yet",
            shows(changed(&pki, "shop", "orders", |p| p.not_before = date_time_ymd(2080, 1, 1))),
            "the certificate is not valid yet",
        ),
        ("revoked", shows(of_files(&revoked)), "the certificate is revoked"),
        ("a weak key", shows(rsa), "RSA key has 1024 bits"),
        ("an authority", shows(an_authority(&pki, "shop", "orders")), "is that of an authority"),
        (
            "for servers only",
            shows(changed(&pki, "shop", "orders", |p| p.extended_key_usages = vec![Usage::ServerAuth])),
            "may not be used for this side",
        ),
        ("no host", shows(changed(&pki, "shop", "orders", |p| drop(p.subject_alt_names.remove(0)))), "names no host"),
        (
            "two hosts",
            shows(changed(&pki, "shop", "orders", |p| {
                p.subject_alt_names.push(SanType::URI(Ia5String::try_from("seam://host/books").unwrap()));
            })),
            "names no host",
        ),
        ("an unknown host", shows(changed(&pki, "office", "orders", |_| {})), "there is no host `office`"),
        ("another context's", shows(changed(&pki, "shop", "mail", |_| {})), "does not name `orders`"),
        ("another's key", shows((good().0, KeyPair::generate().unwrap())), "does not have the key of the certificate"),
        ("TLS 1.2", Stranger { version: &version::TLS12, ..shows(good()) }, "it does not offer TLS 1.3"),
        ("HTTP/1.1", Stranger { alpn: &[b"http/1.1"], ..shows(good()) }, "it does not offer HTTP/2"),
        ("no protocol", Stranger { alpn: &[], ..shows(good()) }, "it does not offer HTTP/2"),
    ];
    for (name, stranger, why) in cases {
        let (lines, _guard) = Lines::keep();
        let calls = books.finance.calls.load(SeqCst);
        assert!(!in_time(stranger.calls(books.address, &head("echo"))).await, "{name}");
        let line = lines.with(&["refused", why, "127.0.0.1"]).await;
        let hint = line.split("hint=").nth(1).unwrap();
        assert!(hint.len() > 10, "{name}: {line}");
        assert_eq!(books.finance.calls.load(SeqCst), calls, "{name}");
    }
    // Another one, whose lines of this second are not used up.
    let books = Books::start(&pki.books()).await;
    for (bytes, why) in [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "what it sends is not TLS"),
        (b"POST /v1/finance/a:b/c/echo HTTP/1.1\r\nhost: books\r\n\r\n".to_vec(), "what it sends is not TLS"),
        (hex::decode(TLS_1_1.replace(' ', "")).unwrap(), "it does not offer TLS 1.3"),
    ] {
        let (lines, _guard) = Lines::keep();
        let mut stream = TcpStream::connect(books.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        // It may be reset instead of closed.
        let _ = in_time(stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 10, "an alert, at most");
        lines.with(&["refused a connection", why, "hint="]).await;
    }
}

/// Something that listens where `books` should, and shows this; it takes every client and answers none.
async fn impostor(shown: Shown, alpn: &'static [u8]) -> SocketAddr {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(shown))));
    config.alpn_protocols = vec![alpn.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 1]).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_host_calls_no_impostor() {
    let pki = Pki::new();
    let revoked = pki.books();
    authority::revoke(pki.folder(), &revoked.certificate).unwrap();
    let shop = pki.shop();
    let cases: Vec<(&str, Shown, &[u8], &str)> = vec![
        (
            "another host's",
            changed(&pki, "office", "finance", |_| {}),
            b"h2",
            "is that of host `office`, not of `books`",
        ),
        ("another authority", of_another_authority("books", "finance"), b"h2", "signed by no authority"),
        ("self-signed", self_signed("books", "finance"), b"h2", "signed by no authority"),
        (
            "ended",
            changed(&pki, "books", "finance", |p| p.not_after = date_time_ymd(2021, 1, 1)),
            b"h2",
            "the certificate has ended",
        ),
        ("revoked", of_files(&revoked), b"h2", "the certificate is revoked"),
        ("a weak key", weak(&pki, "books", "finance"), b"h2", "RSA key has 1024 bits"),
        ("an authority", an_authority(&pki, "books", "finance"), b"h2", "is that of an authority"),
        (
            "for clients only",
            changed(&pki, "books", "finance", |p| p.extended_key_usages = vec![Usage::ClientAuth]),
            b"h2",
            "may not be used for this side",
        ),
        (
            "another's key",
            (of_files(&pki.books()).0, KeyPair::generate().unwrap()),
            b"h2",
            "does not have the key of the certificate",
        ),
        ("HTTP/1.1", changed(&pki, "books", "finance", |_| {}), b"http/1.1", "HTTP/2"),
    ];
    for (name, shown, alpn, why) in cases {
        let (lines, _guard) = Lines::keep();
        let shop = client(&shop, impostor(shown, alpn).await);
        let failure = in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
        assert!(matches!(failure, Failure::Absent { .. }), "{name}: {failure}");
        assert!(!failure.to_string().contains("certificate"), "{name}: without internals: {failure}");
        lines.with(&["who=host `books`", "cannot call the other host", why, "hint="]).await;
    }
}

#[tokio::test]
async fn a_host_is_not_asked_for_a_context_that_its_certificate_does_not_name() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let books = Books::start(&pki.host("books", &["catalog"])).await;
    let shop = client(&pki.shop(), books.address);
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
    lines.with(&["who=host `books`", "the certificate of host `books` does not name `finance`"]).await;
    assert_eq!(books.finance.calls.load(SeqCst), 0);
    assert!(!shop.is_down(&context("finance")), "the host itself is there");
}

#[tokio::test]
async fn a_caller_that_is_refused_says_why_in_its_own_log() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = pki.shop();
    // Only the host that is called has the new list.
    authority::revoke(pki.folder(), &shop.certificate).unwrap();
    std::fs::remove_file(&shop.revoked).unwrap();
    let other = Books::start(&pki.books()).await;
    drop(books);
    in_time(client(&shop, other.address).carry(head("echo"), Bytes::new())).await.unwrap_err();
    lines.with(&["who=host `books`", "it says that this host's certificate is revoked"]).await;
}
