//! Why bytes are not values, or values not bytes, and where.

use std::fmt;

use crate::limits;

/// What is wrong with one value or its bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the bytes end in the middle of a `{expected}`")]
    End { expected: &'static str },
    #[error("{bytes} bytes follow the last value")]
    Trailing { bytes: usize },
    #[error("the number is not in its shortest form")]
    Overlong,
    #[error("the number is out of the range of `{expected}`")]
    Range { expected: &'static str },
    #[error("{byte:#04x} is neither 0 nor 1")]
    Bool { byte: u8 },
    #[error("{code:#x} is not a unicode scalar value")]
    Char { code: u32 },
    #[error("{case} does not name one of the {cases} cases")]
    Case { case: u32, cases: usize },
    #[error("the string is not valid UTF-8")]
    Text,
    #[error("a bit is set that belongs to no flag")]
    Flags,
    #[error("{items} items do not fit into the {left} bytes that are left")]
    Items { items: u32, left: usize },
    #[error("the message is larger than {} bytes", limits::SEAM_MESSAGE_BYTES_MAX)]
    TooLarge,
    #[error("the message takes more than {} bytes as values", limits::CODEC_VALUES_BYTES_MAX)]
    TooManyValues,
    #[error("the type has more than {} levels", limits::SEAM_TYPE_DEPTH_MAX)]
    Depth,
    #[error("the function has more than {} types in its types", limits::CODEC_TYPES_MAX)]
    TooManyTypes,
    #[error("a `{ty}` cannot leave its host")]
    Unsupported { ty: &'static str },
    #[error("the value does not fit the type `{expected}`")]
    NotOfType { expected: &'static str },
    #[error("there are {values} values for {types} types")]
    Count { values: usize, types: usize },
    #[error("the type does not return a `result` whose error has a case `unavailable(string)`")]
    NoUnavailable,
    #[error("the message does not have the layout of this function")]
    Layout,
}

/// One step from a message to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A parameter or result, counted from 0.
    Value(usize),
    Field(Box<str>),
    /// An element of a tuple, counted from 0.
    Element(usize),
    /// An item of a list, counted from 0.
    Item(usize),
    /// The payload of this case: of a variant, `some` of an option, `ok` or `err` of a result.
    Case(Box<str>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(at) => write!(f, "value {}", at.saturating_add(1)),
            Self::Field(name) => write!(f, "field `{name}`"),
            Self::Element(at) => write!(f, "element {}", at.saturating_add(1)),
            Self::Item(at) => write!(f, "item {}", at.saturating_add(1)),
            Self::Case(name) => write!(f, "case `{name}`"),
        }
    }
}

/// A message that `codec` refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}, at byte {}", Path(&.0.path), .0.problem, .0.byte)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    problem: Problem,
    byte: usize,
    /// The innermost step first.
    path: Vec<Step>,
}

impl Error {
    /// `byte` counts from the start of the message.
    #[cold]
    pub fn new(problem: Problem, byte: usize) -> Self {
        Self(Box::new(Inner { problem, byte, path: Vec::new() }))
    }

    /// The same error, as the value sees it in which this step leads to the one with the problem.
    #[cold]
    pub fn within(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }

    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Where in the message, from its start.
    pub fn byte(&self) -> usize {
        self.0.byte
    }

    /// The way to the value, from the outermost step on.
    pub fn path(&self) -> impl Iterator<Item = &Step> {
        self.0.path.iter().rev()
    }
}

struct Path<'a>(&'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().rev().enumerate() {
            write!(f, "{}{step}", if at == 0 { "" } else { ", " })?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(": ") }
    }
}
