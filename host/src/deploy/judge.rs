//! Whether a new version is worse than the one before, by the calls of both.
//!
//! **Broken calls.** The question is how probable the broken calls of the new version would be if both versions broke
//! alike. The Chernoff bound of the binomial distribution answers it, whatever the share of broken calls is: of all
//! `k + b` broken calls, `k` fell on the new version, which has the share `s` of the calls. Calls that break together
//! have one cause, so `k` and the calls are divided by the size of a cluster: the broken calls that share a `SLOT`
//! beyond chance. The version has turned bad when the probability is below `CHANCE`, and its share of broken calls is
//! above three times the share before plus one in a thousand. Both are asked of all calls and of those of the last
//! second. If the version before had less than 5,000 calls, those of the versions before it count in the place of
//! the missing ones.
//!
//! **What does not count.** A request that broke with the version before as well, when it was run again. Calls that ran
//! out of time when no other call was answered either, since then the machine stood still; but if nothing at all is
//! answered for `SILENCE`, the version hangs. Nor calls that ran out of time when others nearly did: then the machine
//! is busy. A version that hangs has no calls that take nearly that long.
//!
//! **Times.** On a busy machine some calls are still quick; on a slow version none are. So times are a reason only when
//! the quickest quarter of the calls is far slower than three quarters were before, in each block of three seconds.

use std::collections::VecDeque;
use std::time::Duration;

use seam_runtime::run::CallCounts;

use crate::limits;

/// The probability of chance below which a version has turned bad. It is asked some hundred times in a watch, and the
/// machine adds to chance, so it is below the one in a thousand that the whole watch may err.
const CHANCE: f64 = 1e-4;
/// Good calls that the version before has on trust: one that was never called is not known to be perfect.
const TRUST: f64 = 50.0;
/// Calls by which a version is known. If the version before had fewer, those of the versions before it fill them up,
/// for evidence of at least so many causes: beside so many good calls, two pauses of the machine would be no chance.
const KNOWN: f64 = 5_000.0;
const CAUSES: f64 = 4.0;
/// Broken calls within this time have one cause.
const SLOT: Duration = Duration::from_millis(100);
/// Slots of the last second.
const RECENT: usize = (limits::DEPLOY_WINDOW_MS as usize) / 100;
/// Before a call runs out of time, others must have been answered in each of so many slots: a pause of the machine
/// that is shorter makes no call run out of time.
const FLOW: usize = 3;
/// Slots without any answer after which it is the version that hangs, not the machine: 1 s, and half of it at the
/// start.
const SILENCE: (usize, usize) = (10, 5);
/// A look that comes later than this shows that the machine stood still.
const LATE: Duration = Duration::from_millis(100);
/// Calls from here on nearly ran out of time, which the least timeout on probation is twice.
const NEARLY: Duration = Duration::from_millis(limits::PROBATION_TIMEOUT_MS / 2);

/// The comparison of times: the calls that each side needs, and the factor and the time that the new version is slower
/// by in each of so many blocks of so many slots.
const TIMED_BEFORE: u64 = 100;
const TIMED_BLOCK: u64 = 8;
const SLOWER: (u32, Duration) = (8, Duration::from_millis(10));
const BLOCKS: u32 = 6;
const BLOCK_SLOTS: u32 = 5;

/// Compares the calls of a new version with those of the one before, look by look.
pub(crate) struct Judge {
    before: CallCounts,
    /// The calls before, and with those of earlier versions.
    known: (Reference, Reference),
    seen: (CallCounts, CallCounts),
    slots: VecDeque<Slot>,
    /// The slots that have left the window.
    older: Evidence,
    /// How long the newest slot has lasted.
    slot_age: Duration,
    /// Broken calls that the version before broke as well, still to be set off.
    excused: u64,
    block: Block,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    calls: u64,
    /// Calls that ran out of time, and that nearly did.
    timed_out: u64,
    nearly: u64,
    /// Calls that ran out of time, of which it is not known yet whether the version is to blame.
    held: u64,
    /// Broken calls that count.
    broken: u64,
}

impl Slot {
    fn answered(&self) -> bool {
        self.calls > self.timed_out
    }
}

/// How the calls before broke.
#[derive(Debug, Clone, Copy)]
struct Reference {
    calls: f64,
    broken: f64,
    /// The share of broken calls beside which a version is worse.
    share: f64,
}

/// Sums over slots.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    slots: f64,
    calls: f64,
    broken: f64,
    /// The sum of the squares of the slots' broken calls.
    squares: f64,
}

