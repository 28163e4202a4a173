//! Packed rows -> Rust types, without a copy where the type borrows.

use std::marker::PhantomData;

use seam_packed::Cell;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use super::Error;

/// Reads packed rows one by one; no bytes are no rows.
pub fn rows<'a, Row: Deserialize<'a>>(packed: &'a [u8]) -> Rows<'a, Row> {
    let state = match seam_packed::Cells::new(packed) {
        _ if packed.is_empty() => State::Ended,
        Ok(packed) => State::Reading(Cells { packed, left: 0 }),
        Err(error) => State::Broken(error),
    };
    Rows { state, row: 0, types: PhantomData }
}

/// The iterator of [`rows`]. Ends after the first error: what follows could not be trusted.
pub struct Rows<'a, Row> {
    state: State<'a>,
    row: usize,
    types: PhantomData<Row>,
}

enum State<'a> {
    Reading(Cells<'a>),
    /// The bytes are no rows at all.
    Broken(seam_packed::Error),
    Ended,
}

impl<'a, Row: Deserialize<'a>> Iterator for Rows<'a, Row> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let cells = match &mut self.state {
            State::Reading(cells) if !cells.packed.is_empty() => cells,
            State::Broken(error) => {
                let error = *error;
                self.state = State::Ended;
                return Some(Err(error.into()));
            }
            State::Reading(_) | State::Ended => return None,
        };
        self.row += 1;
        let columns = cells.packed.columns();
        cells.left = columns;
        let row = Row::deserialize(&mut *cells).and_then(|row| match cells.left {
            0 => Ok(row),
            _ => Err(Error("the row has more columns than its type".into())),
        });
        let (number, column) = (self.row, columns - cells.left);
        Some(row.map_err(|Error(text)| {
            self.state = State::Ended;
            Error(format!("row {number}, column {column}: {text}"))
        }))
    }
}

/// The values of one row that have not been read yet.
struct Cells<'a> {
    packed: seam_packed::Cells<'a>,
    left: u32,
}

impl<'a> Cells<'a> {
    fn cell(&mut self) -> Result<Cell<'a>, Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Error("the row has fewer columns than its type".into()))?;
        Ok(self.packed.read()?)
    }
}

impl<'de> Deserializer<'de> for &mut Cells<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.cell()? {
            Cell::Null => visitor.visit_unit(),
            Cell::Integer(value) => visitor.visit_i64(value),
            Cell::Real(value) => visitor.visit_f64(value),
            Cell::Text(value) => visitor.visit_borrowed_str(value),
            Cell::Blob(value) => visitor.visit_borrowed_bytes(value),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.cell()? {
            Cell::Integer(0) => visitor.visit_bool(false),
            Cell::Integer(1) => visitor.visit_bool(true),
            _ => Err(Error("neither 0 nor 1 where a bool was expected".into())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.left > 0 && self.packed.next_is_null() {
            self.cell()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let fields = self.left as usize;
        visitor.visit_seq(Fields { cells: self, fields })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, fields: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { cells: self, fields })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { cells: self, fields })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { cells: self, fields: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.cell()? {
            Cell::Text(name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(Error("no text where the name of an enum's case was expected".into())),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct map identifier
        ignored_any
    }
}

struct Fields<'cells, 'de> {
    cells: &'cells mut Cells<'de>,
    fields: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.fields.checked_sub(1) {
            None => Ok(None),
            Some(fields) => {
                self.fields = fields;
                seed.deserialize(&mut *self.cells).map(Some)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields)
    }
}
