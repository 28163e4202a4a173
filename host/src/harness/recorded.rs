//! Writes a recording of calls as a scenario file: recorded answers of other contexts become stubs, those of the
//! context expectations.
//!
//! The scenario passes when it is run again, so it expects nothing that may differ then: blanked secrets, and texts
//! about contexts that were away, are `_`, and of a call that drew random numbers it expects only whether it failed. A
//! call that cannot be repeated is a comment.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use seam_runtime::buffered_http;
use seam_runtime::call::Failure;
use seam_runtime::component::InterfaceName;
use seam_runtime::guest::notes::OutgoingCall;
use seam_runtime::run::recorder::{BLANK, CallData, CallLog, RecordedCall};
use wasmtime::component::Val;

use super::functions::{Function, Functions, shown};
use super::pattern::pretty;
use crate::limits;

/// What the scenario starts with, besides the recorded calls.
pub struct Header<'a> {
    pub context: &'a str,
    pub name: &'a str,
    /// When the recording began, in seconds since 1970, UTC.
    pub clock_s: u64,
    /// A copy of the context's file from then, relative to the scenario's folder.
    pub file: Option<&'a str>,
    /// The functions of the context.
    pub functions: &'a Functions,
}

/// A scenario that was made of a recording.
pub struct Recorded {
    /// The file's text.
    pub text: String,
    /// Calls in it.
    pub calls: usize,
    /// Calls that cannot be repeated; each is a comment.
    pub left_out: usize,
    /// Calls that did not fit into the recording or the file.
    pub dropped: usize,
}

/// The recording as a scenario, as much of it as a file may hold.
pub fn scenario(header: &Header<'_>, recording: &CallLog) -> Recorded {
    let mut recorded = Recorded { text: String::new(), calls: 0, left_out: 0, dropped: recording.dropped };
    let (mut stubs, mut steps) = (String::new(), String::new());
    let mut now = header.clock_s;
    for (at, call) in recording.calls.iter().enumerate() {
        let (mut its_stubs, mut its_step) = (String::new(), String::new());
        let why_not = unrepeatable(call);
        match why_not {
            Some(why) => {
                let _ = writeln!(its_step, "\n# Left out: {}: {why}.", name(call));
            }
            None => {
                if call.began_s > now {
                    let _ = writeln!(its_step, "\n[[scenario.when]]\nwait_s = {}", call.began_s - now);
                    now = call.began_s;
                }
                call.outgoing.iter().for_each(|made| stub(made, header.functions, &mut its_stubs));
                step(call, header.functions, &mut its_step);
            }
        }
        let bytes = stubs.len() + steps.len() + its_stubs.len() + its_step.len();
        if bytes > limits::RECORDED_BYTES_MAX {
            recorded.dropped += recording.calls.len() - at;
            break;
        }
        stubs.push_str(&its_stubs);
        steps.push_str(&its_step);
        match why_not {
            Some(_) => recorded.left_out += 1,
            None => recorded.calls += 1,
        }
    }
    let text = &mut recorded.text;
    text.push_str("# Recorded. Calls that ran side by side stand one after the other.\n");
    contents(header, recording, text);
    if recorded.dropped > 0 {
        let _ = writeln!(text, "# {} more calls did not fit into the recording.", recorded.dropped);
    }
    if recording.calls.iter().any(|call| call.blanked) {
        text.push_str("# Secrets are blanked out (`***`): fill in what a test may know, or record with `--secrets`.\n");
    }
    let _ = writeln!(text, "\n[[scenario]]\nname = {}", quoted(header.name));
    let _ = writeln!(text, "given.clock = {}", header.clock_s);
    if let Some(file) = header.file {
        let _ = writeln!(text, "given.file = {}", quoted(file));
    }
    text.push_str(&stubs);
    text.push_str(&steps);
    recorded
}