/// The times of the current block.
#[derive(Default)]
struct Block {
    from: CallCounts,
    slots: u32,
    late: bool,
    /// Slow blocks in a row.
    slow: u32,
}

impl Judge {
    /// `before` are the calls of the version before at the moment when the new one began to serve; `earlier`, those of
    /// the versions before it.
    pub fn new(before: CallCounts, earlier: &CallCounts) -> Self {
        Self {
            before,
            known: (Reference::of(&before), Reference::of(&before).filled_up(earlier)),
            seen: (before, CallCounts::default()),
            slots: VecDeque::from([Slot::default()]),
            older: Evidence::default(),
            slot_age: Duration::ZERO,
            excused: 0,
            block: Block::default(),
        }
    }

    /// Takes the counts of the version before and of the new one `after` the time since the last look; `due` is the
    /// time that it should have been. Returns why the new version has turned bad, if it has.
    pub fn look(&mut self, (before, now): (CallCounts, CallCounts), after: Duration, due: Duration) -> Option<String> {
        let late = after > due + LATE;
        self.slot_age += after;
        if self.slot_age >= SLOT {
            self.next_slot();
        }
        self.add(now.since(&self.seen.1), before.broken.saturating_sub(self.seen.0.broken), late);
        self.seen = (before, now);
        self.block.late |= late;
        self.broken_reason().or_else(|| self.slow_reason())
    }

    /// Whether a call broke that counts, though it may be too little to be sure.
    pub fn has_broken(&self) -> bool {
        self.older.broken > 0.0 || self.slots.iter().any(|slot| slot.broken > 0)
    }

    /// The counts of the new version at the last look.
    #[cfg(test)]
    pub fn seen_last(&self) -> CallCounts {
        self.seen.1
    }

    fn next_slot(&mut self) {
        self.slot_age = Duration::ZERO;
        self.slots.push_back(Slot::default());
        self.block.slots += 1;
        // One more than the window, so that the newest slot is never alone in it.
        if self.slots.len() > RECENT + 1
            && let Some(oldest) = self.slots.pop_front()
        {
            self.older.add(&oldest);
        }
    }

    fn add(&mut self, new: CallCounts, broke_before_as_well: u64, late: bool) {
        self.excused += broke_before_as_well;
        let firm = new.broken.saturating_sub(new.timed_out);
        let nearly = new.longer_than(NEARLY).saturating_sub(new.timed_out);
        let Some(slot) = self.slots.back_mut() else { return };
        slot.calls += new.calls();
        slot.timed_out += new.timed_out;
        slot.nearly += nearly;
        let answered = new.calls() > new.timed_out;
        let hung = if late { 0 } else { self.hung(new.timed_out, answered) };
        let broken = firm + hung;
        let excused = broken.min(self.excused);
        self.excused -= excused;
        if let Some(slot) = self.slots.back_mut() {
            slot.broken += broken - excused;
        }
    }

    /// Of `timed_out` new calls, those for which the version is to blame and not the machine. `answered`: there were
    /// other calls.
    fn hung(&mut self, timed_out: u64, answered: bool) -> u64 {
        if answered {
            // The machine stood still for a while, and goes on.
            self.slots.iter_mut().for_each(|slot| slot.held = 0);
        }
        let earlier = self.slots.iter().rev().skip(1);
        if self.slots.len() > FLOW && earlier.take(FLOW).all(Slot::answered) {
            return timed_out.saturating_sub(2 * self.slots.iter().map(|slot| slot.nearly).sum::<u64>());
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.held += timed_out;
        }
        let (always, at_start) = SILENCE;
        let silence = self.slots.iter().rev().take_while(|slot| !slot.answered()).count();
        if silence >= always || silence >= at_start && silence == self.slots.len() {
            for slot in &mut self.slots {
                slot.broken += std::mem::take(&mut slot.held);
            }
        }
        0
    }

    fn broken_reason(&self) -> Option<String> {
        let mut recent = Evidence::default();
        self.slots.iter().rev().take(RECENT).for_each(|slot| recent.add(slot));
        let mut all = self.older;
        self.slots.iter().for_each(|slot| all.add(slot));
        let bad = [recent, all].into_iter().find(|evidence| evidence.tells_against(&self.known))?;
        Some(format!(
            "{} of {} calls broke, {} of {} before",
            bad.broken,
            bad.calls,
            self.before.broken,
            self.before.calls()
        ))
    }

