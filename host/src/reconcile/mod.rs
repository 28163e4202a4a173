//! `[[reconcile]]`: finds keys on whose amounts contexts do not agree, says so once that has stood for long enough, and
//! has a context mend it where the manifest names one.
//!
//! A look compares what `verify` compares: the totals that contexts declare, on whichever hosts they live. What it
//! finds is kept in the host's file (`book`), by the rules of `record`; what is accepted, also in the file of the
//! context that decides which host looks (`acceptances`), so that it goes along when that one moves. `reconciler` looks
//! and asks, `driver` is the thread that does so by time, `operator` what a person asks. `world` is what is looked at
//! and asked.
//! Invariants: a disagreement that has been said is kept until the contexts agree, or an operator accepts it. It counts
//! as mended when a look no longer finds it, whatever was answered. An attempt to mend is noted before it is made.
//! One host looks at a total; the others say which.
//! Not here: how totals are compared (`verify`), what a context does to mend (the contexts).

mod acceptances;
mod book;
mod driver;
mod metrics;
mod operator;
mod reconciler;
mod record;
#[cfg(test)]
mod tests;
mod world;

pub use book::Book;
pub use driver::Driver;
pub use metrics::ReconcileMetrics;
pub use operator::{
    ReconcileAct, ReconcileActRequest, ReconcileList, ReconcileOrder, ReconcileSelection, ShownDisagreement,
    ShownProblem, TotalStatus,
};
pub use reconciler::Reconciler;
pub use record::{Amount, Disagreement, MendAnswer, State};
pub use world::{RunningContexts, World};
