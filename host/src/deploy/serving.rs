//! What serves after a start: the deployed version, unless the manifest's file is a newer wish; and what a killed host left half-done.
//!
//! The rule for a change that was being applied: where it changes the schema, the file tells how far it came, and the version that goes
//! with the file serves. Where it does not, the version before serves: the new one was never said to.

use std::collections::HashMap;
use std::path::Path;

use super::history::{Change, Entry, History, Kind, Serving, State};
use super::{Error, Inner, shelf, short};
use crate::context::component::Artefact;
use crate::context::{Part, Source};
use crate::ids::ContextName;
use crate::manifest::{ContextSettings, Manifest};
use crate::store;

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
        if let Some(entry) =
            manifest.contexts.iter().map(|entry| &entry.settings).find(|entry| entry.name.as_str() == serving.context)
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
    let file = shelf::component_in(data, &serving.hash);
    if !file.is_file() {
        tracing::warn!(
            context = %entry.name, hash = short(&serving.hash),
            "the deployed component is gone from the data folder; the manifest's serves"
        );
        return Ok(None);
    }
    Ok(Some(Source { file, ahead: serving.ahead }))
}

fn settle(manifest: &Manifest, history: &History, change: &Entry) -> Result<(), Error> {
    let entry =
        manifest.contexts.iter().map(|entry| &entry.settings).find(|entry| entry.name.as_str() == change.context);
    let schema = entry.and_then(|entry| {
        let config = store::Config::of(&entry.name, entry.store.as_ref()?, &manifest.host.data.join("stores"));
        // What cannot be read now keeps the context from starting, with a better message.
        store::schema_at(&config).ok()
    });
    let done = change.schema_before != change.schema_after && schema.is_some() && schema == change.schema_after;
    let hash = short(&change.hash);
    match done {
        true => {
            history.live(change.id, None, Some("the host ended meanwhile; its schema was there, and so it serves"))?;
            tracing::warn!(context = change.context, hash, "a deploy that the host did not end was brought to its end");
        }
        false => {
            history.end(change.id, State::Undone, "the host ended meanwhile")?;
            tracing::warn!(context = change.context, hash, "a deploy that the host did not end was undone");
        }
    }
    Ok(())
}

/// Of the component that the manifest names, if there is one.
pub(super) fn hash_of(component: &Path) -> Option<String> {
    Artefact::read(component).ok().map(|artefact| artefact.hash)
}

impl Inner {
    /// After a start: keeps the components that serve, and writes down where the manifest's file replaced a deployed one.
    pub(super) fn started(&self) -> Result<(), Error> {
        let serving = self.history.serving()?;
        for part in self.registry.parts() {
            let (name, hash) = (part.entry.name.as_str(), &part.component.hash);
            if let Some(deployed) = serving.iter().find(|s| s.context == name && s.hash != *hash) {
                let change = Change {
                    context: name,
                    kind: Kind::Manifest,
                    hash,
                    before: &deployed.hash,
                    file: &part.entry.component.to_string_lossy(),
                    schema: None,
                    one_way: false,
                    manifest_hash: None,
                };
                self.history.follow_manifest(&[(change, None)])?;
                tracing::info!(
                    context = name,
                    hash = short(hash),
                    before = short(&deployed.hash),
                    "the manifest's component has changed since the last deploy, and serves"
                );
            }
            self.keep(&part).map_err(|source| Error::Shelf { path: self.shelf.component(hash), source })?;
        }
        Ok(())
    }

    /// Keeps the component that the manifest names, if it is the part's.
    pub(super) fn keep(&self, part: &Part) -> std::io::Result<()> {
        if self.shelf.component(&part.component.hash).is_file() {
            return Ok(());
        }
        // Another build may have written over it since it was loaded: then there is nothing to keep.
        match Artefact::read(&part.entry.component) {
            Ok(artefact) if artefact.hash == part.component.hash => self.shelf.keep(&artefact),
            _ => Ok(()),
        }
    }
}
