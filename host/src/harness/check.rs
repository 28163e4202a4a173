//! Scenarios held to the types of a component's interfaces: afterwards every text in them is a value, a pattern or a function.

use std::time::Duration;

use super::functions::{self, Function, Known};
use super::pattern::{self, Pattern};
use super::scenario::{At, Expect, Failing, Given, Reply, Request, Rows, Scenario, Step, Stub, What};
use crate::manifest::{Place, Problem};

/// A scenario that can run.
#[derive(Clone)]
pub struct Ready {
    pub scenario: Scenario,
    pub calls: Vec<Call>,
    pub stubs: Vec<ReadyStub>,
    pub steps: Vec<ReadyStep>,
    /// All calls to others.
    pub asked: Option<Vec<Asked>>,
}

/// A call of one of the context's own functions.
#[derive(Clone)]
pub struct Call {
    pub text: String,
    /// In `Known::exports`.
    pub export: usize,
    /// They leave nothing open but what is bound by then.
    pub params: Vec<Pattern>,
}

#[derive(Clone)]
pub struct ReadyStub {
    pub place: Place,
    /// In `Known::imports`.
    pub import: usize,
    pub with: Option<Vec<Pattern>>,
    pub reply: ReadyReply,
    pub after: Duration,
    pub times: Option<u64>,
}

#[derive(Clone)]
pub enum ReadyReply {
    Answer(Pattern),
    Fails(Failing),
}

#[derive(Clone)]
pub struct ReadyStep {
    pub place: Place,
    pub what: ReadyWhat,
    pub asked: Option<Vec<Asked>>,
}

#[derive(Clone)]
pub enum ReadyWhat {
    Call { call: Call, expect: ReadyExpect, timeout: Duration },
    Request(Request),
    Wait { seconds: u64 },
}

#[derive(Clone)]
pub enum ReadyExpect {
    Answer,
    Value(Pattern),
    Fails(Failing),
}

/// A call that is expected to be made to somebody else.
#[derive(Clone)]
pub struct Asked {
    pub text: String,
    /// In `Known::imports`.
    pub import: usize,
    pub params: Vec<Pattern>,
}

/// What is found wrong on the way.
pub struct Checker<'k> {
    pub known: &'k Known,
    pub problems: Vec<Problem>,
}

impl<'k> Checker<'k> {
    pub fn new(known: &'k Known) -> Self {
        Self { known, problems: Vec::new() }
    }

    /// `None` when something is wrong with it; what, is in `problems`.
    pub fn scenario(&mut self, scenario: &Scenario) -> Option<Ready> {
        let before = self.problems.len();
        let Given { sql, calls, stubs, .. } = &scenario.given;
        if let (Some(first), false) = (sql.first(), self.known.store) {
            self.report(first.place, "the context has no store", "leave `given.sql` out");
        }
        if let (Some(Rows { sql, .. }), false) = (scenario.then.rows.first(), self.known.store) {
            self.report(sql.place, "the context has no store", "leave `then.rows` out");
        }
        let calls = calls.iter().filter_map(|text| self.call(text)).collect();
        let stubs = stubs.iter().filter_map(|stub| self.stub(stub)).collect();
        let steps = scenario.when.iter().filter_map(|step| self.step(step)).collect();
        let asked = scenario.then.asked.as_ref().map(|all| all.iter().filter_map(|text| self.asked(text)).collect());
        (self.problems.len() == before).then(|| Ready { scenario: scenario.clone(), calls, stubs, steps, asked })
    }

