//! Running: instances and their pool, one generation of a context and every call into it, and the metrics and
//! recordings of calls.

pub(crate) mod blueprint;
mod call_stats;
mod delivery;
pub(crate) mod generation;
pub(crate) mod instance;
mod mending;
pub(crate) mod metrics;
mod pool;
pub mod recorder;
mod sagas;
pub(crate) mod start;
pub mod stretches;
mod trap;

pub use blueprint::{Export, Serves};
pub use call_stats::{CallCounts, CallStats};
pub use delivery::{Arrival, Undelivered};
pub(crate) use generation::Inherited;
pub use generation::{Generation, INVARIANT_PART};
pub use mending::Mended;
pub use metrics::Metrics;
pub use stretches::Handled;
pub use trap::TrapReport;
