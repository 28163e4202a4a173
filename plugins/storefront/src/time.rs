//! Seconds since 1970 as people read them: `2 March 2026, 14:05`. Always UTC, because the reader's time zone is
//! unknown.

use std::fmt;

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day: `2 March 2026`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub u64);

/// A day and the minute: `2 March 2026, 14:05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub u64);

/// As a program reads it, for the attribute of `<time>`: `2026-03-02T14:05:09Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine(pub u64);

/// A day as a field for dates holds it: `2026-03-02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub u64);

impl Date {
    /// The first second of a day that is written `2026-03-02`; none if there is no such day from 1970 to 9999.
    pub fn parse(text: &str) -> Option<Date> {
        let mut parts = text.split('-').map(|part| {
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| digits)
        });
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let plausible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        if parts.next().is_some() || !plausible {
            return None;
        }
        // `days_from_civil` of the same source as `date` below, for years after 1969.
        let shifted_year = year - u64::from(month <= 2);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let leaps = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
        let days = (shifted_year * 365 + leaps + of_year).checked_sub(719_468)?;
        let seconds = days * 86_400;
        (date(seconds) == (year, month, day)).then_some(Date(seconds))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0);
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0);
        write!(formatter, "{day} {} {year}", MONTHS.get(month as usize - 1).unwrap_or(&""))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, _) = clock(self.0);
        write!(formatter, "{}, {hour:02}:{minute:02}", Day(self.0))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0);
        let (hour, minute, second) = clock(self.0);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

macro_rules! in_templates {
    ($($name:ident),*) => {
        $(impl FastWritable for $name {
            fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
                Ok(write!(out, "{self}")?)
            }
        }

        /// Letters, digits and punctuation of ours.
        impl HtmlSafe for $name {})*
    };
}

in_templates!(Day, Moment, Machine, Date);

fn clock(seconds: u64) -> (u64, u64, u64) {
    (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day in the Gregorian calendar: `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level
/// Date Algorithms", for days since 1970. Years end at 9999, so that every number is a date.
fn date(seconds: u64) -> (u64, u64, u64) {
    let days = (seconds / 86_400).min(2_932_896) + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (seconds, shown, machine) in [
            (0, "1 January 1970, 00:00", "1970-01-01T00:00:00Z"),
            (951_782_399, "28 February 2000, 23:59", "2000-02-28T23:59:59Z"),
            (951_782_400, "29 February 2000, 00:00", "2000-02-29T00:00:00Z"),
            (951_868_800, "1 March 2000, 00:00", "2000-03-01T00:00:00Z"),
            (1_772_460_309, "2 March 2026, 14:05", "2026-03-02T14:05:09Z"),
            (1_798_761_599, "31 December 2026, 23:59", "2026-12-31T23:59:59Z"),
            (4_107_542_400, "1 March 2100, 00:00", "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!((Moment(seconds).to_string(), Machine(seconds).to_string()), (shown.into(), machine.into()));
        }
        assert!(Day(u64::MAX).to_string().ends_with("December 9999"));
    }

    #[test]
    fn a_date_is_read_as_it_is_written() {
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2026-03-02", Some(1_772_409_600)),
            ("9999-12-31", Some(253_402_214_400)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-00", None),
            ("1969-12-31", None),
            ("10000-01-01", None),
            ("2026-03", None),
            ("2026-03-02-1", None),
            ("+2026-03-02", None),
            ("2026-03-99999999999999999", None),
            ("", None),
        ] {
            assert_eq!(Date::parse(text).map(|date| date.0), seconds, "{text}");
            if let Some(seconds) = seconds {
                assert_eq!(Date(seconds).to_string(), text);
            }
        }
    }
}
