//! `shared = { NAME = "FILE" }`: static data that several contexts use and none owns. Each gets it as part of its
//! configuration.
//!
//! A file has a `version`, so that the host can warn when two contexts run with different ones.

use std::collections::BTreeMap;
use std::path::Path;

use seam_runtime::settings::Shared;
use seam_store::text;

use super::model::{Context, Manifest, Ops};
use super::network::Network;
use super::table::{At, Table};

use crate::limits;

/// Reads the files that a context's entry names; their values join its `config` as `NAME.KEY`.
pub(super) fn shared(context: &Table<'_, '_>, folder: &Path, config: &mut BTreeMap<String, String>) -> Vec<Shared> {
    let Some(table) = context.table("shared") else { return Vec::new() };
    let mut found = Vec::new();
    for file in table.all_strings("data/reference.toml") {
        let (name, At { value, place }) = file;
        let path = folder.join(value);
        let read = read(&path).and_then(|mut values| {
            let version = values.get("version").cloned().ok_or((
                format!("`{}` has no `version`", path.display()),
                "add `version = \"1\"`, and change it with every change of the file",
            ))?;
            for (key, text) in std::mem::take(&mut values) {
                let key = format!("{name}.{key}");
                if config.insert(key.clone(), text).is_some() {
                    let message =
                        format!("`{key}` is set both in `{}` and in `{}`", path.display(), context.path("config"));
                    return Err((message, "remove it from `config`"));
                }
            }
            Ok(version)
        });
        match read {
            Ok(version) => found.push(Shared { name, file: path, version }),
            Err((message, remedy)) => context.document.report(place, message, remedy),
        }
    }
    found
}

type Wrong = (String, &'static str);

fn read(path: &Path) -> Result<BTreeMap<String, String>, Wrong> {
    let wrong = |what: String, remedy| (format!("the shared file `{}` {what}", path.display()), remedy);
    let text = text::read(path).map_err(|error| match text::not_utf8(&error) {
        Some(other) => wrong(format!("is in another encoding: {other}"), "save it as UTF-8 text"),
        None => wrong(format!("cannot be read: {error}"), "correct the path (relative to the manifest's folder)"),
    })?;
    if text.len() > limits::SHARED_FILE_BYTES_MAX {
        let what = format!("has {} bytes; {} are allowed", text.len(), limits::SHARED_FILE_BYTES_MAX);
        return Err(wrong(what, "put data of this size into a context of its own"));
    }
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| wrong(format!("is not valid TOML: {}", e.message()), "see https://toml.io"))?;
    let text = |(key, value)| match value {
        toml::Value::String(text) => Ok((key, text)),
        toml::Value::Integer(number) => Ok((key, number.to_string())),
        toml::Value::Float(number) => Ok((key, number.to_string())),
        toml::Value::Boolean(value) => Ok((key, value.to_string())),
        _ => Err(wrong(
            format!("has `{key}`, which is neither a string, a number nor a boolean"),
            "contexts get strings; write a list as the lines of one string",
        )),
    };
    table.into_iter().map(text).collect()
}

impl Manifest {
    /// Suspicious settings that are not errors.
    pub fn warnings(&self) -> Vec<String> {
        let got = |context: &'_ Context| -> Vec<(String, String, String)> {
            let one =
                |shared: &Shared| (context.settings.name.to_string(), shared.name.clone(), shared.version.clone());
            context.settings.shared.iter().map(one).collect()
        };
        let mut warnings = differing(self.contexts.iter().flat_map(got));
        if self.http.trusted_proxies.iter().any(Network::is_everything) {
            warnings.push(
                "`trusted_proxies` in `[http]` contains every address, so each client may choose its own: \
                 name the addresses of your proxies alone"
                    .into(),
            );
        }
        let (ops, beyond) = (self.host.ops, self.host.listen.iter().find(|address| !address.ip().is_loopback()));
        let public = match (ops, beyond) {
            (Ops::Public, Some(address)) => Some(*address),
            (Ops::Address(address), _) if address.ip().is_unspecified() => Some(address),
            _ => None,
        };
        if let Some(address) = public {
            warnings.push(format!(
                "every client that reaches {address} can read `/metrics`, by `ops` in `[host]`: write \
                 `ops = \"loopback\"`, or give it an address that only operators reach, such as `ops = \"127.0.0.1:9464\"`"
            ));
        }
        warnings.extend(self.placement.idle().map(|host| {
            format!("no context lives on host `{0}`: write `at = \"{0}\"` in the entry of one, or remove it", host.name)
        }));
        warnings.extend(self.shared_origins());
        warnings.extend(self.hidden_mounts());
        warnings.extend(self.plain_feeds());
        let has_variants = self.contexts.iter().any(|context| context.settings.name.variant().is_some());
        if has_variants && self.http.routing_key.is_empty() {
            warnings.push(
                "contexts have variants, and `[http]` has no `routing_key`: where several have a share, each request \
                 of a visitor may get another one; write, for example, `routing_key = [\"cookie:visitor\"]`"
                    .into(),
            );
        }
        warnings
    }
}

/// A sentence for each shared file that contexts have in different versions. `got`: context, file's name, version.
pub fn differing(got: impl IntoIterator<Item = (String, String, String)>) -> Vec<String> {
    let mut by_name: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (context, name, version) in got {
        by_name.entry(name).or_default().entry(version).or_default().push(context);
    }
    let sentence = |(name, versions): (String, BTreeMap<String, Vec<String>>)| {
        let versions: Vec<_> =
            versions.iter().map(|(version, who)| format!("{version} in {}", who.join(", "))).collect();
        format!("contexts run with different versions of the shared `{name}`: {}", versions.join("; "))
    };
    by_name.into_iter().filter(|(_, versions)| versions.len() > 1).map(sentence).collect()
}
