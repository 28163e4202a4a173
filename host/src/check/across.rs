//! What lies between hosts: interfaces whose calls would carry long lists from one to another.
//!
//! Not here: transactions across hosts, which the manifest alone shows (`manifest`).

use std::collections::{BTreeMap, BTreeSet};

use seam_runtime::component::{ContextSpec, Interface, is_seam};
use seam_runtime::link;
use seam_store::ids::ContextName;
use wasmtime::component::types::{ComponentFunc, Type};

use crate::manifest::Manifest;

/// Long lists of one interface: who calls it on another host, and the functions with their types.
#[derive(Default)]
struct Carried<'s> {
    callers: BTreeSet<&'s str>,
    functions: BTreeSet<String>,
}

/// A sentence for each interface that a context calls on another host, and that has functions with long lists.
pub fn long_lists(manifest: &Manifest, specs: &[ContextSpec]) -> Vec<String> {
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    // What cannot be linked is another problem.
    let Ok(wirings) = link::plan(&borrowed) else { return Vec::new() };
    let home = |context: &ContextName| manifest.placement.home_name(context);
    let mut found: BTreeMap<(String, &str), Carried<'_>> = BTreeMap::new();
    for (caller, wiring) in specs.iter().zip(&wirings) {
        for import in caller.component.imports.iter().filter(|import| is_seam(&import.name)) {
            let provider = wiring.get(&import.name.to_string());
            let Some(callee) = provider.and_then(|provider| specs.get(usize::from(provider.callee))) else { continue };
            let (from, to) = (&caller.settings.name, &callee.settings.name);
            let apart = home(from).zip(home(to)).is_some_and(|(from, to)| from != to);
            let lists = if apart { lists_of(import) } else { Vec::new() };
            if !lists.is_empty() {
                let carried = found.entry((import.name.to_string(), to.as_str())).or_default();
                carried.callers.insert(from.variant().map_or(from.as_str(), |(main, _)| main));
                carried.functions.extend(lists);
            }
        }
    }
    let sentence = |((interface, callee), carried): ((String, &str), Carried<'_>)| {
        let callers: Vec<String> = carried.callers.into_iter().map(|caller| format!("`{caller}`")).collect();
        let functions: Vec<String> = carried.functions.into_iter().collect();
        format!(
            "{} calls `{callee}` on another host through `{interface}`, of which these carry a list, and each call sends \
             all of it: {}",
            callers.join(" and "),
            functions.join(", ")
        )
    };
    found.into_iter().map(sentence).collect()
}

/// The functions of an interface that carry a long list, each with its type.
fn lists_of(interface: &Interface) -> Vec<String> {
    let list = |(name, ty): &(String, ComponentFunc)| Some(format!("`{name}` (`{}`)", long_list(ty)?));
    interface.functions.iter().filter_map(list).collect()
}

/// Parameters by which a caller says how much it gets.
const PAGING: [&str; 9] = ["count", "limit", "most", "page", "page-size", "paging", "range", "size", "max"];

/// The first of a function's lists that may be long: bytes anywhere, and records that are a parameter or the result.
/// A result is as long as its caller wants if a parameter is for paging, or lists what is asked for.
fn long_list(ty: &ComponentFunc) -> Option<String> {
    let params: Vec<(&str, Type)> = ty.params().collect();
    let results: Vec<Type> = ty.results().collect();
    let asked = params.iter().any(|(name, ty)| PAGING.contains(name) || matches!(ty, Type::List(_)));
    let records = params.iter().map(|(_, ty)| ty).chain(results.iter().filter(|_| !asked)).find_map(of_records);
    records.or_else(|| params.iter().map(|(_, ty)| ty).chain(&results).find_map(of_bytes))
}

/// A list of records that is `ty` itself, or in the options, results and tuples that it is made of.
fn of_records(ty: &Type) -> Option<String> {
    match ty {
        Type::List(list) => match list.ty() {
            Type::Record(record) => {
                let mut fields = record.fields().map(|field| field.name.to_owned());
                let first: Vec<String> = fields.by_ref().take(3).collect();
                let more = if fields.next().is_some() { ", .." } else { "" };
                Some(format!("list<{{{}{more}}}>", first.join(", ")))
            }
            _ => None,
        },
        Type::Option(option) => of_records(&option.ty()),
        Type::Result(result) => result.ok().as_ref().and_then(of_records),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| of_records(&ty)),
        _ => None,
    }
}

/// A list of bytes anywhere in `ty`.
fn of_bytes(ty: &Type) -> Option<String> {
    match ty {
        Type::List(list) if list.ty() == Type::U8 => Some("list<u8>".to_owned()),
        Type::List(list) => of_bytes(&list.ty()),
        Type::Option(option) => of_bytes(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].iter().flatten().find_map(of_bytes),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| of_bytes(&ty)),
        Type::Record(record) => record.fields().find_map(|field| of_bytes(&field.ty)),
        Type::Variant(variant) => variant.cases().filter_map(|case| case.ty).find_map(|ty| of_bytes(&ty)),
        _ => None,
    }
}
