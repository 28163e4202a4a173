//! A set of generations that could serve: wired and started, but not published yet.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use seam_store::ids::ContextName;
use seam_store::{MigrateError, MigrateOptions, Migrated, Migration};

use super::error::Error;
use super::serving_set::ServingSet;
use crate::component::ContextProblem;
use crate::link::Wired;
use crate::run::Generation;

/// Contexts that are wired into one system. None of them has its file yet.
pub struct Linked {
    /// The set that served before.
    pub(super) base: Arc<ServingSet>,
    pub(super) wired: Vec<Wired>,
}

/// A prepared set. Nothing changes when it is dropped.
pub struct Prepared {
    /// The set that served when it was made.
    pub(super) base: Arc<ServingSet>,
    pub(super) next: Vec<Arc<Generation>>,
    /// The generations that do not serve yet.
    pub candidates: Vec<Candidate>,
}

/// A generation that does not serve yet.
pub struct Candidate {
    pub generation: Arc<Generation>,
    /// All migrations that its component brings, oldest first.
    pub migrations: Vec<Migration>,
}

impl Prepared {
    /// Migrates the candidates' files to their schemas. Before that, copies each file that has a schema which will
    /// change into the folder `restore_points`, as `CONTEXT-SECONDS.db`, with the seconds since 1970.
    ///
    /// # Errors
    /// One problem for each file whose migration failed; that file is as it was, the others are migrated.
    pub fn migrate(&self, restore_points: Option<&Path>) -> Result<(), Error> {
        let migrate = |candidate: &Candidate| {
            let point = restore_points.and_then(|folder| candidate.restore_point(folder));
            candidate.migrate(point.as_deref()).err()
        };
        let problems: Vec<ContextProblem> = self.candidates.iter().filter_map(migrate).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
    }
}

impl Candidate {
    /// The path of a restore point in `folder`, if its file holds a schema that changes.
    fn restore_point(&self, folder: &Path) -> Option<PathBuf> {
        let schema = self.generation.database()?.schema().ok()?;
        if schema == 0 || schema as usize >= self.migrations.len() {
            return None;
        }
        // If there is no folder, the copy fails and says so.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).ok();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some(folder.join(format!("{}-{seconds}.db", self.generation.context())))
    }

    /// Migrates its file to its schema. With a `restore_point`, the file is copied there before anything changes.
    ///
    /// # Errors
    /// When a migration fails; the file is as it was.
    pub fn migrate(&self, restore_point: Option<&Path>) -> Result<Option<Migrated>, ContextProblem> {
        let spec = self.generation.spec();
        match self.generation.database() {
            Some(database) => {
                let options = MigrateOptions { tolerated_schema: spec.tolerated_schema, restore_point };
                let migrated = seam_store::migrate_with(database, &self.migrations, &options)
                    .map_err(|error| cannot_migrate(&spec.settings.name, &error))?;
                // What a migration leaves is checked there; what an earlier host let pass goes on as it did.
                if migrated.from == migrated.to
                    && let Err(error @ MigrateError::FullText { .. }) = seam_store::check_full_text(database)
                {
                    tracing::warn!(target: "store", context = %spec.settings.name, hint = error.remedy(), "{error}");
                }
                Ok(Some(migrated))
            }
            None if self.migrations.is_empty() => Ok(None),
            None => {
                let name = &spec.settings.name;
                let remedy = format!("add `store = true` to [context.{name}]");
                Err(ContextProblem::of(name, "has migrations, but the manifest does not grant it a store", remedy))
            }
        }
    }
}

/// The problem of a file that cannot be brought to its component's schema.
pub(crate) fn cannot_migrate(context: &ContextName, error: &MigrateError) -> ContextProblem {
    ContextProblem::of(context, format!("cannot migrate its store: {}", seam_store::chain(error)), error.remedy())
}
