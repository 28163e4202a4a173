//! One call of a context's function, written as `interface.function(args)` in WAVE, and its result.
//!
//! For tools only: no request takes this path. Not here: how a call runs (`seam-runtime`).

use std::time::{Duration, Instant};

use seam_runtime::call::{Call, Failure};
use seam_runtime::component::{FunctionName, distinct_name, wit_of};
use seam_runtime::did_you_mean::{self, nearest};
use seam_runtime::run::{Arrival, Export, Handled, Undelivered};
use seam_runtime::serve::{Live, Registry};
use seam_store::Transaction;
use seam_store::ids::Trace;
use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::wasm_wave::{self, parser::ParserError, untyped::UntypedFuncCall};

use crate::limits;
use seam_runtime::json::to_json;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no context `{name}`")]
    NoContext { name: String, known: Vec<String> },
    #[error("`{context}` has no function `{name}`")]
    NoFunction { context: String, name: String, known: Vec<String> },
    #[error("`{name}` is a function of several interfaces of `{context}`")]
    Ambiguous { context: String, name: String, candidates: Vec<String> },
    /// `at`: bytes from the start of the text, the end exclusive.
    #[error("{message}")]
    Syntax { message: String, text: String, at: std::ops::Range<usize>, remedy: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Error {
    /// What to do about it, for the `hint:` line; may have several lines.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoContext { name, known } => did_you_mean::hint(name, known.iter().map(String::as_str)),
            Self::NoFunction { known, .. } if known.is_empty() => "the context exports no interface for others".into(),
            Self::NoFunction { name, known, .. } => {
                let plain = |signature: &str| signature.split('(').next().unwrap_or_default().to_owned();
                let names: Vec<String> = known.iter().map(|signature| plain(signature)).collect();
                let near = nearest(name, names.iter().map(String::as_str));
                let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                format!("{near}it has:\n  {}", known.join("\n  "))
            }
            Self::Ambiguous { candidates, .. } => format!("name one of: {}", candidates.join(", ")),
            Self::Syntax { remedy, .. } => remedy.clone(),
            Self::Failed(Failure::Trapped { context, .. }) => format!("see `seam logs {context} --level warn`"),
            Self::Failed(Failure::TimedOut { .. }) => {
                "request less, or raise `timeout_ms` in the `limits` of the context".into()
            }
            Self::Failed(Failure::Overloaded { .. }) => {
                "try again, or raise `concurrency` and `queue` in the `limits` of the context".into()
            }
            Self::Failed(_) => String::new(),
        }
    }

    /// For a syntax error: the text, with carets under the mistake.
    pub fn excerpt(&self) -> Option<String> {
        let Self::Syntax { text, at, .. } = self else { return None };
        let start = text.floor_char_boundary(at.start);
        let end = text.ceil_char_boundary(at.end.min(text.len())).max(start);
        let line_start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text.get(start..)?.find('\n').map_or(text.len(), |at| start + at);
        let indent: String = text.get(line_start..start)?.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marked = text.get(start..end.min(line_end))?.chars().count().max(1);
        // A whole argument list may be wrong; marking its beginning is enough.
        Some(format!("{}\n{indent}{}", text.get(line_start..line_end)?, "^".repeat(marked.min(60))))
    }
}

/// What the callee returned.
#[derive(Debug)]
pub struct ReturnValue {
    /// `None` for a function without a result.
    pub value: Option<Val>,
}

impl ReturnValue {
    /// False for an `err(..)`.
    pub fn ok(&self) -> bool {
        !matches!(self.value, Some(Val::Result(Err(_))))
    }

    pub fn wave(&self) -> String {
        let text = self.value.as_ref().map(wasm_wave::to_string);
        text.map_or(String::new(), |text| text.unwrap_or_else(|error| format!("({error})")))
    }

    pub fn json(&self) -> serde_json::Value {
        self.value.as_ref().map_or(serde_json::Value::Null, to_json)
    }
}

/// A function of a context, found by its name.
pub struct Target {
    pub live: Live,
    at: usize,
}

impl Target {
    /// `name` is `interface.function`. The interface may be short (`desk`), in full (`acme:orders/desk@0.1.0`), or
    /// missing if only one interface has such a function. See `FunctionName`.
    ///
    /// # Errors
    /// When there is no such context or function, or more than one.
    pub fn find(registry: &Registry, context: &str, name: &str) -> Result<Self, Error> {
        let Ok(live) = registry.live(context) else {
            let known = registry.all_generations().iter().map(|g| g.context().to_string()).collect();
            return Err(Error::NoContext { name: context.into(), known });
        };
        Self::of(live, context, name)
    }

    /// As `find`, in a context that is at hand.
    ///
    /// # Errors
    /// When there is no such function, or more than one.
    pub fn of(live: Live, context: &str, name: &str) -> Result<Self, Error> {
        let exports = live.generation().exports();
        let found = FunctionName::parse(name).find(exports, Export::name);
        let context = context.to_owned();
        match *found {
            [at] => Ok(Self { live, at }),
            [] => {
                let known = exports
                    .iter()
                    .enumerate()
                    .map(|(at, e)| wit_of(&distinct_name(exports, at, Export::name), &e.signature));
                Err(Error::NoFunction { context, name: name.into(), known: known.collect() })
            }
            _ => {
                let named = |at: &usize| exports.get(*at).map(|e| format!("{}.{}", e.interface, e.function));
                Err(Error::Ambiguous {
                    context,
                    name: name.into(),
                    candidates: found.iter().filter_map(named).collect(),
                })
            }
        }
    }

