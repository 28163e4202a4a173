//! Checks scenarios against the types of a component's interfaces: their texts become values, patterns and functions.

use std::time::Duration;

use wasmtime::component::types::Type;

use super::functions::{self, Function, Functions};
use super::pattern::{self, Pattern};
use super::pretended::PretendedEdges;
use super::scenario::{Action, At, Expect, FailureKind, Given, Reply, Request, Rows, Scenario, Step, Stub};
use crate::manifest::{Place, Problem};

/// A scenario that fits the component and can run.
#[derive(Clone)]
pub struct TypedScenario {
    pub scenario: Scenario,
    pub calls: Vec<Call>,
    pub stubs: Vec<TypedStub>,
    pub pretended: Vec<PretendedEdges>,
    pub steps: Vec<TypedStep>,
    /// All expected calls to other contexts.
    pub asked: Option<Vec<ExpectedCall>>,
    /// All expected events.
    pub published: Option<Vec<ExpectedCall>>,
}

/// A call of one of the context's own functions.
#[derive(Clone)]
pub struct Call {
    pub text: String,
    /// In `Functions::exports`.
    pub export: usize,
    /// Complete values, apart from names that are bound by then.
    pub params: Vec<Pattern>,
}

/// A step of a saga that is performed, or undone.
#[derive(Clone)]
pub struct StepCall {
    pub text: String,
    pub kind: String,
    pub step: String,
    pub id: Pattern,
    pub undo: bool,
    /// Counts from 1.
    pub attempt: u32,
    /// Why the saga is undone.
    pub cause: String,
}

#[derive(Clone)]
pub struct TypedStub {
    pub place: Place,
    /// In `Functions::imports`.
    pub import: usize,
    pub with: Option<Vec<Pattern>>,
    pub reply: TypedReply,
    pub after: Duration,
    pub times: Option<u64>,
}

#[derive(Clone)]
pub enum TypedReply {
    Answer(Pattern),
    Fails(FailureKind),
}

#[derive(Clone)]
pub struct TypedStep {
    pub place: Place,
    pub what: TypedAction,
    pub asked: Option<Vec<ExpectedCall>>,
    pub published: Option<Vec<ExpectedCall>>,
}

#[derive(Clone)]
pub enum TypedAction {
    Call { call: Call, expect: TypedExpect, timeout: Duration },
    Request(Request),
    Perform { step: StepCall, expect: TypedExpect, timeout: Duration },
    Wait { seconds: u64 },
}

#[derive(Clone)]
pub enum TypedExpect {
    Answer,
    Value(Pattern),
    Fails(FailureKind),
}

/// A call to another context, or an event, that the scenario expects.
#[derive(Clone)]
pub struct ExpectedCall {
    pub text: String,
    /// In `Functions::imports`.
    pub import: usize,
    pub params: Vec<Pattern>,
}

/// Checks scenarios and collects their problems.
pub struct Checker<'k> {
    pub functions: &'k Functions,
    pub problems: Vec<Problem>,
}

impl<'k> Checker<'k> {
    pub fn new(functions: &'k Functions) -> Self {
        Self { functions, problems: Vec::new() }
    }

    /// `None` when the scenario has problems, which are in `problems` then.
    pub fn scenario(&mut self, scenario: &Scenario) -> Option<TypedScenario> {
        let before = self.problems.len();
        let Given { sql, calls, stubs, pretended, .. } = &scenario.given;
        if let (Some(first), false) = (sql.first(), self.functions.store) {
            self.report(first.place, "the context has no store", "remove `given.sql`");
        }
        if let (Some(Rows { sql, .. }), false) = (scenario.then.rows.first(), self.functions.store) {
            self.report(sql.place, "the context has no store", "remove `then.rows`");
        }
        let calls = calls.iter().filter_map(|text| self.call(text)).collect();
        let stubs = stubs.iter().filter_map(|stub| self.stub(stub)).collect();
        let pretended = pretended.iter().filter_map(|text| self.pretended(text)).collect();
        let steps = scenario.when.iter().filter_map(|step| self.step(step)).collect();
        let (asked, published) = (self.expected(&scenario.then.asked), self.expected(&scenario.then.published));
        (self.problems.len() == before).then(|| TypedScenario {
            scenario: scenario.clone(),
            calls,
            stubs,
            pretended,
            steps,
            asked,
            published,
        })
    }

