//! Notes about one recorded call: the calls that it made to other contexts.
//!
//! Invariant: a call that is not recorded has no notes and pays one comparison.

use std::time::Duration;

use wasmtime::component::Val;

use crate::call::{ContextIndex, Failure};
use crate::interface_name::InterfaceName;

/// Kept in the guest's data from the start of a call to its end.
#[derive(Debug, Default)]
pub struct Notes {
    /// In the order of the answers.
    pub calls: Vec<OutgoingCall>,
    /// The number of calls beyond `limits::RECORD_OUTGOING_CALLS_MAX` or `limits::COPIED_VALUES_BYTES_MAX`, which are
    /// not kept.
    pub calls_dropped: usize,
    /// At most what the values of these calls take, kept or not.
    pub bytes: usize,
}

/// One call that a context made through an import.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    pub callee: ContextIndex,
    /// As the context imports it.
    pub interface: InterfaceName,
    pub function: String,
    /// The names of the parameters.
    pub names: Vec<String>,
    pub params: Vec<Val>,
    /// The callee's answer, which may be a typed error, or why there was no answer.
    pub outcome: Result<Vec<Val>, Failure>,
    pub took: Duration,
}
