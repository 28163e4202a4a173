//! Problems between the parts of a manifest: unknown names, paths used twice, secrets in served folders.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use seam_runtime::did_you_mean::nearest;
use seam_store::ids::ContextName;

use super::copies_check;
use super::feed_check;
use super::model::{Ops, TokenSecret, When};
use super::parse::Parsed;
use super::paths::plain;
use super::placement_check;
use super::problem::Place;
use super::reconcile;
use super::table::Document;
use super::{standby_check, two_phase};
use crate::limits;

/// Paths that the host itself answers beside the mounts, unless `ops` is off or has an address of its own.
const OPS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

pub fn check(document: &Document<'_>, parsed: &Parsed) {
    contexts(document, parsed);
    mounts(document, parsed);
    feeds(document, parsed);
    for (seed, place) in parsed.manifest.seeds.iter().zip(&parsed.seeds) {
        known_context(document, parsed, &seed.context, *place);
    }
    for (schedule, place) in parsed.manifest.schedules.iter().zip(&parsed.schedules) {
        known_context(document, parsed, &schedule.context, *place);
    }
    schedules(document, parsed);
    two_phase::check(document, &parsed.manifest.contexts, &parsed.broken);
    reconcile::check(document, &parsed.manifest.reconciles, &parsed.manifest.contexts, &parsed.broken);
    placement_check::check(document, parsed);
    standby_check::check(document, parsed);
    copies_check::check(document, parsed);
    data(document, parsed);
}

fn contexts(document: &Document<'_>, parsed: &Parsed) {
    let contexts = &parsed.manifest.contexts;
    let count = contexts.len() + parsed.broken.len();
    if count == 0 {
        let remedy = "add `[context.NAME]` with `component = \"FILE.wasm\"`";
        document.report(Place::default(), "the manifest has no context", remedy);
    }
    if count > limits::CONTEXTS_MAX {
        let message = format!("the manifest has {count} contexts; a host runs at most {}", limits::CONTEXTS_MAX);
        document.report(Place::default(), message, "split the system into several hosts");
    }
    let mut by_component = HashMap::new();
    for context in contexts {
        let (place, component) = (context.places.of("component"), &context.settings.component);
        let first = *by_component.entry(plain(component)).or_insert(context);
        if first.settings.name != context.settings.name && first.build != context.build {
            let message = format!(
                "`{}` and `{}` build the same file `{}` in different ways",
                first.settings.name,
                context.settings.name,
                component.display()
            );
            document.report(place, message, "give each its own `component`");
        }
    }
}

fn mounts(document: &Document<'_>, parsed: &Parsed) {
    let mut seen: HashMap<(Option<&str>, &str), &ContextName> = HashMap::new();
    let answers_ops = matches!(parsed.manifest.host.ops, Ops::Loopback | Ops::Public);
    for (mount, (path_place, context_place)) in parsed.manifest.mounts.iter().zip(&parsed.mounts) {
        let path = mount.path.as_str();
        if let Some((message, remedy)) = malformed(path) {
            document.report(*path_place, message, remedy);
        } else if answers_ops && OPS.contains(&path) {
            let message = format!("the host itself answers `{path}`");
            document.report(*path_place, message, "choose another path, or set `ops = false` in `[host]`");
        }
        if let Some(first) = seen.insert((mount.host.as_deref(), path), &mount.context) {
            let (address, context) = (mount.address(), &mount.context);
            let message = format!("`{address}` is mounted twice, for `{first}` and for `{context}`");
            document.report(*path_place, message, "give each mount a path of its own");
        }
        known_context(document, parsed, &mount.context, *context_place);
    }
}

/// How far a schedule has come is noted in the context's file, under the schedule's name.
fn schedules(document: &Document<'_>, parsed: &Parsed) {
    let mut seen = HashSet::new();
    for schedule in &parsed.manifest.schedules {
        let name = &schedule.context;
        let context = parsed.manifest.contexts.iter().find(|context| context.settings.name == *name);
        let other = match &schedule.when {
            When::Due(_) => Some("call it with `every_s` instead of `cron`"),
            When::Every(interval) => interval.transaction.then_some("remove `transaction`"),
        };
        if let Some(other) = other.filter(|_| context.is_some_and(|context| context.settings.store.is_none())) {
            let message = format!("`{name}` has no store, and the due times that are done are noted there");
            let remedy = format!("add `store = true` to [context.{name}], or {other}");
            document.report(schedule.place, message, remedy);
        }
        if !seen.insert((name, schedule.name())) {
            let message = format!("`{}` of `{name}` has two schedules with the same times", schedule.call);
            document.report(schedule.place, message, "remove one of the two");
        }
    }
}

