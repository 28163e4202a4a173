//! Writes an image as the bytes of `codec`, without `Val`s.
//!
//! Lifting has checked the values and copied their blocks in the order of a walk over the types. The same walk reads
//! them here, so that counting finds each block.

use wasmtime::ValRaw;

use super::image::Image;
use super::values::Slots;
use super::{FLAT_PARAMS_MAX, Fault, Reply, ReplyBody, UNAVAILABLE};
use crate::codec::{self, Cases, Error, Field, Fields, FunctionLayout, Layout, Problem, Shape};
use crate::limits;

/// Appends the parameters, from `slots` and `image`.
pub(super) fn params(layout: &FunctionLayout, slots: &[ValRaw], image: &Image, out: &mut Vec<u8>) -> Result<(), Error> {
    write(out, |encoder| encoder.message(&layout.params, FLAT_PARAMS_MAX, slots, image))
}

impl Reply {
    /// Appends the results to `out`, as `codec` writes values of their types.
    ///
    /// # Errors
    /// When they take more than `limits::SEAM_MESSAGE_BYTES_MAX` bytes, or `layout` is that of another function. `out`
    /// is then as it was.
    pub fn encode(&self, layout: &FunctionLayout, out: &mut Vec<u8>) -> Result<(), Error> {
        let results = &layout.results;
        write(out, |encoder| match &self.0 {
            ReplyBody::Flat { value, .. } => encoder.message(results, 1, &[*value], &Image::default()),
            ReplyBody::Memory { image, .. } => encoder.message(results, 0, &[], image),
            ReplyBody::Unavailable(text) => unavailable(layout, text, encoder.out),
        })
    }
}

/// Leaves `out` as it was if `encode` fails.
fn write(out: &mut Vec<u8>, encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let start = out.len();
    let encoded = encode(&mut Encoder { out, start }).and_then(|()| match out.len() - start {
        0..=limits::SEAM_MESSAGE_BYTES_MAX => Ok(()),
        bytes => Err(Error::new(Problem::TooLarge, bytes)),
    });
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

/// Appends `err(unavailable(text))`.
fn unavailable(layout: &FunctionLayout, text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    let missing = || Error::new(Problem::NoUnavailable, 0);
    let [_, error] = layout.outcome().map(|result| &*result.cases).ok_or_else(missing)? else { return Err(missing()) };
    let Some(Layout { shape: Shape::Cases(error), .. }) = &error.payload else { return Err(missing()) };
    let mut cases = error.cases.iter();
    let case = cases.position(|case| *case.name == *UNAVAILABLE).ok_or_else(missing)?;
    let payload = error.cases.get(case).and_then(|case| case.payload.as_ref());
    if !matches!(payload, Some(Layout { shape: Shape::Text, .. })) {
        return Err(missing());
    }
    out.push(1);
    codec::put_unsigned(out, case as u64);
    codec::put_text(out, text.as_bytes());
    Ok(())
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl Encoder<'_> {
    /// Writes values that are passed in core values if they need at most `flat_max` of them, else in memory.
    fn message(&mut self, values: &Fields, flat_max: usize, slots: &[ValRaw], image: &Image) -> Result<(), Error> {
        let mut walk = Walk { out: self.out, image, next: 0 };
        let written = if values.flat <= flat_max {
            let mut slots = Slots(slots);
            values.fields.iter().try_for_each(|field| walk.flat(&field.layout, &mut slots))
        } else {
            walk.block().and_then(|(root, _)| walk.fields(&values.fields, root))
        };
        // Linking rules out every fault: the image holds checked values of these types.
        written.map_err(|_| Error::new(Problem::Layout, self.out.len() - self.start))
    }
}

struct Walk<'a> {
    out: &'a mut Vec<u8>,
    image: &'a Image,
    /// The index of the block of the next string or list.
    next: usize,
}

