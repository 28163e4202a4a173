//! What a seed would do to a context's file, found on copies of it; and whether the file holds rows at all.
//!
//! Invariant: the context's own file is only read.

use std::path::PathBuf;
use std::sync::Arc;

use seam_runtime::alone::Trial;
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Database, chain};
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::folder::{self, Folder};
use crate::invoke::Target;
use crate::manifest::Seed;

/// What a seed would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The tables that would change.
    Tables(Vec<TableEffect>),
    /// The function does not run apart from the other contexts.
    Unknown { why: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEffect {
    pub table: String,
    /// Rows that the table has now.
    pub rows: u64,
    /// Those of them that would be changed or removed.
    pub overwritten: u64,
    /// Rows that it would have.
    pub rows_then: u64,
}

impl Effect {
    pub fn overwritten(&self) -> u64 {
        match self {
            Self::Tables(tables) => tables.iter().map(|table| table.overwritten).sum(),
            Self::Unknown { .. } => 0,
        }
    }
}

/// Runs `load` against the context of `seed` on a copy of its file.
///
/// # Errors
/// When the file cannot be copied, or the rows are wrong.
pub(super) fn try_on_copy(
    registry: &Registry,
    folder: &Folder,
    seed: &Seed,
    load: impl FnOnce(Target) -> Result<(), Error>,
) -> Result<Effect, Error> {
    let context = seed.context.as_str();
    let failed = |error: &dyn std::error::Error| Error::Copy { context: context.to_owned(), why: chain(error) };
    let copies = match database(registry, context) {
        None => None,
        Some(live) => {
            let before = live.copy(&path(folder, &seed.context, "before")?).map_err(|error| failed(&error))?;
            let after = before.copy(&path(folder, &seed.context, "after")?).map_err(|error| failed(&error))?;
            Some((before, after))
        }
    };
    let after = copies.as_ref().map(|(_, after)| after.clone());
    let trial = Trial::start(registry, registry.specs(), context, after).map_err(|error| failed(&error))?;
    let effect = match load(Target::of(trial.alone(), context, &seed.call)?) {
        Ok(()) => None,
        Err(Error::Failed { failure, .. }) => Some(Effect::Unknown { why: failure.to_string() }),
        Err(error) => return Err(error),
    };
    drop(trial);
    let tables = match &copies {
        None => Vec::new(),
        Some((before, after)) => before.differences(after).map_err(|error| failed(&error))?,
    };
    drop(copies);
    for name in ["before", "after"] {
        std::fs::remove_file(path(folder, &seed.context, name)?).ok();
    }
    let shadows: Vec<String> = tables.iter().map(|table| table.table.clone()).collect();
    let tables = tables.into_iter().filter(|table| !is_index(&table.table, &shadows)).map(|table| TableEffect {
        rows_then: table.there,
        rows: table.here,
        overwritten: table.lost,
        table: table.table,
    });
    Ok(effect.unwrap_or_else(|| Effect::Tables(tables.collect())))
}

/// Whether `table` belongs to a full-text index, whose rows are no rows of the context.
fn is_index(table: &str, all: &[String]) -> bool {
    let ends = ["_data", "_idx", "_docsize", "_config", "_content"];
    let of = ends.iter().find_map(|end| table.strip_suffix(end));
    of.is_some_and(|of| all.iter().any(|other| other == &format!("{of}_data")))
}

/// Whether the context's file holds what its migrations put into it and no more. A context without a file holds none.
///
/// # Errors
/// When the file cannot be compared with a new one.
pub(super) fn holds_no_rows(registry: &Registry, folder: &Folder, context: &ContextName) -> Result<bool, Error> {
    let failed = |error: &dyn std::error::Error| Error::Copy { context: context.to_string(), why: chain(error) };
    let Some(live) = database(registry, context.as_str()) else { return Ok(true) };
    let trial = Trial::start(registry, registry.specs(), context.as_str(), None).map_err(|error| failed(&error))?;
    let path = path(folder, context, "new")?;
    let new = Database::open(live.config_at(&path)).map_err(|error| failed(&error))?;
    seam_store::migrate(&new, &trial.migrations).map_err(|error| failed(&error))?;
    let differences = live.differences(&new).map_err(|error| failed(&error))?;
    drop(new);
    std::fs::remove_file(path).ok();
    Ok(differences.is_empty())
}

fn database(registry: &Registry, context: &str) -> Option<Arc<Database>> {
    let generation = registry.generations().into_iter().find(|generation| generation.context().as_str() == context)?;
    generation.database().cloned()
}

/// The path of a copy, which does not exist yet. The next start removes what a killed host left there.
fn path(folder: &Folder, context: &ContextName, name: &str) -> Result<PathBuf, Error> {
    let path = folder::trials(folder.path()).join(format!("{context}-seed-{name}.db"));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Copy { context: context.to_string(), why: error.to_string() })
        }
        _ => Ok(path),
    }
}
