//! Decides at a start which versions serve: the deployed version, unless the manifest's file has changed since. Also
//! resolves changes that a killed host left unfinished.
//!
//! If an unfinished change has changed the file's schema, the new version serves. Otherwise the previous version
//! serves, since the operator never got a response.

use std::collections::HashMap;
use std::path::Path;

use seam_runtime::serve::Source;
use seam_store::ids::ContextName;

use super::artifact_store;
use super::error::Error;
use super::history::{Change, ChangeKind, ChangeState, History, HistoryEntry, Serving};
use super::report::short;
use super::system::{System, hash_of};
use crate::manifest::{ContextSettings, Manifest};

/// The sources of all components that do not come from the manifest's files. Call this before loading anything.
///
/// # Errors
/// When the host's file cannot be used.
pub fn sources(manifest: &Manifest, history: &History) -> Result<HashMap<ContextName, Source>, Error> {
    for change in history.applying()? {
        resolve(manifest, history, &change)?;
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
            "the manifest's component turned bad when it was deployed; the previous version serves"
        );
    }
    let file = artifact_store::component_in(data, &serving.hash);
    if !file.is_file() {
        tracing::warn!(
            context = %entry.name, hash = short(&serving.hash),
            "the deployed component is missing from the data folder; the manifest's component serves"
        );
        return Ok(None);
    }
    Ok(Some(Source { file, tolerated_schema: serving.tolerated_schema }))
}

/// Completes or undoes an unfinished change.
fn resolve(manifest: &Manifest, history: &History, change: &HistoryEntry) -> Result<(), Error> {
    let entry = settings(manifest).find(|entry| entry.name.as_str() == change.context);
    let schema = entry.and_then(|entry| {
        let config = seam_store::Config::of(&entry.name, entry.store.as_ref()?, &manifest.host.data.join("stores"));
        // An unreadable file keeps the context from starting later, with a better message.
        seam_store::schema_at(&config).ok()
    });
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
    manifest.contexts.iter().map(|context| &context.settings)
}

/// After a start: stores the components that serve, and records each manifest's component that replaced a deployed one.
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
                "the manifest's component has changed since the last deploy, so it serves"
            );
        }
        let path = || system.artifacts.component(hash);
        system.keep(&spec).map_err(|source| Error::ArtifactStore { path: path(), source })?;
    }
    Ok(())
}
