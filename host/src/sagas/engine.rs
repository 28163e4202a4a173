//! One saga, step by step: has its steps performed and writes down where it stands.
//!
//! Invariants: before a step is performed, the file says that it may be; before the first undo, that the saga is being
//! undone; before a step that cannot be undone, that it has come to it. In between, the host keeps in memory how far
//! the saga is. Whatever else changes the saga meanwhile (its context, an operator) is read in the transaction that
//! writes, and counts.
//! Not here: what an answer leads to (`rules`), which saga has its turn (`mod`).

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use seam_runtime::call::Failure;
use seam_runtime::run::Undelivered;
use seam_store::{
    Database, Error, Saga, SagaAttempt, SagaDefinition, SagaOutcome, SagaState, SagaTask, SagaUndo, Transaction, fault,
};

use super::performer::{Performance, Performer};
use super::rules::{self, At};
use crate::limits;

/// Has the sagas of one context performed, one at a time and each by one thread only.
pub struct Engine<P> {
    pub performer: P,
    /// Sagas that were left without writing down how far they are.
    left: Mutex<BTreeSet<(String, String)>>,
}

/// How a saga was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The file says when it goes on.
    Written,
    /// The context, or its file, cannot be used now: why.
    Away(String),
}

/// Why nothing can be done now.
struct Away {
    why: String,
    /// Whether a commit may have happened or not: what the host has in memory may be behind the file.
    is_uncertain: bool,
}

impl From<Error> for Away {
    fn from(error: Error) -> Self {
        Self { why: error.to_string(), is_uncertain: matches!(error, Error::Unavailable(_)) }
    }
}

impl From<Failure> for Away {
    fn from(failure: Failure) -> Self {
        Self { why: failure.to_string(), is_uncertain: false }
    }
}

/// Whether there is more to do.
type Moved = Result<bool, Away>;

/// A saga while it is performed.
struct Course<'c, P> {
    performer: &'c P,
    database: &'c Database,
    /// As the file has it.
    filed: Saga,
    /// As it is.
    saga: Saga,
    /// Lines for its timeline that are not in the file yet.
    lines: Vec<SagaAttempt>,
}

impl<P: Performer> Engine<P> {
    pub fn new(performer: P) -> Self {
        Self { performer, left: Mutex::default() }
    }

    /// Performs, or undoes, one step after the other until the saga ends, waits, or has to pause.
    pub fn drive(&self, kind: &str, id: &str) -> Left {
        let key = (kind.to_owned(), id.to_owned());
        let was_left = !self.left.lock().insert(key.clone());
        match self.moves(kind, id, was_left) {
            Ok((is_written, left)) => {
                if is_written {
                    self.left.lock().remove(&key);
                }
                left
            }
            // It could not even be read, so nothing was performed.
            Err(away) => {
                if !was_left {
                    self.left.lock().remove(&key);
                }
                Left::Away(away.why)
            }
        }
    }

    /// Whether the file has all of it, and how it was left.
    fn moves(&self, kind: &str, id: &str, was_left: bool) -> Result<(bool, Left), Away> {
        let database = self.performer.database()?;
        let Some(filed) = database.saga(kind, id)? else { return Ok((true, Left::Written)) };
        let mut saga = filed.clone();
        saga.in_doubt |= was_left && saga.state != SagaState::Waiting;
        if fault::without("reach") {
            saga.in_doubt = false;
        }
        let mut course = Course { performer: &self.performer, database: &database, filed, saga, lines: Vec::new() };
        let mut moved = Ok(true);
        for _ in 0..limits::SAGA_MOVES_MAX {
            moved = course.step();
            if !matches!(moved, Ok(true)) {
                break;
            }
        }
        if let Err(Away { why, is_uncertain: true }) = moved {
            return Ok((false, Left::Away(why)));
        }
        // So that nothing is in doubt; if the file does not work either, it is.
        let flushed = course.flush();
        let is_written = flushed.is_ok();
        let left = match moved.map(drop).and(flushed) {
            Ok(()) => Left::Written,
            Err(away) => Left::Away(away.why),
        };
        Ok((is_written, left))
    }
}

