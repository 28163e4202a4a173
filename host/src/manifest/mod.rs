//! The manifest `seam.toml`: which contexts make up the system and what each may do.
//!
//! Invariant: a `Manifest` that exists is consistent in itself; what its components say is checked where they are loaded.
//! Every key, its default and its unit: `docs/manifest.md`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ids::ContextName;

mod check;
mod context;
mod parse;
mod problem;
mod shared;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod variant;

pub use problem::{Place, Problem, Problems, nearest};
pub use seam_store::{Encryption, KeySource, Settings as StoreGrant};
pub use shared::{Shared, differing};

/// What a manifest is called when nobody says otherwise.
pub const FILE_NAME: &str = "seam.toml";

/// A whole manifest, checked for everything that can be checked without opening a component.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file it was read from; every relative path in it starts in its folder.
    pub path: PathBuf,
    pub host: Host,
    pub http: Http,
    pub recording: Recording,
    /// In the manifest's order, the variants after all entries.
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
    /// Answer `/healthz`, `/readyz` and `/metrics` beside the mounts.
    pub ops: bool,
    /// The format on standard error; the files in the data folder are JSON lines always.
    pub log: LogFormat,
    /// What is logged: `info`, `debug`, ... or a filter as in `RUST_LOG`.
    pub log_level: String,
    /// Days for which log files are kept, one file a day.
    pub log_days: usize,
}

/// `[http]`: bounds of the edge; the reasons for their defaults stand in `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub connections: usize,
    pub header_time: Duration,
    pub header_bytes: usize,
    pub header_count: usize,
    pub body_bytes: usize,
    pub body_time: Duration,
    pub idle_time: Duration,
    pub drain_time: Duration,
    /// What tells one visitor from another, for routing between variants; the first that a request has counts.
    pub routing_key: Vec<RoutingKey>,
    /// Let a request choose its variants by header or cookie.
    pub force_variants: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingKey {
    /// Also under its name over TLS, `__Host-NAME`.
    Cookie(String),
    /// In lower case.
    Header(String),
}

/// `[recording]`: calls that are kept in memory, to be replayed against another version of their context.
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
        Self { per_s: crate::limits::RECORD_CALLS_PER_S, secrets: SECRETS.map(str::to_owned).into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// `[context.NAME]`. Two are equal when they say the same, wherever they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    pub name: ContextName,
    /// What this is called among the variants of its context; `main` unless the entry says otherwise.
    pub variant: String,
    /// What its variants learn from before they answer, and ever after.
    pub catch_up: Option<CatchUp>,
    /// `name=value` in the query of a request that came from an answer of this context.
    pub clicks: Option<String>,
    /// Where its entry and each of its keys stand, for problems found later.
    pub places: Places,
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
    /// The shared files whose values are part of `config`.
    pub shared: Vec<Shared>,
    /// `host:port` it may send requests to through `wasi:http`.
    pub outgoing: Vec<String>,
    /// Static files served below its mount at `/assets/`.
    pub assets: Option<PathBuf>,
    /// The folder of its scenarios, which need not be there.
    pub scenarios: PathBuf,
    pub limits: Limits,
}

/// `catch_up`: a history that another context keeps, page by page, and the function of this one that takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// The context that keeps it.
    pub from: ContextName,
    /// Its `interface.function` of a cursor and a count.
    pub call: String,
    /// The `interface.function` of this context that takes a page; the main variant is told by others.
    pub into: String,
    /// The field of a record of the history that is its place in it.
    pub cursor: String,
    /// Fields of the history that are called something else in `into`: their names there.
    pub rename: BTreeMap<String, String>,
}

/// Where the parts of one context's entry stand.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `[context.NAME]` itself.
    pub entry: Place,
    parts: BTreeMap<String, Place>,
}

/// Where something stands is no part of what it says.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Places {
    /// The place of a key (`component`) or of an import, with or without its version; the entry's when it has none of its own.
    pub fn of(&self, part: &str) -> Place {
        let path = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let same_path = || self.parts.iter().find(|(name, _)| path(name) == path(part)).map(|(_, place)| place);
        self.parts.get(part).or_else(same_path).copied().unwrap_or(self.entry)
    }
}

/// How `seam build` makes the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A crate of the surrounding Cargo workspace.
    Cargo { package: String },
    /// A command that writes the component itself, run in the manifest's folder; `sources` are what it depends on.
    Command { command: String, sources: Vec<PathBuf> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// How long a request through this mount may take.
    pub timeout: Duration,
}

/// `[[seed]]`: rows that `seam seed` feeds through a context's own interface.
#[derive(Debug, Clone)]
pub struct Seed {
    pub context: ContextName,
    /// `interface.function` that takes one list.
    pub call: String,
    /// JSON lines (`.jsonl`) or CSV with a header (`.csv`).
    pub file: PathBuf,
    pub place: Place,
}

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, together.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let unreadable =
            |message: String, remedy: &str| Problems::new(path, vec![Problem::new(Place::default(), message, remedy)]);
        let too_large = |bytes: u64| bytes > crate::limits::MANIFEST_BYTES_MAX;
        match std::fs::metadata(path) {
            Ok(file) if file.is_file() && too_large(file.len()) => {
                let max = crate::limits::MANIFEST_BYTES_MAX >> 10;
                return Err(unreadable(format!("is larger than {max} KiB"), "is this the right file?"));
            }
            Ok(_) => {}
            Err(error) => {
                let remedy = "go to the folder of a `seam.toml`, or name one with `--manifest FILE`";
                return Err(unreadable(format!("cannot be read: {error}"), remedy));
            }
        }
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => Err(unreadable(format!("cannot be read: {error}"), "a manifest is a file of UTF-8 text")),
        }
    }

    /// The same for a text that stands at `path`, which it need not.
    ///
    /// # Errors
    /// Everything that is wrong with it, together.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let document = table::Document::new(text);
        let syntax = document.parse();
        let manifest = parse::manifest(&document, &syntax, path);
        check::check(&document, &manifest);
        let problems = document.into_problems();
        if problems.is_empty() { Ok(manifest.manifest) } else { Err(Problems::new(path, problems)) }
    }

    /// The contexts without their variants.
    pub fn entries(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter().filter(|context| context.name.variant().is_none())
    }

    /// The context, or the variant (`context@variant`), of this name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|context| context.name.as_str() == name)
    }

    /// The folder in which all its relative paths start.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}
