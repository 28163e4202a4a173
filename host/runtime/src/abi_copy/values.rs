//! Converts an image to `Val`s: to record a call or to send it to another process, never to perform it.
//!
//! Lifting has checked the values and copied their blocks in the order of a walk over the types. The same walk reads
//! them here, so that counting finds each block. The layout is the canonical ABI's, computed from wasmtime's public
//! types.

use wasmtime::ValRaw;
use wasmtime::component::Val;
use wasmtime::component::types::{Case, Type};

use super::image::Image;
use super::{FLAT_PARAMS_MAX, Fault, Reply, ReplyBody, UNAVAILABLE, flat_count};

/// The parameters of these types, from `slots` and `image`.
pub(super) fn params(types: &[Type], slots: &[ValRaw], image: &Image) -> Result<Vec<Val>, Fault> {
    let flat = types.iter().map(flat_count).fold(0, usize::saturating_add);
    match flat > FLAT_PARAMS_MAX {
        true => Reader::new(image).root(types),
        false => {
            let (mut reader, mut slots) = (Reader::new(image), Slots(slots));
            types.iter().map(|ty| reader.flat(ty, &mut slots)).collect()
        }
    }
}

impl Reply {
    /// The values that the caller gets, of these types.
    ///
    /// # Errors
    /// When the reply has other types.
    pub fn values(&self, types: &[Type]) -> Result<Vec<Val>, Fault> {
        match &self.0 {
            ReplyBody::Flat { value, .. } => {
                let (image, slot) = (Image::default(), [*value]);
                let (mut reader, mut slots) = (Reader::new(&image), Slots(&slot));
                types.iter().map(|ty| reader.flat(ty, &mut slots)).collect()
            }
            ReplyBody::Memory { image, .. } => Reader::new(image).root(types),
            ReplyBody::Unavailable(text) => Ok(vec![unavailable(text)]),
        }
    }
}

/// `err(unavailable(text))`.
pub(crate) fn unavailable(text: &str) -> Val {
    let case = Val::Variant(UNAVAILABLE.into(), Some(Box::new(Val::String(text.into()))));
    Val::Result(Err(Some(Box::new(case))))
}

/// The core values that have not been read yet.
pub(super) struct Slots<'a>(pub(super) &'a [ValRaw]);

impl Slots<'_> {
    pub(super) fn take(&mut self) -> Result<ValRaw, Fault> {
        let (first, rest) = self.0.split_first().ok_or(Fault::Mismatch)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.0 = self.0.get(count..).ok_or(Fault::Mismatch)?;
        Ok(())
    }
}

struct Reader<'a> {
    image: &'a Image,
    /// The index of the block of the next string or list.
    next: usize,
}

impl<'a> Reader<'a> {
    fn new(image: &'a Image) -> Self {
        Self { image, next: 0 }
    }

    fn block(&mut self) -> Result<(usize, usize), Fault> {
        let found = self.image.block(self.next).ok_or(Fault::Mismatch)?;
        self.next += 1;
        Ok(found)
    }

    /// Reads a tuple that is passed in memory.
    fn root(&mut self, types: &[Type]) -> Result<Vec<Val>, Fault> {
        let (start, _) = self.block()?;
        self.fields(types.iter().cloned(), start)
    }

    fn fields(&mut self, types: impl Iterator<Item = Type>, start: usize) -> Result<Vec<Val>, Fault> {
        let mut end = start;
        types
            .map(|ty| {
                let (size, align) = layout(&ty);
                // A block may start anywhere in the image; alignment is relative to its start.
                let at = start + (end - start).next_multiple_of(align);
                end = at + size;
                self.value(&ty, at)
            })
            .collect()
    }

