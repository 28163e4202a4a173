//! The calls of a guest that are made side by side: what `seam:host/together` keeps between its functions.
//!
//! The guest makes each call twice. The first time the call is kept as bytes; the second time it is known by its
//! function and its bytes, and gets its answer. A value has one encoding, so equal bytes are equal arguments.
//! Not here: how the calls are made (`link::together`).

use std::sync::Arc;
use std::time::Duration;

use super::dispatch::{Exchange, Function};
use crate::call::Failure;
use crate::limits;

/// A batch of calls. A guest has one from its first `collect` to `finish`, or to the end of its own call.
#[derive(Default)]
pub struct Together {
    /// The next call is kept.
    expects: bool,
    /// The calls have been made.
    performed: bool,
    calls: Vec<Kept>,
}

/// One call of a batch.
pub struct Kept {
    pub function: Arc<Function>,
    /// As `codec` writes them.
    pub arguments: Vec<u8>,
    /// Set when the call has been made.
    pub answer: Option<Answer>,
}

/// What became of a call.
pub struct Answer {
    /// The results as `codec` writes them.
    pub outcome: Result<Vec<u8>, Failure>,
    pub took: Duration,
}

impl Together {
    /// Keeps the next call. A batch that was performed is forgotten.
    pub fn expect_call(&mut self) {
        if self.performed {
            *self = Self::default();
        }
        self.expects = true;
    }

    pub fn is_performed(&self) -> bool {
        self.performed
    }

    /// Keeps the call that is made now, if one is expected and there is room. One that cannot be written as bytes is
    /// not kept, and is made when the guest makes it again.
    pub fn keep(&mut self, function: &Arc<Function>, exchange: &dyn Exchange) {
        if !std::mem::take(&mut self.expects) || self.calls.len() >= limits::TOGETHER_CALLS_MAX {
            return;
        }
        let mut arguments = Vec::new();
        if exchange.encode(function, &mut arguments).is_ok() {
            self.calls.push(Kept { function: function.clone(), arguments, answer: None });
        }
    }

    /// The calls, to be made now; `performed` gives them back.
    pub fn perform(&mut self) -> Vec<Kept> {
        if self.performed { Vec::new() } else { std::mem::take(&mut self.calls) }
    }

    pub fn performed(&mut self, calls: Vec<Kept>) {
        (self.expects, self.performed, self.calls) = (false, true, calls);
    }

    /// The answer of the call that is made now, if it was kept. Each answer is given once.
    pub fn take(&mut self, function: &Arc<Function>, exchange: &dyn Exchange) -> Option<Answer> {
        let is_kept = |kept: &Kept| Arc::ptr_eq(&kept.function, function);
        if !self.calls.iter().any(is_kept) {
            return None;
        }
        let mut arguments = Vec::new();
        exchange.encode(function, &mut arguments).ok()?;
        let at = self.calls.iter().position(|kept| is_kept(kept) && kept.arguments == arguments)?;
        self.calls.remove(at).answer
    }

    /// The calls whose answers were not fetched.
    pub fn finish(self) -> Vec<Kept> {
        self.calls
    }
}
