//! The report of a change: the steps that it passed, the refusal if any, and the version that serves.

use seam_runtime::component::ContextProblem;
use seam_runtime::serve;
use seam_store::{HostFileError, chain};
use serde::{Deserialize, Serialize};

/// The steps in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Read,
    Compile,
    Wit,
    Capabilities,
    Start,
    Migrations,
    Health,
    Replay,
    Publish,
    Watch,
}

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compile => "compile",
            Self::Wit => "wit",
            Self::Capabilities => "capabilities",
            Self::Start => "start",
            Self::Migrations => "migrations",
            Self::Health => "health",
            Self::Replay => "replay",
            Self::Publish => "publish",
            Self::Watch => "watch",
        }
    }
}

/// A step that the version passed, with its duration and notes for the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    pub step: Step,
    pub ms: f64,
    pub notes: Vec<String>,
}

/// Why a version does not serve. The previous version keeps serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct GateRefusal {
    /// `None`: refused before the first step.
    pub step: Option<Step>,
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
    /// What the history keeps instead of `message`, which has values of calls or the words of a guest.
    #[serde(skip)]
    pub recorded: Option<String>,
}

/// Why a whole system does not serve: all problems that one step found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} problem(s) at the step `{}`", .problems.len(), .step.name())]
pub struct SystemRefusal {
    pub step: Step,
    pub problems: Vec<ContextProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployOutcome {
    Live,
    /// The component already served.
    Unchanged,
    Refused,
    /// The version served and turned bad, so the previous version serves again.
    RolledBack,
}

/// A version of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of its component.
    pub hash: String,
    /// Counted from the start of the host; `None` for a version that never served.
    pub generation: Option<u64>,
}

/// The full report of one change, as `--format json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployReport {
    pub context: String,
    pub outcome: DeployOutcome,
    /// The version that serves now.
    pub serves: Option<Version>,
    /// The version that served before the change.
    pub before: Option<Version>,
    pub steps: Vec<Passed>,
    pub refused: Option<GateRefusal>,
}

impl GateRefusal {
    pub(super) fn at(step: Step, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { step: Some(step), ..Self::early(message, remedy) }
    }

    /// Before the first step.
    pub(super) fn early(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { step: None, message: message.into(), remedy: remedy.into(), recorded: None }
    }

    /// Sets what the history keeps instead of the message.
    pub(super) fn recorded(self, text: impl Into<String>) -> Self {
        Self { recorded: Some(text.into()), ..self }
    }

    /// What the history keeps of it: no values of calls, and no words of a guest, which may have values in them. After
    /// the first line of a message, a guest speaks.
    pub(super) fn for_history(&self) -> &str {
        self.recorded.as_deref().unwrap_or_else(|| first_line(&self.message))
    }

    /// The first of several problems; the message counts the others.
    pub(super) fn problems(step: Step, problems: &[ContextProblem]) -> Self {
        let Some(first) = problems.first() else { return Self::at(step, "the contexts do not fit together", "") };
        let more = match problems.len() {
            1 => String::new(),
            more => format!(" (and {} more)", more - 1),
        };
        Self::at(step, format!("{}{more}", first.message), first.remedy.clone())
    }

    pub(super) fn context(step: Step, error: serve::Error) -> Self {
        match error {
            serve::Error::Problems(problems) => Self::problems(step, &problems),
            other => Self::at(step, chain(&other), ""),
        }
    }

    pub(super) fn history(error: &HostFileError) -> Self {
        Self::at(Step::Publish, chain(error), error.remedy())
    }

    /// Sets `remedy` if there is none yet.
    pub(super) fn or_remedy(mut self, remedy: &str) -> Self {
        if self.remedy.is_empty() {
            remedy.clone_into(&mut self.remedy);
        }
        self
    }
}

/// The part of a message that is the host's own.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The first 12 digits of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
