//! Lifts a guest's memory and core values into an `Image`, and checks everything that a guest can get wrong in the
//! canonical ABI.
//!
//! The checks read the copied bytes in the image, which can no longer change. Every byte that is not part of a value is
//! zeroed, so that an image contains only defined bytes.

use wasmtime::ValRaw;
use wasmtime::component::__internal::wasmtime_environ::component::{TypeTuple, VariantInfo};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType, LiftContext};

use super::image::{Image, PointerLocation};
use super::strings::Encoding;
use super::{Fault, limits};

pub(super) struct Lifter<'a> {
    memory: &'a [u8],
    types: &'a ComponentTypes,
    encoding: Encoding,
    pub(super) image: Image,
}

/// The position of a value in the image: `off` bytes into the block `index`, which starts at the image's byte `start`.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) index: u32,
    pub(super) start: usize,
    pub(super) off: u32,
}

impl Position {
    pub(super) fn plus(self, bytes: u32) -> Self {
        Self { off: self.off.saturating_add(bytes), ..self }
    }

    pub(super) fn at(self) -> usize {
        self.start + self.off as usize
    }

    pub(super) fn location(self) -> PointerLocation {
        PointerLocation::Block { index: self.index, at: self.off }
    }
}

/// The core values of a message: as the guest passed them, and as the other guest gets them.
///
/// The cases of a variant share slots, which are as wide as their widest case. Writing all 64 bits is right for every
/// width; a slot that the current case does not use stays zero.
pub(super) struct Slots<'s> {
    source: &'s [ValRaw],
    target: &'s mut [ValRaw],
    next: usize,
}

impl<'s> Slots<'s> {
    pub(super) fn new(source: &'s [ValRaw], target: &'s mut [ValRaw]) -> Self {
        target.fill(ValRaw::u64(0));
        Self { source, target, next: 0 }
    }

    fn peek(&self, ahead: usize) -> Result<&ValRaw, Fault> {
        self.source.get(self.next + ahead).ok_or(Fault::Mismatch)
    }

    fn put_u64(&mut self, value: u64) -> Result<(), Fault> {
        *self.target.get_mut(self.next).ok_or(Fault::Mismatch)? = ValRaw::u64(value);
        self.next += 1;
        Ok(())
    }

    fn put(&mut self, value: u32) -> Result<(), Fault> {
        self.put_u64(u64::from(value))
    }
}

impl<'a> Lifter<'a> {
    pub(super) fn new(cx: &LiftContext<'a>) -> Self {
        let encoding = Encoding::of(cx.options().string_encoding);
        Self { memory: cx.memory(), types: cx.types, encoding, image: Image::default() }
    }

    /// Lifts a tuple in memory at `pointer`, which becomes the root block of the image.
    pub(super) fn root(&mut self, tuple: &TypeTuple, pointer: u32) -> Result<(), Fault> {
        let source = self.source(pointer, u64::from(tuple.abi.size32), tuple.abi.align32)?;
        let (index, start) = self.image.push(PointerLocation::Root, source, tuple.abi.align32)?;
        self.fields(tuple.types.iter().copied(), tuple.abi.size32, Position { index, start, off: 0 }, 0)
    }

    /// Lifts a tuple that is passed in core values.
    pub(super) fn flat_tuple(&mut self, tuple: &TypeTuple, slots: &mut Slots<'_>) -> Result<(), Fault> {
        tuple.types.iter().try_for_each(|ty| self.flat(*ty, slots, 1))
    }

