//! Step `publish`: the file is brought to the new schema, with a restore point, and from one moment on new requests get the new
//! version. Step `watch` follows: the version is on probation, and stays or is rolled back.
//!
//! Between migration and publication the version before runs on the new schema for some milliseconds: step `migrations` has seen
//! that it can, or the operator has allowed that it cannot.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::migrations::SchemaTrial;
use super::{fault, probation};
use crate::deploy::history::{Change, ChangeKind};
use crate::deploy::report::{GateRefusal, Step, Version};
use crate::deploy::system::{System, hash_of, restore_name};
use crate::limits;
use seam_runtime::component::{Artifact, Component, ContextSpec};
use seam_runtime::serve::{self, Probation};
use seam_store::chain;

/// A version that has passed all steps before.
pub(crate) struct Release<'a> {
    pub before: &'a ContextSpec,
    pub artifact: &'a Artifact,
    pub component: Component,
    /// There when the context has a store.
    pub schema: Option<SchemaTrial>,
    pub kind: ChangeKind,
    /// The schema that its file has, when the version does not know it.
    pub tolerated_schema: Option<u32>,
    /// The copy that the file is put back to.
    pub restore: Option<Restore>,
    /// How long it is on probation; zero: not at all.
    pub watch: Duration,
}

/// A version that serves.
pub(crate) struct Published {
    pub version: Version,
    /// Its line in the history.
    change: i64,
    probation: Option<Probation>,
}

/// A copy of the file from before its schema changed.
pub(crate) struct Restore {
    pub from: PathBuf,
    /// Only if no more was committed than this; `None`: the operator has agreed to lose rows.
    pub commits: Option<u64>,
}

/// Publishes a release.
///
/// # Errors
/// When the live file cannot be migrated after all, or other changes are published all the time. The version before serves then.
pub(crate) fn run(system: &System, release: &Release<'_>) -> Result<(Published, Vec<String>), GateRefusal> {
    let failed = |message: String| GateRefusal::at(Step::Publish, message, "see that the data folder can be written");
    system.artifacts.keep(release.artifact).map_err(|e| failed(format!("its component cannot be kept: {e}")))?;
    fault::point("kept");
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
    fault::point("begun");
    match swap(system, release, change) {
        Ok((version, probation, notes)) => {
            fault::point("published");
            let published = Published { version, change, probation };
            if published.probation.is_none() {
                record_live(system, release, &published, None)?;
            }
            Ok((published, notes))
        }
        Err(refusal) => {
            let schema_before = schema.map(|schema| schema.from);
            system
                .record_unchanged(entry.name.as_str(), schema_before, change, &refusal.message)
                .map_err(|error| GateRefusal::history(&error))?;
            Err(refusal)
        }
    }
}

/// Watches a version on probation: records that it serves, or has the version before serve again.
///
/// # Errors
/// When it turned bad.
pub(crate) fn watch(
    system: &System,
    release: &Release<'_>,
    mut published: Published,
) -> Result<Vec<String>, GateRefusal> {
    let Some(probation) = published.probation.take() else { return Ok(Vec::new()) };
    let (name, began) = (&release.before.settings.name, Instant::now());
    tracing::info!(context = %name, generation = published.version.generation, "serves on probation");
    match probation::watch(&probation, release.watch) {
        Ok(seen) => {
            probation.keep();
            system.forget_statements(name.as_str());
            record_live(system, release, &published, None)?;
            Ok(vec![seen])
        }
        Err(why) => {
            let schema = release.schema.as_ref().filter(|schema| schema.from != schema.to);
            let tolerated_schema = schema.map(|schema| schema.to);
            // The history first, so that a host that is killed now starts with the version before.
            let recorded = system.history.rolled_back(published.change, tolerated_schema, &why);
            fault::point("rolled-back");
            if let Err(error) = system.registry.undo(probation, tolerated_schema) {
                let why = format!("it turned bad ({why}), and the version before cannot serve: {}", chain(&error));
                record_live(system, release, &published, Some(&why))?;
                return Err(GateRefusal::at(Step::Watch, why, "deploy a version that works"));
            }
            let ms_watched = began.elapsed().as_millis() as u64;
            tracing::warn!(context = %name, ms_watched, "a new version turned bad and was rolled back: {why}");
            recorded.map_err(|error| GateRefusal::history(&error))?;
            system.forget_statements(name.as_str());
            Err(GateRefusal::at(
                Step::Watch,
                format!("it served and turned bad, so the version before serves again: {why}"),
                format!("`seam logs {name}` says more"),
            ))
        }
    }
}

/// Records that a version serves.
fn record_live(
    system: &System,
    release: &Release<'_>,
    published: &Published,
    why: Option<&str>,
) -> Result<(), GateRefusal> {
    let recorded = system.history.live(published.change, release.tolerated_schema, why);
    recorded.map_err(|error| GateRefusal::history(&error))?;
    fault::point("recorded");
    system.prune();
    Ok(())
}

/// Migrates the file and publishes the version, again when another change was published in between.
fn swap(
    system: &System,
    release: &Release<'_>,
    change: i64,
) -> Result<(Version, Option<Probation>, Vec<String>), GateRefusal> {
    let name = &release.before.settings.name;
    let restore_point = system.artifacts.restore_point(&restore_name(name.as_str(), change));
    let mut notes = Vec::new();
    for _ in 0..limits::DEPLOY_ATTEMPTS {
        let specs = system.specs_with(name.as_str(), &release.component, release.tolerated_schema);
        let prepared = system.registry.prepare(specs).map_err(|e| GateRefusal::context(Step::Publish, e))?;
        if let Some(copy) = &release.restore {
            notes = vec![restore(system, name.as_str(), copy)?];
            fault::point("restored");
        }
        let mut version = None;
        for candidate in &prepared.candidates {
            let ours = candidate.generation.context() == name;
            let migrated = candidate
                .migrate(ours.then_some(restore_point.as_path()))
                .map_err(|problem| GateRefusal::problems(Step::Publish, &[problem]))?;
            if ours {
                fault::point("migrated");
                let generation = Some(candidate.generation.number);
                version = Some(Version { hash: release.artifact.hash.clone(), generation });
                if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
                    notes.push(format!("schema {} became {}, with a restore point", migrated.from, migrated.to));
                }
            }
        }
        let Some(version) = version else {
            return Err(GateRefusal::at(Step::Publish, "it serves already", ""));
        };
        let published = match release.watch.is_zero() {
            true => system.registry.publish(prepared).map(|()| None),
            false => system.registry.publish_on_probation(prepared, name.as_str()).map(Some),
        };
        match published {
            Ok(probation) => {
                system.forget_statements(name.as_str());
                return Ok((version, probation, notes));
            }
            Err(serve::Error::Overtaken) => {}
            Err(error) => return Err(GateRefusal::at(Step::Publish, chain(&error), "")),
        }
    }
    Err(GateRefusal::at(Step::Publish, "other changes were published all the time", "try again"))
}

/// Puts the file back to what it was before its schema changed.
fn restore(system: &System, name: &str, restore: &Restore) -> Result<String, GateRefusal> {
    let Some(database) = system.database(name) else {
        return Err(GateRefusal::at(Step::Publish, "it has no store", ""));
    };
    database.restore(&restore.from, restore.commits).map_err(|error| {
        GateRefusal::at(Step::Publish, format!("its file cannot be put back: {}", chain(&error)), "try again")
    })?;
    Ok("the file is back at its restore point".to_owned())
}
