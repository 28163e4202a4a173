//! Why a component that is valid does not compile here: it is made for another host.
//!
//! The compiler's own words name a feature of its parser. These name what the component is for, and what to do.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::wasi_version::{for_later_wasi, later_wasi};
use crate::interface_name::InterfaceName;

/// What a component is for, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The end of a sentence that starts with the component's name.
    pub what: String,
    pub remedy: String,
}

/// Features that the host has switched off: the flag, what it is called, and how to build without it.
const SWITCHED_OFF: [(WasmFeatures, &str, &str); 8] = [
    (WasmFeatures::CM_ASYNC, "asynchronous functions, streams or futures of components", "build it for WASI 0.2"),
    (WasmFeatures::THREADS, "threads", "build it without the target feature `atomics`"),
    (WasmFeatures::MEMORY64, "64-bit memories", "build it for `wasm32`"),
    (WasmFeatures::GC, "garbage-collected types", "build it with a tool chain that manages its own memory"),
    (WasmFeatures::FUNCTION_REFERENCES, "typed function references", "build it for WebAssembly 2.0"),
    (WasmFeatures::EXCEPTIONS, "exceptions", "build it so that a panic or an exception aborts"),
    (WasmFeatures::STACK_SWITCHING, "stack switching", "build it for WebAssembly 2.0"),
    (WasmFeatures::CM_ERROR_CONTEXT, "error contexts of components", "build it for WASI 0.2"),
];

impl Foreign {
    /// Reads a component that does not compile. `None` when no host would take it, or when its size is the reason.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let names = interfaces(bytes);
        let later = names.iter().find_map(|name| Some((later_wasi(name)?, name)));
        if let Some((version, name)) = later {
            let (what, remedy) = for_later_wasi(&version, name);
            return Some(Self { what, remedy });
        }
        let valid = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
        if !valid(WasmFeatures::all()) {
            return None;
        }
        let (_, what, remedy) = SWITCHED_OFF.iter().find(|(feature, ..)| !valid(WasmFeatures::all() - *feature))?;
        Some(Self { what: format!("needs {what}, which this host has not"), remedy: (*remedy).to_owned() })
    }
}

/// The interfaces that a component imports and exports by name, imports first. What cannot be parsed ends the list.
fn interfaces(bytes: &[u8]) -> Vec<InterfaceName> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                imports.extend(section.into_iter().filter_map(|import| InterfaceName::parse(import.ok()?.name.name)));
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                exports.extend(section.into_iter().filter_map(|export| InterfaceName::parse(export.ok()?.name.name)));
            }
            _ => {}
        }
    }
    imports.append(&mut exports);
    imports
}
