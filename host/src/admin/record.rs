//! `POST /record`: a tape of a context's calls, and the scenario that becomes of it.

use std::time::{Duration, Instant, SystemTime};

use super::{RecordBegun, RecordRequest, Recording, Trouble};
use crate::context::serve::Registry;
use crate::harness::recorded::{self, Header};
use crate::limits;

/// What a request comes to, as JSON.
///
/// # Errors
/// When there is no such context, or its tape runs already, or none does.
pub(super) fn record(registry: &Registry, asked: &RecordRequest) -> Result<serde_json::Value, Trouble> {
    let trouble = |message: String, remedy: &str| Trouble { message, excerpt: None, remedy: remedy.to_owned() };
    let (RecordRequest::Start { context, .. } | RecordRequest::Stop { context, .. }) = asked;
    let known = registry.generations().into_iter().find(|g| g.context().as_str() == context);
    let Some(generation) = known else {
        return Err(trouble(format!("there is no context `{context}`"), "`seam contexts` shows what there is"));
    };
    let recorder = &generation.recorder;
    let answer = match asked {
        RecordRequest::Start { secrets, file, .. } => {
            let clock_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let deadline = Instant::now() + Duration::from_millis(limits::ADMIN_REQUEST_MS);
            let started = match generation.database() {
                Some(database) => {
                    database.copy_still(file, deadline, || recorder.start_log(*secrets)).map_err(|error| {
                        let remedy = "see that the host may write there, and that the context's file is not encrypted";
                        trouble(format!("the file of `{context}` cannot be copied: {error}"), remedy)
                    })?
                }
                None => recorder.start_log(*secrets),
            };
            if !started {
                let remedy = "wait for it to end, or end it";
                return Err(trouble(format!("the calls of `{context}` are being recorded already"), remedy));
            }
            serde_json::to_value(RecordBegun { clock_s, file: generation.database().is_some() })
        }
        RecordRequest::Stop { head, .. } => {
            let Some(tape) = recorder.stop_log() else {
                return Err(trouble(format!("the calls of `{context}` are not being recorded"), ""));
            };
            let file = head.begun.file.then_some(head.file.as_str());
            let text = recorded::scenario(&Header { name: &head.name, clock_s: head.begun.clock_s, file }, &tape);
            serde_json::to_value(Recording {
                scenario: text,
                calls: tape.calls.len(),
                dropped: tape.dropped,
                blanked: tape.calls.iter().filter(|call| call.blanked).count(),
            })
        }
    };
    answer.map_err(|error| trouble(error.to_string(), ""))
}
