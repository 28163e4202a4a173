//! JSON to component values. A value that does not fit is reported with its path and the expected type.

use std::fmt;

use crate::did_you_mean::nearest;
use serde_json::{Map, Value};
use wasmtime::component::Val;
use wasmtime::component::types::{self, Type};

use super::text;

/// A value that is not of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The path from the row to the value: `price.minor-units`, `skus[3]`; empty for the row itself.
    pub path: String,
    /// What the type needs there.
    pub expected: String,
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "expected {}, found {}", self.expected, self.found),
            path => write!(f, "`{path}`: expected {}, found {}", self.expected, self.found),
        }
    }
}

/// `json` as a value of type `ty`.
///
/// # Errors
/// The first value that does not fit.
pub fn from_json(json: &Value, ty: &Type) -> Result<Val, Mismatch> {
    Reader { cells: false, path: Vec::new() }.value(json, ty)
}

/// A CSV row as a record of type `ty`. A column `price.currency` is the field `currency` of the record `price`. Numbers
/// and booleans are written as they are, an empty cell of an `option` is `none`, and lists, variants and similar values
/// are JSON in their cell.
///
/// # Errors
/// The first value that does not fit.
pub fn from_cells<'c>(cells: impl IntoIterator<Item = (&'c str, &'c str)>, ty: &Type) -> Result<Val, Mismatch> {
    let mut row = Map::new();
    for (column, cell) in cells {
        let mut at = &mut row;
        let mut parts = column.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                if at.insert(part.to_owned(), Value::from(cell)).is_some() {
                    let expected = format!("one column `{column}`");
                    return Err(Mismatch { path: column.into(), expected, found: "another of this name".into() });
                }
                break;
            }
            let inner = at.entry(part.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => at = inner,
                _ => {
                    let expected = format!("either a column `{part}` or columns `{part}.…`");
                    return Err(Mismatch { path: column.into(), expected, found: "both".into() });
                }
            }
        }
    }
    Reader { cells: true, path: Vec::new() }.value(&Value::Object(row), ty)
}

enum Step {
    Field(String),
    Item(usize),
}

struct Reader {
    /// Whether strings are cells of a table: other types are read from their text.
    cells: bool,
    path: Vec<Step>,
}

impl Reader {
    fn wrong<T>(&self, expected: impl Into<String>, found: &Value) -> Result<T, Mismatch> {
        let shown: String = match found {
            Value::Object(_) => "an object".into(),
            Value::Array(items) => format!("an array of {}", items.len()),
            Value::String(text) if text.chars().count() > 40 => {
                format!("\"{}…\"", text.chars().take(40).collect::<String>())
            }
            other => other.to_string(),
        };
        self.wrong_as(expected, shown)
    }

