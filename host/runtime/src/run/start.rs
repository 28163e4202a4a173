//! Makes a generation that could serve from a wired context: the blueprint of its instances, and its grants.

use std::sync::Arc;

use seam_store::Database;
use wasmtime::component::ComponentExportIndex;
use wasmtime_wasi_config::WasiConfigVariables;

use super::blueprint::{Blueprint, Export, Grants, SagaSteps};
use super::generation::{Generation, Inherited};
use crate::call::ContextIndex;
use crate::component::{
    ContextProblem, HEALTH, HTTP_HANDLER, INVARIANTS, InterfaceName, MIGRATIONS, RECONCILIATION, SAGA_STEPS, is_seam,
};
use crate::guest::sagas::Sagas;
use crate::guest::{logging, memory, two_phase, wasi, wasi_http};
use crate::link::{Wired, serves_wasi_http, waits};
use crate::settings::ContextSettings;

/// The `number`-th version of the context at `index`. None of its code has run yet.
///
/// # Errors
/// When it lacks an export that it declares.
pub(crate) fn generation(
    index: ContextIndex,
    number: u64,
    wired: Wired,
    database: Option<Arc<Database>>,
    inherited: Inherited,
) -> Result<Generation, ContextProblem> {
    let (entry, component) = (&wired.spec.settings, &wired.spec.component);
    let broken = |what: &str, e: &dyn std::fmt::Display| {
        ContextProblem::of(&entry.name, format!("{what}: {e:#}"), "rebuild the component")
    };
    let index_in = |interface: &InterfaceName, function: &str| {
        let instance = component.code.get_export_index(None, interface.to_string())?;
        component.code.get_export_index(Some(&instance), function)
    };
    let index_of =
        |path: &str, function: &str| index_in(&component.exports.iter().find(|e| e.name.path == path)?.name, function);
    let mut exports = Vec::new();
    for interface in component.exports.iter().filter(|e| is_seam(&e.name)) {
        for (function, signature) in &interface.functions {
            let index = index_in(&interface.name, function)
                .ok_or_else(|| broken("is inconsistent", &format!("`{function}` is declared but missing")))?;
            exports.push(Export::new(interface.name.clone(), function.clone(), signature.clone(), index));
        }
    }
    let blueprint = Blueprint {
        context: entry.name.clone(),
        pre: wired.pre.clone(),
        exports,
        http_handler: index_of(HTTP_HANDLER, "handle"),
        migrations: index_of(MIGRATIONS, "all"),
        invariants: index_of(INVARIANTS, "all"),
        saga_steps: saga_steps(index_of),
        mend: index_of(RECONCILIATION, "mend"),
        health: index_of(HEALTH, "check"),
        serves_wasi_http: serves_wasi_http(component),
        asynchronous: wired.asynchronous,
        waits: waits(component),
        grants: grants(entry, database, &inherited),
    };
    Ok(Generation::new(index, number, wired, blueprint, inherited))
}

fn saga_steps(index_of: impl Fn(&str, &str) -> Option<ComponentExportIndex>) -> Option<SagaSteps> {
    let function = |name: &str| index_of(SAGA_STEPS, name);
    Some(SagaSteps { definitions: function("definitions")?, perform: function("perform")?, undo: function("undo")? })
}

fn grants(entry: &ContextSettings, database: Option<Arc<Database>>, inherited: &Inherited) -> Grants {
    let two_phase = || two_phase::Grant {
        participants: entry.two_phase.clone().into(),
        transactions: inherited.transactions.clone(),
    };
    let mut config = WasiConfigVariables::new();
    for (key, value) in &entry.config {
        config.insert(key, value);
    }
    Grants {
        database,
        sagas: Sagas::new(inherited.sagas_run),
        config: Arc::new(config),
        shared: entry.shared.iter().map(|shared| (shared.name.clone(), shared.version.clone())).collect(),
        outgoing: wasi_http::Outgoing::new(&entry.outgoing),
        memory: memory::Shared::new(entry.limits.context_memory_mb),
        instance_memory_mb: entry.limits.instance_memory_mb,
        attempts: inherited.attempts.clone(),
        two_phase: (!entry.two_phase.is_empty()).then(two_phase),
        log_budget: Arc::new(logging::Budget::new(entry.limits.log_kb_per_s)),
        timeout: entry.limits.timeout,
        world: wasi::World::Real,
        cut_off: Arc::default(),
    }
}
