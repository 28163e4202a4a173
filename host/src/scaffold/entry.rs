//! A context's entry in a manifest. Everything else in the file stays as it is, with comments and spaces.

use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::events::Events;
use super::interface::Interface;
use super::language::Language;
use super::sdk;
use super::toml::parse;

/// Adds an entry for the context to a manifest, after those of the other contexts.
pub fn added(text: &str, name: &str, language: Language, events: &Events) -> Result<String, String> {
    let mut document = parse(text)?;
    let contexts = document.entry("context").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        table.into()
    });
    let contexts = contexts.as_table_mut().ok_or("`context` is not written as `[context.NAME]`")?;
    let mut entry = Table::new();
    let (component, plugin) = (format!("target/components/{name}.wasm"), format!("plugins/{name}"));
    let by_command = |sdk: &str, builder: &str| {
        let own = [plugin.clone(), sdk.to_owned(), "wit/host".to_owned(), format!("wit/{name}")];
        let named = events.folders(name).into_iter().map(|folder| format!("wit/{folder}"));
        let sources = own.into_iter().chain(named);
        InlineTable::from_iter([
            ("command", Value::from(format!("{builder} {plugin} {component}"))),
            ("sources", Array::from_iter(sources).into()),
        ])
    };
    let build = match language {
        Language::Rust => InlineTable::from_iter([("cargo", name)]),
        Language::Js => by_command(sdk::JAVASCRIPT, &format!("node {}/build.mjs", sdk::JAVASCRIPT)),
        Language::Python => by_command(sdk::PYTHON, &format!("python3 {}/build.py", sdk::PYTHON)),
    };
    if language != Language::Rust {
        entry.insert("component", component.into());
    }
    entry.insert("build", Value::InlineTable(build).into());
    entry.insert("store", true.into());
    if language != Language::Rust {
        // The language's runtime imports WASI; the host links an empty world.
        entry.insert("capabilities", Value::Array(Array::from_iter(["wasi"])).into());
    }
    let mut event = |key: &str, interface: &Interface, table: InlineTable| {
        let mut dotted = Table::new();
        dotted.set_dotted(true);
        dotted.insert(&interface.granted, Value::InlineTable(table).into());
        entry.insert(key, Item::Table(dotted));
    };
    if let Some(interface) = &events.publishes {
        // Events of one entry keep their order.
        let key = interface.has_number().then(|| ("key", Value::from("number")));
        event("publishes", interface, InlineTable::from_iter(key));
    }
    if let Some(interface) = &events.subscribes {
        event("subscribes", interface, InlineTable::from_iter([("batch", Value::from(100))]));
    }
    contexts.insert(name, Item::Table(entry));
    Ok(document.to_string())
}
