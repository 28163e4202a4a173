//! Reads the bytes of `codec` into an image, without `Val`s.
//!
//! It refuses what `codec::decode` refuses, with the same error. It makes the image that lifting the same values makes:
//! blocks in the order of a walk over the types, and zeroes wherever a byte is not part of a value.

use wasmtime::ValRaw;

use super::image::{Image, PointerLocation};
use super::lift::Position;
use super::{FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Fault, Reply, ReplyBody};
use crate::codec::{Cases, Error, Field, Fields, FunctionLayout, Layout, Problem, Reader, Shape, Step};

/// The core values of parameters, of which a function takes the first ones.
pub(super) type ParamSlots = [ValRaw; FLAT_PARAMS_MAX];

/// The parameters of a function, for its callee.
pub(super) fn params(layout: &FunctionLayout, bytes: &[u8]) -> Result<(ParamSlots, Image), Error> {
    let mut slots = [ValRaw::u64(0); FLAT_PARAMS_MAX];
    let image = message(&layout.params, bytes, FLAT_PARAMS_MAX, &mut slots)?;
    Ok((slots, image))
}

impl Reply {
    /// The results of a function from the bytes that `codec` wrote, for its caller.
    ///
    /// # Errors
    /// When `bytes` are not the encoding of results of this function, or their image is larger than
    /// `limits::SEAM_MESSAGE_BYTES_MAX`.
    pub fn decode(layout: &FunctionLayout, bytes: &[u8]) -> Result<Self, Error> {
        let mut slots = [ValRaw::u64(0); FLAT_RESULTS_MAX];
        let image = message(&layout.results, bytes, FLAT_RESULTS_MAX, &mut slots)?;
        let [value] = slots;
        let is_result = layout.outcome().is_some();
        Ok(Self(if layout.results.flat <= FLAT_RESULTS_MAX {
            ReplyBody::Flat { value, rejected: is_result && value.get_u32() == 1 }
        } else {
            let rejected = is_result && image.read(0).is_ok_and(|case| case == [1]);
            ReplyBody::Memory { image, rejected }
        }))
    }
}

/// Values that are passed in `slots` if they need at most `flat_max` of them, else in memory.
fn message(values: &Fields, bytes: &[u8], flat_max: usize, slots: &mut [ValRaw]) -> Result<Image, Error> {
    let mut decoder = Decoder { reader: Reader::new(bytes)?, image: Image::default() };
    if values.flat <= flat_max {
        let mut slots = Slots { slots, next: 0 };
        for field in &values.fields {
            decoder.flat(&field.layout, &mut slots).map_err(|error| error.within(field.step.clone()))?;
        }
    } else {
        let root = decoder.zeroes(PointerLocation::Root, values.size as usize, values.align)?;
        decoder.fields(&values.fields, root)?;
    }
    decoder.reader.finish()?;
    Ok(decoder.image)
}

/// The core values that have not been set yet.
struct Slots<'s> {
    slots: &'s mut [ValRaw],
    next: usize,
}

impl Slots<'_> {
    /// Sets all 64 bits: the cases of a variant share slots, which are as wide as their widest case.
    fn put(&mut self, value: u64) -> Result<(), Fault> {
        *self.slots.get_mut(self.next).ok_or(Fault::Mismatch)? = ValRaw::u64(value);
        self.next += 1;
        Ok(())
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    image: Image,
}

