//! When a host that cannot be reached is tried again: the decisions, without a connection and without waiting.
//!
//! Invariant: as long as tries fail, or connections end soon after they were made, there is a pause before the next
//! try.

use std::time::Duration;

use crate::limits;

/// The tries to reach one host.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// In a row that failed.
    failures: u32,
    /// Connections in a row that did not last.
    short: u32,
}

impl Attempts {
    /// Whether the next connection is made at once when a call needs it; else after a pause, and calls fail until then.
    pub fn go_on(&self) -> bool {
        self.failures == 0 && self.short <= limits::REMOTE_SHORT_MAX
    }

    /// There is a connection. Whether there was none for some time.
    pub fn connected(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// The connection has ended that `lasted` so long. `renewed`: for a new certificate.
    pub fn ended(&mut self, lasted: Duration, renewed: bool) {
        let steady = lasted >= Duration::from_millis(limits::REMOTE_STEADY_MS);
        self.short = if steady || renewed { 0 } else { self.short.saturating_add(1) };
    }

    /// The connection has ended because the other side did not answer on it: calls do not wait for the next one, which
    /// is tried at once.
    pub fn fell_silent(&mut self) {
        self.failures = self.failures.max(1);
    }

    /// There was no connection to be made.
    pub fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// So many tries came before the pause, as `pause_ms` counts them.
    pub fn tries(&self) -> u32 {
        self.failures.max(self.short.saturating_sub(limits::REMOTE_SHORT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_do_not_wait_for_a_host_that_fell_silent_until_it_answers_again() {
        let mut attempts = Attempts::default();
        attempts.ended(Duration::from_millis(limits::REMOTE_STEADY_MS), false);
        attempts.fell_silent();
        assert!(!attempts.go_on());
        assert!(attempts.connected() && attempts.go_on());
    }

    #[test]
    fn a_host_that_fails_or_whose_connections_do_not_last_is_tried_after_a_pause() {
        let (soon, later) = (Duration::from_millis(10), Duration::from_millis(limits::REMOTE_STEADY_MS));
        let mut attempts = Attempts::default();
        attempts.failed();
        attempts.failed();
        assert!(!attempts.go_on() && attempts.tries() == 2);
        assert!(attempts.connected() && attempts.go_on() && !attempts.connected());
        for _ in 0..limits::REMOTE_SHORT_MAX {
            attempts.ended(soon, false);
            assert!(attempts.go_on());
        }
        attempts.ended(soon, false);
        assert!(!attempts.go_on() && attempts.tries() == 1);
        attempts.ended(soon, true);
        assert!(attempts.go_on(), "a certificate was renewed");
        attempts.ended(later, false);
        assert!(attempts.go_on());
    }
}
