//! The manifest `seam.toml`: which contexts make up the system and what each may do.
//!
//! Invariant: a `Manifest` value is consistent in itself. Its components are checked where they are loaded.
//! Every key, its default and its unit: `docs/manifest.md`.

use std::path::Path;

mod backup;
mod check;
mod context;
mod copies_check;
mod events;
mod feed_check;
mod feeds;
mod homes;
mod host_name;
mod hosts;
mod keys;
mod model;
mod network;
mod origins;
mod parse;
mod paths;
mod placement;
mod placement_check;
mod problem;
mod reconcile;
mod schedule;
mod shared;
mod standby;
mod standby_check;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod two_phase;
mod variant;

pub use backup::{BackupSettings, BackupTo};
pub use homes::NoHost;
pub use host_name::is_named;
pub use model::{
    Build, Context, DueTimes, Feed, FeedToken, Host, Http, Interval, LogFormat, Manifest, Missed, Mount, Ops, Places,
    ProxyHeader, Reconcile, RoutingKey, Schedule, Seed, Standby, Testers, Tls, TokenSecret, When, located,
};
pub use network::Network;
pub use origins::{Company, ORIGIN_HEADERS};
pub use placement::{Broker, Home, HostName, PlacedHost, Placement};
pub use problem::{Place, Problem, Problems};
pub use seam_runtime::settings::{ContextLimits, ContextSettings, Recording, Shared, SystemSettings};
pub use seam_store::{KeySource, Sealed, Settings as StoreGrant};
pub use shared::differing;

/// The name of a manifest unless `--manifest` gives another.
pub const FILE_NAME: &str = "seam.toml";

impl Manifest {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// All problems of the manifest together.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let unreadable =
            |message: String, remedy: &str| Problems::new(path, vec![Problem::new(Place::default(), message, remedy)]);
        let too_large = |bytes: u64| bytes > crate::limits::MANIFEST_BYTES_MAX;
        match std::fs::metadata(path) {
            Ok(file) if file.is_file() && too_large(file.len()) => {
                let max = crate::limits::MANIFEST_BYTES_MAX >> 10;
                return Err(unreadable(
                    format!("the file is larger than {max} KiB"),
                    "check that this is the manifest",
                ));
            }
            Ok(_) => {}
            Err(error) => {
                let remedy = "change to the folder of a `seam.toml`, name one with `--manifest FILE`, or make a \
                              project with `seam new NAME`";
                return Err(unreadable(format!("cannot read the file: {error}"), remedy));
            }
        }
        match seam_store::text::read(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => Err(unreadable(format!("cannot read the file: {error}"), "save it as UTF-8 text")),
        }
    }

    /// Reads and checks it again, as the same host runs it.
    ///
    /// # Errors
    /// As `load`, and when it no longer has that host.
    pub fn reload(&self) -> Result<Self, Problems> {
        let manifest = Self::load(&self.path)?;
        let Some(this) = &self.placement.this else { return Ok(manifest) };
        let gone = |error: NoHost| {
            Problems::new(&self.path, vec![Problem::new(Place::default(), error.to_string(), error.remedy())])
        };
        manifest.on(this.as_str()).map_err(gone)
    }

    /// Checks `text` as if it were the file at `path`, which need not exist.
    ///
    /// # Errors
    /// All problems of the manifest together.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let document = table::Document::new(text);
        let syntax = document.parse();
        let manifest = parse::manifest(&document, &syntax, path);
        check::check(&document, &manifest);
        let problems = document.into_problems();
        if problems.is_empty() { Ok(manifest.manifest) } else { Err(Problems::new(path, problems)) }
    }
}
