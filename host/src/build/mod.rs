//! `seam build`: turns the sources of contexts into components, and `seam doctor`: says what a machine lacks for that.
//!
//! Only what is stale is built: `record` compares sources with what was built from them, without starting a compiler.
//! A component appears under its name when it is complete and valid, or not at all.
//! Not here: whether a component fits the manifest and its neighbours; that is checked where it is loaded.

mod batch;
mod cargo;
pub mod doctor;
mod error;
mod folders;
pub mod incremental;
mod job;
mod messages;
mod packages;
mod record;
mod rust;
mod sysroot;
mod toolchain;
mod tools;
mod write;

pub use batch::{Report, run};
pub use error::Error;
pub use folders::{TOOLS_FOLDER, base};
pub use incremental::{Built, Failed, Made, Source, Workshop};
pub use job::{Options, Outcome};
pub use messages::Diagnostic;
pub use tools::Say;
