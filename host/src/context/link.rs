//! Who provides what each context imports, decided for the whole system at once, and the host functions that carry the calls.
//!
//! Invariant: a component that passed `plan` can be linked; every problem of the whole system is reported together, each with the
//! context whose manifest entry or code has to change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::types::Type;
use wasmtime::component::{Func, Linker, LinkerInstance, Val};
use wasmtime::{Engine, Store, StoreContextMut};

use super::component::{Component, Interface};
use super::generation::same_signature;
use super::interface::InterfaceName;
pub use super::signature::{wit_of, wit_type};
use super::{raw, rules, stand_in};
use crate::call::{ContextIndex, Failure, Refused};
use crate::ids::{ContextName, Trace};
use crate::limits;
use crate::manifest::ContextSettings;
use crate::seam::dispatch::{Exchange, Function, Values};
use crate::seam::notes::{Asked, Notes};
use crate::seam::{self, Guest};

/// Something that keeps the system from being linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub context: ContextName,
    /// The key of its manifest entry that it is about, or the interface that is imported; empty: the entry as a whole.
    pub part: String,
    pub message: String,
    pub remedy: String,
}

/// Which context answers for each seam that a context imports, by the import's full name.
pub type Wiring = BTreeMap<String, Provider>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub callee: ContextIndex,
    /// The interface's path, without the version, under which the callee's generation finds it.
    pub path: String,
}

/// Interfaces that the host calls; they are no seams.
const CALLED_BY_HOST: [&str; 3] = [MIGRATIONS, HTTP_HANDLER, HEALTH];
pub const HEALTH: &str = "seam:host/health";
pub const HTTP_HANDLER: &str = "seam:host/http-handler";
pub const MIGRATIONS: &str = "seam:host/migrations";
pub const WASI_HTTP: &str = "wasi:http/incoming-handler";

/// Wires the whole system, or says everything that is wrong with it.
///
/// # Errors
/// All problems of all contexts, in the manifest's order.
pub fn plan(contexts: &[(&ContextSettings, &Component)]) -> Result<Vec<Wiring>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wirings = Vec::new();
    for (context, component) in contexts {
        let mut report = |part: &str, message: String, remedy: String| {
            problems.push(Problem { context: context.name.clone(), part: part.to_owned(), message, remedy });
        };
        for export in component.exports.iter().filter(|e| is_seam(&e.name)) {
            for (message, remedy) in rules::violations(export) {
                report("component", message, remedy);
            }
        }
        let mut wiring = Wiring::new();
        for import in &component.imports {
            match import.name.namespace() {
                "wasi" | "seam" => {
                    if let Some((message, remedy)) = host_import_problem(context, &import.name) {
                        report("", message, remedy);
                    }
                }
                _ => match provider(contexts, context, import) {
                    Ok(provider) => drop(wiring.insert(import.name.to_string(), provider)),
                    Err(found) => {
                        found.into_iter().for_each(|(message, remedy)| report(&import.name.path, message, remedy));
                    }
                },
            }
        }
        wirings.push(wiring);
    }
    for (context, component) in contexts {
        problems.extend(stand_in::problems(contexts, context, component));
        problems.extend(stand_in::catch_up_problem(contexts, context, component));
    }
    if let Some(cycle) = find_cycle(&stand_in::callees(contexts, &wirings)) {
        let names: Vec<_> =
            cycle.iter().filter_map(|at| contexts.get(usize::from(*at))).map(|c| c.0.name.as_str()).collect();
        if let Some((first, _)) = cycle.first().and_then(|at| contexts.get(usize::from(*at))) {
            problems.push(Problem {
                context: first.name.clone(),
                part: "imports".into(),
                message: format!("contexts import each other in a circle: {}", names.join(" -> ")),
                remedy: "let one of them tell the others by events, or move what both need into a third context".into(),
            });
        }
    }
    if problems.is_empty() { Ok(wirings) } else { Err(problems) }
}

