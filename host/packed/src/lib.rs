//! Rows packed into one list of bytes: the way they cross between host and guest, in both directions.
//!
//! u32 column count, then the rows one after the other, each value as a tag byte and its bytes, little endian:
//! 0 null | 1 integer s64 | 2 real f64 | 3 text u32 length + UTF-8 | 4 blob u32 length + bytes.
//!
//! Host and guest SDK share this crate: it has no dependency and no `std`.
//! Not here: what a row means (`serde` in the SDK), bounds and SQLite's values (the host).

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// Why bytes are no rows, or a value fits into none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The bytes end inside a value.
    CutShort,
    NotUtf8,
    UnknownTag(u8),
    /// A row without columns takes no bytes, so its rows would never end.
    NoColumns,
    /// A text or a blob of 4 GiB or more.
    TooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("the packed rows end in the middle of a value"),
            Self::NotUtf8 => f.write_str("a packed text is not UTF-8"),
            Self::UnknownTag(tag) => write!(f, "the packed rows have a value with the unknown tag {tag}"),
            Self::NoColumns => f.write_str("the packed rows have bytes but no columns"),
            Self::TooLong => f.write_str("a value of 4 GiB or more cannot be packed"),
        }
    }
}

impl core::error::Error for Error {}

/// Packs values, row after row.
#[derive(Debug, Clone)]
pub struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// For rows of `columns` values, with room for `capacity` bytes.
    pub fn new(columns: u32, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity.max(size_of::<u32>()));
        bytes.extend_from_slice(&columns.to_le_bytes());
        Self { bytes }
    }

    /// Corrects the number of columns, for callers that learn it from the first row.
    pub fn set_columns(&mut self, columns: u32) {
        if let Some(count) = self.bytes.first_chunk_mut() {
            *count = columns.to_le_bytes();
        }
    }

    /// The bytes so far.
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    pub fn null(&mut self) {
        self.bytes.push(NULL);
    }

    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.fixed(INTEGER, value.to_le_bytes());
    }

    #[inline]
    pub fn real(&mut self, value: f64) {
        self.fixed(REAL, value.to_le_bytes());
    }

    /// The text's bytes, which the reader takes as UTF-8.
    ///
    /// # Errors
    /// `TooLong`.
    #[inline]
    pub fn text(&mut self, text: &[u8]) -> Result<(), Error> {
        self.sized(TEXT, text)
    }

    /// # Errors
    /// `TooLong`.
    #[inline]
    pub fn blob(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sized(BLOB, bytes)
    }

    #[inline]
    fn fixed(&mut self, tag: u8, value: [u8; 8]) {
        let mut cell = [tag; 9];
        cell[1..].copy_from_slice(&value);
        self.bytes.extend_from_slice(&cell);
    }

    #[inline]
    fn sized(&mut self, tag: u8, value: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(value.len()).map_err(|_| Error::TooLong)?;
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(value);
        Ok(())
    }
}

/// Reads packed values one by one, without copying texts and blobs.
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    rest: &'a [u8],
    columns: u32,
}

impl<'a> Cells<'a> {
    /// # Errors
    /// `CutShort`, `NoColumns`.
    #[inline]
    pub fn new(packed: &'a [u8]) -> Result<Self, Error> {
        let mut cells = Self { rest: packed, columns: 0 };
        cells.columns = u32::from_le_bytes(cells.take()?);
        if cells.columns == 0 && !cells.rest.is_empty() {
            return Err(Error::NoColumns);
        }
        Ok(cells)
    }

    /// How many values a row has.
    #[inline]
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// Whether all values have been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether the next value is null.
    #[inline]
    pub fn next_is_null(&self) -> bool {
        self.rest.first() == Some(&NULL)
    }

    /// The next value.
    ///
    /// # Errors
    /// `CutShort`, `NotUtf8`, `UnknownTag`.
    #[inline]
    pub fn read(&mut self) -> Result<Cell<'a>, Error> {
        let [tag] = self.take()?;
        match tag {
            NULL => Ok(Cell::Null),
            INTEGER => Ok(Cell::Integer(i64::from_le_bytes(self.take()?))),
            REAL => Ok(Cell::Real(f64::from_le_bytes(self.take()?))),
            TEXT => core::str::from_utf8(self.sized()?).map(Cell::Text).map_err(|_| Error::NotUtf8),
            BLOB => Ok(Cell::Blob(self.sized()?)),
            tag => Err(Error::UnknownTag(tag)),
        }
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Error::CutShort)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    fn sized(&mut self) -> Result<&'a [u8], Error> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Error::CutShort)?;
        self.rest = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn packed(cells: &[Cell<'_>]) -> Vec<u8> {
        let mut packer = Packer::new(cells.len() as u32, 0);
        for cell in cells {
            match *cell {
                Cell::Null => packer.null(),
                Cell::Integer(value) => packer.integer(value),
                Cell::Real(value) => packer.real(value),
                Cell::Text(text) => assert_eq!(packer.text(text.as_bytes()), Ok(())),
                Cell::Blob(bytes) => assert_eq!(packer.blob(bytes), Ok(())),
            }
        }
        packer.finish()
    }

    fn read(packed: &[u8]) -> Result<Vec<Cell<'_>>, Error> {
        let mut cells = Cells::new(packed)?;
        let mut read = Vec::new();
        while !cells.is_empty() {
            read.push(cells.read()?);
        }
        Ok(read)
    }

    #[test]
    fn the_bytes_are_those_that_the_interface_describes() {
        let mut expect = vec![4, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        expect.extend(0.5f64.to_le_bytes());
        expect.extend([3, 2, 0, 0, 0, 0xc3, 0xa9]);
        assert_eq!(packed(&[Cell::Null, Cell::Integer(1), Cell::Real(0.5), Cell::Text("é")]), expect);
    }

    #[test]
    fn values_survive_a_round_trip() {
        let cells =
            [Cell::Null, Cell::Integer(i64::MIN), Cell::Real(-0.5), Cell::Text("Gräfin ♥"), Cell::Blob(&[0, 255])];
        assert_eq!(read(&packed(&cells)).as_deref(), Ok(&cells[..]));
        assert_eq!(read(&3u32.to_le_bytes()).as_deref(), Ok(&[][..]), "columns without rows");
    }

    #[test]
    fn the_number_of_columns_can_be_corrected() {
        let mut packer = Packer::new(0, 64);
        packer.null();
        packer.set_columns(1);
        assert_eq!((packer.size(), packer.finish()), (5, vec![1, 0, 0, 0, 0]));
    }

    #[test]
    fn broken_bytes_are_refused_at_every_cut() {
        let whole = packed(&[Cell::Text("abc"), Cell::Integer(7)]);
        for cut in 0..whole.len() {
            // After the count and after a value, rows may end.
            let expect = if cut == 4 || cut == 12 { None } else { Some(Error::CutShort) };
            assert_eq!(read(&whole[..cut]).err(), expect, "{cut}");
        }
        for (bytes, expect) in [
            (&[1, 0, 0, 0, 9][..], Error::UnknownTag(9)),
            (&[0, 0, 0, 0, 0], Error::NoColumns),
            (&[1, 0, 0, 0, 3, 1, 0, 0, 0, 255], Error::NotUtf8),
            (&[1, 0, 0, 0, 3, 255, 255, 255, 255], Error::CutShort),
        ] {
            assert_eq!(read(bytes), Err(expect), "{bytes:?}");
        }
    }
}
