//! From a wired part to a generation that could serve: its instances' blueprint, its grants, and a first instance that starts.

use std::sync::Arc;

use wasmtime_wasi_config::WasiConfigVariables;

use super::component::Component;
use super::generation::{Blueprint, Export, Generation, Grants};
use super::link::{self, Problem};
use super::linked::Wired;
use super::recorder::Recorder;
use super::stats::Stats;
use crate::call::ContextIndex;
use crate::manifest::ContextSettings;
use crate::seam::{logging, memory, wasi, wasi_http};
use crate::store::Database;

/// Whether it is linked asynchronously: it serves `wasi:http` and nothing else.
pub(super) fn is_asynchronous(component: &Component) -> bool {
    let exports = |path: &str| component.exports.iter().any(|e| e.name.path == path);
    exports(link::WASI_HTTP) && !exports(link::HTTP_HANDLER)
}

/// The `number`-th version of the context at `index`. Nothing of it has run yet.
///
/// # Errors
/// When wasmtime refuses to instantiate it, or it lacks an export that it declares.
pub(super) fn generation(
    index: ContextIndex,
    number: u64,
    wired: Wired,
    database: Option<Arc<Database>>,
    stats: Arc<Stats>,
    recorder: Arc<Recorder>,
) -> Result<Generation, Problem> {
    let Wired { part, wiring, linker } = wired;
    let (entry, component) = (&part.entry, &part.component);
    let broken = |what: &str, e: &dyn std::fmt::Display| {
        problem(entry, format!("{what}: {e:#}"), "rebuild the component".to_owned())
    };
    let pre = linker.instantiate_pre(&component.code).map_err(|e| broken("cannot be linked", &e))?;
    let index_of = |path: &str, function: &str| {
        let interface = component.exports.iter().find(|e| e.name.path == path)?;
        let instance = component.code.get_export_index(None, interface.name.to_string())?;
        component.code.get_export_index(Some(&instance), function)
    };
    let mut exports = Vec::new();
    for interface in component.exports.iter().filter(|e| link::is_seam(&e.name)) {
        for (function, signature) in &interface.functions {
            let index = index_of(&interface.name.path, function)
                .ok_or_else(|| broken("is inconsistent", &format!("`{function}` is declared but missing")))?;
            let (function, signature) = (function.clone(), signature.clone());
            exports.push(Export { interface: interface.name.path.clone(), function, signature, index });
        }
    }
    let plan = Blueprint {
        context: entry.name.clone(),
        pre,
        exports,
        lean: index_of(link::HTTP_HANDLER, "handle"),
        migrations: index_of(link::MIGRATIONS, "all"),
        health: index_of(link::HEALTH, "check"),
        asynchronous: is_asynchronous(component),
        waits: link::waits(component),
        grants: grants(entry, database),
    };
    Ok(Generation::new(index, number, part, wiring, plan, stats, recorder))
}

fn grants(entry: &ContextSettings, database: Option<Arc<Database>>) -> Grants {
    let mut config = WasiConfigVariables::new();
    for (key, value) in &entry.config {
        config.insert(key, value);
    }
    Grants {
        database,
        config: Arc::new(config),
        shared: entry.shared.iter().map(|shared| (shared.name.clone(), shared.version.clone())).collect(),
        outgoing: wasi_http::Outgoing::new(&entry.outgoing),
        memory: memory::Shared::new(entry.limits.context_memory_mb),
        instance_memory_mb: entry.limits.instance_memory_mb,
        log_budget: Arc::new(logging::Budget::new(entry.limits.log_kb_per_s)),
        timeout: entry.limits.timeout,
        world: wasi::World::Real,
        cut_off: Arc::default(),
    }
}

/// Something that keeps a context from starting, as a sentence about it.
pub(super) fn problem(entry: &ContextSettings, what: String, remedy: String) -> Problem {
    let name = entry.name.clone();
    Problem { message: format!("`{name}` {what}"), context: name, part: String::new(), remedy }
}

/// An error with all that caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