/// Says whose values the files hold.
fn contents(header: &Header<'_>, recording: &CallLog, text: &mut String) {
    let of = header.context;
    let called: BTreeSet<String> =
        recording.calls.iter().flat_map(|call| &call.outgoing).map(|made| made.interface.to_string()).collect();
    let called = match called.is_empty() {
        true => String::new(),
        false => format!(" and of the calls that it made to {}", Vec::from_iter(called).join(", ")),
    };
    let _ = writeln!(text, "# It holds values of real calls: those of the calls to `{of}`{called}.");
    if let Some(file) = header.file {
        let _ =
            writeln!(text, "# `{file}` is the whole store of `{of}`, every row, as it was when the recording began.");
    }
    text.push_str("# Keep them out of version control, and off machines that may not have those values.\n");
}

/// Why a call cannot be repeated, if it cannot.
fn unrepeatable(call: &RecordedCall) -> Option<&'static str> {
    let failure = match &call.data {
        CallData::Function { outcome, .. } => outcome.as_ref().err(),
        CallData::Request { outcome, .. } => outcome.as_ref().err(),
    };
    match (failure, &call.data) {
        (Some(Failure::TimedOut { .. }), _) => Some("it ran out of time"),
        (Some(Failure::Overloaded { .. }), _) => Some("the context had no place for it"),
        (Some(Failure::Absent { .. } | Failure::Refused { .. } | Failure::Moved { .. }), _) => {
            Some("the context could not be called")
        }
        (_, CallData::Request { request, .. }) if std::str::from_utf8(&request.body).is_err() => {
            Some("its body is not text")
        }
        _ if !call.outgoing_complete => Some("it made more calls to other contexts than a recording keeps"),
        _ => None,
    }
}

fn name(call: &RecordedCall) -> String {
    match &call.data {
        CallData::Function { interface, function, .. } => format!("{interface}.{function}"),
        CallData::Request { request, .. } => format!("{} {}", request.method, request.path),
    }
}

/// A TOML string, in the quotes that need the fewest escapes.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The call as a pattern: blanked secrets match any value.
fn applied(functions: &[Function], interface: &InterfaceName, function: &str, params: &[Val]) -> String {
    format!("{}({})", shown(functions, interface, function), params.iter().map(open).collect::<Vec<_>>().join(", "))
}

/// A value as a pattern: blanked secrets in it match any value, and so does the text of an `unavailable`.
fn open(value: &Val) -> String {
    let mut value = value.clone();
    blank_reasons(&mut value);
    let bytes = BLANK.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    // A quote inside of a text is escaped, so this is always a whole text.
    pretty(&value).replace(&format!("\"{BLANK}\""), "_").replace(&format!("[{bytes}]"), "_")
}

/// The reason why another context is away names it as this host knows it.
fn blank_reasons(value: &mut Val) {
    match value {
        Val::Variant(case, Some(inner)) if case == "unavailable" => {
            if let Val::String(text) = &mut **inner {
                BLANK.clone_into(text);
            }
        }
        Val::Variant(_, Some(inner)) | Val::Option(Some(inner)) | Val::Result(Ok(Some(inner)) | Err(Some(inner))) => {
            blank_reasons(inner);
        }
        Val::List(items) | Val::Tuple(items) => items.iter_mut().for_each(blank_reasons),
        Val::Record(fields) => fields.iter_mut().for_each(|(_, value)| blank_reasons(value)),
        _ => {}
    }
}

/// A pattern for the results of a call that drew random numbers.
fn shape(value: &Val) -> &'static str {
    match value {
        Val::Result(Ok(Some(_))) => "ok(_)",
        Val::Result(Ok(None)) => "ok",
        Val::Result(Err(Some(_))) => "err(_)",
        Val::Result(Err(None)) => "err",
        _ => "_",
    }
}

fn failing(failure: &Failure) -> &'static str {
    match failure {
        Failure::Trapped { .. } => "trapped",
        Failure::TimedOut { .. } => "timed-out",
        Failure::Overloaded { .. } => "overloaded",
        Failure::Absent { .. } | Failure::Refused { .. } | Failure::Moved { .. } => "absent",
    }
}

