//! A wasmtime linker for one component: the interfaces of the host and the functions of other contexts that it imports.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::seam_call::{Carry, link_function};
use super::wiring::Wiring;
use crate::component::Component;
use crate::guest::dispatch::Function;
use crate::guest::{self, Guest};

/// A linker with everything that `component` imports and nothing else.
///
/// # Errors
/// When wasmtime refuses an import that `plan` accepted.
pub(super) fn linker(
    engine: &Engine,
    component: &Component,
    wiring: &Wiring,
    asynchronous: bool,
    carry: Carry,
) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let imports = |package: &str| component.imports.iter().any(|i| i.name.package() == package);
    if imports("seam:host") {
        guest::store::add_to_linker(&mut linker)?;
    }
    if imports("wasi:logging") {
        guest::logging::add_to_linker(&mut linker)?;
    }
    if imports("wasi:config") {
        guest::config::add_to_linker(&mut linker)?;
    }
    let wasi = ["wasi:io", "wasi:clocks", "wasi:random", "wasi:cli", "wasi:filesystem", "wasi:sockets", "wasi:http"];
    if wasi.into_iter().any(imports) {
        match asynchronous {
            true => guest::wasi::add_to_linker_async(&mut linker)?,
            false => guest::wasi::add_to_linker_sync(&mut linker)?,
        }
    }
    if imports("wasi:http") {
        match asynchronous {
            true => guest::wasi_http::add_to_linker_async(&mut linker)?,
            false => guest::wasi_http::add_to_linker_sync(&mut linker)?,
        }
    }
    for import in &component.imports {
        let name = import.name.to_string();
        let Some(provider) = wiring.get(&name) else { continue };
        let mut instance = linker.instance(&name)?;
        for (function, signature) in &import.functions {
            let function = Function {
                callee: provider.callee,
                interface: import.name.clone(),
                name: function.clone(),
                signature: signature.clone(),
                resolved: Default::default(),
            };
            link_function(&mut instance, function, carry)?;
        }
    }
    Ok(linker)
}
