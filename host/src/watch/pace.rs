//! When to look: shortly after the last hint of a burst, not too long after its first, and now and then without any.

use std::time::Instant;

use super::Config;

#[derive(Debug)]
pub(super) struct Pace {
    config: Config,
    /// The first and the last hint since the last look.
    burst: Option<(Instant, Instant)>,
    looked: Instant,
}

impl Pace {
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, burst: None, looked: now }
    }

    pub fn hint(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |(first, _)| first);
        self.burst = Some((first, now));
    }

    /// When to look next, if no further hint comes.
    pub fn due(&self) -> Instant {
        let rescan = self.looked + self.config.rescan;
        match self.burst {
            Some((first, last)) => rescan.min(last + self.config.quiet).min(first + self.config.patience),
            None => rescan,
        }
    }

    /// A look was taken. `unsettled`: something was too fresh to be told apart from what is being written.
    pub fn looked(&mut self, now: Instant, unsettled: bool) {
        self.looked = now;
        self.burst = unsettled.then_some((now, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pace(start: Instant) -> Pace {
        Pace::new(Config { quiet: ms(30), patience: ms(200), rescan: ms(2_000) }, start)
    }

    #[test]
    fn without_a_hint_there_is_a_look_now_and_then() {
        let start = Instant::now();
        let mut pace = pace(start);
        assert_eq!(pace.due(), start + ms(2_000));
        pace.looked(start + ms(2_001), false);
        assert_eq!(pace.due(), start + ms(4_001));
    }

    #[test]
    fn a_burst_is_one_look_after_its_last_hint() {
        let start = Instant::now();
        let mut pace = pace(start);
        for at in [0, 10, 25, 50] {
            pace.hint(start + ms(at));
        }
        assert_eq!(pace.due(), start + ms(80));
        pace.looked(start + ms(80), false);
        assert_eq!(pace.due(), start + ms(2_080));
    }

    #[test]
    fn a_burst_without_end_is_looked_at_all_the_same() {
        let start = Instant::now();
        let mut pace = pace(start);
        for at in (0..400).step_by(20) {
            pace.hint(start + ms(at));
        }
        assert_eq!(pace.due(), start + ms(200));
    }

    #[test]
    fn what_was_too_fresh_is_looked_at_again_soon() {
        let start = Instant::now();
        let mut pace = pace(start);
        pace.looked(start + ms(5), true);
        assert_eq!(pace.due(), start + ms(35));
    }
}
