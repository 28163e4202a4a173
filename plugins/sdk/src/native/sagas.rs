//! Sagas in the file of the thread's store, and a hand that performs their steps: what a test of a saga runs on.
//!
//! The rules are the host's: what follows a step's outcome, and in which order steps are undone. Not here: pauses,
//! patience, one commit for a step's rows and its mark: the host's tests.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, on_open};
pub use crate::bindings::seam::host::sagas::{Error, State, Status};
use crate::steps::{Definition, Outcome, Step, Task, Undo};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_sagas (
    kind TEXT NOT NULL, id TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'running', step INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, forward_only INTEGER NOT NULL DEFAULT 0, cause TEXT NOT NULL DEFAULT '',
    step_name TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, id)
) STRICT";

const STATES: [(State, &str); 6] = [
    (State::Running, "running"),
    (State::Waiting, "waiting"),
    (State::Undoing, "undoing"),
    (State::Stuck, "stuck"),
    (State::Done, "done"),
    (State::Undone, "undone"),
];

struct Row {
    state: State,
    step: usize,
    step_name: String,
    attempts: u32,
    forward_only: bool,
    cause: String,
}

/// One saga of the thread's store, in the hands of a test.
pub struct Saga<'a> {
    definition: &'a Definition,
    id: &'a str,
}

impl<'a> Saga<'a> {
    /// The saga that the context has started under this id.
    pub fn of(_store: &Store, definition: &'a Definition, id: &'a str) -> Self {
        Self { definition, id }
    }

    /// Performs steps until the saga waits, is stuck, has ended, or a step is to be tried again later; another call
    /// goes on from there. `perform` and `undo` are the context's own, with the neighbours that the test gives them.
    pub fn go_on(
        &self,
        mut perform: impl FnMut(&Task) -> Outcome,
        mut undo: impl FnMut(&Task) -> Outcome,
    ) -> Result<Status, Error> {
        let waited = self.row()?;
        if waited.state == State::Waiting {
            // Its time has come; `resume` moves it to the next step instead.
            self.save(&Row { state: State::Running, ..waited })?;
        }
        loop {
            let mut row = self.row()?;
            if !matches!(row.state, State::Running | State::Undoing) {
                return get_status(self.definition.kind, self.id);
            }
            let undoing = row.state == State::Undoing;
            if undoing {
                // It may have been given up after its last step.
                row.step = row.step.min(self.definition.steps.len().saturating_sub(1));
            }
            let Some(step) = self.definition.steps.get(row.step) else {
                row.state = State::Done;
                self.save(&row)?;
                continue;
            };
            row.step_name = step.name.into();
            let outcome = match (undoing, step.undo) {
                (true, Undo::Nothing | Undo::Never) => Outcome::Done,
                (true, Undo::Call(_) | Undo::Own) => undo(&self.task(step, &row)),
                (false, _) => {
                    row.forward_only |= step.undo == Undo::Never;
                    perform(&self.task(step, &row))
                }
            };
            let again = matches!(outcome, Outcome::Later(_) | Outcome::Waiting(_));
            self.after(&mut row, step, outcome);
            self.save(&row)?;
            if again && matches!(row.state, State::Running | State::Undoing) && row.attempts > 0 {
                return get_status(self.definition.kind, self.id);
            }
        }
    }

    fn task(&self, step: &Step, row: &Row) -> Task {
        let undoing = row.state == State::Undoing;
        Task {
            kind: self.definition.kind.into(),
            id: self.id.into(),
            step: step.name.into(),
            key: format!("{}:{}:{}{}", self.definition.kind, self.id, step.name, if undoing { ":undo" } else { "" }),
            attempt: row.attempts + 1,
            cause: if undoing { row.cause.clone() } else { String::new() },
        }
    }

    /// What follows from the outcome of a step, or of its undo.
    fn after(&self, row: &mut Row, step: &Step, outcome: Outcome) {
        let undoing = row.state == State::Undoing;
        match outcome {
            Outcome::Done if undoing => back(row),
            Outcome::Done => {
                row.step += 1;
                row.attempts = 0;
                if row.step == self.definition.steps.len() {
                    row.state = State::Done;
                }
            }
            Outcome::Later(why) => self.again(row, step, why),
            Outcome::Waiting(_) if undoing => self.again(row, step, "an undo cannot wait".into()),
            Outcome::Refused(why) => give(row, why, false),
            Outcome::Unknown(why) => give(row, why, true),
            Outcome::Waiting(_) => row.state = State::Waiting,
        }
    }

    fn again(&self, row: &mut Row, step: &Step, why: String) {
        row.attempts += 1;
        if row.attempts >= step.tries {
            give(row, why, true);
        }
    }

