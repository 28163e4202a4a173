//! The same shop on several hosts: what the album page asks lives elsewhere, each context on a host of its own.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{System, files};
use crate::process::Server;

/// The host that serves, with all contexts that no other has.
const FRONT: &str = "front";
/// The other hosts, and what lives on each.
const OTHERS: [(&str, &[&str]); 3] =
    [("records", &["catalog", "teller"]), ("stock", &["warehouse"]), ("advice", &["recommendation"])];
/// What does not cross hosts.
const TWO_PHASE: &str = "two_phase = [\"warehouse\", \"finance\"]\n";

impl System {
    /// The hosts, each from copies of the shop's files; the first one serves.
    pub fn placed(&self) -> Result<Vec<Server>> {
        let folder = self.folder.join("placed");
        files::remove(&folder)?;
        let manifest = self.folder.with_file_name(format!("{}-placed.toml", self.albums));
        self.write_manifest(&manifest, "placed/together")?;
        let text = self.placed_manifest(&std::fs::read_to_string(&manifest)?)?;
        std::fs::write(&manifest, text)?;
        let hosts = || OTHERS.iter().map(|(host, _)| *host).chain([FRONT]);
        for host in hosts() {
            files::copy(&self.data_folder(), &folder.join(host))?;
        }
        self.seam_with(&manifest, &["cert", "authority"])?;
        hosts().try_for_each(|host| self.seam_with(&manifest, &["cert", "host", host]))?;
        // The one that calls the others comes last.
        let mut started = hosts().map(|host| self.host_as(&manifest, host)).collect::<Result<Vec<_>>>()?;
        started.reverse();
        Ok(started)
    }

    fn placed_manifest(&self, text: &str) -> Result<String> {
        ensure!(text.contains(TWO_PHASE), "the manifest has no `{}`", TWO_PHASE.trim());
        let mut text = text.replace(TWO_PHASE, "");
        for (host, contexts) in OTHERS {
            for context in contexts {
                text = with_line(&text, context, &format!("at = \"{host}\""))?;
            }
        }
        let _ = write!(text, "\n[placement]\ndefault = \"{FRONT}\"\n");
        let ports: [u16; OTHERS.len() + 1] = free_ports()?;
        for ((host, _), port) in OTHERS.iter().chain([&(FRONT, &[][..])]).zip(ports) {
            text.push_str(&self.host_entry("placed", host, port));
        }
        Ok(text)
    }

    /// A host of the manifest, with its files in this folder.
    pub(super) fn host_entry(&self, folder: &str, host: &str, port: u16) -> String {
        format!(
            "\n[hosts.{host}]\naddress = \"127.0.0.1:{port}\"\nlisten = [\"127.0.0.1:0\"]\ndata = \"{}/{folder}/{host}\"\n",
            self.albums
        )
    }

    pub(super) fn host_as(&self, manifest: &Path, host: &str) -> Result<Server> {
        let mut command = std::process::Command::new(&self.seam);
        command.arg("-f").arg(manifest).args(["up", "--as", host]);
        Server::start(command).with_context(|| format!("host {host}"))
    }
}

/// The manifest with one more line for this context.
pub(super) fn with_line(text: &str, context: &str, line: &str) -> Result<String> {
    let entry = format!("[context.{context}]\n");
    ensure!(text.contains(&entry), "the manifest has no `{}`", entry.trim());
    Ok(text.replace(&entry, &format!("{entry}{line}\n")))
}

/// So many different ports that are free now.
pub(super) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    // Held together, so that no two are the same.
    let mut held = Vec::new();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
