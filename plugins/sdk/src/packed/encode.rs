//! Rust types -> packed rows.

use seam_packed::Packer;
use serde::Serialize;
use serde::ser::{Impossible, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer};

use super::Error;

/// Packs `rows`, which must all have the same number of columns. `None` when there are none.
pub fn encode<Row: Serialize>(rows: impl IntoIterator<Item = Row>) -> Result<Option<Vec<u8>>, Error> {
    let mut writer = Writer { packed: Packer::new(0, 0), cells: 0 };
    let mut columns = None;
    for row in rows {
        writer.cells = 0;
        row.serialize(&mut writer)?;
        match *columns.get_or_insert(writer.cells) {
            0 => return Err(Error("a row without columns".into())),
            first if first != writer.cells => {
                return Err(Error(format!("a row of {} columns after one of {first}", writer.cells)));
            }
            _ => {}
        }
    }
    Ok(columns.map(|columns| {
        writer.packed.set_columns(columns);
        writer.packed.finish()
    }))
}

struct Writer {
    packed: Packer,
    /// Of the current row.
    cells: u32,
}

macro_rules! integers {
    ($($method:ident $type:ty),+) => { $(
        fn $method(self, value: $type) -> Result<(), Error> {
            self.serialize_i64(value.into())
        }
    )+ };
}

fn not_in_a_row(what: &str) -> Error {
    Error(format!("{what} cannot stand in a row"))
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = &'a mut Writer;
    type SerializeTuple = &'a mut Writer;
    type SerializeTupleStruct = &'a mut Writer;
    type SerializeStruct = &'a mut Writer;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    integers!(serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32);
    integers!(serialize_u8 u8, serialize_u16 u16, serialize_u32 u32);

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.cells += 1;
        self.packed.integer(value);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        let value = i64::try_from(value).map_err(|_| Error(format!("{value} is too large for an integer column")))?;
        self.serialize_i64(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.cells += 1;
        self.packed.real(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.cells += 1;
        Ok(self.packed.text(value.as_bytes())?)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.cells += 1;
        Ok(self.packed.blob(value)?)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.cells += 1;
        self.packed.null();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, case: &'static str) -> Result<(), Error> {
        self.serialize_str(case)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(not_in_a_row("an enum's case with a value"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(not_in_a_row("an enum's case with values"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(not_in_a_row("a map"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(not_in_a_row("an enum's case with fields"))
    }
}

macro_rules! flat {
    ($($trait:ident $method:ident),+) => { $(
        impl $trait for &mut Writer {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        }
    )+ };
}
flat!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field);

impl SerializeStruct for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
