//! One context as a verification sees it: its file, what its component declares of it, and what it has to do with
//! events.

use seam_runtime::component::ContextProblem;
use seam_runtime::settings::ContextSettings;
use seam_store::ids::interface_path;
use seam_store::{Invariant, Snapshot};

use super::report::Outcome;

/// A context with its file.
pub struct Subject {
    pub context: String,
    pub file: Result<Snapshot, Fault>,
    pub declared: Result<Vec<Invariant>, Fault>,
    pub events: Events,
    /// Of a file that has promised to commit: what is decided about it.
    pub promise: Option<String>,
    /// Its file is none of those that are looked at: it is there for what other contexts have in common with it.
    pub is_elsewhere: bool,
}

/// The events interfaces of a context, by their paths without a version.
#[derive(Debug, Clone, Default)]
pub struct Events {
    pub publishes: Vec<String>,
    pub subscribes: Vec<String>,
}

impl From<&ContextSettings> for Events {
    fn from(settings: &ContextSettings) -> Self {
        let path = |interface: &String| interface_path(interface).to_owned();
        Self {
            publishes: settings.publishes.iter().map(|publication| path(&publication.interface)).collect(),
            subscribes: settings.subscribes.iter().map(|subscription| path(&subscription.interface)).collect(),
        }
    }
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

impl Fault {
    pub fn why(&self) -> &str {
        match self {
            Self::Damaged { why, .. } | Self::Unreadable { why, .. } => why,
            Self::Absent => "the context has no file yet",
        }
    }

    /// The outcome of the check that the file is there.
    pub fn outcome(&self) -> Outcome {
        match self.clone() {
            Self::Damaged { why, remedy } => {
                Outcome::Violated { count: 1, columns: vec!["fault".to_owned()], examples: vec![vec![why]], remedy }
            }
            Self::Unreadable { why, remedy } => Outcome::Unchecked { why, remedy },
            Self::Absent => Outcome::Empty { why: "the context has no file yet".to_owned() },
        }
    }

    /// The outcome of a check that needs the file of `context`, which cannot be read.
    pub fn without_file(&self, context: &str) -> Outcome {
        match self {
            Self::Absent => Outcome::Empty { why: format!("`{context}` has no file yet") },
            Self::Damaged { why, remedy } | Self::Unreadable { why, remedy } => {
                let why = format!("the file of `{context}` cannot be read: {why}");
                Outcome::Unchecked { why, remedy: remedy.clone() }
            }
        }
    }
}

impl From<ContextProblem> for Fault {
    fn from(ContextProblem { message, remedy, .. }: ContextProblem) -> Self {
        Self::Unreadable { why: message, remedy }
    }
}
