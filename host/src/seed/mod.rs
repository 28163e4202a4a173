//! Seeds: rows of a file, passed in batches to a function of a context that takes one list.
//!
//! Invariant: a seed whose rows the context has all taken is remembered by its file's hash and not loaded again. A seed
//! that failed starts from its first row the next time; that is why the functions must be idempotent.
//! Not here: what the rows mean.

use std::time::Duration;

use seam_runtime::serve::Registry;
use serde::{Deserialize, Serialize};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use crate::folder::{self, Folder};
use crate::invoke::Target;
use crate::limits;
use crate::manifest::Seed;

mod error;
mod loaded;
mod rows;
#[cfg(test)]
mod tests;

pub use error::Error;
use loaded::{Loaded, Record};
use rows::Rows;

/// The progress of a seed. The last report of a seed has `done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub context: String,
    pub call: String,
    pub file: String,
    /// Rows that the context has taken.
    pub rows: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    pub done: bool,
    /// It was loaded before, so nothing was passed on.
    pub known: bool,
}

/// Loads every seed that is not loaded yet, or all with `force`, in the manifest's order. Stops at the first that
/// fails.
///
/// # Errors
/// When a file cannot be read, a row does not fit, or the context rejects rows or does not answer.
pub fn run(
    registry: &Registry,
    seeds: &[Seed],
    folder: &Folder,
    force: bool,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let mut loaded = Loaded::open(&folder::stores(folder.path()).join("seeds.json"));
    for seed in seeds {
        let rows = Rows::open(&seed.file)?;
        let mut at = Progress {
            context: seed.context.to_string(),
            call: seed.call.clone(),
            file: seed.file.display().to_string(),
            rows: 0,
            bytes: 0,
            bytes_total: rows.bytes_total,
            done: false,
            known: false,
        };
        let mut record = Record::new(seed, &rows.sha256);
        if let (Some(before), false) = (loaded.find(&record), force) {
            (at.rows, at.bytes, at.done, at.known) = (before.rows, rows.bytes_total, true, true);
            progress(&at);
            continue;
        }
        load(registry, seed, rows, &mut at, progress)?;
        record.rows = at.rows;
        loaded.remember(record)?;
        at.done = true;
        progress(&at);
    }
    Ok(())
}

fn load(
    registry: &Registry,
    seed: &Seed,
    mut rows: Rows,
    at: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let context = seed.context.as_str();
    let target = Target::find(registry, context, &seed.call)?;
    let row_type = one_list(&target).map_err(|signature| Error::NotAList {
        context: context.into(),
        call: seed.call.clone(),
        signature,
    })?;
    while let Some(batch) = rows.batch(&row_type)? {
        let (first, last, count) = (batch.first, batch.last, batch.values.len() as u64);
        let path = || seed.file.clone();
        let answer = target
            .call(&[Val::List(batch.values)], Duration::from_millis(limits::SEED_CALL_MS))
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

/// The type of a row, or the signature of a function that does not take one list.
fn one_list(target: &Target) -> Result<Type, String> {
    let Some(signature) = target.signature() else { return Err("missing".into()) };
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    match params.as_slice() {
        [Type::List(list)] => Ok(list.ty()),
        _ => Err(seam_runtime::component::wit_of("it", signature)),
    }
}
