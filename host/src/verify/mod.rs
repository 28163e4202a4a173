//! `seam verify`: whether what contexts declare of their files holds, in each file and between them, at one moment.
//!
//! `live`, `stopped` and `copies` find the files and what their components declare (`subject`); `run` asks all of it,
//! for a `report`; `totals` looks at one total, for the reconciler; `across` compares one with other hosts (`sides`),
//! and `apart` makes checks of that. `own` is the list of what the host itself checks in
//! every file, `events` what it checks between them.
//! `promises` ends the doubt about files that a crash has left in the middle of a transaction.
//! Invariants: it changes no file. A check that looked at nothing does not count as one that holds. What could not be
//! checked is never reported as sound.
//! Not here: how a statement is run and bounded (`seam_store::Snapshot`), whether it fits its schema before a version
//! serves (`deploy`, `check`).

mod across;
mod apart;
mod error;
mod events;
mod events_apart;
mod offline;
mod own;
mod promises;
mod report;
mod run;
mod seen;
mod sides;
mod subject;
mod unlooked;

mod copies;
mod live;
mod stopped;
mod totals;

use serde::{Deserialize, Serialize};

pub use across::{Elsewhere, Lender};
pub use copies::{Components, verify_backups};
pub use error::Error;
pub use live::verify_live;
pub use report::{Check, CheckKind, How, Outcome, Part, Report, Verdict};
pub use sides::{compared_by, deciding_file, is_declared_by};
pub use stopped::verify_stopped;
pub use totals::{TotalLook, declaring, look_at_total, undeclared};
pub use unlooked::Unlooked;

/// What is to be verified.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Only the checks of these contexts, and the totals that they take part in; empty: all.
    pub contexts: Vec<String>,
}

/// How far a verification is: before each check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    pub done: usize,
    pub of: usize,
    /// `context: check`
    pub now: String,
}
