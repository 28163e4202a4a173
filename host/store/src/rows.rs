//! Rows packed into one byte list, in which they travel between host and guest in both directions.
//!
//! First the number of columns as u32, then the rows. Each value is a tag byte and its bytes, little endian:
//! 0 null | 1 integer s64 | 2 real f64 | 3 text u32 length + UTF-8 | 4 blob u32 length + bytes.
//! Text goes out with the bytes that SQLite holds; text that comes in must be UTF-8.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::error::Error;

/// A SQL value on its way into a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Real(r) => ValueRef::Real(*r),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

impl From<i64> for Value<'_> {
    fn from(i: i64) -> Self {
        Self::Integer(i)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Packs the rows of one result.
pub(super) struct Packer {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Packer {
    pub fn new(columns: usize, bytes_max: usize) -> Self {
        // Enough for most results; larger ones double it.
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(&u32::try_from(columns).unwrap_or(u32::MAX).to_le_bytes());
        Self { bytes, bytes_max }
    }

    pub fn push(&mut self, value: ValueRef<'_>) -> Result<(), Error> {
        match value {
            ValueRef::Null => self.bytes.push(NULL),
            ValueRef::Integer(i) => self.fixed(INTEGER, i.to_le_bytes()),
            ValueRef::Real(r) => self.fixed(REAL, r.to_le_bytes()),
            ValueRef::Text(t) => self.sized(TEXT, t)?,
            ValueRef::Blob(b) => self.sized(BLOB, b)?,
        }
        if self.bytes.len() > self.bytes_max { Err(self.too_large()) } else { Ok(()) }
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn fixed(&mut self, tag: u8, value: [u8; 8]) {
        let mut cell = [tag; 9];
        cell[1..].copy_from_slice(&value);
        self.bytes.extend_from_slice(&cell);
    }

    fn sized(&mut self, tag: u8, value: &[u8]) -> Result<(), Error> {
        // Checked before the copy: one huge value must not cost its memory twice.
        let length = u32::try_from(value.len()).map_err(|_| self.too_large())?;
        if value.len() > self.bytes_max {
            return Err(self.too_large());
        }
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn too_large(&self) -> Error {
        Error::TooLarge(format!("the rows take more than {} bytes; read fewer at a time", self.bytes_max))
    }
}

/// Reads packed rows one by one.
pub struct Rows<'a> {
    rest: &'a [u8],
    columns: usize,
}

impl<'a> Rows<'a> {
    pub fn new(packed: &'a [u8]) -> Result<Self, Error> {
        let mut rows = Self { rest: packed, columns: 0 };
        rows.columns = u32::from_le_bytes(rows.take()?) as usize;
        // A row without columns takes no bytes: reading rows would never end.
        if rows.columns == 0 && !rows.rest.is_empty() {
            return Err(Error::Invalid("packed rows without columns hold bytes".to_owned()));
        }
        Ok(rows)
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Puts the next row into `row`; `false` after the last one.
    pub fn next_into(&mut self, row: &mut Vec<Value<'a>>) -> Result<bool, Error> {
        row.clear();
        if self.rest.is_empty() {
            return Ok(false);
        }
        for _ in 0..self.columns {
            row.push(self.value()?);
        }
        Ok(true)
    }

    fn value(&mut self) -> Result<Value<'a>, Error> {
        let [tag] = self.take()?;
        match tag {
            NULL => Ok(Value::Null),
            INTEGER => Ok(Value::Integer(i64::from_le_bytes(self.take()?))),
            REAL => Ok(Value::Real(f64::from_le_bytes(self.take()?))),
            TEXT => match std::str::from_utf8(self.sized()?) {
                Ok(text) => Ok(Value::Text(Cow::Borrowed(text))),
                Err(_) => Err(Error::Invalid("a packed text is not UTF-8".to_owned())),
            },
            BLOB => Ok(Value::Blob(self.sized()?)),
            other => Err(Error::Invalid(format!("packed rows hold the unknown tag {other}"))),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn sized(&mut self) -> Result<&'a [u8], Error> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        Ok(head)
    }
}

fn short() -> Error {
    Error::Invalid("packed rows end in the middle of a value".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_packing() {
        let mut packer = Packer::new(5, 1 << 20);
        for _ in 0..2 {
            packer.push(ValueRef::Null).unwrap();
            packer.push(ValueRef::Integer(i64::MIN)).unwrap();
            packer.push(ValueRef::Real(-0.5)).unwrap();
            packer.push(ValueRef::Text("Gräfin ♥".as_bytes())).unwrap();
            packer.push(ValueRef::Blob(&[0, 255])).unwrap();
        }
        let packed = packer.finish();
        let mut rows = Rows::new(&packed).unwrap();
        let mut row = Vec::new();
        for _ in 0..2 {
            assert!(rows.next_into(&mut row).unwrap());
            let expect =
                [Value::Null, Value::Integer(i64::MIN), Value::Real(-0.5), "Gräfin ♥".into(), Value::Blob(&[0, 255])];
            assert_eq!(row, expect);
        }
        assert!(!rows.next_into(&mut row).unwrap());
    }

    #[test]
    fn bytes_that_end_early_or_have_unknown_tags_are_refused() {
        let mut packer = Packer::new(2, 1 << 20);
        packer.push(ValueRef::Text(b"abc")).unwrap();
        packer.push(ValueRef::Integer(7)).unwrap();
        let packed = packer.finish();
        for cut in 0..packed.len() {
            let read = Rows::new(&packed[..cut]).and_then(|mut r| r.next_into(&mut Vec::new()));
            assert!(cut == 4 || matches!(read, Err(Error::Invalid(_))), "{cut}: {read:?}");
        }
        for bad in [&[1, 0, 0, 0, 9][..], &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 3, 1, 0, 0, 0, 255]] {
            let read = Rows::new(bad).and_then(|mut r| r.next_into(&mut Vec::new()));
            assert!(matches!(read, Err(Error::Invalid(_))), "{bad:?}: {read:?}");
        }
    }

    #[test]
    fn a_result_over_its_bound_is_too_large() {
        let mut packer = Packer::new(1, 100);
        assert!(matches!(packer.push(ValueRef::Blob(&[0; 200])), Err(Error::TooLarge(_))));
    }
}
