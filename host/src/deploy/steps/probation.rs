//! Step `watch`: compares real calls of the new version with those of the previous one.
//!
//! A version has turned bad if one of these holds for its calls of the last second or for all its calls so far:
//!
//! - The share of broken calls (trapped, timed out) is above three times the share of the previous version plus one in
//!   a hundred, and at least two calls broke. One broken call may be an accident.
//! - The same with one in a thousand, and at least ten broken calls. Ten are not chance.
//! - Both versions have enough calls, and the median or the 95th percentile takes four times as long and is longer by a
//!   time that a person notices.
//!
//! Times are counted in powers of two, so a factor below four would be noise. They leave out the start of an instance.
//! Refused and overloaded calls say nothing about the version and are not counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use seam_runtime::run::CallCounts;
use seam_store::clock::Clock;

use crate::limits;

/// How many calls of the previous and of the new version the comparison of times needs.
const CALLS_MIN: (u64, u64) = (30, 12);
const FACTOR: u32 = 4;
/// This many broken calls are no accident.
const MANY_BROKEN: u64 = 10;
/// The median and the 95th percentile may always be longer by this much.
const MEDIAN_MORE: Duration = Duration::from_millis(5);
const SLOW_MORE: Duration = Duration::from_millis(50);
const SLOW: f64 = 0.95;

/// The pause between two looks at the counts.
const PAUSE: Duration = Duration::from_millis(limits::DEPLOY_LOOK_MS);

/// Watches for `period`. Returns a summary of the calls. `counts` returns those of the previous and of the new version.
///
/// # Errors
/// Why the version turned bad, as soon as it has.
pub(crate) fn watch(
    clock: &Clock,
    period: Duration,
    counts: impl Fn() -> (CallCounts, CallCounts),
) -> Result<String, String> {
    let mut watch = Watch::start(clock, period, counts().0);
    loop {
        if let Some(outcome) = watch.look(counts().1) {
            return outcome;
        }
        clock.sleep(PAUSE.min(period));
    }
}

struct Watch<'c> {
    clock: &'c Clock,
    end: Instant,
    before: CallCounts,
    /// The counts at each look of the last window, oldest first.
    earlier: VecDeque<CallCounts>,
}

impl<'c> Watch<'c> {
    fn start(clock: &'c Clock, period: Duration, before: CallCounts) -> Self {
        Self { clock, end: clock.now() + period, before, earlier: VecDeque::new() }
    }

    /// Looks at the counts of the new version. Returns why it turned bad; at the end of the period a summary; before,
    /// `None`.
    fn look(&mut self, now: CallCounts) -> Option<Result<String, String>> {
        let last = self.earlier.front().map_or(now, |then| now.since(then));
        if let Some(why) = verdict(&self.before, &last).or_else(|| verdict(&self.before, &now)) {
            return Some(Err(why));
        }
        if self.clock.now() >= self.end {
            return Some(Ok(summary(&self.before, &now)));
        }
        self.earlier.push_back(now);
        if self.earlier.len() as u64 > limits::DEPLOY_WINDOW_MS / limits::DEPLOY_LOOK_MS {
            self.earlier.pop_front();
        }
        None
    }
}

/// Why the version with the calls `after` is worse than the one with the calls `before`; `None` if it is not.
fn verdict(before: &CallCounts, after: &CallCounts) -> Option<String> {
    let more =
        |least: u64, share: f64| after.broken >= least && after.broken_share() > 3.0 * before.broken_share() + share;
    if more(2, 0.01) || more(MANY_BROKEN, 0.001) {
        return Some(format!(
            "{} of {} calls broke, {} of {} before",
            after.broken,
            after.calls(),
            before.broken,
            before.calls()
        ));
    }
    if before.calls() < CALLS_MIN.0 || after.calls() < CALLS_MIN.1 {
        return None;
    }
    let longer = |q: f64, more: Duration| {
        let (was, is) = (before.below(q), after.below(q));
        (is > was * FACTOR && is > was + more).then_some((was, is))
    };
    let text = |calls: &str, (was, is): (Duration, Duration)| format!("{calls} take up to {is:?}, {was:?} before");
    longer(0.5, MEDIAN_MORE)
        .map(|times| text("half of the calls", times))
        .or_else(|| longer(SLOW, SLOW_MORE).map(|times| text("95 of 100 calls", times)))
}

