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
    /// Bytes of the growth that was allowed last; given back if it fails after all.
    growing: u64,
    /// The limit that was exceeded last: the trap of a guest that is refused memory only says `unreachable`.
    pub refused: Option<String>,
}

impl Limiter {
    pub fn new(shared: Shared, max_mb: u64) -> Self {
        Self { shared, used: 0, max: max_mb << 20, growing: 0, refused: None }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.growing = 0;
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
        self.growing = more;
        Ok(true)
    }

    /// Also after a growth beyond what the memory itself declares, which wasmtime refuses only after `memory_growing`.
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let back = std::mem::take(&mut self.growing);
        self.used -= back;
        self.shared.used.fetch_sub(back, Ordering::Relaxed);
        Ok(())
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn a_table_has_its_bound_and_the_refusal_says_so() {
        let mut limiter = Limiter::new(Shared::new(1), 1);
        assert!(limiter.table_growing(0, limits::TABLE_ELEMENTS_MAX, None).unwrap());
        assert!(!limiter.table_growing(0, limits::TABLE_ELEMENTS_MAX + 1, None).unwrap());
        assert!(limiter.refused.as_ref().unwrap().ends_with(" table entries"));
    }

    #[test]
    fn instances_within_their_own_bound_meet_the_bound_of_their_context() {
        let shared = Shared::new(3);
        let [mut a, mut b] = [(); 2].map(|()| Limiter::new(shared.clone(), 2));
        assert!(a.memory_growing(0, 2 * MB, None).unwrap());
        assert!(!a.memory_growing(2 * MB, 2 * MB + 1, None).unwrap());
        assert_eq!(a.refused.as_deref(), Some("its limit of 2 MB of memory per instance"));
        assert!(b.memory_growing(0, MB, None).unwrap());
        assert!(!b.memory_growing(MB, MB + 1, None).unwrap(), "b has half of its own bound left");
        assert_eq!(b.refused.as_deref(), Some("the limit of 3 MB of memory for all its instances"));
        assert_eq!(shared.used(), 3 * MB as u64, "what was refused does not count");
        drop(a);
        assert!(b.memory_growing(MB, 2 * MB, None).unwrap());
        drop(b);
        assert_eq!(shared.used(), 0);
    }

    #[test]
    fn a_growth_that_fails_after_it_was_allowed_does_not_count() {
        let shared = Shared::new(3);
        let mut limiter = Limiter::new(shared.clone(), 2);
        for _ in 0..100 {
            assert!(limiter.memory_growing(0, MB, Some(MB / 2)).unwrap());
            limiter.memory_grow_failed(wasmtime::format_err!("beyond its maximum")).unwrap();
            assert_eq!((limiter.used, shared.used()), (0, 0));
        }
        assert!(!limiter.memory_growing(0, 4 * MB, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("refused")).unwrap();
        assert_eq!((limiter.used, shared.used()), (0, 0));
    }

    /// A memory of at most two pages that is asked to grow by ten, again and again.
    #[test]
    fn a_guest_cannot_use_its_context_up_with_growth_that_never_happens() {
        let mut config = wasmtime::Config::new();
        config.gc_support(false).concurrency_support(false);
        let engine = wasmtime::Engine::new(&config).unwrap();
        let module = r#"(module (memory 1 2)
            (func (export "grow") (local $n i32)
                (loop $again
                    (drop (memory.grow (i32.const 10)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
                (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))))"#;
        let module = wasmtime::Module::new(&engine, wat::parse_str(module).unwrap()).unwrap();
        let shared = Shared::new(1);
        let mut store = wasmtime::Store::new(&engine, Limiter::new(shared.clone(), 1));
        store.limiter(|limiter| limiter);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "grow").unwrap().call(&mut store, ()).unwrap();
        assert_eq!(shared.used(), 128 << 10);
        drop(store);
        assert_eq!(shared.used(), 0);
    }
}
