//! Machine code of single functions, in memory: when somebody edits a component, most of its functions stay as they were.
//!
//! Keys and values are cranelift's own; a key covers the function, the settings and the compiler's version. Bounded by
//! `COMPILED_FUNCTIONS_MB_MAX`: what was not asked for since half of that came in goes.

use std::borrow::Cow;
use std::collections::HashMap;

use parking_lot::Mutex;
use wasmtime::CacheStore;

use crate::limits;

#[derive(Default)]
pub(super) struct Functions(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    /// What was asked for or came in since `old` was put aside, and its bytes.
    young: HashMap<Vec<u8>, Vec<u8>>,
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
    fn what_is_asked_for_stays_and_the_rest_goes_before_there_is_too_much() {
        let functions = Functions::default();
        let (large, max) = (vec![7; 1 << 20], limits::COMPILED_FUNCTIONS_MB_MAX);
        functions.insert(b"wanted", large.clone());
        functions.insert(b"forgotten", large.clone());
        for n in 0..4 * max {
            functions.insert(&n.to_le_bytes(), large.clone());
            assert!(functions.get(b"wanted").is_some_and(|value| *value == large), "after {n}");
            let halves = functions.0.lock();
            assert!(halves.young.len() + halves.old.len() <= max);
        }
        assert_eq!(functions.get(b"forgotten"), None);
    }
}
