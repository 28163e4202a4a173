//! The functions that a context exports and imports, as its component declares them.

use seam_runtime::component::{Component, HTTP_HANDLER, Interface, is_seam};
use seam_runtime::did_you_mean;
use wasmtime::component::types::{ComponentFunc, Type};

#[derive(Clone)]
pub struct Function {
    /// `namespace:package/interface`
    pub interface: String,
    pub name: String,
    pub params: Vec<(String, Type)>,
    pub result: Option<Type>,
    pub signature: ComponentFunc,
}

impl Function {
    fn new(interface: &Interface, name: &str, signature: &ComponentFunc) -> Self {
        Self {
            interface: interface.name.path.clone(),
            name: name.to_owned(),
            params: signature.params().map(|(name, ty)| (name.to_owned(), ty)).collect(),
            result: signature.results().next(),
            signature: signature.clone(),
        }
    }

    /// `interface.function`, short.
    pub fn short(&self) -> String {
        short(&self.interface, &self.name)
    }
}

/// `desk.find` of `acme:orders/desk` and `find`.
pub fn short(interface: &str, function: &str) -> String {
    format!("{}.{function}", interface.rsplit('/').next().unwrap_or_default())
}

/// What a component exports to other contexts and imports from them. The host's interfaces are left out.
#[derive(Clone, Default)]
pub struct Functions {
    pub exports: Vec<Function>,
    pub imports: Vec<Function>,
    /// Whether it answers requests through `seam:host/http-handler`.
    pub buffered_http: bool,
    pub store: bool,
}

impl Functions {
    pub fn of(component: &Component) -> Self {
        let functions = |interfaces: &[Interface]| {
            let seams = interfaces.iter().filter(|i| is_seam(&i.name) && i.name.namespace() != "seam");
            seams.flat_map(|i| i.functions.iter().map(|(name, ty)| Function::new(i, name, ty))).collect()
        };
        Self {
            exports: functions(&component.exports),
            imports: functions(&component.imports),
            buffered_http: component.exports.iter().any(|export| export.name.path == HTTP_HANDLER),
            store: component.imports.iter().any(|import| import.name.path == "seam:host/store"),
        }
    }
}

/// Finds `name` among `functions`: `interface.function`, with the interface short or in full, or the function alone.
///
/// # Errors
/// The problem, and what to do about it.
pub fn find<'f>(functions: &'f [Function], name: &str) -> Result<(usize, &'f Function), (String, String)> {
    // The version of an interface has dots of its own.
    let (interface, function) = match name.rsplit_once('.') {
        Some((interface, function)) => (interface.split('@').next(), function),
        None => (None, name),
    };
    let means = |f: &Function| {
        f.name == function
            && interface.is_none_or(|asked| f.interface == asked || f.interface.rsplit('/').next() == Some(asked))
    };
    let found: Vec<(usize, &Function)> = functions.iter().enumerate().filter(|(_, f)| means(f)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let names: Vec<String> = functions.iter().map(Function::short).collect();
            let remedy = did_you_mean::hint(name, names.iter().map(String::as_str));
            Err((format!("there is no function `{name}`"), remedy))
        }
        _ => {
            let all: Vec<String> = found.iter().map(|(_, f)| format!("{}.{}", f.interface, f.name)).collect();
            Err((format!("`{name}` is a function of several interfaces"), format!("name one of: {}", all.join(", "))))
        }
    }
}
