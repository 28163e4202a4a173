//! From the text of a manifest to a `Manifest`: every key's type, bounds and form.
//!
//! A wrong value is reported and replaced by its default, so that one run reports all problems.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seam_runtime::settings::Recording;
use seam_store::ids::ContextName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::backup::backup;
use super::context::context;
use super::feeds::{self, FeedPlaces, feed};
use super::homes::placement;
use super::host_name;
use super::hosts;
use super::keys::{context_name, existing_file, listen, names_function, timeout};
use super::model::{
    Context, Host, Http, LogFormat, Manifest, Mount, Ops, ProxyHeader, RoutingKey, Schedule, Seed, Testers, Tls,
};
use super::network::Network;
use super::origins;
use super::problem::Place;
use super::reconcile;
use super::schedule;
use super::table::{Document, Table};
use crate::limits;

/// The manifest, and the places that the checks between its parts need.
pub struct Parsed {
    pub manifest: Manifest,
    /// For each mount, the places of its path and of its context.
    pub mounts: Vec<(Place, Place)>,
    pub feeds: Vec<FeedPlaces>,
    /// For each seed, the place of its context.
    pub seeds: Vec<Place>,
    /// For each schedule, the place of its context.
    pub schedules: Vec<Place>,
    pub data: Place,
    pub hosts: hosts::Found,
    /// Names of contexts whose entries have problems. A mount of one of them is not reported.
    pub broken: Vec<String>,
}

pub fn manifest<'t>(document: &Document<'t>, table: &Spanned<DeTable<'t>>, path: &Path) -> Parsed {
    let root = Table::root(document, table);
    // A path without a folder stays as it was written. Any other becomes absolute: it must not depend on the working
    // folder.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::path::absolute(folder).unwrap_or(folder.to_owned()),
        _ => PathBuf::new(),
    };
    let folder = folder.as_path();
    let host_table = root.table("host");
    let data = host_table.as_ref().map_or(Place::default(), |t| t.place_of("data"));
    let host = host(host_table, folder);
    let http = http(root.table("http"));
    let recording = recording(root.table("recording"));
    let backup = backup(root.table("backup"), folder);
    let mut hosts = hosts::hosts(&root, &host, folder);
    let (mut contexts, mut variants, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for (name, table) in root.named_tables("context") {
        match context(&name, table, folder) {
            Some((context, of_it)) => {
                contexts.push(context);
                variants.extend(of_it);
            }
            None => broken.push(name.value),
        }
    }
    contexts.append(&mut variants);
    let (mounts, mount_places): (Vec<Mount>, Vec<(Place, Place)>) =
        root.tables("mount").into_iter().filter_map(|t| mount(t, &contexts)).unzip();
    let (feeds, feed_places) = root.tables("feed").into_iter().filter_map(|t| feed(t, folder)).unzip();
    let (seeds, seed_places): (Vec<Seed>, Vec<Place>) =
        root.tables("seed").into_iter().filter_map(|t| seed(t, folder)).unzip();
    let (schedules, schedule_places): (Vec<Schedule>, Vec<Place>) =
        root.tables("schedule").into_iter().filter_map(schedule::schedule).unzip();
    let reconciles: Vec<_> = root.tables("reconcile").into_iter().filter_map(reconcile::reconcile).collect();
    root.finish();
    let mut place = |name: &ContextName, part: String, place: Place| {
        let context = contexts.iter_mut().find(|context| context.settings.name == *name);
        if let Some(context) = context {
            context.places.parts.entry(part).or_insert(place);
        }
    };
    for (mount, (_, at)) in mounts.iter().zip(&mount_places) {
        place(&mount.context, Manifest::MOUNT_PART.to_owned(), *at);
    }
    seeds.iter().for_each(|seed| place(&seed.context, Manifest::seed_part(&seed.file), seed.place));
    schedules.iter().for_each(|each| place(&each.context, Manifest::schedule_part(&each.call), each.place));
    for one in &reconciles {
        if let Some(mend) = &one.mend {
            place(mend, Manifest::reconcile_part(&one.total), one.mend_place);
        }
    }
    let default = hosts.default.as_ref().map(|default| &default.value);
    let placement = placement(std::mem::take(&mut hosts.hosts), default, &contexts);
    let path = path.to_owned();
    let mut manifest = Manifest {
        path,
        host,
        placement,
        http,
        recording,
        backup,
        contexts,
        mounts,
        feeds,
        seeds,
        schedules,
        reconciles,
    };
    feeds::complete(&mut manifest);
    Parsed {
        manifest,
        mounts: mount_places,
        feeds: feed_places,
        seeds: seed_places,
        schedules: schedule_places,
        data,
        hosts,
        broken,
    }
}

