//! Contexts at run time: components, their versions, their instances, and who is called when a name is called.
//!
//! Drivers see `Registry`; everything else here serves it. Not here: where requests come from (`http`), what guests are given
//! (`seam`), what is kept (`store`).

pub mod component;
mod engine;
mod generation;
mod instance;
pub mod interface;
pub mod lean;
pub mod link;
mod pool;
pub mod raw;
mod registry;
mod rules;
pub mod stats;

pub use generation::{Export, Generation};
pub use registry::{Checkout, Error, Linked, Live, Registry};

/// How a context answers HTTP, read from its exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serves {
    Nothing,
    /// `seam:host/http-handler`
    Lean,
    /// `wasi:http/incoming-handler@0.2`
    WasiHttp,
}
