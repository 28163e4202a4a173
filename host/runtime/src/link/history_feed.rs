//! Converts a page of another context's history into the argument of the function that learns from it, field by field.

use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use crate::component::{FunctionName, Interface, InterfaceName};
use crate::settings::CatchUp;

/// How one context learns from the history of another.
pub struct HistoryFeed {
    /// The function that returns a page: its interface and its name.
    pub call: (InterfaceName, String),
    /// The function that takes a page, in the same form.
    pub into: (InterfaceName, String),
    /// The fields of the records that `into` takes, in its order: the name in `into`, and the name in the history.
    fields: Vec<(String, String)>,
    cursor: String,
}

impl HistoryFeed {
    /// Matches the exports of the context that keeps the history with the exports of the learning context.
    ///
    /// # Errors
    /// The first mismatch, as a sentence.
    pub fn new(catch_up: &CatchUp, history: &[Interface], learner: &[Interface]) -> Result<Self, String> {
        let (call, source) = find(history, catch_up.from.as_str(), &catch_up.call)?;
        let (into, target) = find(learner, "the context", &catch_up.into)?;
        let (from, to) = (&catch_up.call, &catch_up.into);
        let source = history_fields(&source)
            .ok_or_else(|| format!("`{from}` is not a `func(after: u64, count: u32) -> result<list<record>, _>`"))?;
        let target =
            learned_fields(&target).ok_or_else(|| format!("`{to}` must take one list of records and nothing else"))?;
        let known = |name: &str| source.iter().find(|(field, _)| field == name).map(|(_, ty)| ty.clone());
        if !matches!(known(&catch_up.cursor), Some(Type::U64)) {
            return Err(format!("`{from}` has no field `{}` of type u64", catch_up.cursor));
        }
        if let Some(name) = catch_up.rename.keys().find(|name| known(name).is_none()) {
            return Err(format!("`{from}` has no field `{name}` to rename"));
        }
        let mut fields = Vec::new();
        for (name, ty) in target {
            let renamed = catch_up.rename.iter().find(|(_, new)| **new == name).map_or(&name, |(old, _)| old).clone();
            match known(&renamed) {
                Some(found) if found == ty => fields.push((name, renamed)),
                Some(_) => {
                    return Err(format!("`{name}` of `{to}` and `{renamed}` of `{from}` are of different types"));
                }
                None => return Err(format!("`{from}` has no field `{renamed}`, which `{to}` needs")),
            }
        }
        Ok(Self { call, into, fields, cursor: catch_up.cursor.clone() })
    }

    /// Converts a page: the argument for `into`, the number of records, and the position of the last one.
    ///
    /// # Errors
    /// What the other context returned instead of a page.
    pub fn page(&self, answer: &Val) -> Result<(Val, usize, u64), String> {
        let Val::Result(Ok(Some(page))) = answer else { return Err(format!("it returned {answer:?}")) };
        let Val::List(records) = &**page else { return Err("it returned no list".to_owned()) };
        let (mut learned, mut last) = (Vec::new(), 0);
        for record in records {
            let Val::Record(fields) = record else { return Err("it returned a list without records".to_owned()) };
            let value = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
            match value(&self.cursor) {
                Some(Val::U64(at)) => last = at.max(last),
                _ => return Err(format!("a record has no `{}`", self.cursor)),
            }
            let selected = self.fields.iter().map(|(name, source)| Some((name.clone(), value(source)?)));
            learned.push(Val::Record(selected.collect::<Option<_>>().ok_or("a record lacks a field")?));
        }
        Ok((Val::List(learned), records.len(), last))
    }
}

/// The exported function `interface.function` of `owner`, and its names as in `HistoryFeed::call`.
fn find(exports: &[Interface], owner: &str, call: &str) -> Result<((InterfaceName, String), ComponentFunc), String> {
    let functions: Vec<(&InterfaceName, &String, &ComponentFunc)> =
        exports.iter().flat_map(|e| e.functions.iter().map(move |(name, ty)| (&e.name, name, ty))).collect();
    let found: Vec<_> = FunctionName::parse(call)
        .find(&functions, |(interface, function, _)| (interface, function))
        .into_iter()
        .filter_map(|at| functions.get(at))
        .collect();
    match found[..] {
        [(interface, function, ty)] => Ok((((*interface).clone(), (*function).clone()), (*ty).clone())),
        [] => Err(format!("{owner} has no `{call}`")),
        _ => {
            let all: Vec<String> = found.iter().map(|(i, f, _)| format!("`{i}.{f}`")).collect();
            Err(format!("`{call}` is a function of several interfaces of {owner}: name one of {}", all.join(", ")))
        }
    }
}

type Fields = Vec<(String, Type)>;

fn record_fields(list: Type) -> Option<Fields> {
    let Type::List(list) = list else { return None };
    let Type::Record(record) = list.ty() else { return None };
    Some(record.fields().map(|field| (field.name.to_owned(), field.ty)).collect())
}

fn history_fields(signature: &ComponentFunc) -> Option<Fields> {
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    let [Type::U64, Type::U32] = params.as_slice() else { return None };
    match signature.results().next() {
        Some(Type::Result(result)) => record_fields(result.ok()?),
        _ => None,
    }
}

fn learned_fields(signature: &ComponentFunc) -> Option<Fields> {
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    match <[Type; 1]>::try_from(params) {
        Ok([list]) => record_fields(list),
        Err(_) => None,
    }
}
