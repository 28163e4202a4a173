//! Records calls into one context as values, each with the calls that it made to other contexts: to replay them against
//! another version, and to make scenarios from live traffic.
//!
//! The recorder samples a few calls a second at all times; `recent` returns the last calls of each function that were
//! answered and wrote nothing. While a log runs, every call goes on it, in order.
//! Invariants: a call that is not recorded costs one comparison of numbers; the kept calls are bounded by bytes; values
//! under a secret name are blanked before they are kept, except on a log that was started to keep them.
//! Not here: `wasi:http` contexts, whose requests are streams.

mod bodies;
mod kept;
mod paths;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use wasmtime::component::Val;

use crate::buffered_http;
use crate::call::Failure;
use crate::component::InterfaceName;
use crate::guest::dispatch::{Exchange, Function};
use crate::guest::notes::{Notes, OutgoingCall};
use crate::limits;
use crate::settings::Recording;
pub use kept::CallLog;
use kept::Kept;
pub use paths::PathCounts;
use paths::Paths;
pub use secrets::BLANK;

/// A log runs: every call is recorded.
const ALWAYS: u64 = 0;
const NEVER: u64 = u64::MAX;

/// One call, from the callee's side.
#[derive(Debug, Clone)]
pub struct RecordedCall {
    /// Rises with every call that this recorder kept.
    pub sequence: u64,
    pub data: CallData,
    /// Calls that it made to other contexts, in the order in which they were answered.
    pub outgoing: Vec<OutgoingCall>,
    /// Whether `outgoing` has all of them.
    pub outgoing_complete: bool,
    /// Whether it committed anything in its own store, or may have. Commits of its callees are not counted here.
    pub wrote: bool,
    /// Whether a secret was blanked in its parameters or in the calls that it made: then a replay cannot repeat the
    /// call exactly. Compare its results only with results that went through `Recorder::blank`.
    pub blanked: bool,
    /// Whether it drew random numbers: then its results may differ when it runs again.
    pub random: bool,
    /// When it started, in seconds since 1970, UTC.
    pub began_s: u64,
    pub took: Duration,
}

/// What was called, with which values, and the outcome.
#[derive(Debug, Clone)]
pub enum CallData {
    Function {
        /// As the context exports it.
        interface: InterfaceName,
        function: String,
        params: Vec<Val>,
        /// Typed errors are answers.
        outcome: Result<Vec<Val>, Failure>,
    },
    /// A request to the buffered HTTP handler.
    Request { request: buffered_http::Request, outcome: Result<buffered_http::Response, Failure> },
}

impl RecordedCall {
    /// Whether the context gave an answer.
    pub fn answered(&self) -> bool {
        match &self.data {
            CallData::Function { outcome, .. } => outcome.is_ok(),
            CallData::Request { outcome, .. } => outcome.is_ok(),
        }
    }
}

/// The recorder of one context; it outlives the context's versions.
pub struct Recorder {
    epoch: Instant,
    /// The recorder samples the first call at this time or later, in microseconds after `epoch`.
    next_us: AtomicU64,
    interval_us: u64,
    secrets: secrets::Secrets,
    kept: Mutex<Kept>,
    paths: Mutex<Paths>,
}

impl Recorder {
    pub fn new(config: &Recording) -> Arc<Self> {
        let interval_us = match config.per_s {
            0 => NEVER,
            per_s => (1_000_000 / u64::from(per_s)).max(1),
        };
        // 1, because 0 is `ALWAYS`.
        let next_us = AtomicU64::new(if interval_us == NEVER { NEVER } else { 1 });
        let secrets = secrets::Secrets::new(&config.secrets);
        Arc::new(Self {
            epoch: Instant::now(),
            next_us,
            interval_us,
            secrets,
            kept: Mutex::default(),
            paths: Mutex::default(),
        })
    }

    /// The last calls of each function that were answered and wrote nothing, at most `limits::RECORD_KEPT_PER_FUNCTION`
    /// of each, oldest first.
    pub fn recent(&self) -> Vec<Arc<RecordedCall>> {
        self.kept.lock().recent()
    }

