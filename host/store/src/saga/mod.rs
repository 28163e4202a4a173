//! The sagas of a context, in its own file: where each one stands, and what its steps have answered.
//!
//! Invariants: a saga starts, goes on, is resumed and is given up in a transaction of the file, together with what else
//! that writes. Each change counts the `revision` up: a saga that has changed since it was read is not saved over. One
//! that has ended changes no more.
//! Not here: which step comes next, and when it is tried again (the driver of sagas).

mod change;
mod operate;
mod read;
mod table;
mod types;

pub use operate::SagaAction;
pub(crate) use read::{Reading, TABLE};
pub use types::{
    Saga, SagaAttempt, SagaChange, SagaCount, SagaDefinition, SagaFilter, SagaOutcome, SagaState, SagaStep, SagaTask,
    SagaUndo,
};