    pub fn report(&mut self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(place, message, remedy));
    }

    /// Reports a mistake within a text of the file.
    fn mistake(&mut self, text: &At<String>, offset: usize, error: &pattern::Error, remedy: impl Into<String>) {
        self.report(within(text, offset + error.at.start), error.message.clone(), remedy);
    }

    fn signature(function: &Function) -> String {
        format!("the function is {}", seam_runtime::component::wit_of(&function.name, &function.signature))
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
        let (export, params) = self.applied(&self.functions.exports, text)?;
        if params.iter().any(Pattern::is_open) {
            self.report(
                text.place,
                "a call cannot contain `_` or `...`: they are for expected answers",
                "write a value",
            );
            return None;
        }
        Some(Call { text: text.value.clone(), export, params })
    }

    /// `kind.step(id)` of a saga. Whether the context declares it is seen when it runs.
    pub fn saga_step(&mut self, text: &At<String>) -> Option<StepCall> {
        let remedy = "write the kind of the saga, the step and the saga's id: `order.reserve(\"MC-1\")`";
        if self.functions.saga_outcome.is_none() {
            let message = "the context has no sagas: it does not export `seam:host/saga-steps`";
            self.report(text.place, message, "call one of its functions");
            return None;
        }
        let open = text.value.find('(').unwrap_or(text.value.len());
        let (name, arguments) = text.value.split_at(open);
        let Some((kind, step)) = name.trim().split_once('.').filter(|_| !arguments.is_empty()) else {
            self.report(text.place, format!("`{}` is not a step of a saga", text.value), remedy);
            return None;
        };
        let params = Pattern::params(arguments, &[("id".to_owned(), Type::String)]);
        let [id] = match params.map(<[Pattern; 1]>::try_from) {
            Ok(Ok(id)) => id,
            Ok(Err(_)) => return None,
            Err(error) => {
                self.mistake(text, open, &error, remedy);
                return None;
            }
        };
        if id.is_open() {
            self.report(text.place, "the id of a saga cannot be `_` or `...`", "write it, or a `$name` that is bound");
            return None;
        }
        let (text, kind, step) = (text.value.clone(), kind.to_owned(), step.to_owned());
        Some(StepCall { text, kind, step, id, undo: false, attempt: 1, cause: String::new() })
    }

    /// What an answer has to be; `typed` reads a pattern for it.
    fn expect(
        &mut self,
        expect: &Expect,
        typed: impl FnOnce(&mut Self, &At<String>) -> Option<Pattern>,
    ) -> Option<TypedExpect> {
        Some(match expect {
            Expect::Answer => TypedExpect::Answer,
            Expect::Fails(failing) => TypedExpect::Fails(*failing),
            Expect::Value(text) => TypedExpect::Value(typed(self, text)?),
        })
    }

    /// The answer of a step, from its text.
    fn outcome(&mut self, text: &At<String>) -> Option<Pattern> {
        let ty = self.functions.saga_outcome.as_ref()?;
        let remedy = "a step answers `done`, `later(why)`, `refused(why)`, `unknown(why)` or `waiting(until)`";
        Pattern::of(&text.value, ty).map_err(|error| self.mistake(text, 0, &error, remedy)).ok()
    }

    /// Calls of imported functions.
    fn expected(&mut self, texts: &Option<Vec<At<String>>>) -> Option<Vec<ExpectedCall>> {
        let mut expected = |text: &At<String>| {
            let (import, params) = self.applied(&self.functions.imports, text)?;
            Some(ExpectedCall { text: text.value.clone(), import, params })
        };
        texts.as_ref().map(|all| all.iter().filter_map(&mut expected).collect())
    }

    /// The answer of a function, from its text.
    pub fn answer(&mut self, function: &Function, text: &At<String>) -> Option<Pattern> {
        let Some(ty) = &function.result else {
            self.report(text.place, format!("`{}` returns nothing", function.shown), Self::signature(function));
            return None;
        };
        Pattern::of(&text.value, ty).map_err(|error| self.mistake(text, 0, &error, Self::signature(function))).ok()
    }

    /// The parameters to which a stub or a rule applies, from their text.
    pub fn with(&mut self, function: &Function, text: &At<String>) -> Option<Vec<Pattern>> {
        let read = Pattern::params(&text.value, &function.params);
        read.map_err(|error| self.mistake(text, 0, &error, Self::signature(function))).ok()
    }

    fn stub(&mut self, stub: &Stub) -> Option<TypedStub> {
        let (import, function) = self.function(&self.functions.imports, &stub.function, &stub.function.value)?;
        let with = match &stub.with {
            Some(text) => Some(self.with(function, text)?),
            None => None,
        };
        let reply = match &stub.reply {
            Reply::Fails(failing) => TypedReply::Fails(*failing),
            Reply::Answer(text) => {
                let answer = self.answer(function, text)?;
                if answer.is_open() {
                    let message = "a stub's answer cannot contain `_` or `...`: they are for expected answers";
                    self.report(text.place, message, "write a value, or a `$name` that its `with` binds");
                    return None;
                }
                TypedReply::Answer(answer)
            }
        };
        Some(TypedStub { place: stub.place, import, with, reply, after: stub.after, times: stub.times })
    }

    fn pretended(&mut self, text: &At<String>) -> Option<PretendedEdges> {
        let read = PretendedEdges::read(text, &self.functions.callees);
        read.map_err(|(at, message, remedy)| self.report(within(text, at), message, remedy)).ok()
    }

    fn step(&mut self, step: &Step) -> Option<TypedStep> {
        let what = match &step.what {
            Action::Call { text, expect, timeout } => {
                let call = self.call(text)?;
                let function = self.functions.exports.get(call.export)?;
                let expect = self.expect(expect, |checker, text| checker.answer(function, text))?;
                TypedAction::Call { call, expect, timeout: *timeout }
            }
            Action::Perform { text, undo, attempt, cause, expect, timeout } => {
                let (undo, attempt, cause) = (*undo, *attempt, cause.clone());
                let step = StepCall { undo, attempt, cause, ..self.saga_step(text)? };
                let expect = self.expect(expect, Self::outcome)?;
                TypedAction::Perform { step, expect, timeout: *timeout }
            }
            Action::Request(request) => {
                if !self.functions.buffered_http {
                    let message = "the context answers no requests: it does not export `seam:host/http-handler`";
                    self.report(request.line.place, message, "call one of its functions");
                    return None;
                }
                TypedAction::Request(request.clone())
            }
            Action::Wait { seconds } => TypedAction::Wait { seconds: *seconds },
        };
        let (asked, published) = (self.expected(&step.asked), self.expected(&step.published));
        Some(TypedStep { place: step.place, what, asked, published })
    }
}

/// The place of a byte of a quoted text. A text of several lines starts on the line below its quotes.
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
