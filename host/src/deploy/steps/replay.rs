//! Step `replay`: repeats recent calls of the context against the running version and the new one, each on a copy of
//! the file.
//!
//! It repeats only calls that wrote nothing. Calls to other contexts are answered from the recording, so no other
//! context is called. The step refuses a version that breaks a call, or answers it with `unavailable`, if the running
//! version answers that call. Other differences are notes. For a context whose file is encrypted, the notes contain no
//! values: they end up in the history and the log, which are not encrypted.
//! Not here: recording calls (`seam_runtime::run::recorder`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_runtime::alone::Trial;
use seam_runtime::call::{Call, Failure};
use seam_runtime::component::{InterfaceName, same_signature};
use seam_runtime::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function};
use seam_runtime::guest::notes::OutgoingCall;
use seam_runtime::run::recorder::{CallData, RecordedCall, Recorder};
use seam_runtime::serve::Live;
use seam_store::chain;
use seam_store::ids::Trace;
use wasmtime::component::{Val, wasm_wave};

use super::migrations::{self, SchemaTrial};
use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::{DeployRequest, Form};
use crate::deploy::system::System;
use crate::limits;

/// The versions to compare.
struct Versions<'a> {
    /// The running version, at the current schema.
    pub old: &'a Trial,
    pub new: &'a Trial,
    /// The running version at the new schema, if the schema changes.
    pub old_migrated: Option<&'a Trial>,
    pub recorder: &'a Recorder,
    /// Do not show values of calls.
    pub secret: bool,
}

#[derive(Debug, Default)]
struct Replay {
    pub notes: Vec<String>,
    /// The first call that breaks the running version at the new schema.
    pub irreversible: Option<String>,
}

