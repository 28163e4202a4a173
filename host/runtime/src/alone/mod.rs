//! One context without the others: as a fixture for scenarios, or as a trial of a version before it serves.

pub mod fixture;
pub mod probe;
mod trial;

pub use trial::Trial;
