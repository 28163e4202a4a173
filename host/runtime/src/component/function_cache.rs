//! An in-memory cache of the machine code of single functions: an edit leaves most functions of a component unchanged.
//!
//! Keys and values are cranelift's own; a key covers the function, the settings and the compiler's version. The limit
//! is `COMPILED_FUNCTIONS_MB_MAX`. Functions that were not used while half of that was added are evicted.

use std::borrow::Cow;
use std::collections::HashMap;

use parking_lot::Mutex;
use wasmtime::CacheStore;

use crate::limits;

#[derive(Default)]
pub(super) struct Functions(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    /// Functions that were used or added since `old` was last replaced.
    young: HashMap<Vec<u8>, Vec<u8>>,
    /// The size of `young`.
    bytes: usize,
    old: HashMap<Vec<u8>, Vec<u8>>,
}

impl Halves {
    fn keep(&mut self, key: &[u8], value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.young.insert(key.to_owned(), value);
        if self.bytes > (limits::COMPILED_FUNCTIONS_MB_MAX << 20) / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut halves = self.0.lock();
        if let Some(value) = halves.young.get(key) {
            return Some(Cow::Owned(value.clone()));
        }
        let value = halves.old.remove(key)?;
        halves.keep(key, value.clone());
        Some(Cow::Owned(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.0.lock().keep(key, value);
        true
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").field("bytes", &self.0.lock().bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_evicts_unused_functions_and_keeps_used_ones() {
        let functions = Functions::default();
        let (large, max) = (vec![7; 1 << 20], limits::COMPILED_FUNCTIONS_MB_MAX);
        functions.insert(b"used", large.clone());
        functions.insert(b"unused", large.clone());
        for n in 0..4 * max {
            functions.insert(&n.to_le_bytes(), large.clone());
            assert!(functions.get(b"used").is_some_and(|value| *value == large), "after {n}");
            let halves = functions.0.lock();
            assert!(halves.young.len() + halves.old.len() <= max);
        }
        assert_eq!(functions.get(b"unused"), None);
    }
}
