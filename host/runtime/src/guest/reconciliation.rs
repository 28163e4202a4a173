//! `seam:host/reconciliation`: what a component is asked to mend, and what it answers, as the guest passes it.
//!
//! Not here: how disagreements are found, and when a component is asked (the host's reconciler).

use wasmtime::component::{ComponentType, Lift, Lower};

/// The WIT record `side`.
#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub struct SideRecord<'s> {
    pub context: &'s str,
    pub least: i64,
    pub most: i64,
}

/// The WIT record `disagreement`.
#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub struct DisagreementRecord<'d> {
    pub total: &'d str,
    pub key: &'d str,
    pub sides: &'d [SideRecord<'d>],
    /// Seconds since 1970, UTC.
    pub since: u64,
    pub attempt: u32,
    pub id: &'d str,
}

/// The WIT variant `outcome`.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub enum OutcomeCase {
    #[component(name = "mended")]
    Mended,
    #[component(name = "later")]
    Later(String),
    #[component(name = "refused")]
    Refused(String),
}
