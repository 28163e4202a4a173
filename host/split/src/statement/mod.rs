//! What the statements of a program touch: from a log of them, each compiled once on an empty copy of the schema.
//!
//! Invariant: what is kept of a statement has no values.

pub mod log;
#[cfg(test)]
mod tests;
pub mod text;
pub mod touch;
