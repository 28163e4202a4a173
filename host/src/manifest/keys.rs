//! Keys that an entry and its variants share: the component and its build, the store, what may be used, the bounds.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seam_runtime::did_you_mean::nearest;
use seam_runtime::settings::ContextLimits;
use seam_store::ids::ContextName;

use super::model::{Build, Places};
use super::problem::Place;
use super::table::{At, Table};
use super::{KeySource, Sealed, StoreGrant};
use crate::limits;

/// An address to listen on, as an example.
const ADDRESS: &str = "127.0.0.1:8080";

/// The place of an entry and of those of `keys` that it has.
pub fn places(table: &Table<'_, '_>, entry: Place, keys: &[&str]) -> Places {
    let there = keys.iter().filter(|key| table.has(key));
    Places { entry, parts: there.map(|key| ((*key).to_owned(), table.place_of(key))).collect() }
}

/// `component` and `build`. Without `component`, a crate is built into `target/components`.
pub fn component(table: &Table<'_, '_>, entry: Place, folder: &Path) -> (Option<PathBuf>, Option<Build>) {
    let component = table.file("component", "target/components/catalog.wasm").map(|c| folder.join(c.value));
    let build = build(table, folder);
    let name = table.name();
    let component = match (component, &build) {
        (Some(component), _) => Some(component),
        (None, Some(Build::Cargo { package })) => Some(folder.join(format!("target/components/{package}.wasm"))),
        (None, Some(Build::Command { .. })) => {
            let message = format!("`{name}` has a build command but no `component`");
            table.document.report(entry, message, "name the file that the command writes: `component = \"FILE.wasm\"`");
            None
        }
        (None, None) => {
            // A wrong `build` has been reported already.
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
                let message = format!("`{}` has both `cargo` and `sources`", context.path("build"));
                table.document.report(first.place, message, "remove `sources`: cargo knows a crate's files");
            }
            Some(Build::Cargo { package: package.value })
        }
        (None, Some(command)) => {
            if sources.is_empty() && !table.has("sources") {
                let remedy = "list the files and folders that the component depends on: `sources = [\"src\"]`";
                report(format!("`{}` has a command but no `sources`", context.path("build")), remedy);
            }
            let sources = sources.into_iter().map(|source| folder.join(source.value)).collect();
            Some(Build::Command { command: command.value, sources })
        }
        (None, None) => {
            if !table.has("cargo") && !table.has("command") {
                let remedy = "write `{ cargo = \"PACKAGE\" }` or `{ command = \"...\", sources = [\"...\"] }`";
                report(format!("`{}` has neither `cargo` nor `command`", context.path("build")), remedy);
            }
            None
        }
    };
    table.finish();
    built
}

pub fn store(context: &Table<'_, '_>, folder: &Path) -> Option<StoreGrant> {
    let Some(table) = context.switch_or_table("store")? else {
        return Some(StoreGrant::plain(limits::STORE_MB));
    };
    let max_mb = table.integer("max_mb", 1..=limits::STORE_MB_MAX, limits::STORE_MB);
    let sealed = sealed(&table);
    let encrypted = table.encrypted("encrypted");
    let file = table.file("key_file", "secrets/catalog.key");
    let env = table.string("key_env", "CATALOG_KEY");
    let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
    let name = context.path("store");
    let key = match (encrypted, file, env) {
        (true, Some(_), Some(env)) => {
            report(env.place, format!("`{name}` has both `key_file` and `key_env`"), "keep one of the two");
            None
        }
        (true, Some(file), None) => Some(KeySource::File(existing_file(&table, "key_file", file, folder))),
        (true, None, Some(env)) => {
            if !env.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let message = format!("`{}` is not a valid name of an environment variable", env.value);
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
    table.finish();
    Some(StoreGrant { encrypted, key, max_mb, sealed })
}

/// The tables whose rows are sealed.
fn sealed(store: &Table<'_, '_>) -> Option<Sealed> {
    let mut tables: Vec<String> = Vec::new();
    for table in store.strings("sealed", "entries") {
        let report = |message: String, remedy| store.document.report(table.place, message, remedy);
        let name = table.value.to_ascii_lowercase();
        if name.is_empty() || name.starts_with("seam_") || name.starts_with("sqlite_") {
            report(format!("`{}` is no table of a context", table.value), "name tables that its migrations make");
        } else if tables.contains(&table.value) {
            report(format!("`{}` stands there twice", table.value), "keep one of them");
        } else {
            tables.push(table.value);
        }
    }
    (!tables.is_empty()).then_some(Sealed { tables, passing: false })
}

pub fn capabilities(context: &Table<'_, '_>) -> Vec<String> {
    const OFFERED: [&str; 4] = ["attempts", "clocks", "random", "wasi"];
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
                format!("`{name}` cannot be granted to a context"),
                "keep data in the store and settings in `config`; `wasi` gives an empty world to link against"
                    .to_owned(),
            ),
            other => {
                let near = nearest(other, OFFERED).map(|near| format!("did you mean `{near}`? "));
                let remedy = format!("{}known: {}", near.unwrap_or_default(), OFFERED.join(", "));
                (format!("`{other}` is not a capability"), remedy)
            }
        };
        context.document.report(capability.place, message, remedy);
    }
    granted
}

