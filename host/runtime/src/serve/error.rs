//! Why a system of contexts does not start, or does not change.

use seam_store::HostFileError;

use crate::component::{self, ContextProblem};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    #[error(transparent)]
    Component(#[from] component::Error),
    #[error("{} problem(s) keep the contexts from being linked", .0.len())]
    Problems(Vec<ContextProblem>),
    #[error("there is no context `{name}`")]
    NoContext { name: String },
    #[error("another change was published meanwhile")]
    Overtaken,
    #[error(transparent)]
    Routes(#[from] HostFileError),
}
