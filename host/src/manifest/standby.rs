//! `standby`, `takeover` and `acknowledge` of a context: which host takes its file over when its own is gone, after how
//! long, and whether a commit waits until the store of backups has it.

use std::time::Duration;

use seam_store::ids::ContextName;

use super::hosts::host_name;
use super::model::{Context, Manifest, Places};
use super::parse::Parsed;
use super::placement::HostName;
use super::table::{Document, Table};
use crate::limits;
use crate::times::duration;

/// What a context asks for beyond its own host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// The host that takes the file over.
    pub host: Option<HostName>,
    /// For how long the lease of the owner is not renewed before it is taken.
    pub takeover: Duration,
    /// Whether a commit is acknowledged only once the store of backups has it.
    pub replicated: bool,
}

/// `None` when the context has none of the keys.
pub(super) fn standby(table: &Table<'_, '_>, places: &mut Places) -> Option<Standby> {
    let host = host_name(table, "standby");
    let takeover = table.string("takeover", "15s");
    let acknowledge = table.string("acknowledge", "replicated");
    let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
    if let Some(host) = &host {
        places.parts.insert("standby".to_owned(), host.place);
    }
    let replicated = acknowledge.as_ref().is_some_and(|text| text.value == "replicated");
    if let Some(text) = &acknowledge {
        places.parts.insert("acknowledge".to_owned(), text.place);
        if !replicated && text.value != "local" {
            let message = format!("`{}` is `{}`", table.path("acknowledge"), text.value);
            report(text.place, message, "write `replicated`, or `local`, which is the default");
        }
    }
    let mut time = Duration::from_millis(limits::STANDBY_TAKEOVER_MS);
    if let Some(text) = &takeover {
        let (least, most) = (limits::STANDBY_TAKEOVER_MS_MIN / 1_000, limits::STANDBY_TAKEOVER_MS_MAX / 1_000);
        match duration(&text.value) {
            _ if !table.has("standby") => {
                let message = format!("`{}` without a `standby`", table.path("takeover"));
                report(text.place, message, "name the host that takes over: `standby = \"HOST\"`, or remove it");
            }
            Some(found) if (least..=most).contains(&found.as_secs()) => time = found,
            _ => {
                let message = format!("`{}` is `{}`", table.path("takeover"), text.value);
                report(text.place, message, &format!("write a time such as `15s`, from {least} to {most} seconds"));
            }
        }
    }
    (host.is_some() || replicated).then(|| Standby { host: host.map(|host| host.value), takeover: time, replicated })
}

impl Manifest {
    /// The contexts that have a standby, each with the two hosts that may own its file: its own by its entry, and the
    /// standby.
    pub fn pairs(&self) -> impl Iterator<Item = (&Context, &Standby, [&HostName; 2])> {
        self.entries().filter_map(|context| {
            let standby = context.standby.as_ref()?;
            Some((context, standby, [self.placed(context)?, standby.host.as_ref()?]))
        })
    }

    /// The two hosts that may own the file of this context, if it has a standby.
    pub fn pair(&self, name: &ContextName) -> Option<[&HostName; 2]> {
        self.pairs().find(|(context, ..)| context.settings.name == *name).map(|(_, _, pair)| pair)
    }

    /// Whether a commit of this context waits for the store of backups.
    pub fn is_replicated(&self, name: &ContextName) -> bool {
        let is_it = |context: &&Context| context.settings.name == *name;
        self.entries().find(is_it).and_then(|context| context.standby.as_ref()).is_some_and(|one| one.replicated)
    }

    /// The host on which the manifest places it, wherever it has moved since.
    fn placed(&self, context: &Context) -> Option<&HostName> {
        self.placement.placed.get(&context.settings.name)
    }
}

/// What does not fit the rest of the manifest.
pub fn check(document: &Document<'_>, parsed: &Parsed) {
    let manifest = &parsed.manifest;
    for context in manifest.entries() {
        let Some(standby) = &context.standby else { continue };
        let name = &context.settings.name;
        let key = if standby.host.is_some() { "standby" } else { "acknowledge" };
        let report = |key, message: String, remedy: String| document.report(context.places.of(key), message, remedy);
        if context.settings.store.is_none() {
            let message = format!("`{name}` has `{key}`, and no file that it could be for");
            report(key, message, format!("remove it, or add `store = true` to [context.{name}]"));
        }
        if manifest.backup.is_none() {
            let message =
                format!("`{name}` has `{key}`, and the manifest has no `[backup]`, by which its file gets there");
            report(key, message, "add `[backup]` with `to`, which all its hosts can reach".to_owned());
        }
        let Some(host) = &standby.host else { continue };
        let broken = parsed.hosts.broken.iter().any(|broken| broken == host.as_str());
        if manifest.placement.host(host.as_str()).is_none() && !broken {
            let message = format!("`context.{name}.standby` is `{host}`, and there is no such host");
            let remedy = match manifest.placement.hosts.is_empty() {
                true => format!("add `[hosts.{host}]` with its `address`"),
                false => seam_runtime::did_you_mean::hint(host.as_str(), manifest.placement.names()),
            };
            report("standby", message, remedy);
        } else if manifest.placed(context) == Some(host) {
            let message = format!("`{name}` lives on host `{host}`, which is its standby, too");
            report("standby", message, "name another host".to_owned());
        }
        if let Some(what) = stays_behind(manifest, context) {
            let message = format!("`{name}` {what}: a standby does not take such a context over");
            report("standby", message, "remove `standby`, or give that part to a context of its own".to_owned());
        }
    }
}