    fn row(&self) -> Result<Row, Error> {
        on_sagas(|connection| read(connection, self.definition.kind, self.id))?
            .ok_or_else(|| Error::Unknown(format!("no saga `{}` of the kind `{}`", self.id, self.definition.kind)))
    }

    fn save(&self, row: &Row) -> Result<(), Error> {
        on_sagas(|connection| write(connection, self.definition.kind, self.id, row))
    }
}

/// The saga is undone from this step on, or from the one before; or it is stuck.
fn give(row: &mut Row, why: String, this_too: bool) {
    if row.state == State::Undoing || row.forward_only {
        row.state = State::Stuck;
        row.cause = why;
        return;
    }
    row.cause = why;
    row.state = State::Undoing;
    row.attempts = 0;
    if !this_too {
        back(row);
    }
}

/// One step back; from the first one there is none.
fn back(row: &mut Row) {
    row.attempts = 0;
    match row.step.checked_sub(1) {
        Some(before) => row.step = before,
        None => row.state = State::Undone,
    }
}

fn read(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Row>> {
    let sql =
        "SELECT state, step, step_name, attempts, forward_only, cause FROM seam_sagas WHERE kind = ?1 AND id = ?2";
    let row = |row: &rusqlite::Row<'_>| {
        let name: String = row.get(0)?;
        let state = STATES.iter().find(|(_, known)| *known == name).map_or(State::Stuck, |(state, _)| *state);
        Ok(Row {
            state,
            step: row.get::<_, u32>(1)? as usize,
            step_name: row.get(2)?,
            attempts: row.get(3)?,
            forward_only: row.get(4)?,
            cause: row.get(5)?,
        })
    };
    connection.query_row(sql, [kind, id], row).optional()
}

fn write(connection: &Connection, kind: &str, id: &str, row: &Row) -> rusqlite::Result<()> {
    let state = STATES.iter().find(|(known, _)| *known == row.state).map_or("stuck", |(_, name)| name);
    let sql =
        "UPDATE seam_sagas SET state = ?3, step = ?4, step_name = ?5, attempts = ?6, forward_only = ?7, cause = ?8
               WHERE kind = ?1 AND id = ?2";
    let values = (kind, id, state, row.step as u32, &row.step_name, row.attempts, row.forward_only, &row.cause);
    connection.execute(sql, values).map(drop)
}

pub(crate) fn start(kind: &str, id: &str) -> Result<(), Error> {
    if id.is_empty() || id.chars().count() > 64 {
        return Err(Error::Invalid(format!("the id `{id}` has to have 1 to 64 characters")));
    }
    let sql = "INSERT INTO seam_sagas (kind, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    on_sagas(|connection| connection.execute(sql, [kind, id]).map(drop))
}

pub(crate) fn resume(kind: &str, id: &str, step: &str) -> Result<(), Error> {
    let row = known(kind, id)?;
    if row.state != State::Waiting || row.step_name != step {
        return Err(Error::Refused(format!("the saga does not wait at `{step}`")));
    }
    let next = Row { state: State::Running, step: row.step + 1, attempts: 0, ..row };
    on_sagas(|connection| write(connection, kind, id, &next))
}

pub(crate) fn give_up(kind: &str, id: &str, cause: &str) -> Result<(), Error> {
    let mut row = known(kind, id)?;
    if row.forward_only || !matches!(row.state, State::Running | State::Waiting) {
        return Err(Error::Refused("the saga cannot be given up any more".into()));
    }
    give(&mut row, cause.into(), true);
    on_sagas(|connection| write(connection, kind, id, &row))
}

pub(crate) fn get_status(kind: &str, id: &str) -> Result<Status, Error> {
    let Row { state, step_name: step, cause, .. } = known(kind, id)?;
    Ok(Status { state, step, cause })
}

pub(crate) fn settle(kind: &str, id: &str, _most_ms: u32) -> Result<Status, Error> {
    get_status(kind, id)
}

fn known(kind: &str, id: &str) -> Result<Row, Error> {
    on_sagas(|connection| read(connection, kind, id))?
        .ok_or_else(|| Error::Unknown(format!("no saga `{id}` of the kind `{kind}`")))
}