fn host(table: Option<Table<'_, '_>>, folder: &Path) -> Host {
    let mut host = Host {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
        data: folder.join("run"),
        tls: None,
        ops: Ops::Loopback,
        log: LogFormat::Human,
        log_level: "info".into(),
        log_days: 0,
        log_mb: limits::LOG_MB,
    };
    let days = limits::LOG_DAYS;
    let Some(table) = table else {
        host.log_days = usize::try_from(days).unwrap_or(usize::MAX);
        return host;
    };
    if let Some(addresses) = listen(&table) {
        host.listen = addresses;
    }
    if let Some(data) = table.file("data", "run") {
        host.data = folder.join(data.value);
    }
    if let Some(tls) = table.table("tls") {
        let file = |key, example| {
            let file = tls.file(key, example);
            if !tls.has(key) {
                let message = format!("`{}` is missing", tls.path(key));
                tls.document.report(tls.place, message, format!("add `{key} = \"{example}\"`"));
            }
            file.map(|file| existing_file(&tls, key, file, folder))
        };
        let (certificate, key) = (file("certificate", "tls/cert.pem"), file("key", "tls/key.pem"));
        host.tls = certificate.zip(key).map(|(certificate, key)| Tls { certificate, key });
        tls.finish();
    }
    host.ops = ops(&table, &host.listen);
    host.log = table.choice("log", &[("human", LogFormat::Human), ("json", LogFormat::Json)], LogFormat::Human);
    if let Some(level) = table.string("log_level", "info") {
        if level.value.parse::<tracing_subscriber::filter::Targets>().is_err() {
            let message = format!("`{}` is not a log level", level.value);
            let remedy = "choose `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,guest=debug`";
            table.document.report(level.place, message, remedy);
        }
        host.log_level = level.value;
    }
    host.log_days = usize::try_from(table.integer("log_days", 1..=limits::LOG_DAYS_MAX, days)).unwrap_or(usize::MAX);
    let mb =
        table.integer("log_mb", u64::from(limits::LOG_MB_MIN)..=u64::from(limits::LOG_MB_MAX), limits::LOG_MB.into());
    host.log_mb = u32::try_from(mb).unwrap_or(limits::LOG_MB);
    table.finish();
    host
}

fn ops(table: &Table<'_, '_>, listen: &[SocketAddr]) -> Ops {
    if !matches!(table.value("ops"), Some((DeValue::String(_), _))) {
        return if table.boolean("ops", true) { Ops::Loopback } else { Ops::Off };
    }
    let Some(ops) = table.string("ops", "loopback") else { return Ops::Loopback };
    match (ops.value.as_str(), ops.value.parse::<SocketAddr>()) {
        ("loopback", _) => Ops::Loopback,
        ("public", _) => Ops::Public,
        (_, Ok(address)) if address.port() != 0 && listen.contains(&address) => {
            let message = format!("`{address}` is an address of `listen` as well");
            table.document.report(ops.place, message, "name an address of its own, or write `ops = \"loopback\"`");
            Ops::Loopback
        }
        (_, Ok(address)) => Ops::Address(address),
        (other, Err(_)) => {
            let message = format!("`{}` cannot be `{other}`", table.path("ops"));
            let remedy =
                "choose `\"loopback\"`, `\"public\"`, `false` or an address of its own, such as `\"127.0.0.1:9464\"`";
            table.document.report(ops.place, message, remedy);
            Ops::Loopback
        }
    }
}

fn http(table: Option<Table<'_, '_>>) -> Http {
    let number = |key, max: usize, default: usize| match &table {
        Some(table) => usize::try_from(table.integer(key, 1..=max as u64, default as u64)).unwrap_or(default),
        None => default,
    };
    let time = |key, default: u64| match &table {
        Some(table) => Duration::from_millis(table.integer(key, 1..=limits::HTTP_MS_MAX, default)),
        None => Duration::from_millis(default),
    };
    let http = Http {
        connections: number("connections", limits::HTTP_CONNECTIONS_MAX, limits::HTTP_CONNECTIONS),
        header_time: time("header_ms", limits::HTTP_HEADER_MS),
        header_bytes: number("header_kb", limits::HTTP_HEADER_KB_MAX, limits::HTTP_HEADER_BYTES >> 10) << 10,
        header_count: number("headers", limits::HTTP_HEADERS_MAX, limits::HTTP_HEADERS),
        body_bytes: number("body_kb", limits::HTTP_BODY_KB_MAX, limits::HTTP_BODY_BYTES >> 10) << 10,
        body_time: time("body_ms", limits::HTTP_BODY_MS),
        idle_time: time("idle_ms", limits::HTTP_IDLE_MS),
        drain_time: time("drain_ms", limits::HTTP_DRAIN_MS),
        trusted_proxies: table.as_ref().map(trusted_proxies).unwrap_or_default(),
        proxy_header: table.as_ref().and_then(proxy_header),
        routing_key: table.as_ref().map(routing_key).unwrap_or_default(),
        hsts_days: u32::try_from(match &table {
            Some(table) => table.integer("hsts_days", 0..=limits::HSTS_DAYS_MAX, limits::HSTS_DAYS),
            None => limits::HSTS_DAYS,
        })
        .unwrap_or(0),
        force_variants: table.as_ref().map(testers).unwrap_or_default(),
    };
    if let Some(table) = table {
        table.finish();
    }
    http
}

