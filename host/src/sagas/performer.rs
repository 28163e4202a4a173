//! Who performs the steps of sagas: a context in the sandbox. Tests and simulations put something else in its place.

use std::sync::Arc;

use seam_runtime::call::Failure;
use seam_runtime::run::Undelivered;
use seam_store::{Database, Error, SagaDefinition, SagaOutcome, SagaTask, Transaction};

/// A step that a context is to perform, or to undo.
pub struct Performance<'p> {
    pub task: &'p SagaTask,
    /// W3C `traceparent` of the call that started the saga.
    pub trace: &'p str,
    pub undo: bool,
    /// Whether an outcome has to be kept in the file, even if the step wrote nothing.
    pub keep: &'p dyn Fn(&SagaOutcome) -> bool,
    /// What the host notes of an outcome, in the transaction in which the step wrote.
    pub mark: &'p mut dyn FnMut(&mut Transaction, &SagaOutcome) -> Result<(), Error>,
}

pub trait Performer {
    /// The file with the sagas.
    ///
    /// # Errors
    /// When there is none now.
    fn database(&self) -> Result<Arc<Database>, Failure>;

    /// What the version that serves declares of a kind of sagas.
    ///
    /// # Errors
    /// When none serves.
    fn definition(&self, kind: &str) -> Result<Option<SagaDefinition>, Failure>;

    /// Performs a step, or its undo. What it writes and what `mark` notes commit together. If it wrote nothing and
    /// `keep` says that the outcome need not be kept, nothing is committed, and `mark` not called.
    ///
    /// # Errors
    /// When nothing is written.
    fn perform(&self, step: Performance<'_>) -> Result<SagaOutcome, Undelivered>;

    /// How long a step waits after `attempts` tries that failed, in milliseconds; `None`: as long as any.
    fn pause_ms(&self, attempts: Option<u32>) -> u64;
}
