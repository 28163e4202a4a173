//! Seeds: rows of a file, fed in batches through a context's own function of one list.
//!
//! Invariant: a seed whose rows have all been taken is remembered by its file's hash and not fed again; one that broke off is fed from its
//! start the next time, which is why the functions are idempotent. Not here: what the rows mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use crate::call::Failure;
use crate::context::serve::Registry;
use crate::folder::{self, Folder};
use crate::invoke::{self, Target};
use crate::limits;
use crate::manifest::Seed;

mod loaded;
mod rows;
#[cfg(test)]
mod tests;

use loaded::{Loaded, Record};
use rows::Rows;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {message}", path.display())]
    Row { path: PathBuf, line: u64, message: String },
    #[error("{}:{first}-{last}: `{context}` does not take these rows: {answer}", path.display())]
    Rejected { path: PathBuf, first: u64, last: u64, context: String, answer: String },
    #[error("{}:{first}-{last}: {failure}", path.display())]
    Failed { path: PathBuf, first: u64, last: u64, failure: Failure },
    #[error("`{call}` of `{context}` does not take one list")]
    NotAList { context: String, call: String, signature: String },
    #[error(transparent)]
    Call(#[from] invoke::Error),
    #[error("cannot remember which seeds are loaded in `{}`", path.display())]
    Remember { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read { .. } => {
                "create the file, or remove its `[[seed]]`; `seam up --no-seeds` starts without".into()
            }
            Self::Row { .. } | Self::Rejected { .. } => {
                "correct the file, then `seam seed`: it begins anew, and rows that are in already change nothing".into()
            }
            Self::Failed { failure: Failure::Trapped { context, .. }, .. } => {
                format!("see `seam logs {context}`; then `seam seed` goes on")
            }
            Self::Failed { .. } => "`seam seed` tries again".into(),
            Self::NotAList { signature, .. } => {
                format!("a seed's function takes one list of rows; this is {signature}")
            }
            Self::Call(error) => error.remedy(),
            Self::Remember { .. } => "mend the data folder's permissions, or make room on its disk".into(),
        }
    }
}

/// How far a seed is; the last one of a seed has `done`.
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
    /// It had been loaded before; nothing was fed.
    pub known: bool,
}

/// Feeds every seed that has not been loaded yet, or all with `force`, in the manifest's order. Stops at the first that fails.
///
/// # Errors
/// When a file, a row or the context's answer is not as it should be.
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
        feed(registry, seed, rows, &mut at, progress)?;
        record.rows = at.rows;
        loaded.remember(record)?;
        at.done = true;
        progress(&at);
    }
    Ok(())
}

fn feed(
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

/// The type of a row, or how the function's signature reads instead.
fn one_list(target: &Target) -> Result<Type, String> {
    let Some(signature) = target.signature() else { return Err("gone".into()) };
    let params: Vec<Type> = signature.params().map(|(_, ty)| ty).collect();
    match params.as_slice() {
        [Type::List(list)] => Ok(list.ty()),
        _ => Err(crate::context::component::wit_of("it", signature)),
    }
}

/// How a path is written in the list: as the manifest has it, so that a moved folder still knows its seeds.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
