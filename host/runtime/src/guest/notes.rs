//! What one call does while it runs, for the calls that somebody wants to know of: the questions it asks of other contexts, and whether it wrote.
//!
//! Invariant: a call that nobody wants to know of has no notes and pays one comparison for it.

use std::time::Duration;

use wasmtime::component::Val;

use crate::call::{ContextIndex, Failure};

/// Kept in the guest's data from the begin of a call to its end.
#[derive(Debug, Default)]
pub struct Notes {
    /// In the order in which they were answered.
    pub asked: Vec<Asked>,
    /// Calls beyond `limits::RECORD_ASKED_MAX`, which are only counted.
    pub asked_more: usize,
}

/// One call that a context made through an import.
#[derive(Debug, Clone)]
pub struct Asked {
    pub callee: ContextIndex,
    /// `namespace:package/interface`
    pub interface: String,
    pub function: String,
    /// What the parameters are called.
    pub names: Vec<String>,
    pub params: Vec<Val>,
    /// The callee's answer, its typed errors among them, or why there was none.
    pub outcome: Result<Vec<Val>, Failure>,
    pub took: Duration,
}
