//! The contexts' files: one `Database` in this process for each file, shared by all generations of its context.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use seam_store::ids::ContextName;
use seam_store::{Database, OpenError};

use crate::component::ContextProblem;
use crate::run::Generation;
use crate::settings::{ContextSettings, StoreGrant};

pub(crate) struct Stores {
    folder: PathBuf,
    open: Mutex<HashMap<ContextName, Weak<Database>>>,
}

impl Stores {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: Mutex::default() }
    }

    /// The file of a context, opened when no generation has it open. `before` is the generation that serves now.
    /// Returns `None` when the manifest does not grant a store.
    ///
    /// # Errors
    /// When the file cannot be opened, or is open with another `store` entry.
    pub fn open(
        &self,
        entry: &ContextSettings,
        before: Option<&Arc<Generation>>,
    ) -> Result<Option<Arc<Database>>, ContextProblem> {
        let Some(grant) = &entry.store else { return Ok(None) };
        let mut open = self.open.lock();
        if let Some(database) = open.get(&entry.name).and_then(Weak::upgrade) {
            let granted = before.and_then(|generation| generation.spec().settings.store.as_ref());
            if granted.is_some_and(|before| before != grant) {
                let remedy = "restore the old `store` entry, or restart the host";
                return Err(ContextProblem::of(
                    &entry.name,
                    "already has its store open, under another `store` entry",
                    remedy,
                ));
            }
            return Ok(Some(database));
        }
        let database = open_file(entry, grant, &self.folder)?;
        open.insert(entry.name.clone(), Arc::downgrade(&database));
        Ok(Some(database))
    }
}

/// Opens the file of a context in `folder`, under `grant`.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn open_file(
    entry: &ContextSettings,
    grant: &StoreGrant,
    folder: &Path,
) -> Result<Arc<Database>, ContextProblem> {
    Database::open(seam_store::Config::of(&entry.name, grant, folder)).map_err(|error| unusable(&entry.name, &error))
}

/// The problem of a file that cannot be opened.
pub(crate) fn unusable(context: &ContextName, error: &OpenError) -> ContextProblem {
    ContextProblem::of(context, format!("has no usable store: {}", seam_store::chain(error)), error.remedy())
}
