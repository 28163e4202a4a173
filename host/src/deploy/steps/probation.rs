//! Step `watch`: looks at real calls of the new version again and again, and has them judged.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use seam_runtime::run::CallCounts;
use seam_store::clock::Clock;

use crate::deploy::judge::Judge;
use crate::deploy::running_watch::EndWatch;
use crate::limits;

/// The pause between two looks at the counts.
const PAUSE: Duration = Duration::from_millis(limits::DEPLOY_LOOK_MS);

/// The slowest calls that are worth a note: the slowest twentieth, if they are so much slower.
const SLOWEST: (f64, u32, Duration) = (0.95, 4, Duration::from_millis(50));

/// How a watch ended.
pub(crate) enum Watch {
    /// The period is over.
    Good { calls: u64, notes: Vec<String>, judge: Box<Judge> },
    /// Why the version turned bad.
    Bad(String),
    /// An operator ended it.
    Asked(EndWatch),
}

/// Watches for `period`. `earlier` are the counts of the versions before both; `counts` returns those of the version
/// before and of the new one; `asked`, whether an operator ends the watch.
pub(crate) fn watch(
    clock: &Clock,
    period: Duration,
    earlier: &CallCounts,
    counts: impl Fn() -> (CallCounts, CallCounts),
    asked: impl Fn() -> Option<EndWatch>,
) -> Watch {
    let mut looks = Looks::start(clock, period, Judge::new(counts().0, earlier));
    loop {
        match looks.look(counts(), asked()) {
            ControlFlow::Break(ended) => return ended,
            ControlFlow::Continue(on) => looks = on,
        }
        clock.sleep(PAUSE.min(period));
    }
}

struct Looks<'c> {
    clock: &'c Clock,
    looked: Instant,
    end: Instant,
    judge: Judge,
}

impl<'c> Looks<'c> {
    fn start(clock: &'c Clock, period: Duration, judge: Judge) -> Self {
        let looked = clock.now();
        Self { clock, looked, end: looked + period, judge }
    }

    fn look(mut self, seen: (CallCounts, CallCounts), asked: Option<EndWatch>) -> ControlFlow<Watch, Self> {
        if let Some(how) = asked {
            return ControlFlow::Break(Watch::Asked(how));
        }
        let now = self.clock.now();
        if let Some(why) = self.judge.look(seen, now.saturating_duration_since(self.looked), PAUSE) {
            return ControlFlow::Break(Watch::Bad(why));
        }
        if now >= self.end {
            let (calls, notes) = (seen.1.calls(), notes(&seen));
            return ControlFlow::Break(Watch::Good { calls, notes, judge: Box::new(self.judge) });
        }
        self.looked = now;
        ControlFlow::Continue(self)
    }
}

fn notes((before, after): &(CallCounts, CallCounts)) -> Vec<String> {
    let broken = after.broken;
    let mut notes = match after.calls() {
        0 => vec!["nothing called it".to_owned()],
        calls if before.calls() == 0 => {
            vec![format!("{calls} calls, {broken} broken, half of them below {:?}", after.below(0.5))]
        }
        calls => vec![format!(
            "{calls} calls, {broken} broken, half of them below {:?}, {:?} before",
            after.below(0.5),
            before.below(0.5)
        )],
    };
    let (share, times, more) = SLOWEST;
    let (was, is) = (before.below(share), after.below(share));
    if before.calls() > 0 && is >= was * times && is >= was + more {
        notes.push(format!("the slowest twentieth of the calls takes up to {is:?}, {was:?} before"));
    }
    notes
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PERIOD: Duration = Duration::from_millis(5_000);

    /// Watches a version by a clock of its own. `seen(n)` is what the n-th look shows, which comes after n pauses: the
    /// counts of the new version, and whether an operator ends the watch. Returns how it ended, and after how long.
    fn watched(seen: impl Fn(u32) -> (CallCounts, Option<EndWatch>)) -> (Watch, Duration) {
        let (time, before) = (Clock::manual(), CallCounts::of(&[(MS, 1_000)], 0));
        let began = time.now();
        let mut looks = Looks::start(&time, PERIOD, Judge::new(before, &CallCounts::default()));
        for n in 0.. {
            let (after, asked) = seen(n);
            match looks.look((before, after), asked) {
                ControlFlow::Break(watch) => return (watch, time.now() - began),
                ControlFlow::Continue(on) => looks = on,
            }
            time.advance(PAUSE);
        }
        unreachable!("a watch ends")
    }

    #[test]
    fn a_version_that_works_is_kept_at_the_end_of_the_period() {
        let (watch, after) = watched(|look| (CallCounts::of(&[(MS, 10 * look)], 0), None));
        let Watch::Good { calls, notes, .. } = watch else { panic!("it is not kept") };
        assert_eq!((calls, after), (2_500, PERIOD));
        assert_eq!(notes, ["2500 calls, 0 broken, half of them below 1.024ms, 1.024ms before"]);
    }

    #[test]
    fn a_version_is_condemned_at_the_look_after_its_calls_begin_to_break() {
        // Of one call at each look, each tenth breaks, from the hundredth on.
        let broken = |look: u32| u64::from(look.saturating_sub(90) / 10);
        let (watch, after) = watched(|look| (CallCounts::of(&[(MS, look)], broken(look)), None));
        let Watch::Bad(why) = watch else { panic!("it is not condemned") };
        assert!(why.ends_with(" calls broke, 0 of 1000 before"), "{why}");
        assert!((PAUSE * 110..=PAUSE * 140).contains(&after), "{after:?}");
    }

    #[test]
    fn an_operator_ends_a_watch_at_its_next_look() {
        for how in [EndWatch::Undo, EndWatch::Keep] {
            let (watch, after) = watched(|look| (CallCounts::default(), (look >= 7).then_some(how)));
            assert!(matches!(watch, Watch::Asked(asked) if asked == how));
            assert_eq!(after, PAUSE * 7);
        }
    }

    #[test]
    fn the_watch_looks_after_each_pause_and_not_before() {
        let time = Clock::manual();
        let ended = Mutex::new(None);
        std::thread::scope(|scope| {
            let watching =
                scope.spawn(|| watch(&time, PERIOD, &CallCounts::default(), Default::default, || *ended.lock()));
            while time.waiting() == 0 {
                std::thread::yield_now();
            }
            *ended.lock() = Some(EndWatch::Undo);
            time.advance(PAUSE - Duration::from_nanos(1));
            assert_eq!((time.waiting(), watching.is_finished()), (1, false));
            time.advance(Duration::from_nanos(1));
            assert!(matches!(watching.join(), Ok(Watch::Asked(EndWatch::Undo))));
        });
    }

    #[test]
    fn slow_calls_that_are_no_reason_are_noted() {
        let before = CallCounts::of(&[(MS, 1_000)], 0);
        let after = CallCounts::of(&[(MS, 90), (100 * MS, 10)], 0);
        assert!(
            notes(&(before, after)).iter().any(|note| note.contains("slowest twentieth of the calls takes up to 131"))
        );
        assert_eq!(notes(&(before, CallCounts::of(&[(MS, 96), (100 * MS, 4)], 0))).len(), 1);
    }
}
