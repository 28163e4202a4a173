//! Has the sagas of contexts performed until they are done, or undone.
//!
//! One thread looks which sagas are due; some others perform them, one saga each at a time. The tables in the contexts'
//! files are the truth; what wakes a thread is only a hint to look.
//! Not here: the tables (`seam_store`), the transaction around a step (`seam_runtime::run`).

mod context;
mod desk;
mod driver;
mod engine;
mod metrics;
mod operator;
mod performer;
mod rules;
#[cfg(test)]
mod tests;

pub use context::ContextPerformer;
pub use driver::{Contexts, Driver};
pub use engine::{Engine, Left};
pub use metrics::SagaMetrics;
pub use operator::{
    NotActed, SagaAct, SagaActRequest, SagaGroup, SagaGroups, SagaList, SagaName, SagaOperator, SagaOrder, SagaPlan,
    SagaSelection, SagaStatus, SagaTarget, ShownAttempt, ShownSaga, ShownStep, StepState, StoppedSagas, Unread,
};
pub use performer::{Performance, Performer};
pub use rules::after_step;
