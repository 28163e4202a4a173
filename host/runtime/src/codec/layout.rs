//! The types of one function with their layout in a 32-bit memory: what is needed to read and write its messages
//! without `Val`s.
//!
//! It is made once for a function: wasmtime's own types are counted references, which cost more to walk than a message.
//! The layout is that of the canonical ABI.

use wasmtime::component::types::{ComponentFunc, Type};

use super::digest::kind;
use super::error::{Error, Problem, Step};
use crate::limits;

/// The parameters and the results of a function.
#[derive(Debug)]
pub struct FunctionLayout {
    pub params: Fields,
    pub results: Fields,
}

/// The members of a record or tuple, or the values of a message, one after the other.
#[derive(Debug)]
pub struct Fields {
    pub fields: Box<[Field]>,
    /// Bytes in memory, and their alignment.
    pub size: u32,
    pub align: u32,
    /// The number of core values that they flatten to.
    pub flat: usize,
}

#[derive(Debug)]
pub struct Field {
    /// How an error names it.
    pub step: Step,
    /// Where it starts, in bytes.
    pub at: u32,
    pub layout: Layout,
}

/// A type.
#[derive(Debug)]
pub struct Layout {
    pub shape: Shape,
    pub size: u32,
    pub align: u32,
    pub flat: usize,
}

#[derive(Debug)]
pub enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    Float32,
    Float64,
    Char,
    Text,
    List(Box<Layout>),
    Fields(Box<[Field]>),
    Cases(Cases),
    /// With so many flags.
    Flags(usize),
}

/// A variant, or a type with the layout of one.
#[derive(Debug)]
pub struct Cases {
    /// The keyword of the type.
    pub kind: &'static str,
    /// The bytes of the discriminant: 1, 2 or 4.
    pub width: u32,
    /// Where a payload starts, in bytes.
    pub payload_at: u32,
    pub cases: Box<[Case]>,
}

#[derive(Debug)]
pub struct Case {
    pub name: Box<str>,
    pub payload: Option<Layout>,
}

impl FunctionLayout {
    /// # Errors
    /// When values of a type cannot leave their host, or the types are too many or nest too deep.
    pub fn of(ty: &ComponentFunc) -> Result<Self, Error> {
        let mut builder = Builder { left: limits::CODEC_TYPES_MAX };
        let params = ty.params().enumerate().map(|(at, (_, ty))| (Step::Value(at), ty));
        let params = builder.fields(params, 0)?;
        let results = ty.results().enumerate().map(|(at, ty)| (Step::Value(at), ty));
        Ok(Self { params, results: builder.fields(results, 0)? })
    }

    /// The only result, if it is a `result`.
    pub fn outcome(&self) -> Option<&Cases> {
        match &*self.results.fields {
            [Field { layout: Layout { shape: Shape::Cases(cases), .. }, .. }] if cases.kind == "result" => Some(cases),
            _ => None,
        }
    }
}

struct Builder {
    /// How many types may still come.
    left: usize,
}

impl Builder {
    /// `depth` is that of the type with these fields.
    fn fields(&mut self, types: impl Iterator<Item = (Step, Type)>, depth: usize) -> Result<Fields, Error> {
        let (mut end, mut align, mut flat) = (0_u32, 1, 0_usize);
        let mut fields = Vec::new();
        for (step, ty) in types {
            let layout = self.layout(&ty, depth + 1).map_err(|error| error.within(step.clone()))?;
            let at = aligned(end, layout.align);
            end = at.saturating_add(layout.size);
            align = align.max(layout.align);
            flat = flat.saturating_add(layout.flat);
            fields.push(Field { step, at, layout });
        }
        Ok(Fields { fields: fields.into(), size: aligned(end, align), align, flat })
    }

