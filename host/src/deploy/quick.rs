//! The quick form of the gate, for the development loop: the same steps for all contexts that changed, as one system.
//!
//! Where a deploy needs `--allow`, this form adds a note and does not refuse: a developer changes an interface and its
//! callers together. It replays no recorded calls and has no probation. It copies a file only when the schema changes
//! or when a version exports a health check.
//! Invariants: all new versions serve, or none; a file's schema changes only after the migration worked on a copy, and
//! with a restore point. There is no rollback: the developer undoes a change in the editor, and no other component is
//! kept.

use std::sync::Arc;

use seam_runtime::alone::Trial;
use seam_runtime::component::{ContextProblem, ContextSpec, HEALTH};
use seam_runtime::link;
use seam_runtime::run::Generation;
use seam_runtime::serve::{self, Candidate, Prepared};
use seam_store::ids::ContextName;
use seam_store::{Database, chain};

use super::history::{Change, ChangeKind};
use super::pipeline::Pipeline;
use super::report::{GateRefusal, Step, SystemRefusal, first_line};
use super::request::{DesiredSystem, Form};
use super::steps::migrations::{self, SchemaTrial};
use super::steps::{capabilities, health, sagas, wit};
use super::system::{System, restore_name};
use crate::fit;
use crate::limits;

/// A version that does not serve yet.
struct Upcoming<'a> {
    generation: Arc<Generation>,
    /// The version that serves now, if any.
    before: Option<&'a ContextSpec>,
    schema: Option<SchemaTrial>,
    /// The ID of its change in the history, if it was recorded before the schema changed.
    change: Option<i64>,
}

/// Takes a whole system through the steps. Returns the contexts of which a new version serves.
///
/// # Errors
/// All problems that one step found. The running versions keep serving then.
pub(super) fn run(
    system: &System,
    desired: &DesiredSystem,
    pipeline: &mut Pipeline<'_>,
) -> Result<Vec<ContextName>, SystemRefusal> {
    let serving = system.registry.specs();
    let before = |name: &ContextName| serving.iter().find(|spec| spec.settings.name == *name);
    let known = desired.specs.iter().filter_map(|spec| Some((before(&spec.settings.name)?, spec)));
    let changed: Vec<_> = known.filter(|(was, is)| was.component.hash != is.component.hash).collect();
    pipeline.step(Step::Wit, || Ok(((), check_system(&changed, desired)?)))?;
    pipeline.step(Step::Capabilities, || compare_imports(&changed))?;
    let prepared = pipeline.step(Step::Start, || match system.registry.prepare(desired.specs.clone()) {
        Ok(prepared) => {
            let noted = |candidate: &Candidate| {
                let (name, next) = (candidate.generation.context(), candidate.generation.saga_definitions());
                // What cannot be read, the step `migrations` reports.
                let notes = sagas::notes(system, name.as_str(), next).unwrap_or_default();
                notes.into_iter().map(|note| format!("{name}: {note}")).collect::<Vec<_>>()
            };
            let notes = prepared.candidates.iter().flat_map(noted).collect();
            Ok((prepared, notes))
        }
        Err(error) => Err(SystemRefusal::of(Step::Start, desired, error)),
    })?;
    let upcoming = |candidate: &Candidate| {
        let generation = candidate.generation.clone();
        Upcoming { before: before(generation.context()), generation, schema: None, change: None }
    };
    let mut all: Vec<Upcoming<'_>> = prepared.candidates.iter().map(upcoming).collect();
    pipeline.step(Step::Migrations, || {
        check_each(Step::Migrations, all.iter_mut().zip(&prepared.candidates), |(upcoming, candidate)| {
            (upcoming.name(), try_schema(system, upcoming, candidate))
        })
    })?;
    pipeline.step(Step::Health, || {
        check_each(Step::Health, &all, |upcoming| (upcoming.name(), check_health(system, upcoming, desired)))
    })?;
    pipeline.step(Step::Publish, || publish(system, prepared, &mut all))?;
    Ok(all.iter().map(Upcoming::name).collect())
}

