//! Seam: a host for modular monoliths.
//!
//! Floors, each importing only what stands after it:
//! `main -> cli -> app -> {http, build, ...} -> context -> seam -> store -> manifest, limits, call, handoff, ids`.
//! The one call that must go up, a guest calling another context, is the trait `call::Dispatch`.

pub mod call;
pub mod context;
pub mod handoff;
pub mod http;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod seam;
pub mod store;
