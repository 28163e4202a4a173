//! A context's entry in a manifest that people wrote: what is not changed stays as it is, comments and spaces among it.

use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::language::Language;
use super::sdk;
use super::toml::parse;

/// The manifest with an entry for the context, after those of the other contexts.
pub fn manifest(text: &str, name: &str, language: Language) -> Result<String, String> {
    let mut document = parse(text)?;
    let contexts = document.entry("context").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        table.into()
    });
    let contexts = contexts.as_table_mut().ok_or("`context` is not written as `[context.NAME]`")?;
    let mut entry = Table::new();
    let mut build = InlineTable::new();
    match language {
        Language::Rust => {
            build.insert("cargo", name.into());
        }
        Language::Js => {
            let component = format!("target/components/{name}.wasm");
            let plugin = format!("plugins/{name}");
            build.insert("command", format!("node {}/build.mjs {plugin} {component}", sdk::JAVASCRIPT).into());
            let sources = [plugin, sdk::JAVASCRIPT.into(), "wit/host".into(), format!("wit/{name}")];
            build.insert("sources", Value::Array(Array::from_iter(sources)));
            entry.insert("component", component.into());
        }
    }
    entry.insert("build", Value::InlineTable(build).into());
    entry.insert("store", true.into());
    if language == Language::Js {
        entry.insert("capabilities", Value::Array(Array::from_iter(["wasi"])).into());
    }
    contexts.insert(name, Item::Table(entry));
    Ok(document.to_string())
}
