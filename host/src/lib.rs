//! Seam: a host for modular monoliths.
//!
//! Floors, each importing only what stands after it: `cli -> app -> admin, seed -> http, build, logging -> json -> context -> seam
//! -> store -> manifest -> call -> handoff, ids, limits`. The one call that must go up, a guest calling another context, is the
//! trait `seam::dispatch::Dispatch`.

pub mod app;
pub mod build;
pub mod call;
pub mod context;
pub mod handoff;
pub mod http;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod seam;
pub mod store;
