//! What became of a call that broke: a failure for its caller, and the reason for the log.

use wasmtime::Trap;

use super::Generation;
use crate::call::{Call, Failure, OutOfTime};
use crate::run::instance::Instance;
use crate::run::trap::{TrapReport, backtrace, explained};

impl Generation {
    pub(super) fn failure_of(&self, call: &Call, error: &wasmtime::Error, instance: &Instance) -> Failure {
        let guest = instance.store.data();
        let last_words = guest.last_words.text();
        match &guest.memory.refused {
            Some(limit) if !error.is::<OutOfTime>() => {
                let error = wasmtime::format_err!("{} after it ran into {limit}", self.reason(error));
                self.failure_after(&last_words, call, &error, "call")
            }
            _ => self.failure_after(&last_words, call, error, "call"),
        }
    }

    /// How the last call that trapped did so.
    pub fn last_trap(&self) -> Option<TrapReport> {
        self.last_trap.lock().clone()
    }

    /// The failure of a call that ended with `error`. The log gets the reason, once; callers and clients get less.
    pub(crate) fn failure(&self, call: &Call, error: &wasmtime::Error, during: &'static str) -> Failure {
        self.failure_after("", call, error, during)
    }

    /// As `failure`; `last_words` is what the guest said about it.
    fn failure_after(&self, last_words: &str, call: &Call, error: &wasmtime::Error, during: &'static str) -> Failure {
        let context = self.blueprint.context.to_string();
        let timed_out = error.is::<OutOfTime>();
        let no_room = error.is::<wasmtime::PoolConcurrencyLimitError>();
        let reason = self.reason(error);
        let frames = backtrace(error);
        tracing::error!(context, trace = %call.trace, during, frames, "{}", if timed_out { "timed out" } else { &reason });
        match (timed_out, no_room) {
            (true, _) => Failure::TimedOut { context },
            (_, true) => Failure::Overloaded { context },
            _ => {
                let reason = explained(&reason, last_words, frames);
                *self.last_trap.lock() = Some(TrapReport { reason: reason.clone(), trace: call.trace });
                Failure::Trapped { context, reason }
            }
        }
    }

    pub(super) fn reason(&self, error: &wasmtime::Error) -> String {
        if error.is::<OutOfTime>() {
            return "it ran out of time".into();
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => format!("{error:#}"),
        }
    }
}
