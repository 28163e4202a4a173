//! Contexts at run time: components, their versions, their instances, and who is called when a name is called.
//!
//! Drivers see `Registry`; everything else here serves it. Not here: where requests come from (`http`), what guests are given
//! (`seam`), what is kept (`store`).

mod checkout;
pub mod component;
mod drain;
mod engine;
mod functions;
mod generation;
mod instance;
pub mod interface;
pub mod lean;
pub mod link;
mod linked;
mod pool;
mod prepared;
mod probation;
mod published;
pub mod raw;
pub mod recorder;
mod registry;
pub mod route;
mod routing;
mod rules;
mod signature;
pub mod solo;
mod stand_in;
mod start;
pub mod stats;
mod tally;
mod trial;

pub use checkout::Checkout;
pub use generation::{Export, Generation, same_signature};
pub use linked::{Absent, Linked, Part, Source};
pub use prepared::{Fresh, Prepared};
pub use probation::Probation;
pub use registry::{Error, Live, Registry};
pub use tally::Count;
pub use trial::Trial;

/// How a context answers HTTP, read from its exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serves {
    Nothing,
    /// `seam:host/http-handler`
    Lean,
    /// `wasi:http/incoming-handler@0.2`
    WasiHttp,
}
