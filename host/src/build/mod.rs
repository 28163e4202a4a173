//! `seam build`: compiles the sources of contexts to components, and `seam doctor`: checks the tools for it.
//!
//! Only what is stale is built: `record` compares sources with what was built from them, without starting a compiler.
//! Invariant: a file under a component's name is complete and valid.
//! Not here: whether a component fits the manifest and its neighbours; `seam-runtime` checks that on loading.

mod batch;
mod cargo;
pub mod doctor;
mod error;
mod file_state;
mod folders;
pub mod incremental;
mod job;
mod messages;
mod packages;
mod rebuild_loop;
mod record;
mod rust;
mod sysroot;
mod toolchain;
mod tools;
mod write;

pub use batch::{BuildSummary, run, source_folders, sources, stale};
pub use error::Error;
pub use folders::{TOOLS_FOLDER, base};
pub use incremental::{BuiltContext, FailedContext, IncrementalBuild, IncrementalBuilder, Source};
pub use job::{BuildStatus, Options};
pub use messages::Diagnostic;
pub use rebuild_loop::OwnChanges;
pub use tools::Progress;