impl<P: Performer> Course<'_, P> {
    fn now_ms(&self) -> u64 {
        self.database.clock().wall_ms()
    }

    fn at(&self) -> At {
        let failed = if self.saga.state == SagaState::Waiting { 0 } else { self.saga.attempts };
        let attempts = failed.saturating_add(1);
        let (pause_ms, longest_ms) = (self.performer.pause_ms(Some(attempts)), self.performer.pause_ms(None));
        At { now_ms: self.now_ms(), pause_ms, longest_ms }
    }

    /// One step forward or back.
    fn step(&mut self) -> Moved {
        if self.saga.due_ms.is_none_or(|due| due > self.now_ms()) {
            return Ok(false);
        }
        let Some(definition) = self.performer.definition(&self.saga.kind)? else {
            return self.unknown("the version that serves has no sagas of this kind".to_owned());
        };
        let doubted = if self.saga.in_doubt { self.saga.reach.as_slice() } else { &[] };
        let mut steps = std::iter::once(&self.saga.step).chain(doubted);
        if let Some(gone) = steps.find(|step| definition.position(step).is_none()) {
            return self.unknown(format!("the version that serves has no step `{gone}`"));
        }
        let Some(position) = definition.position(&self.saga.step) else { return Ok(false) };
        if self.saga.undoing && !self.saga.reach.is_empty() {
            // Given up by another: from the last step that may have been performed.
            let at = self.at();
            self.saga = rules::undo(&definition, Some(position), &self.saga, "", at);
            return Ok(!self.saga.state.has_ended());
        }
        if self.saga.passed {
            return self.answered(&definition, position, &SagaOutcome::Done, None);
        }
        let is_never = definition.steps.get(position).is_some_and(|step| step.undo == SagaUndo::Never);
        if self.saga.undoing && is_never {
            return self.unknown(format!("the version that serves cannot undo `{}`", self.saga.step));
        }
        if !self.saga.undoing && self.needs_mark(is_never) {
            return self.mark(&definition, position, is_never);
        }
        if self.saga.state == SagaState::Waiting {
            // Its patience begins now.
            self.saga.step_since_ms = self.now_ms();
        }
        self.perform(&definition, position)
    }

    /// Whether the file has to say that this step may be performed.
    fn needs_mark(&self, is_never: bool) -> bool {
        !self.filed.forward_only && (is_never || !self.filed.reach.contains(&self.saga.step))
    }

    fn mark(&mut self, definition: &SagaDefinition, position: usize, is_never: bool) -> Moved {
        // What is in doubt stays exactly so.
        if !self.saga.in_doubt {
            self.saga.reach = definition.reach(position);
        }
        self.saga.forward_only |= is_never;
        let at = self.at();
        self.write(|saga| match saga.undoing {
            // Given up before this step.
            true => rules::undo(definition, position.checked_sub(1), saga, "", at),
            false => Saga { state: SagaState::Running, ..saga.clone() },
        })
    }

    fn perform(&mut self, definition: &SagaDefinition, position: usize) -> Moved {
        let saga = &self.saga;
        let task = SagaTask {
            kind: saga.kind.clone(),
            id: saga.id.clone(),
            step: saga.step.clone(),
            key: SagaTask::key(&saga.kind, &saga.id, &saga.step, saga.undoing),
            attempt: saga.attempts.saturating_add(1),
            cause: if saga.undoing { saga.cause.clone() } else { String::new() },
        };
        let (clock, started_ms) = (self.database.clock().clone(), self.now_ms());
        let started = clock.now();
        let took_ms = || u64::try_from(clock.elapsed_since(started).as_millis()).unwrap_or(u64::MAX);
        let line = |answer: String| line(saga, started_ms, took_ms(), answer);
        let mut written = None;
        match saga.undoing {
            true => fault::point("saga.before-undo"),
            false => fault::point("saga.before-step"),
        }
        let answer = if saga.undoing && fault::without("undo") {
            Ok(SagaOutcome::Done)
        } else {
            let keep = |outcome: &SagaOutcome| self.must_write(definition, position, outcome);
            let at = self.at();
            let mut mark = |tx: &mut Transaction, outcome: &SagaOutcome| {
                match saga.undoing {
                    true => fault::point("saga.after-undo"),
                    false => fault::point("saga.after-step"),
                }
                let line = line(outcome.text());
                let lines = [self.lines.as_slice(), std::slice::from_ref(&line)].concat();
                let at = At { now_ms: clock.wall_ms(), ..at };
                written = Some(self.write_in(tx, &lines, |saga| next(definition, position, saga, outcome, at))?);
                if fault::fails("saga.before-commit") { Err(fault::error()) } else { Ok(()) }
            };
            let (trace, undo) = (&saga.trace, saga.undoing);
            self.performer.perform(Performance { task: &task, trace, undo, keep: &keep, mark: &mut mark })
        };
        let failed = |why: String, text: String| (SagaOutcome::Later(why), line(text));
        let (outcome, line) = match answer {
            Ok(outcome) => {
                if let Some(written) = written {
                    fault::point("saga.after-commit");
                    return Ok(self.is_written(written));
                }
                let line = line(outcome.text());
                (outcome, line)
            }
            Err(Undelivered::Event(_, failure)) => failed(failure.for_caller(), format!("later: {failure}")),
            Err(Undelivered::Store(error)) if is_own_fault(&error) => {
                failed(error.to_string(), format!("later: {error}"))
            }
            Err(Undelivered::Context(failure)) => return Err(failure.into()),
            Err(Undelivered::Store(error)) => return Err(error.into()),
        };
        self.answered(definition, position, &outcome, Some(line))
    }

    /// Goes on after an answer that is not in the file.
    fn answered(
        &mut self,
        definition: &SagaDefinition,
        position: usize,
        outcome: &SagaOutcome,
        line: Option<SagaAttempt>,
    ) -> Moved {
        self.lines.extend(line);
        let at = self.at();
        if self.must_write(definition, position, outcome) {
            return self.write(|saga| next(definition, position, saga, outcome, at));
        }
        self.saga = next(definition, position, &self.saga, outcome, at);
        fault::point("saga.unwritten");
        Ok(true)
    }

    /// Whether the file has to say it before the saga goes on.
    fn must_write(&self, definition: &SagaDefinition, position: usize, outcome: &SagaOutcome) -> bool {
        if *outcome != SagaOutcome::Done {
            return true;
        }
        let steps = &definition.steps;
        if self.saga.undoing {
            let before = steps.get(..position).unwrap_or_default();
            let is_last = before.iter().all(|step| step.undo == SagaUndo::Nothing);
            return is_last || self.filed.state != SagaState::Undoing;
        }
        let Some(next) = steps.get(position + 1) else { return true };
        let is_filed = self.filed.forward_only || next.undo != SagaUndo::Never && self.filed.reach.contains(&next.name);
        // After a wait, the file says first that it is over.
        !is_filed || self.filed.state != SagaState::Running
    }

    fn unknown(&mut self, reason: String) -> Moved {
        let at = self.at();
        self.write(|saga| rules::unknown(saga, reason.clone(), at))
    }

    /// Writes down where the saga is, if the file does not have it.
    fn flush(&mut self) -> Result<(), Away> {
        if self.saga != self.filed || !self.lines.is_empty() {
            self.write(Saga::clone)?;
        }
        Ok(())
    }

    /// As `write_in`, in a transaction of its own.
    fn write(&mut self, change: impl FnOnce(&Saga) -> Saga) -> Moved {
        let deadline = self.database.clock().now() + Duration::from_millis(limits::SAGA_CALL_MS);
        let mut tx = self.database.begin(deadline)?;
        let written = self.write_in(&mut tx, &self.lines, change)?;
        if fault::fails("saga.before-commit") {
            return Err(fault::error().into());
        }
        tx.commit()?;
        fault::point("saga.after-commit");
        Ok(self.is_written(written))
    }

    /// Saves what `change` makes of the saga as it is, with what others have changed in the file meanwhile. `None` if
    /// the file has no such saga, or one that has ended.
    fn write_in(
        &self,
        tx: &mut Transaction,
        lines: &[SagaAttempt],
        change: impl FnOnce(&Saga) -> Saga,
    ) -> Result<Option<Saga>, Error> {
        let Some(file) = tx.saga(&self.saga.kind, &self.saga.id)?.filter(|file| !file.state.has_ended()) else {
            return Ok(None);
        };
        let mut changed = change(&self.merged(&file));
        changed.changed_ms = self.now_ms();
        tx.saga_save(&changed, lines)?;
        changed.revision += 1;
        Ok(Some(changed))
    }

    /// The saga as it is, with what its context and operators have changed in the file since that was read.
    fn merged(&self, file: &Saga) -> Saga {
        let mut saga = Saga { revision: file.revision, ..self.saga.clone() };
        if file.revision == self.filed.revision {
            return saga;
        }
        if file.undoing && !saga.undoing {
            // With its `reach`, which says that it was going forward.
            (saga.undoing, saga.cause, saga.forward_only) = (true, file.cause.clone(), false);
            (saga.state, saga.due_ms, saga.attempts, saga.passed) = (SagaState::Undoing, file.due_ms, 0, false);
        } else if file.step == saga.step {
            // Retried, skipped or resumed.
            saga.passed = file.passed;
            saga.attempts = saga.attempts.min(file.attempts);
            saga.step_since_ms = saga.step_since_ms.max(file.step_since_ms);
        }
        saga
    }

    /// Takes over what has been committed. Whether the saga goes on.
    fn is_written(&mut self, written: Option<Saga>) -> bool {
        self.lines.clear();
        let Some(written) = written else {
            self.saga = self.filed.clone();
            return false;
        };
        let Saga { kind, id, step, cause, reason, undoing, .. } = &written;
        if written.state == SagaState::Stuck && (self.filed.state != written.state || self.filed.reason != *reason) {
            tracing::error!(target: "sagas", kind, id, step, undoing, "a saga is stuck: {reason}");
        }
        if *undoing && !self.filed.undoing {
            tracing::info!(target: "sagas", kind, id, step, "a saga is given up: {cause}");
        }
        (self.saga, self.filed) = (written.clone(), written);
        true
    }
}

/// What becomes of the saga after an answer of the step at `position`. Another may have given it up, or let the step
/// pass, while that was performed.
fn next(definition: &SagaDefinition, position: usize, saga: &Saga, outcome: &SagaOutcome, at: At) -> Saga {
    if saga.undoing && !saga.reach.is_empty() {
        let from = if matches!(outcome, SagaOutcome::Refused(_)) { position.checked_sub(1) } else { Some(position) };
        return rules::undo(definition, from, saga, "", at);
    }
    rules::after(definition, position, saga, if saga.passed { &SagaOutcome::Done } else { outcome }, at)
}

/// Whether the step has written what cannot be committed, unlike a file that does not work.
fn is_own_fault(error: &Error) -> bool {
    match error {
        Error::Constraint(_) | Error::TooLarge(_) | Error::Denied(_) | Error::Invalid(_) | Error::Interrupted(_) => {
            true
        }
        Error::Busy(_) | Error::Full(_) | Error::Unavailable(_) => false,
    }
}

fn line(saga: &Saga, at_ms: u64, took_ms: u64, answer: String) -> SagaAttempt {
    SagaAttempt { number: 0, at_ms, took_ms, step: saga.step.clone(), undo: saga.undoing, answer, by: None }
}
