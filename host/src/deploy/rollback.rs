//! Back to the version that served before, or to an older one.
//!
//! The rows stay when the deploy that changed the schema has shown that the older version works on the newer schema. Otherwise the
//! file goes back to its restore point, which loses what was written since: the operator must agree to that, unless nothing was.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::history::ChangeKind;
use super::pipeline::Pipeline;
use super::report::{GateRefusal, Step, Version, short};
use super::request::RollbackRequest;
use super::steps::migrations::{self, SchemaTrial};
use super::steps::publish::{self, Release, Restore};
use super::steps::{self, health, wit};
use super::system::{System, restore_name};
use seam_runtime::alone::Trial;
use seam_runtime::component::{Artifact, ContextSpec};
use seam_store::{Database, Difference, Migration, chain};

/// How the file will fit the older version.
struct FilePlan {
    schema: SchemaTrial,
    tolerated_schema: Option<u32>,
    restore: Option<Restore>,
}

/// Takes the older version through the steps. Returns the version that serves afterwards; `None` when it served before.
///
/// # Errors
/// What a step found; nothing has changed then.
pub(super) fn run(
    system: &System,
    current: &ContextSpec,
    request: &RollbackRequest,
    pipeline: &mut Pipeline<'_>,
) -> Result<Option<Version>, GateRefusal> {
    let name = request.context.as_str();
    let wanted = wanted(system, name, &current.component.hash, request.to.as_deref())?;
    if wanted == current.component.hash {
        return Ok(None);
    }
    let file = system.artifacts.component(&wanted);
    pipeline.hash.clone_from(&wanted);
    pipeline.file = file.to_string_lossy().into_owned();
    let artifact = pipeline.step(Step::Read, || {
        let artifact = Artifact::read(&file).ok().filter(|artifact| artifact.hash == wanted);
        let gone = || {
            let message = format!("the component {} is not kept any more", short(&wanted));
            GateRefusal::at(Step::Read, message, "build it again and deploy it")
        };
        Ok((artifact.ok_or_else(gone)?, vec![format!("SHA-256 {}", short(&wanted))]))
    })?;
    let component = steps::compile(system, &artifact, pipeline)?;
    let specs = |tolerated_schema| system.specs_with(name, &component, tolerated_schema);
    pipeline.step(Step::Wit, || Ok(((), wit::check(current, &component, &specs(None), &system.mounted)?)))?;
    let start_on = |tolerated_schema, copy| {
        let trial = Trial::start(&system.registry, specs(tolerated_schema), name, copy);
        trial.map_err(|error| GateRefusal::context(Step::Start, error))
    };
    let mut trial = pipeline.step(Step::Start, || Ok((start_on(None, None)?, vec![])))?;
    let database = system.database(name);
    let plan = pipeline.step(Step::Migrations, || match &database {
        None => Ok((None, vec!["it has no store".to_owned()])),
        Some(live) => {
            let newer = Trial::start(&system.registry, system.registry.specs(), name, None);
            let newer = newer.map_err(|error| GateRefusal::context(Step::Migrations, error))?.migrations;
            let (plan, notes) = plan(system, live, &wanted, request, (&trial.migrations, &newer))?;
            Ok((Some(plan), notes))
        }
    })?;
    if let Some(plan) = &plan {
        trial = start_on(plan.tolerated_schema, Some(plan.schema.copy.clone()))?;
    }
    pipeline.step(Step::Health, || Ok(((), health::check(&trial)?)))?;
    drop(trial);
    let (schema, tolerated_schema, restore) = match plan {
        Some(FilePlan { schema, tolerated_schema, restore }) => (Some(schema), tolerated_schema, restore),
        None => (None, None, None),
    };
    let release = Release {
        before: current,
        artifact: &artifact,
        component,
        schema,
        kind: ChangeKind::Rollback,
        tolerated_schema,
        restore,
        watch: Duration::ZERO,
    };
    pipeline.step(Step::Publish, || publish::run(system, &release)).map(|published| Some(published.version))
}

/// The hash of the version that is to serve.
fn wanted(system: &System, name: &str, current: &str, to: Option<&str>) -> Result<String, GateRefusal> {
    let refused = |message: String, remedy: String| GateRefusal { step: None, message, remedy };
    let Some(to) = to.map(str::to_ascii_lowercase) else {
        let brought = system.history.bringing(name, current).map_err(|e| GateRefusal::history(&e))?;
        return brought.map(|brought| brought.before).ok_or_else(|| {
            let message = format!("`{name}` serves what it did at first: there is no version before it");
            refused(message, format!("`seam history {name}` tells what was deployed"))
        });
    };
    let mut served = system.history.served(name, &to).map_err(|e| GateRefusal::history(&e))?;
    if current.starts_with(&to) && !served.iter().any(|hash| hash == current) {
        served.push(current.to_owned());
    }
    match served.as_slice() {
        [one] if !to.is_empty() => Ok(one.clone()),
        [] | [_] => Err(refused(
            format!("no version of `{name}` that served has a hash that begins with `{to}`"),
            format!("`seam history {name}` shows them, under HASH and BEFORE"),
        )),
        several => {
            let all: Vec<_> = several.iter().map(|hash| short(hash)).collect();
            let message = format!("`{to}` could be more than one version of `{name}`: {}", all.join(", "));
            Err(refused(message, "write more of it".to_owned()))
        }
    }
}

