//! What happens to each call: drawn from a seed, so that the same calls in the same order meet the same again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::terms::{Share, Terms};
use crate::call::{Affinity, spread};

/// How many numbers each call draws.
const NUMBERS: u64 = 5;
/// The increment of splitmix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// How long the request travels, and the answer.
    pub there: Duration,
    pub back: Duration,
    pub lost: Option<Lost>,
    /// The callee performs it twice.
    pub twice: bool,
}

/// What of a call is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The callee never hears of it.
    Request,
    /// The callee has done its work.
    Answer,
}

/// The fates of the calls of one edge, in the order in which the calls are made.
#[derive(Debug)]
pub struct Draws {
    terms: Terms,
    state: u64,
    calls: AtomicU64,
}

impl Draws {
    /// Edges with the same seed draw different numbers.
    pub fn new(terms: Terms, seed: u64, edge: &str) -> Self {
        Self { terms, state: spread(seed ^ Affinity::by(edge.as_bytes()).key), calls: AtomicU64::new(0) }
    }

    /// The fate of the next call.
    pub fn next(&self) -> Fate {
        let Terms { latency, jitter, loss, duplicates } = self.terms;
        let first = self.calls.fetch_add(1, Relaxed).wrapping_mul(NUMBERS);
        let mut at = first;
        let mut number = || {
            at = at.wrapping_add(1);
            spread(self.state.wrapping_add(at.wrapping_mul(GOLDEN)))
        };
        let way = |drawn: u64| {
            // Half of the jitter belongs to each way, in both directions.
            let more = (jitter.as_nanos() * u128::from(drawn)) >> 64;
            (latency / 2).saturating_sub(jitter / 2) + Duration::from_nanos(u64::try_from(more).unwrap_or(u64::MAX))
        };
        let (there, back) = (way(number()), way(number()));
        let hits = |share: Share, drawn: u64| drawn % 1_000_000 < u64::from(share.per_million);
        let lost = hits(loss, number());
        let lost = match number() >> 63 {
            0 => lost.then_some(Lost::Request),
            _ => lost.then_some(Lost::Answer),
        };
        let twice = hits(duplicates, number()) && lost != Some(Lost::Request);
        Fate { there, back, lost, twice }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretend::{Order, parse};

    const CALLS: usize = 100_000;

    fn fates(text: &str, seed: u64, edge: &str) -> Vec<Fate> {
        let Order::Pretend { terms, .. } = parse(&format!("a->b {text}")).unwrap() else { panic!("{text}") };
        let draws = Draws::new(terms, seed, edge);
        std::iter::repeat_with(|| draws.next()).take(CALLS).collect()
    }

    #[test]
    fn a_seed_gives_the_same_fates_again_and_each_edge_and_seed_others() {
        let text = "latency=5ms jitter=2ms loss=10% duplicates=10%";
        let first = fates(text, 7, "a->b");
        assert_eq!(first, fates(text, 7, "a->b"));
        assert_ne!(first, fates(text, 8, "a->b"));
        assert_ne!(first, fates(text, 7, "a->c"));
    }

    #[test]
    fn latency_stays_within_its_jitter_and_reaches_both_ends_of_it() {
        let times: Vec<Duration> =
            fates("latency=5ms jitter=2ms", 1, "a->b").iter().map(|f| f.there + f.back).collect();
        let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        assert!(least >= ms(3.0) && most <= ms(7.0), "{least:?} {most:?}");
        assert!(least < ms(3.1) && most > ms(6.9), "{least:?} {most:?}");
        let mean = times.iter().sum::<Duration>() / u32::try_from(CALLS).unwrap();
        assert!(mean > ms(4.95) && mean < ms(5.05), "{mean:?}");
        assert!(fates("latency=4ms", 1, "a->b").iter().all(|f| f.there == ms(2.0) && f.back == ms(2.0)));
    }

    #[test]
    fn shares_are_met_and_half_of_what_is_lost_is_the_answer() {
        let all = fates("loss=10% duplicates=1%", 3, "a->b");
        let share = |is: &dyn Fn(&Fate) -> bool| all.iter().filter(|fate| is(fate)).count() as f64 / CALLS as f64;
        let near = |share: f64, wanted: f64| (share - wanted).abs() < wanted / 10.0;
        assert!(near(share(&|f| f.lost == Some(Lost::Request)), 0.05));
        assert!(near(share(&|f| f.lost == Some(Lost::Answer)), 0.05));
        assert!(near(share(&|f| f.twice), 0.0095));
        assert!(!all.iter().any(|f| f.twice && f.lost == Some(Lost::Request)), "what never arrives is not repeated");
        assert!(fates("loss=100% duplicates=0%", 3, "a->b").iter().all(|f| f.lost.is_some() && !f.twice));
        assert!(fates("loss=0% duplicates=100%", 3, "a->b").iter().all(|f| f.lost.is_none() && f.twice));
    }
}
