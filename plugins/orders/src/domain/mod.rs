//! The rules of orders. Pure but for settings of the manifest: no store, no other context.
//!
//! `states` says what may follow what, `sagas` in which steps, `check` what is accepted, `limits` how many cards one
//! may try, `quote` what it costs, `outcome` how a refusal is kept, `progress` what a customer reads meanwhile, `past`
//! what a seed may bring, `search` what the operator looks for. The types are those of the interfaces.

pub mod check;
pub mod limits;
pub mod outcome;
pub mod past;
pub mod progress;
pub mod quote;
pub mod sagas;
pub mod search;
pub mod states;

use crate::wit::Error;

/// Orders on a page.
pub const PAGE_SIZE: u32 = 20;
/// The last page that may be asked for.
pub const PAGE_MAX: u32 = 500;
/// How long after the shipment a customer may send copies back.
pub const RETURN_SECONDS: u64 = 60 * 24 * 60 * 60;
/// The operator sees a change that takes longer than this.
pub const LONG_SECONDS: u64 = 60;

/// The argument is wrong: where, and why.
pub fn invalid(field: &str, why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{field}: {why}"))
}
