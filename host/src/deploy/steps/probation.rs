//! Step `watch`: what the new version does with real calls, beside what the one before did. Turned bad, it is replaced by that again.
//!
//! Bad is, of the last second or of all its calls so far: a share of broken calls (trapped, out of time) above three times that of the version
//! before and one in a hundred, two at least, so that one cosmic ray is none, or above three times that share and one in a thousand, once they are
//! so many that chance is out of the question; or, once there are enough calls of both, a median or a
//! nine-and-a-half-of-ten that is four times as long, and longer by what a person notices. Times are counted by powers of two, so that less than
//! four times would be noise; the time to start an instance is not among them. Refused and overloaded calls say nothing of the version.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;
use seam_runtime::run::CallCounts;
use seam_runtime::serve::Probation;

/// The least calls of the version before, and of the new one, for times to be compared.
const TIMED: (u64, u64) = (30, 12);
const FACTOR: u32 = 4;
/// So many broken calls are no accident.
const MANY_BROKEN: u64 = 10;
/// What the median and the slow end may be longer anyhow.
const MEDIAN_MORE: Duration = Duration::from_millis(5);
const SLOW_MORE: Duration = Duration::from_millis(50);
const SLOW: f64 = 0.95;

/// Watches for `period`. What was seen.
///
/// # Errors
/// How it turned bad.
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
            return Ok(seen(&before, &now));
        }
        earlier.push_back(now);
        if earlier.len() > window {
            earlier.pop_front();
        }
        std::thread::sleep(Duration::from_millis(limits::DEPLOY_LOOK_MS).min(period));
    }
}

/// Why a version that did `on` is worse than one that did `before`, if it is.
fn verdict(before: &CallCounts, on: &CallCounts) -> Option<String> {
    let more = |least: u64, share: f64| on.broken >= least && on.broken_share() > 3.0 * before.broken_share() + share;
    if more(2, 0.01) || more(MANY_BROKEN, 0.001) {
        return Some(format!(
            "{} of {} calls broke, {} of {} before",
            on.broken,
            on.calls(),
            before.broken,
            before.calls()
        ));
    }
    if before.calls() < TIMED.0 || on.calls() < TIMED.1 {
        return None;
    }
    let longer = |q: f64, more: Duration| {
        let (was, is) = (before.below(q), on.below(q));
        (is > was * FACTOR && is > was + more).then_some((was, is))
    };
    let told = |what: &str, (was, is): (Duration, Duration)| format!("{what} take up to {is:?}, {was:?} before");
    longer(0.5, MEDIAN_MORE)
        .map(|times| told("half of the calls", times))
        .or_else(|| longer(SLOW, SLOW_MORE).map(|times| told("95 of 100 calls", times)))
}

fn seen(before: &CallCounts, on: &CallCounts) -> String {
    let broken = on.broken;
    match on.calls() {
        0 => "nobody called it".to_owned(),
        calls if before.calls() == 0 => {
            format!("{calls} calls, {broken} broken, half of them below {:?}", on.below(0.5))
        }
        calls => format!(
            "{calls} calls, {broken} broken, half of them below {:?}, {:?} before",
            on.below(0.5),
            before.below(0.5)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn check(before: CallCounts, on: CallCounts, expect: Option<&str>) {
        let why = verdict(&before, &on);
        match expect {
            None => assert_eq!(why, None),
            Some(words) => assert!(why.as_ref().is_some_and(|why| why.contains(words)), "{words:?} in {why:?}"),
        }
    }

    #[test]
    fn one_broken_call_is_an_accident_and_two_are_held_against_what_was_usual() {
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
    fn times_count_once_there_are_enough_calls_and_only_what_a_person_notices() {
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
