//! Scenarios as tests in Rust: a context alone, called step by step, with the same patterns and stubs as in files.

use std::collections::BTreeMap;
use std::time::Duration;

use seam_runtime::alone::fixture::Fixture;
use seam_runtime::call::Failure;
use wasmtime::component::Val;

use super::check::{Call, Checker, StepCall, TypedStub};
use super::error::Error;
use super::functions::Functions;
use super::pattern::{self, Bindings, Pattern};
use super::rules::Rules;
use super::scenario::{At, Cell, FailureKind, Given, Reply, Scenario, Stub, Then};
use super::scenario_run::{RunSetup, ScenarioRun};
use crate::limits;
use crate::manifest::{Place, Problem};

/// Collects what a context is given before its first call.
pub struct FixtureBuilder {
    fixture: Fixture,
    functions: Functions,
    imported: Rules,
    exported: Rules,
    given: Given,
}

/// A context that a test calls.
pub struct TestContext {
    run: ScenarioRun,
    functions: Functions,
    exported: Rules,
    /// The position of the last event that `published` has returned.
    taken: u64,
    /// Calls to other contexts that `asked` has returned.
    returned: usize,
}

/// The result of a call, or why it has none.
#[derive(Debug)]
pub struct CallOutcome {
    outcome: Result<Option<Val>, Failure>,
    result: Option<wasmtime::component::types::Type>,
    call: String,
}

fn at(text: &str) -> At<String> {
    At { value: text.to_owned(), place: Place::default() }
}

fn wrong(problems: Vec<Problem>) -> Error {
    let lines: Vec<String> = problems.into_iter().map(|p| format!("{} ({})", p.message, p.remedy)).collect();
    Error::Fixture { message: lines.join("\n") }
}

impl FixtureBuilder {
    pub(super) fn new(fixture: Fixture, functions: Functions, imported: Rules, exported: Rules) -> Self {
        Self { fixture, functions, imported, exported, given: Given::default() }
    }

    /// The time of the context's clock, in seconds since 1970, UTC.
    #[must_use]
    pub fn clock(mut self, seconds: u64) -> Self {
        self.given.clock_s = seconds;
        self
    }

    /// The seed of the context's random numbers.
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

    /// Statements that run on its file first.
    #[must_use]
    pub fn sql(mut self, sql: &str) -> Self {
        self.given.sql.push(at(sql));
        self
    }

    /// `interface.function` of another context returns `answer`, in WAVE.
    #[must_use]
    pub fn stub(self, function: &str, answer: &str) -> Self {
        self.with(function, None, Reply::Answer(at(answer)))
    }

    /// As `stub`, for calls with the parameters `params`, `(a, b)`.
    #[must_use]
    pub fn stub_for(self, function: &str, params: &str, answer: &str) -> Self {
        self.with(function, Some(params), Reply::Answer(at(answer)))
    }

    /// `interface.function` of another context fails.
    #[must_use]
    pub fn failing(self, function: &str, failing: FailureKind) -> Self {
        self.with(function, None, Reply::Fails(failing))
    }

    /// Pretends that calls of the context cross hosts: `orders->finance latency=5ms loss=1% seed=7`.
    #[must_use]
    pub fn pretend(mut self, text: &str) -> Self {
        self.given.pretended.push(at(text));
        self
    }

    fn with(mut self, function: &str, params: Option<&str>, reply: Reply) -> Self {
        let (function, with) = (at(function), params.map(at));
        let stub = Stub { place: Place::default(), function, with, reply, after: Duration::ZERO, times: None };
        self.given.stubs.push(stub);
        self
    }

    /// Starts the context.
    ///
    /// # Errors
    /// When a given value does not fit its type, or the context does not start.
    pub fn start(self) -> Result<TestContext, Error> {
        let Self { fixture, functions, imported, exported, given } = self;
        let (name, place) = (String::new(), Place::default());
        let scenario = Scenario { name, place, given, when: Vec::new(), then: Then::default() };
        let mut checker = Checker::new(&functions);
        let typed = checker.scenario(&scenario);
        let typed = typed.ok_or_else(|| wrong(std::mem::take(&mut checker.problems)))?;
        let given = &scenario.given;
        let mut config: BTreeMap<String, String> = fixture.spec().settings.config.clone();
        config.extend(given.config.clone());
        let stubs: &[TypedStub] = &typed.stubs;
        let (clock_s, random, pretended) = (given.clock_s, given.random, typed.pretended.as_slice());
        let setup = RunSetup { clock_s, random, config: &config, file: None, stubs, pretended };
        let failed = |message: String| Error::Fixture { message };
        let run = ScenarioRun::start(&fixture, &functions, &imported, &setup, None)
            .map_err(|error| failed(error.to_string()))?;
        for sql in &given.sql {
            run.sql(&sql.value).map_err(failed)?;
        }
        Ok(TestContext { run, functions, exported, taken: 0, returned: 0 })
    }
}

