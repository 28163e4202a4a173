//! `seam:host/saga-steps`: the sagas that a component declares, and what its steps are given and answer, as the guest
//! passes them.
//!
//! Not here: whether the definitions are sound (`link`), and when steps are performed (the driver of sagas).

use seam_store::{SagaDefinition, SagaOutcome, SagaStep, SagaTask, SagaUndo};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The WIT variant `undo-kind`.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub enum UndoCase {
    #[component(name = "call")]
    Call(String),
    #[component(name = "own")]
    Own,
    #[component(name = "nothing")]
    Nothing,
    #[component(name = "never")]
    Never,
}

/// The WIT record `step`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct StepRecord {
    name: String,
    call: Option<String>,
    undo: UndoCase,
    tries: u32,
    #[component(name = "patience-s")]
    patience_s: u32,
}

/// The WIT record `definition`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct DefinitionRecord {
    kind: String,
    steps: Vec<StepRecord>,
}

/// The WIT record `task`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct TaskRecord<'t> {
    kind: &'t str,
    id: &'t str,
    step: &'t str,
    key: &'t str,
    attempt: u32,
    cause: &'t str,
}

/// The WIT variant `outcome`.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub enum OutcomeCase {
    #[component(name = "done")]
    Done,
    #[component(name = "later")]
    Later(String),
    #[component(name = "refused")]
    Refused(String),
    #[component(name = "unknown")]
    Unknown(String),
    #[component(name = "waiting")]
    Waiting(Option<u64>),
}

impl From<DefinitionRecord> for SagaDefinition {
    fn from(DefinitionRecord { kind, steps }: DefinitionRecord) -> Self {
        Self { kind, steps: steps.into_iter().map(SagaStep::from).collect() }
    }
}

impl From<StepRecord> for SagaStep {
    fn from(StepRecord { name, call, undo, tries, patience_s }: StepRecord) -> Self {
        let undo = match undo {
            UndoCase::Call(function) => SagaUndo::Call(function),
            UndoCase::Own => SagaUndo::Own,
            UndoCase::Nothing => SagaUndo::Nothing,
            UndoCase::Never => SagaUndo::Never,
        };
        Self { name, call, undo, tries, patience_s }
    }
}

impl<'t> From<&'t SagaTask> for TaskRecord<'t> {
    fn from(SagaTask { kind, id, step, key, attempt, cause }: &'t SagaTask) -> Self {
        Self { kind, id, step, key, attempt: *attempt, cause }
    }
}

impl From<OutcomeCase> for SagaOutcome {
    fn from(outcome: OutcomeCase) -> Self {
        match outcome {
            OutcomeCase::Done => Self::Done,
            OutcomeCase::Later(why) => Self::Later(why),
            OutcomeCase::Refused(why) => Self::Refused(why),
            OutcomeCase::Unknown(why) => Self::Unknown(why),
            OutcomeCase::Waiting(until) => Self::Waiting(until),
        }
    }
}
