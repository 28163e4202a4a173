//! A simulation of watches, with a seed for each: versions that are the same as before on a machine that is not quiet,
//! and versions that break one call in a hundred.
//!
//! `SEAM_WATCH_RUNS` makes it longer.

use std::time::Duration;

use seam_runtime::run::CallStats;

use super::judge::Judge;
use crate::limits;

const LOOK: Duration = Duration::from_millis(limits::DEPLOY_LOOK_MS);

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, p: f64) -> bool {
        self.next() < p
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    /// As often between 1 and 10 as between 10 and 100.
    fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high / low).ln() * self.next()).exp()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }

    fn of(&mut self, all: &[f64]) -> f64 {
        all.get((self.next() * all.len() as f64) as usize).copied().unwrap_or_default()
    }
}

/// A context and the machine that it runs on. Times in seconds.
struct World {
    random: Random,
    calls_per_s: f64,
    service: f64,
    /// The share of calls that breaks, whichever version serves.
    breaks: f64,
    /// The share of calls that only the new version breaks.
    worse: f64,
    /// Whether the machine does other work at times, stands still at times, and callees are away at times. They are
    /// there while a worse version is watched, so that all broken calls are its own.
    restless: bool,
    timeout: f64,
    busy_until: f64,
    quiet_until: f64,
    away_until: f64,
}

struct Watched {
    /// When the version was found bad, and why.
    bad: Option<(f64, String)>,
    /// When its tenth call broke.
    tenth: Option<f64>,
    /// Whether a much larger share of its calls broke than before, for whatever reason.
    more_broke: bool,
}

/// What became of a call.
struct Outcome {
    took: f64,
    broke: bool,
    out_of_time: bool,
    /// It breaks with the version before as well.
    excused: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let calls_per_s = random.magnitude(0.5, 1_000.0);
        let service = random.magnitude(1e-4, 2e-2);
        let breaks = random.of(&[0.0, 0.0, 0.0, 1e-4, 1e-3, 1e-2, 5e-2]);
        Self {
            random,
            calls_per_s,
            service,
            breaks,
            worse: 0.0,
            restless: true,
            timeout: 5.0,
            busy_until: 0.0,
            quiet_until: 0.0,
            away_until: 0.0,
        }
    }

    /// The calls of the version before: up to so many, on a machine that was seldom busy.
    fn before(&mut self, calls: usize) -> CallStats {
        let stats = CallStats::default();
        for _ in 0..calls {
            let busy = self.restless && self.random.chance(0.02);
            let took = self.took(busy);
            let broke = self.random.chance(self.breaks);
            record(&stats, &Outcome { took, broke, out_of_time: false, excused: false });
        }
        let slow = stats.counts().below(0.999).as_secs_f64();
        self.timeout = if slow > 0.0 { (4.0 * slow).max(limits::PROBATION_TIMEOUT_MS as f64 / 1e3) } else { 5.0 };
        stats
    }

    fn took(&mut self, busy: bool) -> f64 {
        // Most calls alike, some several times longer.
        let own = self.service * (0.5 + self.random.exponential(0.5));
        if !busy {
            return own;
        }
        let waits = if self.random.chance(0.6) { self.random.exponential(0.06) } else { 0.0 };
        own * self.random.between(1.0, 3.0) + waits
    }

    /// What the machine does at `now`. Returns how long it stands still, and whether the watch does so as well.
    fn weather(&mut self, now: f64, look: f64) -> (f64, bool) {
        if !self.restless {
            return (0.0, false);
        }
        if now > self.busy_until && now > self.quiet_until {
            self.quiet_until = now + self.random.exponential(1.0);
            self.busy_until = self.quiet_until + self.random.exponential(1.5);
        }
        if self.worse == 0.0 && self.random.chance(look * 0.05) {
            self.away_until = now + self.random.exponential(0.4);
        }
        if self.random.chance(look * 0.4) {
            return (self.random.magnitude(0.05, 2.0), self.random.chance(0.7));
        }
        (0.0, false)
    }

    fn call(&mut self, now: f64, stands_still: f64) -> Outcome {
        let busy = self.restless && now > self.quiet_until && now < self.busy_until;
        let took = self.took(busy) + stands_still;
        let away = now < self.away_until;
        let broke = away || self.random.chance(self.breaks) || self.random.chance(self.worse);
        let out_of_time = !broke && took > self.timeout;
        Outcome { took: took.min(self.timeout), broke: broke || out_of_time, out_of_time, excused: away }
    }

    fn arrivals(&mut self, seconds: f64) -> usize {
        let mean = self.calls_per_s * seconds;
        let mut at = self.random.exponential(1.0);
        let mut count = 0;
        while at < mean {
            count += 1;
            at += self.random.exponential(1.0);
        }
        count
    }

    /// Watches for so many seconds. `calls` are those of the earlier versions and of the version before.
    fn watch(&mut self, seconds: f64, calls: (usize, usize)) -> Watched {
        let (earlier, before, after) = (self.before(calls.0), self.before(calls.1), CallStats::default());
        let mut judge = Judge::new(before.counts(), &earlier.counts());
        let (mut now, mut broken, mut tenth) = (0.0, 0, None);
        while now < seconds {
            let (still, watch_as_well) = self.weather(now, LOOK.as_secs_f64());
            // Calls that run when the machine stands still, and those that come meanwhile, end with it.
            let calls = match still > 0.0 {
                true => (self.arrivals(self.service + 0.02) + self.arrivals(still)).min(40),
                false => self.arrivals(LOOK.as_secs_f64()),
            };
            for _ in 0..calls {
                let rest = still * if self.random.chance(0.5) { 1.0 } else { self.random.next() };
                let outcome = self.call(now, rest);
                record(&after, &outcome);
                broken += u32::from(outcome.broke && !outcome.out_of_time);
                if outcome.broke && outcome.excused {
                    record(&before, &outcome);
                }
            }
            let looks = if watch_as_well || still == 0.0 { 1 } else { (still / LOOK.as_secs_f64()) as u32 + 1 };
            let passed = Duration::from_secs_f64(still) + LOOK;
            for n in 0..looks {
                // The calls end with the last of the looks.
                let counts = if n + 1 == looks { after.counts() } else { judge.seen_last() };
                let after = if looks == 1 { passed } else { LOOK };
                now += after.as_secs_f64();
                if let Some(why) = judge.look((before.counts(), counts), after, LOOK) {
                    return Watched { bad: Some((now, why)), tenth, more_broke: true };
                }
            }
            if broken >= 10 && tenth.is_none() {
                tenth = Some(now);
            }
        }
        let (was, is) = (before.counts().broken_share(), after.counts());
        Watched { bad: None, tenth, more_broke: is.broken >= 2 && is.broken_share() > 3.0 * was + 0.01 }
    }
}

