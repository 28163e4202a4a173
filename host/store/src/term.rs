//! Until when this host may commit to a file that another host takes over when this one is gone.
//!
//! The host that owns the file has a lease elsewhere, and extends the term each time that it renews the lease. A term
//! ends by this process's own monotonic clock, earlier than any other host may take the lease: hosts never compare
//! their clocks.
//! Invariants: a term begins ended. While it has ended, no transaction begins and none commits, and nothing waits for
//! it.
//! Not here: the lease (the crate `seam`). A file without a term may be written always.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Shared by the host, which extends it, and by the writer of the file.
#[derive(Debug)]
pub struct Term {
    clock: Clock,
    base: Instant,
    /// Microseconds after `base`.
    until_us: AtomicU64,
}

impl Default for Term {
    fn default() -> Self {
        Self::by(Clock::system())
    }
}

impl Term {
    /// One that ends by `clock`.
    pub fn by(clock: Clock) -> Self {
        Self { base: clock.now(), clock, until_us: AtomicU64::new(0) }
    }

    /// The host may commit for `time` after `from`. A term is never cut short by this.
    pub fn extend(&self, from: Instant, time: Duration) {
        let until = from.saturating_duration_since(self.base) + time;
        self.until_us.fetch_max(u64::try_from(until.as_micros()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// The host may not commit any more, until the term is extended.
    pub fn end(&self) {
        self.until_us.store(0, Ordering::Release);
    }

    pub fn has_ended(&self) -> bool {
        self.left().is_zero()
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        let until = Duration::from_micros(self.until_us.load(Ordering::Acquire));
        until.saturating_sub(self.clock.elapsed_since(self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_begins_ended_and_lasts_from_the_moment_that_is_given() {
        let term = Term::default();
        assert!(term.has_ended());
        let now = Instant::now();
        term.extend(now, Duration::from_secs(60));
        assert!(!term.has_ended() && term.left() <= Duration::from_secs(60));
        term.extend(now, Duration::from_secs(1));
        assert!(term.left() > Duration::from_secs(1), "a late answer to an earlier renewal takes nothing away");
        term.end();
        assert!(term.has_ended());
        term.extend(now, Duration::ZERO);
        assert!(term.has_ended(), "what was sent long ago extends nothing");
    }
}
