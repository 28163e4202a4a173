//! The digest of a function's type, by which two hosts see whether they mean the same function.
//!
//! Types are compared by structure: names of fields, cases and flags count, those of parameters and of declared types
//! do not. `docs/codec.md` specifies the text.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use wasmtime::component::types::{ComponentFunc, Type};

/// The SHA-256 of `canonical_text`.
pub fn digest(ty: &ComponentFunc) -> [u8; 32] {
    struct Hash(Sha256);
    impl Write for Hash {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text);
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    // A hash takes any text.
    let _ = write_function(ty, &mut hash);
    hash.0.finalize().into()
}

/// The structural type of a function as text without blanks.
pub fn canonical_text(ty: &ComponentFunc) -> String {
    let mut text = String::new();
    // A `String` takes any text.
    let _ = write_function(ty, &mut text);
    text
}

fn write_function(ty: &ComponentFunc, out: &mut dyn Write) -> fmt::Result {
    out.write_str(if ty.async_() { "async func(" } else { "func(" })?;
    write_types(ty.params().map(|(_, ty)| ty), out)?;
    out.write_char(')')?;
    if ty.results().len() > 0 {
        out.write_str("->")?;
        write_types(ty.results(), out)?;
    }
    Ok(())
}

fn write_types(types: impl Iterator<Item = Type>, out: &mut dyn Write) -> fmt::Result {
    separated(types, out, |ty, out| write_type(&ty, out))
}

fn separated<T>(
    parts: impl Iterator<Item = T>,
    out: &mut dyn Write,
    write: impl Fn(T, &mut dyn Write) -> fmt::Result,
) -> fmt::Result {
    for (at, part) in parts.enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        write(part, out)?;
    }
    Ok(())
}

fn write_type(ty: &Type, out: &mut dyn Write) -> fmt::Result {
    let payload = |ty: Option<Type>, out: &mut dyn Write| match ty {
        Some(ty) => write_type(&ty, out),
        None => out.write_char('_'),
    };
    let (close, written) = match ty {
        Type::List(list) => (">", out.write_str("list<").and_then(|()| write_type(&list.ty(), out))),
        Type::Option(option) => (">", out.write_str("option<").and_then(|()| write_type(&option.ty(), out))),
        Type::Tuple(tuple) => (">", out.write_str("tuple<").and_then(|()| write_types(tuple.types(), out))),
        Type::Result(result) => {
            out.write_str("result<")?;
            payload(result.ok(), out)?;
            out.write_char(',')?;
            (">", payload(result.err(), out))
        }
        Type::Record(record) => {
            out.write_str("record{")?;
            let field = |field: wasmtime::component::types::Field<'_>, out: &mut dyn Write| {
                write!(out, "{}:", field.name)?;
                write_type(&field.ty, out)
            };
            ("}", separated(record.fields(), out, field))
        }
        Type::Variant(variant) => {
            out.write_str("variant{")?;
            let case = |case: wasmtime::component::types::Case<'_>, out: &mut dyn Write| {
                out.write_str(case.name)?;
                let Some(ty) = case.ty else { return Ok(()) };
                out.write_char('(')?;
                write_type(&ty, out)?;
                out.write_char(')')
            };
            ("}", separated(variant.cases(), out, case))
        }
        Type::Enum(names) => {
            out.write_str("enum{")?;
            ("}", separated(names.names(), out, |name, out| out.write_str(name)))
        }
        Type::Flags(flags) => {
            out.write_str("flags{")?;
            ("}", separated(flags.names(), out, |name, out| out.write_str(name)))
        }
        other => ("", out.write_str(kind(other))),
    };
    written.and_then(|()| out.write_str(close))
}

/// The keyword of a type.
pub(super) fn kind(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(_) => "list",
        Type::Map(_) => "map",
        Type::Record(_) => "record",
        Type::Tuple(_) => "tuple",
        Type::Variant(_) => "variant",
        Type::Enum(_) => "enum",
        Type::Option(_) => "option",
        Type::Result(_) => "result",
        Type::Flags(_) => "flags",
        Type::Own(_) => "own",
        Type::Borrow(_) => "borrow",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
        Type::FixedLengthList(_) => "fixed-length list",
    }
}
