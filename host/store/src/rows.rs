//! SQLite's values as packed rows (`seam_packed`), the way they cross between host and guest, in both directions.
//!
//! Text goes out with the bytes that SQLite holds; text that comes in must be UTF-8.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use seam_packed::{Cell, Cells};

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

impl Value<'_> {
    fn as_sql(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Real(r) => ValueRef::Real(*r),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_sql()))
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

/// Packs the rows of one result, up to a bound.
pub(super) struct Packer {
    packed: seam_packed::Packer,
    bytes_max: usize,
}

impl Packer {
    pub fn new(columns: usize, bytes_max: usize) -> Self {
        // One allocation serves most results; the larger ones double from here.
        let packed = seam_packed::Packer::new(u32::try_from(columns).unwrap_or(u32::MAX), 1024);
        Self { packed, bytes_max }
    }

    pub fn push(&mut self, value: ValueRef<'_>) -> Result<(), Error> {
        // Checked before the copy: one huge value must not cost its memory twice.
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value
            && bytes.len() > self.bytes_max
        {
            return Err(self.too_large());
        }
        match value {
            ValueRef::Null => self.packed.null(),
            ValueRef::Integer(i) => self.packed.integer(i),
            ValueRef::Real(r) => self.packed.real(r),
            ValueRef::Text(t) => self.packed.text(t).map_err(|_| self.too_large())?,
            ValueRef::Blob(b) => self.packed.blob(b).map_err(|_| self.too_large())?,
        }
        if self.packed.size() > self.bytes_max { Err(self.too_large()) } else { Ok(()) }
    }

    pub fn finish(self) -> Vec<u8> {
        self.packed.finish()
    }

    fn too_large(&self) -> Error {
        Error::TooLarge(format!("the rows take more than {} bytes; read fewer at a time", self.bytes_max))
    }
}

/// Packs `values` as one row.
///
/// # Errors
/// When they take more than `bytes_max`.
pub(super) fn pack(values: &[Value<'_>], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let mut packer = Packer::new(values.len(), bytes_max);
    values.iter().try_for_each(|value| packer.push(value.as_sql()))?;
    Ok(packer.finish())
}

/// Reads packed rows one by one.
pub struct Rows<'a>(Cells<'a>);

impl<'a> Rows<'a> {
    pub fn new(packed: &'a [u8]) -> Result<Self, Error> {
        Cells::new(packed).map(Self).map_err(invalid)
    }

    pub fn columns(&self) -> usize {
        self.0.columns() as usize
    }

    /// Puts the next row into `row`; `false` after the last one.
    pub fn next_into(&mut self, row: &mut Vec<Value<'a>>) -> Result<bool, Error> {
        row.clear();
        if self.0.is_empty() {
            return Ok(false);
        }
        for _ in 0..self.0.columns() {
            row.push(self.0.read().map_err(invalid)?.into());
        }
        Ok(true)
    }
}

impl<'a> From<Cell<'a>> for Value<'a> {
    fn from(cell: Cell<'a>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(i) => Self::Integer(i),
            Cell::Real(r) => Self::Real(r),
            Cell::Text(t) => Self::Text(Cow::Borrowed(t)),
            Cell::Blob(b) => Self::Blob(b),
        }
    }
}

fn invalid(error: seam_packed::Error) -> Error {
    Error::Invalid(error.to_string())
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
