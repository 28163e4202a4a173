//! Everybody whom the context asks, in one: answers as the scenario says, and remembers what it was asked.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::component::Val;

use super::check::{ReadyReply, ReadyStub};
use super::functions::{Known, short};
use super::pattern::Bindings;
use super::rules::Rules;
use super::scenario::Failing;
use crate::call::{Call, Failure};
use crate::seam::dispatch::{Dispatch, Exchange, Function, Set};
use crate::{handoff, limits};

/// One call that the context made.
#[derive(Debug, Clone)]
pub struct Made {
    /// `namespace:package/interface`
    pub interface: String,
    pub function: String,
    pub params: Vec<Val>,
}

impl Made {
    /// `interface.function(args)`, as it would be written.
    pub fn text(&self) -> String {
        let params: Vec<String> = self.params.iter().map(super::pattern::pretty).collect();
        format!("{}({})", short(&self.interface, &self.function), params.join(", "))
    }
}

pub struct Stubs {
    known: Known,
    rules: Rules,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they are tried, with how often each may still answer.
    stubs: Vec<(ReadyStub, Option<u64>)>,
    /// What `$name` stands for in the scenario.
    bound: Bindings,
    made: Vec<Made>,
    /// What was wrong with calls and answers.
    trouble: Vec<String>,
}

impl Stubs {
    pub fn new(known: Known, rules: Rules) -> Self {
        Self { known, rules, state: Mutex::default() }
    }

    /// Forgets all that was, and answers so from now on.
    pub fn set(&self, stubs: &[ReadyStub]) {
        let stubs = stubs.iter().map(|stub| (stub.clone(), stub.times)).collect();
        *self.state.lock() = State { stubs, ..State::default() };
    }

    /// Answers so before it answers as it did.
    pub fn add(&self, stub: ReadyStub) {
        let times = stub.times;
        self.state.lock().stubs.insert(0, (stub, times));
    }

    pub fn bind(&self, bound: &Bindings) {
        self.state.lock().bound.clone_from(bound);
    }

    /// All calls so far.
    pub fn made(&self) -> Vec<Made> {
        self.state.lock().made.clone()
    }

    /// What was wrong so far, once.
    pub fn trouble(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().trouble)
    }

    /// How the call is answered, and after how long.
    fn reply(&self, function: &Function, params: Vec<Val>) -> (Duration, Result<Option<Val>, Failing>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let made = Made { interface: function.interface.clone(), function: function.name.clone(), params };
        let means = |stub: &ReadyStub| {
            let import = self.known.imports.get(stub.import);
            import.is_some_and(|f| f.interface == made.interface && f.name == made.function)
        };
        let mut bound = Bindings::new();
        let found = state.stubs.iter_mut().find(|(stub, left)| {
            bound.clone_from(&state.bound);
            let fits = |with: &Vec<super::pattern::Pattern>| {
                with.len() == made.params.len() && with.iter().zip(&made.params).all(|(p, v)| p.meets(v, &mut bound))
            };
            *left != Some(0) && means(stub) && stub.with.as_ref().is_none_or(fits)
        });
        let reply = match found {
            None => {
                state.trouble.push(format!("nothing answers the call {}", made.text()));
                (Duration::ZERO, Err(Failing::Absent))
            }
            Some((stub, left)) => {
                if let Some(left) = left {
                    *left -= 1;
                }
                let answer = match &stub.reply {
                    ReadyReply::Fails(failing) => Err(*failing),
                    ReadyReply::Answer(pattern) => match pattern.value(&bound) {
                        Some(value) => Ok(Some(value)),
                        None => {
                            let line = stub.place.line;
                            state
                                .trouble
                                .push(format!("the stub in line {line} uses a `$name` that nothing has bound"));
                            Err(Failing::Absent)
                        }
                    },
                };
                if let Ok(Some(value)) = &answer
                    && let Some(broken) = self.rules.broken_by(&made.interface, &made.function, &made.params, value)
                {
                    let (line, call) = (stub.place.line, made.text());
                    state.trouble.push(format!(
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

impl Dispatch for Stubs {
    fn call(&self, call: Call, _: &Set, function: &Function, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        let context = function.interface.split('/').next().unwrap_or_default();
        let context = context.rsplit(':').next().unwrap_or_default().to_owned();
        let broken =
            |e: wasmtime::Error| Failure::Trapped { context: function.interface.clone(), reason: format!("{e:#}") };
        let params = exchange.params(function).map_err(broken)?;
        // As a context would: whoever calls keeps some of its time.
        let left = call.deadline.saturating_duration_since(Instant::now()) * (100 - limits::CALL_RESERVE_PERCENT) / 100;
        let (after, answer) = self.reply(function, params);
        if !after.is_zero() {
            handoff::blocking(|| std::thread::sleep(after.min(left)));
        }
        match answer {
            _ if after >= left => Err(Failure::TimedOut { context }),
            Ok(answer) => exchange.answer(answer.into_iter().collect()).map_err(broken),
            Err(Failing::Absent) => Err(Failure::Absent { context, reason: "the scenario says so".into() }),
            Err(Failing::Trapped) => Err(Failure::Trapped { context, reason: "the scenario says so".into() }),
            Err(Failing::TimedOut) => Err(Failure::TimedOut { context }),
            Err(Failing::Overloaded) => Err(Failure::Overloaded { context }),
        }
    }
}
