//! Patterns for values: WAVE in which some parts are open.
//!
//! | written | stands for |
//! |---|---|
//! | `_` | any value |
//! | `$name` | any value. It is bound to `$name`; where the name appears again, the value must be the same |
//! | `[a, ..., z]` | a list with this beginning and this end |
//! | `{field: a, ...}` | a record; its other fields do not matter |
//! | `(a, ...)` | parameters; the others do not matter |
//!
//! Everything else is WAVE, as for `seam call`. A pattern is read for a type: one that no value of the type matches is
//! an error at its place.

mod parse;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use wasmtime::component::Val;
use wasmtime::component::types::Type;

pub use shown::{diff, lines, pretty};

/// The values of the names that are bound so far.
pub type Bindings = BTreeMap<String, Val>;

/// A mistake in a pattern, and its place in the text.
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
    /// With `rest`, any number of other items is between the two.
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
    /// When it is not such a pattern.
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

    /// Whether `value` matches. Names may be bound in `bound` even if it does not.
    pub fn matches(&self, value: &Val, bound: &mut Bindings) -> bool {
        let all = |patterns: &[Self], values: &[Val], bound: &mut Bindings| {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(p, v)| p.matches(v, bound))
        };
        let payload =
            |pattern: &Option<Box<Self>>, value: &Option<Box<Val>>, bound: &mut Bindings| match (pattern, value) {
                (Some(pattern), Some(value)) => pattern.matches(value, bound),
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
                    && patterns.iter().zip(values).all(|((a, p), (b, v))| a == b && p.matches(v, bound))
            }
            (Self::Variant(a, pattern), Val::Variant(b, value)) => a == b && payload(pattern, value, bound),
            (Self::Option(pattern), Val::Option(value)) => payload(pattern, value, bound),
            (Self::Result(Ok(pattern)), Val::Result(Ok(value))) => payload(pattern, value, bound),
            (Self::Result(Err(pattern)), Val::Result(Err(value))) => payload(pattern, value, bound),
            _ => false,
        }
    }

    /// Whether it has open parts without a name.
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

    /// The value of a pattern without open parts, if all its names are bound.
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
