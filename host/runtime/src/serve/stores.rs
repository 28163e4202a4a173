//! The contexts' files: one `Database` in this process for each file, shared by all generations of its context.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Database, HostFileError, Misfit, OpenError, Register, RegisterError, Trouble, chain};

use super::in_doubt;
use crate::component::ContextProblem;
use crate::guest::branches::Branches;
use crate::guest::transactions::Transactions;
use crate::remote::Carrier;
use crate::run::{Generation, Metrics};
use crate::settings::{ContextSettings, StoreGrant};

pub(crate) struct Stores {
    folder: PathBuf,
    register: Register,
    metrics: Metrics,
    open: Mutex<HashMap<ContextName, Weak<Database>>>,
    tending: Mutex<()>,
    /// The owners that a file may name; `None`: any.
    owners: Option<Vec<String>>,
    transactions: Arc<Transactions>,
    /// Of transactions that other hosts coordinate.
    branches: Branches,
    carrier: Option<Arc<dyn Carrier>>,
}

impl Stores {
    pub fn new(
        folder: &Path,
        register: Register,
        metrics: Metrics,
        owners: Option<Vec<String>>,
        carrier: Option<Arc<dyn Carrier>>,
    ) -> Self {
        let transactions = Arc::new(Transactions::new(metrics.two_phase.clone()));
        Self {
            folder: folder.to_owned(),
            register,
            metrics,
            open: Mutex::default(),
            tending: Mutex::default(),
            owners,
            branches: Branches::new(transactions.clone(), Clock::system()),
            transactions,
            carrier,
        }
    }

    /// The transactions over several of the files.
    pub fn transactions(&self) -> &Arc<Transactions> {
        &self.transactions
    }

    /// The branches of transactions that other hosts coordinate.
    pub fn branches(&self) -> &Branches {
        &self.branches
    }

    /// Ends the doubt about each file that has promised to commit, by asking the file that decides, and compares what
    /// operators have chosen with what was decided.
    pub fn resolve(&self) {
        in_doubt::resolve(&self.opened(), &self.transactions, self.carrier.as_ref());
    }

    /// Whether the file of a context waits for the decision about a transaction, or for an operator who has chosen one.
    pub fn waits(&self, context: &ContextName, transaction: &str) -> bool {
        in_doubt::waits(&self.opened(), context.as_str(), transaction).unwrap_or(true)
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
        let failed = |error: RegisterError| misfit(&entry.name, &error);
        let config = seam_store::Config::of(&entry.name, grant, &self.folder);
        match self.register.compare(&entry.name, &config) {
            Err(RegisterError::Misfit(Misfit::Missing { .. })) if entry.learns_again() => {
                tracing::warn!(context = %entry.name, "its file is gone; it gets all events from the first one on");
                self.register.accept(&entry.name, &config, |_, _| Ok(())).map_err(failed)?;
            }
            compared => compared.map_err(failed)?,
        }
        let database = open_file(entry, grant, &self.folder)?;
        self.owns(&entry.name, &database)?;
        self.register.note(&entry.name, &database).map_err(failed)?;
        open.insert(entry.name.clone(), Arc::downgrade(&database));
        Ok(Some(database))
    }

    /// # Errors
    /// When the file was handed over to another host.
    fn owns(&self, context: &ContextName, database: &Database) -> Result<(), ContextProblem> {
        let owner = database.owner().ok().flatten();
        match self.owners.as_ref().zip(owner) {
            Some((owners, owner)) if !owners.contains(&owner.host) => {
                let message = format!("its file belongs to host `{}`, to which it has moved", owner.host);
                let remedy = format!("let it live there: `at = \"{}\"`; or bring it back: `seam absorb`", owner.host);
                Err(ContextProblem::of(context, message, remedy))
            }
            _ => Ok(()),
        }
    }

    /// Looks whether each open file is there and works, and notes how far it is. Call it every `limits::STORE_NOTE_MS`.
    /// Does nothing while another call of it waits for a disk.
    pub fn tend(&self) {
        let Some(_alone) = self.tending.try_lock() else { return };
        self.branches.expire();
        self.resolve();
        for (context, database) in self.opened() {
            database.tend();
            self.metrics.of_store(&context, database.trouble().as_ref(), database.host_failures());
            self.note(&context, &database);
        }
    }

    /// Notes how far each file is, copies its log back and closes it; says in the log why a log is left. For the end of
    /// the host.
    pub fn close(&self) {
        for (context, database) in self.opened() {
            self.note(&context, &database);
            if let Err(why) = database.close() {
                tracing::warn!(
                    target: "store", %context,
                    "a write-ahead log is left beside the store, and belongs to it; the next start reads it: {why}"
                );
            }
        }
    }

    /// Takes the next file of a context as it is: it comes from another host.
    ///
    /// # Errors
    /// When the host's file cannot be written.
    pub fn expect_another(&self, context: &ContextName) -> Result<(), HostFileError> {
        self.register.forget(context)
    }

    /// Whether the host remembers a file of the context.
    pub fn remembers(&self, context: &ContextName) -> bool {
        self.register.knows(context).unwrap_or(false)
    }

    /// Forgets the file of a context that has left this host.
    pub fn forget(&self, context: &ContextName) {
        self.open.lock().remove(context);
    }

    pub fn opened(&self) -> Vec<(ContextName, Arc<Database>)> {
        let open = self.open.lock();
        open.iter().filter_map(|(name, file)| Some((name.clone(), file.upgrade()?))).collect()
    }

    fn note(&self, context: &ContextName, database: &Database) {
        self.register.has_come(context);
        if let Some(Trouble::Damaged { found, .. }) = database.trouble()
            && let Err(error) = self.register.quarantine(context, &found)
        {
            tracing::error!(%context, "cannot note that the store is damaged: {}", chain(&error));
        }
        // A store that does not work has said so; one that was handed over is another host's.
        if !database.is_troubled()
            && !database.is_closed()
            && let Err(error) = self.register.note(context, database)
        {
            tracing::error!(%context, "cannot note how far the store is: {}", chain(&error));
        }
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

/// The problem of a file that is not the one that the host has seen.
pub(crate) fn misfit(context: &ContextName, error: &RegisterError) -> ContextProblem {
    let what = format!("has no usable store: {}", chain(error));
    ContextProblem::of(context, what, error.remedy(context.as_str()))
}

/// The problem of a file that cannot be opened.
pub(crate) fn unusable(context: &ContextName, error: &OpenError) -> ContextProblem {
    ContextProblem::of(context, format!("has no usable store: {}", seam_store::chain(error)), error.remedy())
}
