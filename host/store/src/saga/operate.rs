//! What an operator does to a saga. Each action is a line of its timeline.

use rusqlite::params;

use super::table::{self, short};
use super::types::{Saga, SagaAttempt, SagaChange, SagaState};
use crate::error::Error;
use crate::host_table::signed;
use crate::transaction::Transaction;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SagaAction {
    /// Try its step now, as often as a new one.
    Retry,
    /// The step that fails counts as performed, or as undone.
    Skip,
    /// Give it up: undo its steps.
    Undo,
    /// What it waits for has come.
    Resume,
}

impl SagaAction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Undo => "undo",
            Self::Resume => "resume",
        }
    }

    /// Why it does not fit the state of `saga`; `None` if it does.
    pub fn refusal(self, saga: &Saga) -> Option<String> {
        let state = saga.state.name();
        if saga.state.has_ended() {
            return Some(format!("it has ended: it is {state}"));
        }
        let waits = saga.state == SagaState::Waiting;
        match self {
            Self::Retry => None,
            Self::Resume if waits => None,
            Self::Resume => Some(format!("it does not wait: it is {state}")),
            Self::Skip if waits => Some(format!("it waits at `{}`: resume it, or undo it", saga.step)),
            Self::Skip if saga.reason.is_empty() => Some(format!("its step `{}` has not failed", saga.step)),
            Self::Skip => None,
            Self::Undo if saga.undoing => Some("it is being undone already".to_owned()),
            Self::Undo if saga.forward_only => {
                Some(format!("it has come to `{}`, after which it only goes on", saga.step))
            }
            Self::Undo => None,
        }
    }
}

impl Transaction {
    /// Does what the operator `by` asks for, because of `why`.
    ///
    /// # Errors
    /// As for a statement.
    pub fn saga_act(
        &mut self,
        (kind, id): (&str, &str),
        action: SagaAction,
        (by, why): (&str, &str),
        now_ms: u64,
    ) -> Result<SagaChange, Error> {
        let Some(saga) = self.saga(kind, id)? else { return Ok(SagaChange::Unknown) };
        if let Some(why_not) = action.refusal(&saga) {
            return Ok(SagaChange::Refused(why_not));
        }
        match action {
            SagaAction::Retry => self.go_on(&saga, false, now_ms)?,
            SagaAction::Skip => self.go_on(&saga, true, now_ms)?,
            SagaAction::Undo => self.give_up(&saga, if why.is_empty() { "an operator" } else { why }, now_ms)?,
            SagaAction::Resume => self.resume(&saga, now_ms)?,
        }
        let answer = if why.is_empty() { action.name().to_owned() } else { format!("{}: {why}", action.name()) };
        let line = SagaAttempt {
            number: 0,
            at_ms: now_ms,
            took_ms: 0,
            step: saga.step,
            undo: saga.undoing,
            answer: short(&answer),
            by: Some(by.to_owned()),
        };
        self.change_sagas(|sqlite| table::add_attempts(sqlite, kind, id, std::slice::from_ref(&line)))?;
        Ok(SagaChange::Done)
    }

    /// Has the saga tried now; with `passed` after its step. One that waits is asked again, and waits on if its answer
    /// is the same.
    fn go_on(&mut self, saga: &Saga, passed: bool, now_ms: u64) -> Result<(), Error> {
        let state = match saga.state {
            SagaState::Waiting => SagaState::Waiting,
            _ if saga.undoing => SagaState::Undoing,
            _ => SagaState::Running,
        };
        let sql = "UPDATE seam_sagas
                   SET state = ?3, passed = max(passed, ?4), attempts = 0, due_ms = ?5, changed_ms = ?5,
                       step_since_ms = ?5, reason = iif(?4, '', reason), revision = revision + 1
                   WHERE kind = ?1 AND id = ?2";
        let values = params![saga.kind, saga.id, state.name(), passed, signed(now_ms)];
        self.change_sagas(|sqlite| sqlite.execute(sql, values).map(drop))
    }
}
