//! The guest SDK: what a context written in Rust needs from the host, and no more.
//!
//! A context generates the bindings of its own seams with `wit_bindgen::generate!`, declares itself with [`context!`],
//! and uses [`store`], [`sagas`], [`two_phase`], [`reconciliation`], [`together`], [`log`], [`config`], [`clock`],
//! [`random`] and [`attempts`]. Its domain stays plain Rust beside that.
//!
//! Invariants: no state in globals (instances are reused), no ambient authority (every function here is an import that
//! the manifest grants; one that is not used is not imported). Not here: the seams between contexts, which belong to
//! the contexts.

pub mod attempts;
mod bindings;
pub mod clock;
pub mod config;
mod context;
pub mod log;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub mod native;
pub mod packed;
mod panics;
pub mod random;
pub mod reconciliation;
pub mod sagas;
mod steps;
pub mod store;
mod together;
pub mod two_phase;

pub use context::{Invalid, Invariant, InvariantKind, Migration};
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use panics::install_panic_hook;
pub use together::{Calls, together, together_pays};
