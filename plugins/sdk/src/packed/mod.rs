//! Rust types as packed rows (`seam_packed`), through serde.
//!
//! Structs, tuples and sequences inside a row are flat: each takes as many columns as it has fields.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Rows, rows};
pub use encode::encode;

/// A row does not fit its type, or a type cannot stand in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<seam_packed::Error> for Error {
    fn from(error: seam_packed::Error) -> Self {
        Error(error.to_string())
    }
}

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
