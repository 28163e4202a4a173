//! A context with everything that it takes to start it: its spec, its wiring and its linker.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::linker::linker;
use super::plan::{Wiring, plan};
use super::seam_call::Carry;
use crate::component::{Component, ContextProblem, ContextSpec, HTTP_HANDLER, WASI_HTTP};
use crate::guest::Guest;

/// A context that can be started.
pub(crate) struct Wired {
    pub spec: ContextSpec,
    pub wiring: Wiring,
    pub linker: Linker<Guest>,
}

impl Wired {
    /// Links `spec` as `wiring` says; its calls go over seams as `carry` says.
    ///
    /// # Errors
    /// When wasmtime refuses what `plan` let through.
    pub fn new(engine: &Engine, spec: ContextSpec, wiring: Wiring, carry: Carry) -> Result<Self, ContextProblem> {
        match linker(engine, &spec.component, &wiring, is_asynchronous(&spec.component), carry) {
            Ok(linker) => Ok(Self { spec, wiring, linker }),
            Err(error) => Err(ContextProblem {
                context: spec.settings.name.clone(),
                part: "component".into(),
                message: format!("`{}` cannot be linked: {error:#}", spec.settings.name),
                remedy: "rebuild it against the interfaces of this host".into(),
            }),
        }
    }
}

/// Whether it is linked asynchronously: it serves `wasi:http` and nothing else.
pub(crate) fn is_asynchronous(component: &Component) -> bool {
    let exports = |path: &str| component.exports.iter().any(|e| e.name.path == path);
    exports(WASI_HTTP) && !exports(HTTP_HANDLER)
}

/// Whether the component imports functions that wait on the thread which calls them, when it is linked synchronously.
pub(crate) fn waits(component: &Component) -> bool {
    component
        .imports
        .iter()
        .any(|i| ["wasi:io", "wasi:http", "wasi:filesystem", "wasi:sockets"].contains(&i.name.package()))
}

/// Decides which context answers each import, and makes a linker for each context.
///
/// # Errors
/// Everything that keeps the contexts from being one system.
pub(crate) fn wire(engine: &Engine, specs: Vec<ContextSpec>) -> Result<Vec<Wired>, Vec<ContextProblem>> {
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    let wirings = plan(&borrowed)?;
    let (mut wired, mut problems) = (Vec::new(), Vec::new());
    for (spec, wiring) in specs.into_iter().zip(wirings) {
        match Wired::new(engine, spec, wiring, Carry::Bytes) {
            Ok(one) => wired.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(wired) } else { Err(problems) }
}

/// Makes the same decisions, and a linker for `context` alone, whose calls go by values. `None` when `context` is not among
/// `specs`.
///
/// # Errors
/// Everything that keeps the contexts from being one system.
pub(crate) fn wire_one(
    engine: &Engine,
    specs: Vec<ContextSpec>,
    context: &str,
) -> Result<Option<(usize, Wired)>, Vec<ContextProblem>> {
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    let wirings = plan(&borrowed)?;
    let found =
        specs.into_iter().zip(wirings).enumerate().find(|(_, (spec, _))| spec.settings.name.as_str() == context);
    let Some((at, (spec, wiring))) = found else { return Ok(None) };
    let wired = Wired::new(engine, spec, wiring, Carry::Values).map_err(|problem| vec![problem])?;
    Ok(Some((at, wired)))
}