    fn value(&mut self, ty: &Type, at: usize) -> Result<Val, Fault> {
        let image = self.image;
        Ok(match ty {
            Type::Bool => Val::Bool(image.read::<1>(at)? != [0]),
            Type::S8 => Val::S8(i8::from_le_bytes(image.read(at)?)),
            Type::U8 => Val::U8(u8::from_le_bytes(image.read(at)?)),
            Type::S16 => Val::S16(i16::from_le_bytes(image.read(at)?)),
            Type::U16 => Val::U16(u16::from_le_bytes(image.read(at)?)),
            Type::S32 => Val::S32(i32::from_le_bytes(image.read(at)?)),
            Type::U32 => Val::U32(u32::from_le_bytes(image.read(at)?)),
            Type::S64 => Val::S64(i64::from_le_bytes(image.read(at)?)),
            Type::U64 => Val::U64(u64::from_le_bytes(image.read(at)?)),
            Type::Float32 => Val::Float32(f32::from_le_bytes(image.read(at)?)),
            Type::Float64 => Val::Float64(f64::from_le_bytes(image.read(at)?)),
            Type::Char => character(image.read_u32(at)?)?,
            Type::String => self.text()?,
            Type::List(list) => {
                let len = image.read_u32(at + 4)?;
                self.list(&list.ty(), len)?
            }
            Type::Record(record) => {
                let values = self.fields(record.fields().map(|field| field.ty), at)?;
                Val::Record(record.fields().map(|field| field.name.to_owned()).zip(values).collect())
            }
            Type::Tuple(tuple) => Val::Tuple(self.fields(tuple.types(), at)?),
            Type::Flags(flags) => {
                let names = flags.names().enumerate();
                let set = names.map(|(bit, name)| Ok((name, image.read::<1>(at + bit / 8)?[0] >> (bit % 8) & 1 == 1)));
                let set: Vec<(&str, bool)> = set.collect::<Result<_, Fault>>()?;
                Val::Flags(set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()).collect())
            }
            _ => {
                let cases = Cases::of(ty)?;
                let width = discriminant_bytes(cases.0.len());
                let case = match width {
                    1 => u32::from(image.read::<1>(at)?[0]),
                    2 => u32::from(u16::from_le_bytes(image.read(at)?)),
                    _ => image.read_u32(at)?,
                };
                let payload_at = at + width.next_multiple_of(cases.payload_layout().1);
                let payload = cases.payload(case)?.map(|ty| self.value(ty, payload_at)).transpose()?;
                cases.value(ty, case, payload)?
            }
        })
    }

    fn flat(&mut self, ty: &Type, slots: &mut Slots<'_>) -> Result<Val, Fault> {
        Ok(match ty {
            Type::Bool => Val::Bool(slots.take()?.get_u32() != 0),
            Type::S8 => Val::S8(slots.take()?.get_u32() as i8),
            Type::U8 => Val::U8(slots.take()?.get_u32() as u8),
            Type::S16 => Val::S16(slots.take()?.get_u32() as i16),
            Type::U16 => Val::U16(slots.take()?.get_u32() as u16),
            Type::S32 => Val::S32(slots.take()?.get_i32()),
            Type::U32 => Val::U32(slots.take()?.get_u32()),
            Type::S64 => Val::S64(slots.take()?.get_i64()),
            Type::U64 => Val::U64(slots.take()?.get_u64()),
            Type::Float32 => Val::Float32(f32::from_bits(slots.take()?.get_u32())),
            Type::Float64 => Val::Float64(f64::from_bits(slots.take()?.get_u64())),
            Type::Char => character(slots.take()?.get_u32())?,
            Type::String => {
                slots.skip(2)?;
                self.text()?
            }
            Type::List(list) => {
                slots.skip(1)?;
                let len = slots.take()?.get_u32();
                self.list(&list.ty(), len)?
            }
            Type::Record(record) => {
                let field = |field: wasmtime::component::types::Field<'_>| {
                    Ok((field.name.to_owned(), self.flat(&field.ty, slots)?))
                };
                Val::Record(record.fields().map(field).collect::<Result<_, Fault>>()?)
            }
            Type::Tuple(tuple) => {
                Val::Tuple(tuple.types().map(|ty| self.flat(&ty, slots)).collect::<Result<_, Fault>>()?)
            }
            Type::Flags(flags) => {
                let names: Vec<&str> = flags.names().collect();
                let mut set = Vec::new();
                for names in names.chunks(32) {
                    let word = slots.take()?.get_u32();
                    let names = names.iter().enumerate().filter(|(bit, _)| word >> bit & 1 == 1);
                    set.extend(names.map(|(_, name)| (*name).to_owned()));
                }
                Val::Flags(set)
            }
            _ => {
                let cases = Cases::of(ty)?;
                let case = slots.take()?.get_u32();
                let widest = cases.0.iter().map(|(_, ty)| ty.as_ref().map_or(0, flat_count)).max().unwrap_or(0);
                let payload = cases.payload(case)?;
                let used = payload.map_or(0, flat_count);
                let payload = payload.map(|ty| self.flat(ty, slots)).transpose()?;
                slots.skip(widest.saturating_sub(used))?;
                cases.value(ty, case, payload)?
            }
        })
    }

    fn text(&mut self) -> Result<Val, Fault> {
        let (start, len) = self.block()?;
        let bytes = self.image.slice(start, len)?;
        Ok(Val::String(std::str::from_utf8(bytes).map_err(|_| Fault::Text)?.to_owned()))
    }

    fn list(&mut self, element: &Type, len: u32) -> Result<Val, Fault> {
        let (start, _) = self.block()?;
        let size = layout(element).0;
        Ok(Val::List((0..len as usize).map(|i| self.value(element, start + i * size)).collect::<Result<_, Fault>>()?))
    }
}

