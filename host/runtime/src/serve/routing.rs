//! Decides which variant of a context gets a call: by the shares that were set, and by how far each variant has caught
//! up.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use seam_store::ids::{ContextName, interface_path};
use seam_store::{HostFile, HostFileError, Source};

use super::load::Absent;
use crate::pretend::Pretences;
use crate::remote::{Carrier, Here};
use crate::route::{Readiness, Shadows, StoredShares};
use crate::run::{Generation, Metrics};

pub(crate) struct Routing {
    /// Carries calls to contexts that live on other hosts.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// The newest set, once there is one.
    pub here: Arc<OnceLock<Arc<Here>>>,
    pub shares: StoredShares,
    pub shadows: Arc<Shadows>,
    pub metrics: Metrics,
    /// The edges whose calls are pretended to cross hosts.
    pub pretences: Pretences,
    /// The variants of the manifest that are not loaded.
    pub absent: Mutex<Vec<Absent>>,
    readiness: Mutex<HashMap<ContextName, Arc<Readiness>>>,
}

impl Routing {
    /// # Errors
    /// When the shares that were stored cannot be read.
    pub fn open(
        host: Arc<HostFile>,
        metrics: Metrics,
        carrier: Option<Arc<dyn Carrier>>,
    ) -> Result<Self, HostFileError> {
        let (shares, shadows, pretences) = (StoredShares::open(host)?, Arc::default(), Pretences::default());
        let (here, absent, readiness) = (Arc::default(), Mutex::default(), Mutex::default());
        Ok(Self { carrier, here, shares, shadows, metrics, pretences, absent, readiness })
    }

    /// Finds who serves a context in the newest set, whenever it is asked.
    pub fn here(&self) -> Arc<Here> {
        let newest = self.here.clone();
        Arc::new(move |context| newest.get().and_then(|here| here(context)))
    }

    /// How far `generation` has caught up with the events of `generations`. What is no variant, and what subscribes to
    /// nothing, is ready.
    pub fn readiness(&self, generation: &Generation, generations: &[Arc<Generation>]) -> Arc<Readiness> {
        let learns = generation.spec().settings.learns_again();
        let Some(database) = generation.database().filter(|_| learns) else { return Arc::new(Readiness::new(true)) };
        let stored = || {
            // A variant whose file cannot be read now does not count as caught up.
            let ready = sources(generation, generations).all(|source| database.caught_up(&source).unwrap_or(false));
            Arc::new(Readiness::new(ready))
        };
        self.readiness.lock().entry(generation.context().clone()).or_insert_with(stored).clone()
    }

    pub fn readiness_of(&self, variant: &str) -> Option<Arc<Readiness>> {
        self.readiness.lock().get(variant).cloned()
    }
}

/// Whose events `subscriber` gets.
pub(super) fn sources<'g>(
    subscriber: &'g Generation,
    generations: &'g [Arc<Generation>],
) -> impl Iterator<Item = Source> + 'g {
    subscriber.spec().settings.subscribes.iter().flat_map(move |subscription| {
        let interface = interface_path(&subscription.interface);
        publishers(generations, interface)
            .map(move |other| Source { publisher: other.context().to_string(), interface: interface.to_owned() })
    })
}

/// The contexts that publish `interface`, variants included.
pub(crate) fn publishers<'g>(
    generations: &'g [Arc<Generation>],
    interface: &'g str,
) -> impl Iterator<Item = &'g Arc<Generation>> {
    generations.iter().filter(move |generation| {
        let publishes = &generation.spec().settings.publishes;
        publishes.iter().any(|publication| interface_path(&publication.interface) == interface_path(interface))
    })
}
