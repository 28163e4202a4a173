//! The application: the only place that wires the parts together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::context::component::Compiler;
use crate::context::stats::Metrics;
use crate::context::{self, Linked, Registry, Source};
use crate::deploy::{self, Deployer, History};
use crate::http;
use crate::ids::ContextName;
use crate::limits;
use crate::manifest::{self, Manifest};
use crate::store::{HostFile, HostFileError};

/// A loaded system: every context has started, nothing listens yet.
pub struct App {
    pub manifest: Manifest,
    pub registry: Registry,
    pub deployer: Deployer,
    metrics: prometheus::Registry,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Contexts(#[from] context::Error),
    #[error(transparent)]
    Host(#[from] HostFileError),
    #[error(transparent)]
    Deploy(#[from] deploy::Error),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

impl App {
    /// Compiles and wires the manifest's components and touches nothing else: what `seam check` does beyond reading the manifest.
    ///
    /// # Errors
    /// Every problem of every context.
    pub fn check(manifest: &Manifest, compiler: Compiler) -> Result<Linked, Error> {
        Ok(Linked::load(manifest, compiler, &manifest.host.data.join("cache"))?)
    }

    /// Loads the whole system: afterwards every context answers.
    ///
    /// # Errors
    /// Every problem of every context. Files whose migration failed are as they were.
    pub fn load(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        let metrics = prometheus::Registry::new();
        let families = Metrics::new(&metrics)?;
        let data = &manifest.host.data;
        let history = History::new(Arc::new(HostFile::open(data)?))?;
        let deployed = deploy::sources(&manifest, &history)?;
        let linked = Linked::load_from(&manifest, compiler, &data.join("cache"), &|entry| of_entry(&deployed, entry))?;
        let registry = linked.start(&data.join("stores"), &families)?;
        let deployer = Deployer::new(registry.clone(), history, &manifest)?;
        Ok(Self { manifest, registry, deployer, metrics })
    }

    /// Binds the listen addresses. Clients can connect from here on, and are answered once the server runs.
    ///
    /// # Errors
    /// When an address, a certificate or an assets' folder cannot be used.
    pub fn bind(&self) -> Result<http::Server, Error> {
        Ok(http::Server::bind(http::Config::from_manifest(&self.manifest), self.registry.clone(), &self.metrics)?)
    }

    /// Serves until `shutdown` is ready and what runs has finished. `serving` is told the addresses with their real ports.
    ///
    /// # Errors
    /// Those of `bind`; once it serves, none.
    pub async fn serve(
        &self,
        shutdown: impl Future<Output = ()> + Send,
        serving: impl FnOnce(&[SocketAddr]),
    ) -> Result<(), Error> {
        let server = self.bind()?;
        serving(server.addresses());
        let tending = tokio::spawn(tend(self.registry.clone()));
        server.run(shutdown).await;
        tending.abort();
        Ok(())
    }
}

/// What was deployed, or what the manifest names.
fn of_entry(deployed: &HashMap<ContextName, Source>, entry: &manifest::Context) -> Source {
    deployed.get(&entry.name).cloned().unwrap_or_else(|| Source::of(entry))
}

/// What the contexts need from time to time.
async fn tend(registry: Registry) {
    let mut trim = tokio::time::interval(Duration::from_secs(limits::TRIM_INTERVAL_S));
    let mut drain = tokio::time::interval(Duration::from_millis(limits::DRAIN_LOOK_MS));
    loop {
        tokio::select! {
            _ = trim.tick() => registry.trim(),
            _ = drain.tick() => registry.tend(),
        }
    }
}

/// The runtime that everything runs on: its threads have stack for a whole chain of guests.
///
/// # Errors
/// When the system has no threads to give.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("seam")
        .thread_stack_size(limits::THREAD_STACK_KB << 10)
        .max_blocking_threads(limits::BLOCKING_THREADS_MAX)
        .build()
}
