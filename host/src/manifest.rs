//! The manifest `seam.toml`: which contexts make up the system and what each may do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::ids::ContextName;

/// A whole manifest, checked for everything that can be checked without opening a component.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file it was read from; every relative path in it starts in its folder.
    pub path: PathBuf,
    pub host: Host,
    /// In the manifest's order; a `ContextIndex` is a position in it.
    pub contexts: Vec<Context>,
    pub mounts: Vec<Mount>,
    pub seeds: Vec<Seed>,
}

/// `[host]`
#[derive(Debug, Clone)]
pub struct Host {
    pub listen: Vec<SocketAddr>,
    /// Where databases, compiled components and logs go. Never shared between two running hosts.
    pub data: PathBuf,
    pub tls: Option<Tls>,
    pub log: LogFormat,
}

#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// `[context.NAME]`
#[derive(Debug, Clone)]
pub struct Context {
    pub name: ContextName,
    /// Its line in the manifest, for problems found later.
    pub line: usize,
    /// The `.wasm` component.
    pub component: PathBuf,
    pub build: Option<Build>,
    /// The seams it may import, `namespace:package/interface`, with or without `@version`.
    pub imports: Vec<String>,
    pub store: Option<StoreGrant>,
    /// Parts of WASI it may import: "clocks", "random", "wasi".
    pub capabilities: Vec<String>,
    /// What `wasi:config` answers.
    pub config: BTreeMap<String, String>,
    /// `host:port` it may send requests to through `wasi:http`.
    pub outgoing: Vec<String>,
    /// Static files served below its mount at `/assets/`.
    pub assets: Option<PathBuf>,
    pub limits: Limits,
}

#[derive(Debug, Clone)]
pub struct StoreGrant {
    pub encrypted: bool,
    /// Size the file may grow to.
    pub max_mb: u64,
}

/// How `seam build` makes the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A crate of the surrounding Cargo workspace.
    Cargo { package: String },
    /// A command that writes the component itself, run in the manifest's folder; `sources` are what it depends on.
    Command { command: String, sources: Vec<PathBuf> },
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub instance_memory_mb: u64,
    pub context_memory_mb: u64,
    pub concurrency: u32,
    pub queue: u32,
    /// The longest that one call into this context may take, whatever the caller has left.
    pub timeout: Duration,
    pub log_kb_per_s: u64,
}

/// `[[mount]]`
#[derive(Debug, Clone)]
pub struct Mount {
    /// `/` or `/shop`: no slash at the end but for the root.
    pub path: String,
    pub context: ContextName,
}

/// `[[seed]]`: rows that `seam seed` feeds through a context's own interface.
#[derive(Debug, Clone)]
pub struct Seed {
    pub context: ContextName,
    /// `interface.function` that takes one list.
    pub call: String,
    /// JSON lines or CSV.
    pub file: PathBuf,
}
