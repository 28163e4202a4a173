//! A set of generations that could serve: wired and started, but not published yet.

use std::path::Path;
use std::sync::Arc;

use seam_store::{MigrateOptions, Migrated, Migration};

use super::error::Error;
use super::serving_set::ServingSet;
use crate::component::ContextProblem;
use crate::run::Generation;

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
    /// Migrates the candidates' files to their schemas.
    ///
    /// # Errors
    /// One problem for each file whose migration failed; that file is as it was, the others are migrated.
    pub fn migrate(&self) -> Result<(), Error> {
        let problems: Vec<ContextProblem> = self.candidates.iter().filter_map(|one| one.migrate(None).err()).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
    }
}

impl Candidate {
    /// Migrates its file to its schema. With a `restore_point`, the file is copied there before anything changes.
    ///
    /// # Errors
    /// When a migration fails; the file is as it was.
    pub fn migrate(&self, restore_point: Option<&Path>) -> Result<Option<Migrated>, ContextProblem> {
        let spec = self.generation.spec();
        match self.generation.database() {
            Some(database) => {
                let options = MigrateOptions { tolerated_schema: spec.tolerated_schema, restore_point };
                seam_store::migrate_with(database, &self.migrations, &options).map(Some).map_err(|error| {
                    let what = format!("cannot migrate its store: {}", seam_store::chain(&error));
                    ContextProblem::of(&spec.settings.name, what, error.remedy())
                })
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
