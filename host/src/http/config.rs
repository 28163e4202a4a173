//! What a server listens on, what it serves, and its limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use seam_store::ids::ContextName;

use super::guest::affinity::AffinityConfig;
use super::limits::Limits;
use super::own::dev::StatusBoard;
use super::proxies::ProxyConfig;
use crate::manifest::{self, Company, Manifest, Ops, Tls};

#[derive(Debug, Clone)]
pub struct Config {
    /// Port 0 takes a free port; `Server::addresses` returns it.
    pub listen: Vec<SocketAddr>,
    /// If set, all addresses speak TLS (HTTP/2 or HTTP/1.1 by ALPN).
    pub tls: Option<Tls>,
    pub mounts: Vec<Mount>,
    pub feeds: Vec<manifest::Feed>,
    /// Who may ask for `/healthz`, `/readyz` and `/metrics`.
    pub ops: Ops,
    pub affinity: AffinityConfig,
    pub proxies: ProxyConfig,
    /// For how many days browsers remember that a host is reached over TLS alone; 0: they are not asked to.
    pub hsts_days: u32,
    /// The state that `seam dev` shows in open pages; `None` outside development, and pages stay unchanged.
    pub dev: Option<StatusBoard>,
    pub limits: Limits,
}

/// A context at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The name that requests must be for, in lower case; `None`: any that no other mount has.
    pub host: Option<String>,
    /// `/` or `/shop`: without a trailing slash, except for the root.
    pub path: String,
    pub context: ContextName,
    /// The folder behind `/assets/` below the path.
    pub assets: Option<PathBuf>,
    /// How long a request may take after its body has arrived.
    pub timeout: Duration,
    /// The contexts beside it, and the cookies and headers that it may set all the same ([`manifest::Mount`]).
    pub company: Company,
    pub cookies: Option<Vec<String>>,
    pub headers: Vec<String>,
}

impl Config {
    pub fn from_manifest(manifest: &Manifest) -> Self {
        Self {
            listen: manifest.host.listen.clone(),
            tls: manifest.host.tls.clone(),
            mounts: mounts(manifest),
            feeds: feeds(manifest),
            ops: manifest.host.ops,
            affinity: AffinityConfig {
                keys: manifest.http.routing_key.clone(),
                testers: manifest.http.force_variants.clone(),
            },
            proxies: ProxyConfig { trusted: manifest.http.trusted_proxies.clone(), header: manifest.http.proxy_header },
            hsts_days: manifest.http.hsts_days,
            dev: None,
            limits: Limits::from_manifest(&manifest.http),
        }
    }
}

/// The feeds of the contexts that live on this host.
fn feeds(manifest: &Manifest) -> Vec<manifest::Feed> {
    manifest.feeds.iter().filter(|feed| manifest.placement.lives_here(&feed.context)).cloned().collect()
}

/// The mounts of a manifest whose contexts live on this host.
pub fn mounts(manifest: &Manifest) -> Vec<Mount> {
    let mount = |mount: &manifest::Mount| {
        let context = manifest.contexts.iter().find(|context| context.settings.name == mount.context);
        Mount {
            host: mount.host.clone(),
            path: mount.path.clone(),
            context: mount.context.clone(),
            assets: context.and_then(|context| context.assets.clone()),
            timeout: mount.timeout,
            company: manifest.company(mount),
            cookies: mount.cookies.clone(),
            headers: mount.headers.clone(),
        }
    };
    manifest.mounts.iter().filter(|mount| manifest.placement.lives_here(&mount.context)).map(mount).collect()
}