fn feeds(document: &Document<'_>, parsed: &Parsed) {
    for (feed, places) in parsed.manifest.feeds.iter().zip(&parsed.feeds) {
        known_context(document, parsed, &feed.context, places.context);
    }
    feed_check::check(parsed, &|place, message, remedy| document.report(place, message, remedy));
}

fn malformed(path: &str) -> Option<(String, String)> {
    let found = |what: &str, remedy: String| Some((format!("`{path}` {what}"), remedy));
    let segments = || path.split('/').skip(1);
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    if !path.starts_with('/') {
        return found("does not start with a slash", format!("write `/{path}`"));
    }
    if path == "/" {
        return None;
    }
    if !path.chars().all(unreserved) {
        return found(
            "contains characters that a mount path may not have",
            "use letters, digits, - . _ ~ and /".into(),
        );
    }
    if path.ends_with('/') {
        return found("ends with a slash", format!("write `{}`", path.trim_end_matches('/')));
    }
    if segments().any(|s| s.is_empty() || s == "." || s == "..") {
        return found("contains an empty segment, `.` or `..`", "write the path as clients request it".into());
    }
    None
}

fn known_context(document: &Document<'_>, parsed: &Parsed, name: &ContextName, place: Place) {
    let entries = parsed.manifest.contexts.iter().filter(|c| c.settings.name.variant().is_none());
    let contexts = entries.map(|c| c.settings.name.as_str());
    let known: Vec<&str> = contexts.chain(parsed.broken.iter().map(String::as_str)).collect();
    if known.contains(&name.as_str()) {
        return;
    }
    let remedy = match nearest(name.as_str(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("add `[context.{name}]`"),
        None => format!("add `[context.{name}]`, or name one of: {}", known.join(", ")),
    };
    document.report(place, format!("there is no context `{name}`"), remedy);
}

/// Databases and keys must not be in a folder that is served.
fn data(document: &Document<'_>, parsed: &Parsed) {
    let data = &parsed.manifest.host.data;
    let hosts = &parsed.manifest.placement.hosts;
    let of_hosts = hosts.iter().zip(&parsed.hosts.places);
    let of_hosts = of_hosts.map(|(host, places)| (&host.data, places.of("data"), format!("`[hosts.{}]`", host.name)));
    let mut seen = HashSet::new();
    for (data, place, of) in std::iter::once((data, parsed.data, "`[host]`".to_owned())).chain(of_hosts) {
        if data.exists() && !data.is_dir() && seen.insert(data) {
            let message = format!("the data folder `{}` is a file", data.display());
            document.report(place, message, format!("name a folder in `data` of {of}; it need not exist yet"));
        }
    }
    for context in &parsed.manifest.contexts {
        let Some(assets) = &context.assets else { continue };
        let place = context.places.of("assets");
        let inside = |folder: &Path| plain(folder).starts_with(plain(assets));
        if inside(data) || hosts.iter().any(|host| inside(&host.data)) {
            let message = format!(
                "the assets of `{}` contain the data folder, so its databases would be served",
                context.settings.name
            );
            document.report(place, message, "keep the assets in a folder of their own");
        }
        if let Some(host) = hosts.iter().find(|host| inside(&host.certificates) && !inside(&host.data)) {
            let message = format!(
                "the assets of `{}` contain the certificates of host `{}`, with its private key",
                context.settings.name, host.name
            );
            document.report(place, message, "keep the certificates outside of every `assets` folder");
        }
        for feed in &parsed.manifest.feeds {
            let inside = |path: &Path| plain(path).starts_with(plain(assets));
            if feed.tokens.iter().any(|token| matches!(&token.secret, TokenSecret::File(path) if inside(path))) {
                let (name, of) = (&context.settings.name, &feed.context);
                let message = format!("the assets of `{name}` contain a token of the feed of `{of}`");
                document.report(place, message, "keep the token outside of every `assets` folder");
            }
        }
        let tls = parsed.manifest.host.tls.as_ref();
        if tls.is_some_and(|tls| plain(&tls.key).starts_with(plain(assets))) {
            let message = format!("the assets of `{}` contain the private key of `[host.tls]`", context.settings.name);
            document.report(place, message, "keep the key outside of every `assets` folder");
        }
    }
}
