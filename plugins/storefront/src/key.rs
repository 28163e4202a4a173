//! Keys of forms: random, in hexadecimal digits.

use crate::seams::Seams;

/// A key that no other form has. A form that is sent twice carries the same key, so it takes effect once.
pub fn new_key(seams: &impl Seams) -> String {
    hex::encode(seams.random())
}

/// Whether a form's key has the shape of ours.
pub fn is_key(text: &str) -> bool {
    is_hex(text, 32)
}

pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
