//! The teller by gRPC over mutual TLS, with tonic: one channel for all calls, as its users have it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use seam_store::private;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::split;

/// `seambench:shop/teller.get-item`: its argument, and what it returns.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Id {
    #[prost(uint64, tag = "1")]
    id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Item {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    title: String,
    #[prost(uint32, tag = "3")]
    price: u32,
    #[prost(string, repeated, tag = "4")]
    tags: Vec<String>,
}

mod service {
    #![allow(clippy::all, missing_docs, unused_qualifications)]
    include!(concat!(env!("OUT_DIR"), "/seambench.Teller.rs"));
}

use service::teller_client::TellerClient;
use service::teller_server::{Teller, TellerServer};

const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const NAME: &str = "localhost";

/// An authority, and one certificate that both ends show.
pub fn make_certificates(folder: &Path) -> Result<()> {
    private::folder(folder)?;
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![NAME.to_owned()])?.signed_by(&key, &authority)?;
    for (name, text) in [(AUTHORITY, authority.pem()), (CERTIFICATE, certificate.pem()), (KEY, key.serialize_pem())] {
        private::write(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn read(certificates: &Path) -> Result<(Certificate, Identity)> {
    let text = |name: &str| std::fs::read_to_string(certificates.join(name));
    Ok((Certificate::from_pem(text(AUTHORITY)?), Identity::from_pem(text(CERTIFICATE)?, text(KEY)?)))
}

struct Answering;

#[tonic::async_trait]
impl Teller for Answering {
    async fn get_item(&self, request: Request<Id>) -> Result<Response<Item>, Status> {
        let id = request.into_inner().id;
        if id == 0 {
            return Err(Status::not_found("there is no such item"));
        }
        let split::Item { id, title, price, tags } = split::item(id);
        Ok(Response::new(Item { id, title, price, tags }))
    }
}

/// Serves until the process gets a signal to end.
pub fn teller(certificates: &Path) -> Result<()> {
    let (authority, identity) = read(certificates)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        eprintln!("serving on http://{}", listener.local_addr()?);
        let tls = ServerTlsConfig::new().identity(identity).client_ca_root(authority);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = Server::builder().tls_config(tls)?.add_service(TellerServer::new(Answering));
        serving.serve_with_incoming_shutdown(incoming, async move { end.recv().await.unwrap_or_default() }).await?;
        Ok(())
    })
}

/// The near end.
#[derive(Clone)]
pub struct Client {
    endpoint: Endpoint,
    channel: std::sync::Arc<tokio::sync::OnceCell<Channel>>,
}

impl Client {
    pub fn new(teller: SocketAddr, certificates: &Path) -> Result<Self> {
        let (authority, identity) = read(certificates)?;
        let tls = ClientTlsConfig::new().ca_certificate(authority).identity(identity).domain_name(NAME);
        let endpoint = Endpoint::from_shared(format!("https://{teller}"))?.tls_config(tls)?.tcp_nodelay(true);
        Ok(Self { endpoint, channel: std::sync::Arc::default() })
    }

    /// Calls so many times, one after the other; returns the sum of the prices.
    pub async fn sum(&self, times: u64) -> Result<u64> {
        let channel = self.channel.get_or_try_init(|| self.endpoint.connect()).await?;
        let mut client = TellerClient::new(channel.clone());
        let mut sum = 0;
        for id in 1..=times {
            sum += u64::from(client.get_item(Id { id }).await?.into_inner().price);
        }
        Ok(sum)
    }
}