/// The result of one replayed call, for comparison.
#[derive(Debug, PartialEq)]
enum CallResult {
    Values(Vec<Val>),
    Page {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Broken(String),
    /// It made a call that the recording does not contain.
    NotRecorded,
}

/// Replays recent calls against the running version and the new one. Returns notes on the differences.
///
/// # Errors
/// When the new version breaks a call that the old one answers; with `--strict`, when an answer differs.
pub(crate) fn check(
    system: &System,
    request: &DeployRequest,
    new: &Trial,
    mut schema: Option<&mut SchemaTrial>,
) -> Result<Vec<String>, GateRefusal> {
    let name = request.context.as_str();
    let Some(running) = system.generation(name) else { return Ok(Vec::new()) };
    let start_on = |database| {
        let trial = Trial::start(&system.registry, system.registry.specs(), name, database);
        trial.map_err(|error| GateRefusal::context(Step::Replay, error))
    };
    let changed = schema.as_ref().is_some_and(|schema| schema.from != schema.to);
    let migrated = schema.as_ref().map(|schema| schema.copy.clone());
    let before = match running.database() {
        Some(live) if changed => {
            let path = system.artifacts.trial(&format!("{name}-before"));
            let copied = live.copy(&path);
            Some(copied.map_err(|error| GateRefusal::at(Step::Replay, chain(&error), "see the log"))?)
        }
        _ => migrated.clone(),
    };
    let old = start_on(before)?;
    let old_migrated = if changed { Some(start_on(migrated)?) } else { None };
    let secret = running.spec().settings.store.as_ref().is_some_and(|store| store.encryption.applies());
    let versions =
        Versions { old: &old, new, old_migrated: old_migrated.as_ref(), recorder: &running.recorder, secret };
    let Replay { mut notes, irreversible } = run(&versions, request.strict)?;
    if let (Some(schema), Some(why)) = (schema.as_mut(), irreversible)
        && schema.irreversible.is_none()
    {
        schema.irreversible = Some(why);
        notes.extend(migrations::irreversible(Step::Replay, schema, &request.allow, Form::Full)?);
    }
    Ok(notes)
}

/// # Errors
/// When the new version breaks a call that the old one answers; with `strict`, when an answer differs.
fn run(versions: &Versions<'_>, strict: bool) -> Result<Replay, GateRefusal> {
    let until = Instant::now() + Duration::from_millis(limits::DEPLOY_REPLAY_MS);
    let all = versions.recorder.recent();
    let recent: Vec<_> =
        all.iter().rev().filter(|call| !call.blanked && call.outgoing_complete && !call.wrote).collect();
    let (mut calls, mut same, mut differing, mut not_recorded) = (0, 0, Vec::new(), 0);
    let mut replay = Replay::default();
    for call in recent.into_iter().take(limits::DEPLOY_REPLAY_CALLS_MAX) {
        if Instant::now() > until {
            break;
        }
        if let CallData::Function { interface, function, .. } = &call.data
            && !comparable(versions.old, versions.new, interface, function)
        {
            continue;
        }
        let (Some(old), Some(new)) = (repeat(versions.old, call), repeat(versions.new, call)) else { continue };
        if matches!(old, CallResult::Broken(_)) {
            continue;
        }
        calls += 1;
        let name = name_of(call, versions.secret);
        if let Some(migrated) = versions.old_migrated
            && replay.irreversible.is_none()
            && let Some(CallResult::Broken(why)) = repeat(migrated, call)
        {
            replay.irreversible = Some(format!("{name}: {}", if versions.secret { "it breaks" } else { &why }));
        }
        match (blanked(old, versions.recorder), blanked(new, versions.recorder)) {
            (CallResult::NotRecorded, _) | (_, CallResult::NotRecorded) => not_recorded += 1,
            (old, CallResult::Broken(why)) => {
                let message = match versions.secret {
                    true => format!("{name} was answered and now fails"),
                    false => format!("{name} was answered with {} and now fails: {why}", shown(&old)),
                };
                return Err(GateRefusal::at(Step::Replay, message, "see the log, fix it and deploy again"));
            }
            (old, new) if old == new => same += 1,
            (_, _) if versions.secret => differing.push(format!("{name}: not shown, since its file is encrypted")),
            (old, new) => differing.push(format!("{name}: {}", difference(&shown(&old), &shown(&new)))),
        }
    }
    if strict && let Some(first) = differing.first() {
        let more = differing.len() - 1;
        let message = format!("answers differ: {first} (and {more} more)");
        return Err(GateRefusal::at(Step::Replay, message, "if that is intended, deploy without `--strict`"));
    }
    replay.notes = match calls {
        0 => vec!["no recorded call can be replayed".to_owned()],
        _ => vec![format!("{calls} calls: {same} equal answers, {} different", differing.len())],
    };
    if not_recorded > 0 {
        replay.notes.push(format!(
            "{not_recorded} calls cannot be compared: they called another context in a way that was not recorded"
        ));
    }
    let more = differing.len().saturating_sub(limits::DEPLOY_DIFFERENCES_SHOWN);
    replay.notes.extend(differing.into_iter().take(limits::DEPLOY_DIFFERENCES_SHOWN));
    if more > 0 {
        replay.notes.push(format!("and {more} more that differ"));
    }
    Ok(replay)
}

/// Repeats one call. `None` when this version has no such function.
fn repeat(trial: &Trial, recorded: &RecordedCall) -> Option<CallResult> {
    let recording = Arc::new(Recording::of(&recorded.outgoing));
    let live: Live = trial.beside_one(recording.clone());
    let call = Call::start(Instant::now() + Duration::from_millis(limits::DEPLOY_REPLAY_CALL_MS), Trace::start());
    let result = match &recorded.data {
        CallData::Function { interface, function, params, .. } => {
            let export = live.generation().export(interface, function)?;
            live.call(call, export, params).map(|results| match unavailable(&results) {
                Some(why) => CallResult::Broken(format!("unavailable: {why}")),
                None => CallResult::Values(results),
            })
        }
        CallData::Request { request, .. } => live.handle(call, request.clone()).map(|response| CallResult::Page {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }),
    };
    let broken = |failure: Failure| CallResult::Broken(failure.to_string());
    Some(match result.unwrap_or_else(broken) {
        _ if recording.missed.load(Ordering::Relaxed) => CallResult::NotRecorded,
        CallResult::Page { status, body, .. } if status >= 500 => CallResult::Broken(format!(
            "status {status}: {}",
            String::from_utf8_lossy(&body).chars().take(80).collect::<String>()
        )),
        result => result,
    })
}

/// Whether both versions export the function with the same type.
fn comparable(old: &Trial, new: &Trial, interface: &InterfaceName, function: &str) -> bool {
    let signature = |trial: &Trial| {
        let live = trial.alone();
        live.generation().export(interface, function).map(|export| export.signature.clone())
    };
    matches!((signature(old), signature(new)), (Some(old), Some(new)) if same_signature(&old, &new))
}

fn unavailable(results: &[Val]) -> Option<String> {
    let [Val::Result(Err(Some(error)))] = results else { return None };
    match &**error {
        Val::Variant(case, Some(text)) if case == "unavailable" => Some(match &**text {
            Val::String(text) => text.clone(),
            _ => String::new(),
        }),
        _ => None,
    }
}

/// The result without values that the manifest hides.
fn blanked(result: CallResult, recorder: &Recorder) -> CallResult {
    match result {
        CallResult::Values(mut values) => {
            recorder.blank(&mut values);
            CallResult::Values(values)
        }
        other => other,
    }
}

fn name_of(recorded: &RecordedCall, secret: bool) -> String {
    match &recorded.data {
        CallData::Function { interface, function, .. } if secret => {
            format!("`{}.{function}(..)`", interface.short())
        }
        CallData::Request { request, .. } if secret => format!("`{}` of a page", request.method),
        CallData::Function { interface, function, params, .. } => {
            let short = interface.short();
            let params: Vec<_> = params.iter().map(wave).collect();
            format!("`{short}.{function}({})`", truncated(&params.join(", "), 60))
        }
        CallData::Request { request, .. } => format!("`{} {}`", request.method, truncated(&request.path, 60)),
    }
}

fn wave(value: &Val) -> String {
    wasm_wave::to_string(value).unwrap_or_else(|error| format!("({error})"))
}

fn shown(result: &CallResult) -> String {
    match result {
        CallResult::Values(values) => values.iter().map(wave).collect::<Vec<_>>().join(", "),
        CallResult::Page { status, headers, body } => {
            let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{status} {} {}", headers.join(" "), String::from_utf8_lossy(body))
        }
        CallResult::Broken(why) => why.clone(),
        CallResult::NotRecorded => String::new(),
    }
}

/// An excerpt of both texts, around the point where they begin to differ.
fn difference(old: &str, new: &str) -> String {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(20);
    let part = |text: &str| {
        let shown: String = text.chars().skip(from).take(60).collect();
        let (before, after) =
            (if from > 0 { "..." } else { "" }, if text.chars().count() > from + 60 { "..." } else { "" });
        format!("{before}{}{after}", shown.replace('\n', " "))
    };
    format!("{} became {}", part(old), part(new))
}

fn truncated(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Answers calls to other contexts from the recording.
struct Recording {
    calls: Vec<OutgoingCall>,
    used: Mutex<Vec<bool>>,
    /// A call came that is not in the recording.
    missed: AtomicBool,
}

impl Recording {
    fn of(calls: &[OutgoingCall]) -> Self {
        Self { calls: calls.to_vec(), used: Mutex::new(vec![false; calls.len()]), missed: AtomicBool::new(false) }
    }
}

impl Dispatch for Recording {
    fn call(
        &self,
        _: Call,
        _: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let absent =
            |reason: &str| Failure::Absent { context: function.interface.to_string(), reason: reason.to_owned() };
        let params = exchange.params(function).map_err(|_| absent("its parameters cannot be read"))?;
        let matches = |call: &OutgoingCall| {
            function.interface.accepts(&call.interface) && call.function == function.name && call.params == params
        };
        let mut used = self.used.lock();
        // A repeated call gets the next recorded answer, and after the last one that answer again.
        let mut found = None;
        for (at, call) in self.calls.iter().enumerate().filter(|(_, call)| matches(call)) {
            found = Some((at, call));
            if !used.get(at).copied().unwrap_or(true) {
                break;
            }
        }
        let Some((at, call)) = found else {
            self.missed.store(true, Ordering::Relaxed);
            return Err(absent("the recording has no answer to this call"));
        };
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        match &call.outcome {
            Ok(results) => exchange.answer(results.clone()).map_err(|error| absent(&error.to_string())),
            Err(failure) => Err(failure.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        assert_eq!(difference("ok(14)", "ok(21)"), "ok(14) became ok(21)");
        let long = |end: &str| format!("{}{end}", "x".repeat(100));
        let shown = difference(&long("a"), &long("b"));
        assert_eq!(shown, format!("...{0}a became ...{0}b", "x".repeat(20)));
    }
}