fn record(stats: &CallStats, outcome: &Outcome) {
    stats.record(Duration::from_secs_f64(outcome.took), None);
    match (outcome.broke, outcome.out_of_time) {
        (_, true) => stats.count_timed_out(),
        (true, _) => stats.count_broken(),
        _ => {}
    }
}

fn runs(otherwise: u64) -> u64 {
    std::env::var("SEAM_WATCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn of_a_thousand_versions_that_are_the_same_at_most_one_is_found_bad() {
    let runs = runs(2_000);
    let (mut found, mut more_broke) = (Vec::new(), 0);
    for seed in 0..runs {
        let mut world = World::new(seed);
        let mut up_to = |calls| world.random.magnitude(1.0, calls) as usize - 1;
        let calls = (up_to(10_000.0), up_to(4_000.0));
        let watched = world.watch(5.0, calls);
        more_broke += u64::from(watched.more_broke);
        found.extend(watched.bad.map(|(at, why)| format!("seed {seed} at {at:.2} s: {why}")));
    }
    println!(
        "{} of {runs} identical versions were found bad: {found:#?}; {more_broke} broke more than before",
        found.len()
    );
    // Comparing the shares, as one might, would be wrong so often.
    assert!(more_broke > runs / 50, "the noise is none: {more_broke} of {runs}");
    assert!(found.len() as u64 <= runs / 1_000, "{} of {runs}: {found:#?}", found.len());
}

#[test]
fn a_version_that_breaks_one_call_in_a_hundred_is_found_within_half_a_second_of_its_tenth() {
    let runs = runs(200);
    let mut late = Vec::new();
    for seed in 0..runs {
        let mut world = World::new(seed);
        (world.breaks, world.worse, world.restless) = (0.0, 0.01, seed % 2 == 0);
        world.calls_per_s = world.calls_per_s.max(20.0);
        let Watched { bad, tenth, .. } = world.watch(60.0, if seed % 3 == 0 { (5_000, 200) } else { (0, 5_000) });
        // In some watches the tenth does not come.
        let Some(tenth) = tenth else { continue };
        if bad.as_ref().is_none_or(|(at, _)| at - tenth > 0.5) {
            late.push(format!("seed {seed}: {bad:?}, its tenth call broke at {tenth:.2} s"));
        }
    }
    println!("{} of {runs} versions that break one call in a hundred were found too late: {late:#?}", late.len());
    assert!(late.len() as u64 <= runs / 1_000, "{} of {runs}: {late:#?}", late.len());
}
