//! `[[schedule]]`: what is called by time, and when.

use std::time::Duration;

use chrono_tz::Tz;
use seam_runtime::did_you_mean::nearest;

use super::keys::{context_name, names_function};
use super::model::{DueTimes, Interval, Missed, Schedule, When};
use super::problem::Place;
use super::table::Table;
use crate::cron::Cron;
use crate::limits;

/// A schedule, and the place of its context.
pub fn schedule(table: Table<'_, '_>) -> Option<(Schedule, Place)> {
    let context = context_name(&table);
    let call = table.string("call", "desk.settle");
    let missing = |key: &str, remedy: &str| {
        table.document.report(table.place, format!("`{}` is missing", table.path(key)), remedy);
    };
    if !table.has("call") {
        missing("call", "add `call = \"interface.function\"`");
    }
    if !table.has("every_s") && !table.has("cron") {
        missing("every_s", "add `every_s = 30`, or times of day: `cron = \"30 3 * * *\"`");
    }
    if let Some(call) = &call {
        names_function(&table, call, "desk.settle");
    }
    let every = Duration::from_secs(table.integer("every_s", 1..=limits::SCHEDULE_EVERY_S_MAX, 30));
    // A function that calls others after it has written cannot have one; for an interval that is the rule.
    let transaction = table.boolean("transaction", table.has("cron"));
    let when = match table.has("cron") {
        true => due(&table, transaction),
        false => Some(When::Every(Interval { every, transaction })),
    };
    if table.has("cron") && table.has("every_s") {
        let message = format!("`{}` has both `every_s` and `cron`", table.name());
        table.document.report(table.place_of("every_s"), message, "keep one of the two");
    }
    if !table.has("cron") {
        for key in ["zone", "missed"].into_iter().filter(|key| table.has(key)) {
            let message = format!("`{}` is for times of day, and this schedule has an interval", table.path(key));
            let remedy = format!("remove `{key}`, or write `cron = \"30 3 * * *\"` instead of `every_s`");
            table.document.report(table.place_of(key), message, remedy);
        }
        // Read, so that they are not unknown.
        due_keys(&table);
    }
    let place = table.place;
    table.finish();
    let (context, call) = (context?, call?);
    Some((Schedule { context: context.value, call: call.value, when: when?, place }, context.place))
}

fn due(table: &Table<'_, '_>, transaction: bool) -> Option<When> {
    let line = table.string("cron", "30 3 * * *");
    let (zone, missed) = due_keys(table);
    let line = line?;
    match Cron::parse(&line.value, zone) {
        Ok(cron) => Some(When::Due(DueTimes { cron, missed, transaction })),
        Err(why) => {
            let message = format!("`{}` is no cron line: {why}", line.value);
            let remedy = "write minute, hour, day of the month, month and day of the week: `30 3 * * 1-5` is at half \
                          past three from Monday to Friday";
            table.document.report(line.place, message, remedy);
            None
        }
    }
}

fn due_keys(table: &Table<'_, '_>) -> (Tz, Missed) {
    let zone = table.string("zone", "Europe/Berlin").map_or(Tz::UTC, |zone| {
        Cron::zone(&zone.value).unwrap_or_else(|| {
            let near = nearest(&zone.value, Cron::zones()).map(|near| format!("did you mean `{near}`?"));
            let remedy =
                near.unwrap_or_else(|| "write a name such as `Europe/Berlin`, or leave it out: UTC".to_owned());
            table.document.report(zone.place, format!("there is no time zone `{}`", zone.value), remedy);
            Tz::UTC
        })
    });
    let policies = [("once", Missed::Once), ("each", Missed::Each), ("skip", Missed::Skip)];
    (zone, table.choice("missed", &policies, Missed::Once))
}