/// How the file and the version `wanted` come together. The version has the migrations `own`; `newer` are those of the version
/// that serves now.
fn plan(
    system: &System,
    live: &Arc<Database>,
    wanted: &str,
    request: &RollbackRequest,
    (own, newer): (&[Migration], &[Migration]),
) -> Result<(FilePlan, Vec<String>), GateRefusal> {
    let name = request.context.as_str();
    let refused = |error: &dyn std::error::Error| GateRefusal::at(Step::Migrations, chain(error), "");
    let schema = live.schema().map_err(|error| refused(&error))?;
    let knows = u32::try_from(own.len()).unwrap_or(u32::MAX);
    let works = knows >= schema || system.history.works_at(name, wanted, schema).map_err(|error| refused(&error))?;
    if !request.restore && works {
        let tolerated_schema = (knows < schema).then_some(schema);
        let copied = migrations::run_on_copy(live, &system.artifacts.trial(name), own, tolerated_schema)?;
        let notes =
            tolerated_schema.map(|schema| format!("the rows stay, at schema {schema}: it was seen to work there"));
        return Ok((FilePlan { schema: copied, tolerated_schema, restore: None }, notes.into_iter().collect()));
    }
    let changed = system.history.beyond(name, knows).map_err(|error| refused(&error))?;
    let from = changed.map(|id| system.artifacts.restore_point(&restore_name(name, id))).filter(|from| from.is_file());
    let Some(from) = from.filter(|_| knows < schema) else {
        let message = match knows < schema {
            true => format!(
                "the file is at schema {schema} and it knows {knows}: there is no restore point from before the change"
            ),
            false => "there is no restore point from before the running version's schema".to_owned(),
        };
        return Err(GateRefusal::at(Step::Migrations, message, "deploy a version that knows the schema of the file"));
    };
    let commits = live.statistics().commits;
    let lost_rows = lost(system, live, &from, name, newer)?;
    if !lost_rows.is_empty() && !request.restore {
        return Err(GateRefusal::at(
            Step::Migrations,
            format!(
                "it was not seen to work at schema {schema}, it knows {knows}, and since the restore point rows were written: {}",
                shown(&lost_rows)
            ),
            "`--restore` puts the file back and loses them; or deploy a version that works at this schema",
        ));
    }
    let copy = |error: &seam_store::CopyError| refused(error);
    let path = system.artifacts.trial(&format!("{name}-before"));
    let restored = Database::open(live.config_at(&from)).map_err(|error| refused(&error))?;
    let copied = restored.copy(&path).map_err(|error| copy(&error))?;
    seam_store::migrate(&copied, own).map_err(|error| refused(&error))?;
    let mut notes = vec![format!("the file goes back from schema {schema} to {knows}")];
    if !lost_rows.is_empty() {
        notes.push(format!("lost: {}", shown(&lost_rows)));
    }
    let schema = SchemaTrial { copy: copied, from: schema, to: knows, irreversible: None };
    let commits = (!request.restore).then_some(commits);
    Ok((FilePlan { schema, tolerated_schema: None, restore: Some(Restore { from, commits }) }, notes))
}

/// What is in the file and would not be if nothing had been written since the restore point at `from`.
fn lost(
    system: &System,
    live: &Arc<Database>,
    from: &Path,
    name: &str,
    newer: &[Migration],
) -> Result<Vec<Difference>, GateRefusal> {
    let refused = |error: &dyn std::error::Error| GateRefusal::at(Step::Migrations, chain(error), "");
    let path = system.artifacts.trial(&format!("{name}-since"));
    let point = Database::open(live.config_at(from)).map_err(|error| refused(&error))?;
    let untouched = point.copy(&path).map_err(|error| refused(&error))?;
    drop(point);
    seam_store::migrate(&untouched, newer).map_err(|error| refused(&error))?;
    live.differences(&untouched).map_err(|error| refused(&error))
}

fn shown(lost: &[Difference]) -> String {
    let one = |difference: &Difference| {
        format!("`{}` has {} rows, {} without them", difference.table, difference.here, difference.there)
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}