fn trusted_proxies(table: &Table<'_, '_>) -> Vec<Network> {
    networks(table, "trusted_proxies")
}

/// `true`, `false` or a list of networks.
fn testers(table: &Table<'_, '_>) -> Testers {
    match table.value("force_variants") {
        Some((DeValue::Array(_) | DeValue::String(_), _)) => Testers::Of(networks(table, "force_variants")),
        _ if table.boolean("force_variants", false) => Testers::Everyone,
        _ => Testers::None,
    }
}

fn networks(table: &Table<'_, '_>, key: &'static str) -> Vec<Network> {
    let mut networks = Vec::new();
    for network in table.strings(key, "10.0.0.0/8") {
        match Network::parse(&network.value) {
            Some(parsed) => networks.push(parsed),
            None => {
                let message = format!("`{}` is neither an IP address nor a network of them", network.value);
                table.document.report(network.place, message, "write `127.0.0.1`, `10.0.0.0/8` or `2001:db8::/32`");
            }
        }
    }
    networks
}

fn proxy_header(table: &Table<'_, '_>) -> Option<ProxyHeader> {
    let names = [("x-forwarded-for", Some(ProxyHeader::XForwardedFor)), ("forwarded", Some(ProxyHeader::Forwarded))];
    table.choice("proxy_header", &names, None)
}

/// What tells one visitor from another: the first of these that a request has.
fn routing_key(table: &Table<'_, '_>) -> Vec<RoutingKey> {
    let mut keys = Vec::new();
    for key in table.strings("routing_key", "cookie:session") {
        let token = |name: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_owned())
        };
        let parsed = match key.value.split_once(':') {
            Some(("cookie", name)) => token(name).map(RoutingKey::Cookie),
            Some(("header", name)) => token(name).map(|name| RoutingKey::Header(name.to_ascii_lowercase())),
            _ => None,
        };
        match parsed {
            Some(parsed) => keys.push(parsed),
            None => {
                let message = format!("`{}` is not a routing key", key.value);
                table.document.report(key.place, message, "write `cookie:NAME` or `header:NAME`");
            }
        }
    }
    keys
}

fn recording(table: Option<Table<'_, '_>>) -> Recording {
    let mut recording = Recording::default();
    let Some(table) = table else { return recording };
    let max = u64::from(limits::RECORD_CALLS_PER_S_MAX);
    let per_s = table.integer("calls_per_s", 0..=max, u64::from(recording.per_s));
    recording.per_s = u32::try_from(per_s).unwrap_or(recording.per_s);
    recording.secrets.extend(table.strings("secrets", "pin").into_iter().map(|name| name.value));
    table.finish();
    recording
}

fn mount(table: Table<'_, '_>, contexts: &[Context]) -> Option<(Mount, (Place, Place))> {
    let path = table.string("path", "/shop");
    if !table.has("path") {
        table.document.report(table.place, "`mount.path` is missing", "add `path = \"/\"`");
    }
    let context = context_name(&table);
    let of_context = context.as_ref().and_then(|name| contexts.iter().find(|c| c.settings.name == name.value));
    let default = of_context.map_or(limits::CALL_TIMEOUT_MS, |c| c.settings.limits.timeout.as_millis() as u64);
    let timeout = timeout(&table, default);
    let host = host_name::host(&table);
    let broken_host = table.has("host") && host.is_none();
    let (cookies, headers) = (origins::cookies(&table), origins::headers(&table));
    table.finish();
    let (path, context) = path.zip(context)?;
    let mount = Mount { host, path: path.value, context: context.value, timeout, cookies, headers };
    // One whose host has been reported would seem to be there under every name.
    (!broken_host).then_some((mount, (path.place, context.place)))
}

fn seed(table: Table<'_, '_>, folder: &Path) -> Option<(Seed, Place)> {
    let context = context_name(&table);
    let call = table.string("call", "editing.put-orders");
    let file = table.file("file", "demo/orders.jsonl");
    for (key, example) in [("call", "interface.function"), ("file", "rows.jsonl")] {
        if !table.has(key) {
            let message = format!("`{}` is missing", table.path(key));
            table.document.report(table.place, message, format!("add `{key} = \"{example}\"`"));
        }
    }
    if let Some(call) = &call {
        names_function(&table, call, "editing.put-orders");
    }
    if let Some(file) = &file {
        let kind = file.value.extension().and_then(|e| e.to_str());
        if !matches!(kind, Some("jsonl" | "csv")) {
            let message = format!("`{}` is neither a `.jsonl` nor a `.csv` file", file.value.display());
            table.document.report(file.place, message, "name a file that ends in `.jsonl` or `.csv`");
        }
    }
    let place = table.place;
    table.finish();
    let (context, call, file) = (context?, call?, file?);
    let seed = Seed { context: context.value, call: call.value, file: folder.join(file.value), place };
    Some((seed, context.place))
}
