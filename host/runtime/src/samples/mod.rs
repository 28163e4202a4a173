//! For tests: components and types from WIT text, and random types and values from a seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arbitrary;
mod guests;

use std::sync::LazyLock;

use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::{Config, Engine};
use wit_component::StringEncoding;

pub use arbitrary::{Seed, Types, value};
pub use guests::{CALLEE_JUNK, CALLER_JUNK, Role, component};

/// The interface of every component here.
pub const SEAM: &str = "t:t/seam";

pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.concurrency_support(false);
    config.gc_support(false);
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config).unwrap()
});

/// The functions of the interface that a component imports or exports.
pub fn functions(component: &Component, imported: bool) -> Vec<(String, ComponentFunc)> {
    let ty = component.component_type();
    let items: Vec<ComponentItem> = if imported {
        ty.imports(&ENGINE).filter(|(name, _)| *name == SEAM).map(|(_, item)| item.ty).collect()
    } else {
        ty.exports(&ENGINE).filter(|(name, _)| *name == SEAM).map(|(_, item)| item.ty).collect()
    };
    let mut found = Vec::new();
    for item in items {
        let ComponentItem::ComponentInstance(instance) = item else { continue };
        for (name, item) in instance.exports(&ENGINE) {
            if let ComponentItem::ComponentFunc(ty) = item.ty {
                found.push((name.to_owned(), ty));
            }
        }
    }
    found
}

/// The types of the functions of an interface, given by its body.
pub fn signatures(interface: &str) -> Vec<(String, ComponentFunc)> {
    let bytes = component(interface, Role::Relay, CALLER_JUNK, StringEncoding::UTF8);
    functions(&Component::new(&ENGINE, bytes).unwrap(), true)
}

/// The type of the only function of an interface.
pub fn signature(interface: &str) -> ComponentFunc {
    signatures(interface).remove(0).1
}

/// The types of the parameters of a function.
pub fn params(ty: &ComponentFunc) -> Vec<Type> {
    ty.params().map(|(_, ty)| ty).collect()
}
