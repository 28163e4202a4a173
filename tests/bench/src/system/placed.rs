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
                let entry = format!("[context.{context}]\n");
                ensure!(text.contains(&entry), "the manifest has no `{}`", entry.trim());
                text = text.replace(&entry, &format!("{entry}at = \"{host}\"\n"));
            }
        }
        let _ = write!(text, "\n[placement]\ndefault = \"{FRONT}\"\n");
        let ports = free_ports(OTHERS.len() + 1)?;
        for ((host, _), port) in OTHERS.iter().chain([&(FRONT, &[][..])]).zip(ports) {
            let _ = write!(
                text,
                "\n[hosts.{host}]\naddress = \"127.0.0.1:{port}\"\nlisten = [\"127.0.0.1:0\"]\ndata = \"{}/placed/{host}\"\n",
                self.albums
            );
        }
        Ok(text)
    }

    fn host_as(&self, manifest: &Path, host: &str) -> Result<Server> {
        let mut command = std::process::Command::new(&self.seam);
        command.arg("-f").arg(manifest).args(["up", "--as", host]);
        Server::start(command).with_context(|| format!("host {host}"))
    }
}

/// So many different ports that are free now.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let bound = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<std::io::Result<Vec<_>>>()?;
    bound.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
