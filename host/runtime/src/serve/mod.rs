//! Serving: the set of generations that serves now, how another set replaces it, and the contexts as a request sees
//! them.

mod asked;
mod checkout;
mod copies;
mod drain;
mod error;
mod in_doubt;
mod inbound;
mod live;
mod load;
mod moving;
mod outboxes;
mod prepare;
mod pretences;
mod probation;
mod publisher;
mod registry;
mod route_status;
mod routes;
mod routing;
mod serving_set;
mod stores;
mod system;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
mod traffic;

pub use checkout::Checkout;
pub use error::Error;
pub use in_doubt::{decision, resolve as resolve_doubts, waits as waits_for_decision};
pub use inbound::Inbound;
pub use live::Live;
pub use load::{Absent, Source};
pub use moving::HeldCalls;
pub use outboxes::Said;
pub(crate) use prepare::cannot_migrate;
pub use prepare::{Candidate, Linked, Prepared};
pub use pretences::PretendRejected;
pub use probation::Probation;
pub use registry::Registry;
pub use route_status::{RouteStatus, VariantState, VariantStatus, at_rest};
pub(crate) use stores::{misfit, open_file, unusable as unusable_store};
pub use system::LinkedSystem;
pub use traffic::{EdgeTraffic, MadeTraffic, PathTraffic};
