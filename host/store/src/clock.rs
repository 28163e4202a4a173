//! Time as the host reads it: the system's, or one that a test moves by hand.
//!
//! A deadline is an `Instant` of one clock: the code that sets it and the code that checks it use the same clock.
//! Not here: timeouts that only protect the machine, such as the pause of a worker that gives its tasks away.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Cheap to clone. Reading the system's clock costs one branch more than `Instant::now()`.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

/// A clock that stands still until a test advances it. Its clones move with it.
pub struct ManualClock(Clock, Arc<Manual>);

struct Manual {
    started: Instant,
    /// The time of day at which it started; a test may set it.
    started_at: Mutex<SystemTime>,
    advanced: Mutex<Duration>,
    moved: Condvar,
    waiting: AtomicUsize,
    /// What a thread does that waits, in a simulation whose threads take turns.
    pause: OnceLock<Box<Pause>>,
}

type Pause = dyn Fn(Duration) + Send + Sync;

/// Counts a thread for as long as it waits.
struct Waiting<'m>(&'m Manual);

/// How often a thread that waits for a condition variable of its own looks at a manual clock, in real time.
const LOOK: Duration = Duration::from_millis(1);

impl Clock {
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock for tests, which starts at the system's time.
    pub fn manual() -> ManualClock {
        let manual = Arc::new(Manual {
            started: Instant::now(),
            started_at: Mutex::new(SystemTime::now()),
            advanced: Mutex::new(Duration::ZERO),
            moved: Condvar::new(),
            waiting: AtomicUsize::new(0),
            pause: OnceLock::new(),
        });
        ManualClock(Self(Some(manual.clone())), manual)
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => manual.started + *manual.advanced.lock(),
        }
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(manual) => *manual.started_at.lock() + *manual.advanced.lock(),
        }
    }

    /// The time of day in milliseconds since 1970, UTC; 0 before that.
    pub fn wall_ms(&self) -> u64 {
        let since_1970 = self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn elapsed_since(&self, earlier: Instant) -> Duration {
        self.now().saturating_duration_since(earlier)
    }

    /// Blocks this thread for `pause`.
    pub fn sleep(&self, pause: Duration) {
        match &self.0 {
            None => std::thread::sleep(pause),
            Some(manual) => {
                let mut advanced = manual.advanced.lock();
                let end = *advanced + pause;
                // Counted once its end is known: a test that has seen it may advance the clock.
                let _waiting = manual.count();
                while *advanced < end {
                    manual.moved.wait(&mut advanced);
                }
            }
        }
    }

    /// Waits on `condition` until it is notified or `deadline` has passed; whether the deadline has passed. As with
    /// every condition variable, the caller looks again at what it waits for.
    pub fn wait_until<T>(&self, condition: &Condvar, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        let Some(manual) = &self.0 else { return condition.wait_until(guard, deadline).timed_out() };
        if self.now() >= deadline {
            return true;
        }
        if let Some(pause) = manual.pause.get() {
            MutexGuard::unlocked(guard, || pause(LOOK));
            return false;
        }
        let _waiting = manual.count();
        // Not in a loop: a notification that comes just as a look ends has none to wake any more.
        condition.wait_for(guard, LOOK);
        false
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_none() { "Clock::system()" } else { "Clock::manual()" })
    }
}

impl ManualClock {
    /// The clock to hand to what is tested.
    pub fn clock(&self) -> Clock {
        self.0.clone()
    }

    /// Moves this clock and its clones on, and wakes those who sleep by it.
    pub fn advance(&self, by: Duration) {
        *self.1.advanced.lock() += by;
        self.1.moved.notify_all();
    }

    /// Sets the time of day, forward or back; monotonic time stays.
    pub fn set_wall(&self, wall: SystemTime) {
        *self.1.started_at.lock() = wall - *self.1.advanced.lock();
    }

    /// From now on, a thread that waits by this clock calls `pause`, again and again. Once is enough.
    pub fn pause_by(&self, pause: impl Fn(Duration) + Send + Sync + 'static) {
        self.1.pause.set(Box::new(pause)).ok();
    }

    /// Threads that wait by this clock now: a test advances it once they do.
    pub fn waiting(&self) -> usize {
        self.1.waiting.load(SeqCst)
    }
}

impl std::ops::Deref for ManualClock {
    type Target = Clock;

    fn deref(&self) -> &Clock {
        &self.0
    }
}

impl Manual {
    fn count(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, SeqCst);
        Waiting(self)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_manual_clock_stands_still_until_it_is_advanced_and_its_clones_move_with_it() {
        let time = Clock::manual();
        let (clock, start, wall) = (time.clock(), time.now(), time.wall());
        assert_eq!((clock.now(), clock.wall()), (start, wall));
        time.advance(HOUR);
        assert_eq!((clock.elapsed_since(start), clock.wall()), (HOUR, wall + HOUR));
        time.set_wall(wall - HOUR);
        assert_eq!((clock.elapsed_since(start), clock.wall()), (HOUR, wall - HOUR));
        time.advance(HOUR);
        assert_eq!((clock.elapsed_since(start), clock.wall()), (2 * HOUR, wall));
    }

    #[test]
    fn advancing_a_manual_clock_ends_a_sleep_and_a_wait_in_no_time() {
        let time = Clock::manual();
        let clock = time.clock();
        std::thread::scope(|scope| {
            let sleeps = scope.spawn(|| clock.sleep(HOUR));
            let deadline = clock.now() + HOUR;
            let clock = &clock;
            let waits = scope.spawn(move || {
                let (condition, nothing) = (Condvar::new(), Mutex::new(()));
                while !clock.wait_until(&condition, &mut nothing.lock(), deadline) {}
                clock.now()
            });
            let both_wait = || {
                while time.waiting() < 2 {
                    std::thread::yield_now();
                }
            };
            both_wait();
            time.advance(HOUR / 2);
            both_wait();
            time.advance(HOUR / 2);
            assert!(sleeps.join().is_ok() && waits.join().is_ok_and(|ended| ended == deadline));
        });
    }
}
