//! The manifest's parts as Rust types, with their defaults filled in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seam_runtime::component::ContextProblem;
use seam_runtime::settings::{ContextSettings, Recording, SystemSettings};
use seam_store::ids::{ContextName, interface_path};

use super::backup::BackupSettings;
use super::network::Network;
use super::placement::{Home, HostName, Placement};
use super::problem::{Place, Problem};
use crate::cron::Cron;

/// A whole manifest, checked as far as possible without its components.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file it was read from. Relative paths in it start in its folder.
    pub path: PathBuf,
    pub host: Host,
    /// `[hosts]`: where the contexts live.
    pub placement: Placement,
    pub http: Http,
    pub recording: Recording,
    /// `[backup]`
    pub backup: Option<BackupSettings>,
    /// In the manifest's order, the variants after all entries.
    pub contexts: Vec<Context>,
    pub mounts: Vec<Mount>,
    pub feeds: Vec<Feed>,
    pub seeds: Vec<Seed>,
    pub schedules: Vec<Schedule>,
    pub reconciles: Vec<Reconcile>,
}

/// `[host]`
#[derive(Debug, Clone)]
pub struct Host {
    pub listen: Vec<SocketAddr>,
    /// The folder of databases, compiled components and logs. Two running hosts never share it.
    pub data: PathBuf,
    pub tls: Option<Tls>,
    /// Who may ask for `/healthz`, `/readyz` and `/metrics`.
    pub ops: Ops,
    /// The format on standard error. The files in the data folder are always JSON lines.
    pub log: LogFormat,
    /// What is logged: `info`, `debug`, ... or a filter as in `RUST_LOG`.
    pub log_level: String,
    /// Days for which log files are kept.
    pub log_days: usize,
    /// MiB that all log files may have together; the oldest go first.
    pub log_mb: u32,
}

/// Who may ask for the pages of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ops {
    /// The host does not answer them.
    Off,
    /// This machine, on every address.
    Loopback,
    /// Every client, on every address.
    Public,
    /// Every client of this address, which answers nothing else and speaks no TLS.
    Address(SocketAddr),
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
    /// The proxies that may say who the client of a request is.
    pub trusted_proxies: Vec<Network>,
    /// The header by which they say it; `None`: whichever they send.
    pub proxy_header: Option<ProxyHeader>,
    /// What tells one visitor from another, for routing between variants: the first of these that a request has.
    pub routing_key: Vec<RoutingKey>,
    /// For how many days browsers remember that a host is reached over TLS alone; 0: they are not asked to.
    pub hsts_days: u32,
    /// Whose requests may choose their variants, by header or cookie.
    pub force_variants: Testers,
}

/// The clients that may choose their variants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Testers {
    #[default]
    None,
    Everyone,
    /// Those with an address in one of these networks.
    Of(Vec<Network>),
}

/// A header in which a proxy names the client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// With `X-Forwarded-Proto`.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingKey {
    /// Also under its name over TLS, `__Host-NAME`.
    Cookie(String),
    /// In lower case.
    Header(String),
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

/// `[context.NAME]`
#[derive(Debug, Clone)]
pub struct Context {
    /// What it runs with; the rest is for the tools around the runtime.
    pub settings: ContextSettings,
    /// The host on which its entry has it live. A variant has none of its own.
    pub at: Option<Home>,
    /// Which host takes its file over, if one does. A variant has none of its own.
    pub standby: Option<Standby>,
    pub build: Option<Build>,
    /// Static files served below its mount at `/assets/`.
    pub assets: Option<PathBuf>,
    /// The folder of its scenarios, which may be missing.
    pub scenarios: PathBuf,
    /// Where its entry and each of its keys stand, for problems found later.
    pub places: Places,
}

/// What a context asks for beyond its own host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// The host that takes the file over.
    pub host: Option<HostName>,
    /// For how long the lease of the owner is not renewed before it is taken.
    pub takeover: Duration,
    /// Whether a commit is acknowledged only once the store of backups has it.
    pub replicated: bool,
}

/// The places of one context's entry and its keys.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `[context.NAME]` itself.
    pub entry: Place,
    pub(super) parts: BTreeMap<String, Place>,
}

