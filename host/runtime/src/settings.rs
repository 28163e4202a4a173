//! The settings of a context: its component, its grants and its limits.
//!
//! The runtime knows nothing else about a context. Not here: how a component is built, the static files it serves, the
//! position of its entry in the manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use seam_store::ids::ContextName;

use crate::limits;
pub use seam_store::{KeySource, Sealed, Settings as StoreGrant};

/// The contexts of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSettings {
    /// In the order of the manifest; variants come after all contexts.
    pub contexts: Vec<ContextSettings>,
    pub recording: Recording,
}

/// One context, or one variant of a context. A generation whose settings are unchanged is not replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSettings {
    pub name: ContextName,
    /// Its name among the variants of its context; `main` unless the manifest says otherwise.
    pub variant: String,
    /// `name=value`: a request with this in its query followed a link in a page of this context.
    pub clicks: Option<String>,
    /// The `.wasm` component.
    pub component: PathBuf,
    /// Whether `seam build` builds the component. Only hints depend on it.
    pub built: bool,
    /// The seams that it may import: `namespace:package/interface`, with or without `@version`.
    pub imports: Vec<String>,
    /// The events interfaces that it may import: its calls of their functions are delivered later.
    pub publishes: Vec<Publication>,
    /// The events interfaces that it exports and that the host calls.
    pub subscribes: Vec<Subscription>,
    pub store: Option<StoreGrant>,
    /// The contexts that may take part in transactions that it begins over several files; empty: it begins none.
    pub two_phase: Vec<ContextName>,
    /// What it may import of the host: "attempts", and the parts of WASI "clocks", "random", "wasi".
    pub capabilities: Vec<String>,
    /// The values that `wasi:config` returns.
    pub config: BTreeMap<String, String>,
    /// The shared files whose values are part of `config`.
    pub shared: Vec<Shared>,
    /// The `host:port` pairs to which it may send requests through `wasi:http`.
    pub outgoing: Vec<String>,
    pub limits: ContextLimits,
    /// The other host on which it lives; `None`: this one.
    pub at: Option<String>,
    /// The token of its file's owner, if it has moved since the manifest placed it; 0: it has not.
    pub token: u64,
}

/// `at` of a context that has copies on other hosts, behind a broker, and none here. No host is called so.
pub const BROKER: &str = "broker";

impl ContextSettings {
    /// Whether its file can be made again from the events that it subscribes to: the file of a variant, which holds
    /// nothing else.
    pub fn learns_again(&self) -> bool {
        self.name.variant().is_some() && !self.subscribes.is_empty()
    }
}

/// An interface whose calls are delivered later: who imports it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// `namespace:package/interface`, with or without `@version`.
    pub interface: String,
    /// The argument, or the field of one, by which order is kept: `order`, `event.order`. `None`: no order is kept when
    /// an event has to be tried again.
    pub key: Option<String>,
    /// The argument, or the field of one, that says when an event is due, in seconds since 1970: it is a timer until
    /// then. `None`: events are published at once.
    pub due: Option<String>,
    /// How long an event is kept after it was published; `None`: for ever. It is kept until every subscriber has it.
    pub keep: Option<Duration>,
}

/// An events interface from which the host delivers to this context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// `namespace:package/interface`, with or without `@version`.
    pub interface: String,
    /// How many events may share a commit.
    pub batch: u32,
    /// How often an event is tried before it is a dead letter.
    pub tries: u32,
    /// The longest pause between two tries.
    pub pause_max: Duration,
}

/// A shared file, at the version that this context uses.
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
    /// How many of the calls may be in one and the same callee; `None`: half of `concurrency`.
    pub per_callee: Option<u32>,
    /// The most time for one call into this context, even when the caller has more time left.
    pub timeout: Duration,
    pub log_kb_per_s: u64,
}

impl ContextLimits {
    /// How many of the calls may be in one and the same callee. With half of them, no callee alone stops the caller.
    pub fn per_callee(&self) -> u32 {
        self.per_callee.unwrap_or(self.concurrency.div_ceil(2))
    }
}

/// Which calls the host keeps in memory, to replay them against another version of their context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Sampled calls of each context in a second; 0: none.
    pub per_s: u32,
    /// Names of parameters, fields and headers whose values are never kept; `SECRETS` are among them.
    pub secrets: Vec<String>,
}

/// Names that are secret in every system.
const SECRETS: [&str; 7] = ["authorization", "card", "cookie", "password", "secret", "set-cookie", "token"];

impl Default for Recording {
    fn default() -> Self {
        Self { per_s: limits::RECORD_CALLS_PER_S, secrets: SECRETS.map(str::to_owned).into() }
    }
}
