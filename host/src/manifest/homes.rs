//! From the hosts and the contexts of a manifest to the home of each context, and the manifest as one of its hosts runs
//! it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;
use sha2::{Digest as _, Sha256};

use super::model::{Context, Manifest};
use super::placement::{Home, HostName, PlacedHost, Placement};

/// Where `contexts` live. `default` is the host of those that name none. A context whose host is not there has no home,
/// and is reported later.
pub fn placement(hosts: Vec<PlacedHost>, default: Option<&HostName>, contexts: &[Context]) -> Placement {
    let only = hosts.first().filter(|_| hosts.len() == 1).map(|host| &host.name);
    let default = default.or(only);
    let home = |context: &Context| {
        let host = match &context.at {
            Some(home) => home.host()?,
            None => default?,
        };
        let known = hosts.iter().find(|known| known.name == *host)?;
        Some((context.settings.name.clone(), known.name.clone()))
    };
    let homes: BTreeMap<_, _> = entries(contexts).filter_map(home).collect();
    let broker_of = |context: &Context| context.at.as_ref().and_then(Home::broker).cloned();
    let copied = entries(contexts).filter(|context| broker_of(context).is_some());
    let copied = copied.map(|context| context.settings.name.clone()).collect();
    let broker = entries(contexts).find_map(broker_of);
    let digest = Sha256::digest(agreed(&hosts, &homes, contexts)).into();
    Placement { this: None, hosts, placed: homes.clone(), homes, broker, copied, digest }
}

fn entries(contexts: &[Context]) -> impl Iterator<Item = &Context> {
    contexts.iter().filter(|context| context.settings.name.variant().is_none())
}

/// The text of the digest. Its order is that of the names, not that of the file.
fn agreed(hosts: &[PlacedHost], homes: &BTreeMap<ContextName, HostName>, contexts: &[Context]) -> String {
    let mut text = "placement 1\n".to_owned();
    // Writing to a string does not fail.
    let mut line = |words: &[&str]| writeln!(text, "{}", words.join(" ")).unwrap_or_default();
    let mut hosts: Vec<&PlacedHost> = hosts.iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.iter().for_each(|host| line(&["host", host.name.as_str(), &host.address]));
    let mut contexts: Vec<&Context> = entries(contexts).collect();
    contexts.sort_by(|a, b| a.settings.name.cmp(&b.settings.name));
    for entry in contexts {
        let context = &entry.settings;
        // Which hosts have a copy need not be agreed on: one more joins without the others.
        match entry.at.as_ref().and_then(Home::broker) {
            Some(broker) => line(&["context", context.name.as_str(), "behind", &broker.address]),
            None => {
                line(&["context", context.name.as_str(), homes.get(&context.name).map_or("-", HostName::as_str)]);
            }
        }
        sorted(context.imports.iter().map(String::as_str)).into_iter().for_each(|import| line(&["imports", import]));
        for publication in &context.publishes {
            let or_none = |key: &Option<String>| key.clone().unwrap_or_else(|| "-".to_owned());
            line(&["publishes", &publication.interface, &or_none(&publication.key), &or_none(&publication.due)]);
        }
        if let Some(standby) = entry.standby.as_ref().and_then(|standby| standby.host.as_ref()) {
            line(&["standby", standby.as_str()]);
        }
        let subscribes = context.subscribes.iter().map(|subscription| subscription.interface.as_str());
        sorted(subscribes).into_iter().for_each(|interface| line(&["subscribes", interface]));
        let two_phase = context.two_phase.iter().map(ContextName::as_str);
        sorted(two_phase).into_iter().for_each(|participant| line(&["two_phase", participant]));
    }
    text
}

fn sorted<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

/// Why a manifest cannot be that of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHost {
    #[error("`{file}` names no hosts, so there is no host `{name}`")]
    None { name: String, file: String },
    #[error("there is no host `{name}`")]
    Unknown { name: String, known: Vec<String> },
    #[error("`{file}` names several hosts, and it is not said which of them is meant")]
    Unsaid { file: String, known: Vec<String> },
}

impl NoHost {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::None { .. } => "leave out `--as`, or add `[hosts.NAME]` to the manifest".to_owned(),
            Self::Unknown { name, known } => did_you_mean::hint(name, known.iter().map(String::as_str)),
            Self::Unsaid { known, .. } => {
                let each: Vec<String> = known.iter().map(|name| format!("`--as {name}`")).collect();
                format!("add {}; or `--together`, for all contexts in one process", each.join(" or "))
            }
        }
    }
}

impl Manifest {
    /// The manifest as the host `name` runs it: with its folders and addresses, and with the contexts of the other
    /// hosts marked.
    ///
    /// # Errors
    /// When it names no such host.
    pub fn on(&self, name: &str) -> Result<Self, NoHost> {
        let file = self.path.display().to_string();
        let Some(host) = self.placement.host(name).cloned() else {
            let name = name.to_owned();
            return Err(match self.placement.hosts.is_empty() {
                true => NoHost::None { name, file },
                false => NoHost::Unknown { name, known: self.placement.names().map(ToOwned::to_owned).collect() },
            });
        };
        let mut manifest = self.clone();
        manifest.placement.this = Some(host.name);
        (manifest.host.listen, manifest.host.data) = (host.listen, host.data);
        for context in &mut manifest.contexts {
            let settings = &mut context.settings;
            settings.at = match manifest.placement.lives_here(&settings.name) {
                true => None,
                false => manifest.placement.home_name(&settings.name).map(ToOwned::to_owned),
            };
        }
        Ok(manifest)
    }

    /// The same manifest with `context` on `host`, to which it has moved under this token, as the host `this` runs it.
    /// A host or a context that is not in the manifest any more changes nothing.
    #[must_use]
    pub fn moved(mut self, context: &ContextName, host: &str, token: u64, this: &HostName) -> Self {
        let known = self.placement.host(host).map(|host| host.name.clone());
        let Some(home) = known.filter(|_| self.placement.homes.contains_key(context)) else { return self };
        for entry in &mut self.contexts {
            let settings = &mut entry.settings;
            if settings.name.variant().map_or(settings.name.as_str(), |(main, _)| main) == context.as_str() {
                settings.at = (home != *this).then(|| home.to_string());
                settings.token = token;
            }
        }
        self.placement.homes.insert(context.clone(), home);
        self
    }

    /// The same manifest with all contexts in one process: for what looks at the whole system.
    #[must_use]
    pub fn together(&self) -> Self {
        let mut manifest = self.clone();
        manifest.placement.this = None;
        manifest.contexts.iter_mut().for_each(|context| context.settings.at = None);
        manifest
    }

    /// Which host is meant, if nothing says so: none in a manifest without hosts.
    ///
    /// # Errors
    /// When the manifest has hosts.
    pub fn of_no_host(self) -> Result<Self, NoHost> {
        match self.placement.hosts.is_empty() {
            true => Ok(self),
            false => Err(NoHost::Unsaid {
                file: self.path.display().to_string(),
                known: self.placement.names().map(ToOwned::to_owned).collect(),
            }),
        }
    }

    /// The contexts and variants that live in this process.
    pub fn here(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter().filter(|context| context.settings.at.is_none())
    }
}