    fn wrong_as<T>(&self, expected: impl Into<String>, found: impl Into<String>) -> Result<T, Mismatch> {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Item(at) => path.push_str(&format!("[{at}]")),
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.push_str(&format!(".{name}")),
            }
        }
        Err(Mismatch { path, expected: expected.into(), found: found.into() })
    }

    fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
        self.path.push(step);
        let read = read(self);
        self.path.pop();
        read
    }

    fn value(&mut self, json: &Value, ty: &Type) -> Result<Val, Mismatch> {
        if let (true, Value::String(cell)) = (self.cells, json) {
            return self.cell(cell, ty);
        }
        Ok(match ty {
            Type::Bool => match json {
                Value::Bool(b) => Val::Bool(*b),
                _ => return self.wrong("true or false", json),
            },
            Type::S8 => Val::S8(self.integer(json, "s8")?),
            Type::U8 => Val::U8(self.integer(json, "u8")?),
            Type::S16 => Val::S16(self.integer(json, "s16")?),
            Type::U16 => Val::U16(self.integer(json, "u16")?),
            Type::S32 => Val::S32(self.integer(json, "s32")?),
            Type::U32 => Val::U32(self.integer(json, "u32")?),
            Type::S64 => Val::S64(self.integer(json, "s64")?),
            Type::U64 => Val::U64(self.integer(json, "u64")?),
            Type::Float32 => Val::Float32(self.float32(json)?),
            Type::Float64 => Val::Float64(self.float(json)?),
            Type::Char => match json.as_str().map(|text| (text.chars().next(), text.chars().nth(1))) {
                Some((Some(c), None)) => Val::Char(c),
                _ => return self.wrong("a string of one character", json),
            },
            Type::String => match json {
                Value::String(text) => Val::String(text.clone()),
                _ => return self.wrong("a string", json),
            },
            Type::List(list) => Val::List(self.items(json, &list.ty())?),
            Type::FixedLengthList(list) => {
                let items = self.items(json, &list.ty())?;
                if u32::try_from(items.len()).ok() != Some(list.len()) {
                    return self.wrong(format!("an array of {}", list.len()), json);
                }
                Val::FixedLengthList(items)
            }
            Type::Tuple(tuple) => {
                let types: Vec<Type> = tuple.types().collect();
                match json.as_array().filter(|items| items.len() == types.len()) {
                    Some(items) => {
                        let pairs = items.iter().zip(&types).enumerate();
                        let read = |(at, (item, ty))| self.within(Step::Item(at), |r| r.value(item, ty));
                        Val::Tuple(pairs.map(read).collect::<Result<_, _>>()?)
                    }
                    None => return self.wrong(format!("an array of {}", types.len()), json),
                }
            }
            Type::Record(record) => self.record(json, record)?,
            Type::Variant(variant) => self.variant(json, variant)?,
            Type::Enum(names) => self.enumerated(json, names)?,
            Type::Option(option) => match (json, option.ty()) {
                (Value::Null, _) => Val::Option(None),
                (json, inner @ Type::Option(_)) => {
                    match json.as_object().filter(|o| o.len() == 1).and_then(|o| o.get("some")) {
                        Some(json) => Val::Option(Some(Box::new(
                            self.within(Step::Field("some".into()), |r| r.value(json, &inner))?,
                        ))),
                        None => return self.wrong("null or `{\"some\": …}`", json),
                    }
                }
                (json, inner) => Val::Option(Some(Box::new(self.value(json, &inner)?))),
            },
            Type::Result(result) => self.result(json, result)?,
            Type::Flags(flags) => self.flags(json, flags)?,
            Type::Map(_) | Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
                return self.wrong("nothing: JSON cannot express values of this type", json);
            }
        })
    }

    /// A cell of a table, which has no quotes.
    fn cell(&mut self, cell: &str, ty: &Type) -> Result<Val, Mismatch> {
        let text = Value::from(cell);
        let as_json = |cell: &str| match text::parse(cell.trim().as_bytes()) {
            // It is JSON, but says two things.
            Err(error) if error.is_data() => self.wrong_as("each key once", text::message(&error)).map(Some),
            read => Ok(read.ok()),
        };
        match ty {
            Type::Option(_) if cell.is_empty() => Ok(Val::Option(None)),
            Type::Option(option) if !matches!(option.ty(), Type::Option(_)) => {
                Ok(Val::Option(Some(Box::new(self.cell(cell, &option.ty())?))))
            }
            Type::Float32 | Type::Float64 if matches!(cell.trim(), "nan" | "inf" | "-inf") => {
                self.plain(&Value::from(cell.trim()), ty)
            }
            Type::String | Type::Char | Type::Enum(_) => self.plain(&text, ty),
            Type::Variant(_) => match as_json(cell)? {
                Some(json @ (Value::Object(_) | Value::String(_))) => self.plain(&json, ty),
                _ => self.plain(&text, ty),
            },
            // If the cell is not JSON, the mismatch says what the type needs.
            _ => {
                let json = as_json(cell)?.unwrap_or(text);
                self.plain(&json, ty)
            }
        }
    }

    /// Reads values inside a cell as plain JSON.
    fn plain(&mut self, json: &Value, ty: &Type) -> Result<Val, Mismatch> {
        self.cells = false;
        let read = self.value(json, ty);
        self.cells = true;
        read
    }

    fn integer<N: TryFrom<i128>>(&self, json: &Value, name: &str) -> Result<N, Mismatch> {
        let exact = match json {
            Value::Number(n) => n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from)),
            _ => None,
        };
        match exact.and_then(|n| N::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => self.wrong(format!("a whole number that fits `{name}`"), json),
        }
    }

    fn float(&self, json: &Value) -> Result<f64, Mismatch> {
        match json {
            Value::Number(n) => n.as_f64().map_or_else(|| self.wrong("a number", json), Ok),
            Value::String(text) if text == "nan" => Ok(f64::NAN),
            Value::String(text) if text == "inf" => Ok(f64::INFINITY),
            Value::String(text) if text == "-inf" => Ok(f64::NEG_INFINITY),
            _ => self.wrong("a number", json),
        }
    }

    fn float32(&self, json: &Value) -> Result<f32, Mismatch> {
        let wide = self.float(json)?;
        // Rounding is what floats do; turning a finite number into infinity is not.
        let narrow = wide as f32;
        if wide.is_finite() && narrow.is_infinite() { self.wrong("a number that fits `f32`", json) } else { Ok(narrow) }
    }

    fn items(&mut self, json: &Value, ty: &Type) -> Result<Vec<Val>, Mismatch> {
        let Value::Array(items) = json else { return self.wrong("an array", json) };
        let read = |(at, item)| self.within(Step::Item(at), |r| r.value(item, ty));
        items.iter().enumerate().map(read).collect()
    }

    fn record(&mut self, json: &Value, record: &types::Record) -> Result<Val, Mismatch> {
        let Value::Object(given) = json else { return self.wrong("an object", json) };
        let mut fields = Vec::with_capacity(record.fields().len());
        for field in record.fields() {
            let value = match (given.get(field.name), &field.ty) {
                (Some(json), ty) => self.within(Step::Field(field.name.to_owned()), |r| r.value(json, ty))?,
                (None, Type::Option(_)) => Val::Option(None),
                (None, _) => return self.wrong_as(format!("a field `{}`", field.name), "none"),
            };
            fields.push((field.name.to_owned(), value));
        }
        if let Some(unknown) = given.keys().find(|key| record.fields().all(|field| field.name != key.as_str())) {
            let names: Vec<&str> = record.fields().map(|field| field.name).collect();
            let expected = match nearest(unknown, names.iter().copied()) {
                Some(near) => format!("the field `{near}`"),
                None => format!("only the fields {}", names.join(", ")),
            };
            return self.wrong_as(expected, format!("`{unknown}`"));
        }
        Ok(Val::Record(fields))
    }

    /// `"case"` or `{"case": payload}`.
    fn case<'j>(&self, json: &'j Value) -> Option<(&'j str, Option<&'j Value>)> {
        match json {
            Value::String(case) => Some((case, None)),
            Value::Object(object) if object.len() == 1 => {
                object.iter().next().map(|(case, json)| (case.as_str(), Some(json)))
            }
            _ => None,
        }
    }

    fn variant(&mut self, json: &Value, variant: &types::Variant) -> Result<Val, Mismatch> {
        let names = || variant.cases().map(|case| format!("`{}`", case.name)).collect::<Vec<_>>().join(", ");
        let Some((name, payload)) = self.case(json) else {
            return self.wrong(format!("one of the cases {}", names()), json);
        };
        let Some(case) = variant.cases().find(|case| case.name == name) else {
            return self.wrong_as(format!("one of the cases {}", names()), format!("`{name}`"));
        };
        match (case.ty, payload) {
            (None, None | Some(Value::Null)) => Ok(Val::Variant(name.to_owned(), None)),
            (Some(ty), Some(payload)) => {
                let payload = self.within(Step::Field(name.to_owned()), |r| r.value(payload, &ty))?;
                Ok(Val::Variant(name.to_owned(), Some(Box::new(payload))))
            }
            (Some(_), None) => {
                self.wrong_as(format!("`{{\"{name}\": …}}`, because `{name}` has a payload"), format!("\"{name}\""))
            }
            (None, Some(_)) => self.wrong_as(format!("\"{name}\" alone, because `{name}` has no payload"), "an object"),
        }
    }

    fn enumerated(&mut self, json: &Value, names: &types::Enum) -> Result<Val, Mismatch> {
        match json.as_str().filter(|name| names.names().any(|known| known == *name)) {
            Some(name) => Ok(Val::Enum(name.to_owned())),
            None => {
                let known = names.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                self.wrong(format!("one of {known}"), json)
            }
        }
    }

    fn result(&mut self, json: &Value, result: &types::ResultType) -> Result<Val, Mismatch> {
        let mut payload = |name: &str, json: Option<&Value>, ty: Option<Type>| match (ty, json) {
            (None, None | Some(Value::Null)) => Ok(None),
            (Some(ty), Some(json)) => {
                self.within(Step::Field(name.to_owned()), |r| r.value(json, &ty)).map(|val| Some(Box::new(val)))
            }
            (Some(_), None) => self.wrong_as(format!("`{{\"{name}\": …}}`"), format!("\"{name}\"")),
            (None, Some(json)) => self.wrong("null", json),
        };
        let case = match json {
            Value::String(case) => Some((case.as_str(), None)),
            Value::Object(object) if object.len() == 1 => {
                object.iter().next().map(|(case, json)| (case.as_str(), Some(json)))
            }
            _ => None,
        };
        match case {
            Some(("ok", json)) => Ok(Val::Result(Ok(payload("ok", json, result.ok())?))),
            Some(("err", json)) => Ok(Val::Result(Err(payload("err", json, result.err())?))),
            _ => self.wrong("`{\"ok\": …}` or `{\"err\": …}`", json),
        }
    }

    fn flags(&mut self, json: &Value, flags: &types::Flags) -> Result<Val, Mismatch> {
        let Value::Array(items) = json else { return self.wrong("an array of flags", json) };
        let mut set: Vec<String> = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match item.as_str().filter(|name| flags.names().any(|known| known == *name)) {
                Some(name) if !set.iter().any(|s| s == name) => set.push(name.to_owned()),
                Some(_) => return self.within(Step::Item(at), |r| r.wrong("each flag once", item)),
                None => {
                    let known = flags.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    return self.within(Step::Item(at), |r| r.wrong(format!("one of {known}"), item));
                }
            }
        }
        Ok(Val::Flags(set))
    }
}
