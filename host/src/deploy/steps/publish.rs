//! Step `publish`: migrates the file, with a restore point, and publishes the new version: from then on new requests
//! get it. Step `watch` follows: the version is on probation, and stays or is rolled back.
//!
//! Between migration and publication the previous version runs at the new schema for some milliseconds. Step
//! `migrations` has tested that it can, or the operator has allowed that it cannot.

use std::path::PathBuf;
use std::time::Duration;

use seam_runtime::component::{Artifact, Component, ContextSpec};
use seam_runtime::serve::{self, Probation};
use seam_store::{chain, fault};

use super::migrations::SchemaTrial;
use super::probation::{self, Watch};
use crate::deploy::history::{Change, ChangeKind};
use crate::deploy::report::{GateRefusal, Step, Version};
use crate::deploy::running_watch::EndWatch;
use crate::deploy::system::{System, hash_of, restore_name};
use crate::deploy::vigil::{OnWatch, Vigil, called};
use crate::limits;

/// A version that has passed all earlier steps.
pub(crate) struct Release<'a> {
    pub before: &'a ContextSpec,
    pub artifact: &'a Artifact,
    pub component: Component,
    /// `None` without a store.
    pub schema: Option<SchemaTrial>,
    pub kind: ChangeKind,
    /// The schema of its file, if the version does not know that schema.
    pub tolerated_schema: Option<u32>,
    /// The copy to restore the file from.
    pub restore: Option<Restore>,
    /// How long it is on probation; zero: no probation.
    pub watch: Duration,
}

/// A version that serves.
pub(crate) struct Published {
    pub version: Version,
    /// The ID of its change in the history.
    change: i64,
    probation: Option<Probation>,
}

/// A copy of the file from before its schema changed.
pub(crate) struct Restore {
    pub from: PathBuf,
    /// Restore only if the file has no more commits than this. `None`: the operator allows the loss of rows.
    pub commits: Option<u64>,
}

/// Publishes a release.
///
/// # Errors
/// When the live file cannot be migrated after all, or other changes are published at each try. The previous
/// version keeps serving then.
pub(crate) fn run(system: &System, release: &Release<'_>) -> Result<(Published, Vec<String>), GateRefusal> {
    let failed =
        |message: String| GateRefusal::at(Step::Publish, message, "check that the host can write to the data folder");
    system.artifacts.keep(release.artifact).map_err(|e| failed(format!("cannot store its component: {e}")))?;
    fault::point("deploy.kept");
    let entry = &release.before.settings;
    let manifest_hash = hash_of(&entry.component);
    let schema = release.schema.as_ref();
    let change = Change {
        context: entry.name.as_str(),
        kind: release.kind,
        hash: &release.artifact.hash,
        before: &release.before.component.hash,
        file: &release.artifact.path.to_string_lossy(),
        schema: schema.map(|schema| (schema.from, schema.to)),
        irreversible: schema.is_some_and(|schema| schema.irreversible.is_some()),
        manifest_hash: manifest_hash.as_deref(),
    };
    let change = system.history.begin(&change).map_err(|error| GateRefusal::history(&error))?;
    fault::point("deploy.applying");
    match swap(system, release, change) {
        Ok((version, probation, notes)) => {
            fault::point("deploy.published");
            let published = Published { version, change, probation };
            if published.probation.is_none() {
                record_live(system, change, release.tolerated_schema, None)?;
            }
            Ok((published, notes))
        }
        Err(refusal) => {
            let schema_before = schema.map(|schema| schema.from);
            system
                .record_unchanged(entry.name.as_str(), schema_before, change, refusal.for_history())
                .map_err(|error| GateRefusal::history(&error))?;
            Err(refusal)
        }
    }
}

/// Watches a version on probation. Then records that it serves, or makes the version before serve again. A version with
/// too few calls stays on probation for its first ones (`vigil`).
///
/// # Errors
/// When the version turned bad, or an operator rolled it back.
pub(crate) fn watch(
    system: &System,
    release: &Release<'_>,
    mut published: Published,
) -> Result<Vec<String>, GateRefusal> {
    let Some(probation) = published.probation.take() else { return Ok(Vec::new()) };
    let (name, clock) = (&release.before.settings.name, system.registry.clock());
    let schema = release.schema.as_ref().filter(|schema| schema.from != schema.to);
    let watched = OnWatch {
        context: name.clone(),
        generation: published.version.generation.unwrap_or_default(),
        change: published.change,
        newer_schema: schema.map(|schema| schema.to),
        tolerated_schema: release.tolerated_schema,
        probation,
        began: clock.now(),
    };
    tracing::info!(context = %name, generation = watched.generation, "serves on probation");
    let watching = system.watch.begin(name.as_str(), &published.version.hash);
    let earlier = watched.probation.calls_earlier();
    match probation::watch(clock, release.watch, &earlier, || watched.probation.counts(), || watching.asked()) {
        Watch::Good { calls, mut notes, judge } => {
            system.forget_statements(name.as_str());
            if calls >= limits::DEPLOY_COVERED_CALLS {
                watched.probation.keep();
                record_live(system, published.change, release.tolerated_schema, None)?;
                return Ok(notes);
            }
            let why = format!("{} while it was watched", called(calls));
            record_live(system, published.change, release.tolerated_schema, Some(&why))?;
            notes.push(format!(
                "the host goes on watching for its first {} calls, and {} minutes at most",
                limits::DEPLOY_COVERED_CALLS,
                limits::DEPLOY_COVER_MS / 60_000
            ));
            system.vigils.add(Vigil::new(watched, *judge, clock.now()));
            Ok(notes)
        }
        Watch::Asked(EndWatch::Keep) => {
            watched.probation.keep();
            system.forget_statements(name.as_str());
            record_live(system, published.change, release.tolerated_schema, Some("a rollback ended its watch"))?;
            Ok(vec!["a rollback ended it".to_owned()])
        }
        Watch::Asked(EndWatch::Undo) => {
            let why = "an operator rolled it back while it was watched";
            take_back(system, watched, why)?;
            Err(GateRefusal::at(Step::Watch, format!("{why}, so the version before serves again"), ""))
        }
        Watch::Bad(why) => {
            take_back(system, watched, &why)?;
            Err(GateRefusal::at(
                Step::Watch,
                format!("it served and turned bad, so the previous version serves again: {why}"),
                format!("see `seam logs {name} --level warn`"),
            ))
        }
    }
}

