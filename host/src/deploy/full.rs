//! The full form of the gate: all steps, for a version that real visitors get.

use std::sync::Arc;
use std::time::Duration;

use seam_runtime::alone::Trial;
use seam_runtime::component::ContextSpec;
use seam_store::Database;

use super::history::ChangeKind;
use super::pipeline::Pipeline;
use super::report::{GateRefusal, Step, Version};
use super::request::{DeployRequest, Form};
use super::steps::migrations::{self, SchemaTrial};
use super::steps::publish::{self, Release};
use super::steps::{self, capabilities, health, replay, sagas, undelivered, wit};
use super::system::System;

/// Takes `request.file` through all steps. Returns the version that serves afterwards; `None` when it already served.
///
/// # Errors
/// The refusal of a step. Before the step `watch`, callers have seen nothing of the new version then.
pub(super) fn run(
    system: &System,
    before: &ContextSpec,
    request: &DeployRequest,
    pipeline: &mut Pipeline<'_>,
) -> Result<Option<Version>, GateRefusal> {
    let name = request.context.as_str();
    let artifact = steps::read(&request.file, pipeline)?;
    if artifact.hash == before.component.hash {
        return Ok(None);
    }
    let component = steps::compile(system, &before.settings.name, &artifact, pipeline)?;
    let specs = system.specs_with(name, &component, None);
    let serves = system.serves(name);
    pipeline.step(Step::Wit, || {
        let mut notes = wit::check(before, &component, &specs, &system.calls)?;
        notes.extend(undelivered::check(system, before, &component, &request.allow)?);
        Ok(((), notes))
    })?;
    pipeline.step(Step::Capabilities, || {
        // Beside a version that could not be loaded, nothing is new: what the manifest grants holds, as at a start.
        let form = if before.component.is_placeholder() { Form::Quick } else { Form::Full };
        Ok(((), capabilities::check(&before.component, &component, &request.allow, form)?))
    })?;
    let start_on = |database: Option<Arc<Database>>| {
        let trial = Trial::start(&system.registry, specs.clone(), name, database);
        trial.map_err(|error| GateRefusal::context(Step::Start, error))
    };
    let mut trial = pipeline.step(Step::Start, || {
        let trial = start_on(None)?;
        let notes = sagas::check(system, Step::Start, name, trial.saga_definitions(), &request.allow)?;
        Ok((trial, notes))
    })?;
    let mut schema = pipeline.step(Step::Migrations, || match serves {
        true => try_schema(system, name, &trial, &request.allow),
        false => Ok((None, vec![migrations::UNTRIED.to_owned()])),
    })?;
    if let Some(schema) = &schema {
        trial = start_on(Some(schema.copy.clone()))?;
    }
    pipeline.step(Step::Health, || Ok(((), health::check(&trial)?)))?;
    pipeline.step(Step::Replay, || match serves {
        true => Ok(((), replay::check(system, request, &trial, schema.as_mut())?)),
        false => Ok(((), vec!["no version serves that it could be compared with".to_owned()])),
    })?;
    let definitions = trial.saga_definitions().to_vec();
    drop(trial);
    // A version that the host cannot roll back by itself is not on probation.
    let irreversible = schema.as_ref().is_some_and(|schema| schema.irreversible.is_some());
    let can_go_back = serves && !irreversible;
    let watch = Duration::from_millis(if can_go_back { request.watch_ms } else { 0 });
    let release = Release {
        before,
        artifact: &artifact,
        component,
        schema,
        kind: ChangeKind::Deploy,
        tolerated_schema: None,
        restore: None,
        watch,
    };
    let published = pipeline.step(Step::Publish, || {
        // They went on meanwhile.
        sagas::check(system, Step::Publish, name, &definitions, &request.allow)?;
        publish::run(system, &release)
    })?;
    let version = published.version.clone();
    if !watch.is_zero() {
        pipeline.step(Step::Watch, || Ok(((), publish::watch(system, &release, published)?)))?;
    }
    Ok(Some(version))
}

/// Runs the migrations on a copy of the file. `None` without a store.
fn try_schema(
    system: &System,
    name: &str,
    trial: &Trial,
    allow: &[String],
) -> Result<(Option<SchemaTrial>, Vec<String>), GateRefusal> {
    match system.database(name) {
        Some(live) => {
            let schema = migrations::run_on_copy(&live, &system.artifacts.trial(name), &trial.migrations, None)?;
            let notes = migrations::judge(&schema, allow, Form::Full)?;
            migrations::fit_invariants(system, name, trial.fitting_invariants(Some(schema.copy.as_ref())))?;
            Ok((Some(schema), notes))
        }
        None if trial.migrations.is_empty() => {
            migrations::fit_invariants(system, name, trial.fitting_invariants(None))?;
            Ok((None, vec!["it has no store".to_owned()]))
        }
        None => Err(GateRefusal::at(
            Step::Migrations,
            format!("`{name}` has migrations, but the manifest does not grant it a store"),
            format!("add `store = true` to [context.{name}]"),
        )),
    }
}
