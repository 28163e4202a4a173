//! `[context.NAME]`: what one context is made of, may import and may use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::parse::{existing_file, timeout};
use super::shared::shared;
use super::table::{At, Table};
use super::{Build, Context, Encryption, KeySource, Limits, Place, Places, StoreGrant, variant};
use crate::ids::ContextName;
use crate::limits;

/// The entry and its variants. `None` when there is not enough of it to check what refers to it.
pub fn context(name: &At<String>, table: Table<'_, '_>, folder: &Path) -> Option<(Context, Vec<Context>)> {
    let document = table.document;
    let valid = ContextName::new(&name.value);
    if valid.is_none() {
        let message = format!("`{}` is no name for a context", name.value);
        let remedy =
            "use lower-case words of letters and digits, joined by single hyphens, at most 64 bytes: `order-desk`";
        document.report(name.place, message, remedy);
    }
    let mut places = places(
        &table,
        name.place,
        &[
            "component",
            "build",
            "imports",
            "store",
            "capabilities",
            "config",
            "shared",
            "outgoing",
            "assets",
            "limits",
            "catch_up",
        ],
    );
    let (component, build) = component(&table, name.place, folder);
    let mut imports: Vec<String> = Vec::new();
    for import in table.strings("imports", "acme:orders/desk") {
        if !names_interface(&import.value) {
            let message = format!("`{}` is no name of an interface", import.value);
            document.report(import.place, message, "write `namespace:package/interface`, with or without `@1.2.3`");
        } else if imports.contains(&import.value) {
            document.report(import.place, format!("`{}` is imported twice", import.value), "list it once");
        } else {
            places.parts.insert(import.value.clone(), import.place);
            imports.push(import.value);
        }
    }
    let store = store(&table, folder);
    let capabilities = capabilities(&table);
    let mut config = match table.table("config") {
        Some(config) => config.texts().into_iter().collect(),
        None => BTreeMap::new(),
    };
    let shared = shared(&table, folder, &mut config);
    let outgoing = outgoing(&table);
    let assets = table.file("assets", "front/assets").map(|assets| {
        let path = folder.join(assets.value);
        if !path.is_dir() {
            let message = format!("`{}` names `{}`, which is no folder", table.path("assets"), path.display());
            document.report(assets.place, message, "create the folder, or correct the path");
        }
        path
    });
    let scenarios = table.file("scenarios", "plugins/orders/tests/scenarios").map(|scenarios| scenarios.value);
    let scenarios = scenarios.unwrap_or_else(|| PathBuf::from(format!("plugins/{}/tests/scenarios", name.value)));
    let scenarios = folder.join(scenarios);
    let limits = context_limits(table.table("limits"), None);
    let (catch_up, clicks) = (variant::catch_up(&table), variant::clicks(&table));
    let (main, variants) = variant::tables(&table);
    table.finish();
    let (name, component) = (valid?, component?);
    let context = Context {
        name,
        variant: main,
        catch_up,
        clicks,
        places,
        component,
        build,
        imports,
        store,
        capabilities,
        config,
        shared,
        outgoing,
        assets,
        scenarios,
        limits,
    };
    let variants = variant::all(&context, variants, folder);
    Some((context, variants))
}

/// Where an entry and those of its `keys` that it has stand.
pub(super) fn places(table: &Table<'_, '_>, entry: Place, keys: &[&str]) -> Places {
    let there = keys.iter().filter(|key| table.has(key));
    Places { entry, parts: there.map(|key| ((*key).to_owned(), table.place_of(key))).collect() }
}

/// `component` and `build`: the file is where the entry says, or where a crate's component goes.
pub(super) fn component(table: &Table<'_, '_>, entry: Place, folder: &Path) -> (Option<PathBuf>, Option<Build>) {
    let component = table.file("component", "target/components/catalog.wasm").map(|c| folder.join(c.value));
    let build = build(table, folder);
    let name = table.name();
    let component = match (component, &build) {
        (Some(component), _) => Some(component),
        (None, Some(Build::Cargo { package })) => Some(folder.join(format!("target/components/{package}.wasm"))),
        (None, Some(Build::Command { .. })) => {
            let message = format!("`{name}` has a build command but no `component`");
            table.document.report(entry, message, "say which file the command writes: `component = \"FILE.wasm\"`");
            None
        }
        (None, None) => {
            // A `build` that is there but wrong has been reported already.
            if !table.has("component") && !table.has("build") {
                let message = format!("`{name}` has neither `component` nor `build`");
                let remedy = "add `component = \"FILE.wasm\"`, or `build = { cargo = \"PACKAGE\" }`";
                table.document.report(entry, message, remedy);
            }
            None
        }
    };
    (component, build)
}

