//! Deploys: takes a new version of a context from a file to serving, through steps that it must pass, and rolls back.
//!
//! Read from the top down: `deployer` (one change at a time) -> `full`, `quick`, `rollback` (which steps, in which
//! order) -> `steps/` (one file each) -> `pipeline` -> `system` (what all of them use) -> `history` (with `lineage`),
//! `artifact_store`, `judge` (with `vigil`) -> `report`, `request`.
//! Invariants: until the step `publish`, nothing that the new version does affects the running one; one change at a
//! time; `history` records what serves and why before the caller gets a response.
//! Not here: publishing and draining (`seam-runtime`), migrating a file (`seam-store`), where requests come from
//! (`admin`, `app`, `dev`).

mod artifact_store;
mod deployer;
mod error;
mod full;
mod history;
mod judge;
#[cfg(test)]
mod judge_simulation;
mod lineage;
mod notices;
mod pipeline;
mod quick;
mod report;
mod request;
mod rollback;
mod running_watch;
mod startup;
mod steps;
mod system;
mod vigil;

pub use artifact_store::kept_component;
pub use deployer::Deployer;
pub use error::Error;
pub use history::{ChangeKind, ChangeState, History, HistoryEntry, word_of};
pub use report::{DeployOutcome, DeployReport, GateRefusal, Passed, Step, SystemRefusal, Version, short};
pub use request::{DeployRequest, DesiredSystem, RollbackRequest};
pub use startup::{Sources, sources, standing};
