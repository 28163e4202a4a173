//! Values of WIT types as examples: in a scenario, and in the code of a context that publishes.

use wit_parser::{Function, Type, TypeDefKind, TypeOwner};

use super::error::Error;
use super::interface::Interface;
use super::language::Language;
use super::name::is_taken;
use super::words::{camel, snake, upper_camel};

/// The argument of an event that the new context has a value for: the number or the text of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Number,
    Text,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Example {
    Number,
    Float,
    Truth,
    Text,
    /// A list without elements; whether of bytes.
    List {
        bytes: bool,
    },
    /// An option without a value.
    Nothing,
    Record {
        name: String,
        fields: Vec<(String, Example)>,
    },
    Enum {
        name: String,
        case: String,
    },
    Variant {
        name: String,
        case: String,
        value: Option<Box<Example>>,
    },
}

/// What the new context knows of this parameter.
pub fn known(name: &str, ty: &Type) -> Option<Known> {
    match (name, ty) {
        ("number", Type::U64) => Some(Known::Number),
        ("text", Type::String) => Some(Known::Text),
        _ => None,
    }
}

/// Examples of the parameters of an event.
///
/// # Errors
/// When there is none of a type.
pub fn of(interface: &Interface, function: &Function) -> Result<Vec<Example>, Error> {
    let example = |ty: &Type| {
        Example::of(interface, ty).map_err(|why| Error::NoExample {
            name: interface.full(),
            function: function.name.clone(),
            why,
        })
    };
    function.params.iter().map(|param| example(&param.ty)).collect()
}

impl Example {
    fn of(interface: &Interface, ty: &Type) -> Result<Self, String> {
        let Type::Id(id) = ty else {
            return match ty {
                Type::Bool => Ok(Self::Truth),
                Type::F32 | Type::F64 => Ok(Self::Float),
                Type::String => Ok(Self::Text),
                Type::Char | Type::ErrorContext => Err("a parameter has a type without an example".to_owned()),
                _ => Ok(Self::Number),
            };
        };
        let def = interface.resolve().types.get(*id).ok_or("a type is missing")?;
        let own = || match (&def.name, def.owner) {
            (Some(name), TypeOwner::Interface(owner)) if owner == interface.id() => Ok(name.clone()),
            _ => Err("it has types of another interface".to_owned()),
        };
        let plain = |name: &str| match is_taken(name) {
            true => Err(format!("`{name}` is a word of WIT or Rust")),
            false => Ok(name.to_owned()),
        };
        match &def.kind {
            TypeDefKind::Type(Type::Id(_)) => Err("it has types with other names".to_owned()),
            TypeDefKind::Type(other) => Self::of(interface, other),
            TypeDefKind::List(of) => Ok(Self::List { bytes: *of == Type::U8 }),
            TypeDefKind::Option(_) => Ok(Self::Nothing),
            TypeDefKind::Record(record) => {
                let field = |field: &wit_parser::Field| Ok((plain(&field.name)?, Self::of(interface, &field.ty)?));
                let fields = record.fields.iter().map(field).collect::<Result<_, String>>()?;
                Ok(Self::Record { name: own()?, fields })
            }
            TypeDefKind::Enum(cases) => {
                let case = cases.cases.first().ok_or("an enum has no case")?;
                Ok(Self::Enum { name: own()?, case: case.name.clone() })
            }
            TypeDefKind::Variant(variant) => {
                let case = variant.cases.first().ok_or("a variant has no case")?;
                let value = case.ty.as_ref().map(|ty| Self::of(interface, ty)).transpose()?.map(Box::new);
                Ok(Self::Variant { name: own()?, case: case.name.clone(), value })
            }
            _ => Err("a parameter has a type without an example".to_owned()),
        }
    }

