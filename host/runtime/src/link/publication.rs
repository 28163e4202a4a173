//! Events interfaces: seams whose calls are delivered later. The host function behind an imported function writes the
//! call into the caller's outbox, or among its timers if it is due later; who exports the interface gets it when it is
//! committed and due.

use std::sync::Arc;

use seam_store::{Error, NewEvent};
use serde_json::Value;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{LinkerInstance, Val};

use crate::abi_copy::values::unavailable;
use crate::component::{Interface, InterfaceName};
use crate::did_you_mean::nearest;
use crate::guest::{Guest, store};
use crate::json::to_json;
use crate::settings::Publication;

/// What is wrong, and what to do about it.
type Wrong = (String, String);

/// Where the key of a function's events is, or their due time: the number of the argument, then fields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ValuePath {
    argument: usize,
    fields: Vec<String>,
}

/// Why the functions of `interface` cannot be delivered later, each reason with its remedy.
pub(super) fn problems(interface: &Interface, publication: &Publication) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (name, ty) in &interface.functions {
        let function = format!("{}.{name}", interface.name);
        if let Some(Type::Result(result)) = ty.results().next()
            && result.ok().is_some()
        {
            found.push((
                format!("`{function}` answers with a value, and an event is answered before anyone has handled it"),
                "let it return `result<_, error>`, or import the interface with `imports`".to_owned(),
            ));
        }
        if let Some(key) = &publication.key
            && let Err(why) = key_path(ty, key)
        {
            let none = "leave `key` out: the function has no text and no number to keep order by";
            found.push((format!("`{key}` is no key of `{function}`: {why}"), remedy(key, &paths(ty, is_key), none)));
        }
        if let Some(due) = &publication.due
            && let Err(why) = due_path(ty, due)
        {
            let none = "leave `due` out, or give the event a field with seconds since 1970, a `u64`";
            let message = format!("`{due}` is no due time of `{function}`: {why}");
            found.push((message, remedy(due, &paths(ty, is_time), none)));
        }
    }
    found
}

fn remedy(path: &str, possible: &[String], none: &str) -> String {
    match (nearest(path, possible.iter().map(String::as_str)), possible) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => none.to_owned(),
        (None, all) => format!("possible are {}", all.join(", ")),
    }
}

/// The paths to every value of the arguments that `fits`.
fn paths(ty: &ComponentFunc, fits: fn(&Type) -> bool) -> Vec<String> {
    fn visit(prefix: &str, ty: &Type, fits: fn(&Type) -> bool, found: &mut Vec<String>) {
        match ty {
            Type::Record(record) => {
                for field in record.fields() {
                    let path =
                        if prefix.is_empty() { field.name.to_owned() } else { format!("{prefix}.{}", field.name) };
                    visit(&path, &field.ty, fits, found);
                }
            }
            ty if fits(ty) => found.push(prefix.to_owned()),
            _ => {}
        }
    }
    let params: Vec<_> = ty.params().collect();
    let mut found = Vec::new();
    match params.as_slice() {
        [(_, record @ Type::Record(_))] => visit("", record, fits, &mut found),
        several => several.iter().for_each(|(name, ty)| visit(name, ty, fits, &mut found)),
    }
    found
}

/// Seconds since 1970; none: at once.
fn is_time(ty: &Type) -> bool {
    match ty {
        Type::U64 => true,
        Type::Option(option) => option.ty() == Type::U64,
        _ => false,
    }
}

fn is_key(ty: &Type) -> bool {
    matches!(
        ty,
        Type::String
            | Type::Char
            | Type::Bool
            | Type::Enum(_)
            | Type::S8
            | Type::U8
            | Type::S16
            | Type::U16
            | Type::S32
            | Type::U32
            | Type::S64
            | Type::U64
    )
}

fn key_path(ty: &ComponentFunc, key: &str) -> Result<ValuePath, String> {
    let (path, ty) = value_path(ty, key)?;
    if is_key(&ty) { Ok(path) } else { Err("it is neither a text nor a whole number".to_owned()) }
}

