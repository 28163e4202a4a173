//! Requests of the operator and of the development loop.

use std::path::PathBuf;

use seam_runtime::component::ContextSpec;
use serde::{Deserialize, Serialize};

use crate::fit::HostCalls;
use crate::limits;

/// A request to deploy a component file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub context: String,
    /// Absolute, since the host's working directory may be another one.
    pub file: PathBuf,
    /// The names of new imports that the operator allows; `irreversible` allows a version that cannot be rolled back.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Also refuse a version that answers a recorded call differently.
    #[serde(default)]
    pub strict: bool,
    /// Show values of recorded calls in the report.
    #[serde(default)]
    pub values: bool,
    /// How long the new version is on probation, in milliseconds; 0: no probation.
    pub watch_ms: u64,
    /// Wait for a running change to end, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}

impl DeployRequest {
    /// `file` for `context`, with every option at its default.
    pub fn new(context: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self {
            context: context.into(),
            file: file.into(),
            allow: Vec::new(),
            strict: false,
            values: false,
            watch_ms: limits::DEPLOY_WATCH_MS,
            wait: false,
        }
    }
}

/// A request to return a context to its previous version or an older one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    pub context: String,
    /// The first digits of the hash of a version that served; `None`: the previous version.
    #[serde(default)]
    pub to: Option<String>,
    /// Restore the file from before its schema changed, and lose everything written since.
    #[serde(default)]
    pub restore: bool,
    /// Wait for a running change to end, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}

/// A whole system that the development loop asks for.
pub struct DesiredSystem {
    /// All of its contexts, including unchanged ones.
    pub specs: Vec<ContextSpec>,
    pub calls: HostCalls,
}

/// How thoroughly the steps check a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For a version that real visitors get.
    Full,
    /// For the development loop: where a deploy needs `--allow`, adds a note and does not refuse.
    Quick,
}