    /// As WAVE, for scenarios.
    pub fn wave(&self) -> String {
        match self {
            Self::Number => "1".to_owned(),
            Self::Float => "1.5".to_owned(),
            Self::Truth => "true".to_owned(),
            Self::Text => "\"text\"".to_owned(),
            Self::List { .. } => "[]".to_owned(),
            Self::Nothing => "none".to_owned(),
            Self::Record { fields, .. } => {
                // An option without a value may be left out, and is.
                let given = fields.iter().filter(|(_, value)| *value != Self::Nothing);
                let fields: Vec<_> = given.map(|(name, value)| format!("{name}: {}", value.wave())).collect();
                if fields.is_empty() { "{:}".to_owned() } else { format!("{{{}}}", fields.join(", ")) }
            }
            Self::Enum { case, .. } | Self::Variant { case, value: None, .. } => case.clone(),
            Self::Variant { case, value: Some(value), .. } => format!("{case}({})", value.wave()),
        }
    }

    /// As an argument of a call in this language. `module` has the types of its interface.
    pub fn argument(&self, language: Language, module: &str) -> String {
        match (language, self) {
            (Language::Rust, Self::Text) => "\"text\"".to_owned(),
            (Language::Rust, Self::List { .. }) => "&[]".to_owned(),
            // The binding takes what owns memory by reference.
            (Language::Rust, _) if self.owns_memory() => format!("&{}", self.rust(module)),
            (Language::Rust, _) => self.rust(module),
            (Language::Js, _) => self.javascript(),
            (Language::Python, _) => self.python(module),
        }
    }

    fn owns_memory(&self) -> bool {
        match self {
            Self::Text | Self::List { .. } => true,
            Self::Record { fields, .. } => fields.iter().any(|(_, value)| value.owns_memory()),
            Self::Variant { value, .. } => value.as_ref().is_some_and(|value| value.owns_memory()),
            Self::Number | Self::Float | Self::Truth | Self::Nothing | Self::Enum { .. } => false,
        }
    }

    fn rust(&self, module: &str) -> String {
        match self {
            Self::Text => "\"text\".to_owned()".to_owned(),
            Self::List { .. } => "Vec::new()".to_owned(),
            Self::Nothing => "None".to_owned(),
            Self::Record { name, fields } => {
                let field = |(name, value): &(String, Self)| format!("{}: {}", snake(name), value.rust(module));
                let fields: Vec<_> = fields.iter().map(field).collect();
                format!("{module}::{} {{ {} }}", upper_camel(name), fields.join(", "))
            }
            Self::Enum { name, case } | Self::Variant { name, case, value: None } => {
                format!("{module}::{}::{}", upper_camel(name), upper_camel(case))
            }
            Self::Variant { name, case, value: Some(value) } => {
                format!("{module}::{}::{}({})", upper_camel(name), upper_camel(case), value.rust(module))
            }
            Self::Number | Self::Float | Self::Truth => self.wave(),
        }
    }

    fn javascript(&self) -> String {
        match self {
            Self::List { bytes: true } => "new Uint8Array()".to_owned(),
            Self::Nothing => "undefined".to_owned(),
            Self::Record { fields, .. } => {
                let field = |(name, value): &(String, Self)| format!("{}: {}", camel(name), value.javascript());
                format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            Self::Enum { case, .. } => format!("\"{case}\""),
            Self::Variant { case, value: None, .. } => format!("{{ tag: \"{case}\" }}"),
            Self::Variant { case, value: Some(value), .. } => {
                format!("{{ tag: \"{case}\", val: {} }}", value.javascript())
            }
            Self::Number | Self::Float | Self::Truth | Self::Text | Self::List { bytes: false } => self.wave(),
        }
    }

    fn python(&self, module: &str) -> String {
        match self {
            Self::Truth => "True".to_owned(),
            Self::List { bytes: true } => "b\"\"".to_owned(),
            Self::Nothing => "None".to_owned(),
            Self::Record { name, fields } => {
                let values: Vec<_> = fields.iter().map(|(_, value)| value.python(module)).collect();
                format!("{module}.{}({})", upper_camel(name), values.join(", "))
            }
            Self::Enum { name, case } => format!("{module}.{}.{}", upper_camel(name), snake(case).to_uppercase()),
            Self::Variant { name, case, value } => {
                let value = value.as_ref().map(|value| value.python(module)).unwrap_or_default();
                format!("{module}.{}_{}({value})", upper_camel(name), upper_camel(case))
            }
            Self::Number | Self::Float | Self::Text | Self::List { bytes: false } => self.wave(),
        }
    }
}