/// Runs `work` on the thread's store, whose table of sagas is made with their first use.
fn on_sagas<T>(work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
    on_open(|connection| {
        connection.execute_batch(TABLE)?;
        work(connection)
    })
    .map_err(|error| Error::Unavailable(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sagas;
    use crate::store::{self, params};

    fn definition() -> Definition {
        let steps = vec![
            Step::call("reserve", "shop:stock/levels.reserve", Undo::Call("shop:stock/levels.release")),
            Step::own("note", Undo::Own).tries(2),
            Step::call("charge", "shop:bank/cards.charge", Undo::Never).tries(1),
            Step::own("thank", Undo::Nothing),
        ];
        Definition { kind: "order", steps }
    }

    /// Performs the saga with these outcomes, in this order; afterwards `done`. Returns the keys that were asked for,
    /// and where it stands.
    fn go_on(store: &Store, outcomes: &[(&str, Outcome)]) -> (Vec<String>, State, String) {
        let definition = definition();
        let keys = std::cell::RefCell::new(Vec::new());
        let answer = |task: &Task| {
            let earlier = keys.borrow().iter().filter(|key| **key == task.key).count();
            keys.borrow_mut().push(task.key.clone());
            let mine = outcomes.iter().filter(|(key, _)| *key == task.key);
            mine.map(|(_, outcome)| outcome.clone()).nth(earlier).unwrap_or(Outcome::Done)
        };
        let status = Saga::of(store, &definition, "7").go_on(answer, answer).unwrap();
        (keys.into_inner(), status.state, status.cause)
    }

    #[test]
    fn a_saga_goes_forward_waits_and_is_undone_from_the_last_step_to_the_first() {
        let (reserve, note, charge) = ("order:7:reserve", "order:7:note", "order:7:charge");
        let back = ["order:7:note:undo", "order:7:reserve:undo"];
        let later = || Outcome::Later("closed".into());
        let refused = || Outcome::Refused("no".into());
        let check = |outcomes: &[(&str, Outcome)], keys: &[&str], state: State, cause: &str| {
            let store = Store::fresh(&[]).unwrap();
            sagas::start("order", "7").unwrap();
            assert_eq!(go_on(&store, outcomes), (keys.iter().map(|key| (*key).into()).collect(), state, cause.into()));
        };
        check(&[], &[reserve, note, charge, "order:7:thank"], State::Done, "");
        check(&[(reserve, refused())], &[reserve], State::Undone, "no");
        check(&[(note, refused())], &[reserve, note, back[1]], State::Undone, "no");
        check(&[(note, Outcome::Unknown("lost".into()))], &[reserve, note, back[0], back[1]], State::Undone, "lost");
        check(&[(note, later())], &[reserve, note], State::Running, "");
        check(&[(charge, later())], &[reserve, note, charge], State::Stuck, "closed");
        check(&[(note, refused()), (back[1], refused())], &[reserve, note, back[1]], State::Stuck, "no");
        check(&[(note, Outcome::Waiting(None))], &[reserve, note], State::Waiting, "");
    }

    #[test]
    fn a_step_is_tried_as_often_as_it_says() {
        let store = Store::fresh(&[]).unwrap();
        sagas::start("order", "7").unwrap();
        let later = [("order:7:note", Outcome::Later("closed".into()))];
        assert_eq!(go_on(&store, &later).1, State::Running);
        assert_eq!(go_on(&store, &later).1, State::Undone, "the second try is the last one");
    }

    #[test]
    fn a_start_is_a_part_of_the_transaction_and_only_a_waiting_saga_resumes() {
        let store = Store::fresh(&[]).unwrap();
        let rolled_back: Result<(), store::Error> = store::transaction(|_| {
            sagas::start("order", "7")?;
            Err(store::Error::Full(String::new()))
        });
        assert!(rolled_back.is_err());
        assert!(matches!(sagas::get_status("order", "7"), Err(sagas::Error::Unknown(_))));
        sagas::start("order", "7").unwrap();
        assert!(matches!(sagas::resume("order", "7", "note"), Err(sagas::Error::Refused(_))));
        go_on(&store, &[("order:7:note", Outcome::Waiting(None))]);
        sagas::start("order", "7").unwrap();
        assert_eq!(sagas::get_status("order", "7").unwrap().state, State::Waiting, "it is not started again");
        assert!(matches!(sagas::resume("order", "7", "charge"), Err(sagas::Error::Refused(_))));
        sagas::resume("order", "7", "note").unwrap();
        assert_eq!(go_on(&store, &[]).0, ["order:7:charge", "order:7:thank"]);
        assert!(matches!(sagas::give_up("order", "7", "late"), Err(sagas::Error::Refused(_))));
        assert_eq!(store::one::<u32>("SELECT count(*) FROM seam_sagas", params![]).unwrap(), 1);
    }

    #[test]
    fn a_waiting_saga_that_is_given_up_is_undone_with_the_step_at_which_it_waits() {
        let store = Store::fresh(&[]).unwrap();
        sagas::start("order", "7").unwrap();
        go_on(&store, &[("order:7:note", Outcome::Waiting(None))]);
        sagas::give_up("order", "7", "cancelled").unwrap();
        let (keys, state, cause) = go_on(&store, &[]);
        assert_eq!(keys, ["order:7:note:undo", "order:7:reserve:undo"]);
        assert_eq!((state, cause.as_str()), (State::Undone, "cancelled"));
    }
}