pub fn outgoing(context: &Table<'_, '_>) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for entry in context.strings("outgoing", "api.example.org:443") {
        if host_and_port(&entry.value).is_none() {
            let message = format!("`{}` is not a host with a port", entry.value);
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

/// What a host listens on for clients, if it is said.
pub fn listen(table: &Table<'_, '_>) -> Option<Vec<SocketAddr>> {
    let listed = table.strings("listen", ADDRESS);
    if !table.has("listen") {
        return None;
    }
    let mut listen = Vec::new();
    for address in listed {
        match address.value.parse::<SocketAddr>() {
            Ok(parsed) if parsed.port() != 0 && listen.contains(&parsed) => {
                let message = format!("`{parsed}` is listed twice");
                table.document.report(address.place, message, "list each address once");
            }
            Ok(parsed) => listen.push(parsed),
            Err(_) => {
                let message = format!("`{}` is not an address to listen on", address.value);
                let remedy = format!("write an IP address and a port: `{ADDRESS}`, `[::1]:8080`");
                table.document.report(address.place, message, remedy);
            }
        }
    }
    Some(listen)
}

/// The parts of `host:port`. The host is a name or an address, one of IPv6 in brackets.
pub fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let named = !host.is_empty() && host.chars().all(name);
    let is_host = named || address.is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok());
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host.then_some((host, port))
}

/// `inherited` gives the values of missing keys; without it, they have their defaults.
pub fn context_limits(table: Option<Table<'_, '_>>, inherited: Option<&ContextLimits>) -> ContextLimits {
    let mut found = inherited.cloned().unwrap_or(ContextLimits {
        instance_memory_mb: limits::INSTANCE_MEMORY_MB,
        context_memory_mb: limits::CONTEXT_MEMORY_MB,
        concurrency: limits::CONTEXT_CONCURRENCY,
        queue: limits::CONTEXT_QUEUE,
        per_callee: None,
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
    if table.has("per_callee") {
        found.per_callee = Some(small("per_callee", 1, limits::CONTEXT_CONCURRENCY_MAX, found.per_callee()));
    }
    found.timeout = timeout(&table, u64::try_from(found.timeout.as_millis()).unwrap_or(limits::CALL_TIMEOUT_MS));
    found.log_kb_per_s = table.integer("log_kb_per_s", 1..=limits::LOG_KB_PER_S_MAX, found.log_kb_per_s);
    if found.context_memory_mb < found.instance_memory_mb {
        let message = format!(
            "`{}` ({}) is less than `instance_memory_mb` ({})",
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

pub fn existing_file(table: &Table<'_, '_>, key: &str, file: At<PathBuf>, folder: &Path) -> PathBuf {
    let path = folder.join(&file.value);
    if !path.is_file() {
        let message = format!("`{}` names `{}`, which is not a file", table.path(key), path.display());
        table.document.report(
            file.place,
            message,
            "create it, or correct the path (relative to the manifest's folder)",
        );
    }
    path
}

/// The value of `context`, if it is a valid name. Whether the context exists is checked later.
pub fn context_name(table: &Table<'_, '_>) -> Option<At<ContextName>> {
    let context = table.string("context", "front-desk");
    if !table.has("context") {
        let message = format!("`{}` is missing", table.path("context"));
        table.document.report(table.place, message, "add `context = \"NAME\"`");
    }
    let context = context?;
    let name = ContextName::new(&context.value);
    if name.is_none() {
        let message = format!("`{}` is not a valid context name", context.value);
        table.document.report(context.place, message, "write the NAME of a `[context.NAME]`");
    }
    Some(At { value: name?, place: context.place })
}

pub fn timeout(table: &Table<'_, '_>, default_ms: u64) -> Duration {
    Duration::from_millis(table.integer("timeout_ms", 1..=limits::CALL_TIMEOUT_MS_MAX, default_ms))
}

/// `namespace:package/interface`, with or without `@version`.
pub fn names_interface(text: &str) -> bool {
    let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
    let words = path.split_once(':').and_then(|(namespace, rest)| Some((namespace, rest.split_once('/')?)));
    let kebab = |word: &str| ContextName::new(&word.to_ascii_lowercase()).is_some();
    words.is_some_and(|(namespace, (package, interface))| [namespace, package, interface].into_iter().all(kebab))
        && version.is_none_or(|version| semver::Version::parse(version).is_ok())
}

/// Reports a text that is not `interface.function`.
pub fn names_function(table: &Table<'_, '_>, call: &At<String>, example: &str) {
    let named = call.value.rsplit_once('.').is_some_and(|(interface, function)| {
        !interface.is_empty() && !function.is_empty() && !call.value.contains(['(', ' '])
    });
    if !named {
        let message = format!("`{}` does not name a function of an interface", call.value);
        table.document.report(call.place, message, format!("write `interface.function`, as in `{example}`"));
    }
}