    fn source(&self, pointer: u32, bytes: u64, align: u32) -> Result<&'a [u8], Fault> {
        if !pointer.is_multiple_of(align) {
            return Err(Fault::Unaligned { pointer, align });
        }
        let from = self.memory.get(pointer as usize..);
        let len = usize::try_from(bytes).ok();
        from.zip(len).and_then(|(from, len)| from.get(..len)).ok_or(Fault::OutOfBounds { pointer, bytes })
    }

    /// Lifts the content of a string or list, and returns its length in the image.
    fn sequence(
        &mut self,
        ty: InterfaceType,
        location: PointerLocation,
        pointer: u32,
        len: u32,
        depth: usize,
    ) -> Result<u32, Fault> {
        let InterfaceType::List(list) = ty else {
            let (encoding, bytes) = self.encoding.extent(len);
            let source = self.source(pointer, bytes, self.encoding.align())?;
            return self.image.push_text(location, source, encoding);
        };
        let element = self.types[list].element;
        let abi = self.types.canonical_abi(&element);
        // A product of two 32-bit numbers cannot overflow; `source` checks it against the memory before anything is
        // copied.
        let bytes = u64::from(len) * u64::from(abi.size32);
        let source = self.source(pointer, bytes, abi.align32)?;
        let (index, start) = self.image.push(location, source, abi.align32)?;
        if !self.is_plain(element, depth + 1)? {
            let mut position = Position { index, start, off: 0 };
            for _ in 0..len {
                self.value(element, position, depth + 1)?;
                position = position.plus(abi.size32);
            }
        }
        Ok(len)
    }

    /// Whether every sequence of bytes is a value of this type: it has no pointers, no padding and no invalid values.
    fn is_plain(&self, ty: InterfaceType, depth: usize) -> Result<bool, Fault> {
        use InterfaceType as Ty;
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let all = |types: &mut dyn Iterator<Item = InterfaceType>, size: u32| {
            let mut sum = 0;
            for ty in types {
                sum += self.types.canonical_abi(&ty).size32;
                if !self.is_plain(ty, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(sum == size)
        };
        match ty {
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64 => Ok(true),
            Ty::Float32 | Ty::Float64 => Ok(true),
            Ty::Record(i) => all(&mut self.types[i].fields.iter().map(|field| field.ty), self.types[i].abi.size32),
            Ty::Tuple(i) => all(&mut self.types[i].types.iter().copied(), self.types[i].abi.size32),
            _ => Ok(false),
        }
    }

    /// Checks the value at `position`, and lifts the strings and lists that it points to.
    fn value(&mut self, ty: InterfaceType, position: Position, depth: usize) -> Result<(), Fault> {
        use InterfaceType as Ty;
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let types = self.types;
        match ty {
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64 => Ok(()),
            Ty::Float32 | Ty::Float64 => Ok(()),
            Ty::Bool => {
                let [byte] = self.image.read(position.at())?;
                self.image.write(position.at(), &[u8::from(byte != 0)])
            }
            Ty::Char => check_char(self.image.read_u32(position.at())?),
            Ty::String | Ty::List(_) => {
                let (pointer, len) = (self.image.read_u32(position.at())?, self.image.read_u32(position.at() + 4)?);
                let len = self.sequence(ty, position.location(), pointer, len, depth)?;
                // The pointer has no meaning outside its memory and is zeroed; `Image::copy_into` writes the new one.
                self.image.write(position.at(), &(u64::from(len) << 32).to_le_bytes())
            }
            Ty::Record(i) => {
                let record = &types[i];
                self.fields(record.fields.iter().map(|field| field.ty), record.abi.size32, position, depth)
            }
            Ty::Tuple(i) => self.fields(types[i].types.iter().copied(), types[i].abi.size32, position, depth),
            Ty::Option(i) => {
                let option = &types[i];
                self.case(&option.info, option.abi.size32, 2, position, depth, |case| (case == 1).then_some(option.ty))
            }
            Ty::Result(i) => {
                let result = &types[i];
                let payload = |case| if case == 0 { result.ok } else { result.err };
                self.case(&result.info, result.abi.size32, 2, position, depth, payload)
            }
            Ty::Variant(i) => {
                let variant = &types[i];
                let payload = |case| variant.cases.get_index(case).and_then(|(_, payload)| *payload);
                self.case(&variant.info, variant.abi.size32, variant.cases.len(), position, depth, payload)
            }
            Ty::Enum(i) => {
                let names = types[i].names.len();
                self.case(&types[i].info, types[i].abi.size32, names, position, depth, |_| None)
            }
            Ty::Flags(i) => {
                let (whole, rest) = (types[i].names.len() / 8, types[i].names.len() % 8);
                let at = position.at();
                if rest > 0 {
                    let [byte] = self.image.read(at + whole)?;
                    self.image.write(at + whole, &[byte & ((1 << rest) - 1)])?;
                }
                self.image.clear(at + whole + usize::from(rest > 0), at + types[i].abi.size32 as usize)
            }
            _ => Err(Fault::Unsupported),
        }
    }

    /// Lifts consecutive fields, each at its alignment, and zeroes the padding between them.
    fn fields(
        &mut self,
        types: impl Iterator<Item = InterfaceType>,
        size: u32,
        position: Position,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut end = 0;
        for ty in types {
            let gap = end;
            let off = self.types.canonical_abi(&ty).next_field32(&mut end);
            self.image.clear(position.plus(gap).at(), position.plus(off).at())?;
            self.value(ty, position.plus(off), depth + 1)?;
        }
        self.image.clear(position.plus(end).at(), position.plus(size).at())
    }

    /// Lifts a discriminant and the payload of its case, and zeroes the padding between and after them.
    fn case(
        &mut self,
        info: &VariantInfo,
        size: u32,
        cases: usize,
        position: Position,
        depth: usize,
        payload: impl Fn(usize) -> Option<InterfaceType>,
    ) -> Result<(), Fault> {
        let width = u32::from(info.size);
        let discriminant = match width {
            1 => u32::from(self.image.read::<1>(position.at())?[0]),
            2 => u32::from(u16::from_le_bytes(self.image.read(position.at())?)),
            _ => self.image.read_u32(position.at())?,
        };
        let case = check_case(discriminant, cases)?;
        let Some(ty) = payload(case) else {
            return self.image.clear(position.plus(width).at(), position.plus(size).at());
        };
        let off = info.payload_offset32;
        let end = off + self.types.canonical_abi(&ty).size32;
        self.image.clear(position.plus(width).at(), position.plus(off).at())?;
        self.image.clear(position.plus(end).at(), position.plus(size).at())?;
        self.value(ty, position.plus(off), depth + 1)
    }

    /// Checks a value that is passed in core values, and lifts the strings and lists that it points to.
    fn flat(&mut self, ty: InterfaceType, slots: &mut Slots<'_>, depth: usize) -> Result<(), Fault> {
        use InterfaceType as Ty;
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let types = self.types;
        let word = slots.peek(0)?.get_u32();
        match ty {
            Ty::U32 | Ty::S32 | Ty::Float32 => slots.put(word),
            Ty::U64 | Ty::S64 | Ty::Float64 => slots.put_u64(slots.peek(0)?.get_u64()),
            // Truncated to the type's width as in wasmtime, then extended as the canonical ABI requires.
            Ty::U8 => slots.put(u32::from(word as u8)),
            Ty::U16 => slots.put(u32::from(word as u16)),
            Ty::S8 => slots.put(i32::from(word as i8) as u32),
            Ty::S16 => slots.put(i32::from(word as i16) as u32),
            Ty::Bool => slots.put(u32::from(word != 0)),
            Ty::Char => check_char(word).and_then(|()| slots.put(word)),
            Ty::String | Ty::List(_) => {
                let location = PointerLocation::Slot(u32::try_from(slots.next).map_err(|_| Fault::Mismatch)?);
                let len = self.sequence(ty, location, word, slots.peek(1)?.get_u32(), depth)?;
                slots.put(0)?;
                slots.put(len)
            }
            Ty::Record(i) => types[i].fields.iter().try_for_each(|field| self.flat(field.ty, slots, depth + 1)),
            Ty::Tuple(i) => types[i].types.iter().try_for_each(|ty| self.flat(*ty, slots, depth + 1)),
            Ty::Option(i) => self.flat_case(ty, 2, slots, depth, |case| (case == 1).then_some(types[i].ty)),
            Ty::Result(i) => {
                let payload = |case| if case == 0 { types[i].ok } else { types[i].err };
                self.flat_case(ty, 2, slots, depth, payload)
            }
            Ty::Variant(i) => {
                let cases = &types[i].cases;
                let payload = |case| cases.get_index(case).and_then(|(_, payload)| *payload);
                self.flat_case(ty, cases.len(), slots, depth, payload)
            }
            Ty::Enum(i) => self.flat_case(ty, types[i].names.len(), slots, depth, |_| None),
            Ty::Flags(i) => {
                let mut left = types[i].names.len();
                while left > 0 {
                    let mask = if left < 32 { (1 << left) - 1 } else { u32::MAX };
                    let word = slots.peek(0)?.get_u32();
                    slots.put(word & mask)?;
                    left = left.saturating_sub(32);
                }
                Ok(())
            }
            _ => Err(Fault::Unsupported),
        }
    }

    fn flat_case(
        &mut self,
        ty: InterfaceType,
        cases: usize,
        slots: &mut Slots<'_>,
        depth: usize,
        payload: impl Fn(usize) -> Option<InterfaceType>,
    ) -> Result<(), Fault> {
        let count = self.types.canonical_abi(&ty).flat_count.ok_or(Fault::Mismatch)?;
        let end = slots.next + usize::from(count);
        let discriminant = slots.peek(0)?.get_u32();
        slots.put(discriminant)?;
        if let Some(ty) = payload(check_case(discriminant, cases)?) {
            self.flat(ty, slots, depth + 1)?;
        }
        slots.next = end;
        Ok(())
    }
}

fn check_char(value: u32) -> Result<(), Fault> {
    char::from_u32(value).map(|_| ()).ok_or(Fault::Char(value))
}

fn check_case(discriminant: u32, cases: usize) -> Result<usize, Fault> {
    let case = usize::try_from(discriminant).ok().filter(|case| *case < cases);
    case.ok_or(Fault::Case { discriminant, cases })
}
