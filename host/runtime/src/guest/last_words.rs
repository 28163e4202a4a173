//! What a guest said before it trapped: the message of a panic, an exception with its stack, a traceback.
//!
//! Each language says it its own way: Rust's hook as a critical line of `wasi:logging`, the engines of other languages
//! on standard error. The log has these lines anyway; here they are kept for the failure itself.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits;

/// The lines of one call. Cheap to clone; clones share the lines.
#[derive(Clone, Default)]
pub struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    /// Adds a line. Of many lines the last ones stay.
    pub fn say(&self, line: &str) {
        let mut words = self.0.lock();
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(line);
        let over = words.len().saturating_sub(limits::LAST_WORDS_BYTES_MAX);
        if over > 0 {
            let from = words.ceil_char_boundary(over);
            words.drain(..from);
        }
    }

    /// Forgets the lines of the call before.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    pub fn text(&self) -> String {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_call_stay() {
        let words = LastWords::default();
        words.say("Traceback");
        words.say("é");
        assert_eq!(words.clone().text(), "Traceback\né");
        words.say(&"é".repeat(limits::LAST_WORDS_BYTES_MAX));
        assert!(words.text().len() <= limits::LAST_WORDS_BYTES_MAX && words.text().starts_with('é'));
        words.clear();
        assert_eq!(words.text(), "");
    }
}
