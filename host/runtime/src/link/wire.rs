//! All that is needed to start a context: its spec, its wiring and its linked code.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::InstancePre;

use super::linker::linker;
use super::plan::plan;
use super::seam_call::Carry;
use super::wiring::Wiring;
use crate::component::{Component, ContextProblem, ContextSpec, HTTP_HANDLER, WASI_HTTP};
use crate::guest::Guest;
use crate::guest::dispatch::Function;

/// A context that is ready to start.
pub(crate) struct Wired {
    pub spec: ContextSpec,
    pub wiring: Wiring,
    /// All its imports, linked and checked by type.
    pub pre: InstancePre<Guest>,
    /// How many contexts the system has, variants included.
    pub contexts: usize,
    /// Whether it is linked asynchronously: it serves `wasi:http`, or a call of it may wait for another host.
    pub asynchronous: bool,
    /// The functions of other contexts that it imports.
    pub imported: Vec<Arc<Function>>,
}

impl Wired {
    /// Links the imports of `spec` to the providers in `wiring`, of a system that has so many `contexts`.
    ///
    /// # Errors
    /// When wasmtime refuses an import that `plan` accepted.
    pub fn new(
        engine: &Engine,
        spec: ContextSpec,
        wiring: Wiring,
        contexts: usize,
        carry: Carry,
    ) -> Result<Self, ContextProblem> {
        let component = &spec.component;
        let asynchronous = serves_wasi_http(component) || wiring.values().any(|provider| provider.suspends);
        let linked = linker(engine, component, &spec.settings.publishes, &wiring, asynchronous, carry)
            .and_then(|(linker, imported)| Ok((linker.instantiate_pre(&component.code)?, imported)));
        match linked {
            Ok((pre, imported)) => Ok(Self { spec, wiring, pre, contexts, asynchronous, imported }),
            Err(error) => Err(ContextProblem {
                context: spec.settings.name.clone(),
                part: "component".into(),
                message: format!("`{}` cannot be linked: {error:#}", spec.settings.name),
                remedy: "rebuild it against the interfaces of this host".into(),
            }),
        }
    }
}

/// Whether `wasi:http` is the only HTTP interface that the component serves.
pub(crate) fn serves_wasi_http(component: &Component) -> bool {
    let exports = |path: &str| component.exports.iter().any(|e| e.name.path == path);
    exports(WASI_HTTP) && !exports(HTTP_HANDLER)
}

/// Whether the component imports functions that block the calling thread when it is linked synchronously.
pub(crate) fn waits(component: &Component) -> bool {
    component
        .imports
        .iter()
        .any(|i| ["wasi:io", "wasi:http", "wasi:filesystem", "wasi:sockets"].contains(&i.name.package()))
}

/// Decides which context answers each import, and links each context.
///
/// # Errors
/// All problems of all contexts.
pub(crate) fn wire(engine: &Engine, specs: Vec<ContextSpec>) -> Result<Vec<Wired>, Vec<ContextProblem>> {
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    let (wirings, contexts) = (plan(&borrowed)?, borrowed.len());
    let (mut wired, mut problems) = (Vec::new(), Vec::new());
    for (spec, wiring) in specs.into_iter().zip(wirings) {
        match Wired::new(engine, spec, wiring, contexts, Carry::Bytes) {
            Ok(one) => wired.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(wired) } else { Err(problems) }
}

/// Like `wire`, but links `context` alone, with `Carry::Values`. `None` when `specs` does not contain `context`.
///
/// # Errors
/// All problems of all contexts.
pub(crate) fn wire_one(
    engine: &Engine,
    specs: Vec<ContextSpec>,
    context: &str,
) -> Result<Option<(usize, Wired)>, Vec<ContextProblem>> {
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    let (wirings, contexts) = (plan(&borrowed)?, borrowed.len());
    let found =
        specs.into_iter().zip(wirings).enumerate().find(|(_, (spec, _))| spec.settings.name.as_str() == context);
    let Some((at, (spec, wiring))) = found else { return Ok(None) };
    let wired = Wired::new(engine, spec, wiring, contexts, Carry::Values).map_err(|problem| vec![problem])?;
    Ok(Some((at, wired)))
}
