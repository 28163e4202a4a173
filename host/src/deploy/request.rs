//! What an operator or the development loop asks for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits;
use seam_runtime::component::ContextSpec;
use seam_store::ids::ContextName;

/// A component file that is to serve, and how it is checked before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub context: String,
    /// Absolute: the host has a folder of its own.
    pub file: PathBuf,
    /// What the new version may import though the one that serves does not, by name, and `irreversible`.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Also refuse a version that gives another answer to a recorded call.
    #[serde(default)]
    pub strict: bool,
    /// How long the new version is on probation once it serves; 0: not at all.
    pub watch_ms: u64,
    /// Wait for a change that is running, instead of being refused.
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
            watch_ms: limits::DEPLOY_WATCH_MS,
            wait: false,
        }
    }
}

/// A context that is to be served by the version before, or by an older one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    pub context: String,
    /// The first digits of the hash of a version that served; `None`: the one before.
    #[serde(default)]
    pub to: Option<String>,
    /// Put the file back to what it was before its schema changed, and lose what was written since.
    #[serde(default)]
    pub restore: bool,
    /// Wait for a change that is running, instead of being refused.
    #[serde(default)]
    pub wait: bool,
}

/// A whole system as the development loop wants it.
pub struct DesiredSystem {
    /// All of its contexts, those that serve already among them.
    pub specs: Vec<ContextSpec>,
    /// Contexts that are to serve HTTP.
    pub mounted: Vec<ContextName>,
}

/// How much of a new version is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything, for a version that customers get.
    Full,
    /// For a developer at work: what a deploy needs `--allow` for is noted and not refused.
    Quick,
}