    pub fn signature(&self) -> Option<&ComponentFunc> {
        self.live.generation().exports().get(self.at).map(|export| &export.signature)
    }

    /// Calls the function as a request from outside would, within `timeout`.
    ///
    /// # Errors
    /// When the callee does not answer.
    pub fn call(&self, params: &[Val], timeout: Duration) -> Result<ReturnValue, Failure> {
        self.make(Call::start(Instant::now() + timeout, Trace::start()), params)
    }

    /// The same with many rows, which the statistics leave out.
    ///
    /// # Errors
    /// As `call`.
    pub fn call_in_bulk(&self, params: &[Val], timeout: Duration) -> Result<ReturnValue, Failure> {
        let mut call = Call::start(Instant::now() + timeout, Trace::start());
        call.bulk = true;
        self.make(call, params)
    }

    /// Calls the function without arguments in one transaction, within `timeout`. `note` adds to the transaction that
    /// it has run.
    ///
    /// # Errors
    /// Why nothing is written; if the file failed at the commit, it may be.
    pub fn call_and_note(
        &self,
        timeout: Duration,
        note: &mut dyn FnMut(&mut Transaction) -> Result<(), seam_store::Error>,
    ) -> Result<(), String> {
        let call = Call::start(Instant::now() + timeout, Trace::start());
        let arrival = Arrival { export: self.at, data: "{}", subject: None };
        let mut rejected = None;
        let delivered = self.live.deliver(call, &[arrival], |transaction, handled| match handled {
            [Handled::Done] => note(transaction),
            handled => {
                rejected = handled.iter().find_map(|one| match one {
                    Handled::Rejected(why) => Some(why.clone()),
                    _ => None,
                });
                Err(seam_store::Error::Invalid("the function returned an error".to_owned()))
            }
        });
        match (delivered, rejected) {
            (_, Some(why)) => Err(format!("it answered err({why})")),
            (Ok(_), None) => Ok(()),
            (Err(Undelivered::Event(_, failure) | Undelivered::Context(failure)), None) => Err(failure.to_string()),
            (Err(Undelivered::Store(error)), None) => Err(error.to_string()),
        }
    }

    fn make(&self, call: Call, params: &[Val]) -> Result<ReturnValue, Failure> {
        let absent = || Failure::Absent {
            context: self.live.generation().context().to_string(),
            reason: "it no longer has the function".into(),
        };
        let export = self.live.generation().exports().get(self.at).ok_or_else(absent)?;
        Ok(ReturnValue { value: self.live.call(call, export, params)?.into_iter().next() })
    }
}

/// Runs the call `text`, `interface.function(args)`.
///
/// # Errors
/// When the text is wrong, the function is unknown, or the callee does not answer.
pub fn run(registry: &Registry, context: &str, text: &str, timeout: Duration) -> Result<ReturnValue, Error> {
    let text = text.trim();
    let syntax =
        |message: String, at, remedy: &str| Error::Syntax { message, text: text.into(), at, remedy: remedy.into() };
    let example = "write `interface.function(args)`, the arguments in WAVE: `\"text\"`, `7`, `[1, 2]`, `{name: value}`, `some(1)`";
    if text.len() > limits::CALL_TEXT_BYTES_MAX {
        let message = format!("the call is longer than {} KiB", limits::CALL_TEXT_BYTES_MAX >> 10);
        return Err(syntax(message, 0..1, "load large data with a `[[seed]]`"));
    }
    let Some(open) = text.find('(') else {
        // An unknown function is the more important mistake.
        Target::find(registry, context, text)?;
        return Err(syntax("the arguments are missing".into(), text.len()..text.len(), example));
    };
    let (name, arguments) = text.split_at(open);
    let target = Target::find(registry, context, name.trim_end())?;
    // WAVE has no interfaces. A plain name of the same length keeps all positions.
    let plain = format!("{}{arguments}", "f".repeat(name.len()));
    let wrong = |error: ParserError| syntax(message_of(&error), error.span(), example);
    let call = UntypedFuncCall::parse(&plain).map_err(wrong)?;
    let Some(signature) = target.signature() else {
        return Err(syntax("the context no longer has the function".into(), 0..open, ""));
    };
    let types: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    let params = call.to_wasm_params::<Val>(&types).map_err(|error| {
        let function = name.rsplit('.').next().unwrap_or_default();
        let remedy = format!("the function is {}", wit_of(function, signature));
        // WAVE reports an empty argument list at the name. Mark the list instead.
        let at = if error.span().end <= open { open..text.len() } else { error.span() };
        syntax(message_of(&error), at, &remedy)
    })?;
    Ok(target.call(&params, timeout)?)
}

/// The parser's message without its byte positions, which the carets show, and without its prefix.
fn message_of(error: &ParserError) -> String {
    let text = error.to_string();
    let message = text.rsplit_once(" at ").map_or(text.as_str(), |(message, _)| message);
    message.trim_start_matches("error converting Wasm value: ").to_owned()
}
