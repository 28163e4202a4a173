//! Standbys that cannot work, with the place and the remedy.

use seam_store::ids::ContextName;

use super::model::{Context, Manifest};
use super::parse::Parsed;
use super::table::Document;

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
        (
            !context.settings.two_phase.is_empty() || of_others(),
            "takes part in transactions over several files, whose promises lie on the disk of its host alone",
        ),
    ];
    has.into_iter().find(|(has, _)| *has).map(|(_, what)| what)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::HostName;

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