impl Decoder<'_> {
    #[cold]
    fn fail(&self, fault: Fault) -> Error {
        let problem = if fault == Fault::TooLarge { Problem::TooLarge } else { Problem::Layout };
        Error::new(problem, self.reader.position())
    }

    fn zeroes(&mut self, location: PointerLocation, len: usize, align: u32) -> Result<Position, Error> {
        let (index, start) = self.image.push_zeroes(location, len, align).map_err(|fault| self.fail(fault))?;
        Ok(Position { index, start, off: 0 })
    }

    fn write(&mut self, position: Position, bytes: &[u8]) -> Result<(), Error> {
        self.image.write(position.at(), bytes).map_err(|fault| self.fail(fault))
    }

    fn put(&self, slots: &mut Slots<'_>, value: u64) -> Result<(), Error> {
        slots.put(value).map_err(|fault| self.fail(fault))
    }

    fn fields(&mut self, fields: &[Field], position: Position) -> Result<(), Error> {
        for field in fields {
            self.value(&field.layout, position.plus(field.at)).map_err(|error| error.within(field.step.clone()))?;
        }
        Ok(())
    }

    fn value(&mut self, layout: &Layout, position: Position) -> Result<(), Error> {
        match &layout.shape {
            Shape::Text | Shape::List(_) => {
                let len = self.sequence(layout, position.location())?;
                self.write(position.plus(4), &len.to_le_bytes())
            }
            Shape::Fields(fields) => self.fields(fields, position),
            Shape::Flags(flags) => {
                let bytes = self.reader.flags(*flags)?;
                self.write(position, bytes)
            }
            Shape::Cases(cases) => {
                let case = self.case(cases)?;
                // Little-endian and as wide as the type needs.
                self.write(position, case.to_le_bytes().get(..cases.width as usize).unwrap_or_default())?;
                match payload(cases, case) {
                    Some((name, layout)) => self
                        .value(layout, position.plus(cases.payload_at))
                        .map_err(|error| error.within(Step::Case(name.into()))),
                    None => Ok(()),
                }
            }
            _ => {
                let value = self.scalar(layout)?.to_le_bytes();
                self.write(position, value.get(..layout.size as usize).unwrap_or_default())
            }
        }
    }

    fn flat(&mut self, layout: &Layout, slots: &mut Slots<'_>) -> Result<(), Error> {
        match &layout.shape {
            Shape::Text | Shape::List(_) => {
                let slot = u32::try_from(slots.next).map_err(|_| self.fail(Fault::Mismatch))?;
                let len = self.sequence(layout, PointerLocation::Slot(slot))?;
                self.put(slots, 0)?;
                self.put(slots, u64::from(len))
            }
            Shape::Fields(fields) => {
                for field in fields {
                    self.flat(&field.layout, slots).map_err(|error| error.within(field.step.clone()))?;
                }
                Ok(())
            }
            Shape::Flags(flags) => {
                let bytes = self.reader.flags(*flags)?;
                for word in bytes.chunks(4) {
                    let word = word.iter().rev().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
                    self.put(slots, word)?;
                }
                Ok(())
            }
            Shape::Cases(cases) => {
                let end = slots.next + layout.flat;
                let case = self.case(cases)?;
                self.put(slots, u64::from(case))?;
                if let Some((name, layout)) = payload(cases, case) {
                    self.flat(layout, slots).map_err(|error| error.within(Step::Case(name.into())))?;
                }
                slots.next = end;
                Ok(())
            }
            _ => {
                let value = self.scalar(layout)?;
                // The canonical ABI extends by the sign, to 32 bits.
                let value = match layout.shape {
                    Shape::S8 | Shape::S16 | Shape::S32 => u64::from(value as u32),
                    _ => value,
                };
                self.put(slots, value)
            }
        }
    }

    /// A value of a type without parts; its low bytes are those in memory. A signed one is extended by its sign.
    fn scalar(&mut self, layout: &Layout) -> Result<u64, Error> {
        let reader = &mut self.reader;
        Ok(match layout.shape {
            Shape::Bool => u64::from(reader.bool("bool")?),
            Shape::S8 => i64::from(i8::from_le_bytes(reader.array("s8")?)) as u64,
            Shape::U8 => u64::from(u8::from_le_bytes(reader.array("u8")?)),
            Shape::S16 => reader.signed(16, "s16")? as u64,
            Shape::U16 => reader.unsigned(16, "u16")?,
            Shape::S32 => reader.signed(32, "s32")? as u64,
            Shape::U32 => reader.unsigned(32, "u32")?,
            Shape::S64 => reader.signed(64, "s64")? as u64,
            Shape::U64 => reader.unsigned(64, "u64")?,
            Shape::Float32 => u64::from(u32::from_le_bytes(reader.array("f32")?)),
            Shape::Float64 => u64::from_le_bytes(reader.array("f64")?),
            Shape::Char => u64::from(u32::from(reader.char()?)),
            _ => return Err(self.fail(Fault::Mismatch)),
        })
    }

    fn case(&mut self, cases: &Cases) -> Result<u32, Error> {
        match cases.kind {
            "option" | "result" => self.reader.bool(cases.kind).map(u32::from),
            kind => self.reader.case(cases.cases.len(), kind),
        }
    }

    /// Reads the content of a string or list, and returns its length in the image.
    fn sequence(&mut self, layout: &Layout, location: PointerLocation) -> Result<u32, Error> {
        let Shape::List(item) = &layout.shape else {
            let text = self.reader.text()?;
            return self.image.push_utf8(location, text).map_err(|fault| self.fail(fault));
        };
        let items = self.reader.items()?;
        let len = (items as usize).saturating_mul(item.size as usize);
        // These have the same bytes in memory. When some are missing, reading item by item says which.
        let same = matches!(item.shape, Shape::S8 | Shape::U8 | Shape::Float32 | Shape::Float64);
        if let Some(bytes) = same.then(|| self.reader.whole(len)).flatten() {
            self.image.push(location, bytes, item.align).map_err(|fault| self.fail(fault))?;
            return Ok(items);
        }
        let mut position = self.zeroes(location, len, item.align)?;
        for at in 0..items as usize {
            self.value(item, position).map_err(|error| error.within(Step::Item(at)))?;
            position = position.plus(item.size);
        }
        Ok(items)
    }
}

/// The name and the type of the payload of this case, if it has one.
fn payload(cases: &Cases, case: u32) -> Option<(&str, &Layout)> {
    cases.cases.get(case as usize).and_then(|case| case.payload.as_ref().map(|payload| (&*case.name, payload)))
}
