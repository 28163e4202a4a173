//! Every number that bounds something, with its unit in the name and the reason for its value.
//!
//! Defaults of what a manifest may change stand here too; nothing in the program is unbounded.

/// Contexts on one call's way. A page needs 2; a chain of 16 is a design mistake, and it keeps `Call` on the stack.
pub const CALL_DEPTH_MAX: usize = 16;
/// How often running guests look at their deadline. Shorter costs wake-ups, longer makes timeouts and hand-offs coarse.
pub const EPOCH_TICK_MS: u64 = 5;
/// Linear memory of one instance, all its memories together. Python guests need most of it; Rust ones 2 MiB.
pub const INSTANCE_MEMORY_MB: u64 = 64;
/// Linear memory of all live instances of a context together.
pub const CONTEXT_MEMORY_MB: u64 = 512;
/// Calls that run in one context at the same time.
pub const CONTEXT_CONCURRENCY: u32 = 32;
/// Calls that may wait for one of those places. Beyond it the caller is told at once.
pub const CONTEXT_QUEUE: u32 = 128;
/// A request from the edge, unless its mount says otherwise.
pub const CALL_TIMEOUT_MS: u64 = 5_000;
