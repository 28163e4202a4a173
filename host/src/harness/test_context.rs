//! The stage for tests in Rust: a context alone, called step by step, with the same patterns and stubs as in files.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::component::Val;

use super::Error;
use super::check::{Call, Checker, ReadyStub};
use super::fixture::{Stage, Start};
use super::functions::Known;
use super::pattern::{self, Bindings, Pattern};
use super::rules::Rules;
use super::scenario::{At, Cell, Failing, Given, Reply, Scenario, Stub, Then};
use crate::call::Failure;
use crate::context::solo::Solo;
use crate::limits;
use crate::manifest::{Place, Problem};

/// What a context is given before it is called.
pub struct Builder {
    solo: Solo,
    known: Known,
    imported: Rules,
    exported: Rules,
    given: Given,
}

/// A context on stage.
pub struct Actor {
    stage: Stage,
    known: Known,
    exported: Rules,
    /// Calls to others that have been looked at.
    looked: usize,
}

/// What a call came to.
#[derive(Debug)]
pub struct Answer {
    outcome: Result<Option<Val>, Failure>,
    result: Option<wasmtime::component::types::Type>,
    call: String,
}

fn at(text: &str) -> At<String> {
    At { value: text.to_owned(), place: Place::default() }
}

fn wrong(problems: Vec<Problem>) -> Error {
    let told: Vec<String> = problems.into_iter().map(|p| format!("{} ({})", p.message, p.remedy)).collect();
    Error::Stage { message: told.join("\n") }
}

impl Builder {
    pub(super) fn new(solo: Solo, known: Known, imported: Rules, exported: Rules) -> Self {
        Self { solo, known, imported, exported, given: Given::default() }
    }

    /// What the clock shows, in seconds since 1970, UTC.
    #[must_use]
    pub fn clock(mut self, seconds: u64) -> Self {
        self.given.clock_s = seconds;
        self
    }

    /// What the random numbers follow from.
    #[must_use]
    pub fn random(mut self, seed: u64) -> Self {
        self.given.random = seed;
        self
    }

    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.given.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Statements that are run on its file first.
    #[must_use]
    pub fn sql(mut self, sql: &str) -> Self {
        self.given.sql.push(at(sql));
        self
    }

    /// `interface.function` of somebody else answers this, in WAVE.
    #[must_use]
    pub fn stub(self, function: &str, answer: &str) -> Self {
        self.with(function, None, Reply::Answer(at(answer)))
    }

    /// The same for calls with these parameters, `(a, b)`.
    #[must_use]
    pub fn stub_for(self, function: &str, params: &str, answer: &str) -> Self {
        self.with(function, Some(params), Reply::Answer(at(answer)))
    }

    /// It comes to no answer.
    #[must_use]
    pub fn failing(self, function: &str, failing: Failing) -> Self {
        self.with(function, None, Reply::Fails(failing))
    }

    fn with(mut self, function: &str, params: Option<&str>, reply: Reply) -> Self {
        let (function, with) = (at(function), params.map(at));
        let stub = Stub { place: Place::default(), function, with, reply, after: Duration::ZERO, times: None };
        self.given.stubs.push(stub);
        self
    }

    /// Puts it on stage.
    ///
    /// # Errors
    /// When something given is not of its types, or it does not start.
    pub fn start(self) -> Result<Actor, Error> {
        let Self { solo, known, imported, exported, given } = self;
        let (name, place) = (String::new(), Place::default());
        let scenario = Scenario { name, place, given, when: Vec::new(), then: Then::default() };
        let mut checker = Checker::new(&known);
        let ready = checker.scenario(&scenario);
        let ready = ready.ok_or_else(|| wrong(std::mem::take(&mut checker.problems)))?;
        let given = &scenario.given;
        let mut config: BTreeMap<String, String> = solo.part().entry.config.clone();
        config.extend(given.config.clone());
        let stubs: &[ReadyStub] = &ready.stubs;
        let start = Start { clock_s: given.clock_s, random: given.random, config: &config, file: None, stubs };
        let told = |message: String| Error::Stage { message };
        let stage = Stage::start(&solo, &known, &imported, &start, None).map_err(|error| told(error.to_string()))?;
        for sql in &given.sql {
            stage.sql(&sql.value).map_err(told)?;
        }
        Ok(Actor { stage, known, exported, looked: 0 })
    }
}

