//! `POST /record`: records the calls of a context and turns them into a scenario.

use std::time::{Duration, Instant, SystemTime};

use seam_runtime::serve::Registry;

use super::protocol::{ErrorMessage, RecordRequest, RecordedScenario, RecordingStarted};
use crate::harness::functions::Functions;
use crate::harness::recorded::{self, Header};
use crate::limits;

/// Starts or stops a recording and returns the response, as JSON.
///
/// # Errors
/// When there is no such context, when its calls are already being recorded, or when they are not.
pub(super) fn record(registry: &Registry, asked: &RecordRequest) -> Result<serde_json::Value, ErrorMessage> {
    let error = |message: String, remedy: &str| ErrorMessage { message, excerpt: None, remedy: remedy.to_owned() };
    let (RecordRequest::Start { context, .. } | RecordRequest::Stop { context, .. }) = asked;
    let known = registry.generations().into_iter().find(|g| g.context().as_str() == context);
    let Some(generation) = known else {
        if let Some(host) = registry.lives_elsewhere(context) {
            let remedy = format!("record them there: `--as {host}`");
            return Err(error(format!("`{context}` lives on host `{host}`, and its calls do, too"), &remedy));
        }
        return Err(error(format!("there is no context `{context}`"), "`seam contexts` lists the contexts"));
    };
    let recorder = &generation.recorder;
    let answer = match asked {
        RecordRequest::Start { secrets, file, .. } => {
            let clock_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let deadline = Instant::now() + Duration::from_millis(limits::ADMIN_REQUEST_MS);
            let started = match generation.database() {
                Some(database) => {
                    database.copy_while_locked(file, deadline, || recorder.start_log(*secrets)).map_err(|source| {
                        let remedy =
                            "check that the host may write there, and that the context's file is not encrypted";
                        error(format!("cannot copy the file of `{context}`: {source}"), remedy)
                    })?
                }
                None => recorder.start_log(*secrets),
            };
            if !started {
                let remedy = "stop that recording, or wait until it ends";
                return Err(error(format!("the calls of `{context}` are already being recorded"), remedy));
            }
            serde_json::to_value(RecordingStarted { clock_s, file: generation.database().is_some() })
        }
        RecordRequest::Stop { head, .. } => {
            let Some(recording) = recorder.stop_log() else {
                return Err(error(format!("the calls of `{context}` are not being recorded"), ""));
            };
            let functions = &Functions::of(generation.component());
            let file = head.started.file.then_some(head.file.as_str());
            let recorded = recorded::scenario(
                &Header { context, name: &head.name, clock_s: head.started.clock_s, file, functions },
                &recording,
            );
            serde_json::to_value(RecordedScenario {
                scenario: recorded.text,
                calls: recorded.calls,
                left_out: recorded.left_out,
                dropped: recorded.dropped,
                blanked: recording.calls.iter().filter(|call| call.blanked).count(),
            })
        }
    };
    answer.map_err(|source| error(source.to_string(), ""))
}
