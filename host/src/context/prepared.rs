//! A set of generations that could serve: wired and started, and not published yet.

use std::path::Path;
use std::sync::Arc;

use super::generation::Generation;
use super::link::Problem;
use super::probation::Probation;
use super::published::Published;
use super::registry::{Error, Registry};
use super::start;
use crate::store::{self, MigrateOptions, Migrated, Migration};

/// Dropped, it leaves everything as it was.
pub struct Prepared {
    registry: Registry,
    /// What served when it was made.
    base: Arc<Published>,
    next: Vec<Arc<Generation>>,
    fresh: Vec<Fresh>,
}

/// A generation that does not serve yet.
pub struct Fresh {
    pub generation: Arc<Generation>,
    /// All migrations that its component brings, oldest first.
    pub migrations: Vec<Migration>,
}

impl Prepared {
    pub(super) fn new(
        registry: Registry,
        base: Arc<Published>,
        next: Vec<Arc<Generation>>,
        fresh: Vec<(Arc<Generation>, Vec<Migration>)>,
    ) -> Self {
        let fresh = fresh.into_iter().map(|(generation, migrations)| Fresh { generation, migrations }).collect();
        Self { registry, base, next, fresh }
    }

    /// The generations that do not serve yet.
    pub fn fresh(&self) -> &[Fresh] {
        &self.fresh
    }

    /// Brings the files of the fresh ones to their schema.
    ///
    /// # Errors
    /// For each file whose migration failed; that one is as it was, the others have been migrated.
    pub fn migrate(&self) -> Result<(), Error> {
        let problems: Vec<Problem> = self.fresh.iter().filter_map(|fresh| fresh.migrate(None).err()).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
    }

    /// From now on new requests get this set. Those that run keep theirs, and what was replaced goes when they have ended.
    ///
    /// # Errors
    /// `Error::Overtaken` when another set was published since this one was prepared.
    pub fn publish(self) -> Result<(), Error> {
        self.registry.publish(&self.base, self.next)
    }
}

impl Prepared {
    /// The same, with the fresh generation of `context` on probation: what it replaces is kept for the requests that it breaks.
    ///
    /// # Errors
    /// As `publish`.
    pub fn publish_on_probation(self, context: &str) -> Result<Probation, Error> {
        self.registry.publish_on_probation(&self.base, self.next, context)
    }
}

impl Fresh {
    /// Brings its file to its schema. With a `restore_point`, a copy of the file as it was is made there before anything changes.
    ///
    /// # Errors
    /// When a migration fails; the file is as it was.
    pub fn migrate(&self, restore_point: Option<&Path>) -> Result<Option<Migrated>, Problem> {
        let part = self.generation.part();
        match self.generation.database() {
            Some(database) => {
                let options = MigrateOptions { tolerated_schema: part.ahead, restore_point };
                store::migrate_with(database, &self.migrations, &options).map(Some).map_err(|e| {
                    let what = format!("cannot bring its store to its schema: {}", start::chain(&e));
                    start::problem(&part.entry, what, e.remedy())
                })
            }
            None if self.migrations.is_empty() => Ok(None),
            None => {
                let remedy = format!("add `store = true` to [context.{}]", part.entry.name);
                let what = "has migrations, but the manifest does not grant it a store".to_owned();
                Err(start::problem(&part.entry, what, remedy))
            }
        }
    }
}
