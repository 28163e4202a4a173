//! Limits of guests' linear memory: per instance over all its memories, and per context over all its instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::limits;

/// The linear memory of all live instances of one context.
#[derive(Clone)]
pub struct Shared {
    used: Arc<AtomicU64>,
    max: u64,
}

impl Shared {
    pub fn new(max_mb: u64) -> Self {
        Self { used: Arc::default(), max: max_mb << 20 }
    }

    /// Bytes in use now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// The memory of one instance; returns it to the context when dropped.
pub struct Limiter {
    shared: Shared,
    used: u64,
    max: u64,
    /// The limit that was exceeded last: the trap of a guest that is refused memory only says `unreachable`.
    pub refused: Option<String>,
}

impl Limiter {
    pub fn new(shared: Shared, max_mb: u64) -> Self {
        Self { shared, used: 0, max: max_mb << 20, refused: None }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        if self.used + more > self.max {
            self.refused = Some(format!("its limit of {} MB of memory per instance", self.max >> 20));
            return Ok(false);
        }
        if self.shared.used.fetch_add(more, Ordering::Relaxed) + more > self.shared.max {
            self.shared.used.fetch_sub(more, Ordering::Relaxed);
            self.refused = Some(format!("the limit of {} MB of memory for all its instances", self.shared.max >> 20));
            return Ok(false);
        }
        self.used += more;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= limits::TABLE_ELEMENTS_MAX;
        if !fits {
            self.refused = Some(format!("the limit of {} table entries", limits::TABLE_ELEMENTS_MAX));
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES_PER_COMPONENT_MAX as usize
    }

    fn tables(&self) -> usize {
        limits::TABLES_PER_COMPONENT_MAX as usize
    }

    fn memories(&self) -> usize {
        limits::MEMORIES_PER_COMPONENT_MAX as usize
    }
}