fn due_path(ty: &ComponentFunc, due: &str) -> Result<ValuePath, String> {
    let (path, ty) = value_path(ty, due)?;
    if is_time(&ty) { Ok(path) } else { Err("it is no `u64`, and no `option<u64>`".to_owned()) }
}

fn value_path(ty: &ComponentFunc, path: &str) -> Result<(ValuePath, Type), String> {
    let params: Vec<(&str, Type)> = ty.params().collect();
    let mut steps = path.split('.');
    // A single record is what the event is; its name says nothing.
    let (argument, mut at) = match params.as_slice() {
        [(_, record @ Type::Record(_))] => (0, record.clone()),
        several => {
            let first = steps.next().unwrap_or_default();
            let found = several.iter().position(|(name, _)| *name == first);
            let argument = found.ok_or_else(|| format!("the function has no argument `{first}`"))?;
            (argument, several.get(argument).map_or(Type::Bool, |(_, ty)| ty.clone()))
        }
    };
    let mut fields = Vec::new();
    for step in steps {
        let Type::Record(record) = &at else { return Err(format!("there is no record that has `{step}`")) };
        let field = record.fields().find(|field| field.name == step);
        at = field.ok_or_else(|| format!("there is no field `{step}`"))?.ty;
        fields.push(step.to_owned());
    }
    Ok((ValuePath { argument, fields }, at))
}

impl ValuePath {
    fn of<'v>(&self, params: &'v [Val]) -> Option<&'v Val> {
        let mut at = params.get(self.argument)?;
        for step in &self.fields {
            let Val::Record(fields) = at else { return None };
            at = fields.iter().find(|(name, _)| name == step).map(|(_, value)| value)?;
        }
        Some(at)
    }

    fn key_of(&self, params: &[Val]) -> Option<String> {
        match to_json(self.of(params)?) {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// Milliseconds since 1970.
    fn due_of(&self, params: &[Val]) -> Option<u64> {
        match self.of(params)? {
            Val::U64(seconds) => Some(seconds.saturating_mul(1_000)),
            Val::Option(Some(seconds)) => match **seconds {
                Val::U64(seconds) => Some(seconds.saturating_mul(1_000)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Defines the host function behind one function of an events interface: it is answered once the event is in the outbox
/// of the caller. Inside a transaction, the event is a part of it.
pub(super) fn link_function(
    instance: &mut LinkerInstance<'_, Guest>,
    interface: &InterfaceName,
    name: &str,
    ty: &ComponentFunc,
    publication: &Publication,
) -> wasmtime::Result<()> {
    let key = publication.key.as_deref().and_then(|key| key_path(ty, key).ok());
    let due = publication.due.as_deref().and_then(|due| due_path(ty, due).ok());
    let names: Vec<String> = ty.params().map(|(name, _)| name.to_owned()).collect();
    let (interface, function): (Arc<str>, Arc<str>) = (interface.to_string().into(), name.into());
    instance.func_new(name, move |mut cx, _ty, params, results| {
        let data = arguments_to_json(&names, params);
        let subject = key.as_ref().and_then(|key| key.key_of(params));
        let due_ms = due.as_ref().and_then(|due| due.due_of(params));
        let event = NewEvent {
            interface: &interface,
            function: &function,
            subject: subject.as_deref(),
            data: &data,
            ..NewEvent::default()
        };
        let published = store::publish(&mut cx, event, due_ms)?;
        if let Some(result) = results.first_mut() {
            *result = match published {
                Ok(()) => Val::Result(Ok(None)),
                Err(error) => refused(&error),
            };
        }
        Ok(())
    })
}

/// A single argument stands for itself, several are an object: what `json::Arguments` reads.
fn arguments_to_json(names: &[String], params: &[Val]) -> String {
    match params {
        [one] => to_json(one).to_string(),
        several => {
            let pairs = names.iter().cloned().zip(several.iter().map(to_json));
            Value::Object(pairs.collect()).to_string()
        }
    }
}

#[cold]
fn refused(error: &Error) -> Val {
    unavailable(&format!("the event was not published: {error}"))
}
