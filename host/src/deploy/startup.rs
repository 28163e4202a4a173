//! What serves after a start: the deployed version, unless the manifest's file is newer; and what a killed host left unfinished.
//!
//! The rule for a change that was being applied: when it changes the schema, the schema of the file says how far it got, and the
//! version that fits the file serves. When it does not, the version before serves: the operator never got an answer.

use std::collections::HashMap;
use std::path::Path;

use super::artifact_store;
use super::error::Error;
use super::history::{Change, ChangeKind, ChangeState, History, HistoryEntry, Serving};
use super::report::short;
use super::system::{System, hash_of};
use crate::manifest::{ContextSettings, Manifest};
use seam_runtime::serve::Source;
use seam_store::ids::ContextName;

/// Where to take the components of contexts from whose manifest's file is not what serves. To be asked before anything is loaded.
///
/// # Errors
/// When the host's file cannot be used.
pub fn sources(manifest: &Manifest, history: &History) -> Result<HashMap<ContextName, Source>, Error> {
    for change in history.applying()? {
        settle(manifest, history, &change)?;
    }
    let mut found = HashMap::new();
    for serving in history.serving()? {
        if let Some(entry) = settings(manifest).find(|entry| entry.name.as_str() == serving.context)
            && let Some(source) = source(&manifest.host.data, entry, &serving, history)?
        {
            found.insert(entry.name.clone(), source);
        }
    }
    Ok(found)
}

fn source(data: &Path, entry: &ContextSettings, serving: &Serving, history: &History) -> Result<Option<Source>, Error> {
    if let Some(now) = hash_of(&entry.component)
        && serving.manifest_hash.as_ref() != Some(&now)
    {
        if !history.turned_bad(&serving.context, &now)? {
            return Ok(None);
        }
        tracing::warn!(
            context = %entry.name, hash = short(&now),
            "the manifest's component turned bad when it was deployed; the version before serves"
        );
    }
    let file = artifact_store::component_in(data, &serving.hash);
    if !file.is_file() {
        tracing::warn!(
            context = %entry.name, hash = short(&serving.hash),
            "the deployed component is gone from the data folder; the manifest's serves"
        );
        return Ok(None);
    }
    Ok(Some(Source { file, tolerated_schema: serving.tolerated_schema }))
}

fn settle(manifest: &Manifest, history: &History, change: &HistoryEntry) -> Result<(), Error> {
    let entry = settings(manifest).find(|entry| entry.name.as_str() == change.context);
    let schema = entry.and_then(|entry| {
        let config = seam_store::Config::of(&entry.name, entry.store.as_ref()?, &manifest.host.data.join("stores"));
        // What cannot be read now keeps the context from starting, with a better message.
        seam_store::schema_at(&config).ok()
    });
    let done = change.schema_before != change.schema_after && schema.is_some() && schema == change.schema_after;
    let hash = short(&change.hash);
    match done {
        true => {
            history.live(change.id, None, Some("the host ended meanwhile; its schema was there, and so it serves"))?;
            tracing::warn!(context = change.context, hash, "a deploy that the host did not end was brought to its end");
        }
        false => {
            history.end(change.id, ChangeState::Undone, "the host ended meanwhile")?;
            tracing::warn!(context = change.context, hash, "a deploy that the host did not end was undone");
        }
    }
    Ok(())
}

fn settings(manifest: &Manifest) -> impl Iterator<Item = &ContextSettings> {
    manifest.contexts.iter().map(|context| &context.settings)
}

/// After a start: keeps the components that serve, and records where the manifest's file replaced a deployed one.
///
/// # Errors
/// When the data folder cannot be written.
pub(super) fn record(system: &System) -> Result<(), Error> {
    let serving = system.history.serving()?;
    for spec in system.registry.specs() {
        let (name, hash) = (spec.settings.name.as_str(), &spec.component.hash);
        if let Some(deployed) = serving.iter().find(|s| s.context == name && s.hash != *hash) {
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
                "the manifest's component has changed since the last deploy, and serves"
            );
        }
        let path = || system.artifacts.component(hash);
        system.keep(&spec).map_err(|source| Error::ArtifactStore { path: path(), source })?;
    }
    Ok(())
}