    /// What the recorded calls have led to, by the name of the function or the page.
    pub fn paths(&self) -> BTreeMap<String, PathCounts> {
        self.paths.lock().counts()
    }

    /// Blanks the secrets in `results`, as the recorder does in the results that it keeps.
    pub fn blank(&self, results: &mut [Val]) {
        self.secrets.results(results);
    }

    /// Starts a log of every call. Returns false when a log runs already.
    pub fn start_log(&self, keep_secrets: bool) -> bool {
        let mut kept = self.kept.lock();
        let started = kept.start_log(keep_secrets);
        self.next_us.store(ALWAYS, Ordering::Relaxed);
        started
    }

    /// Ends the log and returns it; calls that still run are not on it.
    pub fn stop_log(&self) -> Option<CallLog> {
        let mut kept = self.kept.lock();
        self.next_us
            .store(if self.interval_us == NEVER { NEVER } else { self.now_us(Instant::now()) }, Ordering::Relaxed);
        kept.stop_log()
    }

    fn now_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(NEVER - 1).max(1)
    }

    /// Whether to record the call that starts at `now`.
    pub(crate) fn takes(&self, now: Instant) -> bool {
        let next = self.next_us.load(Ordering::Relaxed);
        let now = self.now_us(now);
        now >= next && self.claim(next, now)
    }

    #[cold]
    fn claim(&self, next: u64, now: u64) -> bool {
        let after = now.saturating_add(self.interval_us);
        next == ALWAYS || self.next_us.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Keeps a call of a function that has ended; `interface` is its name among the exports of the context.
    #[cold]
    pub(crate) fn keep_call(
        &self,
        function: &Function,
        interface: &InterfaceName,
        exchange: &dyn Exchange,
        outcome: &Result<(), Failure>,
        noted: Noted,
        took: Duration,
    ) {
        if exchange.bytes_as_values() > limits::COPIED_VALUES_BYTES_MAX {
            return self.kept.lock().drop_call();
        }
        let read = || {
            Some((
                exchange.params(function).ok()?,
                outcome.is_ok().then(|| exchange.results(function)).transpose().ok()?,
            ))
        };
        let Some((params, results)) = read() else {
            tracing::warn!(%interface, function = function.name, "a call cannot be recorded");
            return;
        };
        let outcome = match (outcome, results) {
            (Err(failure), _) => Err(failure.clone()),
            (Ok(()), results) => Ok(results.unwrap_or_default()),
        };
        let (interface, name) = (interface.clone(), function.name.clone());
        let names = function.signature.params().map(|(name, _)| name.to_owned()).collect();
        self.keep(CallData::Function { interface, function: name, params, outcome }, names, noted, took);
    }

    /// Keeps a request that has ended.
    #[cold]
    pub(crate) fn keep_request(
        &self,
        request: buffered_http::Request,
        outcome: &Result<buffered_http::Response, Failure>,
        noted: Noted,
        took: Duration,
    ) {
        self.keep(CallData::Request { request, outcome: outcome.clone() }, Vec::new(), noted, took);
    }

    fn keep(&self, data: CallData, names: Vec<String>, Noted { notes, wrote, random }: Noted, took: Duration) {
        let Notes { calls: outgoing, calls_dropped, .. } = notes.map(|notes| *notes).unwrap_or_default();
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(took);
        let (began_s, outgoing_complete) = (start.as_secs(), calls_dropped == 0);
        let (sequence, blanked) = (0, false);
        let whole = RecordedCall { sequence, data, outgoing, outgoing_complete, wrote, blanked, random, began_s, took };
        self.paths.lock().add(&whole);
        let bytes = kept::bytes_of(&whole);
        let mut blanked = whole.clone();
        self.secrets.blank(&mut blanked, &names);
        self.kept.lock().add(whole, blanked, bytes);
    }
}

/// What the host noted while a call ran, taken from its instance.
#[derive(Default)]
pub(crate) struct Noted {
    pub notes: Option<Box<Notes>>,
    pub wrote: bool,
    pub random: bool,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}
