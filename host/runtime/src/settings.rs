//! What a context runs with: its component, what it may import and use, its bounds.
//!
//! The runtime knows a context by these settings alone. How a component is built, which static files it serves and
//! where its entry stands in the manifest are not among them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use seam_store::ids::ContextName;
pub use seam_store::{Encryption, KeySource, Settings as StoreGrant};

/// All that the runtime is given: the contexts of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSettings {
    /// In the manifest's order, the variants after all contexts.
    pub contexts: Vec<ContextSettings>,
    pub recording: Recording,
}

/// One context, or one variant of a context. A generation whose settings are unchanged needs no successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSettings {
    pub name: ContextName,
    /// What this is called among the variants of its context; `main` unless the manifest says otherwise.
    pub variant: String,
    /// The history from which its variants learn.
    pub catch_up: Option<CatchUp>,
    /// `name=value` in the query of a request that followed a link from an answer of this context.
    pub clicks: Option<String>,
    /// The `.wasm` component.
    pub component: PathBuf,
    /// Whether `seam build` makes the component. Hints depend on it and nothing else.
    pub built: bool,
    /// The seams it may import, `namespace:package/interface`, with or without `@version`.
    pub imports: Vec<String>,
    pub store: Option<StoreGrant>,
    /// Parts of WASI it may import: "clocks", "random", "wasi".
    pub capabilities: Vec<String>,
    /// What `wasi:config` answers.
    pub config: BTreeMap<String, String>,
    /// The shared files whose values are part of `config`.
    pub shared: Vec<Shared>,
    /// `host:port` it may send requests to through `wasi:http`.
    pub outgoing: Vec<String>,
    pub limits: ContextLimits,
}

/// A history that another context keeps, page by page, and the function of this context that learns from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// The context that keeps the history.
    pub from: ContextName,
    /// Its `interface.function` of a cursor and a count.
    pub call: String,
    /// The `interface.function` of this context that takes a page. Only variants get pages; the main variant has other
    /// sources.
    pub into: String,
    /// The field of a record of the history that is its position there.
    pub cursor: String,
    /// Fields of the history that have another name in `into`: their names there.
    pub rename: BTreeMap<String, String>,
}

/// One shared file as one context got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    pub name: String,
    pub file: PathBuf,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextLimits {
    pub instance_memory_mb: u64,
    pub context_memory_mb: u64,
    pub concurrency: u32,
    pub queue: u32,
    /// The longest that one call into this context may take, however much time the caller has left.
    pub timeout: Duration,
    pub log_kb_per_s: u64,
}

/// Calls that are kept in memory, to be replayed against another version of their context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Calls of each context that are sampled in a second; 0: none.
    pub per_s: u32,
    /// Parameters, fields and headers whose values are never kept; those of `SECRETS` are among them.
    pub secrets: Vec<String>,
}

/// Names that are secret in every system.
const SECRETS: [&str; 7] = ["authorization", "card", "cookie", "password", "secret", "set-cookie", "token"];

impl Default for Recording {
    fn default() -> Self {
        Self { per_s: limits::RECORD_CALLS_PER_S, secrets: SECRETS.map(str::to_owned).into() }
    }
}
