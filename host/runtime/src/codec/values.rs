//! `Val`s to bytes and back, by wasmtime's types: for tools, and as the oracle of the way without `Val`s.

use wasmtime::component::Val;
use wasmtime::component::types::Type;

use super::digest::kind;
use super::error::{Error, Problem, Step};
use super::primitives::{Reader, put_float32, put_float64, put_signed, put_text, put_unsigned};
use crate::limits;

/// Appends the values, which have these types, to `out`.
///
/// # Errors
/// When a value is not of its type, a type cannot leave its host, or the values take more than
/// `limits::SEAM_MESSAGE_BYTES_MAX` bytes. `out` is then as it was.
pub fn encode(values: &[Val], types: &[Type], out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    let encoded = Encoder { out, start }.values(values, types);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

/// The values of these types that `encode` wrote.
///
/// # Errors
/// When `bytes` are not the encoding of such values, or the values take more than `limits::CODEC_VALUES_BYTES_MAX`.
pub fn decode(bytes: &[u8], types: &[Type]) -> Result<Vec<Val>, Error> {
    let mut decoder = Decoder { reader: Reader::new(bytes)?, memory: limits::CODEC_VALUES_BYTES_MAX };
    let values = types.iter().enumerate();
    let values = values.map(|(at, ty)| decoder.value(ty, 1).map_err(|error| error.within(Step::Value(at))));
    let values = values.collect::<Result<_, _>>()?;
    decoder.reader.finish()?;
    Ok(values)
}

fn within_case(error: Error, case: &str) -> Error {
    error.within(Step::Case(case.into()))
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    /// Where the message starts in `out`.
    start: usize,
}

impl Encoder<'_> {
    #[cold]
    fn fail(&self, problem: Problem) -> Error {
        Error::new(problem, self.out.len() - self.start)
    }

    fn values(&mut self, values: &[Val], types: &[Type]) -> Result<(), Error> {
        if values.len() != types.len() {
            return Err(self.fail(Problem::Count { values: values.len(), types: types.len() }));
        }
        for (at, (value, ty)) in values.iter().zip(types).enumerate() {
            self.value(value, ty, 1).map_err(|error| error.within(Step::Value(at)))?;
        }
        match self.out.len() - self.start <= limits::SEAM_MESSAGE_BYTES_MAX {
            true => Ok(()),
            false => Err(self.fail(Problem::TooLarge)),
        }
    }

    fn value(&mut self, value: &Val, ty: &Type, depth: usize) -> Result<(), Error> {
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(self.fail(Problem::Depth));
        }
        let not_of_type = Problem::NotOfType { expected: kind(ty) };
        match (ty, value) {
            (Type::Bool, Val::Bool(value)) => self.out.push(u8::from(*value)),
            (Type::S8, Val::S8(value)) => self.out.push(*value as u8),
            (Type::U8, Val::U8(value)) => self.out.push(*value),
            (Type::S16, Val::S16(value)) => put_signed(self.out, i64::from(*value)),
            (Type::U16, Val::U16(value)) => put_unsigned(self.out, u64::from(*value)),
            (Type::S32, Val::S32(value)) => put_signed(self.out, i64::from(*value)),
            (Type::U32, Val::U32(value)) => put_unsigned(self.out, u64::from(*value)),
            (Type::S64, Val::S64(value)) => put_signed(self.out, *value),
            (Type::U64, Val::U64(value)) => put_unsigned(self.out, *value),
            (Type::Float32, Val::Float32(value)) => put_float32(self.out, *value),
            (Type::Float64, Val::Float64(value)) => put_float64(self.out, *value),
            (Type::Char, Val::Char(value)) => put_unsigned(self.out, u64::from(u32::from(*value))),
            (Type::String, Val::String(value)) => put_text(self.out, value.as_bytes()),
            (Type::List(list), Val::List(items)) => {
                put_unsigned(self.out, items.len() as u64);
                let ty = list.ty();
                for (at, item) in items.iter().enumerate() {
                    self.value(item, &ty, depth + 1).map_err(|error| error.within(Step::Item(at)))?;
                }
            }
            (Type::Record(record), Val::Record(values)) if values.len() == record.fields().len() => {
                for (field, (name, value)) in record.fields().zip(values) {
                    if field.name != name {
                        return Err(self.fail(not_of_type));
                    }
                    let within = |error: Error| error.within(Step::Field(field.name.into()));
                    self.value(value, &field.ty, depth + 1).map_err(within)?;
                }
            }
            (Type::Tuple(tuple), Val::Tuple(values)) if values.len() == tuple.types().len() => {
                for (at, (ty, value)) in tuple.types().zip(values).enumerate() {
                    self.value(value, &ty, depth + 1).map_err(|error| error.within(Step::Element(at)))?;
                }
            }
            (Type::Variant(variant), Val::Variant(name, payload)) => {
                let case = variant.cases().enumerate().find(|(_, case)| case.name == name);
                let (at, case) = case.ok_or_else(|| self.fail(not_of_type))?;
                put_unsigned(self.out, at as u64);
                self.payload(payload.as_deref(), case.ty, case.name, depth)?;
            }
            (Type::Enum(names), Val::Enum(name)) => {
                let case = names.names().position(|known| known == name);
                let case = case.ok_or_else(|| self.fail(not_of_type))?;
                put_unsigned(self.out, case as u64);
            }
            (Type::Option(option), Val::Option(payload)) => {
                self.out.push(u8::from(payload.is_some()));
                let ty = payload.is_some().then(|| option.ty());
                self.payload(payload.as_deref(), ty, "some", depth)?;
            }
            (Type::Result(result), Val::Result(outcome)) => {
                self.out.push(u8::from(outcome.is_err()));
                match outcome {
                    Ok(payload) => self.payload(payload.as_deref(), result.ok(), "ok", depth)?,
                    Err(payload) => self.payload(payload.as_deref(), result.err(), "err", depth)?,
                }
            }
            (Type::Flags(flags), Val::Flags(set)) => {
                let known: Vec<&str> = flags.names().collect();
                let mut bytes = vec![0; known.len().div_ceil(8)];
                for name in set {
                    let bit = known.iter().position(|known| known == name);
                    let bit = bit.ok_or_else(|| self.fail(not_of_type.clone()))?;
                    bytes.get_mut(bit / 8).into_iter().for_each(|byte: &mut u8| *byte |= 1 << (bit % 8));
                }
                self.out.extend_from_slice(&bytes);
            }
            _ => return Err(self.fail(supported(ty).err().unwrap_or(not_of_type))),
        }
        Ok(())
    }

    fn payload(&mut self, value: Option<&Val>, ty: Option<Type>, case: &str, depth: usize) -> Result<(), Error> {
        match (value, ty) {
            (Some(value), Some(ty)) => self.value(value, &ty, depth + 1).map_err(|error| within_case(error, case)),
            (None, None) => Ok(()),
            (_, ty) => {
                let expected = ty.as_ref().map_or("_", kind);
                Err(within_case(self.fail(Problem::NotOfType { expected }), case))
            }
        }
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    /// The bytes that values may still take.
    memory: usize,
}

