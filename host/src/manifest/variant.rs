//! `[context.NAME.variant.OTHER]`: another component that can take the place of a context's own.
//!
//! A variant has its own component and store. Other keys that it lacks come from the context's entry. Imports, callers
//! and mounts belong to the context; a variant cannot change them.

use std::path::Path;

use seam_runtime::settings::ContextSettings;
use seam_store::ids::ContextName;

use super::hosts;
use super::keys::{capabilities, component, context_limits, outgoing, places, store};
use super::model::Context;
use super::table::{At, Table};
use crate::limits;

/// The default name of the entry itself among the variants.
const MAIN: &str = "main";
/// Words with another meaning to `seam route`.
const RESERVED: [&str; 2] = ["shadow", "none"];

/// The name of the entry among its variants, and the tables of the others.
pub fn tables<'d, 't>(context: &Table<'d, 't>) -> (String, Vec<(At<String>, Table<'d, 't>)>) {
    let main = match context.string("main_variant", "rust") {
        Some(name) if ContextName::new(&name.value).is_some() && !RESERVED.contains(&name.value.as_str()) => name.value,
        Some(name) => {
            refuse_name(context, &name);
            MAIN.to_owned()
        }
        None => MAIN.to_owned(),
    };
    (main, context.named_tables("variant"))
}

/// The query parameter by which a request tells that it followed a link from an answer of the context.
pub fn clicks(context: &Table<'_, '_>) -> Option<String> {
    let clicks = context.string("clicks", "via=recommendation")?;
    let part = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    if clicks.value.split_once('=').is_some_and(|(name, value)| part(name) && part(value)) {
        return Some(clicks.value);
    }
    let message = format!("`{}` is not a query parameter", clicks.value);
    context.document.report(clicks.place, message, "write `name=value`, with letters, digits, - . _ and ~ only");
    None
}

/// The variants of `main`. A variant without a valid name or a component is left out.
pub fn all(main: &Context, tables: Vec<(At<String>, Table<'_, '_>)>, folder: &Path) -> Vec<Context> {
    if let Some((_, table)) = tables.get(limits::VARIANTS_MAX - 1) {
        let message =
            format!("`{}` has {} variants; {} are allowed", main.settings.name, tables.len() + 1, limits::VARIANTS_MAX);
        table.document.report(table.place, message, "remove variants that are not used");
    }
    tables.into_iter().filter_map(|(name, table)| variant(main, &name, table, folder)).collect()
}

fn variant(context: &Context, name: &At<String>, table: Table<'_, '_>, folder: &Path) -> Option<Context> {
    let main = &context.settings;
    let full = main.name.with_variant(&name.value).filter(|_| !RESERVED.contains(&name.value.as_str()));
    if full.is_none() {
        refuse_name(&table, name);
    } else if name.value == main.variant {
        let message = format!("`{}` is the name of the main variant of `{}`", name.value, main.name);
        table.document.report(name.place, message, "choose another name here, or for `main_variant` of the context");
    }
    let places =
        places(&table, name.place, &["component", "build", "store", "capabilities", "config", "outgoing", "limits"]);
    let (component, build) = component(&table, name.place, folder);
    // All three are read, so that `finish` knows their keys.
    let (store, capabilities, outgoing) = (store(&table, folder), capabilities(&table), outgoing(&table));
    let store = if table.has("store") { store } else { main.store.clone() };
    let capabilities = if table.has("capabilities") { capabilities } else { main.capabilities.clone() };
    let outgoing = if table.has("outgoing") { outgoing } else { main.outgoing.clone() };
    let config = match table.table("config") {
        Some(config) => {
            // Shared values are the context's; the rest is replaced.
            let shared = |key: &str| {
                main.shared.iter().any(|s| key.strip_prefix(&s.name).is_some_and(|rest| rest.starts_with('.')))
            };
            let of_main = main.config.iter().filter(|(key, _)| shared(key));
            of_main.map(|(key, value)| (key.clone(), value.clone())).chain(config.texts()).collect()
        }
        None => main.config.clone(),
    };
    let limits = context_limits(table.table("limits"), Some(&main.limits));
    hosts::no_at(&table, main.name.as_str());
    table.finish();
    let settings = ContextSettings {
        at: None,
        token: 0,
        name: full?,
        variant: name.value.clone(),
        clicks: None,
        component: component?,
        built: build.is_some(),
        imports: main.imports.clone(),
        publishes: main.publishes.clone(),
        subscribes: main.subscribes.clone(),
        store,
        two_phase: main.two_phase.clone(),
        capabilities,
        config,
        shared: main.shared.clone(),
        outgoing,
        limits,
    };
    // Assets are served from the mount, which is the context's.
    Some(Context {
        settings,
        at: None,
        standby: None,
        build,
        assets: None,
        scenarios: context.scenarios.clone(),
        places,
    })
}

fn refuse_name(table: &Table<'_, '_>, name: &At<String>) {
    let message = format!("`{}` is not a valid variant name", name.value);
    let remedy = "use lower-case words of letters and digits, joined by single hyphens, at most 64 bytes: `js`; \
                  `shadow` and `none` are reserved";
    table.document.report(name.place, message, remedy);
}
