//! Step `replay`: calls that the context answered lately, asked again of the version that serves and of the new one, each on a copy of the file.
//!
//! Only calls that wrote nothing. What they ask of other contexts is answered from the recording, so nobody else is reached. A call that the
//! new version breaks, or answers with `unavailable`, though the old one answers it, keeps the version out; another answer is told.
//! Of a context whose file is encrypted no value is told: reports become history and log lines, and those are not encrypted.
//! Not here: what is recorded (`context::recorder`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::component::{Val, wasm_wave};

use super::migrations::{self, SchemaTrial};
use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::{DeployRequest, Form};
use crate::deploy::system::System;
use crate::limits;
use seam_runtime::alone::Trial;
use seam_runtime::call::{Call, Failure};
use seam_runtime::component::same_signature;
use seam_runtime::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function};
use seam_runtime::guest::notes::Asked;
use seam_runtime::run::recorder::{Recorded, Recorder, What};
use seam_runtime::serve::Live;
use seam_store::chain;
use seam_store::ids::Trace;

/// The versions that are compared.
struct Sides<'a> {
    /// The one that serves, on the file as it is.
    pub old: &'a Trial,
    pub new: &'a Trial,
    /// The one that serves, at the new version's schema, if that is another.
    pub old_migrated: Option<&'a Trial>,
    pub recorder: &'a Recorder,
    /// No value of a call is told.
    pub secret: bool,
}

#[derive(Debug, Default)]
struct Replayed {
    pub notes: Vec<String>,
    /// The first call that the running version breaks at the new schema.
    pub irreversible: Option<String>,
}

/// One call's answer, as it is compared.
#[derive(Debug, PartialEq)]
enum Answer {
    Values(Vec<Val>),
    Page {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Broken(String),
    /// It asked what the recording has no answer for.
    Unknown,
}

/// Asks the running version and the new one what others asked lately.
///
/// # Errors
/// When the new version breaks a call that the old one answers; with `--strict`, when it gives another answer.
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
    let sides = Sides { old: &old, new, old_migrated: old_migrated.as_ref(), recorder: &running.recorder, secret };
    let Replayed { mut notes, irreversible } = run(&sides, request.strict)?;
    if let (Some(schema), Some(why)) = (schema.as_mut(), irreversible)
        && schema.irreversible.is_none()
    {
        schema.irreversible = Some(why);
        notes.extend(migrations::irreversible(Step::Replay, schema, &request.allow, Form::Full)?);
    }
    Ok(notes)
}

/// # Errors
/// When the new version breaks a call that the old one answers; with `strict`, when it answers otherwise.
fn run(sides: &Sides<'_>, strict: bool) -> Result<Replayed, GateRefusal> {
    let until = Instant::now() + Duration::from_millis(limits::DEPLOY_REPLAY_MS);
    let all = sides.recorder.recent();
    let recent: Vec<_> = all.iter().rev().filter(|call| !call.blanked && call.asked_all && !call.wrote).collect();
    let (mut asked, mut same, mut differing, mut unknown) = (0, 0, Vec::new(), 0);
    let mut replayed = Replayed::default();
    for call in recent.into_iter().take(limits::DEPLOY_REPLAY_CALLS_MAX) {
        if Instant::now() > until {
            break;
        }
        if let What::Function { interface, function, .. } = &call.what
            && !comparable(sides.old, sides.new, interface, function)
        {
            continue;
        }
        let (Some(old), Some(new)) = (ask(sides.old, call), ask(sides.new, call)) else { continue };
        if matches!(old, Answer::Broken(_)) {
            continue;
        }
        asked += 1;
        let name = name_of(call, sides.secret);
        if let Some(migrated) = sides.old_migrated
            && replayed.irreversible.is_none()
            && let Some(Answer::Broken(why)) = ask(migrated, call)
        {
            replayed.irreversible = Some(format!("{name}: {}", if sides.secret { "it breaks" } else { &why }));
        }
        match (blanked(old, sides.recorder), blanked(new, sides.recorder)) {
            (Answer::Unknown, _) | (_, Answer::Unknown) => unknown += 1,
            (old, Answer::Broken(why)) => {
                let message = match sides.secret {
                    true => format!("{name} was answered and is not any more"),
                    false => format!("{name} was answered with {} and is not any more: {why}", shown(&old)),
                };
                return Err(GateRefusal::at(Step::Replay, message, "see the log; then mend it, and deploy again"));
            }
            (old, new) if old == new => same += 1,
            (_, _) if sides.secret => differing.push(format!("{name}: not shown, since its file is encrypted")),
            (old, new) => differing.push(format!("{name}: {}", difference(&shown(&old), &shown(&new)))),
        }
    }
    if strict && let Some(first) = differing.first() {
        let more = differing.len() - 1;
        let message = format!("answers differ: {first} (and {more} more)");
        return Err(GateRefusal::at(Step::Replay, message, "if that is meant, leave `--strict` out"));
    }
    replayed.notes = match asked {
        0 => vec!["no call of it was recorded that could be asked again".to_owned()],
        _ => vec![format!("{asked} calls: {same} answered alike, {} otherwise", differing.len())],
    };
    if unknown > 0 {
        replayed.notes.push(format!("{unknown} asked others what was never recorded, which tells nothing"));
    }
    let more = differing.len().saturating_sub(limits::DEPLOY_DIFFERENCES_SHOWN);
    replayed.notes.extend(differing.into_iter().take(limits::DEPLOY_DIFFERENCES_SHOWN));
    if more > 0 {
        replayed.notes.push(format!("and {more} more that differ"));
    }
    Ok(replayed)
}

