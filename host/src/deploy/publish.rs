//! Step `publish`: the file is brought to the new schema, with a restore point, and from one moment on new requests get the new version.
//!
//! Between the two, the version before runs on the new schema for some milliseconds: step `migrations` has seen that it can, or somebody
//! has said yes to it.

use super::history::{Change, Kind, State};
use super::migrations::Tried;
use super::{Form, Inner, Refused, Step, Version, chain, fault, serving};
use crate::context::component::{Artefact, Component};
use crate::context::{self, Part};
use crate::limits;

/// A version that has passed everything before.
pub(super) struct Candidate<'a> {
    pub before: &'a Part,
    pub artefact: &'a Artefact,
    pub component: Component,
    pub tried: Option<Tried>,
    pub form: Form,
}

impl Inner {
    /// # Errors
    /// When the live file cannot be migrated after all, or others publish all the time. The version before serves then.
    pub(super) fn publish(&self, candidate: &Candidate<'_>) -> Result<(Version, Vec<String>), Refused> {
        let failed = |message: String| Refused::at(Step::Publish, message, "see that the data folder can be written");
        self.shelf.keep(candidate.artefact).map_err(|e| failed(format!("its component cannot be kept: {e}")))?;
        fault::point("kept");
        let (entry, hash) = (&candidate.before.entry, &candidate.artefact.hash);
        let manifest_hash = serving::hash_of(&entry.component);
        let tried = candidate.tried.as_ref();
        let change = Change {
            context: entry.name.as_str(),
            kind: if candidate.form == Form::Full { Kind::Deploy } else { Kind::Quick },
            hash,
            before: &candidate.before.component.hash,
            file: &candidate.artefact.path.to_string_lossy(),
            schema: tried.map(|tried| (tried.from, tried.to)),
            one_way: tried.is_some_and(|tried| tried.one_way.is_some()),
            manifest_hash: manifest_hash.as_deref(),
        };
        let id = self.history.begin(&change).map_err(|error| Refused::history(&error))?;
        fault::point("begun");
        match self.swap(candidate, id) {
            Ok((version, notes)) => {
                fault::point("published");
                self.history.live(id, None, None).map_err(|error| Refused::history(&error))?;
                fault::point("recorded");
                self.tidy();
                Ok((version, notes))
            }
            Err(refused) => {
                self.history.end(id, State::Refused, &refused.message).map_err(|error| Refused::history(&error))?;
                Err(refused)
            }
        }
    }

    fn swap(&self, candidate: &Candidate<'_>, id: i64) -> Result<(Version, Vec<String>), Refused> {
        let name = &candidate.before.entry.name;
        let restore_point = self.shelf.restore_point(&restore_name(name.as_str(), id));
        let mut notes = Vec::new();
        for _ in 0..limits::DEPLOY_ATTEMPTS {
            let parts = replaced(self.registry.parts(), name.as_str(), &candidate.component, None);
            let prepared = self.registry.prepare(parts).map_err(|e| Refused::context(Step::Publish, e))?;
            let mut version = None;
            for fresh in prepared.fresh() {
                let ours = fresh.generation.context() == name;
                let migrated = fresh
                    .migrate(ours.then_some(restore_point.as_path()))
                    .map_err(|problem| Refused::problems(Step::Publish, &[problem]))?;
                if ours {
                    fault::point("migrated");
                    version = Some(Version {
                        hash: candidate.artefact.hash.clone(),
                        generation: Some(fresh.generation.number),
                    });
                    if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
                        notes.push(format!("schema {} became {}, with a restore point", migrated.from, migrated.to));
                    }
                }
            }
            let Some(version) = version else {
                return Err(Refused::at(Step::Publish, "it serves already", ""));
            };
            let database = prepared
                .fresh()
                .iter()
                .find_map(|fresh| fresh.generation.database().filter(|_| fresh.generation.context() == name).cloned());
            match prepared.publish() {
                Ok(()) => {
                    if let Some(database) = database {
                        database.forget_statements();
                    }
                    return Ok((version, notes));
                }
                Err(context::Error::Overtaken) => {}
                Err(error) => return Err(Refused::at(Step::Publish, chain(&error), "")),
            }
        }
        Err(Refused::at(Step::Publish, "other changes were published all the time", "try again"))
    }

    /// Bounds what is kept.
    fn tidy(&self) {
        let mut needed: std::collections::HashSet<String> =
            self.registry.parts().into_iter().map(|part| part.component.hash).collect();
        match self.history.recent_hashes() {
            Ok(recent) => needed.extend(recent),
            // Then nothing is removed this time.
            Err(error) => return tracing::warn!("{}", chain(&error)),
        }
        self.shelf.prune(&needed);
    }
}

/// What the copy of the file before change `id` is called.
pub(super) fn restore_name(context: &str, id: i64) -> String {
    format!("{context}-{id}.db")
}

/// `parts` with another component for `name`.
pub(super) fn replaced(mut parts: Vec<Part>, name: &str, component: &Component, ahead: Option<u32>) -> Vec<Part> {
    if let Some(part) = parts.iter_mut().find(|part| part.entry.name.as_str() == name) {
        part.component = component.clone();
        part.ahead = ahead;
    }
    parts
}