fn character(code: u32) -> Result<Val, Fault> {
    char::from_u32(code).map(Val::Char).ok_or(Fault::Char(code))
}

/// The cases of a variant, or of a type with the layout of a variant, each with its payload's type.
struct Cases(Vec<(Option<String>, Option<Type>)>);

impl Cases {
    fn of(ty: &Type) -> Result<Self, Fault> {
        Ok(Self(match ty {
            Type::Option(option) => vec![(None, None), (None, Some(option.ty()))],
            Type::Result(result) => vec![(None, result.ok()), (None, result.err())],
            Type::Enum(names) => names.names().map(|name| (Some(name.to_owned()), None)).collect(),
            Type::Variant(variant) => variant.cases().map(|Case { name, ty }| (Some(name.to_owned()), ty)).collect(),
            _ => return Err(Fault::Unsupported),
        }))
    }

    fn payload(&self, case: u32) -> Result<Option<&Type>, Fault> {
        let fault = Fault::Case { discriminant: case, cases: self.0.len() };
        self.0.get(case as usize).map(|(_, ty)| ty.as_ref()).ok_or(fault)
    }

    /// The size of the largest payload, and the strictest alignment.
    fn payload_layout(&self) -> (usize, usize) {
        let layouts = self.0.iter().filter_map(|(_, ty)| ty.as_ref().map(layout));
        layouts.fold((0, 1), |(size, align), (s, a)| (size.max(s), align.max(a)))
    }

    fn value(&self, ty: &Type, case: u32, payload: Option<Val>) -> Result<Val, Fault> {
        let payload = payload.map(Box::new);
        let name = self.0.get(case as usize).and_then(|(name, _)| name.clone());
        Ok(match (ty, name) {
            (Type::Option(_), _) => Val::Option(payload),
            (Type::Result(_), _) if case == 0 => Val::Result(Ok(payload)),
            (Type::Result(_), _) => Val::Result(Err(payload)),
            (Type::Enum(_), Some(name)) => Val::Enum(name),
            (Type::Variant(_), Some(name)) => Val::Variant(name, payload),
            _ => return Err(Fault::Unsupported),
        })
    }
}

fn discriminant_bytes(cases: usize) -> usize {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Size and alignment in a 32-bit memory.
fn layout(ty: &Type) -> (usize, usize) {
    let fields = |types: &mut dyn Iterator<Item = Type>| {
        let (mut end, mut strictest) = (0_usize, 1);
        for (size, align) in types.map(|ty| layout(&ty)) {
            end = end.next_multiple_of(align) + size;
            strictest = strictest.max(align);
        }
        (end.next_multiple_of(strictest), strictest)
    };
    match ty {
        Type::Bool | Type::S8 | Type::U8 => (1, 1),
        Type::S16 | Type::U16 => (2, 2),
        Type::S32 | Type::U32 | Type::Float32 | Type::Char => (4, 4),
        Type::S64 | Type::U64 | Type::Float64 => (8, 8),
        Type::String | Type::List(_) => (8, 4),
        Type::Record(record) => fields(&mut record.fields().map(|field| field.ty)),
        Type::Tuple(tuple) => fields(&mut tuple.types()),
        Type::Flags(flags) => match flags.names().count() {
            0..=8 => (1, 1),
            9..=16 => (2, 2),
            count => (count.div_ceil(32) * 4, 4),
        },
        _ => match Cases::of(ty) {
            Ok(cases) => {
                let width = discriminant_bytes(cases.0.len());
                let (size, align) = cases.payload_layout();
                let align = align.max(width);
                ((width.next_multiple_of(cases.payload_layout().1) + size).next_multiple_of(align), align)
            }
            // An image never contains other types.
            Err(_) => (0, 1),
        },
    }
}