/// `None` when this version has no such function.
fn ask(trial: &Trial, recorded: &Recorded) -> Option<Answer> {
    let answers = Arc::new(Answers::of(&recorded.asked));
    let live: Live = trial.beside_one(answers.clone());
    let call = Call::start(Instant::now() + Duration::from_millis(limits::DEPLOY_REPLAY_CALL_MS), Trace::start());
    let answered = match &recorded.what {
        What::Function { interface, function, params, .. } => {
            let export = live
                .generation()
                .exports()
                .iter()
                .find(|export| export.interface == *interface && export.function == *function)?;
            live.call(call, export, params).map(|results| match unavailable(&results) {
                Some(why) => Answer::Broken(format!("unavailable: {why}")),
                None => Answer::Values(results),
            })
        }
        What::Request { request, .. } => live.handle(call, request.clone()).map(|response| Answer::Page {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }),
    };
    let broken = |failure: Failure| Answer::Broken(failure.to_string());
    Some(match answered.unwrap_or_else(broken) {
        _ if answers.unknown.load(Ordering::Relaxed) => Answer::Unknown,
        Answer::Page { status, body, .. } if status >= 500 => Answer::Broken(format!(
            "status {status}: {}",
            String::from_utf8_lossy(&body).chars().take(80).collect::<String>()
        )),
        answer => answer,
    })
}

/// Whether a function can be asked of both: the same name, of the same type.
fn comparable(old: &Trial, new: &Trial, interface: &str, function: &str) -> bool {
    let of = |trial: &Trial| {
        let live = trial.alone();
        let found = live.generation().exports().iter().find(|e| e.interface == interface && e.function == function);
        found.map(|export| export.signature.clone())
    };
    matches!((of(old), of(new)), (Some(old), Some(new)) if same_signature(&old, &new))
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

/// Without the values that are not to be shown.
fn blanked(answer: Answer, recorder: &Recorder) -> Answer {
    match answer {
        Answer::Values(mut values) => {
            recorder.blank(&mut values);
            Answer::Values(values)
        }
        other => other,
    }
}

fn name_of(recorded: &Recorded, secret: bool) -> String {
    match &recorded.what {
        What::Function { interface, function, .. } if secret => {
            format!("`{}.{function}(..)`", interface.rsplit('/').next().unwrap_or_default())
        }
        What::Request { request, .. } if secret => format!("`{}` of a page", request.method),
        What::Function { interface, function, params, .. } => {
            let short = interface.rsplit('/').next().unwrap_or_default();
            let params: Vec<_> = params.iter().map(wave).collect();
            format!("`{short}.{function}({})`", cut(&params.join(", "), 60))
        }
        What::Request { request, .. } => format!("`{} {}`", request.method, cut(&request.path, 60)),
    }
}

fn wave(value: &Val) -> String {
    wasm_wave::to_string(value).unwrap_or_else(|error| format!("({error})"))
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Values(values) => values.iter().map(wave).collect::<Vec<_>>().join(", "),
        Answer::Page { status, headers, body } => {
            let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{status} {} {}", headers.join(" "), String::from_utf8_lossy(body))
        }
        Answer::Broken(why) => why.clone(),
        Answer::Unknown => String::new(),
    }
}

/// The place where two texts begin to differ, a few words of each.
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

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Answers what was asked before as it was answered then.
struct Answers {
    asked: Vec<Asked>,
    used: Mutex<Vec<bool>>,
    /// Something else was asked.
    unknown: AtomicBool,
}

impl Answers {
    fn of(asked: &[Asked]) -> Self {
        Self { asked: asked.to_vec(), used: Mutex::new(vec![false; asked.len()]), unknown: AtomicBool::new(false) }
    }
}

impl Dispatch for Answers {
    fn call(
        &self,
        _: Call,
        _: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let absent = |reason: &str| Failure::Absent { context: function.interface.clone(), reason: reason.to_owned() };
        let params = exchange.params(function).map_err(|_| absent("its parameters cannot be read"))?;
        let fits = |asked: &Asked| {
            asked.interface == function.interface && asked.function == function.name && asked.params == params
        };
        let mut used = self.used.lock();
        // The same question again gets the next answer to it, and the last one for good.
        let mut found = None;
        for (at, asked) in self.asked.iter().enumerate().filter(|(_, asked)| fits(asked)) {
            found = Some((at, asked));
            if !used.get(at).copied().unwrap_or(true) {
                break;
            }
        }
        let Some((at, asked)) = found else {
            self.unknown.store(true, Ordering::Relaxed);
            return Err(absent("the recording has no answer to this"));
        };
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        match &asked.outcome {
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