/// What a context has that stays on its host, or that does not cross hosts.
fn stays_behind(manifest: &Manifest, context: &Context) -> Option<&'static str> {
    let name = &context.settings.name;
    let is_its = |other: &ContextName| other.variant().map_or(other.as_str(), |(main, _)| main) == name.as_str();
    let of_others = || manifest.entries().any(|entry| entry.settings.two_phase.contains(name));
    let variants = manifest.contexts.iter().any(|entry| entry.settings.name != *name && is_its(&entry.settings.name));
    let has = [
        (manifest.mounts.iter().any(|mount| is_its(&mount.context)), "serves clients"),
        (manifest.feeds.iter().any(|feed| is_its(&feed.context)), "has a feed"),
        (manifest.schedules.iter().any(|one| is_its(&one.context)), "has schedules"),
        (variants, "has variants"),
        (!context.settings.two_phase.is_empty() || of_others(), "takes part in transactions over several files"),
    ];
    has.into_iter().find(|(has, _)| *has).map(|(_, what)| what)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    const REST: &str = "[hosts.shop]\naddress = \"127.0.0.1:7443\"\ndata = \"a\"\n[hosts.books]\n\
        address = \"127.0.0.1:7444\"\ndata = \"b\"\nlisten = []\n[placement]\ndefault = \"shop\"\n";

    fn read(keys: &str, more: &str) -> Result<Manifest, String> {
        let text = format!("[context.finance]\ncomponent = \"a.wasm\"\n{keys}\n{REST}{more}");
        Manifest::parse(&text, Path::new("seam.toml")).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_context_has_two_hosts_wherever_it_has_moved() {
        let keys = "store = true\nstandby = \"books\"\ntakeover = \"5s\"\nacknowledge = \"replicated\"";
        let manifest = read(keys, "[backup]\nto = \"copies\"").unwrap();
        let finance = ContextName::new("finance").unwrap();
        let pair = |manifest: &Manifest| manifest.pair(&finance).map(|pair| pair.map(ToString::to_string));
        let both = Some(["shop".to_owned(), "books".to_owned()]);
        assert_eq!((pair(&manifest), manifest.is_replicated(&finance)), (both.clone(), true));
        let shop = HostName::new("shop").unwrap();
        assert_eq!(pair(&manifest.on("shop").unwrap().moved(&finance, "books", 2, &shop)), both);
        let (_, standby, _) = manifest.pairs().next().unwrap();
        assert_eq!(standby.takeover.as_secs(), 5);
        assert!(read("store = true", "").unwrap().pairs().next().is_none());
        let other = read("store = true\nstandby = \"books\"", "[backup]\nto = \"copies\"").unwrap();
        assert_ne!(manifest.placement.digest(), read("store = true", "").unwrap().placement.digest());
        assert!(!other.is_replicated(&finance));
    }

    #[test]
    fn what_cannot_work_is_said_with_its_place() {
        let backup = "[backup]\nto = \"copies\"\n";
        let mount = "[[mount]]\npath = \"/\"\ncontext = \"finance\"\n";
        for (keys, more, expect) in [
            ("standby = \"books\"", backup, "seam.toml:3:11: error: `finance` has `standby`, and no file"),
            (
                "store = true\nstandby = \"books\"",
                "",
                "seam.toml:4:11: error: `finance` has `standby`, and the manifest",
            ),
            ("store = true\nacknowledge = \"replicated\"", "", "`finance` has `acknowledge`, and the manifest has no"),
            (
                "store = true\nstandby = \"boks\"",
                backup,
                "`context.finance.standby` is `boks`, and there is no such host",
            ),
            ("store = true\nstandby = \"shop\"", backup, "`finance` lives on host `shop`, which is its standby, too"),
            ("store = true\nstandby = \"books\"\ntakeover = \"1ms\"", backup, "`context.finance.takeover` is `1ms`"),
            ("store = true\ntakeover = \"9s\"", backup, "`context.finance.takeover` without a `standby`"),
            ("store = true\nacknowledge = \"soon\"", backup, "`context.finance.acknowledge` is `soon`"),
            (
                "store = true\nstandby = \"books\"",
                &format!("{backup}{mount}"),
                "`finance` serves clients: a standby does",
            ),
        ] {
            let found = read(keys, more).unwrap_err();
            assert!(found.contains(expect), "{keys}: {found}");
        }
    }
}
