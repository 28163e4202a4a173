//! The network between the hosts of a test: namespaces of the kernel where they are permitted, else ways over loopback.

use std::fmt;

use anyhow::{Context, Result};

use super::namespaces::Namespaces;
use super::ways::Ways;

/// A network that fails, and where each host listens in it.
pub struct Network {
    kind: Kind,
    ports: Vec<(String, u16)>,
}

enum Kind {
    Namespaces(Namespaces),
    Ways(Ways),
}

impl fmt::Display for Network {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self.kind {
            Kind::Namespaces(_) => "network: a namespace for each host",
            Kind::Ways(_) => "network: ways over loopback",
        })
    }
}

impl Network {
    /// For these hosts, and peers that only answer, each with the port where it listens.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(is_inside: bool, hosts: &[(String, u16)], peers: &[(String, u16)]) -> Result<Self> {
        let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
        let kind = match is_inside {
            true => Kind::Namespaces(Namespaces::new(&names)?),
            false => Kind::Ways(Ways::new(hosts, peers)?),
        };
        Ok(Self { kind, ports: hosts.to_vec() })
    }

    /// What leads a host into it.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn variables(&self, host: &str) -> Result<Vec<(&'static str, String)>> {
        match &self.kind {
            Kind::Ways(ways) => Ok(vec![ways.variable(host)]),
            Kind::Namespaces(all) => {
                let others = self.ports.iter().filter(|(name, _)| name != host);
                let way = |(name, port): &(String, u16)| Ok(format!("{port}={}:{port}", all.address(name)?));
                let ways = others.map(way).collect::<Result<Vec<_>>>()?;
                Ok(vec![("SEAM_TEST_WAYS", ways.join(",")), ("SEAM_TEST_EVERYWHERE", "1".to_owned())])
            }
        }
    }

    /// What starts a command of this host.
    ///
    /// # Errors
    /// As `variables`.
    pub fn prefix(&self, host: &str) -> Result<Vec<String>> {
        match &self.kind {
            Kind::Ways(_) => Ok(Vec::new()),
            Kind::Namespaces(all) => all.prefix(host),
        }
    }

    /// The address of browsers for what this host calls `own`.
    ///
    /// # Errors
    /// As `variables`.
    pub fn url(&self, host: &str, own: &str) -> Result<String> {
        match &self.kind {
            Kind::Ways(_) => Ok(own.to_owned()),
            Kind::Namespaces(all) => {
                let (_, port) = own.rsplit_once(':').context("an address with a port")?;
                Ok(format!("http://{}:{port}", all.address(host)?))
            }
        }
    }

    /// Cuts what goes from one to the other, or lets it go on.
    ///
    /// # Errors
    /// As `variables`.
    pub fn cut(&self, from: &str, to: &str, is_cut: bool) -> Result<()> {
        match &self.kind {
            Kind::Namespaces(all) => all.cut(from, to, is_cut),
            Kind::Ways(ways) => {
                ways.cut(from, to, is_cut);
                Ok(())
            }
        }
    }

    /// The same in both directions.
    ///
    /// # Errors
    /// As `variables`.
    pub fn cut_both(&self, one: &str, other: &str, is_cut: bool) -> Result<()> {
        self.cut(one, other, is_cut)?;
        self.cut(other, one, is_cut)
    }

    /// Ends the connections between two of them; the kernel's own, which it does not end, are cut and healed in turns.
    ///
    /// # Errors
    /// As `variables`.
    pub fn reset(&self, one: &str, other: &str, is_cut: bool) -> Result<()> {
        match &self.kind {
            Kind::Namespaces(_) => self.cut_both(one, other, is_cut),
            Kind::Ways(ways) => {
                ways.reset(one, other);
                Ok(())
            }
        }
    }

    /// Nothing is cut any more.
    ///
    /// # Errors
    /// As `variables`.
    pub fn heal(&self) -> Result<()> {
        match &self.kind {
            Kind::Namespaces(all) => all.heal(),
            Kind::Ways(ways) => {
                ways.heal();
                Ok(())
            }
        }
    }
}