impl Actor {
    /// Calls `interface.function(args)`; `$name` is what an answer has bound.
    ///
    /// # Errors
    /// When the text is not understood; when it asks somebody for whom there is no stub; when an answer, its own or a stub's, breaks a
    /// contract. That it gave no answer is in the answer.
    pub fn call(&mut self, text: &str) -> Result<Answer, Error> {
        let mut checker = Checker::new(&self.known);
        let call: Option<Call> = checker.call(&at(text));
        let call = call.ok_or_else(|| wrong(std::mem::take(&mut checker.problems)))?;
        let told = |message: String| Error::Stage { message };
        let params = self.stage.params(&call).map_err(told)?;
        let outcome = self.stage.call(&call, Duration::from_millis(limits::CALL_TIMEOUT_MS)).map_err(told)?;
        let mut trouble = self.stage.trouble();
        let function = self.known.exports.get(call.export);
        if let (Some(f), Ok(Some(answer))) = (function, &outcome) {
            trouble.extend(self.exported.broken_by(&f.interface, &f.name, &params, answer));
        }
        match trouble.is_empty() {
            true => Ok(Answer { outcome, result: function.and_then(|f| f.result.clone()), call: text.to_owned() }),
            false => Err(told(trouble.join("\n"))),
        }
    }

    /// Holds an answer to a pattern; what it binds can be used in later calls.
    ///
    /// # Errors
    /// With a diff, when it is another.
    pub fn check(&mut self, answer: &Answer, expected: &str) -> Result<(), Error> {
        let mut bound = self.stage.bound.clone();
        answer.check(expected, &mut bound)?;
        self.stage.bound = bound;
        Ok(())
    }

    /// `call` and `check` in one.
    ///
    /// # Errors
    /// As these.
    pub fn expect(&mut self, call: &str, expected: &str) -> Result<(), Error> {
        let answer = self.call(call)?;
        self.check(&answer, expected)
    }

    /// The calls that it has made to others since this was last asked, as they would be written.
    pub fn asked(&mut self) -> Vec<String> {
        let made = self.stage.made();
        let new = made.get(self.looked..).unwrap_or_default().iter().map(super::stubs::Made::text).collect();
        self.looked = made.len();
        new
    }

    /// The rows of a SELECT on its file.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Cell>>, Error> {
        self.stage.rows(sql).map_err(|message| Error::Stage { message })
    }

    /// Lets time pass.
    pub fn wait(&self, time: Duration) {
        self.stage.wait(time);
    }
}

impl Answer {
    /// The value, or why there is none.
    pub fn outcome(&self) -> Result<Option<&Val>, &Failure> {
        self.outcome.as_ref().map(Option::as_ref)
    }

    fn check(&self, expected: &str, bound: &mut Bindings) -> Result<(), Error> {
        let told = |message: String| Err(Error::Stage { message });
        let (value, ty) = match (&self.outcome, &self.result) {
            (Err(failure), _) => return told(format!("{} has no answer: {failure}", self.call)),
            (Ok(Some(value)), Some(ty)) => (value, ty),
            _ => return told(format!("{} returns nothing", self.call)),
        };
        let pattern = match Pattern::of(expected, ty) {
            Ok(pattern) => pattern,
            Err(error) => return told(format!("`{expected}`: {error}")),
        };
        let before = bound.clone();
        match pattern.meets(value, bound) {
            true => Ok(()),
            false => told(format!("{} answers otherwise\n{}", self.call, pattern::diff(&pattern, value, &before))),
        }
    }
}
