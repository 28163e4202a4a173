//! Decides at a start which versions serve: the deployed version, unless the manifest's file has changed since. Also
//! resolves changes that a killed host left unfinished.
//!
//! A deployed component whose copy is missing or damaged does not serve: the version before it stands in, if it works
//! at the schema of the file. Otherwise the manifest's component serves in the place of a missing one, and a context
//! with a damaged one cannot be loaded.
//!
//! If an unfinished change has changed the file's schema, the new version serves. Otherwise the previous version
//! serves, since the operator never got a response.

use std::collections::HashMap;

use seam_runtime::component::ContextSpec;
use seam_runtime::serve::Source;
use seam_store::ids::ContextName;

use super::artifact_store;
use super::error::Error;
use super::history::{Change, ChangeKind, ChangeState, History, HistoryEntry, Serving};
use super::lineage::Lineage;
use super::report::short;
use super::system::{System, hash_of};
use crate::manifest::{ContextSettings, Manifest};

/// Where the components of a start come from, if not from the manifest's files.
#[derive(Debug, Default)]
pub struct Sources {
    deployed: HashMap<ContextName, Source>,
    /// Contexts whose deployed version cannot serve, and what serves in its place.
    stand_ins: HashMap<ContextName, String>,
}

impl Sources {
    /// The deployed component of `entry`, or else the one that the manifest names.
    pub fn of(&self, entry: &ContextSettings) -> Source {
        self.deployed.get(&entry.name).cloned().unwrap_or_else(|| Source::of(entry))
    }
}

/// The sources of all components that do not come from the manifest's files. Call this before loading anything. What
/// was deployed here of a context that lives elsewhere by now does not count.
///
/// # Errors
/// When the host's file cannot be used.
pub fn sources(manifest: &Manifest, history: &History) -> Result<Sources, Error> {
    for change in history.applying()? {
        resolve(manifest, history, &change)?;
    }
    standing(manifest, history)
}

/// As `sources`, and leaves unfinished changes as they are: for a look at a system that is not started.
///
/// # Errors
/// When the host's file cannot be used.
pub fn standing(manifest: &Manifest, history: &History) -> Result<Sources, Error> {
    let mut found = Sources::default();
    for serving in history.serving()? {
        if let Some(entry) = settings(manifest).find(|entry| entry.name.as_str() == serving.context) {
            add(&mut found, manifest, entry, &serving, history)?;
        }
    }
    Ok(found)
}

fn add(
    found: &mut Sources,
    manifest: &Manifest,
    entry: &ContextSettings,
    serving: &Serving,
    history: &History,
) -> Result<(), Error> {
    let now = hash_of(&entry.component);
    if let Some(now) = now.as_ref().filter(|now| serving.manifest_hash.as_ref() != Some(*now)) {
        if !history.turned_bad(&serving.context, now)? {
            return Ok(());
        }
        tracing::warn!(
            context = %entry.name, hash = short(now),
            "the manifest's component turned bad when it was deployed; the previous version serves"
        );
    }
    let data = &manifest.host.data;
    let kept = |hash: &str, tolerated_schema| {
        let file = artifact_store::component_in(data, hash);
        Source { file, hash: Some(hash.to_owned()), tolerated_schema }
    };
    if artifact_store::held_in(data, &serving.hash) {
        found.deployed.insert(entry.name.clone(), kept(&serving.hash, serving.tolerated_schema));
        return Ok(());
    }
    if now.as_ref() == Some(&serving.hash) {
        // The very same bytes; `record` keeps them again.
        let source = Source { tolerated_schema: serving.tolerated_schema, ..Source::of(entry) };
        tracing::warn!(
            context = %entry.name, hash = short(&serving.hash),
            "the kept copy of the deployed component is missing or damaged; the manifest's file is the same component"
        );
        found.deployed.insert(entry.name.clone(), source);
        return Ok(());
    }
    let schema = schema_of(manifest, entry);
    for hash in Lineage::read(history, &serving.context)?.before(&serving.hash) {
        let works = match schema {
            Some(schema) => history.works_at(&serving.context, hash, schema)?,
            None => true,
        };
        if works && artifact_store::held_in(data, hash) {
            let notice = format!(
                "the deployed component {} is missing from the data folder or damaged, so the version before, {}, \
                 serves; deploy the component again",
                short(&serving.hash),
                short(hash)
            );
            tracing::error!(context = %entry.name, "{notice}");
            found.deployed.insert(entry.name.clone(), kept(hash, schema));
            found.stand_ins.insert(entry.name.clone(), notice);
            return Ok(());
        }
    }
    if !artifact_store::component_in(data, &serving.hash).exists() {
        tracing::error!(
            context = %entry.name, hash = short(&serving.hash),
            "the deployed component is missing from the data folder; the manifest's component serves"
        );
        return Ok(());
    }
    // Nothing can stand in for a damaged one: loading it reports what is wrong with it.
    found.deployed.insert(entry.name.clone(), kept(&serving.hash, serving.tolerated_schema));
    Ok(())
}

