//! Seeds: rows of a file, passed in batches to a function of a context that takes one list.
//!
//! Invariants: a seed is loaded once, into a context that holds no rows but those of its migrations. A file that has
//! changed since, or a context with rows, needs a request that says `again`; and without `overwrite` that request only
//! tries the seed on a copy and says which rows it would overwrite. A seed that failed starts from its first row the
//! next time; that is why the functions must be idempotent.
//! Not here: what the rows mean.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use seam_runtime::component::ContextProblem;
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use crate::fit;
use crate::folder::{self, Folder};
use crate::invoke::Target;
use crate::limits;
use crate::manifest::{Manifest, Seed};

mod copies;
mod error;
mod loaded;
mod rows;
#[cfg(test)]
mod tests;

pub use copies::{Effect, TableEffect};
pub use error::Error;
use loaded::{Loaded, Record};
use rows::Rows;

/// The seeds of a manifest.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// For errors.
    manifest: PathBuf,
    all: Vec<Seed>,
}

/// Which seeds are loaded; by default those that were never loaded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRequest {
    /// Only the seeds of this context.
    pub context: Option<String>,
    /// Also seeds that were loaded before, and into contexts that hold rows.
    pub again: bool,
    /// With `again`: overwrite rows. Without, every seed is only tried on a copy of its context's file.
    pub overwrite: bool,
}

/// The progress of a seed. Its last report has another step than `Loading`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub context: String,
    pub call: String,
    pub file: String,
    /// Rows that the context has taken, now or when the seed was loaded before.
    pub rows: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    pub step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Loading,
    Loaded,
    Skipped(Skipped),
    /// On a copy only.
    Tried(Effect),
}

/// Why a seed is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// It was loaded before.
    Loaded,
    /// Another text of the file was loaded before.
    Changed,
    /// The context holds rows that came from elsewhere.
    NotEmpty,
}

impl Seeds {
    /// Those of the contexts that live on this host.
    pub fn of(manifest: &Manifest) -> Self {
        let here = manifest.seeds.iter().filter(|seed| manifest.placement.lives_here(&seed.context));
        Self { manifest: manifest.path.clone(), all: here.cloned().collect() }
    }

    /// Those of other contexts than `left_out`.
    #[must_use]
    pub fn without(mut self, left_out: &[ContextName]) -> Self {
        self.all.retain(|seed| !left_out.contains(&seed.context));
        self
    }

    /// The seeds of `context`, or all.
    fn of_context(&self, context: Option<&str>) -> Result<Vec<&Seed>, Error> {
        let ours = |seed: &&Seed| context.is_none_or(|context| seed.context.as_str() == context);
        let found: Vec<_> = self.all.iter().filter(ours).collect();
        match context {
            Some(context) if found.is_empty() => {
                let known = self.all.iter().map(|seed| seed.context.to_string()).collect();
                Err(Error::NoSeed { context: context.to_owned(), known })
            }
            _ => Ok(found),
        }
    }
}