/// `namespace:package/interface`, with or without `@version`.
fn names_interface(text: &str) -> bool {
    let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
    let words = path.split_once(':').and_then(|(namespace, rest)| Some((namespace, rest.split_once('/')?)));
    let kebab = |word: &str| ContextName::new(&word.to_ascii_lowercase()).is_some();
    words.is_some_and(|(namespace, (package, interface))| [namespace, package, interface].into_iter().all(kebab))
        && version.is_none_or(|version| semver::Version::parse(version).is_ok())
}

fn build(context: &Table<'_, '_>, folder: &Path) -> Option<Build> {
    let table = context.table("build")?;
    let cargo = table.string("cargo", "catalog");
    let command = table.string("command", "make catalog.wasm");
    let sources = table.strings("sources", "src");
    let report = |message: String, remedy: &str| table.document.report(table.place, message, remedy);
    let built = match (cargo, command) {
        (Some(_), Some(_)) => {
            report(format!("`{}` has both `cargo` and `command`", context.path("build")), "keep one of the two");
            None
        }
        (Some(package), None) => {
            if let Some(first) = sources.first() {
                let message = format!("`{}` has `sources` beside `cargo`", context.path("build"));
                table.document.report(first.place, message, "remove `sources`: cargo knows a crate's files");
            }
            Some(Build::Cargo { package: package.value })
        }
        (None, Some(command)) => {
            if sources.is_empty() && !table.has("sources") {
                let remedy = "list the files and folders it depends on: `sources = [\"src\"]`";
                report(format!("`{}` has a command but no `sources`", context.path("build")), remedy);
            }
            let sources = sources.into_iter().map(|source| folder.join(source.value)).collect();
            Some(Build::Command { command: command.value, sources })
        }
        (None, None) => {
            if !table.has("cargo") && !table.has("command") {
                let remedy = "write `{ cargo = \"PACKAGE\" }` or `{ command = \"...\", sources = [\"...\"] }`";
                report(format!("`{}` says nothing to build", context.path("build")), remedy);
            }
            None
        }
    };
    table.finish();
    built
}

pub(super) fn store(context: &Table<'_, '_>, folder: &Path) -> Option<StoreGrant> {
    let Some(table) = context.switch_or_table("store")? else {
        return Some(StoreGrant { encryption: Encryption::Off, key: None, max_mb: limits::STORE_MB });
    };
    let max_mb = table.integer("max_mb", 1..=limits::STORE_MB_MAX, limits::STORE_MB);
    let encryption = table.encryption("encrypted");
    let encrypted = encryption != Encryption::Off;
    let file = table.file("key_file", "secrets/catalog.key");
    let env = table.string("key_env", "CATALOG_KEY");
    let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
    let name = context.path("store");
    let key = match (encrypted, file, env) {
        (true, Some(_), Some(env)) => {
            report(env.place, format!("`{name}` has two keys"), "keep `key_file` or `key_env`");
            None
        }
        (true, Some(file), None) => Some(KeySource::File(existing_file(&table, "key_file", file, folder))),
        (true, None, Some(env)) => {
            if !env.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let message = format!("`{}` is no name of an environment variable", env.value);
                report(env.place, message, "write the variable's name, not the key itself");
            }
            Some(KeySource::Environment(env.value))
        }
        (_, None, None) => None,
        (false, file, env) => {
            let place = file.map(|f| f.place).or(env.map(|e| e.place)).unwrap_or(table.place);
            report(
                place,
                format!("`{name}` has a key but is not encrypted"),
                "add `encrypted = true`, or remove the key",
            );
            None
        }
    };
    if encryption == Encryption::On && !cfg!(feature = "sqlcipher") {
        let remedy = "build the host with `--features sqlcipher`, or write `encrypted = \"if-possible\"`";
        report(
            table.place_of("encrypted"),
            format!("`{name}` is encrypted, which this host was built without"),
            remedy,
        );
    }
    table.finish();
    Some(StoreGrant { encryption, key, max_mb })
}

