//! From a guest's memory and core values into an `Image`: everything that the canonical ABI lets a guest get wrong is checked here.
//!
//! Values are checked in the image, after their bytes were copied: only there they cannot change any more. On the way everything
//! that is no part of the value is zeroed, so that an image holds defined bytes only.

use wasmtime::ValRaw;
use wasmtime::component::__internal::wasmtime_environ::component::{TypeTuple, VariantInfo};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType, LiftContext};

use super::image::{Home, Image};
use super::strings::Encoding;
use super::{Fault, limits};

type Outcome = std::result::Result<(), Fault>;

pub(super) struct Lifter<'a> {
    memory: &'a [u8],
    types: &'a ComponentTypes,
    encoding: Encoding,
    pub(super) image: Image,
}

/// Where in the image a value stands: `off` bytes into the block `index`, whose first byte is the image's `start`.
#[derive(Clone, Copy)]
struct Place {
    index: u32,
    start: usize,
    off: u32,
}

impl Place {
    fn plus(self, bytes: u32) -> Self {
        Self { off: self.off.saturating_add(bytes), ..self }
    }

    fn at(self) -> usize {
        self.start + self.off as usize
    }

    fn home(self) -> Home {
        Home::Block { index: self.index, at: self.off }
    }
}

/// The core values of a message: those the guest passed, and beside them what is to be passed on.
///
/// A slot that cases of a variant share is as wide as the widest of them; writing all 64 bits serves every width, and a slot
/// that the case at hand does not use stays zero.
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

    fn put_u64(&mut self, value: u64) -> Outcome {
        *self.target.get_mut(self.next).ok_or(Fault::Mismatch)? = ValRaw::u64(value);
        self.next += 1;
        Ok(())
    }

    fn put(&mut self, value: u32) -> Outcome {
        self.put_u64(u64::from(value))
    }
}

impl<'a> Lifter<'a> {
    pub(super) fn new(cx: &LiftContext<'a>) -> Self {
        let encoding = Encoding::of(cx.options().string_encoding);
        Self { memory: cx.memory(), types: cx.types, encoding, image: Image::default() }
    }

    /// A tuple that lies in memory at `pointer`: it becomes the image's root.
    pub(super) fn root(&mut self, tuple: &TypeTuple, pointer: u32) -> Outcome {
        let source = self.source(pointer, u64::from(tuple.abi.size32), tuple.abi.align32)?;
        let (index, start) = self.image.push(Home::Root, source, tuple.abi.align32)?;
        self.fields(tuple.types.iter().copied(), tuple.abi.size32, Place { index, start, off: 0 }, 0)
    }