    fn slow_reason(&mut self) -> Option<String> {
        let (_, now) = self.seen;
        let calls = now.since(&self.block.from);
        if self.block.slots < BLOCK_SLOTS || calls.calls() < TIMED_BLOCK {
            return None;
        }
        let (was, is) = (self.before.below(0.75), calls.below(0.25));
        let slow = self.before.calls() >= TIMED_BEFORE && is >= was * SLOWER.0 && is >= was + SLOWER.1;
        let in_a_row = match (self.block.late, slow) {
            // A block in which the machine stood still says nothing.
            (true, _) => self.block.slow,
            (false, true) => self.block.slow + 1,
            (false, false) => 0,
        };
        self.block = Block { from: now, slow: in_a_row, ..Block::default() };
        (in_a_row >= BLOCKS).then(|| {
            format!(
                "three quarters of the calls take longer than {:?}, one quarter took longer than {was:?} before",
                is / 2
            )
        })
    }
}

impl Reference {
    fn of(before: &CallCounts) -> Self {
        Self { calls: before.calls() as f64, broken: before.broken as f64, share: before.broken_share() }
    }

    fn filled_up(self, earlier: &CallCounts) -> Self {
        let filling = (KNOWN - self.calls).clamp(0.0, earlier.calls() as f64);
        let (calls, broken) = (self.calls + filling, self.broken + filling * earlier.broken_share());
        // The larger of both shares: a version that broke more than those before it was kept all the same.
        Self { calls, broken, share: self.share.max(broken / calls.max(1.0)) }
    }
}

impl Evidence {
    fn add(&mut self, slot: &Slot) {
        let broken = slot.broken as f64;
        self.slots += 1.0;
        self.calls += slot.calls as f64;
        self.broken += broken;
        self.squares += broken * broken;
    }

    /// Whether these calls of the new version are worse than those before beyond chance.
    fn tells_against(&self, (before, with_earlier): &(Reference, Reference)) -> bool {
        if self.broken == 0.0 || self.calls == 0.0 {
            return false;
        }
        // A broken call shares its slot with `squares / broken` on average, itself included; by chance, with so many as
        // a slot has on average. What is more than that, clusters.
        let by_chance = self.broken / self.slots.max(RECENT as f64);
        let cluster = (self.squares / self.broken - by_chance).max(1.0);
        let (broken, calls) = (self.broken / cluster, self.calls / cluster);
        let is_bad_beside = |known: &Reference| {
            let share = calls / (calls + known.calls + TRUST);
            let worse = self.broken / self.calls > 3.0 * known.share + 0.001;
            worse && chance(broken, known.broken, share) < CHANCE
        };
        is_bad_beside(before) || broken >= CAUSES && is_bad_beside(with_earlier)
    }
}

