//! What a value is expected to be: WAVE, in which some places are left open.
//!
//! | written | stands for |
//! |---|---|
//! | `_` | any value |
//! | `$name` | any value, which is `$name` from then on: where it stands again, it has to be the same |
//! | `[a, ..., z]` | a list that begins and ends so |
//! | `{field: a, ...}` | a record of which the other fields do not matter |
//! | `(a, ...)` | parameters of which the others do not matter |
//!
//! Everything else is WAVE as `seam call` takes it. A pattern is made for a type, so one that no value could ever meet is refused when it
//! is read, with the place of the mistake.

mod parse;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use wasmtime::component::Val;
use wasmtime::component::types::Type;

pub use shown::{diff, lines, pretty};

/// What `$name` stands for so far.
pub type Bindings = BTreeMap<String, Val>;

/// What is wrong with a pattern, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub message: String,
    /// Bytes from the start of the text, the end exclusive.
    pub at: Range<usize>,
}

#[derive(Debug, Clone)]
pub enum Pattern {
    Any,
    Bind(String),
    Exact(Val),
    /// `rest` between the two: any number of others.
    List {
        first: Vec<Pattern>,
        rest: bool,
        last: Vec<Pattern>,
    },
    Tuple(Vec<Pattern>),
    /// Of every field, in the type's order.
    Record(Vec<(String, Pattern)>),
    Variant(String, Option<Box<Pattern>>),
    Option(Option<Box<Pattern>>),
    Result(Result<Option<Box<Pattern>>, Option<Box<Pattern>>>),
}

impl Pattern {
    /// Reads `text` as a pattern for values of `ty`.
    ///
    /// # Errors
    /// When it is none, with its place.
    pub fn of(text: &str, ty: &Type) -> Result<Self, Error> {
        parse::value(text, ty)
    }

    /// Reads `(a, b)` as patterns for parameters of these types.
    ///
    /// # Errors
    /// As `of`.
    pub fn params(text: &str, types: &[(String, Type)]) -> Result<Vec<Self>, Error> {
        parse::params(text, types)
    }

    /// Whether `value` is as expected; what it binds is in `bound` afterwards, also when it is not.
    pub fn meets(&self, value: &Val, bound: &mut Bindings) -> bool {
        let all = |patterns: &[Self], values: &[Val], bound: &mut Bindings| {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(p, v)| p.meets(v, bound))
        };
        let payload =
            |pattern: &Option<Box<Self>>, value: &Option<Box<Val>>, bound: &mut Bindings| match (pattern, value) {
                (Some(pattern), Some(value)) => pattern.meets(value, bound),
                (None, None) => true,
                _ => false,
            };
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Bind(name), value) => match bound.get(name) {
                Some(known) => known == value,
                None => {
                    bound.insert(name.clone(), value.clone());
                    true
                }
            },
            (Self::Exact(expected), value) => expected == value,
            (Self::List { first, rest: false, last }, Val::List(values)) => {
                let (a, b) = values.split_at(first.len().min(values.len()));
                all(first, a, bound) && all(last, b, bound)
            }
            (Self::List { first, rest: true, last }, Val::List(values)) => {
                let Some(middle) = values.len().checked_sub(first.len() + last.len()) else { return false };
                let (a, b) = values.split_at(first.len());
                let b = b.get(middle..).unwrap_or_default();
                all(first, a, bound) && all(last, b, bound)
            }
            (Self::Tuple(patterns), Val::Tuple(values)) => all(patterns, values, bound),
            (Self::Record(patterns), Val::Record(values)) => {
                patterns.len() == values.len()
                    && patterns.iter().zip(values).all(|((a, p), (b, v))| a == b && p.meets(v, bound))
            }
            (Self::Variant(a, pattern), Val::Variant(b, value)) => a == b && payload(pattern, value, bound),
            (Self::Option(pattern), Val::Option(value)) => payload(pattern, value, bound),
            (Self::Result(Ok(pattern)), Val::Result(Ok(value))) => payload(pattern, value, bound),
            (Self::Result(Err(pattern)), Val::Result(Err(value))) => payload(pattern, value, bound),
            _ => false,
        }
    }

    /// Whether it leaves something open that nothing binds.
    pub fn is_open(&self) -> bool {
        let payload = |inner: &Option<Box<Self>>| inner.as_deref().is_some_and(Self::is_open);
        match self {
            Self::Any | Self::List { rest: true, .. } => true,
            Self::Bind(_) | Self::Exact(_) => false,
            Self::List { first, last, .. } => first.iter().chain(last).any(Self::is_open),
            Self::Tuple(all) => all.iter().any(Self::is_open),
            Self::Record(fields) => fields.iter().any(|(_, pattern)| pattern.is_open()),
            Self::Variant(_, inner) | Self::Option(inner) | Self::Result(Ok(inner) | Err(inner)) => payload(inner),
        }
    }

    /// The value itself, of a pattern that leaves nothing open but what is bound by now.
    pub fn value(&self, bound: &Bindings) -> Option<Val> {
        let all = |patterns: &[Self]| patterns.iter().map(|p| p.value(bound)).collect::<Option<Vec<_>>>();
        let payload = |pattern: &Option<Box<Self>>| match pattern {
            None => Some(None),
            Some(pattern) => Some(Some(Box::new(pattern.value(bound)?))),
        };
        Some(match self {
            Self::Any | Self::List { rest: true, .. } => return None,
            Self::Bind(name) => bound.get(name)?.clone(),
            Self::Exact(value) => value.clone(),
            Self::List { first, last, .. } => Val::List([all(first)?, all(last)?].concat()),
            Self::Tuple(patterns) => Val::Tuple(all(patterns)?),
            Self::Record(fields) => {
                let field = |(name, pattern): &(String, Self)| Some((name.clone(), pattern.value(bound)?));
                Val::Record(fields.iter().map(field).collect::<Option<_>>()?)
            }
            Self::Variant(case, pattern) => Val::Variant(case.clone(), payload(pattern)?),
            Self::Option(pattern) => Val::Option(payload(pattern)?),
            Self::Result(Ok(pattern)) => Val::Result(Ok(payload(pattern)?)),
            Self::Result(Err(pattern)) => Val::Result(Err(payload(pattern)?)),
        })
    }
}