/// Runs the migrations on a copy when the schema changes. Otherwise only checks that the file has the same migrations.
fn try_schema(
    system: &System,
    upcoming: &mut Upcoming<'_>,
    candidate: &Candidate,
) -> Result<Vec<String>, ContextProblem> {
    let problem = |refusal| problem_of(&upcoming.generation, refusal);
    let live = upcoming.generation.database();
    let schema = |live: &Arc<Database>| live.schema().ok().map(|schema| schema as usize);
    let Some(live) = live.filter(|live| schema(live) != Some(candidate.migrations.len())) else {
        candidate.migrate(None)?;
        upcoming.generation.fitting_invariants(live.map(Arc::as_ref))?;
        return Ok(Vec::new());
    };
    let (path, spec) = (system.artifacts.trial(upcoming.name().as_str()), upcoming.generation.spec());
    let trial = migrations::run_on_copy(live, &path, &candidate.migrations, spec.tolerated_schema).map_err(problem)?;
    let notes = migrations::judge(&trial, &[], Form::Quick).map_err(problem)?;
    upcoming.generation.fitting_invariants(Some(trial.copy.as_ref()))?;
    upcoming.schema = Some(trial);
    Ok(notes)
}

/// Calls the version's health check, if it exports one.
fn check_health(
    system: &System,
    upcoming: &Upcoming<'_>,
    desired: &DesiredSystem,
) -> Result<Vec<String>, ContextProblem> {
    let generation = &upcoming.generation;
    if !generation.component().exports.iter().any(|export| export.name.path == HEALTH) {
        return Ok(Vec::new());
    }
    let problem = |refusal| problem_of(generation, refusal);
    let copy = match (&upcoming.schema, generation.database()) {
        (Some(schema), _) => Some(schema.copy.clone()),
        (None, None) => None,
        (None, Some(live)) => {
            let now = live.statistics();
            if (now.file_bytes + now.wal_bytes) >> 20 > limits::DEPLOY_QUICK_COPY_MB_MAX {
                return Ok(vec!["health check skipped: its file is too large to copy for each change".to_owned()]);
            }
            let copied = live.copy(&system.artifacts.trial(upcoming.name().as_str()));
            let failed = |error| {
                GateRefusal::at(Step::Health, chain(&error), "check that the host can write to the data folder")
            };
            Some(copied.map_err(|error| problem(failed(error)))?)
        }
    };
    let trial = Trial::start(&system.registry, desired.specs.clone(), upcoming.name().as_str(), copy);
    let trial = trial.map_err(|error| problem(GateRefusal::context(Step::Health, error)))?;
    health::check(&trial).map_err(problem)?;
    Ok(Vec::new())
}

/// Migrates the files whose schema changes, and publishes all versions.
fn publish(system: &System, prepared: Prepared, all: &mut [Upcoming<'_>]) -> Result<((), Vec<String>), SystemRefusal> {
    for upcoming in all.iter_mut().filter(|upcoming| upcoming.schema.is_some()) {
        // If the host is killed from here on, its next start needs this component.
        system.keep(upcoming.generation.spec()).ok();
        match system.history.begin(&upcoming.change_record()) {
            Ok(id) => upcoming.change = Some(id),
            Err(error) => {
                return Err(SystemRefusal::one(
                    Step::Publish,
                    problem_of(&upcoming.generation, GateRefusal::history(&error)),
                ));
            }
        }
    }
    match swap(system, prepared, all) {
        Ok(notes) => {
            record_live(system, all);
            Ok(((), notes))
        }
        Err(problem) => {
            for (upcoming, change) in all.iter().filter_map(|upcoming| Some((upcoming, upcoming.change?))) {
                let (name, schema) = (upcoming.name(), upcoming.schema.as_ref().map(|schema| schema.from));
                if let Err(error) = system.record_unchanged(name.as_str(), schema, change, first_line(&problem.message))
                {
                    tracing::warn!("{}", chain(&error));
                }
            }
            Err(SystemRefusal::one(Step::Publish, problem))
        }
    }
}

fn swap(system: &System, prepared: Prepared, all: &[Upcoming<'_>]) -> Result<Vec<String>, ContextProblem> {
    let mut notes = Vec::new();
    for (upcoming, candidate) in all.iter().zip(&prepared.candidates) {
        let Some(change) = upcoming.change else { continue };
        let restore_point = system.artifacts.restore_point(&restore_name(upcoming.name().as_str(), change));
        let migrated = candidate.migrate(Some(restore_point.as_path()))?;
        if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
            let (name, from, to) = (upcoming.name(), migrated.from, migrated.to);
            notes.push(format!("{name}: schema {from} became {to}, with a restore point"));
        }
    }
    let failed = |error: serve::Error| {
        let name = all.first().map(Upcoming::name);
        let remedy = "save it again".to_owned();
        name.map(|context| ContextProblem { context, part: String::new(), message: chain(&error), remedy })
    };
    match system.registry.publish(prepared).map_err(failed) {
        // Without an upcoming version there was nothing to publish.
        Ok(()) | Err(None) => Ok(notes),
        Err(Some(problem)) => Err(problem),
    }
}

/// Records the versions that serve now. A failure leaves a gap in the history and changes nothing else.
fn record_live(system: &System, all: &[Upcoming<'_>]) {
    for database in all.iter().filter_map(|upcoming| upcoming.generation.database()) {
        database.forget_statements();
    }
    let records: Vec<_> = all
        .iter()
        .filter(|upcoming| upcoming.is_other_component())
        .map(|upcoming| (upcoming.change_record(), upcoming.change))
        .collect();
    if !records.is_empty()
        && let Err(error) = system.history.follow_manifest(&records)
    {
        tracing::warn!("the saved version serves, but cannot be recorded in the history: {}", chain(&error));
    }
    if all.iter().any(|upcoming| upcoming.change.is_some()) {
        system.prune();
    }
}

impl Upcoming<'_> {
    fn name(&self) -> ContextName {
        self.generation.context().clone()
    }

    /// Whether the component changed, and not only its entry in the manifest.
    fn is_other_component(&self) -> bool {
        self.before.is_none_or(|before| before.component.hash != self.generation.component().hash)
    }

    fn change_record(&self) -> Change<'_> {
        let spec = self.generation.spec();
        Change {
            context: spec.settings.name.as_str(),
            kind: ChangeKind::Quick,
            hash: &spec.component.hash,
            before: self.before.map_or("", |before| before.component.hash.as_str()),
            file: spec.settings.component.to_str().unwrap_or_default(),
            schema: self.schema.as_ref().map(|schema| (schema.from, schema.to)),
            irreversible: self.schema.as_ref().is_some_and(|schema| schema.irreversible.is_some()),
            manifest_hash: Some(&spec.component.hash),
        }
    }
}

