//! When to scan: shortly after the last hint of a burst, not too long after its first, and at intervals without hints.

use std::time::{Duration, Instant};

use crate::limits;

#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long a file must be left alone before it is reported.
    pub quiet: Duration,
    /// How long a burst of hints may delay a scan at most.
    pub max_delay: Duration,
    /// The time between scans without a hint.
    pub rescan: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(limits::WATCH_QUIET_MS),
            max_delay: Duration::from_millis(limits::WATCH_MAX_DELAY_MS),
            rescan: Duration::from_millis(limits::WATCH_RESCAN_MS),
        }
    }
}

#[derive(Debug)]
pub struct Schedule {
    config: Config,
    /// The first and the last hint since the last scan.
    burst: Option<(Instant, Instant)>,
    scanned: Instant,
}

impl Schedule {
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, burst: None, scanned: now }
    }

    pub fn hint(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |(first, _)| first);
        self.burst = Some((first, now));
    }

    /// When to scan next, if no further hint comes.
    pub fn due(&self) -> Instant {
        let rescan = self.scanned + self.config.rescan;
        match self.burst {
            Some((first, last)) => rescan.min(last + self.config.quiet).min(first + self.config.max_delay),
            None => rescan,
        }
    }

    /// A scan was made. `unsettled`: it left out files that may still be written.
    pub fn scanned(&mut self, now: Instant, unsettled: bool) {
        self.scanned = now;
        self.burst = unsettled.then_some((now, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn schedule(start: Instant) -> Schedule {
        Schedule::new(Config { quiet: ms(30), max_delay: ms(200), rescan: ms(2_000) }, start)
    }

    #[test]
    fn without_a_hint_there_is_a_scan_at_every_interval() {
        let start = Instant::now();
        let mut schedule = schedule(start);
        assert_eq!(schedule.due(), start + ms(2_000));
        schedule.scanned(start + ms(2_001), false);
        assert_eq!(schedule.due(), start + ms(4_001));
    }

    #[test]
    fn a_burst_leads_to_one_scan_after_its_last_hint() {
        let start = Instant::now();
        let mut schedule = schedule(start);
        for at in [0, 10, 25, 50] {
            schedule.hint(start + ms(at));
        }
        assert_eq!(schedule.due(), start + ms(80));
        schedule.scanned(start + ms(80), false);
        assert_eq!(schedule.due(), start + ms(2_080));
    }

    #[test]
    fn a_burst_without_end_is_scanned_after_the_longest_delay() {
        let start = Instant::now();
        let mut schedule = schedule(start);
        for at in (0..400).step_by(20) {
            schedule.hint(start + ms(at));
        }
        assert_eq!(schedule.due(), start + ms(200));
    }

    #[test]
    fn a_file_that_was_just_written_is_scanned_again_soon() {
        let start = Instant::now();
        let mut schedule = schedule(start);
        schedule.scanned(start + ms(5), true);
        assert_eq!(schedule.due(), start + ms(35));
    }
}