/// The schema of a context's file; `None` without a store. An unreadable file keeps the context from starting later,
/// with a better message.
fn schema_of(manifest: &Manifest, entry: &ContextSettings) -> Option<u32> {
    let config = seam_store::Config::of(&entry.name, entry.store.as_ref()?, &manifest.host.data.join("stores"));
    seam_store::schema_at(&config).ok()
}

/// Completes or undoes an unfinished change.
fn resolve(manifest: &Manifest, history: &History, change: &HistoryEntry) -> Result<(), Error> {
    let entry = settings(manifest).find(|entry| entry.name.as_str() == change.context);
    let schema = entry.and_then(|entry| schema_of(manifest, entry));
    let done = change.schema_before != change.schema_after && schema.is_some() && schema == change.schema_after;
    let hash = short(&change.hash);
    match done {
        true => {
            history.live(
                change.id,
                None,
                Some("the host stopped in the middle; the file had the new schema, so the new version serves"),
            )?;
            tracing::warn!(context = change.context, hash, "completed a deploy that the host had left unfinished");
        }
        false => {
            history.end(change.id, ChangeState::Undone, "the host stopped in the middle")?;
            tracing::warn!(context = change.context, hash, "undid a deploy that the host had left unfinished");
        }
    }
    Ok(())
}

fn settings(manifest: &Manifest) -> impl Iterator<Item = &ContextSettings> {
    manifest.here().map(|context| &context.settings)
}

/// After a start: stores the components that serve, and records each manifest's component that replaced a deployed one.
///
/// # Errors
/// When the data folder cannot be written.
pub(super) fn record(system: &System, sources: &Sources) -> Result<(), Error> {
    let serving = system.history.serving()?;
    for (context, notice) in &sources.stand_ins {
        system.notices.set(context, notice.clone());
    }
    let here = |spec: &ContextSpec| spec.settings.at.is_none() && !spec.component.is_placeholder();
    for spec in system.registry.specs().into_iter().filter(here) {
        let (name, hash) = (spec.settings.name.as_str(), &spec.component.hash);
        let stands_in = sources.stand_ins.contains_key(&spec.settings.name);
        if let Some(deployed) = serving.iter().find(|s| s.context == name && s.hash != *hash && !stands_in) {
            let change = Change {
                context: name,
                kind: ChangeKind::Manifest,
                hash,
                before: &deployed.hash,
                file: &spec.settings.component.to_string_lossy(),
                schema: None,
                irreversible: false,
                manifest_hash: None,
            };
            system.history.follow_manifest(&[(change, None)])?;
            tracing::info!(
                context = name,
                hash = short(hash),
                before = short(&deployed.hash),
                "the manifest's component has changed since the last deploy, so it serves"
            );
        }
        let path = || system.artifacts.component(hash);
        system.keep(&spec).map_err(|source| Error::ArtifactStore { path: path(), source })?;
    }
    Ok(())
}
