//! `seam cert broker`: the certificate and the configuration of the broker behind which contexts have copies.

use std::path::{Path, PathBuf};

use seam_store::ids::ContextName;

use super::error::CommandError;
use super::global::Global;
use crate::manifest::{Broker, Manifest, PlacedHost};
use crate::remote::authority::{self, Host};
use crate::remote::{User, configuration};

/// Makes both in `into`, or in a folder below that of the `authority`. A certificate that is there stays, unless it is
/// to be replaced.
pub fn make(
    global: &Global,
    authority: &Path,
    into: Option<PathBuf>,
    days: u32,
    replace: bool,
) -> Result<Vec<PathBuf>, CommandError> {
    let manifest = global.load()?;
    let Some(broker) = &manifest.placement.broker else {
        return Err(CommandError::message(
            "no context of the manifest is behind a broker",
            "write `at = \"nats://HOST:PORT\"` into the entry of one: docs/copies.md",
        ));
    };
    let folder = into.unwrap_or_else(|| authority.join(Broker::NAME));
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let mut written = Vec::new();
    if replace || !folder.join("certificate.pem").exists() {
        let names = broker.address.rsplit_once(':').map(|(name, _)| name.trim_matches(['[', ']']).to_owned());
        let host =
            Host { name: Broker::NAME.to_owned(), contexts: Vec::new(), names: names.into_iter().collect(), days };
        written.extend(authority::make_host(authority, &folder, &host, replace)?);
    }
    let port = broker.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
    let contexts: Vec<ContextName> = manifest.placement.copied().cloned().collect();
    let users: Vec<User> = manifest.placement.hosts.iter().map(|host| user(&manifest, host)).collect();
    let text = configuration(port, &folder, &contexts, &users);
    written.push(authority::write_configuration(&folder, &text)?);
    Ok(written)
}

/// What the contexts of a host need of the broker.
fn user(manifest: &Manifest, host: &PlacedHost) -> User {
    let lives_there = |context: &ContextName| {
        let home = manifest.placement.host_of(context);
        home.is_some_and(|home| home.name == host.name) || host.copies.contains(context)
    };
    let there = manifest.entries().filter(|context| lives_there(&context.settings.name));
    let imports = there.flat_map(|context| context.settings.imports.iter().cloned()).collect();
    User { host: host.name.to_string(), imports, copies: host.copies.clone() }
}
