//! What changes a saga, each as a part of a transaction: its context's, or the host's own.

use rusqlite::params;

use super::table::{self, DOUBTED, short};
use super::types::{Saga, SagaAttempt, SagaChange, SagaDefinition, SagaState, SagaUndo};
use crate::error::Error;
use crate::fault;
use crate::host_table::signed;
use crate::limits;
use crate::transaction::Transaction;

impl Transaction {
    /// Starts a saga. `false`, and nothing done, if one of this kind and id has been started. `trace` is a W3C
    /// `traceparent`.
    ///
    /// # Errors
    /// As for a statement; `Error::Invalid` for a definition without steps or an id that is empty or too long;
    /// `Error::Full` when `SAGAS_MAX` sagas are in process.
    pub fn saga_start(
        &mut self,
        definition: &SagaDefinition,
        id: &str,
        trace: &str,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let Some(first) = definition.steps.first() else {
            return Err(Error::Invalid(format!("the saga `{}` has no steps", definition.kind)));
        };
        if id.is_empty() || id.chars().count() > limits::SAGA_ID_CHARS_MAX {
            let most = limits::SAGA_ID_CHARS_MAX;
            return Err(Error::Invalid(format!("the id of a saga has 1 to {most} characters")));
        }
        let reach = definition.reach(0).join(" ");
        let forward_only = first.undo == SagaUndo::Never;
        let opened = self.opened();
        let sql = "INSERT INTO seam_sagas (kind, id, state, step, reach, opened, forward_only, undoing, passed, attempts,
                                           due_ms, started_ms, changed_ms, step_since_ms, cause, reason, trace, revision)
                   VALUES (?1, ?2, 'running', ?3, ?4, ?5, ?6, 0, 0, 0, ?7, ?7, ?7, ?7, '', '', ?8, 1)
                   ON CONFLICT (kind, id) DO NOTHING";
        let values = params![definition.kind, id, first.name, reach, opened, forward_only, signed(now_ms), trace];
        let started = self.change_sagas(|sqlite| {
            if sqlite.execute(sql, values)? == 0 {
                return Ok(Some(false));
            }
            // Now and then: to count them takes longer than to add one.
            let number = sqlite.last_insert_rowid();
            if number % i64::from(limits::SAGAS_COUNTED_EVERY) == 0 && in_process(sqlite)? > limits::SAGAS_MAX {
                sqlite.execute("DELETE FROM seam_sagas WHERE number = ?1", [number])?;
                return Ok(None);
            }
            Ok(Some(true))
        })?;
        fault::point("saga.start");
        let most = limits::SAGAS_MAX;
        started.ok_or_else(|| Error::Full(format!("{most} sagas are in process; start it again when some have ended")))
    }

    /// What the saga waits for at `step` has come: the step counts as performed.
    ///
    /// # Errors
    /// As for a statement.
    pub fn saga_resume(&mut self, kind: &str, id: &str, step: &str, now_ms: u64) -> Result<SagaChange, Error> {
        let Some(saga) = self.saga(kind, id)? else { return Ok(SagaChange::Unknown) };
        if saga.state != SagaState::Waiting {
            return Ok(SagaChange::Refused(format!("it does not wait: it is {}", saga.state.name())));
        }
        if saga.step != step {
            return Ok(SagaChange::Refused(format!("it waits at `{}`, not at `{step}`", saga.step)));
        }
        self.resume(&saga, now_ms).map(|()| SagaChange::Done)
    }

    /// Gives the saga up: its steps are undone. One that is being undone already stays as it is.
    ///
    /// # Errors
    /// As for a statement.
    pub fn saga_give_up(&mut self, kind: &str, id: &str, cause: &str, now_ms: u64) -> Result<SagaChange, Error> {
        let Some(saga) = self.saga(kind, id)? else { return Ok(SagaChange::Unknown) };
        if saga.state.has_ended() {
            return Ok(SagaChange::Refused(format!("it has ended: it is {}", saga.state.name())));
        }
        if saga.forward_only {
            return Ok(SagaChange::Refused(format!("it has come to `{}`, after which it only goes on", saga.step)));
        }
        if !saga.undoing {
            self.give_up(&saga, cause, now_ms)?;
        }
        Ok(SagaChange::Done)
    }

    /// Where a saga stands, as this transaction sees it.
    ///
    /// # Errors
    /// As for a statement.
    pub fn saga(&mut self, kind: &str, id: &str) -> Result<Option<Saga>, Error> {
        let opened = self.opened();
        self.as_host(|sqlite| table::made(sqlite, |sqlite| table::find(sqlite, kind, id, opened)))
    }

    /// Saves where a saga stands, and adds to its timeline. `false`, and nothing saved, if it has changed since it was
    /// read. With `in_doubt` it stays in doubt when it is read again.
    ///
    /// # Errors
    /// As for a statement.
    pub fn saga_save(&mut self, saga: &Saga, attempts: &[SagaAttempt]) -> Result<bool, Error> {
        let opened = self.written(saga);
        let sql = "UPDATE seam_sagas
                   SET state = ?3, step = ?4, reach = ?5, opened = ?6, forward_only = ?7, undoing = ?8, passed = ?9,
                       attempts = ?10, due_ms = ?11, changed_ms = ?12, step_since_ms = ?13, cause = ?14, reason = ?15,
                       revision = revision + 1
                   WHERE kind = ?1 AND id = ?2 AND revision = ?16";
        let (cause, reason) = (short(&saga.cause), short(&saga.reason));
        self.change_sagas(|sqlite| {
            let values = params![
                saga.kind,
                saga.id,
                saga.state.name(),
                saga.step,
                saga.reach.join(" "),
                opened,
                saga.forward_only,
                saga.undoing,
                saga.passed,
                saga.attempts,
                saga.due_ms.map(signed),
                signed(saga.changed_ms),
                signed(saga.step_since_ms),
                cause,
                reason,
                signed(saga.revision),
            ];
            if sqlite.execute(sql, values)? == 0 {
                return Ok(false);
            }
            table::add_attempts(sqlite, &saga.kind, &saga.id, attempts).map(|()| true)
        })
    }

    /// Has a saga that waits go on after its step.
    pub(super) fn resume(&mut self, saga: &Saga, now_ms: u64) -> Result<(), Error> {
        let sql = "UPDATE seam_sagas
                   SET state = 'running', passed = 1, attempts = 0, reason = '', due_ms = ?3, changed_ms = ?3,
                       step_since_ms = ?3, opened = ?4, revision = revision + 1
                   WHERE kind = ?1 AND id = ?2";
        let values = params![saga.kind, saga.id, signed(now_ms), self.written(saga)];
        self.change_sagas(|sqlite| sqlite.execute(sql, values).map(drop))
    }

    /// Has a saga undone, from the last step that may have been performed.
    pub(super) fn give_up(&mut self, saga: &Saga, cause: &str, now_ms: u64) -> Result<(), Error> {
        let sql = "UPDATE seam_sagas
                   SET state = 'undoing', undoing = 1, passed = 0, attempts = 0, cause = ?3, reason = '', due_ms = ?4,
                       changed_ms = ?4, step_since_ms = ?4, opened = ?5, revision = revision + 1
                   WHERE kind = ?1 AND id = ?2";
        let values = params![saga.kind, saga.id, short(cause), signed(now_ms), self.written(saga)];
        self.change_sagas(|sqlite| sqlite.execute(sql, values).map(drop))
    }

    /// The opening of the file that is noted with a row.
    fn written(&self, saga: &Saga) -> i64 {
        if saga.in_doubt { DOUBTED } else { self.opened() }
    }

    /// Runs statements on the tables of sagas; those who listen hear of it once it is committed.
    pub(super) fn change_sagas<T>(
        &mut self,
        change: impl Fn(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.moves_sagas = true;
        self.as_host(|sqlite| table::made(sqlite, change))
    }
}

fn in_process(sqlite: &rusqlite::Connection) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM seam_sagas WHERE state IN ('running', 'waiting', 'undoing', 'stuck')";
    sqlite.query_row(sql, [], |row| row.get(0))
}
