//! How long an event, or a step of a saga, waits for another try.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits;

/// Milliseconds before the try after `tries` of them: twice as long each time, up to `longest`, and up to a quarter
/// longer or shorter, so that those that failed together are not tried together.
pub fn pause_ms(tries: u32, longest: Duration) -> u64 {
    let pauses = pauses_ms(tries, longest);
    #[cfg(test)]
    if STEADY.get() {
        return pauses.start().midpoint(*pauses.end());
    }
    rand::random_range(pauses)
}

#[cfg(test)]
thread_local! {
    /// Whether pauses on this thread are as long each time: in a simulation that is to do the same again.
    pub static STEADY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Those between which `pause_ms` chooses.
pub fn pauses_ms(tries: u32, longest: Duration) -> RangeInclusive<u64> {
    let doublings = tries.saturating_sub(1).min(40);
    let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    let pause = limits::PAUSE_FIRST_MS.saturating_mul(1 << doublings).min(longest);
    let quarter = pause / 4;
    pause - quarter..=pause + quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_with_a_quarter_of_jitter() {
        let longest = Duration::from_secs(60);
        for (tries, middle) in [(1, 500), (2, 1_000), (5, 8_000), (8, 60_000), (1_000, 60_000)] {
            for _ in 0..100 {
                let pause = pause_ms(tries, longest);
                assert!((middle * 3 / 4..=middle * 5 / 4).contains(&pause), "{tries}: {pause}");
            }
        }
        let some: std::collections::BTreeSet<u64> = (0..100).map(|_| pause_ms(8, longest)).collect();
        assert!(some.len() > 50, "those that failed together are tried apart: {some:?}");
    }
}
