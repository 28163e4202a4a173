//! Cron lines: the times of day, in a time zone, at which something is due.
//!
//! Invariant: `latest` gives only times that `after` gives, so that counting forwards and looking back agree.
//! Not here: what is due, and what became of it (`schedule`).

use std::sync::Arc;

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::limits;

/// A cron line and its time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    line: String,
    zone: Tz,
    pattern: Arc<croner::Cron>,
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.line, self.zone.name())
    }
}

impl Cron {
    /// `line` has five fields: minute, hour, day of the month, month, day of the week; or the second before them.
    ///
    /// # Errors
    /// Why it is no such line, or that its time never comes.
    pub fn parse(line: &str, zone: Tz) -> Result<Self, String> {
        if line.len() > limits::CRON_LINE_BYTES_MAX {
            return Err(format!("it is longer than {} bytes", limits::CRON_LINE_BYTES_MAX));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let fields = line.split_whitespace().count();
        let pattern = match fields {
            5 | 6 => parser.parse(line).map_err(|error| error.to_string())?,
            fields => return Err(format!("it has {fields} fields")),
        };
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = Self { line, zone, pattern: Arc::new(pattern) };
        // Without years, what does not come from 1970 on comes never.
        if cron.after(0).is_none() { Err("its time never comes".to_owned()) } else { Ok(cron) }
    }

    /// The time zone of this name in the IANA database: `Europe/Berlin`, `UTC`.
    pub fn zone(name: &str) -> Option<Tz> {
        name.parse().ok()
    }

    /// The names of all time zones.
    pub fn zones() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The first due time after this one, in milliseconds since 1970. `None` past the years that calendars reach.
    pub fn after(&self, ms: u64) -> Option<u64> {
        millis(&self.pattern.find_next_occurrence(&self.local(ms)?, false).ok()?)
    }

    /// The last due time up to this one, in milliseconds since 1970.
    pub fn latest(&self, ms: u64) -> Option<u64> {
        let mut at = ms;
        // An hour that comes twice in autumn has its times once: those of its first half.
        for _ in 0..limits::CRON_LOOKS_BACK {
            let before = millis(&self.pattern.find_previous_occurrence(&self.local(at)?, true).ok()?)?;
            if self.after(before.checked_sub(1_000)?) == Some(before) {
                return Some(before);
            }
            at = before.checked_sub(1_000)?;
        }
        None
    }

    fn local(&self, ms: u64) -> Option<DateTime<Tz>> {
        // Whole seconds: a time within one is after its start.
        self.zone.timestamp_opt(i64::try_from(ms / 1_000).ok()?, 0).single()
    }
}

fn millis(time: &DateTime<Tz>) -> Option<u64> {
    u64::try_from(time.timestamp_millis()).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn cron(line: &str, zone: &str) -> Cron {
        Cron::parse(line, Cron::zone(zone).unwrap()).unwrap()
    }

    fn at(time: &str) -> u64 {
        millis(&DateTime::parse_from_rfc3339(time).unwrap().with_timezone(&Tz::UTC)).unwrap()
    }

    /// The due times after `from`, up to `to`.
    fn between(cron: &Cron, from: &str, to: &str) -> Vec<u64> {
        let (from, to) = (at(from), at(to));
        std::iter::successors(cron.after(from), |time| cron.after(*time)).take_while(|time| *time <= to).collect()
    }

    #[test]
    fn a_line_is_due_at_its_times_in_its_zone() {
        let times = |line, zone, from, to| between(&cron(line, zone), from, to);
        let days = times("30 3 * * 1-5", "UTC", "2026-01-02T03:30:00Z", "2026-01-06T03:29:59Z");
        assert_eq!(days, [at("2026-01-05T03:30:00Z")], "Friday's is past, and Monday's is next");
        let berlin = times("0 9 1 * *", "Europe/Berlin", "2026-02-15T00:00:00Z", "2026-04-02T00:00:00Z");
        assert_eq!(berlin, [at("2026-03-01T08:00:00Z"), at("2026-04-01T07:00:00Z")], "winter, then summer");
        let seconds = times("*/20 * * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
        assert_eq!(seconds.len(), 3);
        assert_eq!(times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z").len(), 1);
    }

    #[test]
    fn when_clocks_change_a_fixed_time_comes_once_and_each_hour_comes_each_hour() {
        let spring = ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        let autumn = ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        let daily = cron("30 2 * * *", "Europe/Berlin");
        // 02:30 is skipped: it comes at the first moment after the gap.
        assert_eq!(between(&daily, spring.0, spring.1), [at("2026-03-29T01:00:00Z")]);
        assert_eq!(between(&daily, autumn.0, autumn.1), [at("2026-10-25T00:30:00Z")]);
        let hourly = cron("0 * * * *", "Europe/Berlin");
        assert_eq!(between(&hourly, spring.0, spring.1).len(), 24);
        assert_eq!(between(&hourly, autumn.0, autumn.1).len(), 24);
    }

    #[test]
    fn looking_back_finds_the_times_that_counting_forwards_finds() {
        for line in ["30 2 * * *", "*/15 * * * *", "0 */3 * * *", "59 2 * * 0", "0 0 1 * *"] {
            for zone in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
                let cron = cron(line, zone);
                for (from, to) in [
                    ("2026-03-07T00:00:00Z", "2026-03-09T00:00:00Z"),
                    ("2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"),
                    ("2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z"),
                    ("2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z"),
                    ("2026-10-31T00:00:00Z", "2026-11-02T00:00:00Z"),
                ] {
                    let times = between(&cron, from, to);
                    for now in (at(from)..at(to)).step_by(7 * 60_000) {
                        let last = times.iter().copied().rfind(|time| *time <= now);
                        if let Some(last) = last {
                            assert_eq!(cron.latest(now), Some(last), "{cron} at {now}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_line_or_never_comes_is_refused() {
        let refused = |line: &str| Cron::parse(line, Tz::UTC).unwrap_err();
        assert_eq!(refused("0 0 30 2 *"), "its time never comes");
        assert_eq!(refused("0 3 * *"), "it has 4 fields");
        assert_eq!(refused("0 3 * * * * 2026"), "it has 7 fields");
        for line in
            ["", "61 3 * * *", "x 3 * * *", "0 3 * * 8", "0 3 0 * *", &"*".repeat(1_000), "5-1 * * * *", "*/0 * * * *"]
        {
            refused(line);
        }
        assert!(Cron::zone("Europe/Berlim").is_none());
    }
}
