//! Signatures and types as WIT text, for messages and tools; comparison of signatures.

use wasmtime::component::types::{ComponentFunc, Type};

/// A signature as WIT text, for messages and `seam call`.
pub fn wit_of(name: &str, ty: &ComponentFunc) -> String {
    let params: Vec<_> = ty.params().map(|(n, t)| format!("{n}: {}", wit_type(&t))).collect();
    let results: Vec<_> = ty.results().map(|t| wit_type(&t)).collect();
    let arrow = if results.is_empty() { String::new() } else { format!(" -> {}", results.join(", ")) };
    format!("{name}({}){arrow}", params.join(", "))
}

/// A type as WIT text. Names of records and variants are unknown at run time, so this writes out their members.
pub fn wit_type(ty: &Type) -> String {
    let maybe = |t: Option<Type>| t.map_or("_".to_owned(), |t| wit_type(&t));
    match ty {
        Type::Bool => "bool".into(),
        Type::S8 => "s8".into(),
        Type::U8 => "u8".into(),
        Type::S16 => "s16".into(),
        Type::U16 => "u16".into(),
        Type::S32 => "s32".into(),
        Type::U32 => "u32".into(),
        Type::S64 => "s64".into(),
        Type::U64 => "u64".into(),
        Type::Float32 => "f32".into(),
        Type::Float64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::List(list) => format!("list<{}>", wit_type(&list.ty())),
        Type::Option(option) => format!("option<{}>", wit_type(&option.ty())),
        Type::Result(result) => format!("result<{}, {}>", maybe(result.ok()), maybe(result.err())),
        Type::Tuple(tuple) => format!("tuple<{}>", tuple.types().map(|t| wit_type(&t)).collect::<Vec<_>>().join(", ")),
        Type::Record(record) => {
            let fields: Vec<_> = record.fields().map(|f| format!("{}: {}", f.name, wit_type(&f.ty))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Type::Variant(variant) => {
            let case = |c: wasmtime::component::types::Case<'_>| match c.ty {
                Some(t) => format!("{}({})", c.name, wit_type(&t)),
                None => c.name.to_owned(),
            };
            variant.cases().map(case).collect::<Vec<_>>().join(" | ")
        }
        Type::Enum(names) => names.names().collect::<Vec<_>>().join(" | "),
        Type::Flags(flags) => format!("flags {{{}}}", flags.names().collect::<Vec<_>>().join(", ")),
        _ => "?".into(),
    }
}

/// Whether values can pass unchanged from `a` to `b`. Parameter names do not matter.
pub fn same_signature(a: &ComponentFunc, b: &ComponentFunc) -> bool {
    a.params().map(|(_, ty)| ty).eq(b.params().map(|(_, ty)| ty))
        && a.results().eq(b.results())
        && a.async_() == b.async_()
}
