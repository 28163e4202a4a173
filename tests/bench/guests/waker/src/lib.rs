//! Publishes events to itself that are due later, and is called by time: for the tests of timers and schedules.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-waker",
    generate_all,
});

use exports::seambench::shop::{alarms as taken, waker};
use seam_sdk::{clock, store};
use seambench::shop::alarms::{self, Alarm};

seam_sdk::context!(Waker, migrations);

/// An alarm that comes twice counts twice: the host should not let that happen.
const RANG: &str = "INSERT INTO rang (id, due, early, times) VALUES (?1, ?2, ?3, 1)
                    ON CONFLICT (id) DO UPDATE SET times = times + 1";
const RUNG: &str =
    "SELECT (SELECT count(*) FROM set_alarms), count(*), coalesce(max(times), 0), coalesce(sum(early), 0)
                    FROM rang";
const TICK: &str = "INSERT INTO ticks (id) VALUES (NULL)";

impl taken::Guest for Waker {
    fn rang(alarm: taken::Alarm) -> Result<(), taken::Error> {
        let early = clock::now() < alarm.due;
        store::execute(RANG, store::params![alarm.id as i64, alarm.due as i64, i64::from(early)])
            .map(drop)
            .map_err(|error| taken::Error::Unavailable(error.to_string()))
    }
}

impl waker::Guest for Waker {
    fn set(first: u64, count: u32, in_seconds: u64) -> Result<(), waker::Error> {
        let due = clock::now() + in_seconds;
        store::transaction(|tx| {
            for id in first..first + u64::from(count) {
                tx.execute("INSERT INTO set_alarms (id) VALUES (?1)", store::params![id as i64])?;
                let set = alarms::rang(Alarm { id, due });
                set.map_err(|error| store::Error::Unavailable(format!("{error:?}")))?;
            }
            Ok(())
        })
        .map_err(away)
    }

    fn rung() -> Result<waker::Tally, waker::Error> {
        let (set, alarms, most, early) = store::one::<(u64, u64, u64, u64)>(RUNG, store::params![]).map_err(away)?;
        Ok(waker::Tally { set, alarms, most, early })
    }

    fn tick() -> Result<(), waker::Error> {
        store::execute(TICK, store::params![]).map(drop).map_err(away)
    }

    fn ticks() -> Result<u64, waker::Error> {
        store::one::<(u64,)>("SELECT count(*) FROM ticks", store::params![]).map(|(count,)| count).map_err(away)
    }

    fn fail() -> Result<(), waker::Error> {
        store::execute(TICK, store::params![]).map_err(away)?;
        Err(waker::Error::Unavailable("not today".into()))
    }

    fn take(_parameter: u32) -> Result<(), waker::Error> {
        Ok(())
    }
}

fn away(error: store::Error) -> waker::Error {
    waker::Error::Unavailable(error.to_string())
}
