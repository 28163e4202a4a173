//! A reason why the contexts cannot be linked or started, and its remedy.

use seam_store::ids::ContextName;

/// A problem of one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextProblem {
    pub context: ContextName,
    /// The key in the context's manifest entry, or the imported interface; empty: the whole entry.
    pub part: String,
    pub message: String,
    pub remedy: String,
}

impl ContextProblem {
    /// A problem of the whole context; `what` follows the context's name in the message.
    pub fn of(context: &ContextName, what: impl std::fmt::Display, remedy: impl Into<String>) -> Self {
        let message = format!("`{context}` {what}");
        Self { context: context.clone(), part: String::new(), message, remedy: remedy.into() }
    }
}
