//! Changes to `Cargo.toml` files. Everything else in them stays as it is, with comments and spaces.

use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::toml::parse;

/// Adds members to a workspace's manifest, each after those in the same folder.
pub fn workspace(text: &str, members: &[String]) -> Result<String, String> {
    let mut document = parse(text)?;
    let workspace = document.get_mut("workspace").and_then(Item::as_table_mut).ok_or("it has no `[workspace]`")?;
    let list = workspace.entry("members").or_insert(Value::Array(Array::new()).into());
    let list = list.as_array_mut().ok_or("`workspace.members` is not a list")?;
    for member in members {
        let folder = member.rsplit_once('/').map_or("", |(folder, _)| folder);
        let known =
            |value: &Value| value.as_str().is_some_and(|known| known == member || known == format!("{folder}/*"));
        if list.iter().any(known) {
            continue;
        }
        let beside = |value: &Value| value.as_str().is_some_and(|known| known.starts_with(&format!("{folder}/")));
        let at = (0..list.len()).rev().find(|at| list.get(*at).is_some_and(beside)).map_or(list.len(), |at| at + 1);
        // In a list with a line for each member, the new one gets its own line.
        let prefix = list.iter().last().and_then(|last| last.decor().prefix()?.as_str()).unwrap_or_default().to_owned();
        let prefix = match (prefix.is_empty(), at) {
            (true, 1..) => " ".to_owned(),
            _ => prefix,
        };
        list.insert_formatted(at, Value::from(member).decorated(prefix, ""));
    }
    Ok(document.to_string())
}

/// Whether a crate of this workspace can inherit what the crate template inherits.
pub fn shares_dependencies(text: &str) -> bool {
    let Ok(document) = parse(text) else { return false };
    let has = |table: &str, key: &str| {
        document.get("workspace").and_then(|w| w.get(table)).and_then(|t| t.get(key)).is_some()
    };
    ["serde", "wit-bindgen"].iter().all(|name| has("dependencies", name))
        && ["version", "edition", "license", "rust-version"].iter().all(|key| has("package", key))
}

/// Replaces each `workspace = true` in a crate's manifest by the value in `root`, with the crate's own additions.
pub fn standalone(text: &str, root: &str) -> Result<String, String> {
    let (mut document, root) = (parse(text)?, parse(root)?);
    let shared = |table: &str, key: &str| {
        let value = root.get("workspace").and_then(|w| w.get(table)).and_then(|t| t.get(key)).and_then(Item::as_value);
        value.cloned().ok_or_else(|| format!("the workspace has no `{table}.{key}`"))
    };
    if let Some(package) = document.get_mut("package").and_then(Item::as_table_mut) {
        for (key, item) in package.iter_mut() {
            if inherited(item) {
                *item = plain(shared("package", key.get())?).into();
            }
        }
    }
    let mut tables: Vec<&mut Table> = Vec::new();
    for (key, item) in document.iter_mut() {
        match (key.get(), item) {
            ("dependencies" | "dev-dependencies", Item::Table(table)) => tables.push(table),
            ("target", Item::Table(targets)) => tables.extend(
                targets.iter_mut().filter_map(|(_, item)| item.as_table_mut()?.get_mut("dependencies")?.as_table_mut()),
            ),
            _ => {}
        }
    }
    for table in tables {
        for (key, item) in table.iter_mut() {
            if inherited(item) {
                *item = merged(plain(shared("dependencies", key.get())?), item).into();
            }
        }
    }
    Ok(document.to_string())
}

/// `{ workspace = true }` or `.workspace = true`.
fn inherited(item: &Item) -> bool {
    item.as_table_like().is_some_and(|table| table.contains_key("workspace"))
}

/// A value without the comments and spaces around it.
fn plain(mut value: Value) -> Value {
    value.decor_mut().clear();
    value
}

/// A shared dependency with the features and other keys that a crate adds to it.
fn merged(shared: Value, own: &Item) -> Value {
    let own = own.as_table_like().into_iter().flat_map(|table| table.iter()).filter(|(key, _)| *key != "workspace");
    let own: Vec<_> = own.filter_map(|(key, item)| Some((key.to_owned(), item.as_value()?.clone()))).collect();
    if own.is_empty() {
        return shared;
    }
    let mut table = match shared {
        Value::InlineTable(table) => table,
        version => InlineTable::from_iter([("version", version)]),
    };
    for (key, value) in own {
        table.insert(key, value);
    }
    table.fmt();
    Value::InlineTable(table)
}
