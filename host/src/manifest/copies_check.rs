//! What is wrong with contexts that have copies behind a broker, and with the hosts that run them.
//!
//! A copy has no file of its own that another copy would have to know: either none, or one that holds nothing but what
//! it learns from events.

use seam_runtime::did_you_mean;
use seam_runtime::settings::ContextSettings;
use seam_store::ids::{ContextName, interface_path};

use super::hosts::copy_part;
use super::model::{Context, Manifest, Places};
use super::parse::Parsed;
use super::placement::{Broker, Home, PlacedHost, Placement};
use super::problem::Place;
use super::table::Document;
use super::two_phase::part;

pub fn check(document: &Document<'_>, parsed: &Parsed) {
    let manifest = &parsed.manifest;
    let hosts: Vec<(&PlacedHost, &Places)> = manifest.placement.hosts.iter().zip(&parsed.hosts.places).collect();
    copies(document, parsed, &hosts);
    let Some(broker) = &manifest.placement.broker else { return };
    for context in manifest.entries() {
        let Some(at) = context.at.as_ref().and_then(Home::broker) else { continue };
        let (name, place) = (&context.settings.name, context.places.of("at"));
        if at != broker {
            let message =
                format!("`{name}` is behind the broker {}, and others are behind {}", at.address, broker.address);
            document.report(place, message, "let a system have one broker; several servers of it may have one name");
        }
        if hosts.is_empty() && parsed.hosts.broken.is_empty() {
            let message = format!("`{name}` is behind a broker, and there are no hosts");
            document.report(place, message, format!("add `[hosts.NAME]` with `copies = [\"{name}\"]`"));
        } else if manifest.placement.hosts_of_copies(name).next().is_none() && parsed.hosts.broken.is_empty() {
            let message = format!("`{name}` is behind a broker, and no host runs a copy of it");
            document.report(place, message, format!("add `copies = [\"{name}\"]` to the hosts that are to run it"));
        }
        file(document, manifest, context);
        by_itself(document, manifest, context);
    }
    if let Some((host, places)) = hosts.iter().find(|(host, _)| host.name.as_str() == Broker::NAME) {
        let message = format!("a host is called `{}`, which is the name of the broker in its certificate", host.name);
        document.report(places.entry, message, "give the host another name");
    }
}

/// `copies` of the hosts.
fn copies(document: &Document<'_>, parsed: &Parsed, hosts: &[(&PlacedHost, &Places)]) {
    let placement: &Placement = &parsed.manifest.placement;
    for (host, places) in hosts {
        for copy in &host.copies {
            let place = places.of(&copy_part(copy));
            let is_broken = parsed.broken.iter().any(|broken| broken == copy.as_str());
            let Some(context) = parsed.manifest.context(copy.as_str()) else {
                if !is_broken {
                    let known = parsed.manifest.entries().map(|context| context.settings.name.as_str());
                    let remedy = did_you_mean::hint(copy.as_str(), known);
                    document.report(place, format!("there is no context `{copy}`"), remedy);
                }
                continue;
            };
            // An `at` that cannot be read has been reported.
            let has_at = context.places.parts.contains_key("at");
            if context.at.is_some() && context.at.as_ref().and_then(Home::broker).is_none() || !has_at {
                let home = placement.home_name(copy).unwrap_or("one");
                let message = format!("`{copy}` lives on host `{home}`: host `{}` cannot have a copy", host.name);
                let remedy = format!("write `at = \"nats://HOST:PORT\"` in [context.{copy}], or take it out here");
                document.report(place, message, remedy);
            }
        }
    }
}

/// A file is of one host alone, unless each copy can learn all of it.
fn file(document: &Document<'_>, manifest: &Manifest, context: &Context) {
    let ContextSettings { name, store, subscribes, publishes, two_phase, .. } = &context.settings;
    let one_host = format!("let `{name}` live on one host: `at = \"NAME\"` in [context.{name}]");
    if let Some(publication) = publishes.first() {
        let message = format!("`{name}` has copies, and publishes `{}` from a file of its own", publication.interface);
        document.report(context.places.of(&publication.interface), message, one_host.clone());
    }
    if let Some(other) = two_phase.first() {
        let message = format!("`{name}` has copies, and begins transactions with `{other}`");
        document.report(context.places.of(&part(other)), message, one_host.clone());
    }
    for begins in manifest.entries().filter(|begins| begins.settings.two_phase.contains(name)) {
        let message = format!("`{name}` has copies, and takes part in transactions of `{}`", begins.settings.name);
        document.report(
            begins.places.of(&part(name)),
            message,
            format!("take `{name}` out, or let it live on one host"),
        );
    }
    if store.is_some() && subscribes.is_empty() {
        let message = format!("`{name}` has a store, which one host alone can write, and copies");
        let remedy = format!(
            "{one_host}; or remove `store`; or let it learn all that its file holds from events, which it subscribes to"
        );
        document.report(context.places.of("store"), message, remedy);
    }
    for subscription in subscribes {
        forgotten(document, manifest, context, &subscription.interface);
    }
}

/// A copy that joins later learns from the first event on, so all of them are kept.
fn forgotten(document: &Document<'_>, manifest: &Manifest, context: &Context, interface: &str) {
    let name = &context.settings.name;
    for publisher in manifest.entries() {
        let publications = publisher.settings.publishes.iter();
        let mut forgets = publications
            .filter(|one| interface_path(&one.interface) == interface_path(interface) && one.keep.is_some());
        if let Some(publication) = forgets.next() {
            let publisher = &publisher.settings.name;
            let message = format!(
                "`{name}` has copies, which learn from `{interface}`, and `{publisher}` forgets old events of it"
            );
            let remedy = format!(
                "add `keep = \"forever\"` to `publishes.\"{}\"` of [context.{publisher}]",
                publication.interface
            );
            document.report(context.places.of(interface), message, remedy);
        }
    }
}

/// What each copy would do by itself, and so several times.
fn by_itself(document: &Document<'_>, manifest: &Manifest, context: &Context) {
    let name = &context.settings.name;
    let is_its = |other: &ContextName| other == name;
    let report = |place: Place, what: &str| {
        let message = format!("`{name}` has copies, and {what}");
        document.report(place, message, format!("let `{name}` live on one host: `at = \"NAME\"` in [context.{name}]"));
    };
    for schedule in manifest.schedules.iter().filter(|one| is_its(&one.context)) {
        report(schedule.place, "each of them would be called by time");
    }
    for one in manifest.reconciles.iter().filter(|one| one.mend.as_ref().is_some_and(is_its)) {
        report(one.mend_place, "one context alone mends a total");
    }
}
