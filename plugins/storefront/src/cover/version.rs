//! The version of a cover, which is part of its address.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};
use xxhash_rust::xxh64::Xxh64;

use crate::seams::Album;

/// Raise it when the drawing changes, so that caches fetch the covers again.
pub const REVISION: u64 = 1;

/// Eight hexadecimal digits that change with the cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:08x}", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter)
    }
}

impl FastWritable for Version {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

/// The output has only hexadecimal digits.
impl HtmlSafe for Version {}

/// A hash of everything that the picture depends on.
pub fn version(album: &Album) -> Version {
    let mut hash = Xxh64::new(REVISION);
    for text in [&album.sku, &album.artist, &album.title, &album.genre] {
        hash.update(text.as_bytes());
        hash.update(b"\0");
    }
    Version(hash.digest() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_eight_digits() {
        assert_eq!(Version(0x00ab_cdef).to_string(), "00abcdef");
    }
}
