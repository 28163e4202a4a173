//! A reason why a system of contexts cannot be linked or started, and what to do about it.

use seam_store::ids::ContextName;

/// One reason, about one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextProblem {
    pub context: ContextName,
    /// The key of its manifest entry that it is about, or the interface that is imported; empty: the entry as a whole.
    pub part: String,
    pub message: String,
    pub remedy: String,
}

impl ContextProblem {
    /// A problem of the context as a whole; `what` follows its name in the message.
    pub fn of(context: &ContextName, what: impl std::fmt::Display, remedy: impl Into<String>) -> Self {
        let message = format!("`{context}` {what}");
        Self { context: context.clone(), part: String::new(), message, remedy: remedy.into() }
    }
}
