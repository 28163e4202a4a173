//! What a saga is: its definition, where it stands, what is asked of a step, and what it answers.

/// A kind of sagas, as its context declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaDefinition {
    pub kind: String,
    /// In the order in which they are performed; at least one.
    pub steps: Vec<SagaStep>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaStep {
    pub name: String,
    /// The function of another context that it calls; `None`: it changes the context's own file only, or waits.
    pub call: Option<String>,
    pub undo: SagaUndo,
    /// How often it is tried before the saga is given up, or is stuck.
    pub tries: u32,
    /// How long it is tried, in seconds.
    pub patience_s: u32,
}

/// How what a step has done is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaUndo {
    /// By a call of this function of another context.
    Call(String),
    /// By a change of the context's own file.
    Own,
    /// Nothing has to be undone.
    Nothing,
    /// Not at all: from this step on, the saga only goes forward.
    Never,
}

impl SagaDefinition {
    /// The steps that may be performed one after the other, from the step at `from` on, without a commit in between:
    /// up to the first one that cannot be undone, which needs a commit before it.
    pub fn reach(&self, from: usize) -> Vec<String> {
        let steps = self.steps.get(from..).unwrap_or_default();
        let most = steps.iter().position(|step| step.undo == SagaUndo::Never).unwrap_or(steps.len());
        steps.iter().take(most.max(1)).map(|step| step.name.clone()).collect()
    }

    /// Where a step stands.
    pub fn position(&self, step: &str) -> Option<usize> {
        self.steps.iter().position(|other| other.name == step)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SagaState {
    /// A step is being performed, or is tried again later.
    Running,
    /// It waits for something outside.
    Waiting,
    /// Steps are being undone.
    Undoing,
    /// A step or an undo goes on failing and cannot be left out.
    Stuck,
    /// All steps are performed.
    Done,
    /// All steps are undone.
    Undone,
}

impl SagaState {
    pub const ALL: [Self; 6] = [Self::Running, Self::Waiting, Self::Undoing, Self::Stuck, Self::Done, Self::Undone];

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Undoing => "undoing",
            Self::Stuck => "stuck",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone)
    }
}

/// Where a saga stands. Times are milliseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    pub kind: String,
    /// Unlike that of all others of its kind.
    pub id: String,
    pub state: SagaState,
    /// The step that is performed or undone next, or was last when it ended. In memory the host may be further: see
    /// `reach`.
    pub step: String,
    /// The steps that may be performed before the next commit, `step` first. With `in_doubt` each of them may have
    /// been performed. Empty while it is undone, once `step` is the first one to undo.
    pub reach: Vec<String>,
    /// Whether the file was opened again since this was written, or the host knows no better: steps of `reach` after
    /// `step` may have been performed. Otherwise none of them has been.
    pub in_doubt: bool,
    /// Whether it has come to a step that cannot be undone.
    pub forward_only: bool,
    /// Whether it is being undone; also while it is stuck at that, and once it is undone.
    pub undoing: bool,
    /// Whether `step` counts as performed, or as undone: it waited and was resumed, or an operator skipped it.
    pub passed: bool,
    /// How often `step` has failed; while it waits, how often it has answered that it does.
    pub attempts: u32,
    /// When it goes on by itself; `None`: it does not.
    pub due_ms: Option<u64>,
    pub started_ms: u64,
    pub changed_ms: u64,
    /// Since when `step` is tried. Waiting does not count.
    pub step_since_ms: u64,
    /// Why it is undone; empty if it is not.
    pub cause: String,
    /// Why the last try of `step` failed; empty if it did not.
    pub reason: String,
    /// W3C `traceparent` of the call that started it.
    pub trace: String,
    /// How often it has changed.
    pub revision: u64,
}

impl Saga {
    /// Why it waits, is undone or is stuck; empty if it is neither.
    pub fn why(&self) -> &str {
        match self.state {
            SagaState::Undoing | SagaState::Undone => &self.cause,
            _ => &self.reason,
        }
    }
}

/// A line of a saga's timeline: a try of a step, or what an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaAttempt {
    /// Counts from 1 in each saga. Given by the file: what is saved with another number gets the next one. A gap says
    /// that lines of the middle were dropped.
    pub number: u64,
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    pub took_ms: u64,
    pub step: String,
    /// Whether the step was undone, not performed.
    pub undo: bool,
    /// `done`, `later: ...`, `refused: ...`, `unknown: ...`, `waiting`; of an operator: `retry`, `skip`, `undo` or
    /// `resume`, with the reason.
    pub answer: String,
    /// The operator.
    pub by: Option<String>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaChange {
    Done,
    /// There is no such saga.
    Unknown,
    /// Not possible in its state: why. Nothing has changed.
    Refused(String),
}

/// Which sagas are listed. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SagaFilter {
    pub kind: Option<String>,
    /// Empty: in any state.
    pub states: Vec<SagaState>,
    /// Those that started before this time, in milliseconds since 1970.
    pub older_than_ms: Option<u64>,
    /// A part of the cause, or of the reason of the last failure; case does not matter.
    pub cause: Option<String>,
}

/// How many sagas of a kind are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaCount {
    pub kind: String,
    pub state: SagaState,
    pub sagas: u64,
    /// When the oldest of them started, in milliseconds since 1970.
    pub oldest_ms: u64,
}

/// What a context is asked to do for a saga: one step, or its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaTask {
    pub kind: String,
    pub id: String,
    pub step: String,
    /// The same each time.
    pub key: String,
    /// Counts from 1.
    pub attempt: u32,
    /// Why the saga is undone; empty while it goes forward.
    pub cause: String,
}

impl SagaTask {
    /// The idempotency key of a step, or of its undo.
    pub fn key(kind: &str, id: &str, step: &str, undo: bool) -> String {
        format!("{kind}:{id}:{step}{}", if undo { ":undo" } else { "" })
    }
}

/// What a step, or its undo, answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaOutcome {
    Done,
    /// It is tried again after a pause: why.
    Later(String),
    /// It cannot be done, and nothing of it has happened: why.
    Refused(String),
    /// It is not known whether it has happened: why.
    Unknown(String),
    /// It waits until it is resumed, or until this time (seconds since 1970), when it is performed again.
    Waiting(Option<u64>),
}

impl SagaOutcome {
    /// As a timeline says it.
    pub fn text(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Later(why) => format!("later: {why}"),
            Self::Refused(why) => format!("refused: {why}"),
            Self::Unknown(why) => format!("unknown: {why}"),
            Self::Waiting(_) => "waiting".to_owned(),
        }
    }
}
