//! The rules for functions that cross a seam.
//!
//! The callee may always be unavailable, so every function returns a `result` whose error has the case
//! `unavailable(string)`. Only values cross, since a handle would pin one instance of one version.

use wasmtime::component::types::{ComponentFunc, Type};

use super::compiled::Interface;

/// Each reason why `interface` cannot be a seam, with its remedy; empty when it can be one.
pub fn violations(interface: &Interface) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for resource in &interface.resources {
        found.push((
            format!("`{}` defines the resource `{resource}`, and resources do not cross a seam", interface.name),
            format!("hand out an id (a string or a number) instead of `{resource}`"),
        ));
    }
    for (name, ty) in &interface.functions {
        let function = format!("`{}.{name}`", interface.name);
        if ty.async_() {
            found.push((format!("{function} is async"), "declare it with `func`: seams are synchronous".into()));
        }
        if let Some(what) =
            ty.params().find_map(|(_, t)| not_a_value(&t)).or_else(|| ty.results().find_map(|t| not_a_value(&t)))
        {
            // Any resource has been reported above.
            if interface.resources.is_empty() {
                found.push((
                    format!("{function} passes {what}, which does not cross a seam"),
                    "pass values only".into(),
                ));
            }
        }
        if let Err(why) = can_fail(ty) {
            found.push((
                format!("{function} {why}"),
                "return `result<T, error>` where `error` is a variant with the case `unavailable(string)`".into(),
            ));
        }
    }
    found
}

fn can_fail(ty: &ComponentFunc) -> Result<(), &'static str> {
    let mut results = ty.results();
    let Some(Type::Result(result)) = results.next() else {
        return Err("returns no `result`, so it cannot report that its context is unavailable");
    };
    let Some(Type::Variant(error)) = result.err() else {
        return Err("returns a `result` whose error is not a variant");
    };
    let unavailable = error.cases().any(|case| case.name == "unavailable" && case.ty == Some(Type::String));
    if unavailable { Ok(()) } else { Err("returns an error without the case `unavailable(string)`") }
}

fn not_a_value(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Own(_) | Type::Borrow(_) => Some("a resource"),
        Type::Future(_) => Some("a future"),
        Type::Stream(_) => Some("a stream"),
        Type::ErrorContext => Some("an error-context"),
        Type::Map(_) => Some("a map"),
        Type::FixedLengthList(_) => Some("a fixed-length list"),
        Type::List(list) => not_a_value(&list.ty()),
        Type::Option(option) => not_a_value(&option.ty()),
        Type::Record(record) => record.fields().find_map(|f| not_a_value(&f.ty)),
        Type::Tuple(tuple) => tuple.types().find_map(|t| not_a_value(&t)),
        Type::Variant(variant) => variant.cases().find_map(|c| c.ty.and_then(|t| not_a_value(&t))),
        Type::Result(result) => {
            result.ok().and_then(|t| not_a_value(&t)).or_else(|| result.err().and_then(|t| not_a_value(&t)))
        }
        _ => None,
    }
}
