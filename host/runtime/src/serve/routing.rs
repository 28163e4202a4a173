//! Decides which variant of a context gets a call: by the shares that were set, and by how far each variant has caught
//! up.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Cursor, HostFile, HostFileError};

use super::load::Absent;
use crate::route::{self, Notify, Readiness, Shadows, StoredShares};
use crate::run::{Generation, Metrics};
use crate::settings::CatchUp;

pub(crate) struct Routing {
    pub shares: StoredShares,
    pub shadows: Arc<Shadows>,
    pub metrics: Metrics,
    /// The variants of the manifest that are not loaded.
    pub absent: Mutex<Vec<Absent>>,
    /// Notified when a context that has variants has learned something.
    pub learned: Arc<Notify>,
    readiness: Mutex<HashMap<ContextName, Arc<Readiness>>>,
}

impl Routing {
    /// # Errors
    /// When the shares that were stored cannot be read.
    pub fn open(host: Arc<HostFile>, metrics: Metrics, clock: Clock) -> Result<Self, HostFileError> {
        let (shares, shadows) = (StoredShares::open(host)?, Arc::default());
        Ok(Self {
            shares,
            shadows,
            metrics,
            absent: Mutex::default(),
            learned: Arc::new(Notify::new(clock)),
            readiness: Mutex::default(),
        })
    }

    /// How far `generation` has read the history that its context learns from. A context without one is ready.
    pub fn readiness(&self, generation: &Generation, catch_up: Option<&CatchUp>) -> Arc<Readiness> {
        let follows = generation.context().variant().and(catch_up).zip(generation.database());
        let Some((catch_up, database)) = follows else { return Arc::new(Readiness::new(true)) };
        let stored = || {
            // A variant whose file cannot be read now does not count as caught up.
            let cursor = Cursor::read(database, &route::cursor_name(catch_up)).unwrap_or_default();
            Arc::new(Readiness::new(cursor.caught_up))
        };
        self.readiness.lock().entry(generation.context().clone()).or_insert_with(stored).clone()
    }
}
