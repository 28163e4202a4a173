//! Counts the calls of one version of a context: how many, how many of them broke, how long they took. Two versions are
//! compared by these counts.
//!
//! A call costs one atomic addition; durations are counted in buckets, each twice as wide as the one before.
//! Not here: the metrics of a context, which outlive its versions (`metrics`).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::call::Failure;

/// Below 1 us, 2 us, 4 us ... up to more than a minute.
const BUCKETS: usize = 28;

#[derive(Default)]
pub struct CallStats {
    by_time: [AtomicU64; BUCKETS],
    broken: AtomicU64,
    timed_out: AtomicU64,
}

/// The counts at one moment, or between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallCounts {
    by_time: [u64; BUCKETS],
    /// Calls that trapped or ran out of time, and pages with a status of 500 or more.
    pub broken: u64,
    /// Those of them that ran out of time: the machine may be to blame.
    pub timed_out: u64,
}

impl CallStats {
    pub fn record(&self, took: Duration, failure: Option<&Failure>) {
        if let Some(bucket) = self.by_time.get(bucket(took)) {
            bucket.fetch_add(1, Relaxed);
        }
        match failure {
            Some(Failure::Trapped { .. }) => self.count_broken(),
            Some(Failure::TimedOut { .. }) => self.count_timed_out(),
            _ => {}
        }
    }

    /// Counts a recorded call as broken because it ran out of time.
    pub fn count_timed_out(&self) {
        self.timed_out.fetch_add(1, Relaxed);
        self.count_broken();
    }

    /// Counts a recorded call as broken, for example because its answer was an error page.
    pub fn count_broken(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    pub fn counts(&self) -> CallCounts {
        let mut by_time = [0; BUCKETS];
        for (count, bucket) in by_time.iter_mut().zip(&self.by_time) {
            *count = bucket.load(Relaxed);
        }
        // In this order, so that no look sees more calls out of time than broken ones.
        let timed_out = self.timed_out.load(Relaxed);
        CallCounts { by_time, broken: self.broken.load(Relaxed), timed_out }
    }
}

fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    ((u64::BITS - us.leading_zeros()) as usize).min(BUCKETS - 1)
}

impl CallCounts {
    /// The counts of `calls`, each a duration and the number of calls that took it; `broken` of them broke.
    pub fn of(calls: &[(Duration, u32)], broken: u64) -> Self {
        let stats = CallStats::default();
        for (took, times) in calls {
            (0..*times).for_each(|_| stats.record(*took, None));
        }
        Self { broken, ..stats.counts() }
    }

    pub fn calls(&self) -> u64 {
        self.by_time.iter().sum()
    }

    /// The counts of the calls after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut by_time = self.by_time;
        for (now, then) in by_time.iter_mut().zip(&earlier.by_time) {
            *now = now.saturating_sub(*then);
        }
        let (broken, timed_out) =
            (self.broken.saturating_sub(earlier.broken), self.timed_out.saturating_sub(earlier.timed_out));
        Self { by_time, broken, timed_out }
    }

    /// These calls and `others`.
    pub fn and(&self, others: &Self) -> Self {
        let mut by_time = self.by_time;
        for (sum, other) in by_time.iter_mut().zip(&others.by_time) {
            *sum += other;
        }
        Self { by_time, broken: self.broken + others.broken, timed_out: self.timed_out + others.timed_out }
    }

    /// The duration below which the share `q` (0 to 1) of the calls stayed, rounded up to a power of two of
    /// microseconds; 0 without calls.
    pub fn below(&self, q: f64) -> Duration {
        let wanted = (self.calls() as f64 * q).ceil() as u64;
        let mut sum = 0;
        let bucket = self.by_time.iter().position(|count| {
            sum += count;
            sum > 0 && sum >= wanted
        });
        bucket.map_or(Duration::ZERO, |bucket| Duration::from_micros(1 << bucket))
    }

    /// The calls that took longer than `time`, rounded up to a power of two of microseconds.
    pub fn longer_than(&self, time: Duration) -> u64 {
        self.by_time.iter().skip(bucket(time) + 1).sum()
    }

    /// The share of the calls that broke.
    pub fn broken_share(&self) -> f64 {
        match self.calls() {
            0 => 0.0,
            calls => self.broken as f64 / calls as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_powers_of_two_and_since_counts_only_later_calls() {
        let stats = CallStats::default();
        assert_eq!((stats.counts().calls(), stats.counts().below(0.5)), (0, Duration::ZERO));
        for us in [0, 1, 3, 100, 100, 5_000, u64::MAX / 1_000_000] {
            stats.record(Duration::from_micros(us), None);
        }
        let first = stats.counts();
        assert_eq!((first.calls(), first.broken), (7, 0));
        assert_eq!(first.below(0.5), Duration::from_micros(128));
        assert_eq!(first.below(1.0), Duration::from_micros(1 << (BUCKETS - 1)));
        stats.record(Duration::from_millis(1), Some(&Failure::TimedOut { context: "c".into() }));
        stats.record(Duration::from_millis(1), Some(&Failure::Overloaded { context: "c".into() }));
        let between = stats.counts().since(&first);
        assert_eq!((between.calls(), between.broken, between.below(0.9)), (2, 1, Duration::from_micros(1024)));
        assert!((between.broken_share() - 0.5).abs() < f64::EPSILON);
        assert_eq!((between.timed_out, first.longer_than(Duration::from_micros(100))), (1, 2));
        assert_eq!(first.and(&between), stats.counts());
    }
}
