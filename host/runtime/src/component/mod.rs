//! Components: the file, the compiled code, its interfaces and types, and the rules for seams.
//!
//! Not here: which context answers which import (`link`), instances (`run`).

mod artifact;
mod code_cache;
mod compiled;
mod compiler;
pub(crate) mod engine;
mod error;
mod foreign;
mod function_cache;
mod function_name;
mod loader;
mod problem;
pub(crate) mod seam_rules;
mod signature;
mod spec;
mod wasi_version;

pub use crate::interface_name::{
    HEALTH, HTTP_HANDLER, INVARIANTS, InterfaceName, MIGRATIONS, RECONCILIATION, SAGA_STEPS, WASI_HTTP, is_seam,
};
pub use artifact::Artifact;
pub use compiled::{BareImport, Component, Interface};
pub use compiler::{Compiler, compile_child};
pub use error::Error;
pub use function_name::{FunctionName, distinct_name};
pub use loader::Loader;
pub use problem::ContextProblem;
pub use signature::{same_signature, wit_of, wit_type};
pub use spec::ContextSpec;
pub(crate) use wasi_version::{WASI_PACKAGES, WASI_RELEASE, for_later_wasi, later_wasi, served_wasi};
