//! Scenarios as they are written in a file: what is given, which calls are made, what is expected then.
//!
//! Nothing here depends on the types of an interface; `check` compares scenarios with them. Every key:
//! `docs/scenarios.md`.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::manifest::Place;
pub use crate::manifest::table::At;
pub use read::{contract, suite};

/// One file of scenarios of one context.
#[derive(Debug, Clone)]
pub struct Suite {
    pub file: PathBuf,
    pub scenarios: Vec<Scenario>,
}

/// One file of rules and scenarios for every implementation of an interface.
#[derive(Debug, Clone)]
pub struct Contract {
    pub file: PathBuf,
    /// `namespace:package/interface@version`
    pub interface: At<String>,
    pub rules: Vec<Rule>,
    pub scenarios: Vec<Scenario>,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub place: Place,
    pub given: Given,
    pub when: Vec<Step>,
    pub then: Then,
}

/// The state before the first step.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Seconds since 1970, UTC.
    pub clock_s: u64,
    pub random: u64,
    /// Added to the manifest's configuration; replaces values of the same key.
    pub config: BTreeMap<String, String>,
    /// A SQLite file, relative to the scenario's folder. The context gets a copy.
    pub file: Option<PathBuf>,
    /// Statements that run on the context's own file.
    pub sql: Vec<At<String>>,
    /// Calls of the context's own functions, which must not fail.
    pub calls: Vec<At<String>>,
    pub stubs: Vec<Stub>,
    /// What is pretended of its calls: `orders->finance latency=5ms loss=1%`.
    pub pretended: Vec<At<String>>,
}

/// How a function of another context behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Stub {
    pub place: Place,
    /// `interface.function`; the interface short or in full.
    pub function: At<String>,
    /// The parameters to which it applies; without it, any.
    pub with: Option<At<String>>,
    pub reply: Reply,
    /// The time that the call takes.
    pub after: Duration,
    /// It applies to this number of calls; then the next fitting stub does.
    pub times: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answer(At<String>),
    Fails(FailureKind),
}

/// How a call fails without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    Absent,
    Trapped,
    TimedOut,
    Overloaded,
}

impl FailureKind {
    pub const ALL: [(&'static str, Self); 4] = [
        ("absent", Self::Absent),
        ("trapped", Self::Trapped),
        ("timed-out", Self::TimedOut),
        ("overloaded", Self::Overloaded),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, failing)| *failing == self).map_or("", |(name, _)| name)
    }
}

#[derive(Debug, Clone)]
pub struct Step {
    pub place: Place,
    pub what: Action,
    /// All calls that this step makes to other contexts, in order.
    pub asked: Option<Vec<At<String>>>,
    /// All events that this step publishes, in order.
    pub published: Option<Vec<At<String>>>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Call {
        text: At<String>,
        expect: Expect,
        timeout: Duration,
    },
    Request(Request),
    /// A step of a saga is performed, or undone.
    Perform {
        /// `kind.step(id)`
        text: At<String>,
        undo: bool,
        /// Counts from 1.
        attempt: u32,
        /// Why the saga is undone.
        cause: String,
        expect: Expect,
        timeout: Duration,
    },
    /// Time passes.
    Wait {
        seconds: u64,
    },
}

#[derive(Debug, Clone)]
pub enum Expect {
    /// Any answer of the context.
    Answer,
    Value(At<String>),
    Fails(FailureKind),
}

#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /path?query`
    pub line: At<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub status: Option<u64>,
    /// Texts that the body must contain, and texts that it must not contain.
    pub contains: Vec<At<String>>,
    pub lacks: Vec<At<String>>,
    /// The whole body, apart from texts `***` in JSON, which stand for any value.
    pub answer: Option<At<String>>,
    /// Expected headers of the response: names and values.
    pub response_headers: Vec<(String, At<String>)>,
    /// `$name` is bound to the text between these two texts of the body.
    pub take: Vec<(String, At<String>, At<String>)>,
    pub fails: Option<FailureKind>,
    pub timeout: Duration,
}

/// What is expected at the end.
#[derive(Debug, Clone, Default)]
pub struct Then {
    /// All calls to other contexts, in order.
    pub asked: Option<Vec<At<String>>>,
    /// All events, in order.
    pub published: Option<Vec<At<String>>>,
    pub rows: Vec<Rows>,
}

/// The expected rows of a SELECT on the context's own file.
#[derive(Debug, Clone)]
pub struct Rows {
    pub sql: At<String>,
    pub are: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Any,
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// What every answer of a function must satisfy, in every implementation.
#[derive(Debug, Clone)]
pub struct Rule {
    pub place: Place,
    pub function: At<String>,
    /// The parameters to which it applies; without it, any.
    pub with: Option<At<String>>,
    /// The answer is one of these, or `err(unavailable(_))`.
    pub answers: Vec<At<String>>,
    pub list: Option<ListRule>,
}

/// What the list in `ok([..])` must satisfy.
#[derive(Debug, Clone, Default)]
pub struct ListRule {
    /// A parameter that is a number: the list has at most so many items.
    pub at_most: Option<At<String>>,
    /// A parameter that is a list: both have the same length.
    pub as_long_as: Option<At<String>>,
    /// The field of its records that the rules below compare; without it, the items themselves.
    pub key: Option<At<String>>,
    /// A parameter that is a list: it contains every key, in this order.
    pub in_order_of: Option<At<String>>,
    /// A parameter that is a list: it contains every key.
    pub within: Option<At<String>>,
    /// A parameter that is a list: it contains no key.
    pub without: Option<At<String>>,
    /// No key appears twice.
    pub distinct: bool,
}