impl TestContext {
    /// Calls `interface.function(args)`. `$name` is a value that an earlier answer has bound.
    ///
    /// # Errors
    /// When the text is wrong, a called function has no stub, or an answer of the context or a stub breaks a contract.
    /// A call that fails is no error here: the outcome says why.
    pub fn call(&mut self, text: &str) -> Result<CallOutcome, Error> {
        let mut checker = Checker::new(&self.functions);
        let call: Option<Call> = checker.call(&at(text));
        let call = call.ok_or_else(|| wrong(std::mem::take(&mut checker.problems)))?;
        let failed = |message: String| Error::Fixture { message };
        let params = self.run.params(&call).map_err(failed)?;
        let outcome = self.run.call(&call, Duration::from_millis(limits::CALL_TIMEOUT_MS)).map_err(failed)?;
        let mut problems = self.run.take_problems();
        let function = self.functions.exports.get(call.export);
        if let (Some(f), Ok(Some(answer))) = (function, &outcome) {
            problems.extend(self.exported.broken_by(&f.interface, &f.name, &params, answer));
        }
        match problems.is_empty() {
            true => Ok(CallOutcome { outcome, result: function.and_then(|f| f.result.clone()), call: text.to_owned() }),
            false => Err(failed(problems.join("\n"))),
        }
    }

    /// Performs a step of a saga, `kind.step(id)`, as the host does; its answer is one of `seam:host/saga-steps`.
    ///
    /// # Errors
    /// As `call`; also when the context declares no such step.
    pub fn perform(&mut self, step: &str) -> Result<CallOutcome, Error> {
        self.step(step, false)
    }

    /// As `perform`: undoes the step.
    ///
    /// # Errors
    /// As `perform`; also when the step declares no undo.
    pub fn undo(&mut self, step: &str) -> Result<CallOutcome, Error> {
        self.step(step, true)
    }

    fn step(&mut self, text: &str, undo: bool) -> Result<CallOutcome, Error> {
        let mut checker = Checker::new(&self.functions);
        let step = checker.saga_step(&at(text));
        let step = StepCall { undo, ..step.ok_or_else(|| wrong(std::mem::take(&mut checker.problems)))? };
        let outcome = self.run.perform(&step, Duration::from_millis(limits::SAGA_CALL_MS));
        let outcome =
            outcome.map_err(|(what, remedy)| Error::Fixture { message: format!("{what} ({remedy})") })?.map(Some);
        match self.run.take_problems() {
            none if none.is_empty() => {
                Ok(CallOutcome { outcome, result: self.functions.saga_outcome.clone(), call: text.to_owned() })
            }
            problems => Err(Error::Fixture { message: problems.join("\n") }),
        }
    }

    /// Compares an answer with a pattern. Later calls can use what the pattern binds.
    ///
    /// # Errors
    /// A diff, when the answer does not match.
    pub fn check(&mut self, answer: &CallOutcome, expected: &str) -> Result<(), Error> {
        let mut bound = self.run.bound.clone();
        answer.check(expected, &mut bound)?;
        self.run.bound = bound;
        Ok(())
    }

    /// `call` and `check` in one.
    ///
    /// # Errors
    /// As those of both.
    pub fn expect(&mut self, call: &str, expected: &str) -> Result<(), Error> {
        let answer = self.call(call)?;
        self.check(&answer, expected)
    }

    /// The calls that it has made to other contexts since `asked` was last called, as text.
    pub fn asked(&mut self) -> Vec<String> {
        let made = self.run.made();
        let new = made.get(self.returned..).unwrap_or_default().iter().map(super::stubs::MadeCall::text).collect();
        self.returned = made.len();
        new
    }

    /// The events that it has published since `published` was last called, as text.
    ///
    /// # Errors
    /// What is wrong with its outbox.
    pub fn published(&mut self) -> Result<Vec<String>, Error> {
        let failed = |message: String| Error::Fixture { message };
        let events = self.run.published(self.taken).map_err(failed)?;
        self.taken = self.run.last_position();
        Ok(events.iter().map(super::stubs::MadeCall::text).collect())
    }

    /// The rows of a SELECT on its file.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Cell>>, Error> {
        self.run.rows(sql).map_err(|message| Error::Fixture { message })
    }

    /// Lets time pass.
    pub fn wait(&self, time: Duration) {
        self.run.wait(time);
    }
}

impl CallOutcome {
    /// The returned value, or why the call failed.
    pub fn outcome(&self) -> Result<Option<&Val>, &Failure> {
        self.outcome.as_ref().map(Option::as_ref)
    }

    fn check(&self, expected: &str, bound: &mut Bindings) -> Result<(), Error> {
        let failed = |message: String| Err(Error::Fixture { message });
        let (value, ty) = match (&self.outcome, &self.result) {
            (Err(failure), _) => return failed(format!("{} failed: {failure}", self.call)),
            (Ok(Some(value)), Some(ty)) => (value, ty),
            _ => return failed(format!("{} returns nothing", self.call)),
        };
        let pattern = match Pattern::of(expected, ty) {
            Ok(pattern) => pattern,
            Err(error) => return failed(format!("`{expected}`: {error}")),
        };
        let before = bound.clone();
        match pattern.matches(value, bound) {
            true => Ok(()),
            false => failed(format!(
                "{} does not return the expected value\n{}",
                self.call,
                pattern::diff(&pattern, value, &before)
            )),
        }
    }
}