impl SystemRefusal {
    fn one(step: Step, problem: ContextProblem) -> Self {
        Self { step, problems: vec![problem] }
    }

    fn of(step: Step, desired: &DesiredSystem, error: serve::Error) -> Self {
        match error {
            serve::Error::Problems(problems) => Self { step, problems },
            other => {
                let (message, remedy) = (chain(&other), "see the log".to_owned());
                let first = desired.specs.first().map(|spec| spec.settings.name.clone());
                let problem = first.map(|context| ContextProblem { context, part: String::new(), message, remedy });
                Self { step, problems: problem.into_iter().collect() }
            }
        }
    }
}

/// Checks that the contexts link as one system. Returns notes on what changes for callers.
fn check_system(
    changed: &[(&ContextSpec, &ContextSpec)],
    desired: &DesiredSystem,
) -> Result<Vec<String>, SystemRefusal> {
    let specs: Vec<_> = desired.specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    link::plan(&specs).map_err(|problems| SystemRefusal { step: Step::Wit, problems })?;
    let problems = fit::unserved(desired.calls.mounted.iter(), &desired.specs);
    if !problems.is_empty() {
        return Err(SystemRefusal { step: Step::Wit, problems });
    }
    let compared = changed.iter().flat_map(|(was, is)| {
        let notes = wit::compare(was, &is.component, &desired.specs, &desired.calls);
        prefixed(&is.settings.name, notes.unwrap_or_else(|refusal| vec![refusal.message]))
    });
    Ok(compared.collect())
}

/// Notes on the imports of the new versions that the running ones do not have.
fn compare_imports(changed: &[(&ContextSpec, &ContextSpec)]) -> Result<((), Vec<String>), SystemRefusal> {
    let mut notes = Vec::new();
    for (was, is) in changed {
        // The quick form refuses nothing here.
        let new = capabilities::check(&was.component, &is.component, &[], Form::Quick).unwrap_or_default();
        notes.extend(prefixed(&is.settings.name, new));
    }
    Ok(((), notes))
}

/// Runs `check` on all items. Returns all notes, or all problems if there is one.
fn check_each<T>(
    step: Step,
    all: impl IntoIterator<Item = T>,
    mut check: impl FnMut(T) -> (ContextName, Result<Vec<String>, ContextProblem>),
) -> Result<((), Vec<String>), SystemRefusal> {
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    for one in all {
        match check(one) {
            (name, Ok(new)) => notes.extend(prefixed(&name, new)),
            (_, Err(problem)) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(((), notes)) } else { Err(SystemRefusal { step, problems }) }
}

fn prefixed(name: &ContextName, notes: Vec<String>) -> impl Iterator<Item = String> + use<> {
    let name = name.clone();
    notes.into_iter().map(move |note| format!("{name}: {note}"))
}

fn problem_of(generation: &Generation, refusal: GateRefusal) -> ContextProblem {
    let GateRefusal { message, remedy, .. } = refusal;
    ContextProblem { context: generation.context().clone(), part: String::new(), message, remedy }
}
