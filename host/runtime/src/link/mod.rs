//! Linking: which context answers each import, whether variants can replace their contexts, and the host functions that
//! carry calls over seams.

mod cycle;
mod encoded;
mod host_exports;
mod host_imports;
mod linker;
mod plan;
mod publication;
mod saga_rules;
mod seam_call;
mod subscription;
mod together;
mod variant_check;
mod wire;
mod wiring;

pub(crate) use encoded::Encoded;
pub use plan::plan;
pub(crate) use saga_rules::problems as saga_problems;
pub(crate) use seam_call::Carry;
pub(crate) use wire::{Wired, serves_wasi_http, waits, wire, wire_one};
pub use wiring::Wiring;