impl Walk<'_> {
    /// The start and the length of the next block.
    fn block(&mut self) -> Result<(usize, usize), Fault> {
        let found = self.image.block(self.next).ok_or(Fault::Mismatch)?;
        self.next += 1;
        Ok(found)
    }

    fn fields(&mut self, fields: &[Field], at: usize) -> Result<(), Fault> {
        fields.iter().try_for_each(|field| self.value(&field.layout, at + field.at as usize))
    }

    fn value(&mut self, layout: &Layout, at: usize) -> Result<(), Fault> {
        let image = self.image;
        match &layout.shape {
            Shape::Bool | Shape::S8 | Shape::U8 => self.out.extend_from_slice(&image.read::<1>(at)?),
            Shape::S16 => self.signed(i16::from_le_bytes(image.read(at)?)),
            Shape::U16 => self.unsigned(u16::from_le_bytes(image.read(at)?)),
            Shape::S32 => self.signed(i32::from_le_bytes(image.read(at)?)),
            Shape::U32 | Shape::Char => self.unsigned(image.read_u32(at)?),
            Shape::S64 => self.signed(i64::from_le_bytes(image.read(at)?)),
            Shape::U64 => self.unsigned(u64::from_le_bytes(image.read(at)?)),
            Shape::Float32 => self.out.extend_from_slice(&image.read::<4>(at)?),
            Shape::Float64 => self.out.extend_from_slice(&image.read::<8>(at)?),
            Shape::Text => self.text()?,
            Shape::List(item) => {
                let items = image.read_u32(at + 4)?;
                self.list(item, items)?;
            }
            Shape::Fields(fields) => self.fields(fields, at)?,
            Shape::Flags(flags) => self.out.extend_from_slice(image.slice(at, flags.div_ceil(8))?),
            Shape::Cases(cases) => {
                let case = match cases.width {
                    1 => u32::from(image.read::<1>(at)?[0]),
                    2 => u32::from(u16::from_le_bytes(image.read(at)?)),
                    _ => image.read_u32(at)?,
                };
                if let Some(payload) = self.case(cases, case)? {
                    self.value(payload, at + cases.payload_at as usize)?;
                }
            }
        }
        Ok(())
    }

    fn flat(&mut self, layout: &Layout, slots: &mut Slots<'_>) -> Result<(), Fault> {
        match &layout.shape {
            Shape::Bool | Shape::S8 | Shape::U8 => self.out.push(slots.take()?.get_u32() as u8),
            Shape::S16 => self.signed(slots.take()?.get_u32() as i16),
            Shape::U16 => self.unsigned(slots.take()?.get_u32() as u16),
            Shape::S32 => self.signed(slots.take()?.get_i32()),
            Shape::U32 | Shape::Char => self.unsigned(slots.take()?.get_u32()),
            Shape::S64 => self.signed(slots.take()?.get_i64()),
            Shape::U64 => self.unsigned(slots.take()?.get_u64()),
            Shape::Float32 => self.out.extend_from_slice(&slots.take()?.get_u32().to_le_bytes()),
            Shape::Float64 => self.out.extend_from_slice(&slots.take()?.get_u64().to_le_bytes()),
            Shape::Text => {
                slots.skip(2)?;
                self.text()?;
            }
            Shape::List(item) => {
                slots.skip(1)?;
                let items = slots.take()?.get_u32();
                self.list(item, items)?;
            }
            Shape::Fields(fields) => fields.iter().try_for_each(|field| self.flat(&field.layout, slots))?,
            Shape::Flags(flags) => {
                let mut left = flags.div_ceil(8);
                while left > 0 {
                    let word = slots.take()?.get_u32().to_le_bytes();
                    self.out.extend_from_slice(word.get(..left).unwrap_or(&word));
                    left = left.saturating_sub(word.len());
                }
            }
            Shape::Cases(cases) => {
                let case = slots.take()?.get_u32();
                let payload = self.case(cases, case)?;
                if let Some(payload) = payload {
                    self.flat(payload, slots)?;
                }
                let used = 1 + payload.map_or(0, |payload| payload.flat);
                slots.skip(layout.flat.saturating_sub(used))?;
            }
        }
        Ok(())
    }

    fn signed(&mut self, value: impl Into<i64>) {
        codec::put_signed(self.out, value.into());
    }

    fn unsigned(&mut self, value: impl Into<u64>) {
        codec::put_unsigned(self.out, value.into());
    }

    fn case<'l>(&mut self, cases: &'l Cases, case: u32) -> Result<Option<&'l Layout>, Fault> {
        let found = cases.cases.get(case as usize).ok_or(Fault::Mismatch)?;
        self.unsigned(case);
        Ok(found.payload.as_ref())
    }

    fn text(&mut self) -> Result<(), Fault> {
        let (start, len) = self.block()?;
        codec::put_text(self.out, self.image.slice(start, len)?);
        Ok(())
    }

    fn list(&mut self, item: &Layout, items: u32) -> Result<(), Fault> {
        let ((start, len), size) = (self.block()?, item.size as usize);
        self.unsigned(items);
        match item.shape {
            // These have the same bytes in memory.
            Shape::S8 | Shape::U8 | Shape::Bool | Shape::Float32 | Shape::Float64 => {
                self.out.extend_from_slice(self.image.slice(start, len)?);
            }
            _ => (0..items as usize).try_for_each(|at| self.value(item, start + at * size))?,
        }
        Ok(())
    }
}
