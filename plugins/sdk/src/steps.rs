//! What a saga is made of: its steps, what they are given and what they answer.
//!
//! The names are those of `seam:host/saga-steps`. Not here: starting a saga (`sagas`).

/// One kind of saga of the context: what is done, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Lower-case words with hyphens.
    pub kind: &'static str,
    /// 1 to 32. They are performed in this order, and undone from the last one to the first.
    pub steps: Vec<Step>,
}

/// One step of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Lower-case words with hyphens, unlike those of the other steps.
    pub name: &'static str,
    /// The function of another context that it calls: `musiccorp:warehouse/fulfilment.reserve`.
    pub call: Option<&'static str>,
    pub undo: Undo,
    /// How often it is tried before the saga is given up; at least 1.
    pub tries: u32,
    /// How long it is tried, in seconds, at least 1; waiting for something outside does not count.
    pub patience_s: u32,
}

/// How what a step has done is undone, as `seam:host/saga-steps` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// By [`Steps::undo`], which calls this function of another context.
    Call(&'static str),
    /// By [`Steps::undo`], which changes the context's own file only.
    Own,
    /// Nothing of it stays that would have to be undone.
    Nothing,
    /// Not at all: from this step on, the saga only goes forward.
    Never,
}

impl Step {
    /// How often a step is tried unless [`tries`](Self::tries) says otherwise.
    pub const TRIES: u32 = 10;
    /// How long a step is tried, in seconds, unless [`patience`](Self::patience) says otherwise.
    pub const PATIENCE_S: u32 = 60;

    /// A step that calls `function` of another context: `musiccorp:warehouse/fulfilment.reserve`.
    pub const fn call(name: &'static str, function: &'static str, undo: Undo) -> Self {
        Self { name, call: Some(function), undo, tries: Self::TRIES, patience_s: Self::PATIENCE_S }
    }

    /// A step that changes the context's own file only, or waits.
    pub const fn own(name: &'static str, undo: Undo) -> Self {
        Self { name, call: None, undo, tries: Self::TRIES, patience_s: Self::PATIENCE_S }
    }

    #[must_use]
    pub const fn tries(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    #[must_use]
    pub const fn patience(self, seconds: u32) -> Self {
        Self { patience_s: seconds, ..self }
    }
}

/// A step that is to be performed, or undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub kind: String,
    pub id: String,
    pub step: String,
    /// The idempotency key of the step, or of its undo: the same each time.
    pub key: String,
    /// Counts from 1.
    pub attempt: u32,
    /// Why the saga is undone; empty while it goes forward.
    pub cause: String,
}

/// What became of a step, or of its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It could not be done now: why. It is tried again after a pause.
    Later(String),
    /// It cannot be done, and nothing of it has happened: why. The saga is given up. Of an undo: the saga is stuck.
    Refused(String),
    /// It is not known whether it has happened, and it must not be tried again: why. The saga is given up, and the undo
    /// of this step is called, too. Of an undo: the saga is stuck.
    Unknown(String),
    /// It waits for [`resume`](crate::sagas::resume), or until this time (seconds since 1970), when it is performed
    /// again. Not for an undo.
    Waiting(Option<u64>),
}

/// The sagas of a context.
pub trait Steps {
    /// They may depend on the context's configuration.
    fn definitions() -> Vec<Definition>;

    /// Performs one step. It may be called again, with the same key, for a step that was performed before a crash. It
    /// calls other contexts first, then writes; what it writes is kept with every outcome.
    fn perform(task: &Task) -> Outcome;

    /// Undoes one step that was performed, or may have been performed or not.
    fn undo(task: &Task) -> Outcome;
}
