//! The calls that a recorder keeps: the last ones of each function, and the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wasmtime::component::Val;

use super::{CallData, RecordedCall};
use crate::buffered_http;
use crate::component::InterfaceName;
use crate::guest::dispatch;
use crate::limits;

/// Every call into a context while the log ran, in the order in which the calls ended.
#[derive(Debug, Default)]
pub struct CallLog {
    pub calls: Vec<RecordedCall>,
    /// Calls that are missing because the log was full, or because they were too large.
    pub dropped: usize,
    bytes: usize,
    keep_secrets: bool,
}

/// Oldest first, each with its size in bytes.
type Calls = VecDeque<(Arc<RecordedCall>, usize)>;

#[derive(Default)]
pub(super) struct Kept {
    sequence: u64,
    /// By interface and function; HTTP requests are under `None`.
    recent: BTreeMap<Option<(InterfaceName, String)>, Calls>,
    bytes: usize,
    log: Option<CallLog>,
}

impl Kept {
    pub fn recent(&self) -> Vec<Arc<RecordedCall>> {
        let mut all: Vec<_> = self.recent.values().flatten().map(|(call, _)| call.clone()).collect();
        all.sort_by_key(|call| call.sequence);
        all
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn start_log(&mut self, keep_secrets: bool) -> bool {
        if self.log.is_some() {
            return false;
        }
        self.log = Some(CallLog { keep_secrets, ..CallLog::default() });
        true
    }

    /// Counts a call that is too large to be kept.
    pub fn drop_call(&mut self) {
        self.log.iter_mut().for_each(|log| log.dropped += 1);
    }

    pub fn stop_log(&mut self) -> Option<CallLog> {
        self.log.take()
    }

    /// Adds a call; `bytes` is the size of `whole`.
    pub fn add(&mut self, mut whole: RecordedCall, mut blanked: RecordedCall, bytes: usize) {
        self.sequence += 1;
        (whole.sequence, blanked.sequence) = (self.sequence, self.sequence);
        if let Some(log) = &mut self.log {
            // Once a call is missing, later ones are, too: they may depend on what it wrote.
            let room = log.dropped == 0
                && log.calls.len() < limits::RECORD_LOG_CALLS_MAX
                && log.bytes + bytes <= limits::RECORD_LOG_BYTES_MAX;
            match room {
                true => {
                    log.bytes += bytes;
                    log.calls.push(if log.keep_secrets { whole } else { blanked.clone() });
                }
                false => log.dropped += 1,
            }
        }
        if !blanked.answered() || blanked.wrote || bytes > limits::RECORD_CALL_BYTES_MAX {
            return;
        }
        let name = match &blanked.data {
            CallData::Function { interface, function, .. } => Some((interface.clone(), function.clone())),
            CallData::Request { .. } => None,
        };
        let calls = self.recent.entry(name).or_default();
        calls.push_back((Arc::new(blanked), bytes));
        self.bytes += bytes;
        if calls.len() > limits::RECORD_KEPT_PER_FUNCTION
            && let Some((_, bytes)) = calls.pop_front()
        {
            self.bytes -= bytes;
        }
        while self.bytes > limits::RECORD_KEPT_BYTES_MAX {
            // The function with the most bytes loses its oldest call, so that a function that is seldom called keeps
            // its few.
            let Some(most) = self.recent.values_mut().max_by_key(|calls| calls.iter().map(|(_, b)| b).sum::<usize>())
            else {
                return;
            };
            match most.pop_front() {
                Some((_, bytes)) => self.bytes -= bytes,
                None => return,
            }
        }
    }
}

/// The approximate size of a call in memory.
pub(super) fn bytes_of(call: &RecordedCall) -> usize {
    let values = |values: &[Val]| values.iter().map(dispatch::bytes_of).sum::<usize>();
    let own = match &call.data {
        CallData::Function { params, outcome, .. } => values(params) + outcome.as_ref().map_or(0, |v| values(v)),
        CallData::Request { request, outcome } => {
            let headers =
                |all: &[(String, String)]| all.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
            let response = |r: &buffered_http::Response| -> usize { r.body.len() + headers(&r.headers) };
            let request_headers: usize = headers(&request.headers);
            request.body.len() + request.path.len() + request_headers + outcome.as_ref().map_or(0, response)
        }
    };
    let outgoing = call.outgoing.iter().map(|made| {
        size_of_val(made) + values(&made.params) + made.outcome.as_ref().map_or(0, |results| values(results))
    });
    size_of::<RecordedCall>() + own + outgoing.sum::<usize>()
}