    fn layout(&mut self, ty: &Type, depth: usize) -> Result<Layout, Error> {
        let fail = |problem| Err(Error::new(problem, 0));
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return fail(Problem::Depth);
        }
        let Some(left) = self.left.checked_sub(1) else { return fail(Problem::TooManyTypes) };
        self.left = left;
        let scalar = |shape, size| Ok(Layout { shape, size, align: size, flat: 1 });
        match ty {
            Type::Bool => scalar(Shape::Bool, 1),
            Type::S8 => scalar(Shape::S8, 1),
            Type::U8 => scalar(Shape::U8, 1),
            Type::S16 => scalar(Shape::S16, 2),
            Type::U16 => scalar(Shape::U16, 2),
            Type::S32 => scalar(Shape::S32, 4),
            Type::U32 => scalar(Shape::U32, 4),
            Type::S64 => scalar(Shape::S64, 8),
            Type::U64 => scalar(Shape::U64, 8),
            Type::Float32 => scalar(Shape::Float32, 4),
            Type::Float64 => scalar(Shape::Float64, 8),
            Type::Char => scalar(Shape::Char, 4),
            Type::String => Ok(Layout { shape: Shape::Text, size: 8, align: 4, flat: 2 }),
            Type::List(list) => {
                let item = self.layout(&list.ty(), depth + 1).map_err(|error| error.within(Step::Item(0)))?;
                Ok(Layout { shape: Shape::List(Box::new(item)), size: 8, align: 4, flat: 2 })
            }
            Type::Record(record) => {
                let fields = record.fields().map(|field| (Step::Field(field.name.into()), field.ty));
                self.fields(fields, depth).map(Fields::into_layout)
            }
            Type::Tuple(tuple) => {
                let fields = tuple.types().enumerate().map(|(at, ty)| (Step::Element(at), ty));
                self.fields(fields, depth).map(Fields::into_layout)
            }
            Type::Flags(flags) => {
                let count = flags.names().len();
                let (size, align) = match count {
                    0..=8 => (1, 1),
                    9..=16 => (2, 2),
                    _ => (u32::try_from(count.div_ceil(32)).unwrap_or(u32::MAX).saturating_mul(4), 4),
                };
                Ok(Layout { shape: Shape::Flags(count), size, align, flat: count.div_ceil(32) })
            }
            Type::Enum(names) => self.cases(ty, names.names().map(|name| (name, None)), depth),
            Type::Variant(variant) => self.cases(ty, variant.cases().map(|case| (case.name, case.ty)), depth),
            Type::Option(option) => self.cases(ty, [("none", None), ("some", Some(option.ty()))].into_iter(), depth),
            Type::Result(result) => self.cases(ty, [("ok", result.ok()), ("err", result.err())].into_iter(), depth),
            _ => fail(Problem::Unsupported { ty: kind(ty) }),
        }
    }

    fn cases<'t>(
        &mut self,
        ty: &Type,
        cases: impl Iterator<Item = (&'t str, Option<Type>)>,
        depth: usize,
    ) -> Result<Layout, Error> {
        let case = |(name, payload): (&str, Option<Type>)| {
            let layout = payload.map(|ty| self.layout(&ty, depth + 1)).transpose();
            let payload = layout.map_err(|error| error.within(Step::Case(name.into())))?;
            Ok(Case { name: name.into(), payload })
        };
        let cases: Box<[Case]> = cases.map(case).collect::<Result<_, Error>>()?;
        let width = match cases.len() {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let payloads = || cases.iter().filter_map(|case| case.payload.as_ref());
        let payload_align = payloads().map(|layout| layout.align).max().unwrap_or(1);
        let payload_size = payloads().map(|layout| layout.size).max().unwrap_or(0);
        let flat = payloads().map(|layout| layout.flat).max().unwrap_or(0).saturating_add(1);
        let (payload_at, align) = (aligned(width, payload_align), payload_align.max(width));
        let size = aligned(payload_at.saturating_add(payload_size), align);
        let shape = Shape::Cases(Cases { kind: kind(ty), width, payload_at, cases });
        Ok(Layout { shape, size, align, flat })
    }
}

impl Fields {
    fn into_layout(self) -> Layout {
        Layout { shape: Shape::Fields(self.fields), size: self.size, align: self.align, flat: self.flat }
    }
}

/// The next multiple of `align`, which is a power of two.
fn aligned(at: u32, align: u32) -> u32 {
    at.checked_next_multiple_of(align).unwrap_or(u32::MAX)
}