    /// A tuple that is passed in core values.
    pub(super) fn flat_tuple(&mut self, tuple: &TypeTuple, slots: &mut Slots<'_>) -> Outcome {
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

    /// A string or list; returns what is to stand for its length.
    fn sequence(&mut self, ty: InterfaceType, home: Home, pointer: u32, len: u32, depth: usize) -> Result<u32, Fault> {
        let InterfaceType::List(list) = ty else {
            let (encoding, bytes) = self.encoding.extent(len);
            let source = self.source(pointer, bytes, self.encoding.align())?;
            return self.image.push_text(home, source, encoding);
        };
        let element = self.types[list].element;
        let abi = self.types.canonical_abi(&element);
        // The product of two 32-bit numbers; it is compared with the memory before anything is copied.
        let bytes = u64::from(len) * u64::from(abi.size32);
        let source = self.source(pointer, bytes, abi.align32)?;
        let (index, start) = self.image.push(home, source, abi.align32)?;
        if !self.is_plain(element, depth + 1)? {
            let mut place = Place { index, start, off: 0 };
            for _ in 0..len {
                self.value(element, place, depth + 1)?;
                place = place.plus(abi.size32);
            }
        }
        Ok(len)
    }

    /// Whether any bytes at all are a value of this type: no pointers, no padding, nothing that could be invalid.
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

    /// Checks the value at `place` and fetches what it points to.
    fn value(&mut self, ty: InterfaceType, place: Place, depth: usize) -> Outcome {
        use InterfaceType as Ty;
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let types = self.types;
        match ty {
            Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::S64 | Ty::U64 => Ok(()),
            Ty::Float32 | Ty::Float64 => Ok(()),
            Ty::Bool => {
                let [byte] = self.image.read(place.at())?;
                self.image.write(place.at(), &[u8::from(byte != 0)])
            }
            Ty::Char => check_char(self.image.read_u32(place.at())?),
            Ty::String | Ty::List(_) => {
                let (pointer, len) = (self.image.read_u32(place.at())?, self.image.read_u32(place.at() + 4)?);
                let len = self.sequence(ty, place.home(), pointer, len, depth)?;
                // The pointer means nothing outside its memory and is zeroed; `place` writes the new one.
                self.image.write(place.at(), &(u64::from(len) << 32).to_le_bytes())
            }
            Ty::Record(i) => {
                let record = &types[i];
                self.fields(record.fields.iter().map(|field| field.ty), record.abi.size32, place, depth)
            }
            Ty::Tuple(i) => self.fields(types[i].types.iter().copied(), types[i].abi.size32, place, depth),
            Ty::Option(i) => {
                let option = &types[i];
                self.case(&option.info, option.abi.size32, 2, place, depth, |case| (case == 1).then_some(option.ty))
            }
            Ty::Result(i) => {
                let result = &types[i];
                let payload = |case| if case == 0 { result.ok } else { result.err };
                self.case(&result.info, result.abi.size32, 2, place, depth, payload)
            }
            Ty::Variant(i) => {
                let variant = &types[i];
                let payload = |case| variant.cases.get_index(case).and_then(|(_, payload)| *payload);
                self.case(&variant.info, variant.abi.size32, variant.cases.len(), place, depth, payload)
            }
            Ty::Enum(i) => {
                let names = types[i].names.len();
                self.case(&types[i].info, types[i].abi.size32, names, place, depth, |_| None)
            }
            Ty::Flags(i) => {
                let (whole, rest) = (types[i].names.len() / 8, types[i].names.len() % 8);
                let at = place.at();
                if rest > 0 {
                    let [byte] = self.image.read(at + whole)?;
                    self.image.write(at + whole, &[byte & ((1 << rest) - 1)])?;
                }
                self.image.clear(at + whole + usize::from(rest > 0), at + types[i].abi.size32 as usize)
            }
            _ => Err(Fault::Unsupported),
        }
    }

    /// Fields one after the other, each at its alignment, with what lies between them zeroed.
    fn fields(&mut self, types: impl Iterator<Item = InterfaceType>, size: u32, place: Place, depth: usize) -> Outcome {
        let mut end = 0;
        for ty in types {
            let gap = end;
            let off = self.types.canonical_abi(&ty).next_field32(&mut end);
            self.image.clear(place.plus(gap).at(), place.plus(off).at())?;
            self.value(ty, place.plus(off), depth + 1)?;
        }
        self.image.clear(place.plus(end).at(), place.plus(size).at())
    }

    /// A discriminant and the payload of its case, with what lies between and behind them zeroed.
    fn case(
        &mut self,
        info: &VariantInfo,
        size: u32,
        cases: usize,
        place: Place,
        depth: usize,
        payload: impl Fn(usize) -> Option<InterfaceType>,
    ) -> Outcome {
        let width = u32::from(info.size);
        let discriminant = match width {
            1 => u32::from(self.image.read::<1>(place.at())?[0]),
            2 => u32::from(u16::from_le_bytes(self.image.read(place.at())?)),
            _ => self.image.read_u32(place.at())?,
        };
        let case = check_case(discriminant, cases)?;
        let Some(ty) = payload(case) else {
            return self.image.clear(place.plus(width).at(), place.plus(size).at());
        };
        let off = info.payload_offset32;
        let end = off + self.types.canonical_abi(&ty).size32;
        self.image.clear(place.plus(width).at(), place.plus(off).at())?;
        self.image.clear(place.plus(end).at(), place.plus(size).at())?;
        self.value(ty, place.plus(off), depth + 1)
    }

    /// Checks a value that is passed in core values and fetches what it points to.
    fn flat(&mut self, ty: InterfaceType, slots: &mut Slots<'_>, depth: usize) -> Outcome {
        use InterfaceType as Ty;
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let types = self.types;
        let word = slots.peek(0)?.get_u32();
        match ty {
            Ty::U32 | Ty::S32 | Ty::Float32 => slots.put(word),
            Ty::U64 | Ty::S64 | Ty::Float64 => slots.put_u64(slots.peek(0)?.get_u64()),
            // Truncated to their width as wasmtime does, then extended as the canonical ABI wants them.
            Ty::U8 => slots.put(u32::from(word as u8)),
            Ty::U16 => slots.put(u32::from(word as u16)),
            Ty::S8 => slots.put(i32::from(word as i8) as u32),
            Ty::S16 => slots.put(i32::from(word as i16) as u32),
            Ty::Bool => slots.put(u32::from(word != 0)),
            Ty::Char => check_char(word).and_then(|()| slots.put(word)),
            Ty::String | Ty::List(_) => {
                let home = Home::Slot(u32::try_from(slots.next).map_err(|_| Fault::Mismatch)?);
                let len = self.sequence(ty, home, word, slots.peek(1)?.get_u32(), depth)?;
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
    ) -> Outcome {
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

fn check_char(value: u32) -> Outcome {
    char::from_u32(value).map(|_| ()).ok_or(Fault::Char(value))
}

fn check_case(discriminant: u32, cases: usize) -> Result<usize, Fault> {
    let case = usize::try_from(discriminant).ok().filter(|case| *case < cases);
    case.ok_or(Fault::Case { discriminant, cases })
}
