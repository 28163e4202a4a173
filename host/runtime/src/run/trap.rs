//! What a trap says: the reason, what the guest said about it, and the functions that were running.

use seam_store::ids::Trace;

use crate::limits;

/// How a call trapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapReport {
    /// The reason on the first line; then what the guest said, and where it was.
    pub reason: String,
    /// Of the request.
    pub trace: Trace,
}

/// The reason of a trap, and on further lines what the guest said about it and where it was. The stack of a language
/// that has its own says more than the functions of its engine.
pub fn explained(reason: &str, last_words: &str, frames: Option<String>) -> String {
    let mut text = reason.to_owned();
    if !last_words.is_empty() {
        text = format!("{text}\n{}", last_words.trim_end());
    }
    let own_stack = last_words.contains("    at ") || last_words.contains("Traceback (most recent call last)");
    if let Some(frames) = frames.filter(|_| !own_stack) {
        text = format!("{text}\nin {frames}");
    }
    text
}

/// The functions of the guest that were running, innermost first: `store::pay < lib::handle`. Without those of Rust's
/// panics, which are the same in every backtrace, and without functions that the component does not name. None if that
/// leaves no function.
pub fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let trace = error.downcast_ref::<wasmtime::WasmBacktrace>()?;
    let names = trace.frames().iter().filter_map(wasmtime::FrameInfo::func_name);
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    let useful =
        names.filter(|name| !["core::", "std::", "__rust", "rust_", "__wasm"].iter().any(|p| name.starts_with(p)));
    let useful: Vec<String> = useful.take(limits::TRAP_FRAMES_MAX).collect();
    (!useful.is_empty()).then(|| useful.join(" < "))
}
