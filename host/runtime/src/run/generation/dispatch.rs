//! Calls of other contexts into a generation.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Generation, Noted};
use crate::call::{Call, Failure};
use crate::component::same_signature;
use crate::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function};

impl Generation {
    /// The index of `function` in `exports`, looked up once for each version of this context.
    fn resolve(&self, function: &Function) -> Option<usize> {
        let cached = function.resolved.get(self.id as usize % function.resolved.len())?;
        let known = cached.load(Ordering::Relaxed);
        if known >> 16 == self.id {
            return Some((known & 0xffff) as usize);
        }
        let (at, export) = self.find(&function.interface, &function.name)?;
        let fits = same_signature(&function.signature, &export.signature);
        let slot = fits.then_some(at)?;
        cached.store(self.id << 16 | slot as u64 & 0xffff, Ordering::Relaxed);
        Some(slot)
    }
}

impl Dispatch for Generation {
    fn store_fails(&self) -> bool {
        self.database().is_some_and(|database| database.is_troubled())
    }

    fn call(
        &self,
        mut call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let Some(at) = self.resolve(function) else {
            if self.spec.component.is_placeholder() {
                return Err(self.absence());
            }
            let reason = format!("its running version has no `{}.{}` of that type", function.interface, function.name);
            return Err(Failure::Absent { context: self.blueprint.context.to_string(), reason });
        };
        let now = Instant::now();
        call.deadline = call.callee_deadline(now);
        let taken = self.recorder.takes(now);
        let mut noted = Noted::default();
        let outcome = self.run(call, function.callee, callees, now, |instance| {
            let missing = || wasmtime::format_err!("no such function");
            if !taken {
                return exchange.invoke(instance.functions.get(at).ok_or_else(missing)?, &mut instance.store);
            }
            instance
                .noting(&mut noted, |store, functions| exchange.invoke(functions.get(at).ok_or_else(missing)?, store))
        });
        if let (true, Some(export)) = (taken, self.blueprint.exports.get(at)) {
            self.recorder.keep_call(function, &export.interface, exchange, &outcome, noted, now.elapsed());
        }
        outcome
    }
}