impl Decoder<'_> {
    #[cold]
    fn fail(&self, problem: Problem) -> Error {
        Error::new(problem, self.reader.position())
    }

    /// Takes the memory for `count` parts of `size` bytes, before they are made.
    fn charge(&mut self, count: usize, size: usize) -> Result<(), Error> {
        match count.checked_mul(size).and_then(|bytes| self.memory.checked_sub(bytes)) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(self.fail(Problem::TooManyValues)),
        }
    }

    fn name(&mut self, name: &str) -> Result<String, Error> {
        self.charge(1, size_of::<String>() + name.len())?;
        Ok(name.to_owned())
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Val, Error> {
        if depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(self.fail(Problem::Depth));
        }
        self.charge(1, size_of::<Val>())?;
        let reader = &mut self.reader;
        Ok(match ty {
            Type::Bool => Val::Bool(reader.bool("bool")?),
            Type::S8 => Val::S8(i8::from_le_bytes(reader.array("s8")?)),
            Type::U8 => Val::U8(u8::from_le_bytes(reader.array("u8")?)),
            Type::S16 => Val::S16(reader.signed(16, "s16")? as i16),
            Type::U16 => Val::U16(reader.unsigned(16, "u16")? as u16),
            Type::S32 => Val::S32(reader.signed(32, "s32")? as i32),
            Type::U32 => Val::U32(reader.unsigned(32, "u32")? as u32),
            Type::S64 => Val::S64(reader.signed(64, "s64")?),
            Type::U64 => Val::U64(reader.unsigned(64, "u64")?),
            Type::Float32 => Val::Float32(f32::from_bits(u32::from_le_bytes(reader.array("f32")?))),
            Type::Float64 => Val::Float64(f64::from_bits(u64::from_le_bytes(reader.array("f64")?))),
            Type::Char => Val::Char(reader.char()?),
            Type::String => {
                let text = reader.text()?;
                self.charge(1, text.len())?;
                Val::String(text.to_owned())
            }
            Type::List(list) => {
                let (items, ty) = (reader.items()? as usize, list.ty());
                // `value` takes the memory of each item; none is reserved for items that do not come.
                let mut values = Vec::new();
                for at in 0..items {
                    values.push(self.value(&ty, depth + 1).map_err(|error| error.within(Step::Item(at)))?);
                }
                Val::List(values)
            }
            Type::Record(record) => {
                let mut values = Vec::with_capacity(record.fields().len());
                for field in record.fields() {
                    let within = |error: Error| error.within(Step::Field(field.name.into()));
                    let value = self.value(&field.ty, depth + 1).map_err(within)?;
                    values.push((self.name(field.name)?, value));
                }
                Val::Record(values)
            }
            Type::Tuple(tuple) => {
                let values = tuple.types().enumerate();
                let value = |(at, ty)| self.value(&ty, depth + 1).map_err(|error| error.within(Step::Element(at)));
                Val::Tuple(values.map(value).collect::<Result<_, _>>()?)
            }
            Type::Variant(variant) => {
                let case = reader.case(variant.cases().len(), "variant")?;
                let case = variant.cases().nth(case as usize).ok_or_else(|| self.fail(Problem::Layout))?;
                let payload = self.payload(case.ty, case.name, depth)?;
                Val::Variant(self.name(case.name)?, payload)
            }
            Type::Enum(names) => {
                let case = reader.case(names.names().len(), "enum")?;
                let name = names.names().nth(case as usize).ok_or_else(|| self.fail(Problem::Layout))?;
                Val::Enum(self.name(name)?)
            }
            Type::Option(option) => {
                let ty = reader.bool("option")?.then(|| option.ty());
                Val::Option(self.payload(ty, "some", depth)?)
            }
            Type::Result(result) => Val::Result(match reader.bool("result")? {
                false => Ok(self.payload(result.ok(), "ok", depth)?),
                true => Err(self.payload(result.err(), "err", depth)?),
            }),
            Type::Flags(flags) => {
                let bytes = reader.flags(flags.names().len())?;
                let is_set = |bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
                let set = flags.names().enumerate().filter(|(bit, _)| is_set(*bit));
                Val::Flags(set.map(|(_, name)| self.name(name)).collect::<Result<_, _>>()?)
            }
            _ => return Err(self.fail(supported(ty).err().unwrap_or(Problem::Layout))),
        })
    }

    fn payload(&mut self, ty: Option<Type>, case: &str, depth: usize) -> Result<Option<Box<Val>>, Error> {
        let value = ty.map(|ty| self.value(&ty, depth + 1).map_err(|error| within_case(error, case)));
        value.transpose().map(|value| value.map(Box::new))
    }
}

/// # Errors
/// When values of this type cannot leave their host.
fn supported(ty: &Type) -> Result<(), Problem> {
    match ty {
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) => {
            Err(Problem::Unsupported { ty: kind(ty) })
        }
        Type::ErrorContext | Type::Map(_) | Type::FixedLengthList(_) => Err(Problem::Unsupported { ty: kind(ty) }),
        _ => Ok(()),
    }
}
