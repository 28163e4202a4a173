//! Component values as JSON.

use serde_json::{Map, Number, Value};
use wasmtime::component::Val;

/// `value` as JSON. Resources and others without a value are `null`.
pub fn to_json(value: &Val) -> Value {
    match value {
        Val::Bool(b) => Value::Bool(*b),
        Val::S8(n) => Value::from(*n),
        Val::U8(n) => Value::from(*n),
        Val::S16(n) => Value::from(*n),
        Val::U16(n) => Value::from(*n),
        Val::S32(n) => Value::from(*n),
        Val::U32(n) => Value::from(*n),
        Val::S64(n) => Value::from(*n),
        Val::U64(n) => Value::from(*n),
        // Through text: 0.1 as f32 becomes 0.1, not 0.10000000149011612.
        Val::Float32(n) => n.to_string().parse().map_or_else(|_| float(f64::from(*n)), float),
        Val::Float64(n) => float(*n),
        Val::Char(c) => Value::String(c.to_string()),
        Val::String(text) => Value::String(text.clone()),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => items.iter().map(to_json).collect(),
        Val::Record(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
        }
        Val::Variant(case, None) | Val::Enum(case) => Value::String(case.clone()),
        Val::Variant(case, Some(payload)) => single(case, to_json(payload)),
        Val::Option(None) => Value::Null,
        Val::Option(Some(inner)) => match to_json(inner) {
            // `some(none)` is not `none`.
            json if matches!(**inner, Val::Option(_)) => single("some", json),
            json => json,
        },
        Val::Result(Ok(payload)) => single("ok", payload.as_deref().map_or(Value::Null, to_json)),
        Val::Result(Err(payload)) => single("err", payload.as_deref().map_or(Value::Null, to_json)),
        Val::Flags(names) => names.iter().cloned().map(Value::String).collect(),
        Val::Map(_) | Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => Value::Null,
    }
}

fn single(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn float(n: f64) -> Value {
    match Number::from_f64(n) {
        Some(number) => Value::Number(number),
        None if n.is_nan() => Value::from("nan"),
        None if n > 0.0 => Value::from("inf"),
        None => Value::from("-inf"),
    }
}
