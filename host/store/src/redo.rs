//! What a transaction has written, as steps that write it again from the same state of the file.
//!
//! Invariant: what was undone, by an error or back to a savepoint, is no step. Each step has a check of what it did, so
//! that a step that does something else when it is run again is noticed.
//! Not here: running steps (`two_phase`), where they are kept (`votes`).

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::limits;

/// How a step is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// One statement, with one packed row of parameters.
    Execute,
    /// As `Execute`; it returns rows.
    Query,
    /// One statement for each packed row.
    ExecuteMany,
    /// An event for the outbox: the values of one packed row.
    Publish,
    /// A timer, likewise.
    PublishAt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub action: Action,
    pub sql: String,
    /// Packed.
    pub rows: Vec<u8>,
    /// As `Outcome::check` of what it did.
    pub check: i64,
}

/// The steps of a transaction.
#[derive(Debug, Default)]
pub(super) struct Redo {
    steps: Vec<Step>,
    /// For each open savepoint: its name, and how many steps there were.
    savepoints: Vec<(&'static str, usize)>,
}

/// What a step does, as far as it is compared.
pub(super) trait Outcome {
    fn check(&self) -> i64;
}

/// Rows that it changed.
impl Outcome for u64 {
    fn check(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

/// Rows that it returned, packed.
impl Outcome for Vec<u8> {
    fn check(&self) -> i64 {
        let digest: [u8; 32] = Sha256::digest(self).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        i64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Outcome for () {
    fn check(&self) -> i64 {
        0
    }
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Query => "query",
            Self::ExecuteMany => "execute-many",
            Self::Publish => "publish",
            Self::PublishAt => "publish-at",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Execute, Self::Query, Self::ExecuteMany, Self::Publish, Self::PublishAt]
            .into_iter()
            .find(|action| action.name() == name)
    }
}

impl Redo {
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// # Errors
    /// `Error::TooLarge` when another step would be more than a promise to commit may hold.
    pub fn room_for(&self, sql: &str, rows: &[u8]) -> Result<(), Error> {
        let bytes = |step: &Step| step.sql.len() + step.rows.len();
        let (step, all) = (sql.len() + rows.len(), self.steps.iter().map(bytes).sum::<usize>());
        let what = if rows.len() > limits::TWO_PHASE_STEP_BYTES_MAX {
            format!(
                "the values of one statement take {} bytes, and may take {}",
                rows.len(),
                limits::TWO_PHASE_STEP_BYTES_MAX
            )
        } else if all + step > limits::TWO_PHASE_BYTES_MAX {
            format!("its statements take {} bytes, and may take {}", all + step, limits::TWO_PHASE_BYTES_MAX)
        } else {
            return Ok(());
        };
        Err(Error::TooLarge(format!("in a transaction over several files, {what}")))
    }

    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub fn savepoint(&mut self, name: &'static str) {
        self.savepoints.push((name, self.steps.len()));
    }

    /// The last savepoint of this name has ended; with `undo`, all steps since it are gone.
    pub fn end_savepoint(&mut self, name: &str, undo: bool) {
        let Some(at) = self.savepoints.iter().rposition(|(savepoint, _)| *savepoint == name) else { return };
        if let (Some((_, steps)), true) = (self.savepoints.get(at), undo) {
            self.steps.truncate(*steps);
        }
        self.savepoints.truncate(at);
    }
}
