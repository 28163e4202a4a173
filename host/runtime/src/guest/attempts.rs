//! `seam:host/attempts`: counts of what costs much or guesses, in memory, for each context.
//!
//! A count is one moment, the end of its attempts: each attempt moves it on by `window / most`, and none may move it
//! farther than a window from now (the generic cell rate algorithm). The table has a fixed size. A key belongs to one
//! small set of its entries; a new key takes the place of the entry of the set that is farthest from its limit. The
//! hash is keyed, so a client can neither choose the set nor another client's entry.
//! Not here: what is counted and how often it is allowed; the contexts decide.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use wasmtime::component::{HasSelf, Linker};

use super::Guest;
use super::wasi::Fixed;
use crate::limits;

wasmtime::component::bindgen!({
    path: "../../wit/host",
    inline: "package seam:runtime; world imports { import seam:host/attempts@0.1.0; }",
    world: "seam:runtime/imports",
    imports: { default: trappable },
});

use self::seam::host::attempts::Host;
pub use self::seam::host::attempts::Limit;

pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    self::seam::host::attempts::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Host for Guest {
    fn take(&mut self, under: Vec<Limit>) -> wasmtime::Result<Result<(), u32>> {
        check(&under)?;
        Ok(self.attempts.take(&under))
    }

    fn give_back(&mut self, under: Vec<Limit>) -> wasmtime::Result<()> {
        check(&under)?;
        self.attempts.give_back(&under);
        Ok(())
    }
}

/// Limits are constants of a context, so wrong ones are its mistake.
fn check(under: &[Limit]) -> wasmtime::Result<()> {
    if under.len() > limits::ATTEMPT_LIMITS_MAX {
        wasmtime::bail!("{} limits in one call; {} are allowed", under.len(), limits::ATTEMPT_LIMITS_MAX);
    }
    match under.iter().find(|limit| limit.most == 0 || !(1..=limits::ATTEMPT_WINDOW_S_MAX).contains(&limit.window_s)) {
        Some(Limit { most, window_s, .. }) => wasmtime::bail!(
            "{most} attempts in {window_s} s is no limit: at least one attempt, and 1 to {} s",
            limits::ATTEMPT_WINDOW_S_MAX
        ),
        None => Ok(()),
    }
}

/// The counts of one context. All its instances and versions share them.
pub struct Attempts {
    /// Empty until the first attempt: most contexts count none.
    entries: Mutex<Vec<Entry>>,
    hasher: RandomState,
    time: Time,
}

enum Time {
    Passing { clock: Clock, started: Instant },
    Fixed(Arc<Fixed>),
}

/// The count of one key. Times are microseconds since `Attempts` was made.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The hash of the key and its limit. 0 in an entry that was never used.
    hash: u64,
    /// When its attempts no longer count.
    end: u64,
    window: u64,
}

/// One limit as the table knows it.
struct Counted {
    hash: u64,
    /// What one attempt adds.
    interval: u64,
    window: u64,
}

impl Entry {
    /// How much of its window is used up, in parts of 2^20.
    fn used(&self, now: u64) -> u64 {
        (self.end.saturating_sub(now) << 20) / self.window.max(1)
    }
}

impl Attempts {
    /// Counts by `clock`.
    pub fn new(clock: Clock) -> Self {
        let started = clock.now();
        Self::by(Time::Passing { clock, started })
    }

    /// Counts by the clock of a fixture.
    pub fn in_world(world: Arc<Fixed>) -> Self {
        Self::by(Time::Fixed(world))
    }

    fn by(time: Time) -> Self {
        Self { entries: Mutex::default(), hasher: RandomState::new(), time }
    }

    fn now(&self) -> u64 {
        let passed = match &self.time {
            Time::Passing { clock, started } => clock.elapsed_since(*started),
            Time::Fixed(world) => Duration::from_nanos(world.passed()),
        };
        u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
    }

    fn counted(&self, Limit { key, most, window_s }: &Limit) -> Counted {
        let window = u64::from(*window_s) * 1_000_000;
        let hash = self.hasher.hash_one((key, most, window_s)).max(1);
        Counted { hash, interval: (window / u64::from(*most)).max(1), window }
    }

    /// As the interface says.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn take(&self, under: &[Limit]) -> Result<(), u32> {
        let now = self.now();
        let mut entries = self.entries.lock();
        if entries.is_empty() {
            entries.resize(limits::ATTEMPT_KEYS, Entry::default());
        }
        let counted: Vec<Counted> = under.iter().map(|limit| self.counted(limit)).collect();
        let wait = counted.iter().map(|counted| {
            let end = find(&mut entries, counted.hash).map_or(now, |entry| entry.end.max(now));
            (end + counted.interval).saturating_sub(now + counted.window)
        });
        if let Some(wait @ 1..) = wait.max() {
            return Err(u32::try_from(wait.div_ceil(1_000_000)).unwrap_or(u32::MAX));
        }
        for Counted { hash, interval, window } in counted {
            if let Some(entry) = find_or_make(&mut entries, hash, now) {
                *entry = Entry { hash, end: entry.end.max(now) + interval, window };
            }
        }
        Ok(())
    }

    pub fn give_back(&self, under: &[Limit]) {
        let mut entries = self.entries.lock();
        for Counted { hash, interval, .. } in under.iter().map(|limit| self.counted(limit)) {
            if let Some(entry) = find(&mut entries, hash) {
                entry.end = entry.end.saturating_sub(interval);
            }
        }
    }
}

