//! The sagas of the tests: a trip that goes wrong as its plan says.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-agency",
    generate_all,
});

use std::time::Duration;

use exports::seambench::shop::trips::{Error, Guest, Status};
use seam_sdk::sagas::{self, Definition, Outcome, Step, Steps, Task, Undo};
use seam_sdk::{clock, log, store};
use seambench::shop::rooms;

seam_sdk::context!(Agency, migrations, sagas);
seam_sdk::errors!(Error);

const TRIP: &str = "trip";
const WRITE: &str = "INSERT INTO journal (trip, step, times) VALUES (?1, ?2, 1)
                     ON CONFLICT (trip, step) DO UPDATE SET times = times + 1";
const JOURNAL: &str = "SELECT step || ' ' || times FROM journal WHERE trip = ?1 ORDER BY rowid";

/// Longer than a test needs to end the host's process.
const SLOW_S: u64 = 3;

impl Steps for Agency {
    fn definitions() -> Vec<Definition> {
        let steps = vec![
            Step::own("note", Undo::Own).tries(3),
            Step::call("room", "seambench:shop/rooms.take", Undo::Call("seambench:shop/rooms.free")).tries(3),
            Step::own("travel", Undo::Nothing),
            Step::own("bill", Undo::Never).tries(2),
            Step::own("thank", Undo::Nothing),
        ];
        vec![Definition { kind: TRIP, steps }]
    }

    fn perform(task: &Task) -> Outcome {
        let plan = match plan_of(task, &task.step) {
            Ok(plan) => plan,
            Err(error) => return error.into(),
        };
        match (task.step.as_str(), plan.as_str()) {
            ("travel", "wait") => return Outcome::Waiting(None),
            ("travel", "until") => match waits(task) {
                Ok(true) => return Outcome::Waiting(Some(clock::now() + 1)),
                Ok(false) => {}
                Err(error) => return error.into(),
            },
            ("room", _) => match rooms::take(&task.key, &task.id) {
                Ok(()) => {}
                Err(rooms::Error::Full) => return Outcome::Refused("the hotel is full".into()),
                Err(rooms::Error::Unavailable(why)) => return Outcome::Later(why),
            },
            _ => {}
        }
        if task.step != "room"
            && let Err(error) = store::execute(WRITE, store::params![&task.id, &task.step])
        {
            return error.into();
        }
        end(task, &task.step, &plan)
    }

    fn undo(task: &Task) -> Outcome {
        let name = format!("{}:undo", task.step);
        let plan = match plan_of(task, &name) {
            Ok(plan) => plan,
            Err(error) => return error.into(),
        };
        if task.step == "room"
            && let Err(error) = rooms::free(task.key.strip_suffix(":undo").unwrap_or(&task.key))
        {
            return Outcome::Later(format!("{error:?}"));
        }
        if let Err(error) = store::execute(WRITE, store::params![&task.id, &name]) {
            return error.into();
        }
        end(task, &name, &plan)
    }
}

/// Whether it waits for the first time, which it notes.
fn waits(task: &Task) -> Result<bool, store::Error> {
    let sql = "INSERT INTO journal (trip, step, times) VALUES (?1, 'waited', 1) ON CONFLICT DO NOTHING";
    Ok(store::execute(sql, store::params![&task.id])? == 1)
}

/// How this step of the trip is to go.
fn plan_of(task: &Task, name: &str) -> Result<String, store::Error> {
    let plan: String = store::one("SELECT plan FROM trips WHERE id = ?1", store::params![&task.id])?;
    let mine = plan.split(' ').find_map(|one| one.split_once('=').filter(|(step, _)| *step == name));
    let mine = mine.map_or("", |(_, plan)| plan);
    Ok(match mine.strip_suffix('1') {
        Some(once) if task.attempt == 1 => once.into(),
        Some(_) => String::new(),
        None => mine.into(),
    })
}

/// What it answers after it was done.
fn end(task: &Task, name: &str, plan: &str) -> Outcome {
    match plan {
        "later" => Outcome::Later(format!("{name} has no time")),
        "refuse" => Outcome::Refused(format!("{name} does not like it")),
        "unknown" => Outcome::Unknown(format!("{name} forgot it")),
        "trap" => std::process::abort(),
        "slow" => {
            log::info(format!("slow at {name} of {}", task.id));
            let until = clock::now() + SLOW_S;
            while clock::now() < until {}
            Outcome::Done
        }
        _ => Outcome::Done,
    }
}

impl Guest for Agency {
    fn book(id: String, plan: String) -> Result<(), Error> {
        store::transaction(|_| book(&id, &plan))
    }

    fn change_mind(id: String) -> Result<(), Error> {
        let undone = store::transaction(|_| {
            book(&id, "")?;
            Err::<(), _>(Error::Refused("changed".into()))
        });
        if undone.is_err() { Ok(()) } else { Err(Error::Unavailable("it was kept".into())) }
    }

    fn arrive(id: String) -> Result<(), Error> {
        store::transaction(|tx| {
            tx.execute(WRITE, store::params![&id, "arrived"])?;
            sagas::resume(TRIP, &id, "travel").map_err(failed)
        })
    }

    fn cancel(id: String) -> Result<(), Error> {
        sagas::give_up(TRIP, &id, "cancelled").map_err(failed)
    }

    fn get_status(id: String) -> Result<Status, Error> {
        sagas::get_status(TRIP, &id).map(shown).map_err(failed)
    }

    fn settle(id: String, most_ms: u32) -> Result<Status, Error> {
        sagas::settle(TRIP, &id, Duration::from_millis(most_ms.into())).map(shown).map_err(failed)
    }

    fn settle_inside(id: String) -> Result<Status, Error> {
        store::transaction(|_| sagas::settle(TRIP, &id, Duration::from_secs(5)).map(shown).map_err(failed))
    }

    fn journal(id: String) -> Result<Vec<String>, Error> {
        Ok(store::query(JOURNAL, store::params![&id])?)
    }
}

fn book(id: &str, plan: &str) -> Result<(), Error> {
    store::execute("INSERT INTO trips (id, plan) VALUES (?1, ?2) ON CONFLICT DO NOTHING", store::params![id, plan])?;
    sagas::start(TRIP, id).map_err(failed)
}

fn shown(status: sagas::Status) -> Status {
    Status { state: status.state.name().into(), step: status.step, cause: status.cause }
}

fn failed(error: sagas::Error) -> Error {
    match error {
        sagas::Error::Unknown(why) => Error::Unknown(why),
        sagas::Error::Refused(why) | sagas::Error::Invalid(why) => Error::Refused(why),
        sagas::Error::Unavailable(why) => Error::Unavailable(why),
    }
}
