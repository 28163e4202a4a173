//! A wasmtime linker for one component: the interfaces of the host and the functions of other contexts that it imports.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::publication;
use super::seam_call::{Carry, link_function, link_function_async};
use super::together;
use super::wiring::Wiring;
use crate::call::ContextIndex;
use crate::component::{Component, WASI_PACKAGES};
use crate::guest::admission::FunctionId;
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::Function;
use crate::guest::{self, Guest};
use crate::settings::Publication;

/// A linker with everything that `component` imports and nothing else, and the functions of other contexts in it.
///
/// # Errors
/// When wasmtime refuses an import that `plan` accepted.
pub(super) fn linker(
    engine: &Engine,
    component: &Component,
    publishes: &[Publication],
    wiring: &Wiring,
    asynchronous: bool,
    carry: Carry,
) -> wasmtime::Result<(Linker<Guest>, Vec<Arc<Function>>)> {
    let (mut linker, mut imported) = (Linker::new(engine), Vec::new());
    let mut callees: Vec<ContextIndex> = wiring.values().map(|provider| provider.callee).collect();
    callees.sort_unstable();
    callees.dedup();
    let imports = |package: &str| component.imports.iter().any(|i| i.name.package() == package);
    add_host(&mut linker, asynchronous, callees.into(), imports)?;
    for import in &component.imports {
        let name = import.name.to_string();
        if let Some(publication) = publishes.iter().find(|publication| import.name.granted_by(&publication.interface)) {
            let mut instance = linker.instance(&name)?;
            for (function, signature) in &import.functions {
                publication::link_function(&mut instance, &import.name, function, signature, publication)?;
            }
            continue;
        }
        let Some(provider) = wiring.get(&name) else { continue };
        let mut instance = linker.instance(&name)?;
        for (function, signature) in &import.functions {
            let id = FunctionId::new(&import.name.path, function);
            let function = Arc::new(Function::new(
                Callee { context: provider.callee, function: Some(id) },
                import.name.clone(),
                function.clone(),
                signature.clone(),
            ));
            imported.push(function.clone());
            match provider.suspends {
                true => link_function_async(&mut instance, function, carry)?,
                false => link_function(&mut instance, function, carry)?,
            }
        }
    }
    Ok((linker, imported))
}

/// Adds the host's interfaces: of each package for which `imports` is true. `callees`: the contexts that it may call.
pub(super) fn add_host(
    linker: &mut Linker<Guest>,
    asynchronous: bool,
    callees: Arc<[ContextIndex]>,
    imports: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    if imports("seam:host") {
        guest::attempts::add_to_linker(linker)?;
        guest::sagas::add_to_linker(linker)?;
        guest::store::add_to_linker(linker)?;
        guest::two_phase::add_to_linker(linker)?;
        together::add_to_linker(linker, asynchronous, callees)?;
    }
    if imports("wasi:logging") {
        guest::logging::add_to_linker(linker)?;
    }
    if imports("wasi:config") {
        guest::config::add_to_linker(linker)?;
    }
    if WASI_PACKAGES.into_iter().any(&imports) {
        match asynchronous {
            true => guest::wasi::add_to_linker_async(linker)?,
            false => guest::wasi::add_to_linker_sync(linker)?,
        }
    }
    if imports("wasi:http") {
        match asynchronous {
            true => guest::wasi_http::add_to_linker_async(linker)?,
            false => guest::wasi_http::add_to_linker_sync(linker)?,
        }
    }
    Ok(())
}