/// The entries among which the count of `hash` is.
fn set(entries: &mut [Entry], hash: u64) -> &mut [Entry] {
    let sets = (entries.len() / limits::ATTEMPT_KEYS_PER_SET).max(1) as u64;
    let at = (hash % sets) as usize * limits::ATTEMPT_KEYS_PER_SET;
    entries.get_mut(at..at + limits::ATTEMPT_KEYS_PER_SET).unwrap_or_default()
}

fn find(entries: &mut [Entry], hash: u64) -> Option<&mut Entry> {
    set(entries, hash).iter_mut().find(|entry| entry.hash == hash)
}

/// The entry of `hash`: its own, or a fresh one in the place of the entry that is farthest from its limit.
fn find_or_make(entries: &mut [Entry], hash: u64, now: u64) -> Option<&mut Entry> {
    let set = set(entries, hash);
    let own = set.iter().position(|entry| entry.hash == hash);
    let at = own.or_else(|| (0..set.len()).min_by_key(|at| set.get(*at).map(|entry| entry.used(now))))?;
    let entry = set.get_mut(at)?;
    if own.is_none() {
        *entry = Entry::default();
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(key: &str, most: u32, window_s: u32) -> Limit {
        Limit { key: key.to_owned(), most, window_s }
    }

    #[test]
    fn as_many_as_allowed_at_once_and_then_one_after_each_part_of_the_window() {
        let time = Clock::manual();
        let attempts = Attempts::new(time.clock());
        let take = || attempts.take(&[limit("a", 5, 100)]);
        for _ in 0..5 {
            assert_eq!(take(), Ok(()));
        }
        assert_eq!(take(), Err(20));
        time.advance(Duration::from_millis(19_500));
        assert_eq!(take(), Err(1), "half a second is rounded up");
        time.advance(Duration::from_millis(500));
        assert_eq!((take(), take()), (Ok(()), Err(20)));
        time.advance(Duration::from_secs(1_000));
        for _ in 0..5 {
            assert_eq!(take(), Ok(()), "a long rest allows no more than the limit");
        }
        assert_eq!(take(), Err(20));
        assert_eq!(attempts.take(&[limit("b", 5, 100)]), Ok(()), "another key");
        assert_eq!(attempts.take(&[limit("a", 6, 100)]), Ok(()), "another limit");
        assert_eq!(Attempts::new(time.clock()).take(&[limit("a", 5, 100)]), Ok(()), "another context");
    }

    #[test]
    fn an_attempt_counts_under_all_limits_or_under_none_and_can_be_taken_back() {
        let time = Clock::manual();
        let attempts = Attempts::new(time.clock());
        let (narrow, wide) = (limit("narrow", 1, 60), limit("wide", 3, 60));
        let both = [narrow.clone(), wide.clone()];
        assert_eq!((attempts.take(&both), attempts.take(&both)), (Ok(()), Err(60)));
        for _ in 0..2 {
            assert_eq!(attempts.take(std::slice::from_ref(&wide)), Ok(()), "the refused one did not count");
        }
        assert_eq!(attempts.take(std::slice::from_ref(&wide)), Err(20));
        attempts.give_back(&both);
        assert_eq!((attempts.take(&both), attempts.take(&both)), (Ok(()), Err(60)));
        attempts.give_back(&[limit("never taken", 1, 60)]);
        for _ in 0..10 {
            attempts.give_back(std::slice::from_ref(&narrow));
        }
        assert_eq!(attempts.take(std::slice::from_ref(&narrow)), Ok(()));
        assert_eq!(attempts.take(&[narrow]), Err(60), "what is given back too often gives no credit");
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_frees_a_key_at_its_limit() {
        let time = Clock::manual();
        let attempts = Attempts::new(time.clock());
        let hot: Vec<Limit> = (0..100).map(|number| limit(&format!("hot {number}"), 2, 900)).collect();
        for key in &hot {
            let key = std::slice::from_ref(key);
            assert_eq!((attempts.take(key), attempts.take(key), attempts.take(key)), (Ok(()), Ok(()), Err(450)));
        }
        for number in 0..limits::ATTEMPT_KEYS * 10 {
            assert_eq!(attempts.take(&[limit(&format!("flood {number}"), 5, 900)]), Ok(()));
        }
        assert_eq!(attempts.entries.lock().len(), limits::ATTEMPT_KEYS);
        let held = hot.iter().filter(|key| attempts.take(std::slice::from_ref(key)).is_err()).count();
        assert_eq!(held, hot.len());
    }

    #[test]
    fn a_limit_that_is_none_is_a_mistake_of_the_context() {
        for (most, window_s) in [(0, 60), (1, 0), (1, limits::ATTEMPT_WINDOW_S_MAX + 1)] {
            assert!(check(&[limit("a", most, window_s)]).is_err(), "{most} {window_s}");
        }
        assert!(check(&vec![limit("a", 1, 1); limits::ATTEMPT_LIMITS_MAX + 1]).is_err());
        let widest = [limit("", u32::MAX, limits::ATTEMPT_WINDOW_S_MAX), limit(&"long".repeat(9_999), 1, 1)];
        assert!(check(&widest).is_ok());
        let attempts = Attempts::new(Clock::system());
        assert_eq!(attempts.take(&widest), Ok(()));
        assert_eq!(attempts.take(&[]), Ok(()));
    }
}