/// Makes the version before serve again, and records why.
///
/// # Errors
/// When that version cannot serve, and the new one stays; or when the history cannot be written.
pub(crate) fn take_back(system: &System, watched: OnWatch, why: &str) -> Result<(), GateRefusal> {
    let OnWatch { context, change, newer_schema, tolerated_schema, probation, began, .. } = watched;
    // The history first: if the host is killed now, it starts with the previous version.
    let recorded = system.history.rolled_back(change, newer_schema, why);
    fault::point("deploy.rolled-back");
    if let Err(error) = system.registry.undo(probation, newer_schema) {
        let why = format!("it turned bad ({why}), and the previous version cannot serve: {}", chain(&error));
        record_live(system, change, tolerated_schema, Some(&why))?;
        return Err(GateRefusal::at(Step::Watch, why, "deploy a version that works"));
    }
    let ms_watched = system.registry.clock().elapsed_since(began).as_millis() as u64;
    tracing::warn!(%context, ms_watched, "a new version turned bad and was rolled back: {why}");
    recorded.map_err(|error| GateRefusal::history(&error))?;
    system.forget_statements(context.as_str());
    Ok(())
}

/// Records that the version of `change` serves.
fn record_live(
    system: &System,
    change: i64,
    tolerated_schema: Option<u32>,
    why: Option<&str>,
) -> Result<(), GateRefusal> {
    let recorded = system.history.live(change, tolerated_schema, why);
    recorded.map_err(|error| GateRefusal::history(&error))?;
    fault::point("deploy.recorded");
    system.prune();
    Ok(())
}

/// Migrates the file and publishes the version. Tries again if another change was published meanwhile.
fn swap(
    system: &System,
    release: &Release<'_>,
    change: i64,
) -> Result<(Version, Option<Probation>, Vec<String>), GateRefusal> {
    let name = &release.before.settings.name;
    let restore_point = system.artifacts.restore_point(&restore_name(name.as_str(), change));
    let mut notes = Vec::new();
    system.end_vigils();
    for _ in 0..limits::DEPLOY_TRIES_MAX {
        let specs = system.specs_with(name.as_str(), &release.component, release.tolerated_schema);
        let prepared = system.registry.prepare(specs).map_err(|e| GateRefusal::context(Step::Publish, e))?;
        if let Some(copy) = &release.restore {
            notes = vec![restore(system, name.as_str(), copy)?];
            fault::point("deploy.restored");
        }
        let mut version = None;
        for candidate in &prepared.candidates {
            let ours = candidate.generation.context() == name;
            let migrated = candidate
                .migrate(ours.then_some(restore_point.as_path()))
                .map_err(|problem| GateRefusal::problems(Step::Publish, &[problem]))?;
            if ours {
                fault::point("deploy.migrated");
                let generation = Some(candidate.generation.number);
                version = Some(Version { hash: release.artifact.hash.clone(), generation });
                if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
                    notes.push(format!("schema {} became {}, with a restore point", migrated.from, migrated.to));
                }
            }
        }
        let Some(version) = version else {
            return Err(GateRefusal::at(Step::Publish, "it already serves", ""));
        };
        let published = match release.watch.is_zero() {
            true => system.registry.publish(prepared).map(|()| None),
            false => system.registry.publish_on_probation(prepared, name.as_str()).map(Some),
        };
        match published {
            Ok(probation) => {
                system.notices.clear(name);
                system.forget_statements(name.as_str());
                return Ok((version, probation, notes));
            }
            Err(serve::Error::Overtaken) => {}
            Err(error) => return Err(GateRefusal::at(Step::Publish, chain(&error), "")),
        }
    }
    Err(GateRefusal::at(Step::Publish, "each try was overtaken by another change", "try again"))
}

/// Restores the file from before its schema changed.
fn restore(system: &System, name: &str, restore: &Restore) -> Result<String, GateRefusal> {
    let Some(database) = system.database(name) else {
        return Err(GateRefusal::at(Step::Publish, "it has no store", ""));
    };
    database.restore(&restore.from, restore.commits).map_err(|error| {
        GateRefusal::at(Step::Publish, format!("cannot restore its file: {}", chain(&error)), "try again")
    })?;
    Ok("the file is back at its restore point".to_owned())
}
