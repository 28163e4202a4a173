//! Converts between UTF-8 and the string encodings that a component may choose.
//!
//! Rust, C and Go guests use UTF-8, which is only validated. The others are for language runtimes whose strings have
//! 16-bit units.

use std::borrow::Cow;

use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;

use super::Fault;

/// This bit in the length of a `latin1+utf16` string means UTF-16.
const UTF16_TAG: u32 = 1 << 31;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16,
    Latin1,
    /// `latin1+utf16`; the length of each string decides.
    Compact,
}

impl Encoding {
    pub(super) fn of(option: StringEncoding) -> Self {
        match option {
            StringEncoding::Utf8 => Self::Utf8,
            StringEncoding::Utf16 => Self::Utf16,
            StringEncoding::CompactUtf16 => Self::Compact,
        }
    }

    pub(super) fn align(self) -> u32 {
        if self == Self::Utf8 { 1 } else { 2 }
    }

    /// The encoding and the number of bytes of a string, from the length beside its pointer.
    pub(super) fn extent(self, len: u32) -> (Self, u64) {
        match self {
            Self::Utf8 | Self::Latin1 => (self, u64::from(len)),
            Self::Compact if len & UTF16_TAG == 0 => (Self::Latin1, u64::from(len)),
            Self::Compact => (Self::Utf16, u64::from(len ^ UTF16_TAG) * 2),
            Self::Utf16 => (self, u64::from(len) * 2),
        }
    }
}

/// Appends `source` as UTF-8.
pub(super) fn decode(source: &[u8], encoding: Encoding, target: &mut Vec<u8>) -> Result<(), Fault> {
    let mut push = |c: char| target.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    match encoding {
        Encoding::Utf8 => {
            std::str::from_utf8(source).map_err(|_| Fault::Text)?;
            target.extend_from_slice(source);
        }
        Encoding::Latin1 => source.iter().for_each(|byte| push(char::from(*byte))),
        Encoding::Utf16 | Encoding::Compact => {
            let (units, _) = source.as_chunks::<2>();
            for c in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
                push(c.map_err(|_| Fault::Text)?);
            }
        }
    }
    Ok(())
}

/// The UTF-8 `text` in `encoding`, and its length in code units, with the tag of `latin1+utf16`.
pub(super) fn encode(text: &[u8], encoding: Encoding) -> Result<(Cow<'_, [u8]>, u32), Fault> {
    let fit = |units: usize| u32::try_from(units).map_err(|_| Fault::TooLarge);
    if encoding == Encoding::Utf8 {
        return Ok((Cow::Borrowed(text), fit(text.len())?));
    }
    let text = std::str::from_utf8(text).map_err(|_| Fault::Text)?;
    if encoding != Encoding::Utf16 {
        let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        if let Some(bytes) = latin1 {
            let units = fit(bytes.len())?;
            return Ok((Cow::Owned(bytes), units));
        }
    }
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let units = fit(bytes.len() / 2)?;
    Ok((Cow::Owned(bytes), if encoding == Encoding::Utf16 { units } else { units | UTF16_TAG }))
}
