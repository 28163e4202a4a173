//! `[hosts.NAME]`, `[placement]`, and `at` of a context: which hosts there are, and where contexts live.

use std::net::SocketAddr;
use std::path::Path;

use seam_store::ids::ContextName;

use super::keys::{host_and_port, listen, places};
use super::model::{Host, Places};
use super::placement::{Broker, Home, HostName, PlacedHost};
use super::problem::Place;
use super::table::{At, Table};

/// The hosts and the default, as they are written.
#[derive(Default)]
pub struct Found {
    pub hosts: Vec<PlacedHost>,
    /// Of each of the hosts.
    pub places: Vec<Places>,
    /// The host of contexts that name none.
    pub default: Option<At<HostName>>,
    /// `[placement]`
    pub placement: Option<Place>,
    /// Names of hosts whose entries have problems. A context that lives on one of them is not reported.
    pub broken: Vec<String>,
}

/// `host` is `[host]`, whose settings hold where a host has none of its own.
pub fn hosts(root: &Table<'_, '_>, host: &Host, folder: &Path) -> Found {
    let mut found = Found::default();
    for (name, table) in root.named_tables("hosts") {
        let valid = HostName::new(&name.value);
        if valid.is_none() {
            let message = format!("`{}` is not a valid name of a host", name.value);
            let remedy =
                "use lower-case words of letters and digits, joined by single hyphens, at most 64 bytes: `shop`";
            table.document.report(name.place, message, remedy);
        }
        match valid.and_then(|valid| one(valid, name.place, table, host, folder)) {
            Some((host, places)) => {
                found.hosts.push(host);
                found.places.push(places);
            }
            None => found.broken.push(name.value),
        }
    }
    if let Some(table) = root.table("placement") {
        found.placement = Some(table.place);
        found.default = host_name(&table, "default");
        table.finish();
    }
    found
}

fn one(name: HostName, place: Place, table: Table<'_, '_>, host: &Host, folder: &Path) -> Option<(PlacedHost, Places)> {
    let mut places = places(&table, place, &["address", "bind", "listen", "data", "certificates", "copies"]);
    let address = address(&table, place);
    let bind = bind(&table, address.as_ref());
    let listen = listen(&table).unwrap_or_else(|| host.listen.clone());
    let data = table.file("data", "run/books").map_or_else(|| host.data.clone(), |data| folder.join(data.value));
    let certificates = table.file("certificates", "run/books/certificates");
    let certificates = certificates.map_or_else(|| data.join("certificates"), |path| folder.join(path.value));
    let copies = copies(&table, &mut places);
    table.finish();
    let host = PlacedHost { name, address: address?.value, bind: bind?, listen, data, certificates, copies };
    Some((host, places))
}

/// The contexts behind the broker of which the host runs a copy. Whether they are behind it is checked later.
fn copies(table: &Table<'_, '_>, places: &mut Places) -> Vec<ContextName> {
    let mut copies: Vec<ContextName> = Vec::new();
    for copy in table.strings("copies", "front") {
        let text = &copy.value;
        match ContextName::new(text) {
            None => {
                let message = format!("`{}` is not a valid context name", text);
                table.document.report(copy.place, message, "name a context of the manifest, without a variant");
            }
            Some(name) if copies.contains(&name) => {
                table.document.report(copy.place, format!("`{text}` is listed twice"), "list it once");
            }
            Some(name) => {
                places.parts.insert(copy_part(&name), copy.place);
                copies.push(name);
            }
        }
    }
    copies
}

/// The part of a host's places that is one of its copies.
pub fn copy_part(context: &ContextName) -> String {
    format!("copies {context}")
}

fn address(table: &Table<'_, '_>, place: Place) -> Option<At<String>> {
    let address = table.string("address", "10.0.0.5:7443");
    if !table.has("address") {
        let message = format!("`{}` is missing", table.path("address"));
        table.document.report(place, message, "write where the other hosts reach it: `address = \"10.0.0.5:7443\"`");
    }
    let address = address?;
    if host_and_port(&address.value).is_some() {
        return Some(At { value: address.value.to_ascii_lowercase(), ..address });
    }
    let text = &address.value;
    let remedy = if text.contains("://") {
        "write host and port alone, without a scheme: `books.example:7443`"
    } else if !text.trim_start_matches('[').contains(':') || text.ends_with(']') {
        "add a port: `books.example:7443`"
    } else {
        "write `10.0.0.5:7443`, `[2001:db8::5]:7443` or `books.example:7443`"
    };
    table.document.report(address.place, format!("`{text}` is not a host with a port"), remedy);
    None
}