/// A bound of the probability that of `here + there` broken calls at least `here` fall on the side that has the `share`
/// of all calls.
fn chance(here: f64, there: f64, share: f64) -> f64 {
    let all = here + there;
    let found = here / all;
    if found <= share {
        return 1.0;
    }
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    (-all * (part(found, share) + part(1.0 - found, 1.0 - share))).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_on_chance_is_exact_without_broken_calls_before_and_never_too_low_with_some() {
        assert!((chance(2.0, 0.0, 0.25) - 0.0625).abs() < 1e-12);
        assert!((chance(3.0, 9.0, 0.25) - 1.0).abs() < 1e-12, "as expected");
        // P(X >= 8), X of 10 at one half, is 0.0547.
        assert!((0.0547..0.2).contains(&chance(8.0, 2.0, 0.5)));
    }

    const MS: Duration = Duration::from_millis(1);

    fn judge(before: u32, broken: u64) -> Judge {
        Judge::new(CallCounts::of(&[(MS, before)], broken), &CallCounts::default())
    }

    /// Looks each 20 ms at what `counts` says of the n-th look; the number of the look that condemned the version.
    fn condemned(judge: &mut Judge, looks: u32, counts: impl Fn(u32) -> (CallCounts, CallCounts)) -> Option<u32> {
        (1..=looks).find(|n| judge.look(counts(*n), 20 * MS, 20 * MS).is_some())
    }

    #[test]
    fn one_broken_call_is_no_reason_and_two_in_a_row_are_if_a_thousand_went_well_before() {
        let breaks = |before: u32, every: u32| {
            let mut judge = judge(before, 0);
            let counts =
                |n: u32| (CallCounts::of(&[(MS, before)], 0), CallCounts::of(&[(MS, n / every)], (n / every).into()));
            condemned(&mut judge, 1_000, counts).map(|look| look / every)
        };
        assert_eq!(breaks(1_000, 10), Some(2));
        assert_eq!(breaks(100, 10), Some(3));
        // Not one call before: the new version has to break all of four.
        assert_eq!(breaks(0, 10), Some(4));
    }

    #[test]
    fn a_version_before_with_few_calls_is_known_by_those_of_earlier_versions_too() {
        // Of one call at each look, each fiftieth breaks.
        let breaks = |before: (u32, u64), earlier: (u32, u64)| {
            let of = |(calls, broken): (u32, u64)| CallCounts::of(&[(MS, calls)], broken);
            let mut judge = Judge::new(of(before), &of(earlier));
            condemned(&mut judge, 20_000, |n| (of(before), of((n, (n / 50).into())))).map(|look| look / 50)
        };
        assert_eq!(breaks((200, 0), (0, 0)), None);
        assert!(breaks((200, 0), (5_000, 0)).is_some_and(|broken| broken < 10));
        assert!(breaks((0, 0), (5_000, 0)).is_some_and(|broken| broken < 10));
        // Earlier versions broke as many; so did the version before; or it is known by itself.
        assert_eq!(breaks((200, 0), (5_000, 100)), None);
        assert_eq!(breaks((200, 3), (5_000, 0)), None);
        assert!(breaks((6_000, 0), (5_000, 5_000)).is_some_and(|broken| broken < 10));
    }

    #[test]
    fn the_calls_of_earlier_versions_do_not_make_two_broken_calls_evidence() {
        // Each fifth of a second a call breaks, which one pause of the machine may do.
        let breaks = |earlier: u32| {
            let before = CallCounts::of(&[(MS, 20)], 0);
            let mut judge = Judge::new(before, &CallCounts::of(&[(MS, earlier)], 0));
            condemned(&mut judge, 1_000, |n| (before, CallCounts::of(&[(MS, n / 10)], (n / 10).into()))).map(|n| n / 10)
        };
        assert_eq!([0, 10_000].map(breaks), [Some(3); 2]);
    }

    #[test]
    fn what_the_version_before_breaks_as_well_does_not_count() {
        let outage = |excused: bool| {
            let mut judge = judge(10_000, 0);
            let counts = |n: u32| {
                let broken = u64::from(n * 3);
                (
                    CallCounts::of(&[(MS, 10_000)], if excused { broken } else { 0 }),
                    CallCounts::of(&[(MS, n * 3)], broken),
                )
            };
            condemned(&mut judge, 250, counts)
        };
        assert!(outage(false).is_some_and(|look| look < 25));
        assert_eq!(outage(true), None);
    }

    #[test]
    fn a_slow_version_is_noticed_when_all_its_calls_are_slow_for_three_seconds() {
        let slow = |quick: u32| {
            let mut judge = judge(1_000, 0);
            let counts =
                |n: u32| (CallCounts::of(&[(MS, 1_000)], 0), CallCounts::of(&[(MS, n * quick), (30 * MS, n)], 0));
            condemned(&mut judge, 250, counts)
        };
        assert!(slow(0).is_some_and(|look| (150..165).contains(&look)));
        assert_eq!(slow(1), None, "half of the calls are as quick as before");
    }

    #[test]
    fn calls_out_of_time_count_when_the_version_hangs_and_not_when_the_machine_stands_still() {
        let run = |counts: &dyn Fn(u32) -> (u32, u64)| {
            let mut judge = judge(5_000, 0);
            let counts = |n: u32| {
                let (good, out) = counts(n);
                let mut after = CallCounts::of(&[(MS, good), (250 * MS, u32::try_from(out).unwrap_or(0))], out);
                after.timed_out = out;
                (CallCounts::of(&[(MS, 5_000)], 0), after)
            };
            condemned(&mut judge, 250, counts)
        };
        // Four calls at a time, and none is answered.
        assert!(run(&|n| (0, u64::from(n * 20 / 250 * 4))).is_some_and(|look| look <= 40));
        // One call in a hundred hangs, the others are answered.
        assert!(run(&|n| (n * 20, u64::from(n / 5))).is_some_and(|look| look <= 60));
        // Twice the machine stands still for 400 ms, and the calls of that time run out of it.
        let stops = |n: u32| n.clamp(50, 70) - 50 + n.clamp(120, 140) - 120;
        let stopped = |n: u32| 8 * u64::from(n >= 70) + 8 * u64::from(n >= 140);
        assert_eq!(run(&|n| (20 * (n - stops(n)), stopped(n))), None);
    }
}