pub(super) fn capabilities(context: &Table<'_, '_>) -> Vec<String> {
    const OFFERED: [&str; 3] = ["clocks", "random", "wasi"];
    let mut granted: Vec<String> = Vec::new();
    for capability in context.strings("capabilities", "clocks") {
        let name = capability.value;
        let (message, remedy) = match name.as_str() {
            _ if granted.contains(&name) => (format!("`{name}` is granted twice"), "list it once".to_owned()),
            known if OFFERED.contains(&known) => {
                granted.push(name);
                continue;
            }
            "logging" | "config" => {
                (format!("`{name}` is not a capability: every context has it"), "leave it out".to_owned())
            }
            "store" => (format!("`{name}` is not a capability"), "write `store = true`".to_owned()),
            "http" | "outgoing" | "network" => {
                (format!("`{name}` is not a capability"), "write `outgoing = [\"host:443\"]`".to_owned())
            }
            "filesystem" | "files" | "sockets" | "environment" | "env" => (
                format!("no context can be given `{name}`"),
                "keep data in the store, settings in `config`; `wasi` gives an empty world to link against".to_owned(),
            ),
            other => {
                let near = super::nearest(other, OFFERED).map(|near| format!("did you mean `{near}`? "));
                let remedy = format!("{}known: {}", near.unwrap_or_default(), OFFERED.join(", "));
                (format!("`{other}` is no capability"), remedy)
            }
        };
        context.document.report(capability.place, message, remedy);
    }
    granted
}

pub(super) fn outgoing(context: &Table<'_, '_>) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for entry in context.strings("outgoing", "api.example.org:443") {
        let host_port = entry.value.rsplit_once(':').filter(|(host, port)| {
            let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
            let named = !host.is_empty() && host.chars().all(name);
            (named || address.is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok()))
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if host_port.is_none() {
            let message = format!("`{}` is no host with a port", entry.value);
            context.document.report(
                entry.place,
                message,
                "write `api.example.org:443`: one host, no scheme, no path, no *",
            );
        } else if hosts.contains(&entry.value.to_ascii_lowercase()) {
            context.document.report(entry.place, format!("`{}` is granted twice", entry.value), "list it once");
        } else {
            hosts.push(entry.value.to_ascii_lowercase());
        }
    }
    hosts
}

/// What `inherited` does not say has its default.
pub(super) fn context_limits(table: Option<Table<'_, '_>>, inherited: Option<&Limits>) -> Limits {
    let mut found = inherited.cloned().unwrap_or(Limits {
        instance_memory_mb: limits::INSTANCE_MEMORY_MB,
        context_memory_mb: limits::CONTEXT_MEMORY_MB,
        concurrency: limits::CONTEXT_CONCURRENCY,
        queue: limits::CONTEXT_QUEUE,
        timeout: Duration::from_millis(limits::CALL_TIMEOUT_MS),
        log_kb_per_s: limits::LOG_KB_PER_S,
    });
    let Some(table) = table else { return found };
    let small = |key, least: u32, max: u32, default: u32| {
        u32::try_from(table.integer(key, u64::from(least)..=u64::from(max), u64::from(default))).unwrap_or(default)
    };
    found.instance_memory_mb =
        table.integer("instance_memory_mb", 1..=limits::INSTANCE_MEMORY_MB_MAX, found.instance_memory_mb);
    found.context_memory_mb =
        table.integer("context_memory_mb", 1..=limits::CONTEXT_MEMORY_MB_MAX, found.context_memory_mb);
    found.concurrency = small("concurrency", 1, limits::CONTEXT_CONCURRENCY_MAX, found.concurrency);
    found.queue = small("queue", 0, limits::CONTEXT_QUEUE_MAX, found.queue);
    found.timeout = timeout(&table, u64::try_from(found.timeout.as_millis()).unwrap_or(limits::CALL_TIMEOUT_MS));
    found.log_kb_per_s = table.integer("log_kb_per_s", 1..=limits::LOG_KB_PER_S_MAX, found.log_kb_per_s);
    if found.context_memory_mb < found.instance_memory_mb {
        let message = format!(
            "`{}` ({}) is less than one instance may take ({})",
            table.path("context_memory_mb"),
            found.context_memory_mb,
            found.instance_memory_mb
        );
        let place = if table.has("context_memory_mb") { "context_memory_mb" } else { "instance_memory_mb" };
        table.document.report(
            table.place_of(place),
            message,
            "raise `context_memory_mb` or lower `instance_memory_mb`",
        );
    }
    table.finish();
    found
}
