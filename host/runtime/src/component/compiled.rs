//! A compiled component, and the interfaces that it imports and exports.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use crate::interface_name::InterfaceName;

/// A compiled component and the interfaces in its type.
#[derive(Clone)]
pub struct Component {
    /// SHA-256 of the `.wasm` bytes, in hex; empty: a placeholder.
    pub hash: String,
    pub imports: Vec<Interface>,
    pub exports: Vec<Interface>,
    /// The imports that are no interfaces. The host links none of them.
    pub bare_imports: Vec<BareImport>,
    pub(crate) code: wasmtime::component::Component,
}

/// An import that is not an interface of a package: a function of the world, a core module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BareImport {
    pub name: String,
    /// What it is, in words: `function`.
    pub kind: &'static str,
}

/// One interface that a component imports or exports.
#[derive(Clone)]
pub struct Interface {
    pub name: InterfaceName,
    pub functions: Vec<(String, ComponentFunc)>,
    /// Names of the resources it defines; they cannot cross a seam.
    pub resources: Vec<String>,
}

impl Component {
    pub(crate) fn new(engine: &Engine, hash: String, code: wasmtime::component::Component) -> Self {
        let (imports, exports) = inspect(engine, &code);
        let ty = code.component_type();
        let bare = ty.imports(engine).filter_map(|(name, item)| {
            let kind = match item.ty {
                ComponentItem::ComponentFunc(_) | ComponentItem::CoreFunc(_) => "function",
                ComponentItem::Module(_) => "core module",
                ComponentItem::Component(_) => "component",
                ComponentItem::Resource(_) => "resource",
                ComponentItem::ComponentInstance(_) if InterfaceName::parse(name).is_none() => "instance",
                ComponentItem::ComponentInstance(_) | ComponentItem::Type(_) => return None,
            };
            Some(BareImport { name: name.to_owned(), kind })
        });
        let bare_imports = bare.collect();
        Self { hash, imports, exports, bare_imports, code }
    }

    /// Whether this stands in the place of a component that cannot be loaded or linked. It imports and exports nothing.
    pub fn is_placeholder(&self) -> bool {
        self.hash.is_empty()
    }
}

fn inspect(engine: &Engine, code: &wasmtime::component::Component) -> (Vec<Interface>, Vec<Interface>) {
    let interface = |name: &str, item: ComponentItem| {
        let name = InterfaceName::parse(name)?;
        let ComponentItem::ComponentInstance(instance) = item else { return None };
        let (mut functions, mut resources) = (Vec::new(), Vec::new());
        for (name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => functions.push((name.to_owned(), ty)),
                ComponentItem::Resource(_) => resources.push(name.to_owned()),
                _ => {}
            }
        }
        Some(Interface { name, functions, resources })
    };
    let ty = code.component_type();
    let imports = ty.imports(engine).filter_map(|(name, item)| interface(name, item.ty)).collect();
    let exports = ty.exports(engine).filter_map(|(name, item)| interface(name, item.ty)).collect();
    (imports, exports)
}
