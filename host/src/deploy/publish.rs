//! Step `publish`: the file is brought to the new schema, with a restore point, and from one moment on new requests get the new version.
//!
//! Between the two, the version before runs on the new schema for some milliseconds: step `migrations` has seen that it can, or somebody
//! has said yes to it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::history::{Change, Kind, State};
use super::migrations::Tried;
use super::{Inner, Refused, Step, Version, chain, fault, serving, watch};
use crate::context::component::{Artefact, Component};
use crate::context::{self, Part, Probation};
use crate::limits;
use crate::store::HostFileError;

/// A version that has passed everything before.
pub(super) struct Candidate<'a> {
    pub before: &'a Part,
    pub artefact: &'a Artefact,
    pub component: Component,
    pub tried: Option<Tried>,
    pub kind: Kind,
    /// The schema that its file has, when it does not know it.
    pub ahead: Option<u32>,
    /// What the file is put back to.
    pub restore: Option<Restore>,
    /// How long it is watched; zero: not at all.
    pub watch: Duration,
}

/// A version that serves.
pub(super) struct Published {
    pub version: Version,
    /// Its line in the history.
    id: i64,
    probation: Option<Probation>,
}

/// A copy of the file from before its schema changed.
pub(super) struct Restore {
    pub from: PathBuf,
    /// Only if no more was committed than this, when nobody said yes to losing it.
    pub commits: Option<u64>,
}

impl Inner {
    /// # Errors
    /// When the live file cannot be migrated after all, or others publish all the time. The version before serves then.
    pub(super) fn publish(&self, candidate: &Candidate<'_>) -> Result<(Published, Vec<String>), Refused> {
        let failed = |message: String| Refused::at(Step::Publish, message, "see that the data folder can be written");
        self.shelf.keep(candidate.artefact).map_err(|e| failed(format!("its component cannot be kept: {e}")))?;
        fault::point("kept");
        let (entry, hash) = (&candidate.before.entry, &candidate.artefact.hash);
        let manifest_hash = serving::hash_of(&entry.component);
        let tried = candidate.tried.as_ref();
        let change = Change {
            context: entry.name.as_str(),
            kind: candidate.kind,
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
            Ok((version, probation, notes)) => {
                fault::point("published");
                let published = Published { version, id, probation };
                if published.probation.is_none() {
                    self.serves(candidate, &published, None)?;
                }
                Ok((published, notes))
            }
            Err(refused) => {
                let (name, tried) = (entry.name.as_str(), candidate.tried.as_ref());
                self.stays(name, tried, id, &refused.message).map_err(|error| Refused::history(&error))?;
                Err(refused)
            }
        }
    }

    /// Watches a version that serves, and writes down that it does, or puts the one before into its place again.
    ///
    /// # Errors
    /// When it turned bad.
    pub(super) fn watch(&self, candidate: &Candidate<'_>, mut published: Published) -> Result<Vec<String>, Refused> {
        let Some(probation) = published.probation.take() else { return Ok(Vec::new()) };
        let (name, began) = (&candidate.before.entry.name, Instant::now());
        tracing::info!(context = %name, generation = published.version.generation, "serves on probation");
        match watch::watch(&probation, candidate.watch) {
            Ok(seen) => {
                probation.keep();
                self.forget_statements(candidate);
                self.serves(candidate, &published, None)?;
                Ok(vec![seen])
            }
            Err(why) => {
                let tried = candidate.tried.as_ref();
                let ahead = tried.filter(|tried| tried.from != tried.to).map(|tried| tried.to);
                // First for after a crash, then for now.
                let recorded = self.history.rolled_back(published.id, ahead, &why);
                fault::point("rolled-back");
                if let Err(error) = probation.undo(ahead) {
                    let why = format!("it turned bad ({why}), and the version before cannot serve: {}", chain(&error));
                    self.serves(candidate, &published, Some(&why))?;
                    return Err(Refused::at(Step::Watch, why, "deploy a version that works"));
                }
                let ms_watched = began.elapsed().as_millis() as u64;
                tracing::warn!(context = %name, ms_watched, "a new version turned bad and was rolled back: {why}");
                recorded.map_err(|error| Refused::history(&error))?;
                self.forget_statements(candidate);
                Err(Refused::at(
                    Step::Watch,
                    format!("it served and turned bad, so the version before serves again: {why}"),
                    format!("`seam logs {name}` says more"),
                ))
            }
        }
    }

    /// Writes down that the version before serves on, on a schema that may have become the new one's before something failed.
    pub(super) fn stays(&self, name: &str, tried: Option<&Tried>, id: i64, why: &str) -> Result<(), HostFileError> {
        let before = self.generation(name);
        let schema = before.as_ref().and_then(|before| before.database()).and_then(|database| database.schema().ok());
        match tried.zip(schema) {
            Some((tried, schema)) if schema > tried.from => {
                if let Some(before) = before {
                    before.set_ahead(Some(schema));
                }
                self.history.rolled_back(id, Some(schema), why)
            }
            _ => self.history.end(id, State::Refused, why),
        }
    }

    /// Writes down that a version serves.
    fn serves(&self, candidate: &Candidate<'_>, published: &Published, why: Option<&str>) -> Result<(), Refused> {
        self.history.live(published.id, candidate.ahead, why).map_err(|error| Refused::history(&error))?;
        fault::point("recorded");
        self.tidy();
        Ok(())
    }

    /// So that the next version is not held to what only this one's predecessor asked.
    fn forget_statements(&self, candidate: &Candidate<'_>) {
        let generation = self.generation(candidate.before.entry.name.as_str());
        if let Some(database) = generation.and_then(|generation| generation.database().cloned()) {
            database.forget_statements();
        }
    }

    fn swap(&self, candidate: &Candidate<'_>, id: i64) -> Result<(Version, Option<Probation>, Vec<String>), Refused> {
        let name = &candidate.before.entry.name;
        let restore_point = self.shelf.restore_point(&restore_name(name.as_str(), id));
        let mut notes = Vec::new();
        for _ in 0..limits::DEPLOY_ATTEMPTS {
            let parts = replaced(self.registry.parts(), name.as_str(), &candidate.component, candidate.ahead);
            let prepared = self.registry.prepare(parts).map_err(|e| Refused::context(Step::Publish, e))?;
            if let Some(restore) = &candidate.restore {
                notes = vec![self.restore(name.as_str(), restore)?];
                fault::point("restored");
            }
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
            let published = match candidate.watch.is_zero() {
                true => prepared.publish().map(|()| None),
                false => prepared.publish_on_probation(name.as_str()).map(Some),
            };
            match published {
                Ok(probation) => {
                    self.forget_statements(candidate);
                    return Ok((version, probation, notes));
                }
                Err(context::Error::Overtaken) => {}
                Err(error) => return Err(Refused::at(Step::Publish, chain(&error), "")),
            }
        }
        Err(Refused::at(Step::Publish, "other changes were published all the time", "try again"))
    }

    /// Puts the file back to what it was before its schema changed.
    fn restore(&self, name: &str, restore: &Restore) -> Result<String, Refused> {
        let Some(database) = self.generation(name).and_then(|generation| generation.database().cloned()) else {
            return Err(Refused::at(Step::Publish, "it has no store", ""));
        };
        database.restore(&restore.from, restore.commits).map_err(|error| {
            Refused::at(Step::Publish, format!("its file cannot be put back: {}", chain(&error)), "try again")
        })?;
        Ok("the file is back at its restore point".to_owned())
    }

    /// Bounds what is kept.
    pub(super) fn tidy(&self) {
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
