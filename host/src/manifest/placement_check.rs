//! What is wrong with the hosts of a manifest and with where its contexts live.

use std::collections::HashMap;
use std::path::PathBuf;

use seam_runtime::did_you_mean;

use super::hosts::Found;
use super::model::{Manifest, Ops, Places};
use super::parse::Parsed;
use super::paths::plain;
use super::placement::{Home, HostName, PlacedHost};
use super::problem::Place;
use super::table::Document;
use crate::limits;

pub fn check(document: &Document<'_>, parsed: &Parsed) {
    let (manifest, found) = (&parsed.manifest, &parsed.hosts);
    let hosts = &manifest.placement.hosts;
    if let Some(one_more) = found.places.get(limits::HOSTS_MAX) {
        let message = format!("the manifest has more than {} hosts", limits::HOSTS_MAX);
        document.report(one_more.entry, message, "make two systems of it");
    }
    homes(document, manifest, found);
    let hosts: Vec<(&PlacedHost, &Places)> = hosts.iter().zip(&found.places).collect();
    addresses(document, manifest, &hosts);
    folders(document, &hosts);
}

/// Contexts whose home is not there, or not known.
fn homes(document: &Document<'_>, manifest: &Manifest, found: &Found) {
    let hosts = &manifest.placement.hosts;
    let known = |name: &HostName| {
        let broken = found.broken.iter().any(|broken| broken == name.as_str());
        broken || hosts.iter().any(|host| host.name == *name)
    };
    let none = hosts.is_empty() && found.broken.is_empty();
    let unknown = |name: &HostName, place: Place| {
        let remedy = match none {
            true => format!("add `[hosts.{name}]` with its `address`"),
            false => did_you_mean::hint(name.as_str(), manifest.placement.names()),
        };
        document.report(place, format!("there is no host `{name}`"), remedy);
    };
    match (&found.default, found.placement) {
        (Some(default), _) if !known(&default.value) => unknown(&default.value, default.place),
        (None, Some(place)) if none => {
            document.report(
                place,
                "`placement` says where contexts live, and there are no hosts",
                "add `[hosts.NAME]`",
            );
        }
        _ => {}
    }
    for context in manifest.entries() {
        match &context.at {
            Some(Home::Host(at)) if !known(at) => unknown(at, context.places.of("at")),
            None if found.default.is_none() && hosts.len() + found.broken.len() > 1 => {
                let name = &context.settings.name;
                let message = format!("`{name}` does not say on which host it lives");
                let example = manifest.placement.names().next().unwrap_or("NAME");
                let remedy = format!(
                    "add `at = \"{example}\"` to [context.{name}], or `[placement]` with `default = \"{example}\"`"
                );
                document.report(context.places.entry, message, remedy);
            }
            _ => {}
        }
    }
}

/// Addresses that two hosts have, or one host twice.
fn addresses(document: &Document<'_>, manifest: &Manifest, hosts: &[(&PlacedHost, &Places)]) {
    for (at, (host, places)) in hosts.iter().enumerate() {
        let others = || hosts.iter().take(at).map(|(other, _)| *other);
        if let Some(other) = others().find(|other| other.address == host.address) {
            let message = format!("`{}` is the address of `{}` and of `{}`", host.address, other.name, host.name);
            document.report(places.of("address"), message, "give each host an address of its own");
            continue;
        }
        let own = host.listen.contains(&host.bind) || manifest.host.ops == Ops::Address(host.bind);
        if own {
            let message = format!("`{}` listens on {} for clients and for other hosts", host.name, host.bind);
            document.report(bind_place(places), message, "choose another port for `bind`, or for `address` without it");
        }
        for other in others().filter(|other| other.machine() == host.machine()) {
            if other.bind == host.bind {
                let message = both(other, host, &format!("listen on {} for other hosts", host.bind));
                document.report(bind_place(places), message, "give each a port of its own");
            }
            let same = host.listen.iter().find(|address| address.port() != 0 && other.listen.contains(address));
            if let Some(same) = same {
                let message = both(other, host, &format!("listen on {same} for clients"));
                let remedy = "give each a `listen` of its own; `listen = []` for one that serves no clients";
                document.report(places.of("listen"), message, remedy);
            }
        }
    }
}

/// Without `bind`, `address` says it.
fn bind_place(places: &Places) -> Place {
    let bind = places.of("bind");
    if bind == places.entry { places.of("address") } else { bind }
}

/// `shop` and `books` are on one machine, and both do `what`.
fn both(one: &PlacedHost, other: &PlacedHost, what: &str) -> String {
    format!("`{}` and `{}` are on one machine, `{}`, and both {what}", one.name, other.name, one.machine())
}

/// Folders that two hosts of one machine have.
fn folders(document: &Document<'_>, hosts: &[(&PlacedHost, &Places)]) {
    let mut seen: HashMap<(&str, PathBuf), &PlacedHost> = HashMap::new();
    for (host, places) in hosts {
        if let Some(first) = seen.insert((host.machine(), plain(&host.data)), host) {
            let message = both(first, host, &format!("keep their files in `{}`", host.data.display()));
            document.report(places.of("data"), message, format!("add `data = \"run/{}\"`", host.name));
        }
    }
}
