//! Writes a recording of calls as a scenario file: recorded answers of other contexts become stubs, those of the
//! context expectations.

use std::fmt::Write as _;

use seam_runtime::call::Failure;
use seam_runtime::component::InterfaceName;
use seam_runtime::guest::notes::OutgoingCall;
use seam_runtime::run::recorder::{CallData, CallLog, RecordedCall};
use wasmtime::component::Val;

use super::functions::{Function, Functions, shown};
use super::pattern::pretty;

/// What the scenario starts with, besides the recorded calls.
pub struct Header<'a> {
    pub name: &'a str,
    /// When the recording began, in seconds since 1970, UTC.
    pub clock_s: u64,
    /// A copy of the context's file from then, relative to the scenario's folder.
    pub file: Option<&'a str>,
    /// The functions of the context.
    pub functions: &'a Functions,
}

/// The file's text.
pub fn scenario(header: &Header<'_>, recording: &CallLog) -> String {
    let mut text = String::from("# Recorded. Random numbers were real: write `_` where an answer contains them.\n");
    if recording.dropped > 0 {
        let _ = writeln!(text, "# {} more calls did not fit into the recording.", recording.dropped);
    }
    if recording.calls.iter().any(|call| call.blanked) {
        text.push_str("# Secrets are blanked out (`***`): fill in what a test may know, or record with `--secrets`.\n");
    }
    let _ = writeln!(text, "\n[[scenario]]\nname = {}", quoted(header.name));
    let _ = writeln!(text, "given.clock = {}", header.clock_s);
    if let Some(file) = header.file {
        let _ = writeln!(text, "given.file = {}", quoted(file));
    }
    let mut now = header.clock_s;
    for call in &recording.calls {
        for made in &call.outgoing {
            stub(made, header.functions, &mut text);
        }
    }
    for call in &recording.calls {
        if call.began_s > now {
            let _ = writeln!(text, "\n[[scenario.when]]\nwait_s = {}", call.began_s - now);
            now = call.began_s;
        }
        step(call, header.functions, &mut text);
    }
    text
}

/// A TOML string, in the quotes that need the fewest escapes.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn applied(functions: &[Function], interface: &InterfaceName, function: &str, params: &[Val]) -> String {
    format!("{}({})", shown(functions, interface, function), params.iter().map(pretty).collect::<Vec<_>>().join(", "))
}

fn failing(failure: &Failure) -> &'static str {
    match failure {
        Failure::Trapped { .. } => "trapped",
        Failure::TimedOut { .. } => "timed-out",
        Failure::Overloaded { .. } => "overloaded",
        Failure::Absent { .. } | Failure::Refused { .. } => "absent",
    }
}

fn stub(made: &OutgoingCall, functions: &Functions, text: &mut String) {
    let params: Vec<String> = made.params.iter().map(pretty).collect();
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
            let _ = writeln!(text, "call = {}", quoted(&applied(&functions.exports, interface, function, params)));
            match outcome.as_deref() {
                Ok([value, ..]) => writeln!(text, "then = {}", quoted(&pretty(value))),
                Ok([]) => Ok(()),
                Err(failure) => writeln!(text, "fails = {}", quoted(failing(failure))),
            }
        }
        CallData::Request { request, outcome } => {
            let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
            let _ = writeln!(text, "request = {}", quoted(&format!("{} {}{query}", request.method, request.path)));
            let headers: Vec<String> =
                request.headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
            let _ = writeln!(text, "headers = {{ {} }}", headers.join(", "));
            if !request.body.is_empty() {
                let _ = writeln!(text, "body = {}", quoted(&String::from_utf8_lossy(&request.body)));
            }
            match outcome {
                Ok(response) => writeln!(text, "status = {}", response.status),
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