/// Whether an exported interface is for other contexts, rather than for the host or a WASI world.
pub fn is_seam(name: &InterfaceName) -> bool {
    name.namespace() != "wasi" && !CALLED_BY_HOST.contains(&name.path.as_str())
}

fn host_import_problem(context: &ContextSettings, name: &InterfaceName) -> Option<(String, String)> {
    let granted = |capability: &str| context.capabilities.iter().any(|c| c.as_str() == capability);
    let refused = |what: &str, line: &str| {
        let message = format!("`{}` imports `{name}`, but the manifest does not grant it {what}", context.name);
        (message, format!("add `{line}` to [context.{}], or leave the import out", context.name))
    };
    match name.package() {
        "seam:host" if name.short() == "store" => context.store.is_none().then(|| refused("a store", "store = true")),
        "wasi:logging" | "wasi:config" | "wasi:io" | "wasi:http" => None,
        "wasi:clocks" => {
            (!granted("clocks") && !granted("wasi")).then(|| refused("clocks", "capabilities = [\"clocks\"]"))
        }
        "wasi:random" => {
            (!granted("random") && !granted("wasi")).then(|| refused("random numbers", "capabilities = [\"random\"]"))
        }
        "wasi:cli" | "wasi:filesystem" | "wasi:sockets" => {
            (!granted("wasi")).then(|| refused("the empty WASI world", "capabilities = [\"wasi\"]"))
        }
        _ => Some((
            format!("`{}` imports `{name}`, which this host does not offer", context.name),
            "build the component without it".into(),
        )),
    }
}

/// Who provides `import` to `caller`, or every reason why nobody does.
fn provider(
    contexts: &[(&ContextSettings, &Component)],
    caller: &ContextSettings,
    import: &Interface,
) -> Result<Provider, Vec<(String, String)>> {
    let mut problems = Vec::new();
    let name = &import.name;
    if !caller.imports.iter().any(|grant| name.granted_by(grant)) {
        problems.push((
            format!("`{}` imports `{name}`, but the manifest does not let it", caller.name),
            format!("add \"{}\" to `imports` of [context.{}]", name.path, caller.name),
        ));
    }
    let exporting = |fits: &dyn Fn(&InterfaceName) -> bool| -> Vec<(usize, &ContextName, &Interface)> {
        let all = contexts.iter().enumerate().filter(|(_, (c, _))| c.name.variant().is_none());
        all.flat_map(|(at, (c, component))| component.exports.iter().map(move |e| (at, &c.name, e)))
            .filter(|(_, _, e)| fits(&e.name))
            .collect()
    };
    let providers = exporting(&|offered| name.accepts(offered));
    match providers.as_slice() {
        [] => {
            let others = exporting(&|offered| offered.path == name.path);
            let (why, remedy) = if others.is_empty() {
                ("no context exports it".to_owned(), format!("add a context that exports `{}`", name.path))
            } else {
                let list: Vec<_> = others.iter().map(|(_, c, e)| format!("`{c}` has `{}`", e.name)).collect();
                (
                    format!("only other versions are there: {}", list.join(", ")),
                    "build both against one version".to_owned(),
                )
            };
            problems.push((format!("`{}` imports `{name}`, but {why}", caller.name), remedy));
        }
        [(at, callee, export)] => {
            for (function, wanted) in &import.functions {
                match export.functions.iter().find(|(n, _)| n == function) {
                    None => problems.push((
                        format!("`{}` imports `{name}.{function}`, which `{callee}` does not have", caller.name),
                        format!("build `{}` against the interface that `{callee}` exports", caller.name),
                    )),
                    Some((_, offered)) if !same_signature(wanted, offered) => problems.push((
                        format!("`{}` and `{callee}` disagree about the type of `{name}.{function}`", caller.name),
                        "build both against the same WIT; a changed type needs a new version of the package".into(),
                    )),
                    Some(_) => {}
                }
            }
            if let (true, Ok(callee)) = (problems.is_empty(), ContextIndex::try_from(*at)) {
                return Ok(Provider { callee, path: export.name.path.clone() });
            }
        }
        several => {
            let list: Vec<_> = several.iter().map(|(_, c, e)| format!("`{c}` (`{}`)", e.name)).collect();
            problems.push((
                format!(
                    "`{}` imports `{name}`, and more than one context exports it: {}",
                    caller.name,
                    list.join(", ")
                ),
                "remove all but one of them from the manifest".into(),
            ));
        }
    }
    Err(problems)
}

