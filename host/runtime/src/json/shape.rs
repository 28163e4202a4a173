//! JSON text to the arguments of one function, without a tree of JSON in between: for functions that get many.
//!
//! A `Shape` is a type that was taken apart once. Types that events seldom have, and whatever does not fit, go the long
//! way through `from_json`, which alone decides what fits and says what does not.
//!
//! Invariant: where this accepts a text, `from_json` accepts it with the same value.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use super::from_json;

/// The parameters of a function.
pub struct Arguments {
    names: Vec<String>,
    types: Vec<Type>,
    shape: Shape,
}

enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    String,
    Enum(Vec<String>),
    List(Box<Shape>),
    Option(Box<Shape>),
    /// Fields, each with whether it may be left out.
    Record(Vec<(String, Shape)>),
    Other(Type),
}

impl Arguments {
    pub fn of(ty: &ComponentFunc) -> Self {
        let (names, types): (Vec<String>, Vec<Type>) = ty.params().map(|(name, ty)| (name.to_owned(), ty)).unzip();
        let shape = match types.as_slice() {
            [one] => Shape::of(one),
            several => Shape::Record(names.iter().cloned().zip(several.iter().map(Shape::of)).collect()),
        };
        Self { names, types, shape }
    }

    /// The arguments in `data`: a single one stands for itself, several are an object with their names.
    ///
    /// # Errors
    /// What does not fit the function.
    pub fn read(&self, data: &str) -> Result<Vec<Val>, String> {
        let mut json = serde_json::Deserializer::from_str(data);
        let read = self.shape.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        match (read, self.types.len()) {
            (Ok(one), 1) => Ok(vec![one]),
            (Ok(Val::Record(several)), _) => Ok(several.into_iter().map(|(_, value)| value).collect()),
            _ => self.read_slowly(data),
        }
    }

    #[cold]
    fn read_slowly(&self, data: &str) -> Result<Vec<Val>, String> {
        let json: Value = serde_json::from_str(data).map_err(|error| format!("it is no JSON: {error}"))?;
        if let [one] = self.types.as_slice() {
            return Ok(vec![from_json(&json, one).map_err(|error| error.to_string())?]);
        }
        let argument = |(name, ty): (&String, &Type)| {
            let argument = json.get(name).unwrap_or(&Value::Null);
            from_json(argument, ty).map_err(|error| format!("`{name}`: {error}"))
        };
        self.names.iter().zip(&self.types).map(argument).collect()
    }
}

impl Shape {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::Bool => Self::Bool,
            Type::S8 => Self::S8,
            Type::U8 => Self::U8,
            Type::S16 => Self::S16,
            Type::U16 => Self::U16,
            Type::S32 => Self::S32,
            Type::U32 => Self::U32,
            Type::S64 => Self::S64,
            Type::U64 => Self::U64,
            Type::String => Self::String,
            Type::Enum(names) => Self::Enum(names.names().map(str::to_owned).collect()),
            Type::List(list) => Self::List(Box::new(Self::of(&list.ty()))),
            // An option in an option is an object.
            Type::Option(option) if !matches!(option.ty(), Type::Option(_)) => {
                Self::Option(Box::new(Self::of(&option.ty())))
            }
            Type::Record(record) => {
                Self::Record(record.fields().map(|field| (field.name.to_owned(), Self::of(&field.ty))).collect())
            }
            other => Self::Other(other.clone()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Shape {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Val, D::Error> {
        Ok(match self {
            Shape::Bool => Val::Bool(bool::deserialize(json)?),
            Shape::S8 => Val::S8(i8::deserialize(json)?),
            Shape::U8 => Val::U8(u8::deserialize(json)?),
            Shape::S16 => Val::S16(i16::deserialize(json)?),
            Shape::U16 => Val::U16(u16::deserialize(json)?),
            Shape::S32 => Val::S32(i32::deserialize(json)?),
            Shape::U32 => Val::U32(u32::deserialize(json)?),
            Shape::S64 => Val::S64(i64::deserialize(json)?),
            Shape::U64 => Val::U64(u64::deserialize(json)?),
            Shape::String => Val::String(String::deserialize(json)?),
            Shape::Enum(names) => {
                let name = String::deserialize(json)?;
                if !names.contains(&name) {
                    return Err(D::Error::custom("no such case"));
                }
                Val::Enum(name)
            }
            Shape::List(items) => json.deserialize_seq(Items(items))?,
            Shape::Option(inner) => json.deserialize_option(Maybe(inner))?,
            Shape::Record(fields) => json.deserialize_map(Fields(fields))?,
            Shape::Other(ty) => from_json(&Value::deserialize(json)?, ty).map_err(D::Error::custom)?,
        })
    }
}

struct Items<'s>(&'s Shape);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Val, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.0)? {
            all.push(item);
        }
        Ok(Val::List(all))
    }
}

struct Maybe<'s>(&'s Shape);

impl<'de> Visitor<'de> for Maybe<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<Val, E> {
        Ok(Val::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Val, D::Error> {
        Ok(Val::Option(Some(Box::new(self.0.deserialize(json)?))))
    }
}

struct Fields<'s>(&'s [(String, Shape)]);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Val, A::Error> {
        let mut values: Vec<Option<Val>> = self.0.iter().map(|_| None).collect();
        while let Some(at) = entries.next_key_seed(FieldName(self.0))? {
            let (Some((_, shape)), Some(place @ None)) = (self.0.get(at), values.get_mut(at)) else {
                return Err(A::Error::custom("a field twice"));
            };
            *place = Some(entries.next_value_seed(shape)?);
        }
        let fields = self.0.iter().zip(values).map(|((name, shape), value)| match (value, shape) {
            (Some(value), _) => Ok((name.clone(), value)),
            (None, Shape::Option(_)) => Ok((name.clone(), Val::Option(None))),
            (None, _) => Err(A::Error::custom("no such field")),
        });
        fields.collect::<Result<_, _>>().map(Val::Record)
    }
}

/// Finds the position of a field without a copy of its name.
struct FieldName<'s>(&'s [(String, Shape)]);

impl<'de> DeserializeSeed<'de> for FieldName<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        self.0.iter().position(|(field, _)| field == name).ok_or_else(|| E::custom("an unknown field"))
    }
}