impl Places {
    /// The place of a key (`component`) or of an import, with or without its version; the entry's place if it has no
    /// such key.
    pub fn of(&self, part: &str) -> Place {
        let is_same = |name: &str| interface_path(name) == interface_path(part);
        let same_path = || self.parts.iter().find(|(name, _)| is_same(name)).map(|(_, place)| place);
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

/// `[[mount]]`
#[derive(Debug, Clone)]
pub struct Mount {
    /// The name that requests must be for, in lower case; `None`: any that no other mount has.
    pub host: Option<String>,
    /// `/` or `/shop`: no slash at the end but for the root.
    pub path: String,
    pub context: ContextName,
    /// How long a request through this mount may take.
    pub timeout: Duration,
    /// The names of the cookies that it may see and set; `None`: all of an origin of its own, none of a shared one.
    pub cookies: Option<Vec<String>>,
    /// Those of `ORIGIN_HEADERS` that it may send although it shares its origin.
    pub headers: Vec<String>,
}

impl Mount {
    /// `/shop` or `shop.example/`, for messages.
    pub fn address(&self) -> String {
        format!("{}{}", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

/// `[[feed]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub context: ContextName,
    /// The name that requests must be for, in lower case; `None`: any.
    pub host: Option<String>,
    /// The paths of the interfaces whose events it has, without a version.
    pub interfaces: Vec<String>,
    /// Whether it answers other machines without TLS.
    pub plain_http: bool,
    pub tokens: Vec<FeedToken>,
}

/// A secret by which a reader may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedToken {
    /// For messages and the log.
    pub name: String,
    pub secret: TokenSecret,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSecret {
    /// The file with the token.
    File(PathBuf),
    /// The SHA-256 of the token.
    Sha256([u8; 32]),
}

impl Feed {
    /// Where the feed of a context is.
    pub fn path(context: &ContextName) -> String {
        format!("/feeds/{context}")
    }
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

/// `[[schedule]]`: a function that the host calls by time.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub context: ContextName,
    /// `interface.function` without parameters.
    pub call: String,
    pub when: When,
    pub place: Place,
}

/// `[[reconcile]]`: a total on which the host has contexts agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The name of a total that at least two contexts declare.
    pub total: String,
    /// How often the host looks.
    pub every: Duration,
    /// How long contexts must disagree on a key, at each look, before the host says so.
    pub after: Duration,
    /// The context that is asked to mend.
    pub mend: Option<ContextName>,
    pub place: Place,
    pub mend_place: Place,
}

/// When the function of a schedule is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    Every(Interval),
    Due(DueTimes),
}

/// A call so long after the last one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub every: Duration,
    /// Whether the function runs in one transaction with the mark that it ran.
    pub transaction: bool,
}

/// Times of day at which a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimes {
    pub cron: Cron,
    pub missed: Missed,
    /// Whether the function runs in one transaction with the mark that its due time is done.
    pub transaction: bool,
}

/// What becomes of due times at which the host was down or busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// One run for each, in order.
    Each,
    /// One run for all of them.
    Once,
    /// None.
    Skip,
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(Interval { every, .. }) => write!(f, "every {} s", every.as_secs()),
            Self::Due(due) => due.cron.fmt(f),
        }
    }
}

impl Schedule {
    /// What tells it from the other schedules of its context. With another line or zone it is another schedule.
    pub fn name(&self) -> String {
        format!("{} {}", self.call, self.when)
    }
}

impl Manifest {
    /// The part of a context's places that is its first `[[mount]]`.
    pub const MOUNT_PART: &str = "[[mount]]";

    /// The part of a context's places that is the `[[seed]]` with this file.
    pub fn seed_part(file: &Path) -> String {
        format!("[[seed]] {}", file.display())
    }

    /// The part of a context's places that is the `[[schedule]]` of this function.
    pub fn schedule_part(call: &str) -> String {
        format!("[[schedule]] {call}")
    }

    /// The part of a context's places that is the `mend` of the `[[reconcile]]` of this total.
    pub fn reconcile_part(total: &str) -> String {
        format!("[[reconcile]] {total}")
    }

    /// A problem of one of its contexts, with the place that it concerns.
    pub fn located(&self, problem: &ContextProblem) -> Problem {
        located(&self.contexts, problem)
    }

    /// What the runtime is to run.
    pub fn system(&self) -> SystemSettings {
        let contexts = self.contexts.iter().map(|context| context.settings.clone()).collect();
        SystemSettings { contexts, recording: self.recording.clone() }
    }

    /// The contexts without their variants.
    pub fn entries(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter().filter(|context| context.settings.name.variant().is_none())
    }

    /// The context, or the variant (`context@variant`), of this name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|context| context.settings.name.as_str() == name)
    }

    /// The folder in which all its relative paths start.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

/// A problem of one of `contexts`, with the place that it concerns.
pub fn located(contexts: &[Context], problem: &ContextProblem) -> Problem {
    let entry = contexts.iter().find(|context| context.settings.name == problem.context);
    let place = entry.map_or(Place::default(), |context| context.places.of(&problem.part));
    Problem::new(place, problem.message.clone(), problem.remedy.clone())
}
