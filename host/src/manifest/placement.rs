//! The hosts of a system, and on which of them each context lives.
//!
//! All hosts run the same manifest. What they must agree on has a digest; where a host keeps its files and what it
//! listens on for clients is its own affair.
//! Not here: how the keys are read (`hosts`), what follows for a whole manifest (`homes`), and what is wrong with it
//! (`placement_check`).

use std::collections::{BTreeMap, BTreeSet};
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

/// `at` of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    Host(HostName),
    /// The context has no host of its own: hosts have copies of it, behind this broker.
    Broker(Broker),
}

impl Home {
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Host(host) => Some(host),
            Self::Broker(_) => None,
        }
    }

    pub fn broker(&self) -> Option<&Broker> {
        match self {
            Self::Host(_) => None,
            Self::Broker(broker) => Some(broker),
        }
    }
}

/// A NATS server, or a cluster of them behind one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `host:port`, in lower case.
    pub address: String,
}

impl Broker {
    /// What a context is said to live on that has copies, and the name in the broker's certificate. No host is called
    /// so in a system with a broker.
    pub const NAME: &'static str = seam_runtime::settings::BROKER;
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
    /// The contexts behind the broker of which it runs a copy.
    pub copies: Vec<ContextName>,
}

impl PlacedHost {
    /// The machine in its address, without the port.
    pub(super) fn machine(&self) -> &str {
        self.address.rsplit_once(':').map_or(self.address.as_str(), |(machine, _)| machine)
    }

    fn has_copy(&self, context: &ContextName) -> bool {
        self.copies.iter().any(|copy| copy.as_str() == main(context))
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
    /// Behind which the contexts are that have copies; `None` if there are none.
    pub broker: Option<Broker>,
    /// The contexts that have copies, without variants. They have no home.
    pub(super) copied: BTreeSet<ContextName>,
    pub(super) digest: [u8; 32],
}

impl Placement {
    /// Whether `context`, or the context of this variant, lives in this process.
    pub fn lives_here(&self, context: &ContextName) -> bool {
        if self.is_copied(context) {
            return self.this_host().is_none_or(|this| this.has_copy(context));
        }
        match (&self.this, self.home(context)) {
            (Some(this), Some(home)) => this == home,
            _ => true,
        }
    }

    /// The host on which `context`, or the context of this variant, lives; `None` in a manifest without hosts.
    pub fn host_of(&self, context: &ContextName) -> Option<&PlacedHost> {
        self.host(self.home(context)?.as_str())
    }

    /// Whether hosts have copies of `context`, or of the context of this variant.
    pub fn is_copied(&self, context: &ContextName) -> bool {
        self.copied.contains(main(context))
    }

    /// The contexts that have copies.
    pub fn copied(&self) -> impl Iterator<Item = &ContextName> {
        self.copied.iter()
    }

    /// The hosts that run a copy of `context`.
    pub fn hosts_of_copies(&self, context: &ContextName) -> impl Iterator<Item = &PlacedHost> + Clone {
        self.hosts.iter().filter(|host| self.is_copied(context) && host.has_copy(context))
    }

    /// Where `context`, or the context of this variant, lives, for messages: the name of its host, or `broker`.
    pub fn home_name(&self, context: &ContextName) -> Option<&str> {
        match self.is_copied(context) {
            true => Some(Broker::NAME),
            false => self.home(context).map(HostName::as_str),
        }
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
        let is_home = |host: &PlacedHost| self.homes.values().any(|home| *home == host.name);
        self.hosts.iter().filter(move |host| !is_home(host) && host.copies.is_empty())
    }

    /// Whether another manifest has the same hosts, and each context on the same one.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |host: &PlacedHost| {
            let PlacedHost { name, address, bind, data, certificates, copies, listen: _ } = host;
            (name.clone(), address.clone(), *bind, data.clone(), certificates.clone(), copies.clone())
        };
        let places = |of: &Self| (of.homes.clone(), of.broker.clone(), of.copied.clone());
        places(self) == places(other) && self.hosts.iter().map(of).eq(other.hosts.iter().map(of))
    }

    fn home(&self, context: &ContextName) -> Option<&HostName> {
        self.homes.get(main(context))
    }
}

fn main(context: &ContextName) -> &str {
    context.variant().map_or(context.as_str(), |(main, _)| main)
}
