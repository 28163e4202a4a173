//! A system whose contexts live on several hosts, with an address and a certificate for each.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::System;
use crate::host::seam;

/// The system, and the path of its manifest.
pub struct Placed {
    pub system: System,
    pub manifest: PathBuf,
}

impl Placed {
    /// Has `system` hosts of these names. A context without `at` lives on the first one, which has the data folder of
    /// `[host]`; each other one has a folder of its own name beside it.
    ///
    /// # Errors
    /// When no certificates can be made.
    pub fn new(system: System, hosts: &[&str]) -> Result<Self> {
        let mut lines = String::new();
        for (number, host) in hosts.iter().enumerate() {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            writeln!(lines, "[hosts.{host}]\naddress = \"127.0.0.1:{port}\"")?;
            if number > 0 {
                writeln!(lines, "data = \"{host}\"\nlisten = [\"127.0.0.1:0\"]")?;
            }
        }
        let first = hosts.first().copied().unwrap_or_default();
        let system = system.lines(&format!("{lines}[placement]\ndefault = \"{first}\""));
        let manifest = system.write()?;
        certificates(&manifest, first, hosts)?;
        Ok(Self { system, manifest })
    }
}

/// Makes an authority and certificates for these hosts, as `host`.
///
/// # Errors
/// When one is not made.
pub fn certificates(manifest: &Path, host: &str, hosts: &[&str]) -> Result<()> {
    let each = hosts.iter().map(|name| vec!["cert", "host", name]);
    for arguments in std::iter::once(vec!["cert", "authority"]).chain(each) {
        let made = seam(manifest, &[&["--as", host], &arguments[..]].concat())?;
        ensure!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(())
}
