//! `seam schedules`: what the running hosts do by time.

use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;

use super::error::CommandError;
use super::global::Format;
use super::out;
use crate::admin::ByTime;
use crate::admin::client::Client;
use crate::manifest::Manifest;
use crate::schedule::ScheduleStatus;

pub fn run(manifests: &[Manifest], format: Format) -> Result<(), CommandError> {
    let mut by_time = ByTime::default();
    for manifest in manifests {
        let ByTime { schedules, timers } = Client::connect(&manifest.host.data)?.schedules()?;
        by_time.schedules.extend(schedules);
        by_time.timers.extend(timers);
    }
    match format {
        Format::Json => out::json(&by_time)?,
        Format::Human if by_time == ByTime::default() => out::note("no context has a schedule or a timer"),
        Format::Human => out::text(&shown(&by_time))?,
    }
    let failing = by_time.schedules.iter().filter(|schedule| schedule.failed.is_some()).count();
    match (failing, format) {
        (0, _) => Ok(()),
        (_, Format::Json) => Err(CommandError::Reported),
        (failing, Format::Human) => {
            let message = format!("{failing} of {} schedules fail", by_time.schedules.len());
            Err(CommandError::message(message, "`seam logs --level warn` has the reasons with their times".to_owned()))
        }
    }
}

fn shown(by_time: &ByTime) -> String {
    let at = |ms: Option<u64>| ms.map_or("-".to_owned(), second);
    let row = |schedule: &ScheduleStatus| {
        vec![
            schedule.context.clone(),
            schedule.call.clone(),
            schedule.when.clone(),
            at(schedule.next_ms),
            at(schedule.last_ms),
            schedule.runs.to_string(),
            match (&schedule.failed, schedule.runs) {
                (Some(why), _) => format!("failed: {why}"),
                (None, 0) => "-".to_owned(),
                (None, _) => "done".to_owned(),
            },
        ]
    };
    let mut text = String::new();
    if !by_time.schedules.is_empty() {
        let rows: Vec<_> = by_time.schedules.iter().map(row).collect();
        let header = ["CONTEXT", "CALL", "WHEN", "NEXT (UTC)", "LAST (UTC)", "RUNS", "OUTCOME"];
        text.push_str(&out::table(&header, &rows, &["RUNS"]));
    }
    if !by_time.timers.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        let timers = by_time.timers.iter();
        let rows: Vec<_> =
            timers.map(|timer| vec![timer.context.clone(), timer.waiting.to_string(), at(timer.next_ms)]).collect();
        text.push_str(&out::table(&["CONTEXT", "TIMERS", "NEXT (UTC)"], &rows, &["TIMERS"]));
    }
    text
}

/// `2026-11-29 20:45:00`
fn second(ms: u64) -> String {
    // The last second of the last year that has four digits.
    let ms = ms.min(253_402_300_799_000);
    let at = OffsetDateTime::from(UNIX_EPOCH + Duration::from_millis(ms));
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}", at.date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timers::TimerStatus;

    #[test]
    fn each_schedule_has_its_next_and_its_last_time_and_its_outcome() {
        let cron = ScheduleStatus {
            context: "orders".into(),
            call: "desk.settle".into(),
            when: "30 3 * * * UTC".into(),
            next_ms: Some(1_767_324_600_000),
            last_ms: Some(1_767_238_200_250),
            runs: 12,
            failed: None,
        };
        let fails = ScheduleStatus {
            when: "every 30 s".into(),
            last_ms: None,
            runs: 0,
            failed: Some("out of time".into()),
            ..cron.clone()
        };
        let timers = vec![TimerStatus { context: "mail".into(), waiting: 3, next_ms: Some(u64::MAX) }];
        let expect = "\
CONTEXT  CALL         WHEN            NEXT (UTC)           LAST (UTC)           RUNS  OUTCOME
orders   desk.settle  30 3 * * * UTC  2026-01-02 03:30:00  2026-01-01 03:30:00    12  done
orders   desk.settle  every 30 s      2026-01-02 03:30:00  -                       0  failed: out of time

CONTEXT  TIMERS  NEXT (UTC)
mail          3  9999-12-31 23:59:59
";
        assert_eq!(shown(&ByTime { schedules: vec![cron, fails], timers }), expect);
    }
}