fn stub(made: &OutgoingCall, functions: &Functions, text: &mut String) {
    let params: Vec<String> = made.params.iter().map(open).collect();
    let _ = writeln!(text, "\n[[scenario.given.stub]]");
    let _ = writeln!(text, "function = {}", quoted(&shown(&functions.imports, &made.interface, &made.function)));
    let _ = writeln!(text, "with = {}\ntimes = 1", quoted(&format!("({})", params.join(", "))));
    let _ = match made.outcome.as_deref() {
        Ok([value, ..]) => writeln!(text, "answer = {}", quoted(&pretty(value))),
        Ok([]) => Ok(()),
        Err(failure) => writeln!(text, "fails = {}", quoted(failing(failure))),
    };
}

fn step(call: &RecordedCall, functions: &Functions, text: &mut String) {
    text.push_str("\n[[scenario.when]]\n");
    let _ = match &call.data {
        CallData::Function { interface, function, params, outcome } => {
            let params: Vec<String> = params.iter().map(pretty).collect();
            let called = format!("{}({})", shown(&functions.exports, interface, function), params.join(", "));
            let _ = writeln!(text, "call = {}", quoted(&called));
            match outcome.as_deref() {
                Ok([value, ..]) if call.random => writeln!(text, "then = \"{}\"", shape(value)),
                Ok([value, ..]) => writeln!(text, "then = {}", quoted(&open(value))),
                Ok([]) => Ok(()),
                Err(failure) => writeln!(text, "fails = {}", quoted(failing(failure))),
            }
        }
        CallData::Request { request, outcome } => {
            let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
            let _ = writeln!(text, "request = {}", quoted(&format!("{} {}{query}", request.method, request.path)));
            let headers: Vec<String> =
                headers(request).iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
            let _ = writeln!(text, "headers = {{ {} }}", headers.join(", "));
            if !request.body.is_empty() {
                let _ = writeln!(text, "body = {}", quoted(&String::from_utf8_lossy(&request.body)));
            }
            match outcome {
                Ok(response) => {
                    response_keys(response, call.random, text);
                    Ok(())
                }
                Err(failure) => writeln!(text, "fails = {}", quoted(failing(failure))),
            }
        }
    };
    if call.outgoing_complete {
        let asked: Vec<String> = call
            .outgoing
            .iter()
            .map(|made| quoted(&applied(&functions.imports, &made.interface, &made.function, &made.params)))
            .collect();
        let _ = writeln!(text, "asked = [{}]", asked.join(", "));
    }
}

/// The headers of a request, each name once. The scenario's runner knows the length of the body.
fn headers(request: &buffered_http::Request) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        match all.iter_mut().find(|(known, _)| *known == name) {
            _ if name == "content-length" || name == "transfer-encoding" => {}
            Some((_, known)) => {
                let _ = write!(known, "{} {value}", if name == "cookie" { ';' } else { ',' });
            }
            None => all.push((name, value.clone())),
        }
    }
    all
}

/// What a response is expected to be: JSON as a whole, of a page its title.
fn response_keys(response: &buffered_http::Response, random: bool, text: &mut String) {
    let _ = writeln!(text, "status = {}", response.status);
    let header = |name: &str| {
        let found = response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let content_type = header("content-type").unwrap_or_default();
    let kept = ["content-type", "location"].into_iter().filter_map(|name| Some((name, header(name)?)));
    let kept: Vec<String> = kept
        .filter(|(_, value)| !random && !value.contains(BLANK))
        .map(|(name, value)| format!("{name} = {}", quoted(value)))
        .collect();
    if !kept.is_empty() {
        let _ = writeln!(text, "response_headers = {{ {} }}", kept.join(", "));
    }
    let Ok(body) = std::str::from_utf8(&response.body) else { return };
    if random {
        return;
    }
    if content_type.contains("json") && body.len() <= limits::RECORDED_ANSWER_BYTES_MAX {
        let _ = writeln!(text, "answer = {}", quoted(body));
    } else if let Some((title, _)) = body.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")) {
        let _ = writeln!(text, "contains = [{}]", quoted(&format!("<title>{title}</title>")));
    }
}

#[cfg(test)]
mod tests;
