//! Shared by all changes: the running system, its history and the stored artifacts.

use std::collections::HashSet;
use std::sync::Arc;

use seam_runtime::component::{Artifact, Component, ContextSpec};
use seam_runtime::did_you_mean;
use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::{Database, HostFileError, chain};

use super::artifact_store::ArtifactStore;
use super::history::{ChangeState, History};
use super::lineage::Lineage;
use super::notices::Notices;
use super::report::{GateRefusal, Version};
use super::running_watch::RunningWatch;
use super::vigil::{Vigils, called};
use crate::fit::HostCalls;
use crate::refused::Refused;

pub(super) struct System {
    pub registry: Registry,
    pub history: History,
    pub artifacts: ArtifactStore,
    pub calls: HostCalls,
    pub notices: Notices,
    pub watch: RunningWatch,
    pub vigils: Vigils,
}

impl System {
    /// The running version of exactly this context or variant.
    pub fn generation(&self, context: &str) -> Option<Arc<Generation>> {
        self.registry.generations().into_iter().find(|generation| generation.context().as_str() == context)
    }

    pub fn database(&self, context: &str) -> Option<Arc<Database>> {
        self.generation(context).and_then(|generation| generation.database().cloned())
    }

    /// Whether calls reach the running version. If they do not, nothing can be compared with it, and its store is not
    /// open.
    pub fn serves(&self, context: &str) -> bool {
        self.generation(context).is_some_and(|generation| generation.out_of_service().is_none())
    }

    pub fn version(&self, context: &str) -> Option<Version> {
        let generation = self.generation(context)?;
        Some(Version { hash: generation.component().hash.clone(), generation: Some(generation.number) })
    }

    /// The specs of the running system, with another component for `context`.
    pub fn specs_with(&self, context: &str, component: &Component, tolerated_schema: Option<u32>) -> Vec<ContextSpec> {
        let mut specs = self.registry.specs();
        if let Some(spec) = specs.iter_mut().find(|spec| spec.settings.name.as_str() == context) {
            spec.component = component.clone();
            spec.tolerated_schema = tolerated_schema;
        }
        specs
    }

    /// The refusal for a context that is not loaded or does not exist.
    pub fn unknown(&self, context: &str) -> GateRefusal {
        if let Some(absent) = self.registry.not_loaded(context) {
            return GateRefusal::early(absent.to_string(), absent.remedy());
        }
        if let Some(host) = self.registry.lives_elsewhere(context) {
            let Refused { message, remedy } = Refused::elsewhere(context, &host);
            return GateRefusal::early(format!("{message}, and is changed there"), remedy);
        }
        let known: Vec<String> = self.registry.specs().iter().map(|spec| spec.settings.name.to_string()).collect();
        let remedy = did_you_mean::hint(context, known.iter().map(String::as_str));
        GateRefusal::early(format!("there is no context `{context}`"), remedy)
    }

    /// Forgets the statements that the context ran, so that the step `migrations` does not test statements of older
    /// versions.
    pub fn forget_statements(&self, context: &str) {
        if let Some(database) = self.database(context) {
            database.forget_statements();
        }
    }

    /// Records that the previous version keeps serving, on a schema that may have changed before the failure.
    /// `schema_before` is the schema before the change; `None` without a store.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn record_unchanged(
        &self,
        context: &str,
        schema_before: Option<u32>,
        change: i64,
        why: &str,
    ) -> Result<(), HostFileError> {
        let before = self.generation(context);
        let schema = before.as_ref().and_then(|before| before.database()).and_then(|database| database.schema().ok());
        match schema_before.zip(schema) {
            Some((from, schema)) if schema > from => {
                if let Some(before) = before {
                    before.set_tolerated_schema(Some(schema));
                }
                self.history.rolled_back(change, Some(schema), why)
            }
            _ => self.history.end(change, ChangeState::Refused, why),
        }
    }

    /// Stores the component of `spec`, if the manifest's file still holds it.
    ///
    /// # Errors
    /// When the folder of artifacts cannot be written.
    pub fn keep(&self, spec: &ContextSpec) -> std::io::Result<()> {
        if self.artifacts.holds(&spec.component.hash) {
            return Ok(());
        }
        // A build may have overwritten the file since it was loaded. Then there is nothing to store.
        match Artifact::read(&spec.settings.component) {
            Ok(artifact) if artifact.hash == spec.component.hash => self.artifacts.keep(&artifact),
            _ => Ok(()),
        }
    }

    /// Records what became of a version after its watch. A failure leaves a gap in the history and changes nothing
    /// else.
    pub fn explain(&self, change: i64, why: &str) {
        if let Err(error) = self.history.explain(change, why) {
            tracing::warn!("cannot record in the history that {why}: {}", chain(&error));
        }
    }

    /// Ends all vigils: what is published next has no part in them.
    pub fn end_vigils(&self) {
        for vigil in self.vigils.take() {
            let calls = vigil.watched.probation.counts().1.calls();
            self.explain(vigil.watched.change, &format!("{}, when another change ended the probation", called(calls)));
        }
    }

    /// Removes old artifacts and restore points that no rollback needs.
    pub fn prune(&self) {
        match self.needed() {
            Ok(needed) => self.artifacts.prune(&needed),
            // Without the list, nothing is removed this time.
            Err(error) => tracing::warn!("{}", chain(&error)),
        }
    }

    /// The hashes of the versions that serve, of those that serve after a restart, and of the one before each.
    fn needed(&self) -> Result<HashSet<String>, HostFileError> {
        let mut needed: HashSet<String> = self.history.serving()?.into_iter().map(|serving| serving.hash).collect();
        for spec in self.registry.specs() {
            let (name, hash) = (spec.settings.name.as_str(), spec.component.hash);
            needed.extend(Lineage::read(&self.history, name)?.before(&hash).next().map(str::to_owned));
            needed.insert(hash);
        }
        Ok(needed)
    }
}

/// The hash of the component in `file`; `None` if it cannot be read.
pub(super) fn hash_of(file: &std::path::Path) -> Option<String> {
    Artifact::read(file).ok().map(|artifact| artifact.hash)
}

/// The name of a restore point: the copy of a context's file from before a change.
pub(super) fn restore_name(context: &str, change: i64) -> String {
    format!("{context}-{change}.db")
}
