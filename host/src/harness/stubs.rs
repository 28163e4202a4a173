//! Stubs for all other contexts: they answer as the scenario says and record each call.
//!
//! Invariant: no stub waits. A slow one takes the scenario's time, so a busy machine changes no result.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seam_runtime::call::{Call, Failure};
use seam_runtime::component::InterfaceName;
use seam_runtime::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function};
use seam_runtime::guest::wasi::Fixed;
use seam_runtime::pretend::{Fate, Lost};
use seam_store::ids::ContextName;
use wasmtime::component::Val;

use super::check::{TypedReply, TypedStub};
use super::functions::{Functions, shown};
use super::pattern::Bindings;
use super::pretended::{self, PretendedCalls};
use super::rules::Rules;
use super::scenario::FailureKind;
use crate::limits;

/// One call that the context made.
#[derive(Debug, Clone)]
pub struct MadeCall {
    pub interface: InterfaceName,
    pub function: String,
    /// How a scenario names the function.
    pub shown: String,
    pub params: Vec<Val>,
}

impl MadeCall {
    /// `interface.function(args)`, as in a scenario.
    pub fn text(&self) -> String {
        let params: Vec<String> = self.params.iter().map(super::pattern::pretty).collect();
        format!("{}({})", self.shown, params.join(", "))
    }
}

/// Why a stub gives no answer.
enum NoReply {
    /// The scenario says that the call fails.
    Given(FailureKind),
    /// No stub is for this call.
    MissingStub(String),
    /// The stub in this line uses a name that nothing has bound yet.
    UnboundName(usize),
}

impl NoReply {
    /// What the caller sees. A mistake of the scenario says so, and does not look like a neighbour that is away.
    fn failure(self, context: String) -> Failure {
        let says = || "the scenario says so".to_owned();
        match self {
            Self::Given(FailureKind::Absent) => Failure::Absent { context, reason: says() },
            Self::Given(FailureKind::Trapped) => Failure::Trapped { context, reason: says() },
            Self::Given(FailureKind::TimedOut) => Failure::TimedOut { context },
            Self::Given(FailureKind::Overloaded) => Failure::Overloaded { context },
            Self::MissingStub(call) => {
                Failure::Absent { context, reason: format!("the scenario has no stub for {call}") }
            }
            Self::UnboundName(line) => {
                let reason = format!("the stub in line {line} of the scenario uses a `$name` that is not bound yet");
                Failure::Absent { context, reason }
            }
        }
    }
}

pub struct Stubs {
    functions: Functions,
    rules: Rules,
    /// The clocks of the context.
    world: Arc<Fixed>,
    pretended: PretendedCalls,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they are tried; with each, how often it may still answer.
    stubs: Vec<(TypedStub, Option<u64>)>,
    /// The values of the scenario's `$name`s.
    bound: Bindings,
    /// The time that the call into the context has left.
    left: Duration,
    made: Vec<MadeCall>,
    /// Problems with calls and answers.
    problems: Vec<String>,
}

impl Stubs {
    pub fn new(functions: Functions, rules: Rules, world: Arc<Fixed>, pretended: PretendedCalls) -> Self {
        Self { functions, rules, world, pretended, state: Mutex::default() }
    }

    /// Replaces all stubs and forgets all calls.
    pub fn set(&self, stubs: &[TypedStub]) {
        let stubs = stubs.iter().map(|stub| (stub.clone(), stub.times)).collect();
        *self.state.lock() = State { stubs, ..State::default() };
    }

    /// Adds a stub that is tried before the others.
    pub fn add(&self, stub: TypedStub) {
        let times = stub.times;
        self.state.lock().stubs.insert(0, (stub, times));
    }

    /// Before each call into the context, which may take `timeout`.
    pub fn begin(&self, bound: &Bindings, timeout: Duration) {
        let mut state = self.state.lock();
        state.bound.clone_from(bound);
        state.left = timeout;
    }

    /// Lets `time` pass, or as much of it as a callee may take. Returns whether that was enough.
    fn pass(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        // As with a real callee, the caller keeps a reserve of its time.
        let most = state.left * (100 - limits::CALL_RESERVE_PERCENT) / 100;
        state.left -= time.min(most);
        self.world.wait(time.min(most));
        time < most
    }

    /// All calls so far.
    pub fn made(&self) -> Vec<MadeCall> {
        self.state.lock().made.clone()
    }