/// Without `bind`, an address that is an IP address.
fn bind(table: &Table<'_, '_>, address: Option<&At<String>>) -> Option<SocketAddr> {
    if let Some(bind) = table.string("bind", "0.0.0.0:7443") {
        let parsed = bind.value.parse::<SocketAddr>().ok().filter(|bind| bind.port() != 0);
        if parsed.is_none() {
            let message = format!("`{}` is not an address to listen on", bind.value);
            let remedy = "write an IP address and a port: `0.0.0.0:7443`, `[::]:7443`";
            table.document.report(bind.place, message, remedy);
        }
        return parsed;
    }
    if table.has("bind") {
        return None;
    }
    let address = address?;
    let parsed = address.value.parse::<SocketAddr>().ok();
    if parsed.is_none() {
        let (_, port) = host_and_port(&address.value)?;
        let message =
            format!("`{}` is a name, and does not say on which address the host listens", table.path("address"));
        table.document.report(address.place, message, format!("add `bind = \"0.0.0.0:{port}\"`"));
    }
    parsed
}

/// `at` of a context: the host on which it lives, or the broker behind which its copies are.
pub fn at(table: &Table<'_, '_>, places: &mut Places) -> Option<Home> {
    let text = table.string("at", "books")?;
    places.parts.insert("at".to_owned(), text.place);
    match text.value.split_once("://") {
        Some((scheme @ ("nats" | "tls"), address)) => broker(table, &text, scheme, address).map(Home::Broker),
        _ => named(table, "at", text).map(|name| Home::Host(name.value)),
    }
}

/// `nats://HOST:PORT` and `tls://HOST:PORT` mean the same: hosts speak TLS with a broker, whatever the scheme.
fn broker(table: &Table<'_, '_>, text: &At<String>, scheme: &str, address: &str) -> Option<Broker> {
    if host_and_port(address).is_some() {
        return Some(Broker { address: address.to_ascii_lowercase() });
    }
    let remedy = if address.contains('@') {
        "write no user and no password: a host shows its certificate to the broker".to_owned()
    } else {
        format!("write host and port: `{scheme}://broker.example:4222`")
    };
    let message = format!("`{}` is `{}`, which does not say where the broker is", table.path("at"), text.value);
    table.document.report(text.place, message, remedy);
    None
}

/// Reports an `at` of a variant.
pub fn no_at(table: &Table<'_, '_>, context: &str) {
    // Read only if it is there: it is no key of a variant.
    let at = if table.has("at") { table.value("at") } else { None };
    if let Some((_, place)) = at {
        let message = format!("`{}`: a variant lives where its context lives", table.path("at"));
        table.document.report(place, message, format!("remove it, or write it in [context.{context}]"));
    }
}

/// The name of a host. Whether there is such a host is checked later.
pub(super) fn host_name(table: &Table<'_, '_>, key: &'static str) -> Option<At<HostName>> {
    let text = table.string(key, "books")?;
    named(table, key, text)
}

fn named(table: &Table<'_, '_>, key: &str, text: At<String>) -> Option<At<HostName>> {
    if let Some(value) = HostName::new(&text.value) {
        return Some(At { value, place: text.place });
    }
    let what = table.path(key);
    let (message, remedy) = if text.value.starts_with("nats:") || text.value.starts_with("tls:") {
        let message = format!("`{what}` names a broker, which can only be where one context is");
        (message, "name a host of `[hosts]` here, and the broker as `at` of the context that has copies".to_owned())
    } else if text.value.contains([':', '.']) {
        let remedy = format!("add `[hosts.NAME]` with `address = \"{}\"`, and write `{key} = \"NAME\"`", text.value);
        (format!("`{what}` is `{}`, which is an address and no name of a host", text.value), remedy)
    } else {
        (format!("`{what}` is `{}`, which is no name of a host", text.value), "name a host of `[hosts]`".to_owned())
    };
    table.document.report(text.place, message, remedy);
    None
}
