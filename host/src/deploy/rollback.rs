//! Rolls a context back to its previous version or an older one.
//!
//! If the deploy that changed the schema has shown that the older version works with the newer schema, the rows stay.
//! Otherwise the file goes back to its restore point and loses everything written since. The operator must allow that
//! with `--restore`, unless nothing was written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::alone::Trial;
use seam_runtime::component::{self, Artifact, ContextSpec};
use seam_store::{Database, Difference, Migration, chain};

use super::history::ChangeKind;
use super::lineage::Lineage;
use super::pipeline::Pipeline;
use super::report::{GateRefusal, Step, Version, short};
use super::request::RollbackRequest;
use super::steps::migrations::{self, SchemaTrial};
use super::steps::publish::{self, Release, Restore};
use super::steps::{self, health, sagas, wit};
use super::system::{System, restore_name};

/// How the file is made to fit the older version.
struct FilePlan {
    schema: SchemaTrial,
    tolerated_schema: Option<u32>,
    restore: Option<Restore>,
}

/// Takes the older version through the steps. Returns the version that serves afterwards; `None` when it already
/// served.
///
/// # Errors
/// The refusal of a step. Nothing has changed then.
pub(super) fn run(
    system: &System,
    current: &ContextSpec,
    request: &RollbackRequest,
    pipeline: &mut Pipeline<'_>,
) -> Result<Option<Version>, GateRefusal> {
    let name = request.context.as_str();
    let target = target_hash(system, name, &current.component.hash, request.to.as_deref())?;
    if target == current.component.hash {
        return Ok(None);
    }
    let file = system.artifacts.component(&target);
    pipeline.hash.clone_from(&target);
    pipeline.file = file.to_string_lossy().into_owned();
    let artifact = pipeline.step(Step::Read, || {
        let artifact = Artifact::read_as(&file, &target);
        let gone = |error: component::Error| {
            let message = match error {
                component::Error::Changed { .. } => chain(&error),
                _ => format!("the data folder no longer holds the component {}", short(&target)),
            };
            GateRefusal::at(Step::Read, message, "build it again and deploy it")
        };
        Ok((artifact.map_err(gone)?, vec![format!("SHA-256 {}", short(&target))]))
    })?;
    let component = steps::compile(system, &current.settings.name, &artifact, pipeline)?;
    let specs = |tolerated_schema| system.specs_with(name, &component, tolerated_schema);
    pipeline.step(Step::Wit, || Ok(((), wit::check(current, &component, &specs(None), &system.calls)?)))?;
    let start_on = |tolerated_schema, copy| {
        let trial = Trial::start(&system.registry, specs(tolerated_schema), name, copy);
        trial.map_err(|error| GateRefusal::context(Step::Start, error))
    };
    let mut trial = pipeline.step(Step::Start, || {
        let trial = start_on(None, None)?;
        // A version that has turned bad is left in any case.
        let notes = sagas::notes(system, name, trial.saga_definitions());
        let notes = notes.map_err(|error| GateRefusal::at(Step::Start, chain(&error), ""))?;
        Ok((trial, notes))
    })?;
    let database = system.database(name);
    let plan = pipeline.step(Step::Migrations, || match &database {
        None if !system.serves(name) => Ok((None, vec![migrations::UNTRIED.to_owned()])),
        None => Ok((None, vec!["it has no store".to_owned()])),
        Some(live) => {
            let newer = Trial::start(&system.registry, system.registry.specs(), name, None);
            let newer = newer.map_err(|error| GateRefusal::context(Step::Migrations, error))?.migrations;
            let (plan, notes) = plan(system, live, &target, request, (&trial.migrations, &newer))?;
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

/// The hash of the version to roll back to.
fn target_hash(system: &System, name: &str, current: &str, to: Option<&str>) -> Result<String, GateRefusal> {
    let refused = |message: String, remedy: String| GateRefusal::early(message, remedy);
    let Some(to) = to.map(str::to_ascii_lowercase) else {
        let lineage = Lineage::read(&system.history, name).map_err(|e| GateRefusal::history(&e))?;
        if let Some(before) = lineage.before(current).next() {
            return Ok(before.to_owned());
        }
        let left: Vec<_> = lineage.left().into_iter().filter(|hash| *hash != current).map(short).collect();
        return Err(match left.as_slice() {
            [] => refused(
                format!("`{name}` still serves its first version: there is no version before it"),
                format!("`seam history {name}` shows what was deployed"),
            ),
            left => refused(
                format!(
                    "there is no version before `{}`, but those that were left by a rollback or turned bad: {}",
                    short(current),
                    left.join(", ")
                ),
                format!("`seam rollback {name} --to HASH` returns to one of them"),
            ),
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
            format!("`seam history {name}` shows the hashes, under HASH and BEFORE"),
        )),
        several => {
            let all: Vec<_> = several.iter().map(|hash| short(hash)).collect();
            let message = format!("`{to}` matches several versions of `{name}`: {}", all.join(", "));
            Err(refused(message, "give more digits of the hash".to_owned()))
        }
    }
}

/// Decides how to make the file fit the version `target`, and tries it on a copy. `own` are the migrations of that
/// version; `newer` are those of the version that serves now.
fn plan(
    system: &System,
    live: &Arc<Database>,
    target: &str,
    request: &RollbackRequest,
    (own, newer): (&[Migration], &[Migration]),
) -> Result<(FilePlan, Vec<String>), GateRefusal> {
    let name = request.context.as_str();
    let refused = |error: &dyn std::error::Error| GateRefusal::at(Step::Migrations, chain(error), "");
    let schema = live.schema().map_err(|error| refused(&error))?;
    let knows = u32::try_from(own.len()).unwrap_or(u32::MAX);
    let works = knows >= schema || system.history.works_at(name, target, schema).map_err(|error| refused(&error))?;
    if !request.restore && works {
        let tolerated_schema = (knows < schema).then_some(schema);
        let copied = migrations::run_on_copy(live, &system.artifacts.trial(name), own, tolerated_schema)?;
        let notes = tolerated_schema.map(|schema| {
            format!("the rows stay, at schema {schema}: the deploy has shown that this version works there")
        });
        return Ok((FilePlan { schema: copied, tolerated_schema, restore: None }, notes.into_iter().collect()));
    }
    let changed = system.history.last_change_past(name, knows).map_err(|error| refused(&error))?;
    let from = changed.map(|id| system.artifacts.restore_point(&restore_name(name, id))).filter(|from| from.is_file());
    let Some(from) = from.filter(|_| knows < schema) else {
        let message = match knows < schema {
            true => format!(
                "the file is at schema {schema}, this version knows schema {knows}, and there is no \
                 restore point from before the change"
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
                "no deploy has shown that this version works at schema {schema} (it knows schema \
                 {knows}), and rows were written since the restore point: {}",
                shown(&lost_rows)
            ),
            "`--restore` restores the file and loses those rows; or deploy a version that works at this schema",
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

/// The differences between the file and the restore point at `from`, brought to the same schema.
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
        format!("`{}` has {} rows, {} without the later writes", difference.table, difference.here, difference.there)
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}
