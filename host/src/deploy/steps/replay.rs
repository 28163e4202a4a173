//! Step `replay`: repeats recent calls of the context against the running version and the new one, each on a copy of
//! the file.
//!
//! It repeats only calls that wrote nothing. Calls to other contexts are answered from the recording, so no other
//! context is called. The step refuses a version that breaks a call, or answers it with `unavailable`, if the running
//! version answers that call. Other differences are notes. Neither says a value of a call, which may be a customer's:
//! they say which function, in what way, and the trace of the call in the log. An operator who asks for the values gets
//! them in the report, unless the context's file is encrypted. The history never does.
//! Not here: recording calls (`seam_runtime::run::recorder`).

mod compared;

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

use self::compared::{Broken, CallResult, difference, place, wave};
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
    /// Show values of calls in the report.
    pub values: bool,
}

#[derive(Debug, Default)]
struct Replay {
    pub notes: Vec<String>,
    /// The first call that breaks the running version at the new schema.
    pub irreversible: Option<String>,
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
    let encrypted = running.spec().settings.store.as_ref().is_some_and(|store| store.encrypted);
    let values = request.values && !encrypted;
    let versions =
        Versions { old: &old, new, old_migrated: old_migrated.as_ref(), recorder: &running.recorder, values };
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
        let trace = Trace::start();
        let (Some(old), Some(new)) = (repeat(versions.old, call, Trace::start()), repeat(versions.new, call, trace))
        else {
            continue;
        };
        if matches!(old, CallResult::Broken(_)) {
            continue;
        }
        calls += 1;
        let (name, values) = (name_of(call), versions.values);
        if let Some(migrated) = versions.old_migrated
            && replay.irreversible.is_none()
            && let Some(CallResult::Broken(Broken { kind, .. })) = repeat(migrated, call, Trace::start())
        {
            replay.irreversible = Some(format!("{name}: {kind}"));
        }
        match (blanked(old, versions.recorder), blanked(new, versions.recorder)) {
            (CallResult::NotRecorded, _) | (_, CallResult::NotRecorded) => not_recorded += 1,
            (old, CallResult::Broken(Broken { kind, why })) => {
                let without = format!("{name} was answered with {} and now fails: {kind}", old.kind());
                let message = match values {
                    true => format!("{} was answered with {} and now fails: {why}", shown(call), old.shown()),
                    false => without.clone(),
                };
                let trace = format!("{:032x}", trace.trace_id);
                let remedy = format!("see `seam logs --trace {trace}`, fix it and deploy again");
                let recorded = format!("{without} (trace {trace})");
                return Err(GateRefusal::at(Step::Replay, message, remedy).recorded(recorded));
            }
            (old, new) if old == new => same += 1,
            (old, new) => {
                let without = format!("{name}: {}", place(&old, &new));
                let note = match values {
                    true => format!("{}: {}", shown(call), difference(&old.shown(), &new.shown())),
                    false => without.clone(),
                };
                differing.push((note, without));
            }
        }
    }
    if strict && let Some((first, without)) = differing.first() {
        let said = |first: &str| format!("answers differ: {first} (and {} more)", differing.len() - 1);
        let refusal = GateRefusal::at(Step::Replay, said(first), "if that is intended, deploy without `--strict`");
        return Err(refusal.recorded(said(without)));
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
    replay.notes.extend(differing.into_iter().map(|(note, _)| note).take(limits::DEPLOY_DIFFERENCES_SHOWN));
    if more > 0 {
        replay.notes.push(format!("and {more} more that differ"));
    }
    Ok(replay)
}

/// Repeats one call. `None` when this version has no such function.
fn repeat(trial: &Trial, recorded: &RecordedCall, trace: Trace) -> Option<CallResult> {
    let recording = Arc::new(Recording::of(&recorded.outgoing));
    let live: Live = trial.beside_one(recording.clone());
    let call = Call::start(Instant::now() + Duration::from_millis(limits::DEPLOY_REPLAY_CALL_MS), trace);
    let result = match &recorded.data {
        CallData::Function { interface, function, params, .. } => {
            let export = live.generation().export(interface, function)?;
            live.call(call, export, params).map(CallResult::of_values)
        }
        CallData::Request { request, .. } => live
            .handle(call, request.clone())
            .map(|response| CallResult::of_page(response.status, response.headers, response.body)),
    };
    Some(match result.unwrap_or_else(|failure| CallResult::of_failure(&failure)) {
        _ if recording.missed.load(Ordering::Relaxed) => CallResult::NotRecorded,
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

/// What was called, without values.
fn name_of(recorded: &RecordedCall) -> String {
    match &recorded.data {
        CallData::Function { interface, function, .. } => format!("`{}.{function}(..)`", interface.short()),
        CallData::Request { request, .. } => format!("`{}` of a page", request.method),
    }
}

/// What was called, with values.
fn shown(recorded: &RecordedCall) -> String {
    match &recorded.data {
        CallData::Function { interface, function, params, .. } => {
            let short = interface.short();
            let params: Vec<_> = params.iter().map(wave).collect();
            format!("`{short}.{function}({})`", truncated(&params.join(", "), 60))
        }
        CallData::Request { request, .. } => format!("`{} {}`", request.method, truncated(&request.path, 60)),
    }
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
