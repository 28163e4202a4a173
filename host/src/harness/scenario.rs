//! Scenarios as they stand in a file: given what, when something is called, then what.
//!
//! Here everything that does not depend on types; `check` holds it to the interfaces of a component. Every key: `docs/scenarios.md`.

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

/// One file of what every implementation of an interface does.
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

/// What there is before anything is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Seconds since 1970, UTC.
    pub clock_s: u64,
    pub random: u64,
    /// Beside what the manifest says, or in its place.
    pub config: BTreeMap<String, String>,
    /// A SQLite file beside the scenario's: its copy is the context's own.
    pub file: Option<PathBuf>,
    /// Statements that are run on the context's own file.
    pub sql: Vec<At<String>>,
    /// Calls of the context's own functions, which must not fail.
    pub calls: Vec<At<String>>,
    pub stubs: Vec<Stub>,
}

/// How somebody whom the context asks behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Stub {
    pub place: Place,
    /// `interface.function`, or the interface's full name in front.
    pub function: At<String>,
    /// The parameters it is for; any when there are none.
    pub with: Option<At<String>>,
    pub reply: Reply,
    /// It takes so long.
    pub after: Duration,
    /// It is for so many calls, then the next one that fits.
    pub times: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answer(At<String>),
    Fails(Failing),
}

/// How a call comes to no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    Absent,
    Trapped,
    TimedOut,
    Overloaded,
}

impl Failing {
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
    pub what: What,
    /// The calls that this step makes to others, all of them, in order.
    pub asked: Option<Vec<At<String>>>,
}

#[derive(Debug, Clone)]
pub enum What {
    Call {
        text: At<String>,
        expect: Expect,
        timeout: Duration,
    },
    Request(Request),
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
    Fails(Failing),
}

#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /path?query`
    pub line: At<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub status: Option<u64>,
    /// Texts that the body has, and texts that it has not.
    pub contains: Vec<At<String>>,
    pub lacks: Vec<At<String>>,
    /// Names and values of headers of the response.
    pub response_headers: Vec<(String, At<String>)>,
    /// `$name` becomes what stands between the two texts in the body.
    pub take: Vec<(String, At<String>, At<String>)>,
    pub fails: Option<Failing>,
    pub timeout: Duration,
}

/// What has to be so at the end.
#[derive(Debug, Clone, Default)]
pub struct Then {
    /// All calls to others, in order.
    pub asked: Option<Vec<At<String>>>,
    pub rows: Vec<Rows>,
}

/// What a SELECT on the context's own file finds.
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

/// What holds for every answer of a function, whoever gives it.
#[derive(Debug, Clone)]
pub struct Rule {
    pub place: Place,
    pub function: At<String>,
    /// The parameters it is for; any when there are none.
    pub with: Option<At<String>>,
    /// The answer is one of these; `err(unavailable(_))` always may be.
    pub answers: Vec<At<String>>,
    pub list: Option<ListRule>,
}

/// What holds for the list in `ok([..])`.
#[derive(Debug, Clone, Default)]
pub struct ListRule {
    /// A parameter: the list is no longer than this number.
    pub at_most: Option<At<String>>,
    /// A parameter that is a list: as many as there.
    pub as_long_as: Option<At<String>>,
    /// A field of its records, for what follows; the items themselves when there is none.
    pub key: Option<At<String>>,
    /// A parameter that is a list: every key is in it, in its order.
    pub in_order_of: Option<At<String>>,
    /// A parameter that is a list: every key is in it.
    pub within: Option<At<String>>,
    /// A parameter that is a list: no key is in it.
    pub without: Option<At<String>>,
    /// No key stands twice.
    pub distinct: bool,
}
