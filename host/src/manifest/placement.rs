//! The hosts of a system, and on which of them each context lives.
//!
//! All hosts run the same manifest. What they must agree on has a digest; where a host keeps its files and what it
//! listens on for clients is its own affair.
//! Not here: how the keys are read (`hosts`), what follows for a whole manifest (`homes`), and what is wrong with it
//! (`placement_check`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seam_store::ids::ContextName;

/// The name of a host: kebab case, at most 64 bytes, as the name of a context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// `None` when `name` is not kebab case.
    pub fn new(name: &str) -> Option<Self> {
        ContextName::new(name).map(|name| Self(name.as_str().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[hosts.NAME]`
#[derive(Debug, Clone)]
pub struct PlacedHost {
    pub name: HostName,
    /// Where the other hosts reach it: `host:port`, in lower case.
    pub address: String,
    /// What it listens on for the other hosts.
    pub bind: SocketAddr,
    /// What it listens on for clients.
    pub listen: Vec<SocketAddr>,
    /// Its data folder.
    pub data: PathBuf,
    /// The folder of `authority.pem`, `certificate.pem`, `key.pem` and `revoked.pem`.
    pub certificates: PathBuf,
}

impl PlacedHost {
    /// The machine in its address, without the port.
    pub(super) fn machine(&self) -> &str {
        self.address.rsplit_once(':').map_or(self.address.as_str(), |(machine, _)| machine)
    }
}

/// Where the contexts live. Without hosts, all of them live in one process.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// The host that this process is; `None`: all contexts live here.
    pub this: Option<HostName>,
    /// In the manifest's order.
    pub hosts: Vec<PlacedHost>,
    /// The host of each context, without variants.
    pub(super) homes: BTreeMap<ContextName, HostName>,
    /// The same by the manifest alone, wherever they have moved since.
    pub(super) placed: BTreeMap<ContextName, HostName>,
    pub(super) digest: [u8; 32],
}

impl Placement {
    /// Whether `context`, or the context of this variant, lives in this process.
    pub fn lives_here(&self, context: &ContextName) -> bool {
        match (&self.this, self.home(context)) {
            (Some(this), Some(home)) => this == home,
            _ => true,
        }
    }

    /// The host on which `context`, or the context of this variant, lives; `None` in a manifest without hosts.
    pub fn host_of(&self, context: &ContextName) -> Option<&PlacedHost> {
        self.host(self.home(context)?.as_str())
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&PlacedHost> {
        self.hosts.iter().find(|host| host.name.as_str() == name)
    }

    /// The entry of this host; `None` when all contexts live in this process.
    pub fn this_host(&self) -> Option<&PlacedHost> {
        self.host(self.this.as_ref()?.as_str())
    }

    /// The SHA-256 of what all hosts must agree on: the hosts with their addresses, where each context lives, and what
    /// it imports, publishes, subscribes to and begins transactions with.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The names of the hosts whose files are in this folder: an owner of another name keeps its files elsewhere.
    /// `None` in a manifest without hosts, where no file has moved.
    pub fn owners_in(&self, data: &Path) -> Option<Vec<String>> {
        match &self.this {
            Some(this) => Some(vec![this.to_string()]),
            None if self.hosts.is_empty() => None,
            None => {
                let here = self.hosts.iter().filter(|host| host.data == data);
                Some(here.map(|host| host.name.to_string()).collect())
            }
        }
    }

    /// The names of all hosts, for messages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// The hosts on which no context lives.
    pub fn idle(&self) -> impl Iterator<Item = &PlacedHost> {
        self.hosts.iter().filter(|host| !self.homes.values().any(|home| *home == host.name))
    }

    /// Whether another manifest has the same hosts, and each context on the same one.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |host: &PlacedHost| {
            (host.name.clone(), host.address.clone(), host.bind, host.data.clone(), host.certificates.clone())
        };
        self.homes == other.homes && self.hosts.iter().map(of).eq(other.hosts.iter().map(of))
    }

    fn home(&self, context: &ContextName) -> Option<&HostName> {
        let name = context.variant().map_or(context.as_str(), |(main, _)| main);
        self.homes.get(name)
    }
}
