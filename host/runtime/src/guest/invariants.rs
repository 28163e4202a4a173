//! `seam:host/invariants`: what a component declares of its file, as the guest returns it.
//!
//! Not here: whether it fits the file, and what its statements find (`store`).

use seam_store::{Invariant, InvariantKind};
use wasmtime::component::{ComponentType, Lift};

/// The WIT enum `kind`.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum KindCase {
    #[component(name = "violations")]
    Violations,
    #[component(name = "total")]
    Total,
}

/// The WIT record `invariant`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct InvariantRecord {
    kind: KindCase,
    name: String,
    sentence: String,
    sql: String,
}

impl From<InvariantRecord> for Invariant {
    fn from(InvariantRecord { kind, name, sentence, sql }: InvariantRecord) -> Self {
        let kind = match kind {
            KindCase::Violations => InvariantKind::Violations,
            KindCase::Total => InvariantKind::Total,
        };
        Self { kind, name, sentence, sql }
    }
}
