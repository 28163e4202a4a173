//! One context as a verification sees it: its file, and what its component declares of it.

use seam_runtime::component::ContextProblem;
use seam_store::{Invariant, Snapshot};

/// A context with its file.
pub struct Subject {
    pub context: String,
    pub file: Result<Snapshot, Fault>,
    pub declared: Result<Vec<Invariant>, Fault>,
}

/// Why a file or a component cannot be used.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The file is not what it should be: a violation in itself.
    Damaged { why: String, remedy: String },
    /// It could not be looked at.
    Unreadable { why: String, remedy: String },
    /// There is no file, and there should be none yet.
    Absent,
}

impl From<ContextProblem> for Fault {
    fn from(ContextProblem { message, remedy, .. }: ContextProblem) -> Self {
        Self::Unreadable { why: message, remedy }
    }
}
