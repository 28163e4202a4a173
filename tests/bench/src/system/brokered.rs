//! The same shop on one host, and what the benches call on another one, with a NATS server between them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::placed::free_ports;
use super::{System, files, placed};
use crate::process::Server;
use crate::tools;

/// The host that serves, with all contexts but the copied one.
const FRONT: &str = "front";
/// The host with the one copy.
const COPY: &str = "copy";
const COPIED: &str = "teller";
/// What the server says once hosts may connect.
const READY: &str = "Server is ready";

impl System {
    /// The two hosts and the server between them, from copies of the shop's files; the first one serves.
    pub fn brokered(&self) -> Result<Vec<Server>> {
        let folder = self.folder.join("brokered");
        files::remove(&folder)?;
        files::copy(&self.data_folder(), &folder.join(FRONT))?;
        let manifest = self.folder.with_file_name(format!("{}-brokered.toml", self.albums));
        self.write_manifest(&manifest, "brokered/together")?;
        let [broker, front, copy] = free_ports()?;
        let text = self.brokered_manifest(&std::fs::read_to_string(&manifest)?, broker, [front, copy])?;
        std::fs::write(&manifest, text)?;
        for arguments in
            [&["cert", "authority"][..], &["cert", "broker"], &["cert", "host", FRONT], &["cert", "host", COPY]]
        {
            self.seam_with(&manifest, arguments)?;
        }
        let installed = tools::installed("broker", Path::new("tests"), "broker-requirements.txt")?;
        let mut server = Command::new(installed.join("bin/nats-server"));
        server.arg("-c").arg(folder.join("together/certificates/broker/broker.conf")).args(["-a", "127.0.0.1"]);
        let address = ([127, 0, 0, 1], broker).into();
        let broker = Server::start_at(server, |line| line.contains(READY).then_some(address))?;
        let copy = self.host_as(&manifest, COPY)?;
        Ok(vec![self.host_as(&manifest, FRONT)?, copy, broker])
    }

    fn brokered_manifest(&self, text: &str, broker: u16, [front, copy]: [u16; 2]) -> Result<String> {
        let at = format!("at = \"nats://127.0.0.1:{broker}\"");
        let mut text = placed::with_line(text, COPIED, &at)?;
        let hosts = [(FRONT, front, ""), (COPY, copy, COPIED)];
        let _ = write!(text, "\n[placement]\ndefault = \"{FRONT}\"\n");
        for (host, port, copies) in hosts {
            text.push_str(&self.host_entry("brokered", host, port));
            if !copies.is_empty() {
                let _ = writeln!(text, "copies = [\"{copies}\"]");
            }
        }
        Ok(text)
    }
}
