//! `wasi:logging`: a guest's log lines, limited in length and rate, with the context's name and the request's trace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use seam_store::ids::ContextName;
use seam_store::visible::{cut, written_bytes};
use wasmtime::component::{HasSelf, Linker};

use super::Guest;
use crate::limits;

wasmtime::component::bindgen!({
    inline: "
        package wasi:logging@0.1.0-draft;
        interface logging {
            enum level { trace, debug, info, warn, error, critical }
            log: func(level: level, context: string, message: string);
        }
        world imports { import logging; }
    ",
});

use self::wasi::logging::logging::{Host, Level};

pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    self::wasi::logging::logging::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Host for Guest {
    fn log(&mut self, level: Level, topic: String, message: String) {
        let trace = self.call.map(|call| format!("{:032x}", call.trace.trace_id)).unwrap_or_default();
        if matches!(level, Level::Critical) {
            self.last_words.say(&message);
        }
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error | Level::Critical => tracing::Level::ERROR,
        };
        self.log_budget.write_line(&self.context, &trace, &topic, &message, level);
    }
}

/// The log text that one context may still write in this second. All its instances share it.
pub struct Budget {
    bytes_per_s: u64,
    started: Instant,
    second: AtomicU64,
    spent: AtomicU64,
    dropped: AtomicU64,
}

impl Budget {
    pub fn new(kb_per_s: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self { bytes_per_s: kb_per_s << 10, started: Instant::now(), second: zero(), spent: zero(), dropped: zero() }
    }

    /// Writes one line of a guest, cut to the limit, if the budget allows it.
    pub(super) fn write_line(
        &self,
        context: &ContextName,
        trace: &str,
        topic: &str,
        message: &str,
        level: tracing::Level,
    ) {
        if !self.has_room(context) {
            return;
        }
        let line = cut(message, limits::LOG_LINE_BYTES_MAX);
        let topic = cut(topic, 64);
        // As they are written: an escaped character has up to six times the bytes. Each line also costs a hundred bytes
        // of envelope, so that empty lines are limited too.
        let bytes = written_bytes(line) + written_bytes(topic) + 100;
        self.spent.fetch_add(bytes as u64, Ordering::Relaxed);
        match level {
            tracing::Level::TRACE => tracing::trace!(target: "guest", %context, trace, topic, "{line}"),
            tracing::Level::DEBUG => tracing::debug!(target: "guest", %context, trace, topic, "{line}"),
            tracing::Level::INFO => tracing::info!(target: "guest", %context, trace, topic, "{line}"),
            tracing::Level::WARN => tracing::warn!(target: "guest", %context, trace, topic, "{line}"),
            tracing::Level::ERROR => tracing::error!(target: "guest", %context, trace, topic, "{line}"),
        }
    }

    /// Whether a line may be written: the last one may begin within the budget and end beyond it. Counts the lines that
    /// may not; the first line of a later second logs the count.
    fn has_room(&self, context: &ContextName) -> bool {
        let now = self.started.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.spent.store(0, Ordering::Relaxed);
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let limit_kb_per_s = self.bytes_per_s >> 10;
                tracing::warn!(%context, dropped, limit_kb_per_s, "the context logs too much; lines were dropped");
            }
        }
        let fits = self.spent.load(Ordering::Relaxed) <= self.bytes_per_s;
        if !fits && self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            let limit_kb_per_s = self.bytes_per_s >> 10;
            tracing::warn!(%context, limit_kb_per_s, "the context logs too much; dropping lines until the next second");
        }
        fits
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_with_the_bytes_that_it_takes_when_it_is_escaped() {
        let context = ContextName::new("orders").unwrap();
        let dropped = |message: &str| {
            let budget = Budget::new(1);
            (0..2).for_each(|_| budget.write_line(&context, "", "", message, tracing::Level::INFO));
            budget.dropped.load(Ordering::Relaxed)
        };
        // The last line that begins within the budget is written. `\u001b` has six bytes.
        assert_eq!(dropped(&"\u{1b}".repeat(200)), 1);
        assert_eq!(dropped(&"x".repeat(200)), 0);
    }
}
