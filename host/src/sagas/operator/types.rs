//! What an operator asks of sagas, and what he gets.

use seam_store::{Saga, SagaAction};
use serde::{Deserialize, Serialize};

use crate::times::rfc3339;

/// Which sagas. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SagaSelection {
    pub context: Option<String>,
    pub kind: Option<String>,
    /// Names of states; empty: those that are in process.
    pub states: Vec<String>,
    /// Those that started so many seconds ago, or earlier.
    pub older_than_s: Option<u64>,
    /// A part of the cause; case does not matter.
    pub cause: Option<String>,
}

/// One saga, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SagaName {
    pub context: String,
    pub kind: String,
    pub id: String,
}

impl std::fmt::Display for SagaName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {} of `{}`", self.kind, self.id, self.context)
    }
}

/// Where a saga stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaStatus {
    pub context: String,
    pub kind: String,
    pub id: String,
    pub state: String,
    /// The step that it is at, or was at when it ended.
    pub step: String,
    /// Whether its steps are being undone; also while it is stuck at that.
    pub undoing: bool,
    /// Whether it has come to a step that cannot be undone.
    pub forward_only: bool,
    /// How often the step has failed.
    pub tries: u32,
    /// Why it waits, is undone or is stuck, or why the last try failed.
    pub cause: String,
    /// RFC 3339.
    pub started: String,
    pub age_s: u64,
    /// When it goes on by itself, RFC 3339.
    pub next_try: Option<String>,
}

impl SagaStatus {
    pub(super) fn of(context: &str, saga: &Saga, now_ms: u64) -> Self {
        Self {
            context: context.to_owned(),
            kind: saga.kind.clone(),
            id: saga.id.clone(),
            state: saga.state.name().to_owned(),
            step: saga.step.clone(),
            undoing: saga.undoing,
            forward_only: saga.forward_only,
            tries: saga.attempts,
            cause: cause(saga).to_owned(),
            started: rfc3339(saga.started_ms),
            age_s: now_ms.saturating_sub(saga.started_ms) / 1_000,
            next_try: saga.due_ms.map(rfc3339),
        }
    }
}

/// Of one that is stuck while it is undone, what keeps it is of more use than why it is undone.
pub(super) fn cause(saga: &Saga) -> &str {
    if saga.reason.is_empty() { saga.why() } else { &saga.reason }
}

/// A context whose sagas cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub context: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaList {
    /// The oldest first.
    pub sagas: Vec<SagaStatus>,
    /// Whether there are more.
    pub more: bool,
    pub unread: Vec<Unread>,
}

/// Sagas that are at the same step for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaGroup {
    pub sagas: u64,
    pub context: String,
    pub kind: String,
    pub state: String,
    pub step: String,
    /// With `#` for each word that has digits.
    pub cause: String,
    /// The age of the oldest of them.
    pub oldest_s: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaGroups {
    /// The largest first.
    pub groups: Vec<SagaGroup>,
    pub unread: Vec<Unread>,
}

/// One saga with its steps and its timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSaga {
    #[serde(flatten)]
    pub status: SagaStatus,
    /// Why it is undone; empty if it is not.
    pub undone_because: String,
    /// W3C `traceparent` of the call that started it.
    pub traceparent: String,
    /// The steps after this one that may have been performed, too.
    pub perhaps_performed: Vec<String>,
    /// As the version that serves declares them, or the one that a start would serve.
    pub steps: Vec<ShownStep>,
    /// Why there are none; empty if there are some.
    pub steps_unknown: String,
    pub timeline: Vec<ShownAttempt>,
}

/// A step of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownStep {
    pub name: String,
    pub state: StepState,
    /// The function that it calls.
    pub call: Option<String>,
    /// The function that undoes it, or `own`, `nothing`, `never`.
    pub undo: String,
    /// How often it, or its undo, has failed; 0 where the saga is not at it.
    pub tried: u32,
    /// How often it is tried.
    pub tries: u32,
    /// How long it is tried.
    pub patience_s: u32,
    /// While it is tried: until when, RFC 3339.
    pub deadline: Option<String>,
}

/// What has become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is performed, or need not be undone.
    Done,
    /// The saga is at it: it is performed or undone, or waits.
    Now,
    ToCome,
    /// It may have been performed before the host was cut off.
    PerhapsDone,
    Undone,
    /// The saga was given up before it, or it was refused.
    NotDone,
    /// The version does not know the step that the saga is at.
    Unknown,
}

impl StepState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::ToCome => "to come",
            Self::PerhapsDone => "perhaps done",
            Self::Undone => "undone",
            Self::NotDone => "not done",
            Self::Unknown => "unknown",
        }
    }
}

/// A line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownAttempt {
    /// A gap says that lines were dropped.
    pub number: u64,
    /// RFC 3339.
    pub time: String,
    pub took_ms: u64,
    pub step: String,
    /// Whether the step was undone, not performed.
    pub undo: bool,
    pub answer: String,
    /// The operator.
    pub by: Option<String>,
}

/// What to do with sagas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SagaOrder {
    Retry,
    Skip,
    Undo,
    Resume,
}

impl SagaOrder {
    pub(super) fn action(self) -> SagaAction {
        match self {
            Self::Retry => SagaAction::Retry,
            Self::Skip => SagaAction::Skip,
            Self::Undo => SagaAction::Undo,
            Self::Resume => SagaAction::Resume,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SagaTarget {
    One(SagaName),
    /// All that match.
    All(SagaSelection),
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SagaActRequest {
    pub of: SagaTarget,
    pub order: SagaOrder,
    pub why: String,
    /// The time of the preview, in milliseconds since 1970: what has moved on since is left alone.
    pub as_of_ms: Option<u64>,
    /// Only say what it would do.
    pub preview: bool,
}

/// What an action does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaPlan {
    /// When the sagas were looked at, RFC 3339.
    pub as_of: String,
    pub done: bool,
    pub acts: Vec<SagaAct>,
    /// Those whose state does not allow it.
    pub refused: Vec<NotActed>,
    /// Those that have moved on since the preview.
    pub moved: Vec<NotActed>,
    /// Whether more sagas match than are acted on at once.
    pub more: bool,
}

/// One saga of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaAct {
    #[serde(flatten)]
    pub name: SagaName,
    pub state: String,
    pub step: String,
    /// What happens to it.
    pub effect: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotActed {
    #[serde(flatten)]
    pub name: SagaName,
    pub why: String,
}