/// The contexts of one circle of imports, the first one again at the end.
fn find_cycle(callees: &[Vec<ContextIndex>]) -> Option<Vec<ContextIndex>> {
    fn visit(
        callees: &[Vec<ContextIndex>],
        at: ContextIndex,
        done: &mut Vec<bool>,
        path: &mut Vec<ContextIndex>,
    ) -> Option<Vec<ContextIndex>> {
        if let Some(start) = path.iter().position(|p| *p == at) {
            let mut cycle = path.get(start..)?.to_vec();
            cycle.push(at);
            return Some(cycle);
        }
        if done.get(usize::from(at)).copied().unwrap_or(true) {
            return None;
        }
        path.push(at);
        for callee in callees.get(usize::from(at))? {
            if let Some(cycle) = visit(callees, *callee, done, path) {
                return Some(cycle);
            }
        }
        path.pop();
        if let Some(done) = done.get_mut(usize::from(at)) {
            *done = true;
        }
        None
    }
    let mut done = vec![false; callees.len()];
    (0..callees.len()).find_map(|at| visit(callees, ContextIndex::try_from(at).ok()?, &mut done, &mut Vec::new()))
}

/// How a call gets over a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carry {
    /// From memory to memory, where the types allow it.
    Bytes,
    /// As values, so that anything can answer.
    Values,
}

/// A linker with everything that `component` imports and nothing else of the system.
///
/// # Errors
/// When wasmtime refuses what `plan` let through.
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
        seam::store::add_to_linker(&mut linker)?;
    }
    if imports("wasi:logging") {
        seam::logging::add_to_linker(&mut linker)?;
    }
    if imports("wasi:config") {
        seam::config::add_to_linker(&mut linker)?;
    }
    let wasi = ["wasi:io", "wasi:clocks", "wasi:random", "wasi:cli", "wasi:filesystem", "wasi:sockets", "wasi:http"];
    if wasi.into_iter().any(imports) {
        match asynchronous {
            true => seam::wasi::add_to_linker_async(&mut linker)?,
            false => seam::wasi::add_to_linker_sync(&mut linker)?,
        }
    }
    if imports("wasi:http") {
        match asynchronous {
            true => seam::wasi_http::add_to_linker_async(&mut linker)?,
            false => seam::wasi_http::add_to_linker_sync(&mut linker)?,
        }
    }
    for import in &component.imports {
        let name = import.name.to_string();
        let Some(provider) = wiring.get(&name) else { continue };
        let mut instance = linker.instance(&name)?;
        for (function, signature) in &import.functions {
            let function = Function {
                callee: provider.callee,
                interface: provider.path.clone(),
                name: function.clone(),
                signature: signature.clone(),
                resolved: Default::default(),
            };
            link_function(&mut instance, function, carry)?;
        }
    }
    Ok(linker)
}

/// Whether the component imports functions that wait on the thread which calls them, when it is linked synchronously.
pub(super) fn waits(component: &Component) -> bool {
    component
        .imports
        .iter()
        .any(|i| ["wasi:io", "wasi:http", "wasi:filesystem", "wasi:sockets"].contains(&i.name.package()))
}