    /// The problems so far. Each is returned once.
    pub fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().problems)
    }

    /// The answer to a call, and the time after which it comes.
    fn reply(&self, function: &Function, params: Vec<Val>) -> (Duration, Result<Option<Val>, NoReply>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let made = MadeCall {
            interface: function.interface.clone(),
            function: function.name.clone(),
            shown: shown(&self.functions.imports, &function.interface, &function.name),
            params,
        };
        let means = |stub: &TypedStub| {
            let import = self.functions.imports.get(stub.import);
            import.is_some_and(|f| f.interface == made.interface && f.name == made.function)
        };
        let mut bound = Bindings::new();
        let found = state.stubs.iter_mut().find(|(stub, left)| {
            bound.clone_from(&state.bound);
            let fits = |with: &Vec<super::pattern::Pattern>| {
                with.len() == made.params.len() && with.iter().zip(&made.params).all(|(p, v)| p.matches(v, &mut bound))
            };
            *left != Some(0) && means(stub) && stub.with.as_ref().is_none_or(fits)
        });
        let reply = match found {
            None => {
                state.problems.push(format!("no stub answers the call {}", made.text()));
                (Duration::ZERO, Err(NoReply::MissingStub(made.text())))
            }
            Some((stub, left)) => {
                if let Some(left) = left {
                    *left -= 1;
                }
                let answer = match &stub.reply {
                    TypedReply::Fails(failing) => Err(NoReply::Given(*failing)),
                    TypedReply::Answer(pattern) => match pattern.value(&bound) {
                        Some(value) => Ok(Some(value)),
                        None => {
                            let line = stub.place.line;
                            state
                                .problems
                                .push(format!("the stub in line {line} uses a `$name` that is not bound yet"));
                            Err(NoReply::UnboundName(line))
                        }
                    },
                };
                if let Ok(Some(value)) = &answer
                    && let Some(broken) = self.rules.broken_by(&made.interface, &made.function, &made.params, value)
                {
                    let (line, call) = (stub.place.line, made.text());
                    state.problems.push(format!(
                        "the stub in line {line} breaks the contract of `{}` when it answers {call}: {broken}",
                        made.interface
                    ));
                }
                (stub.after, answer)
            }
        };
        state.made.push(made);
        reply
    }
}

impl Stubs {
    /// The stub's answer to one call.
    fn answer(&self, function: &Function, exchange: &dyn Exchange) -> Result<Vec<Val>, Failure> {
        let context = function.interface.package().rsplit(':').next().unwrap_or_default().to_owned();
        let params = exchange.params(function).map_err(|error| broken(function, &error))?;
        let (after, answer) = self.reply(function, params);
        match answer {
            _ if !self.pass(after) => Err(Failure::TimedOut { context }),
            Ok(answer) => Ok(answer.into_iter().collect()),
            Err(no_reply) => Err(no_reply.failure(context)),
        }
    }

    /// A call that is pretended to cross hosts.
    fn across(
        &self,
        (callee, fate): (&ContextName, Fate),
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        pretended::sent(callee, function, exchange)?;
        let timed_out = || Failure::TimedOut { context: callee.to_string() };
        if fate.lost == Some(Lost::Request) {
            return Err(self.hear_nothing(callee));
        }
        if !self.pass(fate.there) {
            return Err(timed_out());
        }
        let first = self.answer(function, exchange);
        let answer = if fate.twice { self.answer(function, exchange) } else { first };
        if fate.lost == Some(Lost::Answer) {
            return Err(self.hear_nothing(callee));
        }
        if !self.pass(fate.back) {
            return Err(timed_out());
        }
        pretended::arrived(callee, function, &answer?, exchange)
    }

    /// Waits in vain for a host that says nothing.
    fn hear_nothing(&self, callee: &ContextName) -> Failure {
        let context = callee.to_string();
        match self.pass(Duration::from_millis(seam_runtime::limits::PRETENDED_SILENCE_MS)) {
            true => Failure::Absent { context, reason: "the connection to its host was lost".to_owned() },
            false => Failure::TimedOut { context },
        }
    }
}

fn broken(function: &Function, error: &wasmtime::Error) -> Failure {
    Failure::Trapped { context: function.interface.to_string(), reason: format!("{error:#}") }
}

impl Dispatch for Stubs {
    fn call(
        &self,
        _: Call,
        _: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        match self.pretended.next(function) {
            Some(pretended) => self.across(pretended, function, exchange),
            None => {
                let answer = self.answer(function, exchange)?;
                exchange.answer(answer).map_err(|error| broken(function, &error))
            }
        }
    }
}
