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

use crate::limits;
use seam_runtime::run::CallCounts;
use seam_runtime::serve::Probation;

/// How many calls of the previous and of the new version the comparison of times needs.
const CALLS_MIN: (u64, u64) = (30, 12);
const FACTOR: u32 = 4;
/// This many broken calls are no accident.
const MANY_BROKEN: u64 = 10;
/// The median and the 95th percentile may always be longer by this much.
const MEDIAN_MORE: Duration = Duration::from_millis(5);
const SLOW_MORE: Duration = Duration::from_millis(50);
const SLOW: f64 = 0.95;

/// Watches for `period`. Returns a summary of the calls.
///
/// # Errors
/// Why the version turned bad, as soon as it has.
pub(crate) fn watch(probation: &Probation, period: Duration) -> Result<String, String> {
    let (began, before) = (Instant::now(), probation.counts().0);
    let window = usize::try_from(limits::DEPLOY_WINDOW_MS / limits::DEPLOY_LOOK_MS).unwrap_or(1);
    let mut earlier: VecDeque<CallCounts> = VecDeque::with_capacity(window + 1);
    loop {
        let now = probation.counts().1;
        let last = earlier.front().map_or(now, |then| now.since(then));
        if let Some(why) = verdict(&before, &last).or_else(|| verdict(&before, &now)) {
            return Err(why);
        }
        if began.elapsed() >= period {
            return Ok(summary(&before, &now));
        }
        earlier.push_back(now);
        if earlier.len() > window {
            earlier.pop_front();
        }
        std::thread::sleep(Duration::from_millis(limits::DEPLOY_LOOK_MS).min(period));
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
}