/// Loads the seeds that `request` asks for, in the manifest's order. Stops at the first that fails.
///
/// # Errors
/// When a file cannot be read, a row does not fit, or the context rejects rows or does not answer. Also after a request
/// with `again` and without `overwrite`, which has loaded nothing.
pub fn run(
    registry: &Registry,
    seeds: &Seeds,
    folder: &Folder,
    request: &SeedRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let mut loaded = Loaded::open(&folder::stores(folder.path()).join("seeds.json"));
    let mut opened = Vec::new();
    let misfit = |seed: &Seed, problem: ContextProblem| {
        let ContextProblem { message, remedy, .. } = problem;
        Error::Misfit { manifest: seeds.manifest.clone(), place: seed.place, message, remedy }
    };
    for seed in seeds.of_context(request.context.as_deref())? {
        fit::seed_file_problem(seed).map_or(Ok(()), |problem| Err(misfit(seed, problem)))?;
        let rows = Rows::open(&seed.file)?;
        let record = Record::new(seed, &rows.sha256);
        opened.push((seed, rows, record));
    }
    let specs = registry.specs();
    let fits = |seed: &Seed| fit::seed_problem(seed, &specs).map_or(Ok(()), |problem| Err(misfit(seed, problem)));
    if request.again && !request.overwrite {
        let mut overwritten = 0;
        for (seed, rows, _) in opened {
            fits(seed)?;
            let mut at = Progress::new(seed, &rows);
            let load = |target: Target| load(seed, rows, &target, &mut at, &mut |_| {});
            let effect = copies::try_on_copy(registry, folder, seed, load)?;
            overwritten += effect.overwritten();
            at.step = Step::Tried(effect);
            progress(&at);
        }
        return Err(Error::OnlyTried { context: request.context.clone(), overwritten });
    }
    let mut empty = HashMap::new();
    let mut plans = Vec::new();
    for (seed, rows, record) in opened {
        let skipped = match loaded.find(&record) {
            _ if request.again => None,
            Some(before) if !before.complete => None,
            Some(before) if before.sha256 == record.sha256 => Some((Skipped::Loaded, before.rows)),
            Some(before) => Some((Skipped::Changed, before.rows)),
            None => {
                let is_empty = match empty.get(&seed.context) {
                    Some(is_empty) => *is_empty,
                    None => copies::holds_no_rows(registry, folder, &seed.context)?,
                };
                empty.insert(seed.context.clone(), is_empty);
                (!is_empty).then_some((Skipped::NotEmpty, 0))
            }
        };
        if skipped.is_none() {
            fits(seed)?;
        }
        plans.push((seed, rows, record, skipped));
    }
    // Recorded before the first row: what is cut off here continues although its context holds rows then.
    let begins = plans.iter().filter(|(.., skipped)| skipped.is_none()).map(|(_, _, record, _)| record.clone());
    loaded.remember(begins)?;
    for (seed, rows, mut record, skipped) in plans {
        let mut at = Progress::new(seed, &rows);
        if let Some((why, rows)) = skipped {
            (at.rows, at.bytes, at.step) = (rows, at.bytes_total, Step::Skipped(why));
            progress(&at);
            continue;
        }
        let target = Target::find(registry, seed.context.as_str(), &seed.call)?;
        load(seed, rows, &target, &mut at, progress)?;
        (record.rows, record.complete) = (at.rows, true);
        loaded.remember([record])?;
        at.step = Step::Loaded;
        progress(&at);
    }
    Ok(())
}

impl Progress {
    fn new(seed: &Seed, rows: &Rows) -> Self {
        Self {
            context: seed.context.to_string(),
            call: seed.call.clone(),
            file: seed.file.display().to_string(),
            rows: 0,
            bytes: 0,
            bytes_total: rows.bytes_total,
            step: Step::Loading,
        }
    }
}

fn load(
    seed: &Seed,
    mut rows: Rows,
    target: &Target,
    at: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let context = seed.context.as_str();
    let no_list = || Error::Changed { context: context.into(), call: seed.call.clone() };
    let row_type = row_type(target).ok_or_else(no_list)?;
    while let Some(batch) = rows.batch(&row_type)? {
        let (first, last, count) = (batch.first, batch.last, batch.values.len() as u64);
        let path = || seed.file.clone();
        let answer = target
            .call_in_bulk(&[Val::List(batch.values)], Duration::from_millis(limits::SEED_CALL_MS))
            .map_err(|failure| Error::Failed { path: path(), first, last, failure })?;
        if !answer.ok() {
            let (context, answer) = (context.to_owned(), answer.wave());
            return Err(Error::Rejected { path: path(), first, last, context, answer });
        }
        at.rows += count;
        at.bytes = rows.bytes();
        progress(at);
    }
    Ok(())
}

/// The type of a row; `None` when the function does not take one list.
fn row_type(target: &Target) -> Option<Type> {
    let params: Vec<Type> = target.signature()?.params().map(|(_, ty)| ty).collect();
    match params.as_slice() {
        [Type::List(list)] => Some(list.ty()),
        _ => None,
    }
}
