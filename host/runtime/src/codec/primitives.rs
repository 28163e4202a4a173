//! Numbers, strings and flags as bytes: the parts that every way through the codec shares.
//!
//! Integers of more than 8 bits are LEB128, as in WebAssembly, in the shortest form.

use super::error::{Error, Problem};
use crate::limits;

/// Appends an unsigned number as LEB128: seven bits a byte, the lowest first; the high bit says that another follows.
pub fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number as LEB128: two's complement; bit 6 of the last byte is the sign.
pub fn put_signed(out: &mut Vec<u8>, mut value: i64) {
    while !(-0x40..0x40).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// Appends a float by its bits.
pub fn put_float32(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends a float by its bits.
pub fn put_float64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends the length in bytes, and the bytes.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_unsigned(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// The bytes of a message that have not been read yet. Errors stand at the first byte of the part that they are about.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// When the message is larger than `limits::SEAM_MESSAGE_BYTES_MAX`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > limits::SEAM_MESSAGE_BYTES_MAX {
            return Err(Error::new(Problem::TooLarge, 0));
        }
        Ok(Self { bytes, at: 0 })
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    fn left(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// # Errors
    /// When the message has more bytes.
    pub fn finish(&self) -> Result<(), Error> {
        match self.left().len() {
            0 => Ok(()),
            bytes => Err(Error::new(Problem::Trailing { bytes }, self.at)),
        }
    }

    /// The next `len` bytes, of a value of type `expected` that starts at `start`.
    fn take(&mut self, len: usize, start: usize, expected: &'static str) -> Result<&'a [u8], Error> {
        self.whole(len).ok_or_else(|| Error::new(Problem::End { expected }, start))
    }

    /// The next `len` bytes as they are, if so many are left.
    pub fn whole(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.left().get(..len)?;
        self.at += len;
        Some(taken)
    }

    /// The next bytes as they are.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Error> {
        let end = || Error::new(Problem::End { expected }, self.at);
        let taken = *self.left().first_chunk().ok_or_else(end)?;
        self.at += N;
        Ok(taken)
    }

    /// A `bool`, or the case of an option or result.
    ///
    /// # Errors
    /// When it is neither 0 nor 1.
    pub fn bool(&mut self, expected: &'static str) -> Result<bool, Error> {
        let at = self.at;
        match self.array(expected)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(Error::new(Problem::Bool { byte }, at)),
        }
    }

    /// A number of at most so many `bits`, as `put_unsigned` wrote it.
    ///
    /// # Errors
    /// When it is larger, or not in its shortest form.
    pub fn unsigned(&mut self, bits: u32, expected: &'static str) -> Result<u64, Error> {
        let start = self.at;
        let range = || Error::new(Problem::Range { expected }, start);
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let [byte] = *self.take(1, start, expected)? else { return Err(range()) };
            let part = u64::from(byte & 0x7f);
            let shifted = part.checked_shl(shift).filter(|shifted| shifted >> shift == part).ok_or_else(range)?;
            value |= shifted;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::new(Problem::Overlong, start));
                }
                return if value.checked_shr(bits).unwrap_or(0) == 0 { Ok(value) } else { Err(range()) };
            }
            shift += 7;
        }
    }

    /// A number of at most so many `bits`, as `put_signed` wrote it.
    ///
    /// # Errors
    /// When it does not fit into them, or is not in its shortest form.
    pub fn signed(&mut self, bits: u32, expected: &'static str) -> Result<i64, Error> {
        /// Of the longest form of 64 bits.
        const SHIFT_MAX: u32 = 63;
        let start = self.at;
        let range = || Error::new(Problem::Range { expected }, start);
        let (mut value, mut shift, mut before) = (0_i128, 0_u32, None);
        loop {
            let [byte] = *self.take(1, start, expected)? else { return Err(range()) };
            if shift > SHIFT_MAX {
                return Err(range());
            }
            value |= i128::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0;
                // The last byte must say more than the sign that the byte before it already has.
                if before.is_some_and(|before| byte == if before { 0x7f } else { 0 }) {
                    return Err(Error::new(Problem::Overlong, start));
                }
                if negative {
                    value |= -1 << shift;
                }
                let limit = 1_i128 << (bits - 1);
                let fits = (-limit..limit).contains(&value);
                return i64::try_from(value).ok().filter(|_| fits).ok_or_else(range);
            }
            before = Some(byte & 0x40 != 0);
        }
    }

    /// A `char`.
    ///
    /// # Errors
    /// When it is not a unicode scalar value.
    pub fn char(&mut self) -> Result<char, Error> {
        let start = self.at;
        let code = self.unsigned(32, "char")? as u32;
        char::from_u32(code).ok_or_else(|| Error::new(Problem::Char { code }, start))
    }

    /// A string: its length in bytes, and valid UTF-8.
    ///
    /// # Errors
    /// When its end is missing, or it is not valid.
    pub fn text(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        let len = usize::try_from(self.unsigned(32, "string")?).unwrap_or(usize::MAX);
        let bytes = self.take(len, start, "string")?;
        std::str::from_utf8(bytes).map_err(|_| Error::new(Problem::Text, start))
    }

    /// The case of a variant or enum that has so many `cases`.
    ///
    /// # Errors
    /// When there is no such case.
    pub fn case(&mut self, cases: usize, expected: &'static str) -> Result<u32, Error> {
        let start = self.at;
        let case = self.unsigned(32, expected)? as u32;
        if (case as usize) < cases { Ok(case) } else { Err(Error::new(Problem::Case { case, cases }, start)) }
    }

    /// The number of items of a list. Every item takes a byte at least, as WebAssembly has no empty types.
    ///
    /// # Errors
    /// When fewer bytes are left.
    pub fn items(&mut self) -> Result<u32, Error> {
        let start = self.at;
        let (items, left) = (self.unsigned(32, "list")? as u32, self.left().len());
        if items as usize <= left { Ok(items) } else { Err(Error::new(Problem::Items { items, left }, start)) }
    }

    /// The bytes of so many `flags`: the first flag is the lowest bit of the first byte.
    ///
    /// # Errors
    /// When a bit is set that belongs to no flag.
    pub fn flags(&mut self, flags: usize) -> Result<&'a [u8], Error> {
        let start = self.at;
        let bytes = self.take(flags.div_ceil(8), start, "flags")?;
        let unused = match flags % 8 {
            0 => 0,
            used => bytes.last().map_or(0, |last| last >> used),
        };
        if unused == 0 { Ok(bytes) } else { Err(Error::new(Problem::Flags, start)) }
    }
}
