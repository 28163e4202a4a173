//! `[context.NAME]`: what one context is made of, may import and may use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seam_runtime::settings::ContextSettings;
use seam_store::ids::ContextName;

use super::events;
use super::keys::{capabilities, component, context_limits, names_interface, outgoing, places, store};
use super::model::Context;
use super::shared::shared;
use super::table::{At, Table};
use super::{hosts, standby, two_phase, variant};

/// The entry and its variants. `None` when the name or the component is missing: nothing can refer to such an entry.
pub fn context(name: &At<String>, table: Table<'_, '_>, folder: &Path) -> Option<(Context, Vec<Context>)> {
    let document = table.document;
    let valid = ContextName::new(&name.value);
    if valid.is_none() {
        let message = format!("`{}` is not a valid context name", name.value);
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
            "publishes",
            "subscribes",
            "store",
            "two_phase",
            "capabilities",
            "config",
            "shared",
            "outgoing",
            "assets",
            "limits",
            "at",
            "standby",
            "takeover",
            "acknowledge",
        ],
    );
    let (component, build) = component(&table, name.place, folder);
    let mut imports: Vec<String> = Vec::new();
    for import in table.strings("imports", "acme:orders/desk") {
        if !names_interface(&import.value) {
            let message = format!("`{}` is not a valid interface name", import.value);
            document.report(import.place, message, "write `namespace:package/interface`, with or without `@1.2.3`");
        } else if imports.contains(&import.value) {
            document.report(import.place, format!("`{}` is imported twice", import.value), "list it once");
        } else {
            places.parts.insert(import.value.clone(), import.place);
            imports.push(import.value);
        }
    }
    let (publishes, subscribes) = (events::publishes(&table, &mut places), events::subscribes(&table, &mut places));
    let store = store(&table, folder);
    let capabilities = capabilities(&table);
    let mut config = match table.table("config") {
        Some(config) => config.texts().into_iter().collect(),
        None => BTreeMap::new(),
    };
    let shared = shared(&table, folder, &mut config);
    let outgoing = outgoing(&table);
    let two_phase = two_phase::participants(&table, &name.value, &mut places);
    let assets = table.file("assets", "front/assets").map(|assets| {
        let path = folder.join(assets.value);
        if !path.is_dir() {
            let message = format!("`{}` names `{}`, which is not a folder", table.path("assets"), path.display());
            document.report(assets.place, message, "create the folder, or correct the path");
        }
        path
    });
    let scenarios = table.file("scenarios", "plugins/orders/tests/scenarios").map(|scenarios| scenarios.value);
    let scenarios = scenarios.unwrap_or_else(|| PathBuf::from(format!("plugins/{}/tests/scenarios", name.value)));
    let scenarios = folder.join(scenarios);
    let limits = context_limits(table.table("limits"), None);
    let clicks = variant::clicks(&table);
    let at = hosts::at(&table, &mut places);
    let standby = standby::standby(&table, &mut places);
    let (main, variants) = variant::tables(&table);
    table.finish();
    let (name, component) = (valid?, component?);
    let settings = ContextSettings {
        at: None,
        token: 0,
        name,
        variant: main,
        clicks,
        component,
        built: build.is_some(),
        imports,
        publishes,
        subscribes,
        store,
        two_phase,
        capabilities,
        config,
        shared,
        outgoing,
        limits,
    };
    let context = Context { settings, at, standby, build, assets, scenarios, places };
    let variants = variant::all(&context, variants, folder);
    Some((context, variants))
}