fn summary(before: &CallCounts, after: &CallCounts) -> String {
    let broken = after.broken;
    match after.calls() {
        0 => "no calls".to_owned(),
        calls if before.calls() == 0 => {
            format!("{calls} calls, {broken} broken, half of them below {:?}", after.below(0.5))
        }
        calls => format!(
            "{calls} calls, {broken} broken, half of them below {:?}, {:?} before",
            after.below(0.5),
            before.below(0.5)
        ),
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn check(before: CallCounts, after: CallCounts, expect: Option<&str>) {
        let why = verdict(&before, &after);
        match expect {
            None => assert_eq!(why, None),
            Some(words) => assert!(why.as_ref().is_some_and(|why| why.contains(words)), "{words:?} in {why:?}"),
        }
    }

    #[test]
    fn one_broken_call_is_ignored_and_two_are_compared_with_the_version_before() {
        let before = CallCounts::of(&[(MS, 1_000)], 0);
        check(before, CallCounts::of(&[(MS, 1)], 1), None);
        check(before, CallCounts::of(&[(MS, 2)], 2), Some("2 of 2 calls broke, 0 of 1000 before"));
        check(before, CallCounts::of(&[(MS, 1_000)], 9), None);
        check(before, CallCounts::of(&[(MS, 1_000)], 11), Some("11 of 1000"));
        check(before, CallCounts::of(&[(MS, 20_000)], 30), Some("30 of 20000"));
        check(before, CallCounts::of(&[(MS, 20_000)], 15), None);
        let shaky = CallCounts::of(&[(MS, 100)], 10);
        check(shaky, CallCounts::of(&[(MS, 100)], 30), None);
        check(shaky, CallCounts::of(&[(MS, 100)], 32), Some("32 of 100"));
    }

    #[test]
    fn times_count_only_with_enough_calls_and_when_a_person_notices() {
        let before = CallCounts::of(&[(MS, 1_000)], 0);
        check(before, CallCounts::of(&[(20 * MS, 11)], 0), None);
        check(
            before,
            CallCounts::of(&[(20 * MS, 12)], 0),
            Some("half of the calls take up to 32.768ms, 1.024ms before"),
        );
        check(before, CallCounts::of(&[(3 * MS, 500)], 0), None);
        check(before, CallCounts::of(&[(MS, 90), (100 * MS, 10)], 0), Some("95 of 100 calls take up to 131.072ms"));
        check(before, CallCounts::of(&[(MS, 96), (100 * MS, 4)], 0), None);
        let quick = CallCounts::of(&[(MS / 100, 1_000)], 0);
        check(quick, CallCounts::of(&[(2 * MS, 500)], 0), None);
        check(CallCounts::of(&[(MS, 29)], 0), CallCounts::of(&[(MS * 500, 500)], 0), None);
    }

    const PERIOD: Duration = Duration::from_millis(5_000);

    /// Watches a version that has served `counts(n)` at the n-th look, which comes after n pauses.
    fn stepped(counts: impl Fn(u32) -> CallCounts) -> (u32, Result<String, String>) {
        let time = Clock::manual();
        let mut watch = Watch::start(&time, PERIOD, CallCounts::of(&[(MS, 1_000)], 0));
        let mut looks = 0;
        loop {
            if let Some(outcome) = watch.look(counts(looks)) {
                return (looks, outcome);
            }
            time.advance(PAUSE);
            looks += 1;
        }
    }

    #[test]
    fn a_version_that_works_is_kept_at_the_end_of_the_period() {
        let (looks, kept) = stepped(|n| CallCounts::of(&[(MS, 10 * n)], 0));
        assert_eq!(PAUSE * looks, PERIOD);
        assert_eq!(kept, Ok("2500 calls, 0 broken, half of them below 1.024ms, 1.024ms before".to_owned()));
    }

    #[test]
    fn a_version_is_refused_at_the_look_after_its_calls_begin_to_break() {
        let (looks, refused) = stepped(|n| CallCounts::of(&[(MS, n)], if n < 100 { 0 } else { 2 }));
        assert_eq!((looks, refused), (100, Err("2 of 50 calls broke, 0 of 1000 before".to_owned())));
        // Too few of all its calls, but many of the last second's.
        let (looks, refused) = stepped(|n| CallCounts::of(&[(MS, 100 * n)], if n < 200 { 0 } else { 19 }));
        assert_eq!((looks, refused), (200, Err("19 of 5000 calls broke, 0 of 1000 before".to_owned())));
    }

    #[test]
    fn a_failure_is_forgotten_once_it_has_left_the_window() {
        let second = |at: u32| stepped(|n| CallCounts::of(&[(MS, 2 * n)], u64::from(n >= 100) + u64::from(n >= at)));
        assert_eq!(second(149), (149, Err("2 of 100 calls broke, 0 of 1000 before".to_owned())));
        assert_eq!(second(150).0, 250);
        assert!(second(150).1.is_ok());
    }

    #[test]
    fn the_watch_looks_after_each_pause_and_not_before() {
        let time = Clock::manual();
        let (before, on) = (CallCounts::of(&[(MS, 1_000)], 0), Mutex::new(CallCounts::default()));
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| watch(&time, PERIOD, || (before, *on.lock())));
            while time.waiting() == 0 {
                std::thread::yield_now();
            }
            *on.lock() = CallCounts::of(&[(MS, 2)], 2);
            time.advance(PAUSE - Duration::from_nanos(1));
            assert_eq!((time.waiting(), watching.is_finished()), (1, false));
            time.advance(Duration::from_nanos(1));
            assert_eq!(watching.join().ok(), Some(Err("2 of 2 calls broke, 0 of 1000 before".to_owned())));
        });
    }
}