    pub fn report(&mut self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(place, message, remedy));
    }

    /// A mistake within a text of the file.
    fn mistake(&mut self, text: &At<String>, offset: usize, error: &pattern::Error, remedy: impl Into<String>) {
        self.report(within(text, offset + error.at.start), error.message.clone(), remedy);
    }

    fn signature(function: &Function) -> String {
        format!("it is {}", crate::context::link::wit_of(&function.name, &function.signature))
    }

    fn function(&mut self, functions: &'k [Function], text: &At<String>, name: &str) -> Option<(usize, &'k Function)> {
        functions::find(functions, name).map_err(|(message, remedy)| self.report(text.place, message, remedy)).ok()
    }

    /// `interface.function(args)` of these functions.
    fn applied(&mut self, functions: &'k [Function], text: &At<String>) -> Option<(usize, Vec<Pattern>)> {
        let Some(open) = text.value.find('(') else {
            self.function(functions, text, &text.value)?;
            self.report(
                text.place,
                "the arguments are missing",
                "write `interface.function(args)`, the arguments in WAVE",
            );
            return None;
        };
        let (name, arguments) = text.value.split_at(open);
        let (at, function) = self.function(functions, text, name.trim())?;
        match Pattern::params(arguments, &function.params) {
            Ok(params) => Some((at, params)),
            Err(error) => {
                self.mistake(text, open, &error, Self::signature(function));
                None
            }
        }
    }

    pub fn call(&mut self, text: &At<String>) -> Option<Call> {
        let (export, params) = self.applied(&self.known.exports, text)?;
        if params.iter().any(Pattern::is_open) {
            self.report(text.place, "a call leaves nothing open: `_` and `...` are for answers", "write the value");
            return None;
        }
        Some(Call { text: text.value.clone(), export, params })
    }

    fn asked(&mut self, text: &At<String>) -> Option<Asked> {
        let (import, params) = self.applied(&self.known.imports, text)?;
        Some(Asked { text: text.value.clone(), import, params })
    }

    /// The answer of a function, from its text.
    pub fn answer(&mut self, function: &Function, text: &At<String>) -> Option<Pattern> {
        let Some(ty) = &function.result else {
            self.report(text.place, format!("`{}` returns nothing", function.short()), Self::signature(function));
            return None;
        };
        Pattern::of(&text.value, ty).map_err(|error| self.mistake(text, 0, &error, Self::signature(function))).ok()
    }

    /// The parameters that something is for, from their text.
    pub fn with(&mut self, function: &Function, text: &At<String>) -> Option<Vec<Pattern>> {
        let read = Pattern::params(&text.value, &function.params);
        read.map_err(|error| self.mistake(text, 0, &error, Self::signature(function))).ok()
    }

    fn stub(&mut self, stub: &Stub) -> Option<ReadyStub> {
        let (import, function) = self.function(&self.known.imports, &stub.function, &stub.function.value)?;
        let with = match &stub.with {
            Some(text) => Some(self.with(function, text)?),
            None => None,
        };
        let reply = match &stub.reply {
            Reply::Fails(failing) => ReadyReply::Fails(*failing),
            Reply::Answer(text) => {
                let answer = self.answer(function, text)?;
                if answer.is_open() {
                    let message = "a stub's answer leaves nothing open: `_` and `...` are for what is expected";
                    self.report(text.place, message, "write the value, or `$name` of what its `with` binds");
                    return None;
                }
                ReadyReply::Answer(answer)
            }
        };
        Some(ReadyStub { place: stub.place, import, with, reply, after: stub.after, times: stub.times })
    }

    fn step(&mut self, step: &Step) -> Option<ReadyStep> {
        let what = match &step.what {
            What::Call { text, expect, timeout } => {
                let call = self.call(text)?;
                let expect = match expect {
                    Expect::Answer => ReadyExpect::Answer,
                    Expect::Fails(failing) => ReadyExpect::Fails(*failing),
                    Expect::Value(text) => {
                        let function = self.known.exports.get(call.export)?;
                        ReadyExpect::Value(self.answer(function, text)?)
                    }
                };
                ReadyWhat::Call { call, expect, timeout: *timeout }
            }
            What::Request(request) => {
                if !self.known.lean {
                    let message = "the context answers no requests: it does not export `seam:host/http-handler`";
                    self.report(request.line.place, message, "call one of its functions");
                    return None;
                }
                ReadyWhat::Request(request.clone())
            }
            What::Wait { seconds } => ReadyWhat::Wait { seconds: *seconds },
        };
        let asked = step.asked.as_ref().map(|all| all.iter().filter_map(|text| self.asked(text)).collect());
        Some(ReadyStep { place: step.place, what, asked })
    }
}

/// The place of a byte of a text that stands in quotes: behind the opening one, or from the line below it on.
fn within(text: &At<String>, at: usize) -> Place {
    let before = text.value.get(..at.min(text.value.len())).unwrap_or_default();
    let Place { line, column } = text.place;
    match (text.value.contains('\n'), before.rsplit_once('\n')) {
        (false, _) => Place { line, column: column + 1 + before.chars().count() },
        (true, None) => Place { line: line + 1, column: 1 + before.chars().count() },
        (true, Some((lines, last))) => {
            Place { line: line + 2 + lines.matches('\n').count(), column: 1 + last.chars().count() }
        }
    }
}
