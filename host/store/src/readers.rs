//! The connections that read one file: a bounded pool, each `query_only`, each statement a snapshot of its own.
//!
//! The connection used last is given out first: its caches are warm, and the others stay unused.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::config::Config;
use crate::connection::{Connection, Role};
use crate::error::{self, Error};
use crate::health::Health;
use crate::lane::Lane;
use crate::open::{OpenError, open};
use crate::{blocking, limits};

pub(super) struct Readers {
    config: Config,
    health: Arc<Health>,
    pool: Mutex<Pool>,
    free: Condvar,
    lane: Arc<Lane>,
}

struct Pool {
    idle: Vec<Connection>,
    /// Idle ones and those in use.
    open: usize,
}

/// A connection while one statement runs on it.
pub(super) struct Reader<'r> {
    readers: &'r Readers,
    /// `None` once it is found broken.
    connection: Option<Connection>,
}

impl Readers {
    /// Opens the first connection at once: its errors show at start-up, and the first page does not wait for it.
    pub fn open(config: Config, health: Arc<Health>) -> Result<Self, OpenError> {
        let lane = Lane::new(config.clock.clone());
        let first = open_in(&lane, &config)?;
        let pool = Mutex::new(Pool { idle: vec![first], open: 1 });
        Ok(Self { config, health, pool, free: Condvar::new(), lane })
    }

    /// Closes the connections that read nothing now; after `Health::close`, the others follow when they have read. How
    /// many those are.
    pub fn close(&self) -> usize {
        let mut pool = self.pool.lock();
        pool.open -= pool.idle.len();
        pool.idle.clear();
        pool.open
    }

    pub fn count(&self) -> usize {
        self.pool.lock().open
    }

    /// Runs `look` on each connection that reads nothing now.
    pub fn each_idle(&self, look: impl FnMut(&Connection)) {
        self.pool.lock().idle.iter().for_each(look);
    }

    pub fn get(&self, deadline: Instant) -> Result<Reader<'_>, Error> {
        self.health.usable()?;
        let mut pool = self.pool.lock();
        if pool.idle.is_empty() && pool.open >= limits::STORE_READERS_MAX {
            drop(pool);
            pool = blocking::block_in_place(|| self.wait(deadline))?;
        }
        if let Some(connection) = pool.idle.pop() {
            return Ok(Reader { readers: self, connection: Some(connection) });
        }
        pool.open += 1;
        drop(pool);
        // From here on the guard's Drop keeps the count right.
        let mut reader = Reader { readers: self, connection: None };
        // By its path: that must still name the file.
        self.health.look(false)?;
        let opened = open_in(&self.lane, &self.config);
        reader.connection = Some(opened.map_err(|e| Error::Unavailable(error::chain(&e)))?);
        Ok(reader)
    }

    /// Waits until a connection is idle or another one may be opened.
    fn wait(&self, deadline: Instant) -> Result<parking_lot::MutexGuard<'_, Pool>, Error> {
        let mut pool = self.pool.lock();
        while pool.idle.is_empty() && pool.open >= limits::STORE_READERS_MAX {
            if self.config.clock.wait_until(&self.free, &mut pool, deadline) {
                return Err(Error::Busy(format!("all {} readers are busy", limits::STORE_READERS_MAX)));
            }
        }
        Ok(pool)
    }
}

fn open_in(lane: &Arc<Lane>, config: &Config) -> Result<Connection, OpenError> {
    let connection = open(config, Role::Reader)?;
    connection.guard().share(lane.clone());
    Ok(connection)
}

impl Reader<'_> {
    /// Closes the connection instead of giving it back.
    pub fn discard(mut self) {
        self.connection = None;
    }

    pub fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or_else(|| Error::Unavailable("the connection was closed".to_owned()))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock();
        match self.connection.take() {
            Some(connection) if !self.readers.health.is_closed() => pool.idle.push(connection),
            _ => pool.open -= 1,
        }
        drop(pool);
        self.readers.free.notify_one();
    }
}
