//! Rows as one list of bytes, the encoding that `seam:host/store` describes.
//!
//! u32 column count, then the rows, each value as a tag byte and its bytes, little endian: 0 null | 1 integer s64 | 2 real f64 |
//! 3 text u32 length + UTF-8 | 4 blob u32 length + bytes.
//!
//! Structs, tuples and sequences inside a row are flat: each takes as many columns as it has fields.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Rows, rows};
pub use encode::encode;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// A row does not fit its type, or a type has no place in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Error(text.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Error(text.to_string())
    }
}
