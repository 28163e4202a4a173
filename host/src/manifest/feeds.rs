//! `[[feed]]`: which events of a context programs outside of the host may read, and by which tokens.

use std::collections::BTreeSet;
use std::path::Path;

use seam_store::ids::{ContextName, interface_path};

use super::host_name;
use super::keys::{context_name, existing_file, names_interface};
use super::model::{Feed, FeedToken, Manifest, TokenSecret};
use super::problem::Place;
use super::table::{At, Table};

/// Where the parts of a feed stand.
pub struct FeedPlaces {
    pub feed: Place,
    pub context: Place,
    pub interfaces: Vec<Place>,
}

pub(super) fn feed(table: Table<'_, '_>, folder: &Path) -> Option<(Feed, FeedPlaces)> {
    let context = context_name(&table);
    let host = host_name::host(&table);
    let listed = table.strings("interfaces", "acme:orders/events");
    let (mut interfaces, mut places) = (Vec::new(), Vec::new());
    for interface in listed {
        let path = interface_path(&interface.value).to_owned();
        if !names_interface(&interface.value) {
            let message = format!("`{}` is not a valid interface name", interface.value);
            table.document.report(interface.place, message, "write `namespace:package/interface`");
        } else if interfaces.contains(&path) {
            table.document.report(interface.place, format!("`{path}` is listed twice"), "list it once");
        } else {
            interfaces.push(path);
            places.push(interface.place);
        }
    }
    let plain_http = table.boolean("plain_http", false);
    let tokens = tokens(&table, folder);
    let place = table.place;
    table.finish();
    let context = context?;
    let places = FeedPlaces { feed: place, context: context.place, interfaces: places };
    Some((Feed { context: context.value, host, interfaces, plain_http, tokens }, places))
}

fn tokens(table: &Table<'_, '_>, folder: &Path) -> Vec<FeedToken> {
    let read = |(name, token): (At<String>, Table<'_, '_>)| {
        let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
        let file = token.file("file", "secrets/reports.token");
        let sha256 = token.string("sha256", "9f86d081884c7d65...");
        let both = token.has("file") && token.has("sha256");
        let path = token.name().to_owned();
        let secret = match (file, sha256) {
            _ if both => {
                report(name.place, format!("`{path}` has both `file` and `sha256`"), "keep one of the two");
                None
            }
            (Some(file), _) => Some(TokenSecret::File(existing_file(&token, "file", file, folder))),
            (None, Some(sha256)) => {
                let mut digest = [0; 32];
                if hex::decode_to_slice(&sha256.value, &mut digest).is_err() {
                    let remedy = "write its 64 digits, as `sha256sum` prints them of the token without a line end";
                    report(sha256.place, format!("`{path}.sha256` is no SHA-256"), remedy);
                }
                Some(TokenSecret::Sha256(digest))
            }
            (None, None) => {
                if !token.has("file") && !token.has("sha256") {
                    let remedy = "write `{ file = \"secrets/reports.token\" }` or `{ sha256 = \"...\" }`";
                    report(name.place, format!("`{path}` has neither `file` nor `sha256`"), remedy);
                }
                None
            }
        };
        token.finish();
        Some(FeedToken { name: name.value, secret: secret? })
    };
    if !table.has("tokens") {
        let message = format!("`{}` is missing", table.path("tokens"));
        let remedy = "a feed is for those who have a token: add `tokens.NAME.file = \"secrets/NAME.token\"`";
        table.document.report(table.place, message, remedy);
    }
    table.named_tables("tokens").into_iter().filter_map(read).collect()
}

/// Fills in the interfaces of a feed that lists none: all that its context publishes.
pub(super) fn complete(manifest: &mut Manifest) {
    let mut feeds = std::mem::take(&mut manifest.feeds);
    for feed in feeds.iter_mut().filter(|feed| feed.interfaces.is_empty()) {
        feed.interfaces = published(manifest, &feed.context);
    }
    manifest.feeds = feeds;
}

/// The paths of the interfaces that a context publishes.
pub(super) fn published(manifest: &Manifest, context: &ContextName) -> Vec<String> {
    let context = manifest.contexts.iter().find(|other| other.settings.name == *context);
    let publishes = context.map(|context| context.settings.publishes.as_slice()).unwrap_or_default();
    publishes
        .iter()
        .map(|publication| interface_path(&publication.interface).to_owned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