/// The host function behind one imported function: hands the call to whoever answers for the callee in this request's set. When
/// there is no answer, the caller gets its own error type's `unavailable`.
fn link_function(instance: &mut LinkerInstance<'_, Guest>, function: Function, carry: Carry) -> wasmtime::Result<()> {
    let name = function.name.clone();
    let signature = function.signature.clone();
    let function = Arc::new(function);
    if carry == Carry::Bytes && raw::supports(&signature) {
        return raw::link(instance, &name, &signature, move |cx, args| {
            let mut exchange = Bytes { args, reply: None };
            match dispatch(cx, &function, &mut exchange)? {
                Ok(()) => exchange.reply.ok_or_else(|| wasmtime::format_err!("`{}` left no reply", function.name)),
                Err(failure) => Ok(raw::Reply::unavailable(failure.for_caller())),
            }
        });
    }
    instance.func_new(&name, move |cx, _ty, params, results| {
        let outcome = dispatch(cx, &function, &mut Values { params, results })?;
        if let (Err(failure), Some(result)) = (outcome, results.first_mut()) {
            *result = raw::values::unavailable(&failure.for_caller());
        }
        Ok(())
    })
}

/// An exchange that never looks into the values: they go from memory to memory.
struct Bytes<'a> {
    args: raw::Args<'a, Guest>,
    reply: Option<raw::Reply>,
}

impl Exchange for Bytes<'_> {
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        self.reply = Some(self.args.invoke(func, store)?);
        Ok(())
    }

    fn params(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.params().map(|(_, ty)| ty).collect();
        Ok(self.args.values(&types)?)
    }

    fn answer(&mut self, _: Vec<Val>) -> wasmtime::Result<()> {
        wasmtime::bail!("this call is carried as bytes and takes no values")
    }

    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.results().collect();
        match &self.reply {
            Some(reply) => Ok(reply.values(&types)?),
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }
}

fn dispatch(
    mut cx: StoreContextMut<'_, Guest>,
    function: &Function,
    exchange: &mut dyn Exchange,
) -> wasmtime::Result<Result<(), Failure>> {
    let guest = cx.data();
    let (Some(call), Some(set)) = (guest.call, &guest.set) else {
        wasmtime::bail!("`{}.{}` was called while the component starts", function.interface, function.name);
    };
    if call.steer.shadow {
        let (context, refused) = (guest.context.to_string(), Refused::Shadow);
        return Ok(Err(Failure::Refused { context, refused }));
    }
    if guest.store.as_ref().is_some_and(seam::store::Session::in_transaction) {
        return Ok(Err(holds_writer(guest, call.trace, function)));
    }
    let started = guest.notes.is_some().then(Instant::now);
    let outcome = match set.get(usize::from(function.callee)) {
        Some(callee) => callee.call(call, set, function, exchange),
        None => Err(Failure::Absent { context: function.interface.clone(), reason: "it is not loaded".into() }),
    };
    if let (Some(started), Some(notes)) = (started, cx.data_mut().notes.as_mut()) {
        note(notes, function, exchange, &outcome, started.elapsed());
    }
    Ok(outcome)
}

/// A context's one writer is not held while somebody else is asked: their time would be everybody's.
#[cold]
fn holds_writer(guest: &Guest, trace: Trace, function: &Function) -> Failure {
    tracing::warn!(
        context = %guest.context,
        %trace,
        function = %format_args!("{}.{}", function.interface, function.name),
        "a call to another context was refused: a transaction is open; commit or roll back first"
    );
    Failure::Refused { context: function.interface.clone(), refused: Refused::HoldsWriter }
}

#[cold]
fn note(
    notes: &mut Notes,
    function: &Function,
    exchange: &dyn Exchange,
    outcome: &Result<(), Failure>,
    took: Duration,
) {
    if notes.asked.len() >= limits::RECORD_ASKED_MAX {
        notes.asked_more += 1;
        return;
    }
    let unread = |error: wasmtime::Error| Failure::Absent {
        context: function.interface.clone(),
        reason: format!("the answer cannot be read: {error:#}"),
    };
    let outcome = match outcome {
        Ok(()) => exchange.results(function).map_err(unread),
        Err(failure) => Err(failure.clone()),
    };
    notes.asked.push(Asked {
        callee: function.callee,
        interface: function.interface.clone(),
        function: function.name.clone(),
        names: function.signature.params().map(|(name, _)| name.to_owned()).collect(),
        params: exchange.params(function).unwrap_or_default(),
        outcome,
        took,
    });
}
