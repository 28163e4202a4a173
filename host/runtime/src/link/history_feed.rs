//! From a page of another context's history to the arguments of the function that takes it in: records to records, field by field.

use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use crate::component::Interface;
use crate::settings::CatchUp;

/// How one history is taken in.
pub struct HistoryFeed {
    /// `namespace:package/interface` and the function's name.
    pub call: (String, String),
    pub into: (String, String),
    /// The fields that `into` wants, in its order: their names there, and in the history.
    fields: Vec<(String, String)>,
    cursor: String,
}

impl HistoryFeed {
    /// How what `history` exports is taken in by what `taker` exports.
    ///
    /// # Errors
    /// With what does not fit, as a sentence.
    pub fn new(catch_up: &CatchUp, history: &[Interface], taker: &[Interface]) -> Result<Self, String> {
        let (call, source) =
            find(history, &catch_up.call).ok_or_else(|| lacks(catch_up.from.as_str(), &catch_up.call))?;
        let (into, target) = find(taker, &catch_up.into).ok_or_else(|| lacks("the context", &catch_up.into))?;
        let (from, to) = (&catch_up.call, &catch_up.into);
        let source = history_of(&source)
            .ok_or_else(|| format!("`{from}` is no `func(after: u64, count: u32) -> result<list<record>, _>`"))?;
        let target = taken_by(&target).ok_or_else(|| format!("`{to}` takes no list of records, and nothing else"))?;
        let known = |name: &str| source.iter().find(|(field, _)| field == name).map(|(_, ty)| ty.clone());
        if !matches!(known(&catch_up.cursor), Some(Type::U64)) {
            return Err(format!("`{from}` has no field `{}` of type u64", catch_up.cursor));
        }
        if let Some(name) = catch_up.rename.keys().find(|name| known(name).is_none()) {
            return Err(format!("`{from}` has no field `{name}` that could be renamed"));
        }
        let mut fields = Vec::new();
        for (name, ty) in target {
            let renamed = catch_up.rename.iter().find(|(_, new)| **new == name).map_or(&name, |(old, _)| old).clone();
            match known(&renamed) {
                Some(found) if found == ty => fields.push((name, renamed)),
                Some(_) => {
                    return Err(format!("`{name}` of `{to}` and `{renamed}` of `{from}` are of different types"));
                }
                None => return Err(format!("`{from}` has no field `{renamed}`, which `{to}` wants")),
            }
        }
        Ok(Self { call, into, fields, cursor: catch_up.cursor.clone() })
    }

    /// What a page says: the argument for `into`, how many records there are, and the place of the last one.
    ///
    /// # Errors
    /// With what the other context answered instead of a page.
    pub fn page(&self, answer: &Val) -> Result<(Val, usize, u64), String> {
        let Val::Result(Ok(Some(page))) = answer else { return Err(format!("it answered {answer:?}")) };
        let Val::List(records) = &**page else { return Err("it answered no list".to_owned()) };
        let (mut taken, mut last) = (Vec::new(), 0);
        for record in records {
            let Val::Record(fields) = record else { return Err("it answered no records".to_owned()) };
            let value = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
            match value(&self.cursor) {
                Some(Val::U64(at)) => last = at.max(last),
                _ => return Err(format!("a record has no `{}`", self.cursor)),
            }
            let wanted = self.fields.iter().map(|(name, source)| Some((name.clone(), value(source)?)));
            taken.push(Val::Record(wanted.collect::<Option<_>>().ok_or("a record lacks a field")?));
        }
        Ok((Val::List(taken), records.len(), last))
    }
}

fn lacks(who: &str, call: &str) -> String {
    format!("{who} has no `{call}`")
}

/// The function called `interface.function`, with its interface's path.
fn find(exports: &[Interface], call: &str) -> Option<((String, String), ComponentFunc)> {
    let (interface, function) = call.split_once('.')?;
    let export = exports.iter().find(|export| export.name.short() == interface)?;
    let (name, signature) = export.functions.iter().find(|(name, _)| name == function)?;
    Some(((export.name.path.clone(), name.clone()), signature.clone()))
}

type Fields = Vec<(String, Type)>;

fn record(list: Type) -> Option<Fields> {
    let Type::List(list) = list else { return None };
    let Type::Record(record) = list.ty() else { return None };
    Some(record.fields().map(|field| (field.name.to_owned(), field.ty)).collect())
}

fn history_of(signature: &ComponentFunc) -> Option<Fields> {
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    let [Type::U64, Type::U32] = params.as_slice() else { return None };
    match signature.results().next() {
        Some(Type::Result(result)) => record(result.ok()?),
        _ => None,
    }
}

fn taken_by(signature: &ComponentFunc) -> Option<Fields> {
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    match <[Type; 1]>::try_from(params) {
        Ok([list]) => record(list),
        Err(_) => None,
    }
}
