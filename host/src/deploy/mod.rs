//! A new version of a context, from a file to serving: the steps that it must pass, one after the other, and the way back.
//!
//! Read from the top down: `deployer` (one change at a time) -> `full`, `quick`, `rollback` (which steps, in which order) ->
//! `steps/` (one file each) -> `pipeline` -> `system` (what all of them use) -> `history`, `artifact_store` -> `report`, `request`.
//! Invariants: until the step `publish` the version that serves is untouched, whatever the new one does; one change at a time; what
//! serves, and why, is in `history` before the caller gets an answer.
//! Not here: how a set is published and drained (`context`), how a file is migrated (`store`), who asked (`admin`, the watcher).

mod artifact_store;
mod deployer;
mod error;
mod full;
mod history;
mod pipeline;
mod quick;
mod report;
mod request;
mod rollback;
mod startup;
mod steps;
mod system;

pub use deployer::Deployer;
pub use error::Error;
pub use history::{ChangeKind, ChangeState, History, HistoryEntry, word_of};
pub use report::{DeployOutcome, DeployReport, GateRefusal, Passed, Step, SystemRefusal, Version, short};
pub use request::{DeployRequest, DesiredSystem, RollbackRequest};
pub use startup::sources;
