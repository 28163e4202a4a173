//! The connections that read one file: a bounded pool, each `query_only`, each statement a snapshot of its own.
//!
//! The one used last is given out first: its caches are warm, and what a quiet hour leaves unused stays closed.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Error;
use super::connection::{Config, Link, OpenError, Role};
use crate::{handoff, limits};

pub(super) struct Readers {
    config: Config,
    pool: Mutex<Pool>,
    free: Condvar,
}

struct Pool {
    idle: Vec<Link>,
    /// Idle ones and those that are out.
    open: usize,
}

/// A connection while one statement runs on it.
pub(super) struct Reader<'r> {
    readers: &'r Readers,
    /// `None` once it is found broken.
    link: Option<Link>,
}

impl Readers {
    /// The first connection is opened at once: what is wrong shows at start-up, and the first page does not wait for it.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let first = Link::open(&config, Role::Reader)?;
        Ok(Self { config, pool: Mutex::new(Pool { idle: vec![first], open: 1 }), free: Condvar::new() })
    }

    pub fn count(&self) -> usize {
        self.pool.lock().open
    }

    /// What `look` sees on each connection that reads nothing now.
    pub fn each_idle(&self, look: impl FnMut(&Link)) {
        self.pool.lock().idle.iter().for_each(look);
    }

    pub fn get(&self, deadline: Instant) -> Result<Reader<'_>, Error> {
        let mut pool = self.pool.lock();
        if pool.idle.is_empty() && pool.open >= limits::STORE_READERS_MAX {
            drop(pool);
            pool = handoff::blocking(|| self.wait(deadline))?;
        }
        if let Some(link) = pool.idle.pop() {
            return Ok(Reader { readers: self, link: Some(link) });
        }
        pool.open += 1;
        drop(pool);
        // From here on the guard's Drop keeps the count right.
        let mut reader = Reader { readers: self, link: None };
        let link = Link::open(&self.config, Role::Reader);
        reader.link = Some(link.map_err(|e| Error::Unavailable(e.to_string()))?);
        Ok(reader)
    }

    /// Until a connection is idle or one more may be opened.
    fn wait(&self, deadline: Instant) -> Result<parking_lot::MutexGuard<'_, Pool>, Error> {
        let mut pool = self.pool.lock();
        while pool.idle.is_empty() && pool.open >= limits::STORE_READERS_MAX {
            if self.free.wait_until(&mut pool, deadline).timed_out() {
                return Err(Error::Busy(format!("all {} readers are busy", limits::STORE_READERS_MAX)));
            }
        }
        Ok(pool)
    }
}

impl Reader<'_> {
    /// The connection is closed instead of given back.
    pub fn discard(mut self) {
        self.link = None;
    }

    pub fn link(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or_else(|| Error::Unavailable("the connection was closed".to_owned()))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock();
        match self.link.take() {
            Some(link) => pool.idle.push(link),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.free.notify_one();
    }
}
